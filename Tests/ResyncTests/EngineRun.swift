import BlockIO
import Storage
import TestSupport
import VHDX

@testable import Resync

/// A run of the engine over two images that stand in memory.
struct EngineRun: Sendable {
    var options = ResyncOptions(workerCount: 1)
    var pass = Pass.resynchronize
    var monitor = ResyncMonitor()
    /// Sees what is read of the primary and what is done to the replica.
    var primaryProbe = Probe()
    var replicaProbe = Probe()

    init(
        blockSize: Int = 65536, workerCount: Int = 1, comparison: Comparison = .hash,
        pass: Pass = .resynchronize
    ) {
        options.blockSize = blockSize
        options.workerCount = workerCount
        options.comparison = comparison
        self.pass = pass
    }

    /// Runs, and closes the replica; after an error it is abandoned, after a stop it is closed.
    func callAsFunction<File: RandomAccessFile>(
        _ primary: MemoryFile, to replica: File
    ) throws -> ComparisonEngine.Roots? {
        let source = ProbeDisk(ReadOnlyTarget(try ImageReader(primary)), primaryProbe)
        let target = ProbeDisk(try ImageWriter(replica), replicaProbe)
        monitor.setDisk(source.virtualSize, blockSize: options.blockSize)
        let engine = try ComparisonEngine(
            virtualSize: source.virtualSize, options: options, pass: pass, monitor: monitor)
        let roots: ComparisonEngine.Roots?
        do throws(ResyncError) {
            roots = try engine.run(primary: source, replica: target)
        } catch {
            if case .stopped = error {
                try target.intoBase().close()
            } else {
                target.intoBase().abandon()
            }
            throw error
        }
        try target.intoBase().close()
        return roots
    }

    var counts: ResyncCounts { monitor.counts }
}
