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
    let pool: WorkerPool
    let zeros: ZeroDigests
    /// Virtual bytes in a window.
    private let windowByteCount: UInt64
    /// Whether windows without content may be passed as one.
    private let joinsEmptyWindows: Bool
    private let blocks: BlockComparison

    /// What the disks read as; nil in a comparison of bytes.
    struct Roots: Equatable, Sendable {
        var primary: BlockDigest
        /// After the pass; nil where blocks were held, of which the replica's content was not read.
        var replica: BlockDigest?
        /// What the replica will read as once the recorded differences are written; nil in a pass that
        /// records none.
        var result: BlockDigest?
    }

    init(
        virtualSize: UInt64, options: ResyncOptions, pass: Pass, monitor: ResyncMonitor,
        windowByteCount: UInt64? = nil
    ) throws(ResyncError) {
        self.options = options
        self.pass = pass
        self.monitor = monitor
        do throws(OutOfMemory) {
            pool = try WorkerPool(
                count: options.workerCount,
                byteCount: max(WindowPlan.bytesAtOnce, options.blockSize),
                recordedBlockSize: pass.records ? options.blockSize : nil,
                options.hashProvider)
            zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: options.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
        // Who names a window wants to be told of each.
        joinsEmptyWindows = windowByteCount == nil
        self.windowByteCount =
            windowByteCount ?? WindowPlan.byteCount(forWorkers: pool.workerCount)
        precondition(self.windowByteCount.isMultiple(of: UInt64(options.blockSize)))
        blocks = BlockComparison(comparison: options.comparison, zeros: zeros)
    }

    /// Runs the pass. `knowledge` is asked what is known of the blocks of each window; `sink`, in a
    /// pass that records, gets what differs, and `consume` the primary's digests, both in order.
    ///
    /// - Precondition: both disks have the size that the engine was made for.
    func run(
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable,
        sink: (any DifferenceSink)? = nil,
        knowledge: (Range<UInt64>) throws(ResyncError) -> WindowKnowledge = {
            (_) throws(ResyncError) in .nothing
        },
        consume: (DigestRun) throws(ResyncError) -> Void = { (_) throws(ResyncError) in }
    ) throws(ResyncError) -> Roots? {
        precondition(pass.records == (sink != nil))
        // A comparison of bytes has no digests.
        var trees = options.comparison == .hash ? try trees() : nil
        var replicaIsKnown = true
        var position: UInt64 = 0
        while position < zeros.virtualSize {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            var end = min(position + windowByteCount, zeros.virtualSize)
            let first = position / UInt64(options.blockSize)
            let known = try knowledge(
                first..<end.dividedRoundingUp(by: UInt64(options.blockSize)))
            let content = try self.content(of: position..<end, known, on: replica)
            let plan = WindowPlan(
                range: position..<end, blockSize: options.blockSize,
                primary: try onDisk(.primary) { () throws(VHDXError) in
                    try primary.extents(in: position..<end)
                }, replica: content, held: known.held,
                shared: try shared(in: position..<end, content, primary, replica),
                readsShared: options.comparison == .hash)
            countUnread(plan)
            if plan.items.isEmpty, known.held.isEmpty {
                var count = UInt64(plan.blockCount)
                if joinsEmptyWindows, known.isLast, case .disk = content {
                    let windows = try emptyWindows(from: end, primary, replica)
                    count += countUnread(windows)
                    end = windows.upperBound
                }
                trees?.append(zeroBlocks: count)
                try consume(.zeros(count))
            } else {
                var result = WindowResult(
                    plan, zeros: zeros, virtualSize: zeros.virtualSize, replica: content)
                try fill(
                    &result, plan, content, primary: primary, replica: replica,
                    known.isPrimaryWantedAlone ? nil : sink)
                for held in known.held { result.set(held) }
                replicaIsKnown = replicaIsKnown && known.held.isEmpty
                trees?.append(result)
                try consume(.digests(result.primaryDigests))
            }
            position = end
        }
        return trees.take()?.roots(replicaIsKnown: replicaIsKnown)
    }

    /// Runs the pass on one disk alone: against a disk of zeros.
    func run(
        alone primary: borrowing some BlockSource & ~Copyable,
        sink: (any DifferenceSink)? = nil,
        knowledge: (Range<UInt64>) throws(ResyncError) -> WindowKnowledge = {
            (_) throws(ResyncError) in .nothing
        },
        consume: (DigestRun) throws(ResyncError) -> Void = { (_) throws(ResyncError) in }
    ) throws(ResyncError) -> Roots? {
        let nothing = ReadOnlyTarget(ZeroDisk(virtualSize: zeros.virtualSize))
        return try run(
            primary: primary, replica: nothing, sink: sink, knowledge: knowledge, consume: consume)
    }

    /// What stands against the primary in a window.
    private func content(
        of range: Range<UInt64>, _ known: WindowKnowledge,
        on replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> ReplicaContent {
        guard let runs = known.replicaDigests else {
            return .disk(
                try onDisk(.replica) { () throws(VHDXError) in try replica.extents(in: range) })
        }
        let first = range.lowerBound / UInt64(options.blockSize)
        let count = range.byteCount.dividedRoundingUp(by: UInt64(options.blockSize))
        return ReplicaContent(
            runs, zeros: (first..<first + count).map(zeros.digest(ofBlock:)))
    }

    /// The windows that follow and of which both disks say, at little cost, that they hold nothing.
    private func emptyWindows(
        from start: UInt64, _ primary: borrowing some BlockSource & ~Copyable,
        _ replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> Range<UInt64> {
        let ofPrimary = try onDisk(.primary) { () throws(VHDXError) in
            try primary.nextData(from: start)
        }
        guard ofPrimary >= min(start + windowByteCount, zeros.virtualSize) else {
            return start..<start
        }
        let ofReplica = try onDisk(.replica) { () throws(VHDXError) in
            try replica.nextData(from: start)
        }
        let next = min(ofPrimary, ofReplica)
        let end = next < zeros.virtualSize ? next / windowByteCount * windowByteCount : next
        return start..<max(start, end)
    }

    /// What both disks have in a window because it is stored once.
    private func shared(
        in range: Range<UInt64>, _ content: ReplicaContent,
        _ primary: borrowing some BlockSource & ~Copyable,
        _ replica: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) -> [Range<UInt64>] {
        guard pass.looksForSharedContent, case .disk = content, content.mayHoldData else {
            return []
        }
        let ofReplica = try onDisk(.replica) { () throws(VHDXError) in
            try replica.storedRanges(in: range)
        }
        guard !ofReplica.isEmpty else { return [] }
        return SharedContent.ranges(
            try onDisk(.primary) { () throws(VHDXError) in try primary.storedRanges(in: range) },
            ofReplica)
    }

    /// Finds out all about the blocks of a window that have to be read, and brings the replica up to
    /// date in a pass that writes.
    private func fill(
        _ result: inout WindowResult, _ plan: WindowPlan, _ content: ReplicaContent,
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable, _ sink: (any DifferenceSink)?
    ) throws(ResyncError) {
        sink?.beginWindow(itemCount: plan.items.count)
        let shared = Lock(result)
        try pool.run(plan.items, monitor: monitor) { (item, worker) throws(ResyncError) in
            do throws(ResyncError) {
                try compare(
                    item, plan, content, worker: &worker, primary: primary, replica: replica,
                    sink, into: shared)
            } catch {
                sink?.cancel()
                throw error
            }
        }
        result = shared.withLock { $0 }
        if case .verify = pass, options.comparison == .bytes,
            let index = result.differs.firstIndex(of: true)
        {
            throw .contentDiffersAfterWriting(
                at: plan.range(ofBlocks: index..<index + 1).lowerBound)
        }
        guard pass.writes, result.differs.contains(true) else { return }
        try zeroRuns(of: result, plan, replica)
        try readBack(&result, plan, primary: primary, replica: replica)
        try onDisk(.replica) { () throws(VHDXError) in try replica.commitIfBatchIsFull() }
    }

    // MARK: Comparing

    private func compare(
        _ item: WorkItem, _ plan: WindowPlan, _ content: ReplicaContent, worker: inout Worker,
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable, _ sink: (any DifferenceSink)?,
        into result: Lock<WindowResult>
    ) throws(ResyncError) {
        let range = plan.range(ofBlocks: item.first..<item.first + item.count)
        let found = try find(
            item, range, content, worker: &worker, primary: primary, replica: replica,
            mayMap: sink == nil)
        let findings = found.blocks
        var counts = found.counts
        if pass.writes {
            counts.bytesWritten = try write(findings, from: worker.primary, range, to: replica)
            counts.bytesApplied = counts.bytesWritten
        }
        if let sink {
            counts.bytesHashed += try record(findings, item, range, worker: &worker, in: sink)
        }
        if pass.countsBlocks {
            if item.readsAny {
                counts.blocksCompared = UInt64(item.count)
            } else {
                counts.blocksSkipped = UInt64(item.count)
            }
        }
        if pass.countsDifferences, !pass.records || sink != nil {
            counts.blocksDiffering = UInt64(findings.count { $0.differs })
            for (index, finding) in findings.enumerated()
            where finding.differs && finding.primaryIsZero {
                counts.bytesToZero += UInt64(bytes(ofBlock: index, in: range).count)
            }
        }
        count(range.byteCount, in: &counts)
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

    /// Reads the blocks of an item and compares them. With `mayMap` the primary's content is not needed
    /// afterwards.
    private func find(
        _ item: WorkItem, _ range: Range<UInt64>, _ content: ReplicaContent, worker: inout Worker,
        primary: borrowing some BlockSource & ~Copyable,
        replica: borrowing some BlockTarget & ~Copyable, mayMap: Bool
    ) throws(ResyncError) -> BlockComparison.Findings {
        let places = places(in: range)
        var readsReplica = false
        if case .disk = content { readsReplica = item.readsReplica }
        var counts = ResyncCounts()
        if item.readsPrimary { counts.bytesRead += range.byteCount }
        if readsReplica { counts.bytesRead += range.byteCount }
        if item.readsPrimary {
            if mayMap, pass.mapsContent, !readsReplica, let mapped = try mapped(primary, range) {
                worker.primary.show(mapped)
                let found = blocks.compare(
                    item, blocksAt: places, content, counts, worker: &worker)
                if worker.primary.endShowing() { return found }
                // The file was cut, or the device fails: reading tells.
            }
            try read(primary, .primary, range, into: &worker.primary)
        }
        if readsReplica { try read(replica, .replica, range, into: &worker.replica) }
        return blocks.compare(item, blocksAt: places, content, counts, worker: &worker)
    }

    private func mapped(
        _ primary: borrowing some BlockSource & ~Copyable, _ range: Range<UInt64>
    ) throws(ResyncError) -> MappedBytes? {
        try onDisk(.primary) { () throws(VHDXError) in try primary.mappedBytes(in: range) }
    }

    /// Where a block of an item lies in the buffers.
    func bytes(ofBlock index: Int, in range: Range<UInt64>) -> Range<Int> {
        let start = index * options.blockSize
        return start..<min(start + options.blockSize, Int(range.byteCount))
    }

    /// Where all blocks of an item with this range lie in the buffers.
    func places(in range: Range<UInt64>) -> [Range<Int>] {
        DigestTree.places(ofBlocks: options.blockSize, in: Int(range.byteCount))
    }

    /// Compresses what differs while it is in the cache, and gives it to the sink.
    ///
    /// - Returns: how many bytes had to be hashed for that: without a digest there is no record.
    func record(
        _ findings: [BlockComparison.Finding], _ item: WorkItem, _ range: Range<UInt64>,
        worker: inout Worker, in sink: any DifferenceSink
    ) throws(ResyncError) -> UInt64 {
        guard let box = worker.records else { return 0 }
        let first = range.lowerBound / UInt64(options.blockSize)
        var differences = ItemDifferences(findings, from: first)
        var bytesHashed: UInt64 = 0
        box.withLock { $0.removeAll() }
        for run in differences.runs {
            let onDisk =
                first + UInt64(run.blocks.lowerBound)..<first + UInt64(run.blocks.upperBound)
            guard !run.isZero else {
                box.withLock { $0.append(zeros: onDisk) }
                continue
            }
            let start = bytes(ofBlock: run.blocks.lowerBound, in: range).lowerBound
            let end = bytes(ofBlock: run.blocks.upperBound - 1, in: range).upperBound
            var digests = run.blocks.map { findings[$0].primaryDigest }
            if options.comparison == .bytes {
                let places = run.blocks.map { bytes(ofBlock: $0, in: range) }
                digests = worker.digests(ofPrimary: places, ofReplica: []).primary
                bytesHashed += UInt64(end - start)
            }
            if !item.readsReplica { differences.growth += UInt64(end - start) }
            let content = worker.primary.bytes.extracting(start..<end)
            box.withLock {
                $0.append(first: onDisk.lowerBound, digests: digests, content: content)
            }
        }
        worker.records = try sink.take(differences, at: item.index, records: box)
        return bytesHashed
    }

    func read(
        _ disk: borrowing some BlockSource & ~Copyable, _ role: Role, _ range: Range<UInt64>,
        into buffer: inout ReadBuffer
    ) throws(ResyncError) {
        do throws(VHDXError) {
            var bytes = buffer.mutableBytes
            var part = bytes.part(0..<Int(range.byteCount))
            try disk.read(into: &part, at: range.lowerBound)
        } catch {
            throw .disk(role, error)
        }
    }

    // MARK: Small parts

    private func trees() throws(ResyncError) -> ComparisonTrees {
        do throws(OutOfMemory) {
            return try ComparisonTrees(
                virtualSize: zeros.virtualSize, options, records: pass.records)
        } catch {
            throw .outOfMemory(error)
        }
    }

    private func countUnread(_ plan: WindowPlan) {
        var counts = ResyncCounts()
        let planned = plan.items.reduce(0) { $0 + $1.count }
        counts.blocksHeld = plan.heldBlockCount
        if pass.countsBlocks {
            counts.blocksSkipped = UInt64(plan.blockCount - planned) - counts.blocksHeld
        }
        if pass.countsDifferences {
            counts.blocksDiffering = counts.blocksHeld
            counts.bytesToZero = plan.heldZeroByteCount
        }
        let plannedBytes = plan.items.reduce(0) {
            $0 + plan.range(ofBlocks: $1.first..<$1.first + $1.count).byteCount
        }
        count(plan.range.byteCount - plannedBytes, in: &counts)
        monitor.add(counts)
    }

    /// Counts a range of blocks that nobody has to look at, and says how many they are.
    private func countUnread(_ range: Range<UInt64>) -> UInt64 {
        let count = range.byteCount.dividedRoundingUp(by: UInt64(options.blockSize))
        var counts = ResyncCounts()
        if pass.countsBlocks { counts.blocksSkipped = count }
        self.count(range.byteCount, in: &counts)
        monitor.add(counts)
        return count
    }

    /// What the pass is through with.
    private func count(_ byteCount: UInt64, in counts: inout ResyncCounts) {
        counts.bytesDone = byteCount
        if pass.countsBlocks {
            counts.bytesCompared = byteCount
        } else {
            counts.bytesVerified = byteCount
        }
    }
}
