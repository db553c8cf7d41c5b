import Glibc
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A file that fails while the disks of a machine become new together")
struct MachineFailureTests {
    private enum Failing: CaseIterable {
        case replica, journal
        /// The calls on the journal's name.
        case name
    }

    /// Three disks in memory, of which the second one has a file that fails.
    private struct Machine {
        let disks: [JournalScenario]
        let replicas: [FailingFile]
        let journals: [JournalPlace<FailingFile>]
        private let memories: [MemoryFile]

        init(_ disks: [JournalScenario], _ failing: Failing, _ plan: FailingFile.Plan) {
            self.disks = disks
            var replicas: [FailingFile] = []
            var journals: [JournalPlace<FailingFile>] = []
            var memories: [MemoryFile] = []
            for (index, disk) in disks.enumerated() {
                let content = disk.files[JournalScenario.replicaName] ?? SparseBytes()
                let memory = MemoryFile(name: JournalPlace<MemoryFile>.path)
                let plan = index == 1 ? plan : nil
                replicas.append(
                    FailingFile(
                        MemoryFile(content: content), plan: failing == .replica ? plan : nil))
                journals.append(
                    JournalPlace(
                        FailingFile(memory, plan: failing == .journal ? plan : nil), in: memory,
                        isThere: false, failing: failing == .name ? plan?.index : nil))
                memories.append(memory)
            }
            (self.replicas, self.journals, self.memories) = (replicas, journals, memories)
        }

        func isReached(_ failing: Failing, _ plan: FailingFile.Plan) -> Bool {
            switch failing {
            case .replica: replicas[1].failureCount > 0
            case .journal: journals[1].file.failureCount > 0
            case .name: journals[1].callCount > plan.index
            }
        }

        func prepare(_ index: Int) throws(ResyncError) -> PreparedJournal? {
            try disks[index].run().prepare(disks[index].primary, journals[index].store) {
                () throws(VHDXError) in try ImageWriter(replicas[index], acceptsMark: true)
            }
        }

        func finish(_ index: Int, _ journal: PreparedJournal) throws(ResyncError) {
            try disks[index].run().finish(journal, journals[index].store) {
                () throws(VHDXError) in try ImageWriter(replicas[index], acceptsMark: true)
            }
        }

        /// What a disk reads as; nil where it refuses to open.
        func content(_ index: Int) throws -> DiskContent? {
            try JournalScenario.content([JournalScenario.replicaName: replicas[index].file.content])
        }

        func areOld() throws -> Bool {
            try disks.indices.allSatisfy { try content($0)?.readsAs(disks[$0].old) ?? false }
        }

        func areNew() throws -> Bool {
            try disks.indices.allSatisfy { try content($0)?.readsAs(disks[$0].new) ?? false }
        }

        /// The files fail no more.
        func mend() {
            replicas[1].follow(nil)
            journals[1].file.follow(nil)
        }
    }

    /// - Returns: what was wrong with a run of which one call has failed; nil where it made fewer calls.
    private func fail(
        _ disks: [JournalScenario], _ failing: Failing, _ plan: FailingFile.Plan
    ) throws -> (undecided: Bool, faults: [String])? {
        let machine = Machine(disks, failing, plan)
        var faults: [String] = []
        var prepared: [PreparedJournal] = []
        do throws(ResyncError) {
            for index in disks.indices {
                guard let journal = try machine.prepare(index) else { continue }
                prepared.append(journal)
            }
        } catch {
            if try !machine.areOld() { faults.append("undecided, and changed after \(error)") }
            machine.mend()
            for index in disks.indices {
                guard let journal = try machine.prepare(index) else { continue }
                try machine.finish(index, journal)
            }
            if try !machine.areNew() { faults.append("not new by the next run") }
            return (true, faults)
        }
        var errors = 0
        for (index, journal) in prepared.enumerated() {
            do throws(ResyncError) {
                try machine.finish(index, journal)
            } catch {
                errors += 1
                if index != 1 { faults.append("disk \(index) has failed: \(error)") }
            }
        }
        guard machine.isReached(failing, plan) else {
            if errors > 0 { faults.append("failed without a reason") }
            return faults.isEmpty ? nil : (false, faults)
        }
        for index in [0, 2] where try machine.content(index)?.readsAs(disks[index].new) != true {
            faults.append("disk \(index) is not new")
        }
        machine.mend()
        for (index, journal) in prepared.enumerated() { try machine.finish(index, journal) }
        if try !machine.areNew() { faults.append("not new by the next attempt") }
        return (false, faults)
    }

    @Test("Each call of the second disk that fails: all are old, or all are new in the end")
    func eachCall() throws {
        let disks = (0..<3).map { JournalScenario(.inEachWay(seed: 130 + $0)) }
        for failing in Failing.allCases {
            var (before, after) = (0, 0)
            for (errno, partialByteCount) in [(EIO, 0), (ENOSPC, 512)] {
                var index = 0
                while true {
                    let plan = FailingFile.Plan(
                        failing: index, errno: errno, partialByteCount: partialByteCount)
                    guard let (undecided, faults) = try fail(disks, failing, plan) else { break }
                    #expect(faults == [], "\(failing), call \(index), errno \(errno)")
                    if undecided { before += 1 } else { after += 1 }
                    index += 1
                }
            }
            print("failing calls: a machine, \(failing): \(before) undecided, \(after) decided")
            #expect(after > 2 && (failing == .replica || before > 2))
        }
    }
}
