import Glibc
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A replica whose file fails")
struct ReplicaFailureTests {
    /// What came of a run of which one call failed.
    private struct Trial {
        var file: MemoryFile
        var error: ResyncError?
        var failureCount: Int
        var comment: Comment
    }

    private func run(
        _ scenario: FaultScenario, on content: SparseBytes, _ plan: FailingFile.Plan
    ) -> Trial {
        let memory = MemoryFile(content: content)
        let file = FailingFile(memory, plan: plan)
        var trial = Trial(
            file: memory, failureCount: 0,
            comment: """
                call \(plan.index), \(plan.partialByteCount) bytes written\
                \(plan.isPermanent ? ", all later ones too" : "")
                """)
        do {
            _ = try scenario.run()(scenario.primary, to: file)
        } catch let error as ResyncError {
            trial.error = error
        } catch let error as VHDXError {
            trial.error = .disk(.replica, error)
        } catch {
            Issue.record(error)
        }
        trial.failureCount = file.failureCount
        return trial
    }

    private func check(_ trial: Trial, _ scenario: FaultScenario, isPartial: Bool, runsAgain: Bool)
    {
        do {
            if let error = trial.error {
                guard case .disk(.replica, .file(.system(_, _, _, errno: let code))) = error else {
                    Issue.record(error, trial.comment)
                    return
                }
                #expect(code == EIO, trial.comment)
            } else {
                // Space that could not be given back is no reason to fail.
                #expect(try content(of: trial.file).readsAs(scenario.new), trial.comment)
            }
            let faults = try scenario.faults(of: trial.file, mixedBlocks: isPartial ? 1 : 0)
            #expect(faults == [], trial.comment)
            guard runsAgain else { return }
            let next = MemoryFile(content: trial.file.content)
            #expect(try scenario.faultsAfterNextRun(on: next) == [], trial.comment)
        } catch {
            Issue.record(error, trial.comment)
        }
    }

    /// Fails each call in turn until a run makes fewer.
    ///
    /// - Returns: how many calls there were, and the files with a log that is still to be replayed.
    private func failEachCall(
        of scenario: FaultScenario, on content: SparseBytes, partialByteCount: Int = 0,
        isPermanent: Bool = false
    ) throws -> (count: Int, dirty: [SparseBytes]) {
        var dirty: [SparseBytes] = []
        var index = 0
        while true {
            let plan = FailingFile.Plan(
                failing: index, errno: EIO, partialByteCount: partialByteCount,
                isPermanent: isPermanent)
            let trial = run(scenario, on: content, plan)
            guard trial.failureCount > 0 else {
                #expect(trial.error == nil)
                return (index, dirty)
            }
            // Each state once, and half of those that a variant of the failure leaves.
            let isVariant = partialByteCount > 0 || isPermanent
            check(
                trial, scenario, isPartial: partialByteCount > 0,
                runsAgain: !isVariant || index % 2 == 0)
            if try ImageReader(trial.file).info.logIsDirty { dirty.append(trial.file.content) }
            index += 1
        }
    }

    @Test("Each call that fails leaves old and new blocks, and the next run completes them")
    func eachCall() throws {
        let scenario = FaultScenario.inEachWay(seed: 31)
        let result = try failEachCall(of: scenario, on: scenario.replica)
        #expect(result.count > 20)
    }

    @Test(
        "So does each short write, but for the block that it broke off in",
        arguments: [512, 65536 + 1536])
    func eachShortWrite(_ byteCount: Int) throws {
        let scenario = FaultScenario.inEachWay(seed: UInt64(32 + byteCount))
        let result = try failEachCall(
            of: scenario, on: scenario.replica, partialByteCount: byteCount)
        #expect(result.count > 20)
    }

    @Test("So does a device that is gone from some call on")
    func deviceGone() throws {
        let scenario = FaultScenario.inEachWay(seed: 40)
        let result = try failEachCall(
            of: scenario, on: scenario.replica, partialByteCount: 512, isPermanent: true)
        #expect(result.count > 20 && !result.dirty.isEmpty)
    }

    @Test("A replica with a log to replay, and each call that fails from there")
    func dirtyLog() throws {
        let scenario = FaultScenario.inEachWay(seed: 50)
        let first = try failEachCall(of: scenario, on: scenario.replica, isPermanent: true)
        let dirty = try #require(first.dirty.last)
        let second = try failEachCall(of: scenario, on: dirty)
        #expect(second.count > 5)
        let third = try failEachCall(of: scenario, on: try #require(first.dirty.first))
        #expect(third.count > 5)
    }

    @Test("Each call that fails of a run that commits in batches")
    func batches() throws {
        let scenario = FaultScenario.inBatches(seed: 51)
        let result = try failEachCall(of: scenario, on: scenario.replica)
        #expect(result.count > 20)
    }
}
