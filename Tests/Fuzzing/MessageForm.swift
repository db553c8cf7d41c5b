/// One field of a message, by the tables of docs/protocol.md.
struct MessageField {
    /// What may stand there.
    enum Values {
        case any
        /// These bytes.
        case bytes([UInt8])
        /// One of these numbers.
        case choice([UInt64])
        case atMost(UInt64)
    }

    var width: Int
    var values: Values

    static func any(_ width: Int) -> MessageField { MessageField(width: width, values: .any) }

    static func zeros(_ width: Int) -> MessageField {
        MessageField(width: width, values: .bytes([UInt8](repeating: 0, count: width)))
    }

    static func choice(_ width: Int, _ numbers: [UInt64]) -> MessageField {
        MessageField(width: width, values: .choice(numbers))
    }

    func isRight(_ bytes: ArraySlice<UInt8>) -> Bool {
        switch values {
        case .any: true
        case .bytes(let expected): Array(bytes) == expected
        case .choice(let numbers): numbers.contains(Self.number(bytes))
        case .atMost(let limit): Self.number(bytes) <= limit
        }
    }

    static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// The bytes of a kind of message, by docs/protocol.md alone: what it is made from, and whether it is
/// right. Nothing of it comes from the decoder under test.
struct MessageForm {
    /// What stands behind the fields.
    enum Rest {
        case nothing
        case anything
        /// Numbers of eight bytes each.
        case numbers
        case ranges
        /// A length of two bytes, and so many bytes of UTF-8.
        case text(ClosedRange<Int>)
    }

    /// The most bytes that it may have.
    let limit: Int
    let fields: [MessageField]
    var rest = Rest.nothing

    /// Where the rest begins.
    var fieldsByteCount: Int { fields.reduce(0) { $0 + $1.width } }

    /// The form of a kind; nil where there is none of it.
    static func of(_ kind: UInt8) -> MessageForm? {
        kind >= 1 && kind <= all.count ? all[Int(kind) - 1] : nil
    }

    private static let powers = (12...24).map { 1 << UInt64($0) as UInt64 }
    private static let payloadBlockSizes = [0] + (20...28).map { 1 << UInt64($0) as UInt64 }

    private static let all: [MessageForm] = [
        // 1 hello
        MessageForm(
            limit: 1024,
            fields: [
                MessageField(width: 8, values: .bytes(Array("vhdrsync".utf8))), .any(2), .any(2),
                .any(4),
            ], rest: .anything),
        // 2 open
        MessageForm(
            limit: 4138,
            fields: [
                .choice(1, [1, 2]), .choice(1, [0, 1, 2]), .zeros(2),
                MessageField(width: 4, values: .atMost(511)), .choice(4, powers), .zeros(4),
                .any(8),
                .any(16),
            ], rest: .text(1...4096)),
        // 3 source
        MessageForm(
            limit: 96,
            fields: [
                MessageField(width: 8, values: .atMost(UInt64(Int64.max))), .any(16), .any(16),
                .any(32), .choice(8, payloadBlockSizes), .choice(4, [0, 512, 4096]),
                .choice(4, [0, 512, 4096]), .choice(1, [0, 1]), .zeros(7),
            ]),
        // 4 target
        MessageForm(
            limit: 56,
            fields: [.any(8), .any(16), .any(16), .any(8), .choice(4, [0, 1]), .zeros(4)]),
        // 5 digests
        MessageForm(limit: 65536, fields: [], rest: .ranges),
        // 6 nodes wanted
        MessageForm(limit: 8, fields: [.any(8)]),
        // 7 nodes
        MessageForm(limit: 2056, fields: [.any(8)], rest: .numbers),
        // 8 blocks wanted
        MessageForm(limit: 40, fields: [.any(8)], rest: .anything),
        // 9 blocks
        MessageForm(limit: 131_080, fields: [.any(8)], rest: .numbers),
        // 10 records
        MessageForm(limit: 16_777_272, fields: [], rest: .anything),
        // 11 settled
        MessageForm(limit: 8, fields: [.any(8)]),
        // 12 finish
        MessageForm(limit: 128, fields: [.any(32), .any(8)] + counts),
        // 13 status
        MessageForm(
            limit: 112, fields: [.choice(1, [2, 3, 4, 5]), .zeros(7), .any(8), .any(8)] + counts),
        // 14 result
        MessageForm(
            limit: 4226,
            fields: [
                .any(32), .choice(1, [0, 1, 2]), .choice(1, [0, 1, 2]), .choice(1, [0, 1]),
                .zeros(5),
            ] + counts, rest: .text(0...4096)),
        // 15 failure
        MessageForm(
            limit: 8202, fields: [.any(4), .choice(1, [0, 1, 2, 3]), .zeros(3)],
            rest: .text(0...8192)),
        // 16 prepared
        MessageForm(limit: 352, fields: [MessageField(width: 352, values: .any)]),
    ]

    private static let counts = Array(repeating: MessageField.any(8), count: 11)
}

/// A message read once more, as simply as docs/protocol.md allows.
struct RawMessage: Equatable {
    let kind: UInt8
    let payload: [UInt8]

    init(_ kind: UInt8, _ payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }

    /// Whether it has the form of its kind. Its length is another matter, that of the frame.
    var isRight: Bool {
        guard let form = MessageForm.of(kind), payload.count >= form.fieldsByteCount else {
            return false
        }
        var start = 0
        for field in form.fields {
            guard field.isRight(payload[start..<start + field.width]) else { return false }
            start += field.width
        }
        return isRight(rest: payload[start...], form.rest) && agrees
    }

    private func isRight(rest: ArraySlice<UInt8>, _ form: MessageForm.Rest) -> Bool {
        switch form {
        case .nothing: return rest.isEmpty
        case .anything: return true
        case .numbers: return rest.count % 8 == 0
        case .ranges: return ranges != nil
        case .text(let counts):
            guard rest.count >= 2 else { return false }
            let count = Int(MessageField.number(rest.prefix(2)))
            return count == rest.count - 2 && counts.contains(count)
                && Self.isUTF8(Array(rest.dropFirst(2)))
        }
    }

    /// What fields say that are right alone, and must be so together.
    private var agrees: Bool {
        switch kind {
        case 1: number(UInt16.self, 8) >= number(UInt16.self, 10)
        case 2: !payload[42...].contains(0) && flagsAgree
        case 3 where number(UInt64.self, 72) == 0: payload[80...].allSatisfy { $0 == 0 }
        case 3: number(UInt32.self, 80) > 0 && number(UInt32.self, 84) > 0
        // A journal has a path, and no other has.
        case 14: (payload[33] == 0) == (payload.count == 130)
        default: true
        }
    }

    /// One of prepare, check and finish at most, and then of a sender, and no dry run.
    private var flagsAgree: Bool {
        let flags = number(UInt32.self, 4)
        let asked = [64, 128, 256].filter { flags & $0 != 0 }
        return asked.isEmpty || asked.count == 1 && payload[0] == 1 && flags & 1 == 0
    }

    /// A number at an offset where there is one.
    func number<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ offset: Int) -> T {
        payload.number(type, at: offset)
    }

    /// The first window that a question or an answer is about, or before which all is settled.
    var first: UInt64 { number(UInt64.self, 0) }

    /// The short digests of an answer.
    var digests: [UInt64] {
        stride(from: 8, to: payload.count, by: 8).map { number(UInt64.self, $0) }
    }

    /// The bits of a question, the first in bit 0 of the first byte.
    var bits: [Bool] {
        payload.dropFirst(8).flatMap { byte in (0..<8).map { byte >> UInt8($0) & 1 == 1 } }
    }

    /// The ranges of a digests message; nil where it is none.
    var ranges: [(windowCount: UInt64, digest: UInt64?)]? {
        var ranges: [(UInt64, UInt64?)] = []
        var start = 0
        repeat {
            guard start + 4 <= payload.count else { return nil }
            let word = number(UInt32.self, start)
            let count = UInt64(word % (1 << 31))
            start += 4
            guard count > 0 else { return nil }
            if word >= 1 << 31 {
                ranges.append((count, nil))
            } else {
                guard start + 8 <= payload.count else { return nil }
                ranges.append((count, number(UInt64.self, start)))
                start += 8
            }
        } while start < payload.count
        return ranges
    }

    /// RFC 3629, section 4.
    static func isUTF8(_ bytes: [UInt8]) -> Bool {
        var index = 0
        while index < bytes.count {
            let first = bytes[index]
            let following: (count: Int, second: ClosedRange<UInt8>)
            switch first {
            case 0x00...0x7F: following = (0, 0x80...0xBF)
            case 0xC2...0xDF: following = (1, 0x80...0xBF)
            case 0xE0: following = (2, 0xA0...0xBF)
            case 0xED: following = (2, 0x80...0x9F)
            case 0xE1...0xEF: following = (2, 0x80...0xBF)
            case 0xF0: following = (3, 0x90...0xBF)
            case 0xF1...0xF3: following = (3, 0x80...0xBF)
            case 0xF4: following = (3, 0x80...0x8F)
            default: return false
            }
            guard index + following.count < bytes.count else { return false }
            for place in 0..<following.count {
                let range = place == 0 ? following.second : 0x80...0xBF
                guard range.contains(bytes[index + 1 + place]) else { return false }
            }
            index += 1 + following.count
        }
        return true
    }
}
