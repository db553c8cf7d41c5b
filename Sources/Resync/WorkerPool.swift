internal import BlockIO
internal import Dispatch
internal import Glibc
internal import Storage
internal import Synchronization

/// A buffer for records that goes from hand to hand.
typealias RecordBox = Lock<DeltaRecordBuffer>

/// What one thread owns while it compares: a buffer for each side, and a hash context.
struct Worker: ~Copyable, Sendable {
    var primary: ReadBuffer
    var replica: ReadBuffer
    var context: SHA256Context
    /// What it found to differ; nil where nothing is recorded.
    var records: RecordBox?

    /// `recordedBlockSize` is that of blocks which are to be recorded.
    init(
        byteCount: Int, recordedBlockSize: Int?, _ provider: HashProvider
    ) throws(OutOfMemory) {
        let primary = try ReadBuffer(byteCount: byteCount)
        let replica = try ReadBuffer(byteCount: byteCount)
        let context = try SHA256Context(provider)
        records = nil
        if let recordedBlockSize {
            records = Lock(
                try DeltaRecordBuffer(contentByteCount: byteCount, blockSize: recordedBlockSize))
        }
        self.primary = primary
        self.replica = replica
        self.context = context
    }

    /// The digests of blocks that lie at these places in the buffers.
    mutating func digests(
        ofPrimary primaryBlocks: [Range<Int>], ofReplica replicaBlocks: [Range<Int>]
    ) -> (primary: [BlockDigest], replica: [BlockDigest]) {
        Self.digests(of: primaryBlocks, primary, replicaBlocks, replica, with: &context)
    }

    private static func digests(
        of primaryBlocks: [Range<Int>], _ primary: borrowing ReadBuffer,
        _ replicaBlocks: [Range<Int>], _ replica: borrowing ReadBuffer,
        with context: inout SHA256Context
    ) -> (primary: [BlockDigest], replica: [BlockDigest]) {
        guard let lastOfPrimary = primaryBlocks.last, !primaryBlocks.count.isMultiple(of: 2),
            let lastOfReplica = replicaBlocks.last, !replicaBlocks.count.isMultiple(of: 2)
        else {
            return (
                context.digests(of: primaryBlocks[...], in: primary.bytes),
                context.digests(of: replicaBlocks[...], in: replica.bytes)
            )
        }
        // What finds no partner on its own side is a pair across them.
        var ofPrimary = context.digests(of: primaryBlocks.dropLast(), in: primary.bytes)
        var ofReplica = context.digests(of: replicaBlocks.dropLast(), in: replica.bytes)
        let pair = context.digests(
            of: primary.bytes.extracting(lastOfPrimary),
            and: replica.bytes.extracting(lastOfReplica))
        ofPrimary.append(pair.first)
        ofReplica.append(pair.second)
        return (ofPrimary, ofReplica)
    }
}

/// Threads that take items of work in turn, and the memory that they need.
struct WorkerPool: Sendable {
    private let workers: [Lock<Worker>]

    /// How many run at a time.
    var workerCount: Int { workers.count }

    /// Asks for all memory at once: what runs later is not refused any.
    ///
    /// There are no more workers than processors: `concurrentPerform` never runs more at a time.
    init(
        count: Int, byteCount: Int, recordedBlockSize: Int? = nil, _ provider: HashProvider
    ) throws(OutOfMemory) {
        let processorCount = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var workers: [Lock<Worker>] = []
        for _ in 0..<min(count, processorCount) {
            let worker = try Worker(
                byteCount: byteCount, recordedBlockSize: recordedBlockSize, provider)
            workers.append(Lock(worker))
        }
        self.workers = workers
    }

    /// Runs the body on every item, on all cores, until one fails or a stop is requested.
    func run<Item: Sendable>(
        _ items: [Item], monitor: ResyncMonitor,
        _ body: @Sendable (Item, inout Worker) throws(ResyncError) -> Void
    ) throws(ResyncError) {
        let next = Atomic<Int>(0)
        try run(upTo: items.count, monitor: monitor) { (worker) throws(ResyncError) in
            let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard item < items.count else { return false }
            try body(items[item], &worker)
            return true
        }
    }

    /// Runs the body again and again, on all cores, in each thread until it answers that there is
    /// nothing more to do, one fails, or a stop is requested.
    func run(
        upTo threadCount: Int = .max, monitor: ResyncMonitor,
        _ body: @Sendable (inout Worker) throws(ResyncError) -> Bool
    ) throws(ResyncError) {
        let failure = Lock<ResyncError?>(nil)
        DispatchQueue.concurrentPerform(iterations: min(workers.count, threadCount)) { index in
            workers[index].withLock { worker in
                do throws(ResyncError) {
                    while failure.withLock({ $0 == nil }) {
                        if let reason = monitor.stopReason { throw .stopped(reason) }
                        guard try body(&worker) else { break }
                    }
                } catch {
                    failure.withLock { $0 = $0 ?? error }
                }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
