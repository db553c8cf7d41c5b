internal import Resync
internal import Storage
internal import TestSupport
internal import Transport

/// What must hold for any bytes that come from another host.
struct FrameOracle {
    private let bytes: [UInt8]
    private let raw: RawFrames
    private var generator: SeededGenerator

    /// So much more memory than has arrived a decoder may take: its step, and what the allocator adds.
    private static let spareByteCount = 5 << 20
    /// More signs of life at once may be a flood, which depends on the time.
    private static let fewKeepAlives = 90

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        raw = RawFrames(bytes)
        generator = SeededGenerator(seed: UInt64(CRC32C.checksum(of: bytes.rawSpan)))
    }

    mutating func judge(_ reach: inout Reach) throws {
        try decode()
        for frame in raw.frames.prefix(4) { try encode(frame) }
        if generator.once(in: 4) { try receive(&reach) }
        if generator.once(in: 8) { try send() }
        reach.noted(
            "\(raw.ending)".hasPrefix("refused") ? "refused" : "\(raw.ending)",
            isOpened: raw.ending == .whole)
    }

    /// The size of the next piece: bytes alone, some, or as many as there are.
    private mutating func pieceByteCount(_ mode: Int) -> Int {
        switch mode {
        case 0: 1
        case 1: 1 + generator.below(12)
        case 2: 1 + generator.below(3000)
        default: Int.max
        }
    }

    private mutating func mode() -> Int {
        bytes.count < 20_000 ? generator.below(4) : 2 + generator.below(2)
    }

    // MARK: The decoder

    /// The frames and the refusal are those of the second reading, and come with the byte that
    /// decides it, in whatever pieces the bytes come.
    private mutating func decode() throws {
        var decoder = FrameDecoder(peerName: "peer") { kind in
            Message.Kind(rawValue: kind).map(Message.maximumByteCount)
        }
        let mode = mode()
        var count = 0
        var start = 0
        while start < bytes.count {
            let size = pieceByteCount(mode)
            let end = size < bytes.count - start ? start + size : bytes.count
            var position = 0
            do {
                let piece = bytes.rawSpan.extracting(start..<end)
                while let frame = try decoder.next(from: piece, at: &position) {
                    try compare(frame, count, end: start + position)
                    count += 1
                }
                guard position == end - start else { throw Violation("bytes were left") }
            } catch let error as TransportError {
                guard raw.ending == .refused(at: start + position), count == raw.frames.count else {
                    throw Violation("refused at byte \(start + position): \(error)")
                }
                return try checkAgain(&decoder, error, from: start + position)
            }
            try checkMemory(decoder.reservedByteCount, arrived: end, count)
            start = end
        }
        guard count == raw.frames.count else {
            throw Violation("\(count) frames, where there are \(raw.frames.count)")
        }
        guard raw.ending == (decoder.isInsideFrame ? .inside : .whole) else {
            throw Violation("the end is said to be inside a frame: \(decoder.isInsideFrame)")
        }
    }

    private func compare(_ frame: Frame, _ index: Int, end: Int) throws {
        guard index < raw.frames.count else { throw Violation("a frame that is none") }
        let expected = raw.frames[index]
        guard frame.kind == expected.kind, frame.payload == expected.payload, end == expected.end
        else { throw Violation("frame \(index) is another than is there") }
    }

    /// After a refusal nothing is taken.
    private func checkAgain(
        _ decoder: inout FrameDecoder, _ error: TransportError, from start: Int
    ) throws {
        guard case .invalidFrame(peer: "peer", _) = error, !error.description.isEmpty else {
            throw Violation("what is no frame ended with: \(error)")
        }
        var position = 0
        do {
            _ = try decoder.next(from: bytes.rawSpan.extracting(start...), at: &position)
            throw Violation("a refusal went away")
        } catch let again as TransportError {
            guard again == error, position == 0 else { throw Violation("another error: \(again)") }
        }
    }

    private func checkMemory(_ reserved: Int, arrived end: Int, _ count: Int) throws {
        let begun = count == 0 ? 0 : raw.frames[count - 1].end
        guard reserved <= end - begun + Self.spareByteCount else {
            throw Violation("\(reserved) bytes are reserved, \(end - begun) have arrived")
        }
    }

    private func encode(_ frame: RawFrames.Frame) throws {
        let encoded = Frame(kind: frame.kind, payload: frame.payload).encoded()
        guard encoded == Array(bytes[frame.end - encoded.count..<frame.end]) else {
            throw Violation("a frame that was read is encoded as other bytes")
        }
    }

    // MARK: Channels

    /// A whole channel comes to the same messages, and ends as the bytes do.
    private mutating func receive(_ reach: inout Reach) throws {
        guard raw.frames.count(where: { $0.kind == 0 }) < Self.fewKeepAlives else { return }
        let mode = mode()
        var sizes: [Int] = []
        var left = bytes.count
        while left > 0 {
            sizes.append(min(left, pieceByteCount(mode)))
            left -= sizes[sizes.count - 1]
        }
        let channel = PeerChannel(
            PiecesConnection(bytes, sizes: sizes), settings: ChannelSettings())
        defer { channel.close() }
        var expected = raw.frames.filter { $0.kind != 0 }[...]
        do {
            if let first = expected.first, first.kind == 1, RawMessage(1, first.payload).isRight {
                expected.removeFirst()
                try checkGreeting(channel, RawMessage(1, first.payload))
            }
            while let message = try channel.receive() {
                guard let frame = expected.popFirst(), frame.kind == message.kind.rawValue,
                    RawMessage(frame.kind, frame.payload).isRight,
                    frame.kind == 1 || message.encoded() == frame.payload
                else { throw Violation("a message that was not sent") }
            }
            guard expected.isEmpty, raw.ending == .whole else {
                throw Violation("the end was taken for an orderly one")
            }
            reach.noted("channel: orderly end")
        } catch let error as ResyncError {
            try check(error, expected.first, &reach)
        }
    }

    /// This side knows versions 1 and 2.
    private func checkGreeting(_ channel: PeerChannel, _ hello: RawMessage) throws {
        let isCommon = hello.number(UInt16.self, 10) <= 2 && hello.number(UInt16.self, 8) >= 1
        do {
            try channel.checkGreeting()
            guard isCommon else { throw Violation("a version that is not known was accepted") }
        } catch let error as ResyncError {
            guard case .unsupportedProtocol = error, !isCommon else {
                throw Violation("a right greeting ended with: \(error)")
            }
        }
    }

    private func check(
        _ error: ResyncError, _ next: RawFrames.Frame?, _ reach: inout Reach
    ) throws {
        let message = next.map { RawMessage($0.kind, $0.payload) }
        let isExpected: Bool
        switch error {
        case .peer(name: "peer", let failure):
            isExpected =
                message?.kind == 15 && message?.isRight == true
                && message?.number(UInt32.self, 0) == failure.code
            reach.noted("channel: a failure of the peer")
        case .protocolViolation:
            isExpected = message?.isRight == false
            reach.noted("channel: a wrong message")
        case .connection(.ended(peer: "peer")):
            isExpected = next == nil && raw.ending == .inside
            reach.noted("channel: an end inside a frame")
        case .connection(.invalidFrame(peer: "peer", _)):
            isExpected = next == nil && raw.ending != .whole && raw.ending != .inside
            reach.noted("channel: what is no frame")
        default: isExpected = false
        }
        guard isExpected else { throw Violation("the channel ended with: \(error)") }
    }

    /// What a channel sends are these frames.
    private func send() throws {
        let connection = PiecesConnection([], sizes: [])
        let channel = FrameChannel(connection, settings: ChannelSettings()) { _ in nil }
        for frame in raw.frames {
            channel.send(Frame(kind: frame.kind, payload: frame.payload))
        }
        channel.finish()
        guard connection.sent == Array(bytes[..<(raw.frames.last?.end ?? 0)]) else {
            throw Violation("a channel sends other bytes than its frames have")
        }
    }
}

/// A connection in memory on which some bytes come, in pieces, and then the end.
private final class PiecesConnection: Connection {
    private struct State {
        var position = 0
        var sizes: ArraySlice<Int>
        var sent: [UInt8] = []
    }

    let peerName = "peer"
    private let bytes: [UInt8]
    private let state: Lock<State>

    init(_ bytes: [UInt8], sizes: [Int]) {
        self.bytes = bytes
        state = Lock(State(sizes: sizes[...]))
    }

    var sent: [UInt8] { state.withLock { $0.sent } }

    func send(_ bytes: RawSpan) throws(TransportError) {
        var copy: [UInt8] = []
        copy.append(bytes)
        state.withLock { $0.sent += copy }
    }

    func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        let room = buffer.byteCount
        let bytes = bytes
        let piece = state.withLock { state in
            guard let size = state.sizes.popFirst() else { return 0..<0 }
            let count = min(size, room)
            if count < size { state.sizes = [size - count] + state.sizes }
            state.position += count
            return state.position - count..<state.position
        }
        let source = bytes.rawSpan
        buffer.copy(source.extracting(piece))
        return piece.count
    }

    func close() {}
}
