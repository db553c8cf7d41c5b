internal import BlockIO
internal import Storage
internal import VHDX

// What a pass does to the replica where it is written in place: window by window, proven at once.

extension ComparisonEngine {
    /// Writes the differing blocks of an item that are not zero, neighbours at once.
    func write(
        _ findings: [BlockComparison.Finding], from buffer: borrowing ReadBuffer,
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

    func zeroRuns(
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
            counts.bytesApplied = counts.bytesWritten
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
    func readBack(
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
        let digests = worker.digests(ofPrimary: [], ofReplica: places(in: range)).replica
        result.withLock { result in
            for (index, digest) in digests.enumerated() {
                result.replicaDigests[item.first + index] = digest
            }
        }
        var counts = ResyncCounts()
        counts.bytesRead = range.byteCount
        counts.bytesHashed = range.byteCount
        counts.bytesVerified = range.byteCount
        monitor.add(counts)
    }

    private func compareAgain(
        _ item: WorkItem, _ range: Range<UInt64>, worker: borrowing Worker
    ) throws(ResyncError) {
        for bytes in places(in: range) {
            guard
                ZeroScan.isEqual(
                    worker.primary.bytes.extracting(bytes), worker.replica.bytes.extracting(bytes))
            else {
                throw .contentDiffersAfterWriting(at: range.lowerBound + UInt64(bytes.lowerBound))
            }
        }
        var counts = ResyncCounts()
        counts.bytesRead = range.byteCount * 2
        counts.bytesVerified = range.byteCount
        monitor.add(counts)
    }
}
