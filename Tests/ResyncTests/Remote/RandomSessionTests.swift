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

    private static func digester(_ disk: ModelDisk, _ salt: GUID) -> ModelDigester {
        ModelDigester(
            ModelGeometry(
                virtualSize: disk.geometry.virtualSize, blockSize: UInt64(disk.geometry.blockSize)),
            zeroLeaf: disk.zeros.block.bytes, lastZeroLeaf: disk.zeros.lastBlock.bytes,
            salt: salt.bytes
        ) { bytes in
            guard var context = try? SHA256Context() else { return [] }
            return context.digest(of: bytes.rawSpan).bytes
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
            let salt = GUID.random(using: &generator)
            var session = try ReceiverSession(for: header, salt: salt)
            var model = ReceiverModel(Self.digester(disk, salt))
            var result = disk
            var told: [UInt64] = [0]
            var isOpen = true
            for _ in 0..<300 where isOpen {
                // What is wrong ends a run: most have some of what is right before.
                let isRight = generator.next() % 48 != 0
                let first = Self.number(
                    near: told.randomElement(using: &generator) ?? 0, using: &generator)
                switch generator.next() % 10 {
                case 0...4:
                    #expect(session.canHash == model.canHash, "seed \(seed)")
                    let window = model.hashedEnd
                    guard session.canHash, window < geometry.windowCount else { continue }
                    let ranges = session.hashed(disk.run(window))
                    let start = model.toldEnd
                    let expected = model.hashed(disk.leaves(of: window))
                    #expect(ranges.modelled == expected, "seed \(seed)")
                    if model.toldEnd > start { told.append(start) }
                    continue
                case 5:
                    let expected = model.nodesWanted(first)
                    if isRight, expected == nil { continue }
                    var answer: Message?
                    isOpen = try Self.isAccepted {
                        answer = try session.received(nodesWantedAt: first)
                    }
                    #expect(
                        answer == expected.map { .nodes(first: first, $0.short) }, "seed \(seed)")
                case 6:
                    let count = model.nodeCount(first) ?? 1
                    var bits = Array(repeating: false, count: (count + 7) / 8 * 8)
                    bits[Int(generator.next() % UInt64(count))] = true
                    if generator.next() % 16 == 0 { bits[bits.count - 1] = true }
                    if generator.next() % 16 == 0 { bits += bits }
                    let expected = model.blocksWanted(first, bits)
                    if isRight, expected == nil { continue }
                    var answer: Message?
                    isOpen = try Self.isAccepted {
                        answer = try session.received(blocksWantedAt: first, nodes: bits)
                    }
                    #expect(
                        answer == expected.map { .blocks(first: first, $0.short) }, "seed \(seed)")
                case 7:
                    let window = Self.number(
                        near: UInt64.random(in: 0...model.toldEnd, using: &generator),
                        using: &generator)
                    let expected = model.takesSettled(window)
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
                    let expected = model.takesRecord(blocks)
                    if isRight, !expected { continue }
                    isOpen = try Self.isAccepted {
                        _ = try session.received(
                            records: CraftedDelta.Record.zeros(blocks).bytes, from: "peer")
                    }
                    #expect(isOpen == expected, "seed \(seed)")
                    if isOpen { for block in blocks { result.set(block, to: 0) } }
                }
                accepted += isOpen ? 1 : 0
            }
            guard isOpen else { continue }
            let isWhole = session.hasToldAll
            #expect(isWhole == model.hasToldAll, "seed \(seed)")
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
            let isDryRun = generator.next() % 2 == 0
            let salt = GUID.random(using: &generator)
            var state = SenderState(
                try SenderSession(geometry, disk.zeros, isDryRun: isDryRun), expectsDone: false)
            var model = SenderModel(
                Self.digester(disk, .zero), isDryRun: isDryRun, expectsDone: false)
            let target = TargetOffer(
                virtualSize: geometry.virtualSize, salt: salt, resultState: .zero,
                heldBlockCount: 0, isDone: false)
            _ = try state.received(.target(target))
            let isTaken = model.takesTarget(
                virtualSize: geometry.virtualSize, salt: salt.bytes, heldBlockCount: 0,
                isDone: false)
            #expect(isTaken)
            var questions: [SenderModel.Question] = []
            var isOpen = true
            for _ in 0..<400 where isOpen {
                switch generator.next() % 8 {
                case 0, 1:
                    let window = model.hashedEnd
                    guard state.session.canHash, window < geometry.windowCount else { continue }
                    state.session.hashed(disk.run(window))
                    model.hashed(disk.leaves(of: window))
                case 2, 3:
                    let left = geometry.windowCount - model.announcedEnd
                    if left == 0, generator.next() % 128 != 0 { continue }
                    var count = min(max(left, 1), 1 + generator.next() % 6)
                    if generator.next() % 128 == 0 {
                        count = min(UInt64(UInt32.max >> 1), 1 + generator.next() >> 20)
                    }
                    let digest = generator.next() % 3 == 0 ? nil : generator.next()
                    let range = WindowRange(
                        windowCount: UInt32(count), digest: digest.map(ShortDigest.init))
                    isOpen = try Self.isAccepted { _ = try state.received(.digests([range])) }
                    let expected = model.takes([range].modelled)
                    #expect(isOpen == expected, "seed \(seed)")
                case 4, 5:
                    guard let index = questions.indices.randomElement(using: &generator) else {
                        continue
                    }
                    let isWrong = generator.next() % 128 == 0
                    let first: UInt64
                    let answer: [UInt64]
                    let expected: Bool
                    switch questions.remove(at: index) {
                    case .nodes(let near):
                        first = Self.number(near: near, using: &generator)
                        let count = (model.nodeCount(near) ?? 0) + (isWrong ? 1 : 0)
                        answer = (0..<count).map { _ in generator.next() }
                        expected = model.takesNodes(first, answer)
                        isOpen = try Self.isAccepted {
                            _ = try state.received(.nodes(first: first, answer.short))
                        }
                    case .blocks(let near, _):
                        first = Self.number(near: near, using: &generator)
                        let count = (model.blocksWanted(near)?.count ?? 0) + (isWrong ? 1 : 0)
                        answer = (0..<count).map { _ in generator.next() }
                        expected = model.takesBlocks(first, answer)
                        isOpen = try Self.isAccepted {
                            _ = try state.received(.blocks(first: first, answer.short))
                        }
                    }
                    #expect(isOpen == expected, "seed \(seed)")
                default:
                    let found = state.session.nextDifference()
                    let expected = model.nextDifference()
                    #expect(found?.modelled == expected, "seed \(seed)")
                    guard let found else { continue }
                    state.session.sent(found.window)
                    model.sent(found.window)
                }
                let new = model.takeQuestions()
                let asked = state.session.takeOutgoing()
                #expect(asked == new.map(\.message), "seed \(seed)")
                questions += new
                accepted += isOpen ? 1 : 0
            }
            guard isOpen else { continue }
            while let found = state.session.nextDifference() {
                let expected = model.nextDifference()
                #expect(found.modelled == expected, "seed \(seed)")
                state.session.sent(found.window)
                model.sent(found.window)
            }
            let rest = model.nextDifference()
            #expect(rest == nil, "seed \(seed)")
            #expect(state.session.isDone == model.isDone, "seed \(seed)")
            ended += model.isDone ? 1 : 0
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

// MARK: - What the models say, as the sessions say it

extension ModelDisk {
    /// The leaves of a window, one behind the other; nil where it holds nothing but zeros.
    fileprivate func leaves(of window: UInt64) -> [UInt8]? {
        guard windows[window]?.contains(where: { $0 != 0 }) == true else { return nil }
        return geometry.blocks(in: window).flatMap { digest(of: $0).bytes }
    }
}

extension [WindowRange] {
    fileprivate var modelled: [ModelRange] {
        map { ModelRange(windowCount: UInt64($0.windowCount), digest: $0.digest?.value) }
    }
}

extension [UInt64] {
    fileprivate var short: [ShortDigest] { map(ShortDigest.init) }
}

extension DifferingWindow {
    fileprivate var modelled: SenderModel.Difference {
        SenderModel.Difference(
            window: window, leaves: digests?.flatMap(\.bytes), differs: differs)
    }
}

extension SenderModel.Question {
    fileprivate var message: Message {
        switch self {
        case .nodes(let first): .nodesWanted(first: first)
        case .blocks(let first, let nodes): .blocksWanted(first: first, nodes: nodes)
        }
    }
}

extension GUID {
    fileprivate var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableRawSpan { encode(into: &$0, at: 0) }
        return bytes
    }
}
