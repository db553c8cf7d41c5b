import Storage
import TestSupport
import Testing
import Transport

@testable import Resync

/// Messages that are right, wrong, and in any order, by seed: thousands of runs.
@Suite("Sessions that get anything")
struct RandomSessionTests {
    private static func disk(using generator: inout SeededGenerator) throws -> ModelDisk {
        let (size, blockSize): (UInt64, Int) =
            generator.next() % 2 == 0 ? (3 << 30 | 512, 16 << 20) : (500 << 20 | 1, 1 << 20)
        return try ModelDisk.pair(
            virtualSize: size, blockSize: blockSize, dataWindowCount: 12, using: &generator
        ).primary
    }

    /// A number that is mostly about right.
    private static func number(
        near value: UInt64, using generator: inout SeededGenerator
    ) -> UInt64 {
        switch generator.next() % 200 {
        case 0: .max - generator.next() % 3
        case 1: 1 << (generator.next() % 64)
        case 2: value &+ 1
        case 3: value &- 1
        default: value
        }
    }

    private static func isAccepted(_ body: () throws -> Void) throws -> Bool {
        do {
            try body()
            return true
        } catch let error as ResyncError {
            switch error {
            case .protocolViolation, .damagedDelta: return false
            default: throw error
            }
        }
    }

    @Test("A receiver takes what a simple model takes, and comes to the same disk")
    func receiver() throws {
        var accepted = 0
        var ended = 0
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let disk = try Self.disk(using: &generator)
            let geometry = disk.geometry
            let header = DeltaHeader(
                virtualSize: geometry.virtualSize, blockSize: geometry.blockSize,
                streamID: .zero)
            var session = try ReceiverSession(for: header, salt: .random(using: &generator))
            var model = ReceiverModel(geometry)
            var result = disk
            var hashed: UInt64 = 0
            var told: [UInt64] = [0]
            var isOpen = true
            for _ in 0..<300 where isOpen {
                var next = model
                // What is wrong ends a run: most have some of what is right before.
                let isRight = generator.next() % 48 != 0
                let first = Self.number(
                    near: told.randomElement(using: &generator) ?? 0, using: &generator)
                switch generator.next() % 10 {
                case 0...4:
                    guard session.canHash, hashed < geometry.windowCount else { continue }
                    let ranges = session.hashed(disk.run(hashed))
                    hashed += 1
                    for range in ranges {
                        told.append(model.toldEnd)
                        model.tell([range])
                    }
                    continue
                case 5:
                    let expected = next.takesNodesWanted(first)
                    if isRight, !expected { continue }
                    isOpen = try Self.isAccepted {
                        _ = try session.received(nodesWantedAt: first)
                    }
                    #expect(isOpen == expected, "seed \(seed)")
                case 6:
                    let count = model.nodeCount(first) ?? 1
                    var bits = Array(repeating: false, count: (count + 7) / 8 * 8)
                    bits[Int(generator.next() % UInt64(count))] = true
                    if generator.next() % 16 == 0 { bits[bits.count - 1] = true }
                    if generator.next() % 16 == 0 { bits += bits }
                    let expected = next.takesBlocksWanted(first, bits)
                    if isRight, !expected { continue }
                    isOpen = try Self.isAccepted {
                        _ = try session.received(blocksWantedAt: first, nodes: bits)
                    }
                    #expect(isOpen == expected, "seed \(seed)")
                case 7:
                    let window = Self.number(
                        near: UInt64.random(in: 0...model.toldEnd, using: &generator),
                        using: &generator)
                    let expected = next.takesSettled(window)
                    if isRight, !expected { continue }
                    isOpen = try Self.isAccepted { try session.received(settled: window) }
                    #expect(isOpen == expected, "seed \(seed)")
                default:
                    let start = Self.number(
                        near: model.position + generator.next() % 5, using: &generator)
                    let (end, overflows) = start.addingReportingOverflow(
                        1 + generator.next() % 40)
                    guard !overflows else { continue }
                    let blocks = start..<min(end, max(start + 1, geometry.blockCount))
                    let expected = next.takes(blocks)
                    if isRight, !expected { continue }
                    isOpen = try Self.isAccepted {
                        _ = try session.received(
                            records: CraftedDelta.Record.zeros(blocks).bytes, from: "peer")
                    }
                    #expect(isOpen == expected, "seed \(seed)")
                    if isOpen { for block in blocks { result.set(block, to: 0) } }
                }
                model = next
                accepted += isOpen ? 1 : 0
            }
            guard isOpen else { continue }
            let isWhole = session.hasToldAll
            #expect(isWhole == (model.toldEnd == geometry.windowCount))
            guard isWhole else { continue }
            ended += 1
            let roots = try session.finished()
            #expect(try roots.base == disk.root(), "seed \(seed)")
            #expect(try roots.result == result.root(), "seed \(seed)")
        }
        print("a receiver of random messages: \(accepted) accepted, \(ended) runs to their end")
        #expect(accepted > 2000 && ended > 5)
    }

    @Test("A sender takes ranges that there are, and answers that it waits for")
    func sender() throws {
        var accepted = 0
        var ended = 0
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let disk = try Self.disk(using: &generator)
            let geometry = disk.geometry
            var session = try SenderSession(
                geometry, disk.zeros, isDryRun: generator.next() % 2 == 0)
            try session.begin(salt: .random(using: &generator))
            var announced: UInt64 = 0
            var ranges: [UInt64: UInt64] = [:]
            // What was asked for: the first window, and how many digests.
            var nodesWanted: [UInt64: Int] = [:]
            var blocksWanted: [UInt64: Int] = [:]
            var sentEnd: UInt64 = 0
            var isOpen = true
            for _ in 0..<400 where isOpen {
                switch generator.next() % 8 {
                case 0, 1:
                    guard session.canHash, session.hashedWindowCount < geometry.windowCount else {
                        continue
                    }
                    session.hashed(disk.run(session.hashedWindowCount))
                case 2, 3:
                    let left = geometry.windowCount - announced
                    if left == 0, generator.next() % 128 != 0 { continue }
                    var count = min(max(left, 1), 1 + generator.next() % 6)
                    if generator.next() % 128 == 0 {
                        count = min(UInt64(UInt32.max >> 1), 1 + generator.next() >> 20)
                    }
                    let digest =
                        generator.next() % 3 == 0 ? nil : ShortDigest(value: generator.next())
                    let isRight =
                        count <= left && (digest == nil || count <= geometry.rangeLimit)
                    isOpen = try Self.isAccepted {
                        try session.received(digests: [
                            WindowRange(windowCount: UInt32(count), digest: digest)
                        ])
                    }
                    #expect(isOpen == isRight, "seed \(seed)")
                    ranges[announced] = count
                    announced += isOpen ? count : 0
                case 4, 5:
                    let isNodes = generator.next() % 2 == 0
                    let wanted = isNodes ? nodesWanted : blocksWanted
                    guard let (near, expected) = wanted.min(by: { $0.key < $1.key }) else {
                        continue
                    }
                    let first = Self.number(near: near, using: &generator)
                    let count = generator.next() % 128 == 0 ? expected + 1 : expected
                    let answer = (0..<count).map { _ in ShortDigest(value: generator.next()) }
                    isOpen = try Self.isAccepted {
                        if isNodes {
                            try session.received(nodes: answer, first: first)
                        } else {
                            try session.received(blocks: answer, first: first)
                        }
                    }
                    #expect(isOpen == (wanted[first] == count), "seed \(seed)")
                    if isNodes { nodesWanted[first] = nil } else { blocksWanted[first] = nil }
                default:
                    guard let found = session.nextDifference() else { continue }
                    #expect(found.window >= sentEnd && found.window < announced, "seed \(seed)")
                    #expect(found.differs.contains(true), "seed \(seed)")
                    session.sent(found.window)
                    sentEnd = found.window + 1
                }
                for message in session.takeOutgoing() {
                    switch message {
                    case .nodesWanted(let first):
                        let windows = first..<first + (ranges[first] ?? 0)
                        nodesWanted[first] = geometry.nodes(of: windows).count
                    case .blocksWanted(let first, let bits):
                        let windows = first..<first + (ranges[first] ?? 0)
                        blocksWanted[first] = zip(geometry.nodes(of: windows), bits)
                            .reduce(0) { $0 + ($1.1 ? $1.0.count : 0) }
                    default: Issue.record("\(message)")
                    }
                }
                accepted += isOpen ? 1 : 0
            }
            guard isOpen else { continue }
            while session.nextDifference().map({ session.sent($0.window) }) != nil {}
            let isWhole =
                announced == geometry.windowCount
                && session.hashedWindowCount == geometry.windowCount
                && nodesWanted.isEmpty && blocksWanted.isEmpty
            #expect(session.isDone == isWhole, "seed \(seed)")
            ended += isWhole ? 1 : 0
        }
        print("a sender of random messages: \(accepted) accepted, \(ended) runs to their end")
        #expect(accepted > 5000 && ended > 10)
    }

    @Test("Bytes that are damaged anywhere make no frame, or no message, or another one")
    func frames() throws {
        var found = 0
        for seed in 0..<400 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let messages = MessageCodingTests.messages(seed: seed)
            var bytes = messages.flatMap {
                Frame(kind: $0.kind.rawValue, payload: $0.encoded()).encoded()
            }
            if seed % 4 != 0 {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[place] ^= UInt8(1 + generator.next() % 255)
            }
            var decoder = FrameDecoder(peerName: "peer") { kind in
                Message.Kind(rawValue: kind).map(Message.maximumByteCount)
            }
            var position = 0
            var count = 0
            do {
                while position < bytes.count {
                    let end = min(bytes.count, position + 1 + Int(generator.next() % 300))
                    var taken = 0
                    let part = bytes.rawSpan.extracting(position..<end)
                    while let frame = try decoder.next(from: part, at: &taken) {
                        let kind = try #require(Message.Kind(rawValue: frame.kind))
                        #expect(try Message(kind, frame.payload) == messages[count])
                        count += 1
                    }
                    position = end
                }
            } catch TransportError.invalidFrame {
            }
            found += count
            if seed % 4 == 0 { #expect(count == messages.count) }
            #expect(count < messages.count || seed % 4 == 0, "seed \(seed)")
        }
        #expect(found > 400 * 4)
    }
}
