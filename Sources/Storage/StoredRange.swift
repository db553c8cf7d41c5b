/// A byte that several files, or several disks, may have as theirs.
public struct StoragePlace: Equatable, Sendable {
    /// What the offset counts in.
    public enum Space: Equatable, Sendable {
        /// A file system that lets files share content, by the number of its device.
        case volume(UInt64)
        /// A file, in the state in which it was opened.
        case file(FileFingerprint)
    }

    public var space: Space
    public var offset: UInt64

    public init(_ space: Space, at offset: UInt64) {
        self.space = space
        self.offset = offset
    }
}

/// A range of bytes, of a file or of a disk, that is stored in one piece.
public struct StoredRange: Equatable, Sendable {
    public var range: Range<UInt64>
    /// Where its first byte is stored.
    public var place: StoragePlace

    public init(_ range: Range<UInt64>, at place: StoragePlace) {
        self.range = range
        self.place = place
    }

    /// Where a byte of the range is stored.
    public func place(of offset: UInt64) -> StoragePlace {
        StoragePlace(place.space, at: place.offset + (offset - range.lowerBound))
    }

    /// The same bytes, where the first is to be called another.
    public func moved(to start: UInt64) -> StoredRange {
        StoredRange(start..<start + range.byteCount, at: place)
    }
}

/// What a file system says of a run of bytes of a file.
struct FileExtent: Equatable, Sendable {
    var offset: UInt64
    /// Where it is stored.
    var place: UInt64
    var byteCount: UInt64
    var flags: Flags

    /// Those of `linux/fiemap.h` that say nothing against a place.
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt32

        static let last = Flags(rawValue: 0x1)
        static let merged = Flags(rawValue: 0x1000)
        static let shared = Flags(rawValue: 0x2000)
    }

    /// Whether the extent stands where it says, as it is, and other files may have it too. Any other
    /// flag, known or not, means that it does not, or not yet, or not as it reads.
    var isShared: Bool { flags.subtracting([.last, .merged]) == .shared }
}

/// The parts of a file that other files may share, by the word of the file system.
enum SharedExtents {
    /// What one call finds. What is beyond is as if nobody shared it.
    static let largestCount = 65536

    /// `ask` is asked for the extents of a range, from its start on, and need not answer for all of it.
    /// Nothing is believed of a file system of which one answer makes no sense.
    static func ranges(
        in range: Range<UInt64>, on volume: UInt64, ask: (Range<UInt64>) -> [FileExtent]
    ) -> [StoredRange] {
        var found: [StoredRange] = []
        var position = range.lowerBound
        while position < range.upperBound, found.count < largestCount {
            let answer = ask(position..<range.upperBound)
            guard !answer.isEmpty else { break }
            for (index, extent) in answer.enumerated() {
                let (end, overflows) = extent.offset.addingReportingOverflow(extent.byteCount)
                let (_, placeOverflows) = extent.place.addingReportingOverflow(extent.byteCount)
                // The first may begin before what was asked for.
                guard !overflows, !placeOverflows, end > position,
                    index == 0 || extent.offset >= position
                else { return [] }
                let part = (extent.offset..<end).clamped(to: position..<range.upperBound)
                if extent.isShared, !part.isEmpty {
                    let place = extent.place + (part.lowerBound - extent.offset)
                    found.append(StoredRange(part, at: StoragePlace(.volume(volume), at: place)))
                }
                position = end
                guard !extent.flags.contains(.last), position < range.upperBound else {
                    return found
                }
            }
        }
        return found
    }
}
