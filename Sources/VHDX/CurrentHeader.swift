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
        var valid: [CurrentHeader] = []
        var firstError: VHDXError?
        for (slot, position) in positions.enumerated() {
            do throws(VHDXError) {
                let header = try copy(at: position, from: file)
                valid.append(CurrentHeader(header: header, slot: slot))
            } catch {
                if case .file(let error) = error { throw .file(error) }
                firstError = firstError ?? error
            }
        }
        guard let first = valid.first else {
            throw .noValidCopy(.header, firstError ?? .missing(.header, path: file.name))
        }
        guard let second = valid.dropFirst().first else { return first }
        if first.header.sequenceNumber == second.header.sequenceNumber {
            guard first.header == second.header else {
                throw .ambiguous(.header, path: file.name, at: first.position)
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
            if case .unexpectedEnd(_, let end) = error {
                throw .truncated(.header, path: file.name, at: position, fileSize: end)
            }
            throw .file(error)
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
