internal import Dispatch
internal import Foundation
internal import Replication
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing

/// What `storewriter` has said of its work: each line when that was there for good.
struct StoreReport {
    var accepted: [String] = []
    var decided: [String] = []
    var ended: [String] = []
    var hasRelationships = false
    /// The code of the error that has ended it.
    var errorCode: Int?
    var errorText = ""

    init(_ output: String) {
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            guard words.count == 2 else { continue }
            switch words[0] {
            case "relationships": hasRelationships = true
            case "accepted": accepted.append(words[1])
            case "decided": decided.append(words[1])
            case "ended": ended.append(words[1])
            case "error":
                errorCode = words[1].split(separator: " ").first.flatMap { Int($0) }
                errorText = words[1]
            default: break
            }
        }
    }

    /// All that several runs have said, one after the other.
    mutating func add(_ later: StoreReport) {
        accepted += later.accepted
        decided += later.decided
        ended += later.ended
        hasRelationships = hasRelationships || later.hasRelationships
    }
}

/// `storewriter` under way, with its output in a pipe.
final class StoreRun {
    private let program: SpeakingProgram

    init(_ folder: String, jobCount: Int) throws {
        program = try SpeakingProgram("storewriter", [folder, "\(jobCount)"])
    }

    /// Waits until it has said so many lines, or has ended.
    func wait(forLines count: Int) {
        program.wait { text in text.utf8.count { $0 == UInt8(ascii: "\n") } >= count }
    }

    /// What it has said by now.
    var reportSoFar: StoreReport { StoreReport(program.textSoFar) }

    func kill() { program.kill() }

    /// What it had said at its end, for which this waits.
    func report() -> StoreReport { StoreReport(program.text()) }
}

/// What stands in the folder of a store that was stopped.
struct StoreRemains {
    let folder: String

    /// Opens it and holds it against what was said: all of that is there, at most one step more,
    /// and nothing half.
    ///
    /// What was said last may be more than what counts: it was too late for that to be there for good.
    ///
    /// - Returns: how many jobs have got how far.
    /// - Throws: what the store throws.
    @discardableResult
    func expect(
        _ report: StoreReport, latest: StoreReport? = nil, _ label: String
    ) throws -> (jobs: Int, ended: Int) {
        let latest = latest ?? report
        let store = try StateStore(opening: folder)
        return try store.read { (content) throws(StoreError) in
            let relationships = try content.relationships()
            #expect(relationships.count == 4 || relationships.isEmpty, "\(label)")
            #expect(!report.hasRelationships || relationships.count == 4, "\(label)")

            let jobs = try content.jobs()
            let ids = jobs.map(\.instanceID)
            #expect(Array(ids.prefix(report.accepted.count)) == report.accepted, "\(label)")
            #expect(ids.count <= latest.accepted.count + 1, "\(label)")
            var decidedCount = 0
            for job in jobs {
                let isDecided = try expect(job, report, content, label)
                decidedCount += isDecided ? 1 : 0
            }
            let ended = jobs.filter(\.properties.jobState.isFinal)
            #expect(decidedCount <= latest.decided.count + 1, "\(label)")
            #expect(ended.count <= latest.ended.count + 1, "\(label)")
            for relationship in relationships {
                let own = jobs.filter { $0.relationship == relationship.id }
                let isUnderWay = own.contains { !$0.properties.jobState.isFinal }
                let state: ReplicationState =
                    isUnderWay
                    ? .resynchronizing
                    : own.isEmpty ? .waitingToStartResynchronization : .replicating
                #expect(relationship.replicationState == state, "\(label)")
                let statistics = try content.statistics(of: relationship.id)
                let count = own.count { $0.properties.jobState.isFinal }
                #expect(statistics.replicationSuccessCount == UInt64(count), "\(label)")
            }
            return (jobs.count, ended.count)
        }
    }

    /// - Returns: whether the job was decided.
    private func expect(
        _ job: StoredJob, _ report: StoreReport, _ content: borrowing StoreContent, _ label: String
    ) throws(StoreError) -> Bool {
        let id = job.instanceID
        let disks = try content.diskResults(of: id)
        let decision = try content.decision(of: id)
        let isEnded = job.properties.jobState == .completed
        #expect(disks.count == 3, "\(label)")
        #expect(disks.allSatisfy { $0.isVerified == isEnded }, "\(label)")
        #expect(disks.allSatisfy { $0.returnCode == (isEnded ? .completed : nil) }, "\(label)")
        #expect(isEnded || !report.ended.contains(id), "\(label)")
        #expect(decision?.isCommitted ?? !report.decided.contains(id), "\(label)")
        #expect((decision?.timeCarriedOut != nil) == isEnded, "\(label)")
        return decision != nil
    }
}
