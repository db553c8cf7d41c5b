internal import BlockIO
internal import Storage
internal import VHDX

/// Writes the records of a delta stream to a disk, on all cores, and reads back what was written.
struct DeltaApplication: Sendable {
    let header: DeltaHeader
    let monitor: ResyncMonitor
    let pool: WorkerPool
    /// Whether what is written and read back is what the phase is about.
    private let isPhase: Bool

    /// Zeros that are looked at between two looks at whether to stop.
    private static let zerosAtOnce = WindowPlan.byteCount

    init(
        _ header: DeltaHeader, options: ResyncOptions, monitor: ResyncMonitor,
        isPhase: Bool = true
    ) throws(ResyncError) {
        self.header = header
        self.isPhase = isPhase
        self.monitor = monitor
        do throws(OutOfMemory) {
            pool = try WorkerPool(
                count: options.workerCount,
                byteCount: max(WindowPlan.bytesAtOnce, header.blockSize),
                options.hashProvider)
        } catch {
            throw .outOfMemory(error)
        }
    }

    /// Counts so many virtual bytes as done.
    private func count(_ byteCount: UInt64, _ counts: ResyncCounts) {
        var counts = counts
        if isPhase { counts.bytesDone = byteCount }
        monitor.add(counts)
    }

    /// The virtual bytes of some blocks.
    func range(of blocks: Range<UInt64>) -> Range<UInt64> {
        let blockSize = UInt64(header.blockSize)
        return blocks.lowerBound
            * blockSize..<min(blocks.upperBound * blockSize, header.virtualSize)
    }

    /// The content of all records, by the word of the trailer. A short last block counts as a whole.
    private func bytesToDo<File: RandomAccessFile & ~Copyable>(
        _ stream: Lock<DeltaReader<File>>
    ) -> UInt64 {
        guard let trailer = stream.withLock({ $0.trailer }) else { return 0 }
        let (blocks, overflows) = trailer.dataBlockCount.addingReportingOverflow(
            trailer.zeroBlockCount)
        guard !overflows, blocks < header.blockCount else { return header.virtualSize }
        return blocks * UInt64(header.blockSize)
    }

    // MARK: Writing

    /// Writes all records. The stream must have been found whole.
    ///
    /// What is written is durable with the target's next commit. `bytesToZero`, where it is known, is how
    /// much of what becomes zero was not zero before: runs of zeros hold more.
    func write<File: RandomAccessFile & ~Copyable>(
        _ stream: Lock<DeltaReader<File>>, to target: borrowing some BlockTarget & ~Copyable,
        bytesToZero: UInt64?
    ) throws(ResyncError) {
        var bytesToZero = bytesToZero ?? .max
        monitor.begin(.applying, bytesToDo: bytesToDo(stream))
        var isOver = false
        while !isOver {
            let batch = Lock(Batch<File>())
            try pool.run(monitor: monitor) { (worker) throws(ResyncError) in
                let record = try batch.withLock { (batch) throws(ResyncError) in
                    try batch.next(of: stream)
                }
                guard let record else { return false }
                try write(record, worker: &worker, to: target)
                return true
            }
            let zeros = batch.withLock { batch in
                isOver = batch.isOver
                return batch.zeros
            }
            // No other thread writes now: a payload block that becomes zero may be taken as a whole.
            for blocks in zeros { try writeZeros(blocks, to: target, &bytesToZero) }
            try onDisk(.replica) { () throws(VHDXError) in try target.commitIfBatchIsFull() }
        }
    }

    func write(
        _ record: DeltaRecord, worker: inout Worker,
        to target: borrowing some BlockTarget & ~Copyable
    ) throws(ResyncError) {
        let range = range(of: record.blocks)
        let byteCount = Int(range.byteCount)
        try worker.decode(record, byteCount: byteCount)
        try onDisk(.replica) { () throws(VHDXError) in
            try target.write(
                worker.primary.bytes.extracting(0..<byteCount), at: range.lowerBound)
        }
        var counts = ResyncCounts()
        counts.bytesHashed = range.byteCount
        counts.bytesWritten = range.byteCount
        counts.bytesApplied = range.byteCount
        count(range.byteCount, counts)
    }

    func writeZeros(
        _ blocks: Range<UInt64>, to target: borrowing some BlockTarget & ~Copyable,
        _ bytesToZero: inout UInt64
    ) throws(ResyncError) {
        try forEachPiece(of: range(of: blocks)) { (range) throws(ResyncError) in
            var counts = ResyncCounts()
            try onDisk(.replica) { () throws(VHDXError) in
                // What reads as zeros already is part of the range, and is not written.
                counts.bytesWritten = min(
                    byteCount(ofBlocksWithData: try target.extents(in: range)), bytesToZero)
                try target.writeZeros(range)
            }
            bytesToZero -= counts.bytesWritten
            counts.bytesApplied = range.byteCount
            count(range.byteCount, counts)
        }
    }

    /// The bytes of all blocks that data touches.
    private func byteCount(ofBlocksWithData extents: [Extent]) -> UInt64 {
        let blockSize = UInt64(header.blockSize)
        var counted: UInt64 = 0
        var byteCount: UInt64 = 0
        for extent in extents where extent.state == .data {
            let first = max(counted, extent.range.lowerBound / blockSize)
            counted = extent.range.upperBound.dividedRoundingUp(by: blockSize)
            if first < counted { byteCount += range(of: first..<counted).byteCount }
        }
        return byteCount
    }

    /// Cuts a range that may be as large as the disk, so that a stop is seen within it.
    private func forEachPiece(
        of range: Range<UInt64>, _ body: (Range<UInt64>) throws(ResyncError) -> Void
    ) throws(ResyncError) {
        var start = range.lowerBound
        while start < range.upperBound {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            // At multiples, so that payload blocks are seen whole.
            let next = (start / Self.zerosAtOnce + 1) * Self.zerosAtOnce
            let end = min(next, range.upperBound)
            try body(start..<end)
            start = end
        }
    }

    // MARK: Reading back

    /// Checks that the disk reads as all records say: by digests, so that a record need not be
    /// decompressed again.
    func verify<File: RandomAccessFile & ~Copyable>(
        _ stream: Lock<DeltaReader<File>>, on target: borrowing some BlockSource & ~Copyable
    ) throws(ResyncError) {
        monitor.begin(.verifying, bytesToDo: bytesToDo(stream))
        try pool.run(monitor: monitor) { (worker) throws(ResyncError) in
            let record = try stream.withLock { (reader) throws(ResyncError) in try reader.next() }
            guard let record else { return false }
            if record.kind == .data {
                try verify(
                    record.blocks, digests: record.digest(at:), worker: &worker, on: target)
            } else {
                try verifyZeros(range(of: record.blocks), worker: &worker, on: target)
            }
            return true
        }
    }

    /// Reads some blocks, of which no more than a record has, and compares their digests.
    func verify(
        _ blocks: Range<UInt64>, digests: (Int) -> BlockDigest, worker: inout Worker,
        on target: borrowing some BlockSource & ~Copyable
    ) throws(ResyncError) {
        let range = range(of: blocks)
        try read(range, of: target, worker: &worker)
        let places = DigestTree.places(ofBlocks: header.blockSize, in: Int(range.byteCount))
        let found = worker.digests(ofPrimary: [], ofReplica: places).replica
        for (index, digest) in found.enumerated() where digest != digests(index) {
            throw .contentDiffersAfterWriting(
                at: range.lowerBound + UInt64(places[index].lowerBound))
        }
        var counts = ResyncCounts()
        counts.bytesHashed = range.byteCount
        counts.bytesVerified = range.byteCount
        count(range.byteCount, counts)
    }

    func verifyZeros(
        _ range: Range<UInt64>, worker: inout Worker,
        on target: borrowing some BlockSource & ~Copyable
    ) throws(ResyncError) {
        var start = range.lowerBound
        while start < range.upperBound {
            if let reason = monitor.stopReason { throw .stopped(reason) }
            let end = min(start + WindowPlan.byteCount, range.upperBound)
            let extents = try onDisk(.replica) { () throws(VHDXError) in
                try target.extents(in: start..<end)
            }
            for extent in extents where extent.state == .data {
                try verifyZeroBytes(extent.range, worker: &worker, on: target)
            }
            var counts = ResyncCounts()
            counts.bytesVerified = end - start
            count(end - start, counts)
            start = end
        }
    }

    private func verifyZeroBytes(
        _ range: Range<UInt64>, worker: inout Worker,
        on target: borrowing some BlockSource & ~Copyable
    ) throws(ResyncError) {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(start + UInt64(worker.replica.byteCount), range.upperBound)
            try read(start..<end, of: target, worker: &worker)
            guard ZeroScan.isZero(worker.replica.bytes.extracting(0..<Int(end - start))) else {
                throw .contentDiffersAfterWriting(at: start)
            }
            start = end
        }
    }

    private func read(
        _ range: Range<UInt64>, of target: borrowing some BlockSource & ~Copyable,
        worker: inout Worker
    ) throws(ResyncError) {
        do throws(VHDXError) {
            var bytes = worker.replica.mutableBytes
            var part = bytes.part(0..<Int(range.byteCount))
            try target.read(into: &part, at: range.lowerBound)
        } catch {
            throw .disk(.replica, error)
        }
        var counts = ResyncCounts()
        counts.bytesRead = range.byteCount
        monitor.add(counts)
    }
}

/// The records between two chances to commit, as the workers take them.
private struct Batch<File: RandomAccessFile & ~Copyable>: ~Copyable {
    private var byteCount: UInt64 = 0
    /// What becomes zero: put aside until no worker writes.
    private(set) var zeros: [Range<UInt64>] = []
    /// Whether the stream has no more records.
    private(set) var isOver = false

    /// Content and zeros that are written between two chances to commit.
    private static var largestByteCount: UInt64 { 256 << 20 }
    private static var largestZeroCount: Int { 4096 }

    /// The next record with content; nil at the end of the batch.
    mutating func next(
        of stream: Lock<DeltaReader<File>>
    ) throws(ResyncError) -> DeltaRecord? {
        while byteCount < Self.largestByteCount, zeros.count < Self.largestZeroCount {
            let record = try stream.withLock { (reader) throws(ResyncError) in try reader.next() }
            guard let record else {
                isOver = true
                return nil
            }
            if record.kind == .data {
                byteCount += record.contentByteCount
                return record
            }
            zeros.append(record.blocks)
        }
        return nil
    }
}

extension Worker {
    /// Decompresses a record into the primary's buffer, and checks it by its digests.
    mutating func decode(
        _ record: DeltaRecord, byteCount: Int
    ) throws(ResyncError) {
        try Self.decode(record, into: &primary, byteCount: byteCount, with: &context)
    }

    private static func decode(
        _ record: DeltaRecord, into buffer: inout ReadBuffer, byteCount: Int,
        with context: inout SHA256Context
    ) throws(ResyncError) {
        var bytes = buffer.mutableBytes
        var part = bytes.part(0..<byteCount)
        try record.decode(into: &part, context: &context)
    }
}
