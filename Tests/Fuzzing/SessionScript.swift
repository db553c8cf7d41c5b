/// What happens to one side of a comparison, as bytes:
///
///     offset  size  field
///          0     1  flags         1 the sender's side, 2 a dry run, 4 the receiver was asked about a run
///          1     1  block shift   the logarithm of the block size
///          2     1  zeros         of 256 windows so many hold nothing else; 255: every second one
///          3     1  0
///          4     8  virtual size
///         12     8  disk          a number that makes up what the disk holds
///         20    16  salt          of the receiver
///         36        steps
struct SessionScript {
    /// The first byte of a step, and what follows it. 1 to 15 are messages.
    enum Step {
        /// 0, and a count of two bytes: so many windows are hashed, as far as may be.
        case hash(Int)
        /// The kind, a length of four bytes, and the payload.
        case message(RawMessage)
        /// 16, and a count: what differs in so many windows is sent.
        case send(Int)
        /// 17, and a count: so many windows are sent while they are hashed, as far as may be.
        case sendAtOnce(Int)
        /// 18: the sender says that everything was sent, if it was.
        case finish
    }

    var isSender = false
    var isDryRun = false
    var expectsDone = false
    var blockShift: UInt8
    var zeroShare: UInt8
    var virtualSize: UInt64
    var diskSeed: UInt64
    var salt: [UInt8]
    var steps: [Step] = []

    static let headerByteCount = 36

    init(
        blockShift: UInt8, zeroShare: UInt8, virtualSize: UInt64, diskSeed: UInt64, salt: [UInt8]
    ) {
        self.blockShift = blockShift
        self.zeroShare = zeroShare
        self.virtualSize = virtualSize
        self.diskSeed = diskSeed
        self.salt = salt
    }

    /// Steps up to the first that is none; nil where there is no disk.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.headerByteCount, (12...24).contains(bytes[1]),
            bytes.number(UInt64.self, at: 4) < 1 << 63
        else { return nil }
        isSender = bytes[0] & 1 != 0
        isDryRun = bytes[0] & 2 != 0
        expectsDone = bytes[0] & 4 != 0
        blockShift = bytes[1]
        zeroShare = bytes[2]
        virtualSize = bytes.number(UInt64.self, at: 4)
        diskSeed = bytes.number(UInt64.self, at: 12)
        salt = Array(bytes[20..<36])
        var start = Self.headerByteCount
        while start < bytes.count, let step = Self.step(bytes, &start) { steps.append(step) }
    }

    private static func step(_ bytes: [UInt8], _ start: inout Int) -> Step? {
        let kind = bytes[start]
        let headByteCount = kind == 18 ? 1 : (1...15).contains(kind) ? 5 : 3
        guard start + headByteCount <= bytes.count else { return nil }
        let number = Int(MessageField.number(bytes[start + 1..<start + headByteCount]))
        start += headByteCount
        switch kind {
        case 0: return .hash(number)
        case 1...15:
            guard number <= bytes.count - start else { return nil }
            start += number
            return .message(RawMessage(kind, Array(bytes[start - number..<start])))
        case 16: return .send(number)
        case 17: return .sendAtOnce(number)
        case 18: return .finish
        default: return nil
        }
    }

    var bytes: [UInt8] {
        let flags = (isSender ? 1 : 0) | (isDryRun ? 2 : 0) | (expectsDone ? 4 : 0) as UInt8
        var bytes = [flags, blockShift, zeroShare] + [UInt8](repeating: 0, count: 17) + salt
        bytes.put(virtualSize, at: 4)
        bytes.put(diskSeed, at: 12)
        for step in steps {
            switch step {
            case .hash(let count): bytes += [0] + Self.bytes(count, 2)
            case .message(let raw):
                bytes += [raw.kind] + Self.bytes(raw.payload.count, 4) + raw.payload
            case .send(let count): bytes += [16] + Self.bytes(count, 2)
            case .sendAtOnce(let count): bytes += [17] + Self.bytes(count, 2)
            case .finish: bytes.append(18)
            }
        }
        return bytes
    }

    private static func bytes(_ number: Int, _ width: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: width)
        bytes.put(UInt64(number), width: width, at: 0)
        return bytes
    }
}
