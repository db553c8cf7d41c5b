import Storage
import TestSupport

@testable import Resync

/// Both sessions of a run over model disks, and the messages between them: in order in each direction,
/// with what either side does in between chosen by a seed.
struct SessionNetwork: ~Copyable {
    /// Who is faster.
    enum Pace: CaseIterable {
        case even, fastSender, fastReceiver, slowMessages
    }

    struct Stuck: Error {
        var steps: Int
    }

    struct WrongRecord: Error {
        var block: UInt64
    }

    private enum Step {
        case hashPrimary, hashReplica, send, toSender, toReceiver
    }

    let primary: ModelDisk
    let replica: ModelDisk
    private var sender: SenderSession
    private var receiver: ReceiverSession
    private var generator: SeededGenerator
    private let pace: Pace
    private let isDryRun: Bool

    private var toSender: [Message] = []
    private var toReceiver: [Message] = []
    /// Behind the last urgent message that waits.
    private var urgentEnd = 0
    private var replicaWindow: UInt64 = 0
    /// Behind the last block that was sent.
    private var sentEnd: UInt64 = 0

    private(set) var sentData: Set<UInt64> = []
    private(set) var sentZeros: Set<UInt64> = []
    /// Blocks that a dry run has counted.
    private(set) var countedBlocks = 0
    /// What crossed, frames included; records aside.
    private(set) var byteCount = 0
    private(set) var windowsSentAtOnce = 0
    private(set) var mostWindowsAhead: UInt64 = 0

    init(
        _ primary: ModelDisk, _ replica: ModelDisk, seed: UInt64, pace: Pace = .even,
        isDryRun: Bool = false
    ) throws {
        var generator = SeededGenerator(seed: seed)
        let salt = GUID.random(using: &generator)
        let stream = DeltaHeader(
            virtualSize: primary.geometry.virtualSize, blockSize: primary.geometry.blockSize,
            streamID: .zero)
        var sender = try SenderSession(primary.geometry, primary.zeros, isDryRun: isDryRun)
        try sender.begin(salt: salt)
        let receiver = try ReceiverSession(for: stream, salt: salt)
        self.primary = primary
        self.replica = replica
        self.pace = pace
        self.isDryRun = isDryRun
        self.generator = generator
        self.sender = sender
        self.receiver = receiver
    }

    /// Runs both to their end.
    ///
    /// - Returns: the root digests that the receiver comes to, and how many blocks it saw differ.
    consuming func run() throws -> Outcome {
        var steps = 0
        while try step() { steps += 1 }
        guard sender.isDone, receiver.hasToldAll, toSender.isEmpty, toReceiver.isEmpty else {
            throw Stuck(steps: steps)
        }
        var outcome = Outcome(
            sentData: sentData, sentZeros: sentZeros, countedBlocks: countedBlocks,
            byteCount: byteCount, windowsSentAtOnce: windowsSentAtOnce,
            mostWindowsAhead: mostWindowsAhead, differing: receiver.differingBlockCount)
        (outcome.base, outcome.result) = try receiver.finished()
        return outcome
    }

    struct Outcome {
        var sentData: Set<UInt64>
        var sentZeros: Set<UInt64>
        var countedBlocks: Int
        var byteCount: Int
        var windowsSentAtOnce: Int
        var mostWindowsAhead: UInt64
        var differing: UInt64
        var base = BlockDigest.zero
        var result = BlockDigest.zero
    }

    // MARK: One thing after the other

    private mutating func step() throws -> Bool {
        var steps: [Step] = []
        if sender.canHash, sender.hashedWindowCount < primary.geometry.windowCount {
            steps.append(.hashPrimary)
        }
        if receiver.canHash, replicaWindow < replica.geometry.windowCount {
            steps.append(.hashReplica)
        }
        if sender.hasDifference { steps.append(.send) }
        if !toSender.isEmpty { steps.append(.toSender) }
        if !toReceiver.isEmpty { steps.append(.toReceiver) }
        guard var chosen = steps.randomElement(using: &generator) else { return false }
        // Mostly the fast one first.
        if generator.next() % 64 != 0 {
            switch pace {
            case .even: break
            case .fastSender: if steps.contains(.hashPrimary) { chosen = .hashPrimary }
            case .fastReceiver: if steps.contains(.hashReplica) { chosen = .hashReplica }
            case .slowMessages:
                let others = steps.filter { $0 != .toSender && $0 != .toReceiver }
                chosen = others.randomElement(using: &generator) ?? chosen
            }
        }
        switch chosen {
        case .hashPrimary: try hashPrimary()
        case .hashReplica: try hashReplica()
        case .send: try sendDifferences()
        case .toSender: try deliverToSender()
        case .toReceiver: try deliverToReceiver()
        }
        let hashed = sender.hashedWindowCount
        mostWindowsAhead = max(
            mostWindowsAhead, max(hashed, replicaWindow) - min(hashed, replicaWindow))
        return true
    }

    private mutating func hashPrimary() throws {
        let window = sender.hashedWindowCount
        if !isDryRun, sender.nextStep == .sendAtOnce, generator.next() % 4 != 0 {
            let blocks = primary.geometry.blocks(in: window)
            try send(blocks.map { primary.number(of: $0) != 0 }, in: window)
            sender.sentAtOnce(primary.run(window))
            windowsSentAtOnce += 1
        } else {
            sender.hashed(primary.run(window))
        }
        takeOutgoing()
        try tellSettled()
    }

    private mutating func tellSettled() throws {
        guard let settled = sender.takeSettled() else { return }
        toReceiver.append(try crossing(.settled(settled)))
    }

    private mutating func hashReplica() throws {
        let ranges = receiver.hashed(replica.run(replicaWindow))
        replicaWindow += 1
        if !ranges.isEmpty { toSender.append(try crossing(.digests(ranges))) }
    }

    private mutating func sendDifferences() throws {
        let window = sender.nextDifference()
        if let window {
            if isDryRun {
                countedBlocks += window.differs.count { $0 }
            } else {
                let first = primary.geometry.blocks(in: window.window).lowerBound
                for (index, differs) in window.differs.enumerated() where differs {
                    let block = first + UInt64(index)
                    let digest = window.digests?[index] ?? primary.zeros.digest(ofBlock: block)
                    guard digest == primary.digest(of: block) else {
                        throw WrongRecord(block: block)
                    }
                }
                try send(window.differs, in: window.window)
            }
            sender.sent(window.window)
        }
        try tellSettled()
    }

    /// Queues records, in one message or several.
    private mutating func send(_ differs: [Bool], in window: UInt64) throws {
        let first = primary.geometry.blocks(in: window).lowerBound
        let limit = DeltaStream.maximumBlockCount(blockSize: primary.geometry.blockSize)
        var bytes: [UInt8] = []
        var index = 0
        while index < differs.count {
            defer { index += 1 }
            guard differs[index] else { continue }
            let block = first + UInt64(index)
            guard block >= sentEnd else { throw WrongRecord(block: block) }
            let isZero = primary.number(of: block) == 0
            var end = index + 1
            while end < differs.count, differs[end],
                (primary.number(of: first + UInt64(end)) == 0) == isZero,
                isZero || end - index < limit
            {
                end += 1
            }
            let blocks = block..<first + UInt64(end)
            if isZero {
                sentZeros.formUnion(blocks)
                bytes += CraftedDelta.Record.zeros(blocks).bytes
            } else {
                sentData.formUnion(blocks)
                bytes +=
                    CraftedDelta.Record.data(
                        block, digests: blocks.map { primary.digest(of: $0) }, payload: [0]
                    ).bytes
            }
            sentEnd = blocks.upperBound
            index = end - 1
            if generator.next() % 3 == 0 {
                toReceiver.append(.records(bytes))
                bytes = []
            }
        }
        if !bytes.isEmpty { toReceiver.append(.records(bytes)) }
    }

    // MARK: Messages

    /// What the other side makes of a message's bytes.
    private mutating func crossing(_ message: Message) throws -> Message {
        let bytes = message.encoded()
        byteCount += bytes.count + 9
        guard bytes.count <= Message.maximumByteCount(message.kind) else {
            throw ResyncError.protocolViolation("\(bytes.count) bytes of \(message.kind)")
        }
        return try Message(message.kind, bytes)
    }

    /// Urgent messages may overtake others, and not each other.
    private mutating func takeOutgoing() {
        for message in sender.takeOutgoing() {
            let place = Int.random(in: urgentEnd...toReceiver.count, using: &generator)
            guard let crossed = try? crossing(message) else { continue }
            toReceiver.insert(crossed, at: place)
            urgentEnd = place + 1
        }
    }

    private mutating func deliverToSender() throws {
        switch toSender.removeFirst() {
        case .digests(let ranges): try sender.received(digests: ranges)
        case .nodes(let first, let nodes): try sender.received(nodes: nodes, first: first)
        case .blocks(let first, let blocks): try sender.received(blocks: blocks, first: first)
        default: throw ResyncError.protocolViolation("out of turn")
        }
        takeOutgoing()
    }

    private mutating func deliverToReceiver() throws {
        urgentEnd = max(0, urgentEnd - 1)
        switch toReceiver.removeFirst() {
        case .nodesWanted(let first):
            toSender.append(try crossing(try receiver.received(nodesWantedAt: first)))
        case .blocksWanted(let first, let nodes):
            toSender.append(
                try crossing(try receiver.received(blocksWantedAt: first, nodes: nodes)))
        case .records(let bytes): _ = try receiver.received(records: bytes, from: "peer")
        case .settled(let window): try receiver.received(settled: window)
        default: throw ResyncError.protocolViolation("out of turn")
        }
    }
}
