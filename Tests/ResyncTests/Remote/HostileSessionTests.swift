import Storage
import Testing

@testable import Resync

@Suite("Sessions whose other side breaks the rules")
struct HostileSessionTests {
    /// Ten windows of 16 blocks, of which every third is zero.
    private static func disk(_ number: UInt64 = 1) throws -> ModelDisk {
        var disk = try ModelDisk(virtualSize: 10 * 64 << 20 | 512, blockSize: 4 << 20)
        for window in 0..<disk.geometry.windowCount where window % 3 != 2 {
            disk.fill(window, with: number)
        }
        return disk
    }

    private static let salt = GUID(
        decoding: [UInt8](repeating: 7, count: 16).rawSpan, at: 0)

    private static func header(_ disk: ModelDisk) -> DeltaHeader {
        DeltaHeader(
            virtualSize: disk.geometry.virtualSize, blockSize: disk.geometry.blockSize,
            streamID: .zero)
    }

    /// A receiver that has told of some windows.
    private static func receiver(_ windowCount: UInt64) throws -> ReceiverSession {
        let disk = try disk()
        var session = try ReceiverSession(for: header(disk), salt: salt)
        for window in 0..<windowCount { _ = session.hashed(disk.run(window)) }
        return session
    }

    /// A sender that has begun and hashed some windows.
    private static func sender(
        _ windowCount: UInt64, isDryRun: Bool = false
    ) throws -> SenderSession {
        let disk = try disk(2)
        var session = try SenderSession(disk.geometry, disk.zeros, isDryRun: isDryRun)
        try session.begin(salt: salt)
        for window in 0..<windowCount { session.hashed(disk.run(window)) }
        return session
    }

    private func expectViolation(
        _ name: Comment, _ body: () throws -> Void,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .protocolViolation? = resyncError(body) else {
            Issue.record(name, sourceLocation: sourceLocation)
            return
        }
    }

    static let numbers: [UInt64] = [
        2, 3, 5, 10, 11, 1 << 31, 1 << 38, 1 << 57, 1 << 63, .max - 1, .max,
    ]

    // MARK: The receiver

    @Test("Questions for windows that were not told of", arguments: numbers)
    func questionsForOthers(_ window: UInt64) throws {
        var session = try Self.receiver(3)
        expectViolation("nodes") { _ = try session.received(nodesWantedAt: window) }
        expectViolation("blocks") {
            _ = try session.received(
                blocksWantedAt: window, nodes: Array(repeating: true, count: 8))
        }
    }

    @Test("Questions that are repeated, out of turn, or for other nodes")
    func questionsOutOfTurn() throws {
        var session = try Self.receiver(3)
        _ = try session.received(nodesWantedAt: 0)
        expectViolation("twice") { _ = try session.received(nodesWantedAt: 0) }
        var one = Array(repeating: false, count: 8)
        for count in [0, 1, 7, 9, 15, 16, 2048] {
            expectViolation("\(count) nodes") {
                _ = try session.received(
                    blocksWantedAt: 0, nodes: Array(repeating: true, count: count))
            }
        }
        expectViolation("none") { _ = try session.received(blocksWantedAt: 0, nodes: one) }
        one[1] = true
        expectViolation("another") { _ = try session.received(blocksWantedAt: 0, nodes: one) }
        one = [true] + Array(repeating: false, count: 7)
        guard case .blocks(0, let digests) = try session.received(blocksWantedAt: 0, nodes: one)
        else {
            Issue.record("no answer")
            return
        }
        #expect(digests.count == 16)
        expectViolation("twice") { _ = try session.received(blocksWantedAt: 0, nodes: one) }
        expectViolation("back") { _ = try session.received(nodesWantedAt: 0) }
        try session.received(settled: 1)
        expectViolation("settled") { _ = try session.received(nodesWantedAt: 0) }
    }

    @Test("Questions for a range of which a part is settled", arguments: [true, false])
    func questionsForTheSettled(_ isByRecord: Bool) throws {
        var disk = try ModelDisk(virtualSize: 100 * 64 << 20, blockSize: 16 << 20)
        for window in 0..<disk.geometry.windowCount { disk.fill(window, with: 1) }
        var session = try ReceiverSession(for: Self.header(disk), salt: Self.salt)
        // The first windows are told of alone, and the last by two.
        var ranges: [WindowRange] = []
        for window in 0..<disk.geometry.windowCount { ranges += session.hashed(disk.run(window)) }
        let index = try #require(ranges.firstIndex { $0.windowCount == 2 })
        let first = UInt64(index)
        #expect(ranges[..<index].allSatisfy { $0.windowCount == 1 })
        if isByRecord {
            let block = disk.geometry.blocks(in: first + 1).lowerBound
            let record = CraftedDelta.Record.zeros(block..<block + 1)
            _ = try session.received(records: record.bytes, from: "peer")
        } else {
            try session.received(settled: first + 1)
        }
        expectViolation("nodes") { _ = try session.received(nodesWantedAt: first) }
        let nodes = [true, true] + Array(repeating: false, count: 6)
        expectViolation("blocks") {
            _ = try session.received(blocksWantedAt: first, nodes: nodes)
        }
        // The next is whole.
        _ = try session.received(nodesWantedAt: first + 2)
    }

    @Test("Windows that are settled too far or backwards", arguments: numbers)
    func settledTooFar(_ window: UInt64) throws {
        var session = try Self.receiver(2)
        if window > 2 {
            expectViolation("too far") { try session.received(settled: window) }
        }
        try session.received(settled: 2)
        expectViolation("backwards") { try session.received(settled: 1) }
        try session.received(settled: 2)
    }

    @Test("An end before all was told of")
    func endTooEarly() throws {
        for count in 0..<11 as Range<UInt64> {
            expectViolation("\(count)") { _ = try Self.receiver(count).finished() }
        }
        _ = try Self.receiver(11).finished()
    }

    @Test("Records in the wrong place")
    func recordsOutOfPlace() throws {
        func refused(_ records: [CraftedDelta.Record], _ more: [UInt8] = []) -> ResyncError? {
            resyncError {
                var session = try Self.receiver(3)
                _ = try session.received(
                    records: records.flatMap(\.bytes) + more, from: "peer")
            }
        }
        let digest = ModelDisk.digest(3, of: 0)
        let data = CraftedDelta.Record.data(5, digests: [digest], payload: [0])
        let zeros = CraftedDelta.Record.zeros(6..<48)
        #expect(refused([data, zeros]) == nil)
        for first in [48, 160, 161, 1 << 62, .max] as [UInt64] {
            for count in [1, 2, .max] as [UInt64] {
                let error = refused([.init(kind: 1, first: first, count: count)])
                switch error {
                case .protocolViolation, .damagedDelta: break
                default: Issue.record("\(first) \(count): \(String(describing: error))")
                }
            }
        }
        for error in [
            refused([zeros, data]), refused([data, data]),
            refused([.init(kind: 1, first: 0, count: 0)]),
            refused([.init(kind: 3, first: 0, count: 1)]),
            refused([.init(kind: 2, first: 0, count: 1)]),
            refused([.init(kind: 2, first: 0, count: .max)]),
        ] {
            guard case .damagedDelta("peer", _, _)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        guard case .protocolViolation? = refused([]) else {
            Issue.record("no record")
            return
        }
        let bytes = data.bytes
        for count in 1..<bytes.count {
            let error = refused([zeros], Array(bytes.prefix(count)))
            let first = refused([], Array(bytes.prefix(count)))
            #expect(error != nil && first != nil)
        }
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x41
            #expect(refused([], damaged) != nil)
        }
    }

    @Test("Records may be of any block that was told of, and of the same only once")
    func recordsAscend() throws {
        var session = try Self.receiver(11)
        let bytes = CraftedDelta.Record.zeros(0..<161).bytes
        _ = try session.received(records: bytes, from: "peer")
        expectViolation("behind") {
            try session.received(settled: 3)
        }
        guard
            case .damagedDelta? = resyncError({
                _ = try session.received(records: bytes, from: "peer")
            })
        else {
            Issue.record("the same records twice")
            return
        }
        let roots = try session.finished()
        #expect(try roots.base == Self.disk().root())
    }

    @Test("Blocks that are sent as they are do not differ, zeros as little as others")
    func recordsOfTheSame() throws {
        let disk = try Self.disk()
        for (window, number) in [(0, 1), (2, 0)] as [(UInt64, UInt64)] {
            var session = try Self.receiver(3)
            let first = disk.geometry.blocks(in: window).lowerBound
            let same = disk.digest(of: first)
            let other = ModelDisk.digest(number + 5, of: first + 1)
            let record = CraftedDelta.Record.data(first, digests: [same], payload: [0])
            _ = try session.received(records: record.bytes, from: "peer")
            #expect(session.differingBlockCount == 0, "window \(window)")
            let next = CraftedDelta.Record.data(first + 1, digests: [other], payload: [0])
            _ = try session.received(records: next.bytes, from: "peer")
            #expect(session.differingBlockCount == 1, "window \(window)")
        }
    }

    @Test("A receiver that is not listened to stops to hash")
    func receiverIsBounded() throws {
        var disk = try ModelDisk(virtualSize: 1 << 62, blockSize: 16 << 20)
        var session = try ReceiverSession(for: Self.header(disk), salt: Self.salt)
        var window: UInt64 = 0
        while session.canHash, window < 200_000 {
            disk.windows = [:]
            if window % 2 == 0 { disk.fill(window, with: 1) }
            _ = session.hashed(disk.run(window))
            window += 1
        }
        #expect(window <= UInt64(RemoteGeometry.maximumRangesAhead) + 2)
    }

    // MARK: The sender

    @Test("Nothing counts before a target, and there is one")
    func targetComesFirst() throws {
        let disk = try Self.disk()
        var session = try SenderSession(disk.geometry, disk.zeros, isDryRun: false)
        let zeros = [WindowRange(windowCount: 1, digest: nil)]
        expectViolation("digests") { try session.received(digests: zeros) }
        expectViolation("nodes") { try session.received(nodes: [], first: 0) }
        expectViolation("blocks") { try session.received(blocks: [], first: 0) }
        try session.begin(salt: Self.salt)
        expectViolation("target") { try session.begin(salt: Self.salt) }
    }

    /// A target for the disk of these tests.
    private static func target(isDone: Bool = false) throws -> Message {
        .target(
            TargetOffer(
                virtualSize: try disk().geometry.virtualSize, salt: salt, resultState: .zero,
                heldBlockCount: 0, isDone: isDone))
    }

    private static let digests = Message.digests([WindowRange(windowCount: 1, digest: nil)])
    private static let status = Message.status(
        RemoteStatus(phase: .applying, bytesDone: 1, bytesToDo: 2, counts: RemoteCounts()))
    private static let result = Message.result(
        RemoteResult(
            root: .zero, preparation: .none, recovery: .nothingToDo, isVerified: true,
            counts: RemoteCounts()))

    private static func state(expectsDone: Bool = false) throws -> SenderState {
        let disk = try disk(2)
        return SenderState(
            try SenderSession(disk.geometry, disk.zeros, isDryRun: false), expectsDone: expectsDone)
    }

    @Test("A receiver has its turns: digests, then status and result")
    func turns() throws {
        var state = try Self.state()
        for message in [Self.digests, Self.status, Self.result] {
            expectViolation("first") { _ = try state.received(message) }
        }
        expectViolation("done") { _ = try state.received(Self.target(isDone: true)) }
        _ = try state.received(Self.target())
        for message in [try Self.target(), Self.status, Self.result, .settled(0)] {
            expectViolation("while comparing") { _ = try state.received(message) }
        }
        _ = try state.received(Self.digests)
        state.isFinished = true
        for message in [try Self.target(), Self.digests] {
            expectViolation("behind the end") { _ = try state.received(message) }
        }
        let isStatusLast = try state.received(Self.status)
        let isResultLast = try state.received(Self.result)
        #expect(!isStatusLast && isResultLast)
    }

    @Test("A receiver that is done says the result, and nothing else")
    func doneTarget() throws {
        var state = try Self.state(expectsDone: true)
        _ = try state.received(Self.target(isDone: true))
        for message in [try Self.target(), Self.digests, Self.status] {
            expectViolation("behind the target") { _ = try state.received(message) }
        }
        let isLast = try state.received(Self.result)
        #expect(isLast && state.result?.isVerified == true)
    }

    @Test("Digests of more windows than there are")
    func digestsOfTooMuch() throws {
        for count in [12, 17, 1 << 30, UInt32.max >> 1] as [UInt32] {
            var session = try Self.sender(2)
            expectViolation("zeros") {
                try session.received(digests: [WindowRange(windowCount: count, digest: nil)])
            }
            session = try Self.sender(2)
            expectViolation("data") {
                try session.received(
                    digests: [WindowRange(windowCount: count, digest: ShortDigest(value: 0))])
            }
        }
        var session = try Self.sender(0)
        try session.received(digests: [WindowRange(windowCount: 11, digest: nil)])
        expectViolation("one more") {
            try session.received(digests: [WindowRange(windowCount: 1, digest: nil)])
        }
    }

    @Test("Answers that nobody asked for, or of another length")
    func answersOutOfTurn() throws {
        var session = try Self.sender(4)
        let wrong = ShortDigest(value: 1)
        for first in [0] + Self.numbers {
            expectViolation("nodes") { try session.received(nodes: [wrong], first: first) }
            expectViolation("blocks") { try session.received(blocks: [wrong], first: first) }
        }
        try session.received(digests: [WindowRange(windowCount: 2, digest: wrong)])
        #expect(session.takeOutgoing() == [.nodesWanted(first: 0)])
        expectViolation("blocks first") { try session.received(blocks: [], first: 0) }
        for count in [0, 1, 3, 256] {
            expectViolation("nodes") {
                try session.received(nodes: Array(repeating: wrong, count: count), first: 0)
            }
        }
        try session.received(nodes: [wrong, wrong], first: 0)
        #expect(session.takeOutgoing() == [.blocksWanted(first: 0, nodes: [true, true])])
        expectViolation("again") { try session.received(nodes: [wrong, wrong], first: 0) }
        for count in [0, 1, 16, 31, 33, 16384] {
            expectViolation("blocks") {
                try session.received(blocks: Array(repeating: wrong, count: count), first: 0)
            }
        }
        try session.received(blocks: Array(repeating: wrong, count: 32), first: 0)
        expectViolation("again") {
            try session.received(blocks: Array(repeating: wrong, count: 32), first: 0)
        }
        #expect(session.nextDifference()?.window == 0)
    }

    @Test("Nodes that are those of this side, below a digest that is not")
    func contradiction() throws {
        var session = try Self.sender(2)
        let disk = try Self.disk(2)
        var digester = try ShortDigester(salt: Self.salt, zeros: disk.zeros)
        let nodes = (0..<2 as Range<UInt64>).map { window in
            digester.digest(ofNode: disk.geometry.blocks(in: window).map(disk.digest(of:))[...])
        }
        try session.received(
            digests: [WindowRange(windowCount: 2, digest: ShortDigest(value: 3))])
        expectViolation("equal") { try session.received(nodes: nodes, first: 0) }
    }

    @Test("A receiver that tells of everything at once", arguments: [true, false])
    func senderIsBounded(_ isDryRun: Bool) throws {
        let disk = try ModelDisk(virtualSize: 1 << 46, blockSize: 65536)
        for range in [
            WindowRange(windowCount: 1, digest: nil),
            WindowRange(windowCount: 16, digest: ShortDigest(value: 1)),
        ] {
            var session = try SenderSession(disk.geometry, disk.zeros, isDryRun: isDryRun)
            try session.begin(salt: Self.salt)
            for window in 0..<20_000 as Range<UInt64> { session.hashed(disk.run(window)) }
            // What is known to differ is not sent, and what is asked for not answered.
            var count = 0
            expectViolation("all") {
                while count < 100_000 {
                    try session.received(digests: [range])
                    count += 1
                }
            }
            #expect(count <= 2 * RemoteGeometry.maximumRangesAhead)
        }
    }
}
