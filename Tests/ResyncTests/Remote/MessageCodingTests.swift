import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("Messages as bytes")
struct MessageCodingTests {
    static func counts(_ generator: inout SeededGenerator) -> RemoteCounts {
        var counts = RemoteCounts()
        counts.blocksSkipped = generator.next()
        counts.blocksHeld = generator.next()
        counts.bytesRead = generator.next()
        counts.bytesVerified = .max
        return counts
    }

    private static func digest(_ generator: inout SeededGenerator) -> BlockDigest {
        BlockDigest(decoding: generator.bytes(count: 32).rawSpan, at: 0)
    }

    private static func shorts(
        _ count: Int, _ generator: inout SeededGenerator
    ) -> [ShortDigest] {
        (0..<count).map { _ in ShortDigest(value: generator.next()) }
    }

    /// One of each kind.
    static func messages(seed: UInt64) -> [Message] {
        var generator = SeededGenerator(seed: seed)
        let isEven = seed % 2 == 0
        let state = DiskState(
            virtualDiskID: .random(using: &generator), dataWriteGUID: .random(using: &generator),
            fileState: digest(&generator))
        let shape = ImageShape(
            blockSize: 1 << (20 + seed % 9), logicalSectorSize: isEven ? 512 : 4096,
            physicalSectorSize: 4096, isFixed: seed % 3 == 0)
        let bits = (0..<8 * (1 + Int(seed % 32))).map { _ in generator.next() % 2 == 0 }
        return [
            .hello(Hello(version: 7, oldest: 1, features: UInt32(seed))),
            .open(
                OpenRequest(
                    role: isEven ? .sender : .receiver, format: isEven ? .raw : .automatic,
                    flags: OpenRequest.Flags(
                        rawValue: UInt32(seed % 64) & ~(isEven ? 1 : 0)
                            | (isEven ? 64 << UInt32(seed % 3) : 0)),
                    blockSize: 4096 << UInt32(seed % 13), bytesPerSecond: generator.next(),
                    expectedState: .random(using: &generator), path: "/Bär/\(seed)")),
            .source(
                SourceOffer(
                    virtualSize: generator.next() >> 1, state: state, shape: isEven ? shape : nil)),
            .target(
                TargetOffer(
                    virtualSize: generator.next(), salt: .random(using: &generator),
                    resultState: .random(using: &generator), heldBlockCount: generator.next(),
                    isDone: isEven)),
            .digests([
                WindowRange(windowCount: 1 + UInt32(seed), digest: nil),
                WindowRange(windowCount: 16, digest: ShortDigest(value: generator.next())),
            ]),
            .nodesWanted(first: generator.next()),
            .nodes(first: generator.next(), shorts(Int(seed % 40), &generator)),
            .blocksWanted(first: generator.next(), nodes: bits),
            .blocks(first: generator.next(), shorts(Int(seed % 40), &generator)),
            .records(generator.bytes(count: Int(seed % 100))),
            .settled(generator.next()),
            .finish(
                Finish(
                    root: digest(&generator), differingBlockCount: generator.next(),
                    counts: counts(&generator))),
            .status(
                RemoteStatus(
                    phase: isEven ? .applying : .verifying, bytesDone: generator.next(),
                    bytesToDo: generator.next(), counts: counts(&generator))),
            .result(
                RemoteResult(
                    root: digest(&generator), preparation: isEven ? .made : .grown,
                    recovery: isEven ? .nothingToDo : .finished(journal: "/a/\(seed).journal"),
                    isVerified: !isEven, counts: counts(&generator))),
            .failure(
                PeerFailure(
                    code: UInt32(seed) | 32768, condition: .halfWritten, text: "nö \(seed)")),
            .prepared(generator.bytes(count: 352)),
        ]
    }

    @Test("A message is what it was, within its limit")
    func roundTrip() throws {
        for seed in 0..<100 as Range<UInt64> {
            let messages = Self.messages(seed: seed)
            #expect(Set(messages.map(\.kind)).count == Message.Kind.allCases.count)
            for message in messages {
                let bytes = message.encoded()
                #expect(bytes.count <= Message.maximumByteCount(message.kind))
                #expect(try Message(message.kind, bytes) == message, "seed \(seed)")
            }
        }
    }

    /// Whether what is left of a message is one as well: of those whose length is theirs to choose.
    private static func mayBeShorter(_ kind: Message.Kind) -> Bool {
        switch kind {
        case .hello, .digests, .nodes, .blocks, .blocksWanted, .records: true
        default: false
        }
    }

    @Test("A message that is cut, or goes on, is none")
    func truncated() throws {
        for message in Self.messages(seed: 5) + Self.messages(seed: 6) {
            let bytes = message.encoded()
            for count in 0..<bytes.count {
                let error = resyncError {
                    let found = try Message(message.kind, Array(bytes.prefix(count)))
                    #expect(found != message)
                    #expect(Self.mayBeShorter(message.kind), "\(message.kind) of \(count) bytes")
                }
                guard let error else { continue }
                guard case .protocolViolation = error else {
                    Issue.record("\(error)")
                    continue
                }
            }
            if !Self.mayBeShorter(message.kind) {
                #expect(throws: ResyncError.self) { try Message(message.kind, bytes + [0]) }
            }
        }
    }

    @Test("A message of which any byte is another is refused, or says something else")
    func damaged() throws {
        var refused = 0
        for message in Self.messages(seed: 3) + Self.messages(seed: 4) {
            var bytes = message.encoded()
            for index in bytes.indices {
                let before = bytes[index]
                for value in [0, 1, 0x7F, 0x80, 0xFF, before ^ 1] where value != before {
                    bytes[index] = value
                    do throws(ResyncError) {
                        let found = try Message(message.kind, bytes)
                        // No byte means nothing.
                        #expect(found != message, "\(message.kind) byte \(index)")
                        #expect(found.encoded() == bytes, "\(message.kind) byte \(index)")
                    } catch .protocolViolation {
                        refused += 1
                    } catch {
                        Issue.record("\(error)")
                    }
                }
                bytes[index] = before
            }
        }
        #expect(refused > 500)
    }

    @Test("Texts that are no UTF-8, too long, or hold a zero")
    func texts() throws {
        let request = OpenRequest(role: .sender, blockSize: 65536, path: "abc")
        for text in [[0xFF, 0x41, 0x41], [0xC0, 0x80, 0x41], [0x61, 0, 0x62]] as [[UInt8]] {
            var bytes = Message.open(request).encoded()
            bytes.replaceSubrange(42..<45, with: text)
            #expect(throws: ResyncError.self) { try Message(.open, bytes) }
        }
        var empty = Message.open(request).encoded()
        empty.removeLast(3)
        empty[40] = 0
        #expect(throws: ResyncError.self) { try Message(.open, empty) }

        // A text of this side is cut between two characters.
        let long = String(repeating: "ä", count: 5000)
        let failure = PeerFailure(code: 1, condition: .untouched, text: "a" + long)
        let bytes = Message.failure(failure).encoded()
        #expect(bytes.count <= Message.maximumByteCount(.failure))
        guard case .failure(let found) = try Message(.failure, bytes) else { return }
        #expect(found.text.utf8.count == 8191 && found.text.hasPrefix("aä"))
    }

    @Test("Sizes and counts that no disk has")
    func forbiddenValues() throws {
        for (kind, place, value) in [
            (.open, 0, 0), (.open, 0, 3), (.open, 1, 3), (.open, 2, 1), (.open, 4, 512),
            (.open, 4, 64 | 128), (.open, 4, 1 | 256),
            (.open, 8, 0), (.open, 8, 4097), (.open, 8, 1 << 25), (.open, 12, 1),
            (.source, 0, 1 << 63), (.source, 72, 1), (.source, 72, 512 << 20), (.source, 80, 513),
            (.source, 84, 0), (.source, 88, 2), (.source, 89, 1), (.target, 48, 2),
            (.target, 52, 1), (.status, 0, 0), (.status, 0, 1), (.status, 0, 6), (.status, 1, 1),
            (.result, 32, 3), (.result, 33, 3), (.result, 34, 2), (.result, 35, 1),
            (.failure, 4, 4), (.failure, 5, 1), (.digests, 0, 0), (.hello, 0, 0),
        ] as [(Message.Kind, Int, UInt64)] {
            let message = Self.messages(seed: 2).first { $0.kind == kind }
            var bytes = try #require(message).encoded()
            let width: Int =
                switch (kind, place) {
                case (.source, 0), (.source, 72): 8
                case (.open, 4), (.open, 8), (.open, 12), (.source, 80), (.source, 84),
                    (.target, 48), (.target, 52), (.digests, 0):
                    4
                default: 1
                }
            for index in 0..<width {
                bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
            }
            #expect(throws: ResyncError.self, "\(kind) \(place) \(value)") {
                try Message(kind, bytes)
            }
        }
    }

    @Test("A journal has a path, and where there was none there is none", arguments: [0, 1, 2])
    func journalPath(_ recovery: UInt8) throws {
        let message = Self.messages(seed: 3).first { $0.kind == .result }
        var bytes = try #require(message).encoded()
        #expect(bytes.count > 130)
        bytes[33] = recovery
        let (withPath, withoutPath) = (bytes, Array(bytes[..<128]) + [0, 0])
        #expect((resyncError { _ = try Message(.result, withPath) } == nil) == (recovery != 0))
        #expect((resyncError { _ = try Message(.result, withoutPath) } == nil) == (recovery == 0))
    }

    @Test("Versions: the newest that both know")
    func versions() throws {
        let own = Hello(version: 4, oldest: 2)
        #expect(try own.commonVersion(with: Hello(version: 9, oldest: 1)) == 4)
        #expect(try own.commonVersion(with: Hello(version: 3, oldest: 1)) == 3)
        for other in [Hello(version: 1, oldest: 1), Hello(version: 9, oldest: 5)] {
            #expect(
                throws: ResyncError.unsupportedProtocol(
                    oldest: other.oldest, newest: other.version)
            ) { try own.commonVersion(with: other) }
        }
        // What a later version adds behind the greeting.
        let more = Message.hello(Hello()).encoded() + [1, 2, 3]
        #expect(try Message(.hello, more) == .hello(Hello()))
    }
}
