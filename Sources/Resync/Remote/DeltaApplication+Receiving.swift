internal import BlockIO
internal import Storage
internal import VHDX

// Records of another host, on all cores: to a journal, or straight to a replica.

extension DeltaApplication {
    /// Checks that all records hold what their digests say, and gives them to `append` in their order.
    /// Once a journal is committed, it is too late.
    ///
    /// `failed` is called once where something fails, before the other host is told.
    func check(
        _ intake: RecordIntake, append: @Sendable (DeltaRecord) throws(ResyncError) -> Void,
        failed: @Sendable (ResyncError) -> Void
    ) throws(ResyncError) {
        try pool.run(monitor: monitor) { (worker) throws(ResyncError) in
            try intake.next(
                prepare: { (delivery) throws(ResyncError) in
                    for record in delivery.records where record.kind == .data {
                        try worker.decode(record, byteCount: Int(record.contentByteCount))
                    }
                },
                take: { (delivery) throws(ResyncError) in
                    for record in delivery.records { try append(record) }
                }, failed: failed)
        }
    }

    /// Writes all records to a replica that has nothing to lose, batch by batch, and reads each batch
    /// back before the next. A crash loses what came in the last seconds.
    func write(
        _ intake: RecordIntake, to target: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) {
        var (isOver, uncommitted, lastCommit) = (false, UInt64(0), ContinuousClock.now)
        while !isOver {
            let batch = Lock(ReceivedBatch())
            try pool.run(monitor: monitor) { (worker) throws(ResyncError) in
                guard batch.withLock({ !$0.isFull }) else { return false }
                let hasMore = try intake.next(
                    prepare: { (delivery) throws(ResyncError) in
                        for record in delivery.records where record.kind == .data {
                            try write(record, worker: &worker, to: target)
                        }
                    },
                    take: { delivery in
                        for record in delivery.records {
                            batch.withLock { $0.add(record) }
                            countReceived(record)
                        }
                    })
                if !hasMore { batch.withLock { $0.isOver = true } }
                return hasMore
            }
            let received = batch.withLock { $0 }
            isOver = received.isOver
            // No other thread writes now: a payload block that becomes zero may be taken as a whole.
            for blocks in received.zeros {
                var bytesToZero = UInt64.max
                try writeZeros(blocks, to: target, &bytesToZero)
            }
            try verify(received, on: target)
            uncommitted += received.byteCount
            let isDue = ContinuousClock.now - lastCommit >= ReceivedBatch.longestTime
            if isDue || uncommitted >= Self.largestUncommittedByteCount {
                try onDisk(.replica) { () throws(VHDXError) in try target.commit() }
                (uncommitted, lastCommit) = (0, .now)
            }
        }
    }

    /// As much as a crash may lose where it comes fast.
    private static var largestUncommittedByteCount: UInt64 { 1 << 30 }

    private func countReceived(_ record: DeltaRecord) {
        var counts = ResyncCounts()
        counts.bytesRecorded = UInt64(record.bytes.count)
        monitor.add(counts)
    }

    private func verify(
        _ batch: ReceivedBatch, on target: borrowing some BlockSource & ~Copyable
    ) throws(ResyncError) {
        try pool.run(batch.contents, monitor: monitor) { (content, worker) throws(ResyncError) in
            try verify(
                content.blocks, digests: { content.digests[$0] }, worker: &worker, on: target)
        }
        try pool.run(batch.zeros, monitor: monitor) { (blocks, worker) throws(ResyncError) in
            try verifyZeros(range(of: blocks), worker: &worker, on: target)
        }
    }
}

/// What was received and is to be read back.
private struct ReceivedBatch: Sendable {
    struct Content: Sendable {
        var blocks: Range<UInt64>
        var digests: [BlockDigest]
    }

    private(set) var contents: [Content] = []
    /// What becomes zero: put aside until no worker writes.
    private(set) var zeros: [Range<UInt64>] = []
    /// Whether there are no more records.
    var isOver = false
    private(set) var byteCount: UInt64 = 0
    private let start = ContinuousClock.now

    /// What comes slowly is not lost with a crash for long.
    static let longestTime = Duration.seconds(2)
    /// As much as is still in the cache when it is read back, and for so long questions have to wait.
    private static let largestByteCount: UInt64 = 64 << 20
    private static let largestZeroCount = 4096

    var isFull: Bool {
        isOver || byteCount >= Self.largestByteCount || zeros.count >= Self.largestZeroCount
            || ContinuousClock.now - start >= Self.longestTime
    }

    mutating func add(_ record: DeltaRecord) {
        guard record.kind == .data else {
            zeros.append(record.blocks)
            return
        }
        let digests = (0..<record.blocks.count).map(record.digest(at:))
        contents.append(Content(blocks: record.blocks, digests: digests))
        byteCount += record.contentByteCount
    }
}
