import Storage
import TestSupport
import Testing
import Transport

struct FrameTests {
    /// Kind 1 holds 100 bytes at most, kind 2 up to 64 MiB, and there is no other.
    static func limit(_ kind: UInt8) -> Int? { [1: 100, 2: 64 << 20][kind] }

    static func decoder() -> FrameDecoder {
        FrameDecoder(peerName: "peer", maximumPayload: limit)
    }

    /// All frames of some bytes that come in pieces.
    static func decode(_ bytes: [UInt8], pieces: Int = .max) throws -> (
        frames: [Frame], isInside: Bool
    ) {
        var decoder = decoder()
        var frames: [Frame] = []
        var start = 0
        while start < bytes.count {
            let piece = Array(
                bytes[start..<min(bytes.count, pieces == .max ? bytes.count : start + pieces)])
            var position = 0
            while position < piece.count {
                if let frame = try decoder.next(from: piece.rawSpan, at: &position) {
                    frames.append(frame)
                }
            }
            start += piece.count
        }
        return (frames, decoder.isInsideFrame)
    }

    @Test("The bytes of a frame are those of the protocol")
    func bytes() {
        // The checksums are from another implementation.
        let frame = Frame(kind: 7, payload: Array("abc".utf8))
        #expect(frame.encoded() == [3, 0, 0, 0, 7, 97, 98, 99] + [0xE4, 0x11, 0x43, 0x18])
        #expect(frame.byteCount == 12)
        #expect(Frame(kind: 0).encoded() == [0, 0, 0, 0, 0] + [0x35, 0x76, 0x72, 0x45])
    }

    @Test("Frames come back, whatever pieces they come in")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<50 {
            let frames = (0..<4).map { _ in
                let kind = UInt8.random(in: 0...2, using: &generator)
                let count = kind == 0 ? 0 : Int.random(in: 0...100, using: &generator)
                return Frame(kind: kind, payload: generator.bytes(count: count))
            }
            let bytes = frames.flatMap { $0.encoded() }
            for pieces in [1, 2, 7, .max] {
                let decoded = try Self.decode(bytes, pieces: pieces)
                #expect(decoded.frames == frames && !decoded.isInside, "seed \(generator.seed)")
            }
        }
    }

    @Test("A large payload comes back")
    func large() throws {
        var generator = SeededGenerator(seed: 4)
        let frame = Frame(kind: 2, payload: generator.bytes(count: 5_000_001))
        #expect(try Self.decode(frame.encoded(), pieces: 65_536).frames == [frame])
    }

    @Test("No damaged byte is taken for a frame")
    func damage() throws {
        let bytes = Frame(kind: 1, payload: Array(0..<20)).encoded()
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                do {
                    let decoded = try Self.decode(damaged)
                    // A length that is too large only waits for more.
                    #expect(decoded.frames.isEmpty && decoded.isInside, "byte \(index), bit \(bit)")
                } catch let error as TransportError {
                    guard case .invalidFrame("peer", _) = error else {
                        Issue.record("byte \(index), bit \(bit): \(error)")
                        continue
                    }
                }
            }
        }
    }

    @Test("A cut frame is none, and is known to be cut")
    func truncation() throws {
        let bytes = Frame(kind: 1, payload: Array(0..<20)).encoded()
        for count in 1..<bytes.count {
            let decoded = try Self.decode(Array(bytes.prefix(count)))
            #expect(decoded.frames.isEmpty && decoded.isInside, "\(count) bytes")
        }
    }

    @Test(
        "A length over the limit, or an unknown kind, is refused before the payload",
        arguments: [
            ([101, 0, 0, 0, 1], "101 bytes are too many for kind 1, which has 100"),
            (
                [255, 255, 255, 255, 2],
                "4294967295 bytes are too many for kind 2, which has 67108864"
            ),
            ([1, 0, 0, 0, 0], "1 bytes are too many for kind 0, which has 0"),
            ([0, 0, 0, 0, 3], "its kind, 3, is unknown"),
        ] as [([UInt8], String)])
    func refusal(_ header: [UInt8], _ what: String) {
        var decoder = Self.decoder()
        for _ in 0..<2 {
            #expect(throws: TransportError.invalidFrame(peer: "peer", what: what)) {
                var position = 0
                _ = try decoder.next(from: header.rawSpan, at: &position)
            }
        }
    }

    @Test("Random bytes never trap")
    func random() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<2000 {
            var bytes = generator.bytes(count: Int.random(in: 0..<64, using: &generator))
            // Otherwise nearly all end at their length.
            if bytes.count > 4 { (bytes[1], bytes[2], bytes[3]) = (0, 0, 0) }
            if bytes.count > 4, Bool.random(using: &generator) { bytes[4] = 1 }
            _ = try? Self.decode(bytes, pieces: 5)
        }
    }
}
