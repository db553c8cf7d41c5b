internal import Storage

/// Both header slots: which copy counts, and how the header is replaced, [MS-VHDX] 2.2.2.
struct CurrentHeader: Equatable, Sendable {
    /// Where the two copies stand.
    static let positions: [UInt64] = [64 << 10, 128 << 10]

    private(set) var header: ImageHeader
    /// Index in ``positions`` of the copy that counts.
    private(set) var slot: Int

    /// Where the copy that counts stands.
    var position: UInt64 { Self.positions[slot] }
}

extension CurrentHeader {
    /// Reads both copies: the valid one with the larger sequence number counts.
    ///
    /// Equal numbers are accepted where the copies are identical, as disk2vhd writes them.
    static func read(
        from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> CurrentHeader {
        try current(among: copies(in: file), of: file.name)
    }

    /// Both copies, each by itself.
    ///
    /// - Throws: an error of the file; what is wrong with a copy is in its examination.
    static func copies(
        in file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> [Examination<ImageHeader>] {
        var copies: [Examination<ImageHeader>] = []
        for position in positions {
            var errors: [VHDXError] = []
            let header = try errors.collect { () throws(VHDXError) in
                try copy(at: position, from: file)
            }
            copies.append(Examination(value: header, errors: errors))
        }
        return copies
    }

    /// Which of the copies counts.
    static func current(
        among copies: [Examination<ImageHeader>], of path: String
    ) throws(VHDXError) -> CurrentHeader {
        let valid = copies.enumerated().compactMap { slot, copy in
            copy.value.map { CurrentHeader(header: $0, slot: slot) }
        }
        guard let first = valid.first else {
            let firstError = copies.first?.errors.first
            throw .noValidCopy(.header, firstError ?? .missing(.header, path: path))
        }
        guard let second = valid.dropFirst().first else { return first }
        if first.header.sequenceNumber == second.header.sequenceNumber {
            guard first.header == second.header else {
                throw .ambiguous(.header, path: path, at: first.position)
            }
        }
        return first.header.sequenceNumber >= second.header.sequenceNumber ? first : second
    }

    private static func copy(
        at position: UInt64, from file: borrowing some RandomAccessFile & ~Copyable
    ) throws(VHDXError) -> ImageHeader {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.bytes(at: position, count: ImageHeader.byteCount)
        } catch {
            guard case .unexpectedEnd = error else { throw .file(error) }
            let fileSize = try onFile { () throws(FileError) in try file.byteCount() }
            throw .truncated(.header, path: file.name, at: position, fileSize: fileSize)
        }
        return try ImageHeader(decoding: bytes.rawSpan, of: file.name, at: position)
    }

    /// How often a writer raises the sequence number in one session at most, with room to spare.
    private static let updatesInASession: UInt64 = 64

    /// Checks that the sequence number has room for a whole session.
    func checkSequenceNumber(of path: String) throws(VHDXError) {
        guard header.sequenceNumber <= UInt64.max - Self.updatesInASession else {
            throw .sequenceNumberExhausted(path: path)
        }
    }

    /// Replaces the header, first in the slot that does not count, then in the other; each durable
    /// before the next step.
    ///
    /// A crash leaves the old header or the new one, never neither.
    mutating func replace(
        in file: borrowing some RandomAccessFile & ~Copyable,
        _ change: (inout ImageHeader) -> Void
    ) throws(VHDXError) {
        var next = header
        change(&next)
        for _ in Self.positions {
            guard header.sequenceNumber < .max else {
                throw .sequenceNumberExhausted(path: file.name)
            }
            next.sequenceNumber = header.sequenceNumber + 1
            let nextSlot = 1 - slot
            var bytes = [UInt8](repeating: 0, count: ImageHeader.byteCount)
            bytes.withMutableRawSpan { next.encode(into: &$0) }
            try onFile { () throws(FileError) in
                try file.write(bytes.rawSpan, at: Self.positions[nextSlot])
                try file.flush()
            }
            header = next
            slot = nextSlot
        }
    }
}
