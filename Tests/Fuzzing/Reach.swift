internal import Resync
internal import VHDX

/// How often each outcome was reached, for a run to show that it looked at more than one door.
struct Reach {
    private var counts: [String: Int] = [:]
    private(set) var openedCount = 0

    mutating func refused(_ error: VHDXError, by who: String = "reader") {
        // The sentence for a person must not fail either.
        precondition(!error.description.isEmpty)
        counts["\(who) refused: \(Self.kind(of: error))", default: 0] += 1
    }

    /// A stream was refused. The numbers in what is wrong with it differ from file to file.
    mutating func noted(_ error: ResyncError) {
        let words = "\(error)".split(separator: " ").filter { word in
            !word.contains(where: \.isNumber) || word == "LZ4" || word == "SHA-256"
        }
        noted("refused: " + words.joined(separator: " "))
    }

    /// What came of a stream.
    mutating func noted(_ outcome: String, isOpened: Bool = false) {
        counts[outcome, default: 0] += 1
        if isOpened { openedCount += 1 }
    }

    /// A parent was found on disk.
    mutating func foundParent() {
        counts["chain on disk opened", default: 0] += 1
    }

    mutating func opened(_ info: ImageInfo) {
        openedCount += 1
        counts["opened, \(info.kind), log \(info.logIsDirty ? "dirty" : "clean")", default: 0] += 1
        let states = info.blockStates
        for (name, count) in [
            ("undefined", states.undefined), ("zero", states.zero), ("unmapped", states.unmapped),
            ("fully present", states.fullyPresent), ("partially present", states.partiallyPresent),
        ] where count > 0 {
            counts["opened, has blocks that are \(name)", default: 0] += 1
        }
    }

    mutating func count(_ steps: [String]) {
        for step in steps {
            let name = step.split(separator: " ").prefix { !$0.contains(where: \.isNumber) }
            counts["wrote: \(name.joined(separator: " "))", default: 0] += 1
        }
    }

    /// The table, a line for each outcome.
    var table: [String] {
        counts.sorted { $0.key < $1.key }.map { key, count in
            String(repeating: " ", count: max(0, 9 - "\(count)".count)) + "\(count)  \(key)"
        }
    }

    /// The error without what differs from file to file.
    private static func kind(of error: VHDXError) -> String {
        switch error {
        case .file: "file"
        case .notVHDX: "not VHDX"
        case .truncated(let structure, _, _, _): "truncated \(structure.rawValue)"
        case .wrongSignature(let structure, _, _): "wrong signature of \(structure.rawValue)"
        case .wrongChecksum(let structure, _, _, _, _): "wrong checksum of \(structure.rawValue)"
        case .invalidField(let structure, let field, _, _, _): "\(structure.rawValue), \(field)"
        case .noValidCopy(let structure, let first):
            "no valid copy of \(structure.rawValue): \(kind(of: first))"
        case .ambiguous(let structure, _, _): "ambiguous \(structure.rawValue)"
        case .missing(let structure, _): "missing \(structure.rawValue)"
        case .overlap(let structure, _, _): "overlap of \(structure.rawValue)"
        case .noValidLogEntry: "no valid log entry"
        case .sequenceNumberExhausted: "sequence number exhausted"
        case .parentNotFound: "parent not found"
        case .parentMismatch: "parent mismatch"
        case .parentOutsideFolders: "parent outside folders"
        case .parentLoop: "parent loop"
        case .parentSectorSize: "parent sector size"
        case .hasChild: "has child"
        case .unfinishedApply: "unfinished apply"
        case .unsupported(let what, _):
            "unsupported: " + what.split(separator: " ").prefix(3).joined(separator: " ")
        case .limitExceeded(let what, _): "limit: \(what)"
        case .outOfMemory: "out of memory"
        case .invalidGeometry: "geometry"
        }
    }
}
