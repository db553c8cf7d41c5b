internal import Glibc

/// Names the case in which the process dies, hangs or takes too much memory.
///
/// All state is in memory that is allocated at the start: a signal handler may do nothing but read
/// it, write to standard error and end the process.
enum Watch {
    /// An iteration takes milliseconds. One that takes so many seconds does not end.
    private static let patienceSeconds = 10
    /// More address space than a case may need, over what is in use at the start.
    private static let spareAddressSpace: UInt64 = 3 << 30
    /// A disk of the largest file takes 32 MiB for the map of its space, two or three at a time.
    private static let spareMemory: UInt64 = 384 << 20

    /// Set once, before any handler is installed, and never freed.
    @unsafe private struct State {
        /// The text that names the case, and how long it is.
        var text: UnsafeMutablePointer<UInt8>
        var count: UnsafeMutablePointer<Int>
        /// Grows with each case; the timer looks whether it still does.
        var iteration: UnsafeMutablePointer<UInt64>
        var seen: UnsafeMutablePointer<UInt64>
        var ticks: UnsafeMutablePointer<Int>
        /// What each signal did before, by its number: the runtime prints where it crashed.
        var before: UnsafeMutablePointer<sigaction>
    }

    nonisolated(unsafe) private static var state: State?
    private static let capacity = 256

    /// Installs everything.
    static func start() {
        // Safe: the allocations live as long as the process.
        let new = unsafe State(
            text: .allocate(capacity: capacity), count: .allocate(capacity: 1),
            iteration: .allocate(capacity: 1), seen: .allocate(capacity: 1),
            ticks: .allocate(capacity: 1), before: .allocate(capacity: 64))
        unsafe new.count.initialize(to: 0)
        unsafe new.iteration.initialize(to: 0)
        unsafe new.seen.initialize(to: 0)
        unsafe new.ticks.initialize(to: 0)
        unsafe state = new
        limitAddressSpace()
        installHandlers()
    }

    /// Says which case is about to run.
    static func begin(_ name: String) {
        // Safe: the text has room for `capacity` bytes.
        guard let state = unsafe state else { return }
        let bytes = Array(name.utf8.prefix(capacity))
        for (index, byte) in bytes.enumerated() { unsafe state.text[index] = byte }
        unsafe state.count.pointee = bytes.count
        unsafe state.iteration.pointee += 1
    }

    private static func limitAddressSpace() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, rlim_t(addressSpace() + spareAddressSpace))
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
    }

    /// How much address space is in use, in bytes.
    private static func addressSpace() -> UInt64 {
        // Safe: the file is closed here, and the format stores one number.
        guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&line, 128, file) != nil else { return 0 }
        let digits = line.prefix { $0 >= 48 && $0 <= 57 }
        let pages = digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 48) }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    // MARK: Memory

    /// The most memory that the process ever had, in bytes.
    static func peakMemory() -> UInt64 {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return UInt64(usage.ru_maxrss) * 1024
    }

    /// Whether the process took more than a case may need.
    static func memoryIsExceeded(since base: UInt64) -> Bool {
        peakMemory() > base + spareMemory
    }

    // MARK: Signals

    private static func installHandlers() {
        let stackSize = 65536
        var stack = unsafe stack_t()
        // Safe: the stack lives as long as the process.
        unsafe stack.ss_sp = .allocate(byteCount: stackSize, alignment: 16)
        unsafe stack.ss_size = stackSize
        _ = unsafe sigaltstack(&stack, nil)
        for signal in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
            install(signal) { number in
                Watch.report("crashed")
                // The instruction runs again, and the runtime takes over.
                if let state = unsafe Watch.state {
                    _ = unsafe sigaction(number, state.before + Int(number), nil)
                }
            }
        }
        install(SIGALRM) { _ in Watch.tick() }
        var second = itimerval()
        second.it_interval.tv_sec = 1
        second.it_value.tv_sec = 1
        _ = unsafe setitimer(__itimer_which_t(Int32(ITIMER_REAL.rawValue)), &second, nil)
    }

    private static func install(
        _ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void
    ) {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_ONSTACK | SA_RESTART
        guard let state = unsafe state else { return }
        _ = unsafe sigaction(number, &action, state.before + Int(number))
    }

    private static func tick() {
        guard let state = unsafe state else { return }
        if unsafe state.iteration.pointee != state.seen.pointee {
            unsafe state.seen.pointee = unsafe state.iteration.pointee
            unsafe state.ticks.pointee = 0
            return
        }
        unsafe state.ticks.pointee += 1
        if unsafe state.ticks.pointee >= patienceSeconds {
            report("does not end")
            _exit(1)
        }
    }

    private static func report(_ what: StaticString) {
        guard let state = unsafe state else { return }
        // Safe: the texts are as long as told.
        _ = unsafe write(2, "\n", 1)
        _ = unsafe write(2, state.text, state.count.pointee)
        _ = unsafe write(2, ": ", 2)
        _ = unsafe write(2, what.utf8Start, what.utf8CodeUnitCount)
        _ = unsafe write(2, "\n", 1)
    }
}
