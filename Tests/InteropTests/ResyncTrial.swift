internal import BlockIO
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// One run of the main job on two files, and what must be true after it whatever they hold.
struct ResyncTrial {
    /// Names the pair where something is not as expected.
    let label: String
    let primary: String
    let replica: String
    /// How the run compares and verifies.
    var options = ResyncOptions(workerCount: 2)

    /// Brings the replica up to date twice: the second run has nothing to do.
    ///
    /// Checks that the run counts what a comparison found before, that the primary's file is not
    /// touched, that the replica alone has the primary's root digest, and that the second run
    /// leaves the replica's file alone.
    ///
    /// - Parameter root: The primary's root digest; nil leaves out the two checks that read both
    ///   disks once more, the counts and the root.
    /// - Returns: What the first run reported.
    /// - Throws: What a run, or reading a file, throws.
    @discardableResult
    func run(expecting root: BlockDigest?) throws -> DiskReport {
        let primaryBefore = try FileState(ofFileAt: primary)
        let differing = root == nil ? nil : try countDiffering()
        let report = try resync()
        expectFirst(report, differing: differing, root: root)
        #expect(try FileState(ofFileAt: primary) == primaryBefore, "\(label): primary's file")
        if let root {
            let found = try Self.rootDigest(ofImageAt: replica)
            #expect(found == root, "\(label): root of the replica")
        }

        let replicaBefore = try FileState(ofFileAt: replica)
        let again = try resync()
        #expect(again.isVerified, "\(label): second run")
        #expect(again.counts.blocksDiffering == 0, "\(label): second run")
        #expect(again.counts.bytesWritten == 0, "\(label): second run")
        #expect(try FileState(ofFileAt: replica) == replicaBefore, "\(label): second run")
        #expect(try FileState(ofFileAt: primary) == primaryBefore, "\(label): primary's file")
        return report
    }

    /// The root digest of one disk alone, with the block size that is the default.
    static func rootDigest(ofImageAt path: String) throws -> BlockDigest {
        let folder = try TemporaryFolder()
        let mapping = DiskMapping(
            disk: path, output: folder.file("map"), options: ResyncOptions(workerCount: 2))
        return try #require(try mapping.run(monitor: ResyncMonitor()).rootDigest)
    }

    private func expectFirst(_ report: DiskReport, differing: UInt64?, root: BlockDigest?) {
        let counts = report.counts
        #expect(report.isVerified, "\(label)")
        if let root, options.comparison == .hash, options.blockSize == 65536 {
            #expect(report.rootDigest == root, "\(label): root of the run")
        }
        let differing = differing ?? counts.blocksDiffering
        #expect(counts.blocksDiffering == differing, "\(label)")
        #expect(counts.blocksCompared + counts.blocksSkipped == counts.blocksTotal, "\(label)")
        // The last block of a disk may be a short one.
        let blockSize = UInt64(options.blockSize)
        #expect(counts.bytesWritten <= differing * blockSize, "\(label)")
        #expect(counts.bytesWritten + blockSize > differing * blockSize, "\(label)")
    }

    private func resync() throws -> DiskReport {
        try LocalResync(primary: primary, replica: replica, options: options)
            .run(monitor: ResyncMonitor())
    }

    /// How many blocks differ by their bytes. Where there is no replica yet, that is a question for
    /// a run that writes nothing.
    private func countDiffering() throws -> UInt64 {
        var options = options
        options.comparison = options.comparison == .hash ? .bytes : .hash
        guard DiskFile.fingerprint(ofFileAt: replica) != nil else {
            options.isDryRun = true
            let report = try LocalResync(primary: primary, replica: replica, options: options)
                .run(monitor: ResyncMonitor())
            #expect(DiskFile.fingerprint(ofFileAt: replica) == nil, "\(label): dry run")
            return report.counts.blocksDiffering
        }
        let before = try FileState(ofFileAt: replica)
        let report = try DiskComparison(primary: primary, replica: replica, options: options)
            .run(monitor: ResyncMonitor())
        #expect(try FileState(ofFileAt: replica) == before, "\(label): comparison")
        return report.counts.blocksDiffering
    }
}
