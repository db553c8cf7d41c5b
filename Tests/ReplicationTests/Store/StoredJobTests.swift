import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("Jobs in the store")
struct StoredJobTests {
    private let trial: StoreTrial
    private let ids = [StoreTrial.id(), StoreTrial.id(.extended)]
    private let store: StateStore

    init() throws {
        trial = try StoreTrial()
        store = try trial.open(with: ids)
    }

    private func time(_ seconds: Int64) -> Date { StoreTrial.time(seconds) }

    @Test("One job at a time resynchronizes a relationship")
    func oneResynchronization() throws {
        let first = StoreTrial.job(ids[0])
        try store.accept(first)
        for type in [JobType.resynchronizing, .resynchronizingExtendedReplication] {
            let error = #expect(throws: StoreError.self) {
                try store.accept(StoreTrial.job(ids[0], type))
            }
            #expect(error == .resynchronizing(ids[0], job: first.instanceID))
            #expect(error.map(ReturnCode.init) == .systemInUse)
        }
        // Another relationship, and another kind of job, are none of its business.
        try store.accept(StoreTrial.job(ids[1], .resynchronizingExtendedReplication))
        try store.accept(StoreTrial.job(ids[0], .stoppingResynchronization))
        for state in JobState.allCases where !state.isFinal {
            try store.end(first, as: state)
            #expect(throws: StoreError.self) { try store.accept(StoreTrial.job(ids[0])) }
        }
        try store.end(first, as: .exception)
        let second = StoreTrial.job(ids[0])
        try store.accept(second)
        try store.read { (content) throws(StoreError) in
            #expect(try content.resynchronization(of: ids[0]) == second)
        }
    }

    @Test("The tables themselves keep it so")
    func rulesOfTheTables() throws {
        let job = StoreTrial.job(ids[0])
        try store.accept(job, disks: StoreTrial.disks(of: job))
        let other = StoreTrial.job(ids[0])
        func expectRefusal(_ what: String, _ body: (inout StoreContent) throws(StoreError) -> Void)
        {
            let error = #expect(throws: StoreError.self, "\(what)") { try store.write(.full, body) }
            guard case .database(_, .constraint) = error else {
                Issue.record("\(what): \(String(describing: error))")
                return
            }
        }
        expectRefusal("a second resynchronization") { (content) throws(StoreError) in
            try content.insert(other)
        }
        expectRefusal("a job twice") { (content) throws(StoreError) in try content.insert(job) }
        expectRefusal("a disk without a job") { (content) throws(StoreError) in
            try content.insert(StoreTrial.disks(of: other)[0])
        }
        expectRefusal("more than 100 percent") { (content) throws(StoreError) in
            var job = job
            job.properties.percentComplete = 101
            try content.update(job)
        }
        for column in ["replication_state = 22", "replication_health = 4"] {
            expectRefusal("a number that there is not") { (content) throws(StoreError) in
                _ = try content.change("UPDATE relationships SET \(column)", [])
            }
        }
        try store.end(job, as: .completed)
        for state in JobState.allCases where state != .completed {
            expectRefusal("a job that goes on after its end") { (content) throws(StoreError) in
                var job = job
                job.properties.jobState = state
                try content.update(job)
            }
        }
        #expect(try store.jobs().map(\.properties.jobState) == [.completed])
    }

    @Test(
        "A job of a relationship that is not there is not taken on, nor changed if it is not there")
    func unknown() throws {
        let id = StoreTrial.id()
        let job = StoreTrial.job(id)
        let error = #expect(throws: StoreError.self) { try store.accept(job) }
        #expect(error == .unknownRelationship(id))
        #expect(error.map(ReturnCode.init) == .systemNotAvailable)
        func expectUnknown(_ body: (inout StoreContent) throws(StoreError) -> Void) {
            #expect(throws: StoreError.unknownJob(job.instanceID)) { try store.write(.full, body) }
        }
        expectUnknown { (content) throws(StoreError) in try content.update(job) }
        expectUnknown { (content) throws(StoreError) in
            try content.update(StoreTrial.disks(of: job)[0])
        }
        expectUnknown { (content) throws(StoreError) in
            try content.moveToHistory(job.instanceID, at: time(0))
        }
        expectUnknown { (content) throws(StoreError) in
            _ = try content.decide(job.instanceID, committing: true, at: time(0))
        }
        expectUnknown { (content) throws(StoreError) in
            try content.noteCarriedOut(job.instanceID, at: time(0))
        }
        #expect(throws: StoreError.unknownRelationship(id)) {
            try store.write { (content) throws(StoreError) in
                try content.put(ReplicationStatistics(), of: id)
            }
        }
        #expect(throws: StoreError.unknownRelationship(id)) {
            try store.write { (content) throws(StoreError) in try content.removeRelationship(id) }
        }
        #expect(ReturnCode(StoreError.unknownJob("")) == .invalidParameter)
    }

    @Test("A relationship goes with its statistics, and its jobs stay")
    func removal() throws {
        let job = StoreTrial.job(ids[0])
        try store.accept(job)
        try store.write { (content) throws(StoreError) in
            var statistics = ReplicationStatistics()
            statistics.noteMiss(at: time(0))
            try content.put(statistics, of: ids[0])
            #expect(try content.statistics(of: ids[0]) == statistics)
        }
        func remove() throws(StoreError) {
            try store.write { (content) throws(StoreError) in
                try content.removeRelationship(ids[0])
            }
        }
        #expect(throws: StoreError.resynchronizing(ids[0], job: job.instanceID)) { try remove() }
        try store.end(job)
        try remove()
        try store.read { (content) throws(StoreError) in
            #expect(try content.relationships().map(\.id) == [ids[1]])
            #expect(try content.statistics(of: ids[0]) == ReplicationStatistics())
            #expect(try content.job(job.instanceID) != nil)
        }
    }

    @Test("Jobs come in the order in which they were accepted, whatever their times")
    func order() throws {
        var accepted: [String] = []
        for index in 0..<10 {
            var job = StoreTrial.job(ids[index % 2], .changingReplicationState)
            job.properties.timeSubmitted = time(Int64(100 - index))
            if index % 3 == 0 { job.properties.jobState = .completed }
            accepted.append(job.instanceID)
            try store.accept(job)
        }
        #expect(try store.jobs().map(\.instanceID) == accepted)
        let underWay = try store.read { (content) throws(StoreError) in try content.jobsUnderWay() }
        let expected = accepted.enumerated().filter { $0.offset % 3 != 0 }.map(\.element)
        #expect(underWay.map(\.instanceID) == expected)
    }

    // MARK: History

    /// Ended jobs of the first relationship in the history, oldest first.
    private func history(_ count: Int) throws -> [StoredJob] {
        try (0..<count).map { index in
            let job = StoreTrial.job(ids[0])
            try store.accept(job, disks: StoreTrial.disks(of: job))
            try store.end(job)
            try store.write { (content) throws(StoreError) in
                try content.moveToHistory(job.instanceID, at: time(Int64(index)))
            }
            return job
        }
    }

    private func historyIDs(
        _ id: ReplicationRelationshipID? = nil, limit: Int = .max
    ) throws -> [String] {
        try store.read { (content) throws(StoreError) in
            try content.history(of: id, limit: limit)
        }.map(\.instanceID)
    }

    @Test("A job that has ended moves to the history, once, with its disks")
    func movesToHistory() throws {
        let job = StoreTrial.job(ids[0])
        try store.accept(job, disks: StoreTrial.disks(of: job))
        func move(_ seconds: Int64) throws(StoreError) {
            try store.write { (content) throws(StoreError) in
                try content.moveToHistory(job.instanceID, at: self.time(seconds))
            }
        }
        let error = #expect(throws: StoreError.self) { try move(1) }
        #expect(error == .unfinishedJob(job.instanceID))
        #expect(error.map(ReturnCode.init) == .invalidState)
        try store.end(job)
        try move(2)
        try move(3)
        #expect(try store.jobs().isEmpty)
        #expect(try store.job(job.instanceID)?.timeOfRemoval == time(2))
        #expect(try store.disks(of: job).count == 2)
        let jobs = try history(3)
        #expect(try historyIDs() == jobs.map(\.instanceID).reversed() + [job.instanceID])
        #expect(try historyIDs(limit: 1) == [jobs[2].instanceID])
        #expect(try historyIDs(ids[0]).count == 4)
        #expect(try historyIDs(ids[1]).isEmpty)
    }

    @Test("The oldest jobs are forgotten, but none whose decision is not carried out")
    func pruning() throws {
        let jobs = try history(6)
        try store.write { (content) throws(StoreError) in
            for (job, isCommitted) in zip(jobs, [true, true, false]) {
                _ = try content.decide(job.instanceID, committing: isCommitted, at: time(0))
            }
            try content.noteCarriedOut(jobs[1].instanceID, at: time(1))
        }
        let live = StoreTrial.job(ids[0])
        try store.accept(live)
        func prune(_ count: Int) throws -> Int {
            try store.write { (content) throws(StoreError) in
                try content.pruneHistory(keeping: count)
            }
        }
        #expect(try prune(6) == 0)
        #expect(try prune(2) == 3)
        let kept = [jobs[5], jobs[4], jobs[0]].map(\.instanceID)
        #expect(try historyIDs() == kept)
        #expect(try store.disks(of: jobs[1]).isEmpty)
        #expect(try store.disks(of: jobs[0]).count == 2)
        #expect(try prune(-1) == 2)
        #expect(try historyIDs() == [jobs[0].instanceID])
        #expect(try store.jobs() == [live])
    }

    // MARK: Decisions

    @Test("A decision is made once, and stands")
    func decisions() throws {
        let jobs = [StoreTrial.job(ids[0]), StoreTrial.job(ids[1])]
        for job in jobs { try store.accept(job) }
        func decide(_ job: StoredJob, _ isCommitted: Bool) throws(StoreError) -> Bool {
            try store.write { (content) throws(StoreError) in
                try content.decide(job.instanceID, committing: isCommitted, at: self.time(0))
            }.isCommitted
        }
        try store.read { (content) throws(StoreError) in
            #expect(try content.decision(of: jobs[0].instanceID) == nil)
        }
        #expect(try decide(jobs[0], true))
        #expect(try decide(jobs[0], false))
        #expect(try !decide(jobs[1], false))
        #expect(try !decide(jobs[1], true))
        func left() throws -> [String] {
            try store.read { (content) throws(StoreError) in
                try content.decisionsToCarryOut()
            }.map(\.job)
        }
        #expect(try left() == [jobs[0].instanceID])
        for seconds in [5, 6] as [Int64] {
            try store.write { (content) throws(StoreError) in
                try content.noteCarriedOut(jobs[0].instanceID, at: time(seconds))
            }
        }
        #expect(try left() == [])
        try store.read { (content) throws(StoreError) in
            #expect(try content.decision(of: jobs[0].instanceID)?.timeCarriedOut == time(5))
        }
        // Not even by who goes past the calls.
        for job in jobs {
            let error = #expect(throws: StoreError.self) {
                try store.write { (content) throws(StoreError) in
                    let sql = "UPDATE decisions SET committed = 1 - committed WHERE job = ?"
                    _ = try content.change(sql, [.text(job.instanceID)])
                }
            }
            guard case .database(_, .constraint(let answer)) = error else {
                throw error ?? .unknownJob("")
            }
            #expect(answer.text == "a decision is changed")
        }
    }
}
