import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A power cut during a run")
struct ReplicaPowerCutTests {
    /// What a run does to the replica's file, with a mark where it says that it is done.
    private func record(
        _ scenario: FaultScenario, ignoredFlushes: Set<Int> = []
    ) throws -> PowerCutFile {
        let file = PowerCutFile(content: scenario.replica, ignoredFlushes: ignoredFlushes)
        let roots = try scenario.run()(scenario.primary, to: file)
        #expect(roots?.primary == roots?.replica)
        file.mark("done")
        return file
    }

    /// What is wrong with the replica after a cut.
    private func faults(
        _ scenario: FaultScenario, after state: PowerCutFile.CrashState, runsAgain: Bool
    ) -> [String] {
        do {
            var faults = try scenario.faults(of: state.file, mixedBlocks: .max)
            if state.marks.contains("done") {
                if try !content(of: state.file).readsAs(scenario.new) {
                    faults.append("a run that was done is not there")
                }
            }
            // Again from where the cut left it.
            return runsAgain ? try faults + scenario.faultsAfterNextRun(on: state.file) : faults
        } catch {
            return ["\(error)"]
        }
    }

    private func checkEachCut(_ scenario: FaultScenario, seed: UInt64, limit: Int) throws {
        let file = try record(scenario)
        var stateCount = 0
        file.forEachCrashState(of: "resynchronization", seed: seed, limit: limit) { state in
            stateCount += 1
            let faults = faults(scenario, after: state, runsAgain: stateCount % 3 == 0)
            #expect(faults == [], "\(state.description)")
        }
        #expect(stateCount > 5 * limit)
    }

    @Test("Whatever a cut leaves is an image of old and new blocks, which the next run completes")
    func eachCut() throws {
        try checkEachCut(.inEachWay(seed: 60), seed: 1, limit: 20)
    }

    @Test("So with several commits in a run, the later ones into space that the first gave back")
    func batches() throws {
        let scenario = FaultScenario.inBatches(seed: 62)
        let file = try record(scenario)
        // Blocks 7 and 8 stand where 0 and 1 stood: the file did not grow for them.
        let end = try ImageReader(MemoryFile(content: file.content)).info.fileSize
        #expect(end <= (7 * 256 + 8) << 20)
        try checkEachCut(scenario, seed: 3, limit: 8)
    }

    /// Of the flushes of a run in two batches. The others order what a cut between them may mix: a
    /// header fits into a sector, and a new GUID before its time hurts nobody.
    @Test(
        "Without the flushes between content, log and table a cut does harm",
        arguments: [
            (3, "before the header names the log"),
            (6, "of an entry, before its pages are in place and freed space is given back"),
            (7, "of content, before the entry that makes it part of the disk"),
        ])
    func flushes(_ number: Int, _ what: String) throws {
        let scenario = FaultScenario.inBatches(seed: 65)
        let file = try record(scenario, ignoredFlushes: [number])
        #expect(file.flushCount == 12)
        var isHarmful = false
        file.forEachCrashState(seed: 4, limit: 12) { state in
            guard !isHarmful else { return }
            isHarmful = !faults(scenario, after: state, runsAgain: false).isEmpty
        }
        #expect(isHarmful, "the flush \(what)")
    }
}
