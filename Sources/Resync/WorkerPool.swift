internal import BlockIO
internal import Dispatch
internal import Glibc
internal import Storage
internal import Synchronization

/// What one thread owns while it compares: a buffer for each side, and a hash context.
struct Worker: ~Copyable, Sendable {
    var primary: AlignedBuffer
    var replica: AlignedBuffer
    var context: SHA256Context

    init(byteCount: Int) throws(OutOfMemory) {
        let primary = try AlignedBuffer(byteCount: byteCount)
        let replica = try AlignedBuffer(byteCount: byteCount)
        context = try SHA256Context()
        self.primary = primary
        self.replica = replica
    }

    mutating func digestOfPrimary(_ range: Range<Int>) -> BlockDigest {
        Self.digest(of: primary, range, with: &context)
    }

    mutating func digestOfReplica(_ range: Range<Int>) -> BlockDigest {
        Self.digest(of: replica, range, with: &context)
    }

    private static func digest(
        of buffer: borrowing AlignedBuffer, _ range: Range<Int>, with context: inout SHA256Context
    ) -> BlockDigest {
        context.digest(of: buffer.bytes.extracting(range))
    }
}

/// Threads that take items of work in turn, and the memory that they need.
struct WorkerPool: Sendable {
    private let workers: [Lock<Worker>]

    /// Allocates everything at once: what runs later cannot run out of memory.
    ///
    /// There are no more workers than processors: `concurrentPerform` never runs more at a time.
    init(count: Int, byteCount: Int) throws(OutOfMemory) {
        let processorCount = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var workers: [Lock<Worker>] = []
        for _ in 0..<min(count, processorCount) {
            workers.append(Lock(try Worker(byteCount: byteCount)))
        }
        self.workers = workers
    }

    /// Runs the body on every item, on all cores, until one fails or a stop is requested.
    func run<Item: Sendable>(
        _ items: [Item], monitor: ResyncMonitor,
        _ body: @Sendable (Item, inout Worker) throws(ResyncError) -> Void
    ) throws(ResyncError) {
        let next = Atomic<Int>(0)
        let failure = Lock<ResyncError?>(nil)
        DispatchQueue.concurrentPerform(iterations: min(workers.count, items.count)) { index in
            workers[index].withLock { worker in
                do throws(ResyncError) {
                    while failure.withLock({ $0 == nil }) {
                        if let reason = monitor.stopReason { throw .stopped(reason) }
                        let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard item < items.count else { break }
                        try body(items[item], &worker)
                    }
                } catch {
                    failure.withLock { $0 = $0 ?? error }
                }
            }
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
