import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("Maps of disks, and comparisons")
struct DiskMappingTests {
    private static let blockSizes = [4096, 65536, 1 << 20, 16 << 20]

    private func options(blockSize: Int, _ comparison: Comparison = .hash) -> ResyncOptions {
        var options = ResyncOptions(workerCount: 2)
        options.blockSize = blockSize
        options.comparison = comparison
        return options
    }

    private func map(
        _ disk: String, to output: String, blockSize: Int, monitor: ResyncMonitor = ResyncMonitor()
    ) throws -> DiskReport {
        try DiskMapping(disk: disk, output: output, options: options(blockSize: blockSize))
            .run(monitor: monitor)
    }

    private func compare(
        _ primary: String, _ replica: String, blockSize: Int, _ comparison: Comparison = .hash
    ) throws -> DiskReport {
        try DiskComparison(
            primary: primary, replica: replica,
            options: options(blockSize: blockSize, comparison)
        ).run(monitor: ResyncMonitor())
    }

    @Test(
        "A disk does not differ from its map; another differs by the count of its stale blocks",
        arguments: blockSizes)
    func mapAndCompare(_ blockSize: Int) throws {
        for seed in 400..<402 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let pair = DiskPair(using: &generator)
            let files = try DiskFiles(pair, using: &generator)
            let before = try files.bothFiles
            let output = files.directory.path("map")
            let report = try map(files.replica, to: output, blockSize: blockSize)
            let root = try naiveRoot(of: pair.replica, blockSize: blockSize)
            #expect(report.rootDigest == root && report.replica == nil, "seed \(seed)")
            #expect(report.counts.blocksDiffering == 0, "seed \(seed)")
            #expect(
                report.counts.blocksSkipped + report.counts.blocksCompared
                    == report.counts.blocksTotal, "seed \(seed)")

            // The block size of the map counts, whatever the options say.
            let same = try compare(files.replica, output, blockSize: 131_072)
            #expect(same.counts.blocksDiffering == 0 && same.isVerified, "seed \(seed)")
            #expect(same.blockSize == blockSize && same.rootDigest == root, "seed \(seed)")

            let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: blockSize)
            let other = try compare(files.primary, output, blockSize: blockSize)
            #expect(other.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
            #expect(other.counts.blocksTotal == expected.blockCount, "seed \(seed)")
            #expect(other.isVerified == expected.differing.isEmpty, "seed \(seed)")
            #expect(
                try other.rootDigest == naiveRoot(of: pair.primary, blockSize: blockSize),
                "seed \(seed)")
            for comparison in Comparison.allCases {
                let disks = try compare(
                    files.primary, files.replica, blockSize: blockSize, comparison)
                #expect(disks.counts.blocksDiffering == expected.differing.count, "seed \(seed)")
                #expect(disks.isVerified == expected.differing.isEmpty, "seed \(seed)")
                let isHash = comparison == .hash
                #expect(disks.rootDigest == (isHash ? other.rootDigest : nil), "seed \(seed)")
            }
            #expect(try files.bothFiles == before, "seed \(seed)")
        }
    }

    @Test("A change of one byte is one block that differs from the map")
    func oneByte() throws {
        var generator = SeededGenerator(seed: 410)
        // More than one window, so that runs of zeros and of digests lie across each other.
        let size = 2 * WindowPlan.byteCount + (5 << 20) + 512
        let shape = DiskShape(virtualSize: size, blockSize: 32 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.replica.fill(size - 512..<size, using: &generator)
        pair.replica.fill(300 << 20..<301 << 20, using: &generator)
        for place in [0, 300 << 20, 400 << 20, size - 1] as [UInt64] {
            pair.primary = pair.replica
            let byte = pair.replica.bytes(in: place..<place + 1)[0] ^ 0x80
            pair.primary.put([byte], at: place)
            let files = try DiskFiles(pair, using: &generator)
            let output = files.directory.path("map")
            _ = try map(files.replica, to: output, blockSize: 65536)
            let report = try compare(files.primary, output, blockSize: 65536)
            #expect(report.counts.blocksDiffering == 1 && !report.isVerified, "byte \(place)")
        }
    }

    @Test("A map says whose it is, replaces an older one, and is complete or not there")
    func output() throws {
        var generator = SeededGenerator(seed: 411)
        let files = try DiskFiles(DiskPair(using: &generator), using: &generator)
        let output = files.directory.path("map")
        _ = try map(files.primary, to: output, blockSize: 4096)
        _ = try map(files.replica, to: output, blockSize: 8192)
        let header = try DigestMapReader(reading: DiskFile(opening: output, for: .reading)).header
        let info = try files.info(of: files.replica)
        #expect(
            header
                == DigestMapHeader(
                    virtualSize: info.virtualSize, blockSize: 8192,
                    virtualDiskID: info.virtualDiskID, dataWriteGUID: info.dataWriteGUID))

        let before = try files.bytes(of: output)
        let monitor = ResyncMonitor()
        monitor.requestStop(.cancelled)
        let stopped = resyncError {
            _ = try map(files.primary, to: output, blockSize: 4096, monitor: monitor)
        }
        #expect(stopped == .stopped(.cancelled))
        #expect(try files.bytes(of: output) == before)
        #expect(try files.directory.names == ["map", "primary.vhdx", "replica.vhdx"])
    }

    @Test("A map onto the disk itself is refused, by whatever name")
    func ontoItself() throws {
        var generator = SeededGenerator(seed: 412)
        let files = try DiskFiles(DiskPair(using: &generator), using: &generator)
        let (hard, symbolic) = (files.directory.path("hard"), files.directory.path("symbolic"))
        try files.link(hard, to: files.primary, isSymbolic: false)
        try files.link(symbolic, to: files.primary, isSymbolic: true)
        let before = try files.bothFiles
        for output in [files.primary, hard, symbolic] {
            let error = resyncError {
                _ = try map(files.primary, to: output, blockSize: 65536)
            }
            #expect(error == .sameFile(primary: files.primary, replica: output))
        }
        #expect(try files.bothFiles == before)
        #expect(
            try files.directory.names == ["hard", "primary.vhdx", "replica.vhdx", "symbolic"])
    }

    @Test("A map of a disk of another size is refused, and so is one for a comparison of bytes")
    func otherSize() throws {
        var generator = SeededGenerator(seed: 413)
        let (shape, other) = (DiskShape(virtualSize: 2 << 20), DiskShape(virtualSize: 3 << 20))
        let files = try DiskFiles(
            DiskPair(primary: shape, replica: other), using: &generator)
        let output = files.directory.path("map")
        _ = try map(files.replica, to: output, blockSize: 4096)
        let expected = ResyncError.differentSizes(primary: 2 << 20, replica: 3 << 20)
        for replica in [output, files.replica] {
            let error = resyncError { _ = try compare(files.primary, replica, blockSize: 4096) }
            #expect(error == expected)
        }
        let refusal = ResyncError.invalidOption("a map holds digests: it cannot compare bytes")
        let ofComparison = resyncError {
            _ = try compare(files.replica, output, blockSize: 4096, .bytes)
        }
        #expect(ofComparison == refusal)
        let ofMapping = resyncError {
            let options = options(blockSize: 4096, .bytes)
            _ = try DiskMapping(disk: files.primary, output: output, options: options)
                .run(monitor: ResyncMonitor())
        }
        #expect(ofMapping == refusal)
    }

    @Test("A map with a damaged byte anywhere yields no count")
    func damagedMap() throws {
        var generator = SeededGenerator(seed: 414)
        var pair = DiskPair(
            primary: DiskShape(virtualSize: 2 << 20), replica: DiskShape(virtualSize: 2 << 20))
        pair.primary.fill(1 << 20..<2 << 20, using: &generator)
        let files = try DiskFiles(pair, using: &generator)
        let output = files.directory.path("map")
        _ = try map(files.primary, to: output, blockSize: 65536)
        let bytes = [UInt8](try files.bytes(of: output))
        for place in Array(stride(from: 16, to: bytes.count, by: 37)) + [bytes.count - 1] {
            try files.overwrite(output, with: [bytes[place] ^ 4], at: UInt64(place))
            let error = resyncError { _ = try compare(files.primary, output, blockSize: 4096) }
            switch error {
            case .damagedDigestMap, .unsupportedDigestMap: break
            default: Issue.record("byte \(place): \(String(describing: error))")
            }
            try files.overwrite(output, with: [bytes[place]], at: UInt64(place))
        }
    }
}
