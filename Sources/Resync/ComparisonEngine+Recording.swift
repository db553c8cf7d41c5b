internal import BlockIO
internal import Storage

// What a pass records of windows that were compared before, by digests alone.

extension ComparisonEngine {
    /// Gives the blocks of a window that differ to a sink. They are read once more, and must still be
    /// what they were: `path` is what to call the primary where they are not.
    ///
    /// - Throws: also ``ResyncError/primaryChanged(path:)``.
    func record(
        _ window: DifferingWindow, at first: UInt64,
        of primary: borrowing some BlockSource & ~Copyable,
        path: String, in sink: any DifferenceSink
    ) throws(ResyncError) {
        let findings = window.differs.indices.map { index in
            let zeroDigest = zeros.digest(ofBlock: first + UInt64(index))
            let digest = window.digests?[index] ?? zeroDigest
            return BlockComparison.Finding(
                primaryDigest: digest, replicaDigest: .zero, differs: window.differs[index],
                primaryIsZero: digest == zeroDigest)
        }
        let items = items(of: findings)
        sink.beginWindow(itemCount: items.count)
        try pool.run(items, monitor: monitor) { (item, worker) throws(ResyncError) in
            do throws(ResyncError) {
                let found = Array(findings[item.first..<item.first + item.count])
                try record(
                    found, item, from: first, of: primary, path: path, worker: &worker, in: sink)
            } catch {
                sink.cancel()
                throw error
            }
        }
    }

    private func record(
        _ findings: [BlockComparison.Finding], _ item: WorkItem, from first: UInt64,
        of primary: borrowing some BlockSource & ~Copyable, path: String,
        worker: inout Worker, in sink: any DifferenceSink
    ) throws(ResyncError) {
        let start = (first + UInt64(item.first)) * UInt64(options.blockSize)
        let range =
            start..<min(
                start + UInt64(item.count * options.blockSize), zeros.virtualSize)
        var counts = ResyncCounts()
        if item.readsPrimary {
            try read(primary, .primary, range, into: &worker.primary)
            counts.bytesRead = range.byteCount
            counts.bytesHashed = range.byteCount
            let digests = worker.digests(
                ofPrimary: places(in: range), ofReplica: []
            ).primary
            guard digests == findings.map(\.primaryDigest) else {
                throw .primaryChanged(path: path)
            }
        }
        _ = try record(findings, item, range, worker: &worker, in: sink)
        for (index, finding) in findings.enumerated() where finding.differs {
            counts.blocksDiffering += 1
            guard finding.primaryIsZero else { continue }
            counts.bytesToZero += UInt64(bytes(ofBlock: index, in: range).count)
        }
        monitor.add(counts)
    }

    /// Cuts a window into runs of blocks that one worker reads in one go, and runs of which nothing is
    /// to be read.
    private func items(of findings: [BlockComparison.Finding]) -> [WorkItem] {
        let largest = max(1, WindowPlan.bytesAtOnce / options.blockSize)
        var items: [WorkItem] = []
        for (index, finding) in findings.enumerated() {
            let isRead = finding.differs && !finding.primaryIsZero
            items.append(
                block: index, readsPrimary: isRead, readsReplica: false,
                atMost: isRead ? largest : .max)
        }
        return items
    }
}
