import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A run over two hosts")
struct RemoteResyncTests {
    @Test("The replica becomes the primary, whoever calls", arguments: [Role.primary, .replica])
    func makesEqual(_ local: Role) throws {
        for seed in 300..<308 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            var options = ResyncOptions(workerCount: 2)
            options.blockSize = [4096, 65536, 1 << 20][Int(seed % 3)]
            options.verifiesWholeReplica = seed % 4 < 2
            let expected = ExpectedDifference(
                pair.primary, pair.replica, blockSize: options.blockSize)
            let host = TestHost()
            let (near, far) =
                local == .primary
                ? (files.primary, files.replica) : (files.replica, files.primary)
            let report = try RemoteRun(options).run(local: near, local, remote: far, host: host)
            #expect(try files.content(of: files.replica).readsAs(pair.primary), "seed \(seed)")
            #expect(report.isVerified, "seed \(seed)")
            #expect(report.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            let root = try naiveRoot(of: pair.primary, blockSize: options.blockSize)
            #expect(report.rootDigest == root, "seed \(seed)")
            #expect(host.ended.withLock { $0 } == [nil])

            try files.setChanged(files.replica)
            let before = try files.bothFiles
            let second = try RemoteRun(options).run(local: near, local, remote: far, host: host)
            #expect(second.counts.blocksDiffering == 0 && second.counts.bytesWritten == 0)
            #expect(second.isVerified && second.rootDigest == root, "seed \(seed)")
            #expect(try files.bothFiles == before, "seed \(seed)")
            #expect(second.counts.bytesSent + second.counts.bytesReceived < 4096)
        }
    }
}
