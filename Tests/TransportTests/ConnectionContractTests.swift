import Glibc
import Storage
import TestSupport
import Testing
import Transport

/// What every connection promises.
struct ConnectionContractTests {
    @Test(
        "All bytes go both ways at once, in pieces of any size", arguments: ConnectionKind.allCases)
    func bothWays(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        var generator = SeededGenerator(seed: 7)
        let (there, back) = (generator.bytes(count: 3_000_001), generator.bytes(count: 2_000_003))
        let sendings = [(left, there), (right, back)].map { connection, bytes in
            Background {
                // A large piece, then small ones.
                try connection.send(Array(bytes.dropLast(1000)))
                for byte in bytes.suffix(1000) { try connection.send([byte]) }
            }
        }
        let received = Background { try right.receive(exactly: there.count, pieces: 50_001) }
        #expect(try left.receive(exactly: back.count, pieces: 77) == back)
        #expect(try received.value() == there)
        for sending in sendings { try sending.value() }
    }

    @Test("An orderly end comes after all bytes, and stays", arguments: ConnectionKind.allCases)
    func orderlyEnd(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        let bytes = [UInt8](repeating: 5, count: 10_000)
        try left.send(bytes)
        try left.send([])
        left.close()
        #expect(try right.receive(exactly: 20_000) == bytes)
        #expect(try right.receive(atMost: 1).isEmpty)
    }

    @Test(
        "What was sent last arrives though nobody read what came",
        arguments: ConnectionKind.allCases)
    func finish(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        try right.send([UInt8](repeating: 1, count: 10_000))
        try left.send([1, 2, 3])
        left.finish(timeoutSeconds: 10)
        #expect(throws: TransportError.closed) { try left.send([1]) }
        #expect(try right.receive(exactly: 4) == [1, 2, 3])
    }

    @Test("Both may finish at once", arguments: ConnectionKind.allCases)
    func finishBoth(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        try left.send([1])
        let finished = Background { left.finish(timeoutSeconds: 20) }
        let seconds = secondsTaken { right.finish(timeoutSeconds: 20) }
        try finished.value()
        #expect(seconds < 15)
    }

    @Test(
        "Who waits for bytes is woken by the end of this side", arguments: ConnectionKind.allCases)
    func closeWakesTheReceiver(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        let waiting = Background { try left.receive(atMost: 1, timeoutSeconds: nil) }
        // Time enough to wait in earnest; where it is too short, the test only says less.
        usleep(50_000)
        #expect(!waiting.hasEnded)
        left.close()
        #expect(throws: TransportError.closed) { try waiting.value() }
        #expect(throws: TransportError.closed) { try left.receive(atMost: 1) }
        #expect(throws: TransportError.closed) { try left.send([1]) }
        left.close()
        right.close()
    }

    @Test("Who waits to send is woken by the end of this side", arguments: ConnectionKind.allCases)
    func closeWakesTheSender(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        let waiting = Background { try left.send([UInt8](repeating: 0, count: 64 << 20)) }
        // Some has come: the sender is at work, and cannot end.
        _ = try right.receive(atMost: 1)
        left.close()
        #expect(throws: TransportError.closed) { try waiting.value() }
    }

    @Test("A sender notices that the other side is gone", arguments: ConnectionKind.allCases)
    func endInTheMidst(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        right.close()
        let error = #expect(throws: TransportError.self) {
            for _ in 0..<1000 { try left.send([UInt8](repeating: 0, count: 65_536)) }
        }
        #expect(error == .ended(peer: left.peerName))
    }

    @Test("Silence ends a wait", arguments: ConnectionKind.allCases)
    func silence(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        let expected = TransportError.timedOut(peer: left.peerName, seconds: 0.05)
        #expect(throws: expected) { try left.receive(atMost: 1, timeoutSeconds: 0.05) }
        try right.send([9])
        #expect(try left.receive(atMost: 2) == [9], "and the connection still works")
    }

    @Test("A peer that never reads ends a sending", arguments: ConnectionKind.allCases)
    func neverReads(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        ConnectionKind.setSendTimeout(0.1, of: left)
        let expected = TransportError.timedOut(peer: left.peerName, seconds: 0.1)
        #expect(throws: expected) { try left.send([UInt8](repeating: 0, count: 64 << 20)) }
        right.close()
    }

    @Test("A slow peer does not end a sending", arguments: ConnectionKind.allCases)
    func slowPeer(_ kind: ConnectionKind) throws {
        let (left, right) = try kind.pair()
        ConnectionKind.setSendTimeout(0.5, of: left)
        let sent = Background { try left.send([UInt8](repeating: 3, count: 12 << 20)) }
        var count = 0
        let seconds = try secondsTaken {
            while count < 12 << 20 {
                count += try right.receive(exactly: 2 << 20).count
                if count < 12 << 20 { usleep(120_000) }
            }
        }
        try sent.value()
        #expect(seconds > 0.55, "otherwise this says nothing")
    }

    @Test("Descriptors are given back", arguments: ConnectionKind.allCases)
    func descriptors(_ kind: ConnectionKind) throws {
        // Others run at the same time, so this looks at its own: a pipe's end that is readable only
        // once all that holds the other end is gone shows it for pipes; all kinds share the code.
        weak var end: AnyObject?
        do {
            let (left, right) = try kind.pair()
            end = left
            try left.send([1])
            #expect(try right.receive(atMost: 1) == [1])
            left.close()
        }
        #expect(end == nil)
    }
}
