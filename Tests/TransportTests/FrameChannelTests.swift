import Dispatch
import Foundation
import Storage
import TestSupport
import Testing
import Transport

struct FrameChannelTests {
    /// Any kind below 100, up to 4 MiB.
    static func limit(_ kind: UInt8) -> Int? { kind < 100 ? 4 << 20 : nil }

    static func channel(
        _ connection: any Connection, _ settings: ChannelSettings = ChannelSettings()
    ) -> FrameChannel {
        FrameChannel(connection, settings: settings, maximumPayload: limit)
    }

    static func pair(
        _ left: ChannelSettings = ChannelSettings(), _ right: ChannelSettings = ChannelSettings(),
        kind: ConnectionKind = .inProcess
    ) throws -> (FrameChannel, FrameChannel) {
        let ends = try kind.pair()
        return (channel(ends.0, left), channel(ends.1, right))
    }

    @Test("Frames of all sizes arrive in order, both ways", arguments: ConnectionKind.allCases)
    func order(_ kind: ConnectionKind) throws {
        let (left, right) = try Self.pair(kind: kind)
        var generator = SeededGenerator(seed: 11)
        let frames = (0..<200).map { index in
            let count = index % 40 == 0 ? 700_000 : Int.random(in: 0..<300, using: &generator)
            return Frame(kind: UInt8(index % 99 + 1), payload: generator.bytes(count: count))
        }
        let sendings = [left, right].map { channel in
            Background {
                for (index, frame) in frames.enumerated() {
                    if index.isMultiple(of: 3) {
                        try channel.sendBulk(frame)
                    } else {
                        channel.send(frame)
                    }
                }
                try channel.flush()
            }
        }
        let other = Background { try frames.map { _ in try right.receive() } }
        let received = try frames.map { _ in try left.receive() }
        #expect(received == frames)
        #expect(try other.value() == frames)
        for sending in sendings { try sending.value() }
        let byteCount = UInt64(frames.reduce(0) { $0 + $1.byteCount })
        #expect(left.bytesSent == byteCount && left.bytesReceived == byteCount)
        #expect(left.queuedByteCount == 0)
        left.finish()
        #expect(try right.receive() == nil)
        #expect(try right.receive() == nil)
    }

    @Test("Small frames that wait together go out together")
    func coalescing() throws {
        let gate = GatedConnection()
        let channel = Self.channel(gate)
        channel.send(Frame(kind: 1))
        gate.waitForCall()
        for index in 0..<1000 { channel.send(Frame(kind: 2, payload: [UInt8(index % 256)])) }
        gate.open()
        try channel.flush()
        #expect(gate.writes == [9, 10_000])
        #expect(channel.bytesSent == 10_009)
    }

    @Test("A large payload is written in pieces that are full")
    func pieces() throws {
        let gate = GatedConnection()
        gate.open()
        let channel = Self.channel(gate)
        try channel.sendBulk(Frame(kind: 1, payload: [UInt8](repeating: 0, count: 800_000)))
        try channel.flush()
        #expect(gate.writes == [262_144, 262_144, 262_144, 800_009 - 3 * 262_144])
    }

    @Test("An urgent frame overtakes what is not being written")
    func urgency() throws {
        let gate = GatedConnection()
        let channel = Self.channel(gate)
        channel.send(Frame(kind: 1))
        gate.waitForCall()
        channel.send(Frame(kind: 2))
        try channel.sendBulk(Frame(kind: 3, payload: [1]))
        channel.sendUrgent(Frame(kind: 4))
        channel.sendUrgent(Frame(kind: 5))
        gate.open()
        try channel.flush()
        #expect(try FrameTestsDecoder.kinds(of: gate.bytes) == [1, 4, 5, 2, 3])
    }

    @Test("Bulk waits while too much is queued, and goes on")
    func bulkLimit() throws {
        let gate = GatedConnection()
        var settings = ChannelSettings()
        settings.bulkByteLimit = 10_000
        let channel = Self.channel(gate, settings)
        // The first is being written, the second queued.
        for _ in 0..<2 {
            try channel.sendBulk(Frame(kind: 1, payload: [UInt8](repeating: 0, count: 9000)))
        }
        gate.waitForCall()
        let third = Background { try channel.sendBulk(Frame(kind: 2)) }
        channel.send(Frame(kind: 3))
        #expect(!third.hasEnded && channel.queuedByteCount == 2 * 9009 + 9)
        gate.open()
        try third.value()
        try channel.flush()
        #expect(channel.queuedByteCount == 0)
    }

    @Test("Whoever waits learns of the end", arguments: ["bulk", "flush", "receive"])
    func close(_ call: String) throws {
        let (left, right) = try Self.pair(ChannelSettings(bulkByteLimit: 1000))
        // More than the sockets hold: it stays queued.
        let large = Frame(kind: 1, payload: [UInt8](repeating: 0, count: 4 << 20))
        left.send(large)
        let waiting = Background {
            switch call {
            case "bulk": try left.sendBulk(large)
            case "flush": try left.flush()
            default: _ = try left.receive()
            }
        }
        #expect(!waiting.hasEnded)
        left.close()
        #expect(throws: TransportError.closed) { try waiting.value() }
        #expect(throws: TransportError.closed) { try left.sendBulk(large) }
        #expect(throws: TransportError.closed) { try left.flush() }
        #expect(throws: TransportError.closed) { try left.receive() }
        left.send(large)
        #expect(left.queuedByteCount == 0)
        right.close()
    }

    @Test("A limit holds in every tenth of a second", arguments: [200_000, 1_000_000] as [UInt64])
    func bandwidth(_ limit: UInt64) throws {
        let gate = GatedConnection()
        gate.open()
        let channel = Self.channel(gate, ChannelSettings(bytesPerSecond: limit))
        let byteCount = Int(limit) / 2
        let seconds = try secondsTaken {
            try channel.sendBulk(
                Frame(kind: 1, payload: [UInt8](repeating: 0, count: byteCount - 9)))
            try channel.flush()
        }
        // Half a second's worth, of which a tenth may go at once.
        #expect((0.38...2).contains(seconds), "\(seconds)")
        let times = gate.times
        for (index, start) in times.enumerated() {
            // What went within any 0.2 s, with its own share and the burst, and a rounding.
            let end = start.nanoseconds + 200_000_000
            let sum = zip(times, gate.writes).dropFirst(index)
                .prefix { $0.0.nanoseconds < end }.reduce(0) { $0 + $1.1 }
            #expect(Double(sum) <= 0.301 * Double(limit) + 1, "from write \(index)")
        }
    }

    @Test("A small limit is kept with small pieces, and urgent frames need not wait long")
    func smallLimit() throws {
        let gate = GatedConnection()
        gate.open()
        let channel = Self.channel(gate, ChannelSettings(bytesPerSecond: 10_240))
        for _ in 0..<20 { channel.send(Frame(kind: 1, payload: [UInt8](repeating: 0, count: 191))) }
        gate.waitForCall()
        channel.sendUrgent(Frame(kind: 2))
        try channel.flush()
        #expect(gate.writes.allSatisfy { $0 <= 512 })
        let place = try FrameTestsDecoder.kinds(of: gate.bytes).firstIndex(of: 2)
        #expect(try #require(place) < 8)
    }

    @Test("A limit can be lifted while something waits for it")
    func liftedLimit() throws {
        let (left, right) = try Self.pair(ChannelSettings(bytesPerSecond: 100))
        let frame = Frame(kind: 1, payload: [UInt8](repeating: 9, count: 1_000_000))
        left.send(frame)
        let received = Background { try right.receive() }
        #expect(!received.hasEnded)
        let seconds = try secondsTaken {
            left.setBytesPerSecond(nil)
            let value = try received.value()
            #expect(value == frame)
        }
        #expect(seconds < 5)
    }

    @Test("Signs of life keep a silent pair alive")
    func keepAlive() throws {
        let settings = ChannelSettings(keepAliveSeconds: 0.05, idleTimeoutSeconds: 0.4)
        let (left, right) = try Self.pair(settings, settings)
        let others = Background { try left.receive() }
        let waiting = Background { try right.receive() }
        usleep(900_000)
        #expect(!others.hasEnded && !waiting.hasEnded)
        #expect(left.bytesSent >= 9 * 5 && right.bytesReceived >= 9 * 5)
        left.send(Frame(kind: 1))
        #expect(try waiting.value() == Frame(kind: 1))
        left.finish()
        right.finish()
        _ = try? others.value()
    }

    @Test("Silence ends the connection")
    func idleTimeout() throws {
        let ends = try InProcessConnection.pair()
        let channel = Self.channel(ends.0, ChannelSettings(idleTimeoutSeconds: 0.1))
        let expected = TransportError.timedOut(peer: "this process", seconds: 0.1)
        #expect(throws: expected) { try channel.receive() }
        #expect(throws: expected) { try channel.receive() }
        #expect(throws: expected) { try channel.sendBulk(Frame(kind: 1)) }
        ends.1.close()
    }

    @Test("A flood of signs of life is an error, as many after a long pause are none")
    func flood() throws {
        let ends = try InProcessConnection.pair()
        let channel = Self.channel(ends.0)
        let keepAlive = Frame(kind: 0).encoded()
        usleep(200_000)
        try ends.1.send(Array(repeating: keepAlive, count: 110).flatMap { $0 })
        try ends.1.send(Frame(kind: 1).encoded())
        #expect(try channel.receive() == Frame(kind: 1))
        try ends.1.send(Array(repeating: keepAlive, count: 300).flatMap { $0 })
        let error = #expect(throws: TransportError.self) { try channel.receive() }
        guard case .invalidFrame = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        channel.send(Frame(kind: 2, payload: [1]))
        channel.finish()
        let last = try ends.1.receive(exactly: 1000)
        #expect(last.suffix(10).starts(with: [1, 0, 0, 0, 2]), "it can still say so")
    }

    @Test("An end inside a frame is no orderly one", arguments: [1, 5, 12])
    func cutFrame(_ count: Int) throws {
        let ends = try InProcessConnection.pair()
        let channel = Self.channel(ends.0)
        let frame = Frame(kind: 1, payload: [1, 2, 3, 4])
        try ends.1.send(frame.encoded() + frame.encoded().prefix(count))
        ends.1.close()
        #expect(try channel.receive() == frame)
        #expect(throws: TransportError.ended(peer: "this process")) { try channel.receive() }
    }

    @Test("What the other side said before it went is still received")
    func lastWord() throws {
        let ends = try InProcessConnection.pair()
        let channel = Self.channel(ends.0)
        try ends.1.send(Frame(kind: 1).encoded() + Frame(kind: 2).encoded())
        ends.1.close()
        let error = #expect(throws: TransportError.self) {
            while true { try channel.sendBulk(Frame(kind: 1)) }
        }
        #expect(error == .ended(peer: "this process"))
        #expect(try channel.receive()?.kind == 1)
        #expect(try channel.receive()?.kind == 2)
    }

    @Test("A peer that sends and never reads is not listened to for ever")
    func deafPeer() throws {
        let ends = try InProcessConnection.pair(sendTimeoutSeconds: 0.1)
        let channel = Self.channel(ends.0, ChannelSettings(idleTimeoutSeconds: 0.3))
        channel.send(Frame(kind: 1, payload: [UInt8](repeating: 0, count: 4 << 20)))
        let talking = Background {
            while true {
                try ends.1.send(Frame(kind: 0).encoded())
                usleep(20_000)
            }
        }
        #expect(throws: TransportError.timedOut(peer: "this process", seconds: 0.1)) {
            try channel.receive()
        }
        channel.close()
        #expect(throws: TransportError.self) { try talking.value() }
    }

    @Test("The end of a channel sends what is queued", arguments: ConnectionKind.allCases)
    func finish(_ kind: ConnectionKind) throws {
        let (left, right) = try Self.pair(kind: kind)
        let frame = Frame(kind: 1, payload: [UInt8](repeating: 7, count: 3_000_000))
        right.send(Frame(kind: 3))
        let received = Background {
            [try right.receive(), try right.receive(), try right.receive()]
        }
        left.send(frame)
        left.send(Frame(kind: 2))
        left.finish()
        #expect(try received.value() == [frame, Frame(kind: 2), nil])
    }

    @Test("A channel that nobody holds ends, and so does its thread")
    func abandonment() throws {
        let ends = try InProcessConnection.pair()
        do {
            let channel = Self.channel(ends.0)
            channel.send(Frame(kind: 1))
            try channel.flush()
        }
        #expect(try ends.1.receive(exactly: 100) == Frame(kind: 1).encoded())
    }
}

/// What a gate let through, taken apart.
enum FrameTestsDecoder {
    static func kinds(of bytes: [UInt8]) throws -> [UInt8] {
        var decoder = FrameDecoder(peerName: "gate", maximumPayload: FrameChannelTests.limit)
        var kinds: [UInt8] = []
        var position = 0
        while position < bytes.count {
            if let frame = try decoder.next(from: bytes.rawSpan, at: &position) {
                kinds.append(frame.kind)
            }
        }
        return kinds
    }
}
