import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A power cut during a run through a journal, under the replica and the journal")
struct JournalPowerCutTests {
    /// A whole run on files that lose power.
    private func run(
        _ scenario: JournalScenario, ignoredFlushes: Set<Int> = []
    ) throws -> PowerCutDisk {
        let disk = PowerCutDisk(scenario.files, ignoredFlushes: ignoredFlushes)
        var run = scenario.run()
        run.didReach = { disk.mark($0.rawValue) }
        try run(scenario.primary, JournalStore(on: disk)) { () throws(VHDXError) in
            try open(disk)
        }
        #expect(try JournalScenario.content(disk.files)?.readsAs(scenario.new) == true)
        #expect(disk.open(JournalScenario.journalName) == nil)
        return disk
    }

    private func open(
        _ disk: PowerCutDisk
    ) throws(VHDXError) -> ImageWriter<PowerCutDisk.File> {
        guard let replica = disk.open(JournalScenario.replicaName) else {
            preconditionFailure("the replica is gone")
        }
        return try JournalScenario.open(replica, on: disk.open(JournalScenario.parentName))
    }

    private func faults(
        _ scenario: JournalScenario, after state: PowerCutDisk.CrashState, runsAgain: Bool
    ) -> [String] {
        scenario.faults(
            of: state.files, isCommitted: state.marks.contains("committed"),
            isApplied: state.marks.contains("applied"), runsAgain: runsAgain)
    }

    /// Cuts a run everywhere, and the recovery of every `secondCuts`th state that has one.
    private func checkEachCut(
        _ scenario: JournalScenario, _ name: String, seed: UInt64, limit: Int, secondCuts: Int
    ) throws {
        let disk = try run(scenario)
        var stateCount = 0
        var refused = 0
        var recoveries = 0
        var secondStates = 0
        try disk.forEachCrashState(of: "journal, \(name)", seed: seed, limit: limit) { state in
            stateCount += 1
            let faults = faults(scenario, after: state, runsAgain: stateCount % 5 == 0)
            #expect(faults == [], "\(state.description)")
            let isRefused = try JournalScenario.content(state.files) == nil
            if isRefused { refused += 1 }
            guard isRefused, faults.isEmpty, refused % secondCuts == 0 else { return }
            recoveries += 1
            secondStates += try checkCuts(
                ofRecoveryFrom: state, scenario, seed: seed &+ UInt64(stateCount))
        }
        print(
            "power cuts: journal, \(name): \(refused) refuse to open, the recovery of "
                + "\(recoveries) cut once more: \(secondStates) images")
        #expect(refused > 20 && recoveries > 1)
    }

    private func checkCuts(
        ofRecoveryFrom first: PowerCutDisk.CrashState, _ scenario: JournalScenario, seed: UInt64
    ) throws -> Int {
        let disk = PowerCutDisk(first.files)
        var run = scenario.run()
        run.didReach = { disk.mark($0.rawValue) }
        try run.recover(JournalStore(on: disk)) { () throws(VHDXError) in try open(disk) }
        var count = 0
        disk.forEachCrashState(seed: seed, limit: 4) { state in
            count += 1
            let faults = scenario.faults(
                of: state.files, isCommitted: true, isApplied: state.marks.contains("applied"),
                runsAgain: false)
            #expect(faults == [], "\(first.description); then \(state.description)")
        }
        return count
    }

    @Test("What a cut leaves is old, or refused and made new by the journal, or new")
    func eachCut() throws {
        try checkEachCut(
            JournalScenario(.inEachWay(seed: 70)), "each way", seed: 11, limit: 12, secondCuts: 20)
    }

    @Test("So with several commits while the journal is written to the replica")
    func batches() throws {
        try checkEachCut(
            JournalScenario(.inBatches(seed: 71)), "batches", seed: 12, limit: 8, secondCuts: 18)
    }

    @Test("So with a differencing replica")
    func differencing() throws {
        try checkEachCut(
            .differencing(seed: 72), "differencing", seed: 13, limit: 10, secondCuts: 20)
    }

    /// Flushes of a run, numbered in the order of time, and what must be found where they are left out.
    static let flushes: [(ClosedRange<Int>, what: String, fault: String)] = [
        (0...0, "of the journal's name", "not recovered"),
        (1...1, "of its records, before the trailer", "is damaged"),
        (2...2, "of the trailer, before the mark", "not recovered"),
        (3...10, "of the mark, before content", "half-written, and open"),
        (6...6, "of the header that names the log, before what is in it", "no valid entry"),
        (9...9, "of the log's entry with the mark, before its pages", "apply mark"),
        (11...11, "of content, before the log's entry that makes it part", "the log at byte"),
        (11...15, "of content, before the mark goes", "half-written, and open"),
        (15...15, "of the log's entry without the mark, before its pages", "apply mark"),
        (14...19, "of the image without the mark, before the journal goes", "not recovered"),
    ]

    @Test("Without the flushes that order journal, mark and content a cut does harm")
    func neededFlushes() throws {
        let scenario = JournalScenario(.inEachWay(seed: 70))
        let all = try run(scenario).flushes
        #expect(all.prefix(3) == ["folder", "journal", "journal"] && all.last == "folder")
        #expect(all.count == 21 && Set(all[3..<20]) == [JournalScenario.replicaName])
        for (numbers, what, fault) in Self.flushes {
            let disk = try run(scenario, ignoredFlushes: Set(numbers))
            var isHarmful = false
            disk.forEachCrashState(seed: 14, limit: 12) { state in
                guard !isHarmful else { return }
                let found = faults(scenario, after: state, runsAgain: false)
                isHarmful = found.contains { $0.contains(fault) }
            }
            #expect(isHarmful, "\(numbers), \(what)")
        }
    }

    // MARK: Journals that an earlier run left

    /// A run that records, with the primary's file in another state, and is cut off there: what a
    /// journal of other states looks like that the next run has to replace.
    private func unfinishedJournal(_ scenario: JournalScenario, sourceState: UInt8) throws
        -> SparseBytes
    {
        let files = JournalScenario.Files(scenario.files)
        var run = scenario.run()
        run.sourceState = JournalRun.fileState(sourceState)
        let target = try files.open()
        _ = try run.record(scenario.primary, files.journal.store, on: target)
        target.abandon()
        var content = try #require(files.journal.content)
        content.resize(to: content.byteCount - 400)
        return content
    }

    @Test("So with a journal that an earlier run left unfinished")
    func resumed() throws {
        var scenario = JournalScenario(.inEachWay(seed: 73))
        scenario.files[JournalScenario.journalName] = try unfinishedJournal(
            scenario, sourceState: 1)
        try checkEachCut(scenario, "resumed", seed: 15, limit: 8, secondCuts: 20)
    }

    @Test("A journal of another state, with other content, leaves nothing to the one in its place")
    func replaced() throws {
        var scenario = JournalScenario(.inEachWay(seed: 74))
        var other = JournalScenario(.inEachWay(seed: 75))
        other.files = scenario.files
        scenario.files[JournalScenario.journalName] = try unfinishedJournal(other, sourceState: 9)
        try checkEachCut(scenario, "replaced", seed: 16, limit: 8, secondCuts: 20)

        // Emptied without a flush, the old records may be there under the new header.
        let disk = PowerCutDisk(scenario.files)
        var store = JournalStore(on: disk)
        let create = store.create
        store.create = { () throws(FileError) in
            let file = try create()
            try file.setByteCount(0)
            return file
        }
        try scenario.run()(scenario.primary, store) { () throws(VHDXError) in try open(disk) }
        var isHarmful = false
        disk.forEachCrashState(seed: 18, limit: 60) { state in
            guard !isHarmful, state.flushCount < 3 else { return }
            isHarmful = !faults(scenario, after: state, runsAgain: true).isEmpty
        }
        #expect(isHarmful)
    }

    @Test("A journal is durable before it is applied, whoever wrote it and ended")
    func processEnds() throws {
        let scenario = JournalScenario(.inEachWay(seed: 76))
        let disk = PowerCutDisk(scenario.files, ignoredFlushes: [2])
        var run = scenario.run()
        let target = try open(disk)
        _ = try run.record(scenario.primary, JournalStore(on: disk), on: target)
        target.abandon()
        // The process ended when the trailer was written, and before it was flushed.
        #expect(disk.flushes == ["folder", "journal", "journal"])
        run.didReach = { disk.mark($0.rawValue) }
        let isFinished = try run.recover(JournalStore(on: disk)) { () throws(VHDXError) in
            try open(disk)
        }
        #expect(isFinished)
        disk.forEachCrashState(seed: 17, limit: 12) { state in
            let faults = faults(scenario, after: state, runsAgain: false)
            #expect(faults == [], "\(state.description)")
        }
    }
}
