import Foundation
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Resync

/// A pair of disks of some mebibytes, whose runs over two hosts are disturbed.
private struct CutScenario {
    let pair: DiskPair
    let images: (primary: MemoryFile, replica: MemoryFile)
    let local: Role
    var options = ResyncOptions(workerCount: 1)

    init(_ local: Role, seed: UInt64 = 11) {
        var generator = SeededGenerator(seed: seed)
        let shape = DiskShape(
            virtualSize: 9 << 20 | 512, blockSize: 1 << 20, sectorSize: 512, isFixed: false)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<6 << 20, using: &generator)
        pair.replica = pair.primary
        pair.primary.fill(1 << 20..<2 << 20, using: &generator)
        pair.primary.fill(4 << 20..<5 << 20 | 512, using: &generator)
        pair.primary.clear(3 << 20..<3 << 20 | 131_072)
        pair.primary.fill(9 << 20..<9 << 20 | 512, using: &generator)
        self.pair = pair
        images = pair.images(using: &generator)
        self.local = local
    }

    func files() throws -> DiskFiles {
        let files = try DiskFiles()
        try files.write(images.primary.content, to: files.primary)
        try files.write(images.replica.content, to: files.replica)
        return files
    }

    /// The primary alone, with no replica yet.
    func filesWithoutReplica() throws -> DiskFiles {
        let files = try DiskFiles()
        try files.write(images.primary.content, to: files.primary)
        return files
    }

    /// Blocks of the primary that a half-written or new replica lacks.
    func missingBlockCount(_ files: DiskFiles) throws -> UInt64 {
        guard FileManager.default.fileExists(atPath: files.replica) else {
            return blockCount(ofPages: pair.primary.pagesWithData)
        }
        let reader = try ImageReader(openingImageAt: files.replica, acceptsMark: true)
        let content = try ResyncTests.content(of: reader)
        return blockCount(ofPages: content.pagesThatDiffer(from: pair.primary))
    }

    private func blockCount(ofPages pages: Set<UInt64>) -> UInt64 {
        UInt64(Set(pages.map { $0 / UInt64(options.blockSize) }).count)
    }

    /// Runs over connections that a closure makes something else of, the first one being number 0.
    func run(
        _ files: DiskFiles, retryCount: Int = 0, host: TestHost = TestHost(),
        monitor: ResyncMonitor = ResyncMonitor(),
        _ wrap: @escaping @Sendable (any Connection, Int) throws(TransportError) -> any Connection =
            { (connection, _) throws(TransportError) in connection }
    ) throws -> DiskReport {
        let groups = Lock<[DispatchGroup]>([])
        let peer = RemotePeer(name: "other", settings: ChannelSettings()) {
            () throws(TransportError) in
            let number = groups.withLock { $0.count }
            let (near, far) = try InProcessConnection.pair()
            let wrapped: any Connection
            do throws(TransportError) {
                wrapped = try wrap(near, number)
            } catch {
                far.close()
                throw error
            }
            groups.withLock { $0.append(RemoteRun.serve(far, host)) }
            return wrapped
        }
        defer {
            peer.close()
            for group in groups.withLock({ $0 }) { group.wait() }
        }
        let (near, far) =
            local == .primary ? (files.primary, files.replica) : (files.replica, files.primary)
        var resync = RemoteResync(
            localPath: near, local, remotePath: far, remoteName: "other", options: options,
            describe: TestHost.describe)
        resync.retryCount = retryCount
        resync.firstPauseSeconds = 0.01
        return try resync.run(through: peer, monitor: monitor)
    }

    /// Where frames of an undisturbed run end, and how many bytes of records it has.
    func measure(_ files: DiskFiles? = nil) throws -> (
        sent: [Int], received: [Int], recordedByteCount: UInt64
    ) {
        let made = Lock<CutConnection?>(nil)
        let report = try run(try files ?? self.files()) { (connection, _) throws(TransportError) in
            let cut = CutConnection(connection, nil)
            made.withLock { $0 = cut }
            return cut
        }
        let cut = try #require(made.withLock { $0 })
        return (cut.frameEnds(.sent), cut.frameEnds(.received), report.counts.bytesRecorded)
    }

    /// Bytes of records that an unfinished journal holds.
    func heldByteCount(_ files: DiskFiles) throws -> UInt64 {
        let path = files.replica + ".resync"
        guard FileManager.default.fileExists(atPath: path) else { return 0 }
        let byteCount = UInt64(try files.bytes(of: path).count)
        return byteCount - min(byteCount, UInt64(DeltaHeader.byteCount))
    }

    /// Whether the replica is old or new; a half-written one is finished first.
    func isNew(_ files: DiskFiles) throws -> Bool {
        let content: DiskContent
        do {
            content = try files.content(of: files.replica)
        } catch {
            try ReplicaRecovery(replica: files.replica, options: options)
                .run(monitor: ResyncMonitor())
            let recovered = try files.content(of: files.replica)
            #expect(recovered.readsAs(pair.primary))
            return true
        }
        if content.readsAs(pair.primary) { return true }
        #expect(content.readsAs(pair.replica))
        return false
    }
}

@Suite("Runs over two hosts whose connection breaks", .serialized)
struct CutRunTests {
    @Test("At and in each frame, in either direction", arguments: [Role.primary, .replica])
    func cutAnywhere(_ local: Role) throws {
        let scenario = CutScenario(local)
        let (sent, received, recorded) = try scenario.measure()
        var runs = 0
        var completed = 0
        for (direction, ends) in [(CutConnection.Direction.sent, sent), (.received, received)] {
            for end in ends.flatMap({ [$0 - 1, $0] }) {
                let name: Comment = "\(direction) \(end)"
                let files = try scenario.files()
                runs += 1
                let error = resyncError {
                    _ = try scenario.run(files) { (connection, number) throws(TransportError) in
                        number > 0
                            ? connection
                            : CutConnection(
                                connection,
                                CutConnection.Cut(direction: direction, byteCount: end))
                    }
                }
                if error == nil { completed += 1 }
                if let error, !error.isOfConnection { Issue.record("\(name): \(error)") }
                let isNew = try scenario.isNew(files)
                #expect(error != nil || isNew, name)

                let held = try scenario.heldByteCount(files)
                let second = try scenario.run(files)
                #expect(try files.content(of: files.replica).readsAs(scenario.pair.primary), name)
                #expect(second.isVerified, name)
                // What was received before is not sent again.
                let missing = isNew ? 0 : recorded - min(recorded, held)
                #expect(second.counts.bytesRecorded <= missing, name)
                #expect(try files.directory.names.count == 2, name)
            }
        }
        print("runs over two hosts cut: \(runs), of which \(completed) completed: \(local)")
        #expect(completed >= 1)
    }

    @Test("While the replica is made, in either direction", arguments: [Role.primary, .replica])
    func cutWhileMaking(_ local: Role) throws {
        var scenario = CutScenario(local)
        scenario.options.workerCount = 2
        scenario.options.createsReplica = true
        let (sent, received, _) = try scenario.measure(try scenario.filesWithoutReplica())
        var (runs, marked) = (0, 0)
        for (direction, ends) in [(CutConnection.Direction.sent, sent), (.received, received)] {
            for end in ends.flatMap({ [$0 - 1, $0] }) {
                let name: Comment = "\(direction) \(end)"
                let files = try scenario.filesWithoutReplica()
                runs += 1
                _ = resyncError {
                    _ = try scenario.run(files) { (connection, number) throws(TransportError) in
                        number > 0
                            ? connection
                            : CutConnection(
                                connection,
                                CutConnection.Cut(direction: direction, byteCount: end))
                    }
                }
                // It is not there, or holds nothing, or refuses to open, or is whole.
                if FileManager.default.fileExists(atPath: files.replica) {
                    do {
                        let content = try files.content(of: files.replica)
                        #expect(
                            content.pagesWithData.isEmpty
                                || content.readsAs(scenario.pair.primary), name)
                    } catch let VHDXError.unfinishedApply(_, mark) {
                        #expect(mark.streamID == .zero, name)
                        marked += 1
                    }
                }
                // What was written before is not sent again, and no journal is needed.
                let missing = try scenario.missingBlockCount(files)
                let second = try scenario.run(files)
                #expect(second.isVerified, name)
                #expect(second.counts.blocksDiffering == missing, name)
                #expect(try files.content(of: files.replica).readsAs(scenario.pair.primary), name)
                #expect(try files.directory.names == ["primary.vhdx", "replica.vhdx"], name)
            }
        }
        print("runs that make a replica cut: \(runs), of which \(marked) left a mark: \(local)")
        #expect(marked > 0)
    }

    @Test("A run calls again by itself, and goes on", arguments: [Role.primary, .replica])
    func callsAgain(_ local: Role) throws {
        let scenario = CutScenario(local)
        let (sent, received, recorded) = try scenario.measure()
        let (direction, ends) =
            local == .primary
            ? (CutConnection.Direction.sent, sent) : (CutConnection.Direction.received, received)
        let files = try scenario.files()
        let report = try scenario.run(files, retryCount: 4) {
            (connection, number) throws(TransportError) in
            guard number < 3 else { return connection }
            return CutConnection(
                connection,
                CutConnection.Cut(
                    direction: direction, byteCount: ends[min(ends.count - 1, 3 + number)]))
        }
        #expect(report.isVerified && report.counts.bytesRecorded <= recorded)
        #expect(try files.content(of: files.replica).readsAs(scenario.pair.primary))
    }

    @Test("A break before the result is asked about")
    func resultIsAskedFor() throws {
        let scenario = CutScenario(.primary)
        let (sent, received, _) = try scenario.measure()
        let finish = try #require(sent.last)
        let result = try #require(received.last)
        for cut in [
            CutConnection.Cut(direction: .sent, byteCount: finish),
            CutConnection.Cut(direction: .received, byteCount: result - 1),
        ] {
            let files = try scenario.files()
            let report = try scenario.run(files) { (connection, number) throws(TransportError) in
                number == 0 ? CutConnection(connection, cut) : connection
            }
            #expect(report.isVerified)
            #expect(try files.content(of: files.replica).readsAs(scenario.pair.primary))
        }
        let files = try scenario.files()
        let error = resyncError {
            _ = try scenario.run(files) { (connection, number) throws(TransportError) in
                guard number == 0 else { throw .unreachable(peer: "other", errno: 111) }
                return CutConnection(
                    connection,
                    CutConnection.Cut(direction: .received, byteCount: result - 1))
            }
        }
        #expect(error == .unknownOutcome(peer: "other"))
        #expect(try scenario.isNew(files))
    }

    @Test("A primary that changes meanwhile", arguments: [Role.primary, .replica])
    func primaryChanges(_ local: Role) throws {
        let scenario = CutScenario(local)
        let files = try scenario.files()
        let path = files.primary
        let before = try files.bytes(of: files.replica)
        let error = resyncError {
            _ = try scenario.run(files) { (connection, _) throws(TransportError) in
                // Behind the greeting and the source, or the request.
                CutConnection(
                    connection, nil,
                    hook: (
                        20,
                        {
                            let moment = Date(timeIntervalSince1970: 1_100_000_000)
                            try? FileManager.default.setAttributes(
                                [.modificationDate: moment], ofItemAtPath: path)
                        }
                    ))
            }
        }
        switch (local, error) {
        case (.primary, .primaryChanged?), (.replica, .peer?), (.replica, nil): break
        default: Issue.record("\(String(describing: error))")
        }
        if error != nil { #expect(try files.bytes(of: files.replica) == before) }
    }

    @Test("A stop on this side", arguments: [Role.primary, .replica])
    func stops(_ local: Role) throws {
        let scenario = CutScenario(local)
        let files = try scenario.files()
        let before = try files.bytes(of: files.replica)
        let monitor = ResyncMonitor()
        let error = resyncError {
            _ = try scenario.run(files, monitor: monitor) {
                (connection, _) throws(TransportError) in
                CutConnection(
                    connection, nil, hook: (30, { monitor.requestStop(.cancelled) }))
            }
        }
        #expect(error == .stopped(.cancelled))
        #expect(try files.bytes(of: files.replica) == before)
        _ = try scenario.run(files)
        #expect(try files.content(of: files.replica).readsAs(scenario.pair.primary))
    }

    @Test("A stop on the other side", arguments: [Role.primary, .replica])
    func stopsThere(_ local: Role) throws {
        let scenario = CutScenario(local)
        let files = try scenario.files()
        let before = try files.bytes(of: files.replica)
        let host = TestHost()
        host.monitor.requestStop(.cancelled)
        let error = resyncError { _ = try scenario.run(files, host: host) }
        guard case .peer? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(host.ended.withLock { $0 } == [.stopped(.cancelled)])
        #expect(try files.bytes(of: files.replica) == before)
    }
}

extension ResyncError {
    /// Whether the connection broke, which the other side may have been faster to say.
    var isOfConnection: Bool {
        switch self {
        case .connection: true
        default: false
        }
    }
}
