import Foundation
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Resync

/// A replica on another host that is prepared, checked and finished, over connections that may break.
private struct PreparedScenario {
    let pair: DiskPair
    let files: DiskFiles
    var options = ResyncOptions(workerCount: 1)

    init(seed: UInt64 = 12) throws {
        var generator = SeededGenerator(seed: seed)
        let shape = DiskShape(
            virtualSize: 9 << 20 | 512, blockSize: 1 << 20, sectorSize: 512, isFixed: false)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<6 << 20, using: &generator)
        pair.replica = pair.primary
        pair.primary.fill(1 << 20..<2 << 20, using: &generator)
        pair.primary.clear(3 << 20..<3 << 20 | 131_072)
        pair.primary.fill(9 << 20..<9 << 20 | 512, using: &generator)
        self.pair = pair
        files = try DiskFiles(pair, using: &generator)
    }

    var journal: String { files.replica + ".resync" }

    func isNew() throws -> Bool {
        try files.content(of: files.replica).readsAs(pair.primary)
    }

    typealias Wrap =
        @Sendable (any Connection, Int) throws(TransportError) -> any Connection

    /// Does something over connections that a closure makes something else of, the first being number 0.
    func over<Result>(
        retryCount: Int = 0, host: TestHost = TestHost(),
        _ wrap: @escaping Wrap = { (connection, _) throws(TransportError) in connection },
        _ body: (RemoteResync, RemotePeer) throws -> Result
    ) throws -> Result {
        let groups = Lock<[DispatchGroup]>([])
        let peer = RemotePeer(name: "other", settings: ChannelSettings()) {
            () throws(TransportError) in
            let number = groups.withLock { $0.count }
            let (near, far) = try InProcessConnection.pair()
            groups.withLock { $0.append(RemoteRun.serve(far, host)) }
            return try wrap(near, number)
        }
        defer {
            peer.close()
            for group in groups.withLock({ $0 }) { group.wait() }
        }
        var resync = RemoteResync(
            localPath: files.primary, .primary, remotePath: files.replica, remoteName: "other",
            options: options, describe: TestHost.describe)
        resync.retryCount = retryCount
        resync.firstPauseSeconds = 0.01
        return try body(resync, peer)
    }

    func prepare(retryCount: Int = 0, _ wrap: @escaping Wrap = { (c, _) in c }) throws
        -> PreparedDisk
    {
        try over(retryCount: retryCount, wrap) {
            try $0.prepare(through: $1, monitor: ResyncMonitor())
        }
    }

    func check(_ journal: PreparedJournal, _ wrap: @escaping Wrap = { (c, _) in c }) throws {
        try over(wrap) { try $0.check(journal, through: $1, monitor: ResyncMonitor()) }
    }

    @discardableResult
    func finish(
        _ journal: PreparedJournal, retryCount: Int = 0,
        _ wrap: @escaping Wrap = { (c, _) in c }
    ) throws -> DiskReport {
        try over(retryCount: retryCount, wrap) {
            try $0.finish(journal, through: $1, monitor: ResyncMonitor())
        }
    }
}

@Suite("A replica on another host that is prepared, checked and finished", .serialized)
struct PreparedRunTests {
    @Test(
        "It is as it was, and then new, on one connection, and to finish it again changes nothing")
    func finished() throws {
        let scenario = try PreparedScenario()
        let before = try scenario.files.bytes(of: scenario.files.replica)
        try scenario.over { resync, peer in
            let prepared = try resync.prepare(through: peer, monitor: ResyncMonitor())
            #expect(try scenario.files.bytes(of: scenario.files.replica) == before)
            #expect(!prepared.report.isVerified && prepared.report.counts.bytesRecorded > 0)
            let journal = try #require(prepared.journal)
            try prepared.checkPrimary(at: scenario.files.primary, scenario.options)
            try resync.check(journal, through: peer, monitor: ResyncMonitor())
            #expect(try scenario.files.bytes(of: scenario.files.replica) == before)
            let report = try resync.finish(journal, through: peer, monitor: ResyncMonitor())
            #expect(report.isVerified && report.rootDigest == prepared.report.rootDigest)
            #expect(report.counts.bytesWritten > 1 << 20)
            #expect(try scenario.isNew())
            let after = try scenario.files.bytes(of: scenario.files.replica)
            _ = try resync.finish(journal, through: peer, monitor: ResyncMonitor())
            #expect(try scenario.files.bytes(of: scenario.files.replica) == after)
            // Equal disks need nothing, on the same connection.
            let second = try resync.prepare(through: peer, monitor: ResyncMonitor())
            #expect(second.journal == nil && second.report.isVerified)
        }
        #expect(try scenario.files.directory.names.count == 2)
    }

    @Test("What was prepared is not sent again, by whatever run")
    func goneOnWith() throws {
        let scenario = try PreparedScenario()
        let first = try scenario.prepare()
        let second = try scenario.prepare()
        #expect(second.report.counts.blocksHeld > 10)
        #expect(second.report.counts.bytesSent < 8192)
        #expect(second.journal?.header == first.journal?.header)
        #expect(second.journal?.byteCount == first.journal?.byteCount)
        let report = try scenario.over { try $0.run(through: $1, monitor: ResyncMonitor()) }
        #expect(report.counts.bytesSent < 8192)
        #expect(try scenario.isNew())
    }

    @Test("A mark goes with the journal, though no block differs")
    func marked() throws {
        let scenario = try PreparedScenario()
        try scenario.finish(try #require(scenario.prepare().journal))
        let writer = try ImageWriter(openingImageAt: scenario.files.replica)
        try writer.setMark(ApplyMark(streamID: .zero, journalPath: ""))
        try writer.close()
        let journal = try #require(scenario.prepare().journal)
        #expect(throws: VHDXError.self) { try scenario.isNew() }
        try scenario.finish(journal)
        #expect(try scenario.isNew())
    }

    @Test("What is wrong over there is told: a journal that is gone, a replica that was changed")
    func refusals() throws {
        let scenario = try PreparedScenario()
        let journal = try #require(scenario.prepare().journal)
        let bytes = try scenario.files.bytes(of: scenario.journal)
        try FileManager.default.removeItem(atPath: scenario.journal)
        for body in [{ try scenario.check(journal) }, { _ = try scenario.finish(journal) }] {
            guard case .peer(_, let failure) = resyncError(body) else {
                Issue.record("no refusal")
                return
            }
            #expect(failure.text.contains("is not as it was prepared"))
        }
        try bytes.write(to: URL(filePath: scenario.journal))
        try scenario.check(journal)
        let writer = try ImageWriter(openingImageAt: scenario.files.replica)
        try writer.write([1, 2, 3, 4].rawSpan, at: 0)
        try writer.close()
        let before = try scenario.files.bytes(of: scenario.files.replica)
        for body in [{ try scenario.check(journal) }, { _ = try scenario.finish(journal) }] {
            guard case .peer = resyncError(body) else {
                Issue.record("no refusal")
                return
            }
        }
        #expect(try scenario.files.bytes(of: scenario.files.replica) == before)
    }

    // MARK: Connections that break

    /// Where the frames of something end, in both directions.
    private func cuts(
        _ body: (@escaping PreparedScenario.Wrap) throws -> Void
    ) throws -> [CutConnection.Cut] {
        let made = Lock<CutConnection?>(nil)
        try body { (connection, _) in
            let cut = CutConnection(connection, nil)
            made.withLock { $0 = cut }
            return cut
        }
        let cut = try #require(made.withLock { $0 })
        return [CutConnection.Direction.sent, .received].flatMap { direction in
            cut.frameEnds(direction).flatMap { [$0 - 1, $0] }.map {
                CutConnection.Cut(direction: direction, byteCount: $0)
            }
        }
    }

    private func cutting(_ cut: CutConnection.Cut) -> PreparedScenario.Wrap {
        { (connection, number) in number > 0 ? connection : CutConnection(connection, cut) }
    }

    @Test("Cut while it is prepared, at and in each frame, the replica is as it was")
    func cutWhilePrepared() throws {
        let cuts = try cuts { _ = try PreparedScenario().prepare($0) }
        for cut in cuts {
            let scenario = try PreparedScenario()
            let before = try scenario.files.bytes(of: scenario.files.replica)
            let error = resyncError { _ = try scenario.prepare(cutting(cut)) }
            if let error, !error.isOfConnection { Issue.record("\(cut): \(error)") }
            #expect(try scenario.files.bytes(of: scenario.files.replica) == before, "\(cut)")
            let second = try scenario.prepare()
            try scenario.finish(try #require(second.journal))
            #expect(try scenario.isNew(), "\(cut)")
        }
        // By itself it goes on.
        let scenario = try PreparedScenario()
        let prepared = try scenario.prepare(retryCount: 1, cutting(cuts[cuts.count / 2]))
        try scenario.finish(try #require(prepared.journal))
        #expect(try scenario.isNew())
        print("runs that prepare a replica over two hosts cut: \(cuts.count)")
    }

    @Test("Cut while it is finished, at and in each frame, it calls again and is done")
    func cutWhileFinished() throws {
        let cuts = try cuts { wrap in
            let scenario = try PreparedScenario()
            try scenario.finish(try #require(scenario.prepare().journal), wrap)
        }
        for cut in cuts {
            let scenario = try PreparedScenario()
            let journal = try #require(scenario.prepare().journal)
            // Before it was asked for, it counts as any connection that breaks.
            let report = try scenario.finish(journal, retryCount: 1, cutting(cut))
            #expect(report.isVerified, "\(cut)")
            #expect(try scenario.isNew(), "\(cut)")
            #expect(try scenario.files.directory.names.count == 2, "\(cut)")
        }
        print("ends of a replica over two hosts cut: \(cuts.count)")
        let scenario = try PreparedScenario()
        let journal = try #require(scenario.prepare().journal)
        let last = try #require(cuts.last { $0.direction == .received })
        let error = resyncError {
            try scenario.finish(journal) { (connection, number) throws(TransportError) in
                guard number == 0 else { throw .unreachable(peer: "other", errno: 111) }
                return CutConnection(
                    connection,
                    CutConnection.Cut(direction: .received, byteCount: last.byteCount - 2))
            }
        }
        #expect(error == .unknownOutcome(peer: "other"))
    }

    // MARK: Peers that do not know of it, or lie

    @Test("Who speaks version 1 is not asked, and is refused what it cannot know")
    func olderPeers() throws {
        let (near, far) = try InProcessConnection.pair()
        let channel = PeerChannel(far, settings: ChannelSettings())
        channel.send(.hello(Hello(version: 1, oldest: 1)))
        let scenario = try PreparedScenario()
        let error = resyncError {
            _ = try scenario.prepare { (connection, _) in
                connection.close()
                return near
            }
        }
        #expect(error == .unsupportedProtocol(oldest: 1, newest: 1))
        // It ends the connection, with or without a greeting before.
        while let message = try? channel.receive() { #expect(message.kind == .hello) }

        let (client, server) = try InProcessConnection.pair()
        let host = TestHost()
        let group = RemoteRun.serve(server, host)
        let older = PeerChannel(client, settings: ChannelSettings())
        older.send(.hello(Hello(version: 1, oldest: 1)))
        older.send(
            .open(
                OpenRequest(
                    role: .sender, flags: .prepare, blockSize: 65536, path: scenario.files.replica))
        )
        let refusal = resyncError { while try older.receive() != nil {} }
        guard case .peer = refusal else {
            Issue.record("no refusal: \(String(describing: refusal))")
            return
        }
        older.close()
        group.wait()
        #expect(host.ended.withLock { $0.isEmpty })
    }

    @Test("What is no journal, or nothing, is not checked and not finished")
    func noJournal() throws {
        let scenario = try PreparedScenario()
        let journal = try #require(scenario.prepare().journal)
        let before = try scenario.files.bytes(of: scenario.files.replica)
        for flags in [.check, .finish] as [OpenRequest.Flags] {
            for message in [
                .prepared([UInt8](repeating: 0, count: 352)), .settled(0),
                .prepared(Array(journal.encoded().reversed())),
            ] as [Message] {
                let (client, server) = try InProcessConnection.pair()
                let host = TestHost()
                let group = RemoteRun.serve(server, host)
                let channel = PeerChannel(client, settings: ChannelSettings())
                channel.send(.hello(Hello()))
                channel.send(
                    .open(
                        OpenRequest(
                            role: .sender, flags: flags, blockSize: 65536,
                            path: scenario.files.replica)))
                channel.send(message)
                guard case .peer = resyncError({ while try channel.receive() != nil {} }) else {
                    Issue.record("no refusal")
                    return
                }
                channel.close()
                group.wait()
                guard case .protocolViolation = host.ended.withLock({ $0.first ?? nil }) else {
                    Issue.record("another error")
                    return
                }
            }
        }
        #expect(try scenario.files.bytes(of: scenario.files.replica) == before)
    }

    @Test("A receiver that prepares without being asked, twice, or for another primary")
    func hostileReceiver() throws {
        let journal = try #require(try PreparedScenario().prepare().journal)
        let geometry = RemoteGeometry(
            virtualSize: journal.header.virtualSize, blockSize: journal.header.blockSize)
        let zeros = try ZeroDigests(
            virtualSize: geometry.virtualSize, blockSize: geometry.blockSize)
        let target = TargetOffer(
            virtualSize: geometry.virtualSize, salt: .random(), resultState: .zero,
            heldBlockCount: 0, isDone: false)
        func state(_ source: DiskState?, isFinished: Bool = true) throws -> SenderState {
            var state = SenderState(
                try SenderSession(geometry, zeros, isDryRun: false), expectsDone: false,
                preparedSource: source)
            _ = try state.received(.target(target))
            state.isFinished = isFinished
            return state
        }
        let message = Message.prepared(journal.encoded())
        var right = try state(journal.header.source)
        #expect(try !right.received(message))
        #expect(right.prepared == journal)
        func violation(_ body: () throws -> Void) -> Bool {
            if case .protocolViolation = resyncError(body) { true } else { false }
        }
        #expect(violation { _ = try right.received(message) })
        for source in [nil, .unknown] as [DiskState?] {
            var state = try state(source)
            #expect(violation { _ = try state.received(message) })
        }
        var early = try state(journal.header.source, isFinished: false)
        #expect(violation { _ = try early.received(message) })
        var other = try state(journal.header.source)
        #expect(
            violation { _ = try other.received(.prepared([UInt8](repeating: 1, count: 352))) })
    }
}
