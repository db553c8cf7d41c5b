/// Something that a check found in an image.
public struct Finding: Equatable, Sendable {
    /// What a finding means for who wants to use the image.
    public enum Severity: String, CaseIterable, Comparable, Sendable {
        /// Allowed and odd.
        case notice
        /// Damaged or unfinished, and covered by something that is whole.
        case warning
        /// No software may use the image as it is.
        case error

        public static func < (first: Severity, second: Severity) -> Bool {
            switch (first, second) {
            case (.notice, .warning), (.notice, .error), (.warning, .error): true
            default: false
            }
        }
    }

    public var severity: Severity
    public var rule: FormatRule
    public var structure: Structure
    /// Where in the file, in bytes; nil where it is about something that is not there.
    public var fileOffset: UInt64?
    /// What was found there: a field, a checksum, a number of bytes or of blocks, as the message says.
    public var value: UInt64?
    /// One clause, without a capital or a full stop: what it means.
    public var message: String
    /// How many more findings of this rule and severity there are, that were only counted. Not 0
    /// only in the last one that was kept.
    public var more: UInt64 = 0
}

/// Findings in the order in which they were made: of each rule the first few, and a count of the
/// rest.
struct FindingList: Equatable, Sendable {
    /// So that a table in which every entry is wrong costs neither memory nor the reader's patience.
    static let maximumCountOfARule = 16

    private struct Kind: Hashable {
        var rule: FormatRule
        var severity: Finding.Severity
    }

    private struct Kept: Equatable {
        var count: Int
        var lastIndex: Int
    }

    private(set) var findings: [Finding] = []
    /// How many there are of each severity, those that were only counted included.
    private(set) var counts: [Finding.Severity: UInt64] = [:]
    private var kept: [Kind: Kept] = [:]

    /// Adds a finding, or counts it. The message is evaluated only for one that is kept.
    mutating func add(
        _ severity: Finding.Severity, _ rule: FormatRule, _ structure: Structure,
        at fileOffset: UInt64?, value: UInt64? = nil, _ message: @autoclosure () -> String
    ) {
        counts[severity, default: 0] += 1
        let kind = Kind(rule: rule, severity: severity)
        let kept = kept[kind]
        if let kept, kept.count == Self.maximumCountOfARule {
            findings[kept.lastIndex].more += 1
            return
        }
        self.kept[kind] = Kept(count: (kept?.count ?? 0) + 1, lastIndex: findings.count)
        findings.append(
            Finding(
                severity: severity, rule: rule, structure: structure, fileOffset: fileOffset,
                value: value, message: message()))
    }

    /// Turns what opening an image would throw into a finding. The rule is told where the error
    /// alone does not say it; the subject is the block or the copy that it is about.
    mutating func add(
        _ error: VHDXError, as severity: Finding.Severity = .error, rule: FormatRule? = nil,
        subject: @autoclosure () -> String = ""
    ) {
        let rule = rule ?? FormatRule(error)
        let place = error.place
        add(
            severity, rule, place.structure, at: place.fileOffset, value: place.value,
            subject() + rule.meaning(of: error))
    }
}

extension VHDXError {
    /// Where the error is, and the value that shows it.
    var place: (structure: Structure, fileOffset: UInt64?, value: UInt64?) {
        switch self {
        case .notVHDX:
            (.fileIdentifier, 0, nil)
        case .truncated(let structure, _, let offset, let fileSize):
            (structure, offset, fileSize)
        case .wrongSignature(let structure, _, let offset):
            (structure, offset, nil)
        case .wrongChecksum(let structure, _, let offset, let stored, _):
            (structure, offset, UInt64(stored))
        case .invalidField(let structure, _, let value, _, let offset):
            (structure, offset, value)
        case .noValidCopy(let structure, _), .missing(let structure, _):
            (structure, nil, nil)
        case .ambiguous(let structure, _, let offset), .overlap(let structure, _, let offset):
            (structure, offset, nil)
        case .noValidLogEntry(_, let offset):
            (.log, offset, nil)
        case .limitExceeded:
            (.log, nil, nil)
        case .sequenceNumberExhausted:
            (.header, nil, nil)
        case .unfinishedApply:
            (.applyMark, nil, nil)
        case .unsupported:
            (.metadataItem, nil, nil)
        case .parentNotFound, .parentMismatch, .parentOutsideFolders, .parentLoop,
            .parentSectorSize:
            (.parentLocator, nil, nil)
        case .file, .hasChild, .outOfMemory, .invalidGeometry:
            (.file, nil, nil)
        }
    }
}
