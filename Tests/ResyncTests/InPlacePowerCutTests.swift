import BlockIO
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A replica that is written in place, without a journal")
struct InPlacePowerCutTests {
    /// Runs as ``LocalResync`` does in place.
    private func run<Target: ReplicaTarget & ~Copyable>(
        _ scenario: JournalScenario, _ monitor: ResyncMonitor = ResyncMonitor(),
        _ open: () throws(VHDXError) -> Target
    ) throws(ResyncError) {
        var options = ResyncOptions(workerCount: 1)
        options.blockSize = scenario.blockSize
        let target = InPlaceTarget(try onDisk(.replica, open), monitor)
        let engine = try ComparisonEngine(
            virtualSize: target.virtualSize, options: options, pass: .resynchronize,
            monitor: monitor)
        do throws(ResyncError) {
            let primary = try onDisk(.primary) { () throws(VHDXError) in
                try ImageReader(scenario.primary)
            }
            let roots = try engine.run(primary: primary, replica: target)
            #expect(roots?.primary == roots?.replica)
            try target.removeMark()
        } catch {
            try target.end(after: error)
            throw error
        }
        try target.close()
    }

    private func run(_ scenario: JournalScenario, on disk: PowerCutDisk) throws {
        try run(scenario) { () throws(VHDXError) in
            guard let file = disk.open(JournalScenario.replicaName) else {
                preconditionFailure("the replica is gone")
            }
            return try JournalScenario.open(file, on: disk.open(JournalScenario.parentName))
        }
        disk.mark("done")
    }

    private func faults(
        _ scenario: JournalScenario, after state: PowerCutDisk.CrashState, runsAgain: Bool
    ) -> [String] {
        do {
            var faults: [String] = []
            let content = try JournalScenario.content(state.files)
            let isNew = content?.readsAs(scenario.new) ?? false
            if state.marks.contains("done"), !isNew { faults.append("what was done is not there") }
            if let content, !isNew, !content.readsAs(scenario.old) {
                faults.append("half-written, and open")
            }
            guard runsAgain else { return faults }
            let files = JournalScenario.Files(state.files)
            try run(scenario, ResyncMonitor(), files.open)
            let isWhole = try files.content()?.readsAs(scenario.new) ?? false
            if !isWhole { faults.append("not whole after the next run") }
            return faults
        } catch {
            return ["\(error)"]
        }
    }

    @Test("A cut leaves it old, or refused, or new, and the next run makes it new")
    func eachCut() throws {
        let scenarios = [
            ("each way", JournalScenario(.inEachWay(seed: 90))),
            ("batches", JournalScenario(.inBatches(seed: 91))),
            ("differencing", try .differencing(seed: 92)),
        ]
        for (name, scenario) in scenarios {
            let disk = PowerCutDisk(scenario.files)
            try run(scenario, on: disk)
            var refused = 0
            var count = 0
            try disk.forEachCrashState(of: "in place, \(name)", seed: 21, limit: 10) { state in
                count += 1
                let faults = faults(scenario, after: state, runsAgain: count % 3 == 0)
                #expect(faults == [], "\(state.description)")
                if try JournalScenario.content(state.files) == nil { refused += 1 }
            }
            #expect(refused > 20, "\(name)")
        }
    }

    @Test("Without the flushes between mark and content a cut does harm")
    func neededFlushes() throws {
        let scenario = JournalScenario(.inEachWay(seed: 93))
        let whole = PowerCutDisk(scenario.files)
        try run(scenario, on: whole)
        let count = whole.flushes.count
        #expect(count > 10)
        // Of the mark; and of the content, and what comes before the mark goes.
        for (ignored, what) in [(0..<8, "the mark"), (8..<count - 5, "the content")] {
            let disk = PowerCutDisk(scenario.files, ignoredFlushes: Set(ignored))
            try run(scenario, on: disk)
            var isHarmful = false
            disk.forEachCrashState(seed: 22, limit: 12) { state in
                guard !isHarmful else { return }
                isHarmful = !faults(scenario, after: state, runsAgain: false).isEmpty
            }
            #expect(isHarmful, "\(what)")
        }
    }

    @Test(
        "An equal disk is neither marked nor written to; another is marked before its first change")
    func marks() throws {
        let scenario = JournalScenario(.inEachWay(seed: 94))
        let files = JournalScenario.Files(scenario.files)
        let monitor = ResyncMonitor()
        try run(scenario, monitor, files.open)
        #expect(monitor.condition == .written)
        #expect(try files.content()?.readsAs(scenario.new) == true)
        files.replica.resetCounts()
        let second = ResyncMonitor()
        try run(scenario, second, files.open)
        #expect(files.replica.counts.changes == 0 && files.replica.counts.flushes == 0)
        #expect(second.condition == .untouched)

        let target = InPlaceTarget(
            try JournalScenario.Files(scenario.files).open(), ResyncMonitor())
        let bytes = [UInt8](repeating: 1, count: 512)
        #expect(target.virtualSize == scenario.old.byteCount)
        try target.write(bytes.rawSpan, at: 0)
        #expect(target.base.mark == ApplyMark(streamID: .zero, journalPath: ""))
        try target.end(after: .stopped(.cancelled))
    }
}
