internal import BlockIO
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// What a resynchronization reads of a disk of 2 TiB that holds a few MiB: those and no more.
struct SparseDiskTests {
    private static let virtualSize: UInt64 = 2 << 40
    private static let blockSize: UInt64 = 65536
    private static let totalBlocks = virtualSize / blockSize
    /// Where the data lies, 1 MiB each: at both ends, about the edge of a chunk, and around 1 TiB.
    private static let places: [UInt64] = [
        0, (4 << 30) - (1 << 20), 4 << 30, 1 << 40, virtualSize - (1 << 20),
    ]
    private static let dataByteCount = UInt64(places.count) << 20
    private static let dataBlocks = dataByteCount / blockSize

    @Test("Only data is read, and what is skipped is all the rest")
    func counts() throws {
        let folder = try TemporaryFolder()
        let primary = folder.file("primary.vhdx")
        try Self.makeDisk(at: primary)

        let replica = folder.file("replica.vhdx")
        var options = ResyncOptions(workerCount: 2)
        options.createsReplica = true
        let made = try Self.resync(primary, replica, options)
        #expect(made.blocksDiffering == Self.dataBlocks)
        #expect(made.bytesWritten == Self.dataByteCount)
        // The primary's data, and what was written once more.
        Self.expect(made, read: 2 * Self.dataByteCount, compared: Self.dataBlocks)

        let identical = try Self.resync(primary, replica)
        #expect(identical.blocksDiffering == 0)
        #expect(identical.bytesWritten == 0)
        Self.expect(identical, read: 2 * Self.dataByteCount, compared: Self.dataBlocks)

        // One block that differs, and one where the primary has nothing.
        try [
            .bytes([1], at: (4 << 30) + 70_000),
            .bytes([UInt8](repeating: 1, count: 65536), at: 3 << 39),
        ].apply(toImageAt: replica)
        let changed = try Self.resync(primary, replica)
        #expect(changed.blocksDiffering == 2)
        #expect(changed.bytesWritten == 2 * Self.blockSize)
        // Beside the data of both: the block that only the replica has, and the other once more. The
        // one that became zero is a hole, and the file's own word of it is enough.
        Self.expect(
            changed, read: 2 * Self.dataByteCount + 2 * Self.blockSize,
            compared: Self.dataBlocks + 1)
    }

    private static func makeDisk(at path: String) throws {
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = 32 << 20
        try ImageCreation.create(specification, at: path)
        var random = SeededGenerator(seed: 41)
        try places.map { ContentChange.bytes(random.bytes(count: 1 << 20), at: $0) }
            .apply(toImageAt: path)
    }

    private static func resync(
        _ primary: String, _ replica: String, _ options: ResyncOptions? = nil
    ) throws -> ResyncCounts {
        let resync = LocalResync(
            primary: primary, replica: replica,
            options: options ?? ResyncOptions(workerCount: 2))
        let report = try resync.run(monitor: ResyncMonitor())
        #expect(report.isVerified)
        return report.counts
    }

    private static func expect(_ counts: ResyncCounts, read: UInt64, compared: UInt64) {
        #expect(counts.virtualSize == virtualSize)
        #expect(counts.blocksTotal == totalBlocks)
        #expect(counts.bytesRead == read)
        #expect(counts.blocksCompared == compared)
        #expect(counts.blocksSkipped == totalBlocks - compared)
    }
}
