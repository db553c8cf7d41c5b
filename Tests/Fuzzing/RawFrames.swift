/// A stream of frames read once more, by docs/protocol.md alone: all of it in memory, and the checksum
/// is its own, too.
struct RawFrames {
    struct Frame {
        var kind: UInt8
        var payload: [UInt8]
        /// Behind its last byte.
        var end: Int
    }

    enum Ending: Equatable {
        /// Between two frames.
        case whole
        /// The bytes end before the frame does.
        case inside
        /// What is no frame is known to be none with the byte in front of this one.
        case refused(at: Int)
    }

    private(set) var frames: [Frame] = []
    private(set) var ending = Ending.whole

    init(_ bytes: [UInt8]) {
        ending = read(bytes)
    }

    private mutating func read(_ bytes: [UInt8]) -> Ending {
        var start = 0
        while start < bytes.count {
            guard start + 5 <= bytes.count else { return .inside }
            let length = Int(MessageField.number(bytes[start..<start + 4]))
            let kind = bytes[start + 4]
            guard let limit = kind == 0 ? 0 : MessageForm.of(kind)?.limit, length <= limit else {
                return .refused(at: start + 5)
            }
            let end = start + 5 + length + 4
            guard end <= bytes.count else { return .inside }
            let checksum = UInt32(MessageField.number(bytes[end - 4..<end]))
            guard Self.checksum(of: bytes[start..<end - 4]) == checksum else {
                return .refused(at: end)
            }
            frames.append(
                Frame(kind: kind, payload: Array(bytes[start + 5..<end - 4]), end: end))
            start = end
        }
        return .whole
    }

    /// CRC-32C, by the polynomial 0x1EDC6F41 with its bits reversed.
    static func checksum(of bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
    }

    private static let table = (0..<256 as Range<UInt32>).map { byte in
        (0..<8).reduce(byte) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
}
