internal import BlockIO
internal import Storage
internal import VHDX

/// One pass over a primary and a replica, window by window: read, compare, write what differs, read
/// it back, and build both digest trees.
///
/// Memory is that of the workers and of one window, whatever the size of the disks.
struct ComparisonEngine: Sendable {
    let options: ResyncOptions
    let pass: Pass
    let monitor: ResyncMonitor
    private let pool: WorkerPool
    private let zeros: ZeroDigests
    private let blocks: BlockComparison

    /// What both disks read as after the pass; nil in a comparison of bytes.
    struct Roots: Equatable, Sendable {
        var primary: BlockDigest
        var replica: BlockDigest
    }

    init(
        virtualSize: UInt64, options: ResyncOptions, pass: Pass, monitor: ResyncMonitor
    ) throws(ResyncError) {
        self.options = options
        self.pass = pass
        self.monitor = monitor
        do throws(OutOfMemory) {
            pool = try WorkerPool(
                count: options.workerCount,
                byteCount: max(WindowPlan.bytesAtOnce, options.blockSize))
            zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: options.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
        blocks = BlockComparison(comparison: options.comparison, zeros: zeros)
    }

    /// Runs the pass. `consume` gets the primary's digests in order.
    ///
    /// - Precondition: both disks have the size that the engine was made for.
    func run(
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable,
        consume: (DigestRun) throws(ResyncError) -> Void = { (_) throws(ResyncError) in }
    ) throws(ResyncError) -> Roots? {
        var primaryTree = try tree()
        var replicaTree = try tree()
        var position: UInt64 = 0
        while position < zeros.virtualSize {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            let end = min(position + WindowPlan.byteCount, zeros.virtualSize)
            let plan = WindowPlan(
                range: position..<end, blockSize: options.blockSize,
                primary: try onDisk(.primary) { () throws(VHDXError) in
                    try primary.extents(in: position..<end)
                },
                replica: try onDisk(.replica) { () throws(VHDXError) in
                    try replica.extents(in: position..<end)
                })
            countSkipped(plan)
            if plan.items.isEmpty {
                let count = UInt64(plan.blockCount)
                primaryTree.append(zeroBlocks: count)
                replicaTree.append(zeroBlocks: count)
                try consume(.zeros(count))
            } else {
                let result = try window(plan, primary: primary, replica: replica)
                for digest in result.primaryDigests { primaryTree.append(digest) }
                for digest in result.replicaDigests { replicaTree.append(digest) }
                try consume(.digests(result.primaryDigests))
            }
            position = end
        }
        guard options.comparison == .hash else { return nil }
        return Roots(primary: primaryTree.root(), replica: replicaTree.root())
    }

    private func window(
        _ plan: WindowPlan, primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> WindowResult {
        let shared = Lock(WindowResult(plan, zeros: zeros, virtualSize: zeros.virtualSize))
        try pool.run(plan.items, monitor: monitor) { (item, worker) throws(ResyncError) in
            try compare(
                item, plan, worker: &worker, primary: primary, replica: replica, into: shared)
        }
        var result = shared.withLock { $0 }
        if case .verify = pass, options.comparison == .bytes,
            let index = result.differs.firstIndex(of: true)
        {
            throw .contentDiffersAfterWriting(
                at: plan.range(ofBlocks: index..<index + 1).lowerBound)
        }
        guard pass.writes, result.differs.contains(true) else { return result }
        try zeroRuns(of: result, plan, replica)
        try readBack(&result, plan, primary: primary, replica: replica)
        try onDisk(.replica) { () throws(VHDXError) in try replica.commitIfBatchIsFull() }
        return result
    }

    // MARK: Comparing

    private func compare(
        _ item: WorkItem, _ plan: WindowPlan, worker: inout Worker,
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable, into result: Lock<WindowResult>
    ) throws(ResyncError) {
        let range = plan.range(ofBlocks: item.first..<item.first + item.count)
        let byteCount = Int(range.byteCount)
        var counts = ResyncCounts()
        if item.readsPrimary {
            try read(primary, .primary, range, into: &worker.primary)
            counts.bytesRead += range.byteCount
        }
        if item.readsReplica {
            try read(replica, .replica, range, into: &worker.replica)
            counts.bytesRead += range.byteCount
        }
        var findings: [BlockComparison.Finding] = []
        for index in 0..<item.count {
            let start = index * options.blockSize
            let bytes = start..<min(start + options.blockSize, byteCount)
            let digest = bytes.count == options.blockSize ? zeros.block : zeros.lastBlock
            findings.append(
                blocks.compare(item, blockAt: bytes, zeroDigest: digest, worker: &worker))
        }
        if pass.writes {
            counts.bytesWritten += try write(
                findings, from: worker.primary, range, to: replica)
        }
        counts.bytesHashed = findings.reduce(0) { $0 + $1.bytesHashed }
        if pass.countsBlocks { counts.blocksCompared = UInt64(item.count) }
        if pass.countsDifferences {
            counts.blocksDiffering = UInt64(findings.count { $0.differs })
        }
        counts.bytesDone = range.byteCount
        monitor.add(counts)
        result.withLock { result in
            for (index, finding) in findings.enumerated() {
                result.primaryDigests[item.first + index] = finding.primaryDigest
                result.replicaDigests[item.first + index] = finding.replicaDigest
                result.differs[item.first + index] = finding.differs
                result.primaryIsZero[item.first + index] = finding.primaryIsZero
            }
        }
    }

    private func read(
        _ disk: borrowing some BlockSource & ~Copyable, _ role: Role, _ range: Range<UInt64>,
        into buffer: inout AlignedBuffer
    ) throws(ResyncError) {
        do throws(VHDXError) {
            var bytes = buffer.mutableBytes
            var part = bytes.part(0..<Int(range.byteCount))
            try disk.read(into: &part, at: range.lowerBound)
        } catch {
            throw .disk(role, error)
        }
    }

    /// Writes the differing blocks of an item that are not zero, neighbours at once.
    private func write(
        _ findings: [BlockComparison.Finding], from buffer: borrowing AlignedBuffer,
        _ range: Range<UInt64>, to replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> UInt64 {
        var written: UInt64 = 0
        var index = 0
        while index < findings.count {
            guard findings[index].differs, !findings[index].primaryIsZero else {
                index += 1
                continue
            }
            var end = index + 1
            while end < findings.count, findings[end].differs, !findings[end].primaryIsZero {
                end += 1
            }
            let start = index * options.blockSize
            let bytes = start..<min(end * options.blockSize, Int(range.byteCount))
            try onDisk(.replica) { () throws(VHDXError) in
                try replica.write(
                    buffer.bytes.extracting(bytes), at: range.lowerBound + UInt64(start))
            }
            written += UInt64(bytes.count)
            index = end
        }
        return written
    }

    // MARK: After the comparison of a window

    private func zeroRuns(
        of result: WindowResult, _ plan: WindowPlan,
        _ replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) {
        for run in result.runsToZero {
            let range = plan.range(ofBlocks: run)
            try onDisk(.replica) { () throws(VHDXError) in try replica.writeZeros(range) }
            var counts = ResyncCounts()
            for index in run where result.differs[index] {
                counts.bytesWritten += plan.range(ofBlocks: index..<index + 1).byteCount
            }
            monitor.add(counts)
        }
    }

    /// Blocks that were written, and those that were zeroed along with them and are not zero by the
    /// replica's own word.
    private func blocksToProve(
        after result: WindowResult, _ plan: WindowPlan,
        _ replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> [Bool] {
        var blocks = result.differs
        for run in result.runsToZero {
            let range = plan.range(ofBlocks: run)
            let extents = try onDisk(.replica) { () throws(VHDXError) in
                try replica.extents(in: range)
            }
            for (index, hasData) in plan.blocksWithData(extents).enumerated() where hasData {
                blocks[index] = true
            }
        }
        return blocks
    }

    /// Reads what was written again, and takes its digests, or compares its bytes, as the proof.
    private func readBack(
        _ result: inout WindowResult, _ plan: WindowPlan,
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) {
        let shared = Lock(result)
        let items = plan.items(
            readingBack: try blocksToProve(after: result, plan, replica))
        try pool.run(items, monitor: monitor) { (item, worker) throws(ResyncError) in
            let range = plan.range(ofBlocks: item.first..<item.first + item.count)
            try read(replica, .replica, range, into: &worker.replica)
            if options.comparison == .hash {
                try digestAgain(item, range, worker: &worker, into: shared)
            } else {
                try read(primary, .primary, range, into: &worker.primary)
                try compareAgain(item, range, worker: worker)
            }
        }
        result = shared.withLock { $0 }
    }

    private func digestAgain(
        _ item: WorkItem, _ range: Range<UInt64>, worker: inout Worker,
        into result: Lock<WindowResult>
    ) throws(ResyncError) {
        for index in 0..<item.count {
            let start = index * options.blockSize
            let bytes = start..<min(start + options.blockSize, Int(range.byteCount))
            let digest = worker.digestOfReplica(bytes)
            result.withLock { $0.replicaDigests[item.first + index] = digest }
        }
        var counts = ResyncCounts()
        counts.bytesRead = range.byteCount
        counts.bytesHashed = range.byteCount
        monitor.add(counts)
    }

    private func compareAgain(
        _ item: WorkItem, _ range: Range<UInt64>, worker: borrowing Worker
    ) throws(ResyncError) {
        for index in 0..<item.count {
            let start = index * options.blockSize
            let bytes = start..<min(start + options.blockSize, Int(range.byteCount))
            guard
                ZeroScan.isEqual(
                    worker.primary.bytes.extracting(bytes), worker.replica.bytes.extracting(bytes))
            else { throw .contentDiffersAfterWriting(at: range.lowerBound + UInt64(start)) }
        }
        var counts = ResyncCounts()
        counts.bytesRead = range.byteCount * 2
        monitor.add(counts)
    }

    // MARK: Small parts

    private func tree() throws(ResyncError) -> DigestTreeBuilder {
        do throws(OutOfMemory) {
            return try DigestTreeBuilder(
                virtualSize: zeros.virtualSize, blockSize: options.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
    }

    private func countSkipped(_ plan: WindowPlan) {
        var counts = ResyncCounts()
        let planned = plan.items.reduce(0) { $0 + $1.count }
        if pass.countsBlocks { counts.blocksSkipped = UInt64(plan.blockCount - planned) }
        let plannedBytes = plan.items.reduce(0) {
            $0 + plan.range(ofBlocks: $1.first..<$1.first + $1.count).byteCount
        }
        counts.bytesDone = plan.range.byteCount - plannedBytes
        monitor.add(counts)
    }
}
