import Foundation
import Storage
import TestSupport
import Testing
import Transport
import VHDX

@testable import Resync

/// A service whose client says what no client should.
@Suite("Services and hostile clients")
struct HostileRunTests {
    private struct Served {
        let files: DiskFiles
        let host = TestHost()
        let channel: PeerChannel
        let group: DispatchGroup
        let virtualSize: UInt64 = 8 << 20

        init(_ role: ClientRole) throws {
            var generator = SeededGenerator(seed: 5)
            let shape = DiskShape(
                virtualSize: 8 << 20, blockSize: 1 << 20, sectorSize: 512, isFixed: false)
            var pair = DiskPair(primary: shape, replica: shape)
            pair.primary.fill(0..<1 << 20, using: &generator)
            files = try DiskFiles(pair, using: &generator)
            let (near, far) = try InProcessConnection.pair()
            group = RemoteRun.serve(far, host)
            channel = PeerChannel(near, settings: ChannelSettings())
            channel.send(.hello(Hello()))
            channel.send(
                .open(
                    OpenRequest(
                        role: role, blockSize: 65536,
                        path: role == .sender ? files.replica : files.primary)))
            try channel.checkGreeting()
        }

        /// What the service has failed with.
        func end() -> ResyncError? {
            channel.close()
            group.wait()
            return host.ended.withLock { $0.first ?? nil }
        }

        func target() -> TargetOffer {
            TargetOffer(
                virtualSize: virtualSize, salt: .random(), resultState: .zero, heldBlockCount: 0,
                isDone: false)
        }

        func nextFailure() -> ResyncError? {
            resyncError { while true { _ = try channel.next() } }
        }
    }

    @Test("Content that is not what its digests say never gets into a journal")
    func lyingContent() throws {
        for payload in [[0], [UInt8](repeating: 1, count: 65536)] as [[UInt8]] {
            let served = try Served(.sender)
            let before = try served.files.bytes(of: served.files.replica)
            let state = DiskState(
                virtualDiskID: .random(), dataWriteGUID: .random(),
                fileState: ModelDisk.digest(1, of: 1))
            served.channel.send(
                .source(SourceOffer(virtualSize: served.virtualSize, state: state, shape: nil)))
            guard case .target = try served.channel.next(),
                case .digests = try served.channel.next()
            else {
                Issue.record("no target")
                return
            }
            let digest = ModelDisk.digest(1, of: 0)
            served.channel.send(
                .records(CraftedDelta.Record.data(0, digests: [digest], payload: payload).bytes))
            // The root that the lie would have.
            var tree = try DigestTreeBuilder(virtualSize: served.virtualSize, blockSize: 65536)
            tree.append(digest)
            tree.append(zeroBlocks: 127)
            served.channel.send(
                .finish(
                    Finish(root: tree.root(), differingBlockCount: 1, counts: RemoteCounts())))
            guard case .peer? = served.nextFailure() else {
                Issue.record("no failure")
                return
            }
            guard case .damagedDelta? = served.end() else {
                Issue.record("another error")
                return
            }
            #expect(try served.files.bytes(of: served.files.replica) == before)
            #expect(try served.files.directory.names.count == 2)
        }
    }

    @Test("A receiver that is early, of another size, or done with what nobody asked for")
    func hostileReceiver() throws {
        for round in 0..<4 {
            let served = try Served(.receiver)
            guard case .source = try served.channel.next() else { return }
            var target = served.target()
            if round == 0 { target.virtualSize += 512 }
            if round == 1 { target.heldBlockCount = .max }
            if round == 2 { target.isDone = true }
            served.channel.send(.target(target))
            if round == 3 {
                served.channel.send(
                    .status(
                        RemoteStatus(
                            phase: .comparing, bytesDone: .max, bytesToDo: .max,
                            counts: RemoteCounts())))
            }
            guard case .peer? = served.nextFailure() else {
                Issue.record("no failure in round \(round)")
                return
            }
            guard case .protocolViolation? = served.end() else {
                Issue.record("another error in round \(round)")
                return
            }
        }
    }

    @Test("Counts that no disk has")
    func absurdCounts() throws {
        let served = try Served(.receiver)
        guard case .source = try served.channel.next() else { return }
        served.channel.send(.target(served.target()))
        served.channel.send(.digests([WindowRange(windowCount: 1, digest: nil)]))
        while true {
            if case .finish = try served.channel.next() { break }
        }
        var counts = RemoteCounts()
        counts.bytesRead = .max
        counts.bytesHashed = .max
        counts.bytesWritten = .max
        for phase in [ResyncPhase.comparing, .applying, .verifying] {
            served.channel.send(
                .status(
                    RemoteStatus(
                        phase: phase, bytesDone: .max, bytesToDo: .max, counts: counts)))
        }
        served.channel.send(
            .result(
                RemoteResult(
                    root: .zero, preparation: .none, recovery: .nothingToDo, isVerified: true,
                    counts: counts)))
        served.channel.finish()
        #expect(served.end() == nil)
        #expect(served.host.ended.withLock { $0 } == [nil])
        // What a client makes of them, again and again.
        let monitor = ResyncMonitor()
        for _ in 0..<100 { monitor.add(counts, ofReceiver: true) }
        #expect(monitor.counts.bytesWritten == 100 * RemoteCounts.maximum)
    }
}
