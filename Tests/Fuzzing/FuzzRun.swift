internal import Glibc
internal import TestSupport

/// Runs cases and says what became of them.
struct FuzzRun {
    let options: FuzzOptions
    let seeds: [Seed]
    private var oracle = Oracle(reach: Reach())
    /// Every eighth case of the target that locates parents is one on disk.
    private let pathTrial: PathTrial?
    /// What is run instead of images, where the target is none.
    private let trial: (any ByteTrial)?

    init(_ options: FuzzOptions) throws {
        self.options = options
        trial = options.target.trial
        seeds = trial == nil ? try Seeds.all() : []
        pathTrial = options.target == .parentLocator ? try PathTrial() : nil
    }

    /// - Returns: whether every promise was kept.
    mutating func run() throws -> Bool {
        if let path = options.replay { return try replay(path) }
        if let iteration = options.iteration {
            guard options.isShown else { return try run(iteration) }
            if let trial {
                var generator = SeededGenerator(seed: options.seed, iteration: iteration)
                let bytes = try trial.bytes(using: &generator)
                print(Corpus.text(of: bytes), terminator: "")
                return true
            }
            let wanted = Case(options.target, seeds, seed: options.seed, iteration: iteration)
            print(Corpus.text(of: wanted), terminator: "")
            return true
        }
        let folder = trial == nil ? "" : options.target.rawValue
        for path in try Corpus.paths(in: folder) where try !replay(path) { return false }
        return try loop()
    }

    private func name(_ iteration: UInt64) -> String {
        "fuzz \(options.target.rawValue) --seed \(options.seed) --iteration \(iteration)"
    }

    private mutating func replay(_ path: String) throws -> Bool {
        let name = "fuzz \(options.target.rawValue) --replay \(path)"
        if let trial { return run(try Corpus.bytes(path), by: trial, as: name) }
        return try run(try Corpus.load(path, seeds), as: name)
    }

    private mutating func loop() throws -> Bool {
        let start = now()
        let memory = Watch.peakMemory()
        var iteration: UInt64 = 0
        while iteration < options.iterations, now() - start < options.seconds {
            guard try run(iteration) else { return false }
            if Watch.memoryIsExceeded(since: memory) {
                print("\(name(iteration)): took \(Watch.peakMemory() - memory) bytes more memory")
                return false
            }
            iteration += 1
        }
        let seconds = now() - start
        let opened = iteration == 0 ? 0 : UInt64(oracle.reach.openedCount) * 100 / iteration
        print(
            "fuzz \(options.target.rawValue): \(iteration) \(trial?.noun ?? "images"), "
                + "\(Int(Double(iteration) / max(seconds, 0.001))) a second, \(opened) % opened, "
                + "peak memory \(Watch.peakMemory() >> 20) MiB")
        if options.isVerbose { oracle.reach.table.forEach { print($0) } }
        return true
    }

    private mutating func run(_ iteration: UInt64) throws -> Bool {
        Watch.begin(name(iteration))
        if let trial {
            var generator = SeededGenerator(seed: options.seed, iteration: iteration)
            let bytes = try trial.bytes(using: &generator)
            return run(bytes, by: trial, as: name(iteration))
        }
        guard let pathTrial, iteration % 8 == 7 else {
            let next = Case(options.target, seeds, seed: options.seed, iteration: iteration)
            return try run(next, as: name(iteration))
        }
        var generator = SeededGenerator(seed: options.seed &+ iteration &* 0x9E37_79B9_7F4A_7C15)
        do {
            try pathTrial.run(&generator, &oracle.reach)
            return true
        } catch let violation as Violation {
            print("\(name(iteration)): \(violation.promise)")
            return false
        }
    }

    private mutating func run(_ bytes: [UInt8], by trial: any ByteTrial, as name: String) -> Bool {
        Watch.begin(name)
        do {
            try trial.judge(bytes, &oracle.reach)
            return true
        } catch {
            print("\(name): \((error as? Violation)?.promise ?? "failed with \(error)")")
            print(Corpus.text(of: bytes), terminator: "")
            return false
        }
    }

    private mutating func run(_ next: Case, as name: String) throws -> Bool {
        Watch.begin(name)
        do {
            try oracle.judge(next)
            return true
        } catch let violation as Violation {
            print("\(name): \(violation.promise)")
            print(Corpus.text(of: next), terminator: "")
            return false
        } catch {
            print("\(name): failed with \(error)")
            print(Corpus.text(of: next), terminator: "")
            return false
        }
    }

    /// Seconds since some moment.
    private func now() -> Double {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
