import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A run over two files")
struct LocalResyncTests {
    private func options(
        _ comparison: Comparison = .hash, blockSize: Int = 65536
    ) -> ResyncOptions {
        var options = ResyncOptions(workerCount: 2)
        options.comparison = comparison
        options.blockSize = blockSize
        return options
    }

    private func resynchronize(
        _ files: DiskFiles, _ options: ResyncOptions
    ) throws -> DiskReport {
        try LocalResync(primary: files.primary, replica: files.replica, options: options)
            .run(monitor: ResyncMonitor())
    }

    @Test("The replica becomes the primary, and stays as it is in a second run")
    func makesEqual() throws {
        for seed in 200..<208 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            var options = options(seed % 2 == 0 ? .hash : .bytes)
            options.verifiesWholeReplica = seed % 4 < 2
            let primaryBytes = try files.bytes(of: files.primary)
            let report = try resynchronize(files, options)
            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: 65536)
            #expect(try files.content(of: files.replica).readsAs(pair.primary), "seed \(seed)")
            #expect(report.isVerified, "seed \(seed)")
            #expect(report.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(report.counts.virtualSize == pair.primary.byteCount, "seed \(seed)")
            #expect(
                report.counts.bytesWritten == expected.byteCount(expected.differing),
                "seed \(seed)")
            let root = try naiveRoot(of: pair.primary, blockSize: 65536)
            #expect(
                report.rootDigest == (options.comparison == .hash ? root : nil), "seed \(seed)")

            try files.setChanged(files.replica)
            let before = try files.bothFiles
            let second = try resynchronize(files, options)
            #expect(second.counts.blocksDiffering == 0 && second.counts.bytesWritten == 0)
            #expect(second.isVerified && second.rootDigest == report.rootDigest, "seed \(seed)")
            #expect(try files.bothFiles == before, "seed \(seed)")
            #expect(before[0] == primaryBytes, "seed \(seed)")
        }
    }

    @Test("Verifying reads the whole replica once more", arguments: Comparison.allCases)
    func verifies(_ comparison: Comparison) throws {
        var generator = SeededGenerator(seed: 210)
        let shape = DiskShape(virtualSize: 4 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(1 << 20..<3 << 20, using: &generator)
        pair.replica = pair.primary
        let files = try DiskFiles(pair, using: &generator)
        var options = options(comparison)
        let plain = try resynchronize(files, options)
        options.verifiesWholeReplica = true
        let report = try resynchronize(files, options)
        #expect(report.isVerified)
        let more: UInt64 = comparison == .bytes ? 4 << 20 : 2 << 20
        #expect(report.counts.bytesRead == plain.counts.bytesRead + more)
        #expect(report.counts.blocksCompared == plain.counts.blocksCompared)
        #expect(report.counts.blocksTotal == 64 && report.counts.blocksSkipped == 32)
    }

    @Test("Sizes that differ are an error, and neither file is touched", arguments: [false, true])
    func differentSizes(_ isDryRun: Bool) throws {
        var generator = SeededGenerator(seed: 211)
        let scenario = FaultScenario.inEachWay(seed: 212)
        let dirty = try #require(try scenario.interrupted())
        let size = scenario.new.byteCount
        for content in [scenario.replica, dirty] {
            let files = try DiskFiles()
            let other = DiskShape(virtualSize: size + 512)
            let primary = other.image(
                holding: DiskContent(byteCount: size + 512), using: &generator)
            try files.write(primary.content, to: files.primary)
            try files.write(content, to: files.replica)
            let before = try files.bothFiles
            var options = options()
            options.isDryRun = isDryRun
            options.createsReplica = true
            let error = resyncError { _ = try resynchronize(files, options) }
            #expect(error == .differentSizes(primary: size + 512, replica: size))
            #expect(try files.bothFiles == before)
        }
    }

    @Test("One file under two names is an error, and is not touched")
    func sameFile() throws {
        var generator = SeededGenerator(seed: 213)
        let files = try DiskFiles(DiskPair(using: &generator), using: &generator)
        let hard = files.directory.path("hard.vhdx")
        let symbolic = files.directory.path("symbolic.vhdx")
        try files.link(hard, to: files.primary, isSymbolic: false)
        try files.link(symbolic, to: files.primary, isSymbolic: true)
        let dotted = files.directory.path("./primary.vhdx")
        let before = try files.bothFiles
        for other in [files.primary, hard, symbolic, dotted] {
            for isDryRun in [false, true] {
                var options = options()
                options.isDryRun = isDryRun
                options.createsReplica = true
                let run = LocalResync(primary: files.primary, replica: other, options: options)
                let expected = ResyncError.sameFile(primary: files.primary, replica: other)
                #expect(resyncError { _ = try run.run(monitor: ResyncMonitor()) } == expected)
            }
            let comparison = DiskComparison(
                primary: other, replica: files.primary, options: options())
            let expected = ResyncError.sameFile(primary: other, replica: files.primary)
            #expect(resyncError { _ = try comparison.run(monitor: ResyncMonitor()) } == expected)
        }
        #expect(try files.bothFiles == before)
    }

    @Test("A dry run counts what differs and changes no byte", arguments: Comparison.allCases)
    func dryRun(_ comparison: Comparison) throws {
        for seed in 220..<224 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            let before = try files.bothFiles
            var options = options(comparison)
            options.isDryRun = true
            options.verifiesWholeReplica = true
            let report = try resynchronize(files, options)
            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: 65536)
            #expect(report.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(report.counts.bytesWritten == 0, "seed \(seed)")
            #expect(report.isVerified == expected.differing.isEmpty, "seed \(seed)")
            #expect(try files.bothFiles == before, "seed \(seed)")
            #expect(try files.directory.names == ["primary.vhdx", "replica.vhdx"])
        }
    }

    @Test(
        "A replica that is made has the primary's geometry and identity",
        arguments: [false, true], [512, 4096] as [UInt64])
    func createsReplica(_ isFixed: Bool, _ sectorSize: UInt64) throws {
        var generator = SeededGenerator(seed: 230)
        let shape = DiskShape(
            virtualSize: (5 << 20) + 4096, blockSize: 2 << 20, sectorSize: sectorSize,
            isFixed: isFixed)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(1 << 20..<(1 << 20) + 8192, using: &generator)
        pair.primary.fill(5 << 20..<(5 << 20) + 4096, using: &generator)
        let files = try DiskFiles()
        try files.write(pair.images(using: &generator).primary.content, to: files.primary)
        var options = options()
        let missing = resyncError { _ = try resynchronize(files, options) }
        let path = files.replica
        #expect(
            missing
                == .disk(
                    .replica, .file(.system(.open, path: path, at: nil, errno: ENOENT))))

        options.createsReplica = true
        options.isDryRun = true
        let plan = try resynchronize(files, options)
        #expect(plan.counts.blocksDiffering == 2 && !plan.isVerified)
        #expect(try files.directory.names == ["primary.vhdx"])

        options.isDryRun = false
        let report = try resynchronize(files, options)
        #expect(report.isVerified && report.counts.blocksDiffering == 2)
        // Nothing can be lost that a journal would protect.
        #expect(report.counts.bytesRecorded == 0 && report.counts.bytesWritten > 0)
        #expect(try files.directory.names == ["primary.vhdx", "replica.vhdx"])
        #expect(try files.content(of: files.replica).readsAs(pair.primary))
        let (primary, replica) = (try files.info(of: files.primary), try files.info(of: path))
        #expect(replica.virtualDiskID == primary.virtualDiskID)
        #expect("\(replica.virtualDiskID)".lowercased() == ImageBuilder.diskID)
        #expect(replica.kind == (isFixed ? .fixed : .dynamic) && replica.kind == primary.kind)
        #expect(replica.payloadBlockSize == 2 << 20)
        #expect(replica.logicalSectorSize == sectorSize && replica.physicalSectorSize == 4096)
        #expect(replica.fileWriteGUID != primary.fileWriteGUID)
        // One that exists is not made again.
        let again = try resynchronize(files, options)
        #expect(again.counts.blocksDiffering == 0)
        #expect(try files.info(of: path).dataWriteGUID == replica.dataWriteGUID)
    }

    @Test("A primary with a log to replay is not changed by a byte, and its content is the newest")
    func dirtyPrimary() throws {
        let scenario = FaultScenario.inEachWay(seed: 240)
        let dirty = try #require(try scenario.interrupted())
        let new = try content(of: MemoryFile(content: dirty))
        let files = try DiskFiles()
        try files.write(dirty, to: files.primary)
        let before = try files.bytes(of: files.primary)
        var options = options()
        options.createsReplica = true
        let report = try resynchronize(files, options)
        #expect(report.isVerified)
        #expect(try files.bytes(of: files.primary) == before)
        #expect(try files.info(of: files.primary).logIsDirty)
        #expect(try files.content(of: files.replica).readsAs(new))
        #expect(try !files.info(of: files.replica).logIsDirty)
    }

    @Test("A replica with a log to replay is completed")
    func dirtyReplica() throws {
        let scenario = FaultScenario.inEachWay(seed: 241)
        let files = try DiskFiles()
        try files.write(scenario.primary.content, to: files.primary)
        try files.write(try #require(try scenario.interrupted()), to: files.replica)
        let report = try resynchronize(files, options())
        #expect(report.isVerified)
        #expect(try files.content(of: files.replica).readsAs(scenario.new))
    }

    @Test("A stop before the start is an error, and leaves the replica alone")
    func stopped() throws {
        var generator = SeededGenerator(seed: 242)
        let files = try DiskFiles(DiskPair(using: &generator), using: &generator)
        let before = try files.bothFiles
        let monitor = ResyncMonitor()
        monitor.requestStop(.timeout)
        let run = LocalResync(primary: files.primary, replica: files.replica, options: options())
        #expect(resyncError { _ = try run.run(monitor: monitor) } == .stopped(.timeout))
        #expect(try files.bothFiles == before)
    }

    @Test("Options out of range are an error before any file is opened")
    func optionsOutOfRange() throws {
        let files = try DiskFiles()
        let wrong: [(Int, Int, String)] =
            [0, -4096, 2048, 65535, 65536 + 4096, 32 << 20].map { size in
                (
                    size, 1,
                    "the block size must be a power of two from 4 KiB to 16 MiB, not \(size)"
                )
            }
            + [0, -1, 257].map { (65536, $0, "the number of jobs must be 1 to 256, not \($0)") }
        for (blockSize, workerCount, message) in wrong {
            var options = ResyncOptions(workerCount: workerCount)
            options.blockSize = blockSize
            options.createsReplica = true
            let (primary, replica) = (files.primary, files.replica)
            let monitor = ResyncMonitor()
            let errors = [
                resyncError {
                    _ = try LocalResync(primary: primary, replica: replica, options: options)
                        .run(monitor: monitor)
                },
                resyncError {
                    _ = try DiskComparison(primary: primary, replica: replica, options: options)
                        .run(monitor: monitor)
                },
                resyncError {
                    _ = try DiskMapping(disk: primary, output: replica, options: options)
                        .run(monitor: monitor)
                },
            ]
            let expected = ResyncError.invalidOption(message)
            #expect(errors == [expected, expected, expected])
        }
        #expect(try files.directory.names == [])
    }
}
