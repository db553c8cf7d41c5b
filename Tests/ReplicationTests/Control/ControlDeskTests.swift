import Foundation
import Storage
import Testing

@testable import Replication

@Suite("Answers of the control protocol")
struct ControlDeskTests {
    private let trial: ServiceTrial
    private var desk: ControlDesk { ControlDesk(trial.service) }

    init() throws {
        trial = try ServiceTrial(
            [Inventory.machine(1, host: "far"), Inventory.machine(2)], limit: 1)
    }

    private func answer(_ request: ControlRequest) -> ControlAnswer {
        desk.answer(to: request, from: "admin")
    }

    @Test("Machines are listed as the inventory has them, with what comes next")
    func machines() throws {
        let start = trial.date + 3600
        trial.call(1)
        trial.call(2, at: start)
        let machines = try #require(answer(.listMachines).machines)
        #expect(machines.map(\.elementName) == ["vm1", "vm2"])
        #expect(machines[0].name == "00000000-0000-0000-0000-000000000001")
        #expect(machines[0].replicationModeName == "Primary")
        let replicas = machines[0].disks.map(\.replica.value)
        #expect(replicas == ["/replicas/1a.vhdx", "/replicas/1b.vhdx"])
        let relationship = try #require(machines[0].relationship.value)
        #expect(relationship.replicationState == 10)
        #expect(relationship.recoveryConnectionPoint == "vhdresync://far/")
        #expect(machines[0].job.value?.jobStateName == "Running")
        #expect(machines[0].nextStartTime.value == nil)
        #expect(machines[1].job.value?.jobStateName == "New")
        #expect(machines[1].nextStartTime.value == "\(CIMTimestamp(start))")
        #expect(answer(.showMachine(computerSystem: "vm2")).machine == machines[1])
        #expect(answer(.showMachine(computerSystem: machines[1].name)).machine == machines[1])
        let unknown = answer(.showMachine(computerSystem: "vm3"))
        #expect(unknown.returnValue == 32777 && unknown.machine == nil)
        #expect(unknown.reason.value == "there is no virtual machine 'vm3'")
    }

    @Test("A replica without an extended relationship has none")
    func bareReplica() throws {
        let trial = try ServiceTrial([Inventory.machine(1, .replica, hasRelationship: false)])
        let desk = ControlDesk(trial.service)
        let machine = try #require(
            desk.answer(to: .listMachines, from: "admin").machines?.first)
        #expect(machine.relationship.value == nil && machine.disks[0].replica.value == nil)
        let statistics = desk.answer(
            to: .getReplicationStatistics(computerSystem: "vm1"), from: "admin")
        #expect(statistics.returnValue == 32775)
        let history = desk.answer(to: .listHistory(computerSystem: "vm1"), from: "admin")
        #expect(history.jobs?.isEmpty == true)
    }

    @Test("Resynchronize is answered with the job, whose owner is who has asked")
    func resynchronize() throws {
        let started = answer(.resynchronize(computerSystem: "vm1"))
        #expect(started.returnValue == 4096)
        #expect(started.returnName == "Method Parameters Checked - Job Started")
        let job = try #require(started.job)
        #expect(job.owner.value == "admin" && job.jobState == 4 && job.jobStateName == "Running")
        #expect(job.disks.value?.map(\.name) == ["a", "b"])
        #expect(job.disks.value?[0].returnValue.value == nil)
        let late = answer(.resynchronize(computerSystem: "vm2", startTime: "tomorrow"))
        #expect(late.returnValue == 32776 && late.job == nil && late.reason.value != nil)
        #expect(answer(.resynchronize(computerSystem: "vm9")).returnValue == 32777)
    }

    @Test("A job is shown with what became of it, as a job and as history")
    func jobs() throws {
        let id = try #require(answer(.resynchronize(computerSystem: "vm1")).job).instanceID
        trial.wait(seconds: 90)
        #expect(answer(.watchJob(id)).isLast == false)
        #expect(answer(.watchJob(id)).job?.disks.value == nil)
        trial.end(1, ServiceTrial.broken)
        #expect(answer(.watchJob(id)).isLast == true)
        #expect(answer(.watchJob(id)).job?.disks.value?.count == 2)
        let job = try #require(answer(.showJob(id)).job)
        #expect(job.jobStateName == "Exception" && job.errorCode == 32768)
        #expect(job.elapsedSeconds == 90 && job.elapsedTime == "00000000000130.000000:000")
        #expect(job.bytesCompared == 100 && job.bytesDiffering == 10 && job.bytesSent == 5)
        #expect(job.error.value?.message == "the disk is damaged")
        #expect(job.error.value?.messageID == "32768")
        #expect(job.recoveryActionName == "Do Not Continue")
        #expect(job.disks.value?.map(\.returnValue.value) == [32768, nil])
        #expect(answer(.listJobs).jobs?.map(\.instanceID) == [id])
        #expect(answer(.listHistory()).jobs?.isEmpty == true)

        trial.wait(seconds: 301)
        #expect(answer(.listJobs).jobs?.isEmpty == true)
        let old = try #require(answer(.showJob(id)).job)
        #expect(old.timeOfRemoval.value != nil && old.disks.value?.count == 2)
        #expect(answer(.listHistory()).jobs?.map(\.instanceID) == [id])
        #expect(answer(.listHistory(computerSystem: "vm2")).jobs?.isEmpty == true)
        #expect(answer(.watchJob(id)).isLast == true)
        #expect(answer(.requestStateChange(job: id, requestedState: 4)).returnValue == 4097)
        for request in [
            ControlRequest.showJob("X"), .watchJob("X"),
            .requestStateChange(job: "X", requestedState: 4),
        ] {
            #expect(answer(request).returnValue == 32773)
            #expect(answer(request).reason.value == "there is no job X")
        }
    }

    @Test("The state of a job is changed with the codes of its class")
    func requestStateChange() throws {
        let id = try #require(answer(.resynchronize(computerSystem: "vm1")).job).instanceID
        func change(_ state: UInt16) -> ControlAnswer {
            answer(.requestStateChange(job: id, requestedState: state))
        }
        #expect(change(7).returnValue == 5)
        #expect(change(6).returnValue == 1)
        #expect(change(2).returnValue == 4097)
        let suspended = change(3)
        #expect(suspended.returnValue == 4096)
        #expect(suspended.returnName == "Method Parameters Checked - Transition Started")
        #expect(change(3).returnValue == 4099)
        trial.end(1, .stopped("as asked"))
        #expect(change(2).returnValue == 4096)
        #expect(change(4).job?.jobStateName == "Shutting Down")
    }

    @Test("The replication state is changed, and the machine shown as it is then")
    func stateChange() throws {
        try trial.put(1, .replicating)
        let answer = answer(
            .requestReplicationStateChange(computerSystem: "vm1", requestedState: 7))
        #expect(answer.returnValue == 0 && answer.job == nil)
        #expect(answer.machine?.relationship.value?.replicationStateName == "Suspended")
        let refused = self.answer(
            .requestReplicationStateChange(computerSystem: "vm1", requestedState: 7))
        #expect(refused.returnValue == 32775 && refused.machine == nil)
    }

    @Test("Statistics are those of the store, and the health of now")
    func statistics() throws {
        trial.call(1)
        trial.wait(seconds: 60)
        trial.end(1)
        let answer = answer(.getReplicationStatistics(computerSystem: "vm1"))
        let statistics = try #require(answer.statistics)
        #expect(statistics.replicationSuccessCount == 1 && statistics.replicationSize == 5)
        #expect(statistics.replicationLatency == 60 && statistics.lastReturnValue.value == 0)
        #expect(statistics.replicationHealthName == "Ok")
    }

    @Test("An answer is read as it was written")
    func coding() throws {
        trial.call(1)
        trial.end(1, ServiceTrial.broken)
        let id = try #require(trial.service.jobs.first).properties.instanceID
        for request in [
            ControlRequest.listMachines, .listJobs, .showJob(id), .watchJob(id),
            .getReplicationStatistics(computerSystem: "vm1"), .showMachine(computerSystem: "vm3"),
        ] {
            let answer = answer(request)
            let text = JSONText.line(answer)
            #expect(!text.contains("\n"))
            let decoded = try JSONDecoder().decode(ControlAnswer.self, from: Data(text.utf8))
            #expect(decoded == answer)
        }
    }
}

@Suite("docs/control.md")
struct ControlDocumentationTests {
    /// What stands in backquotes in the first column of a table.
    private func keys(of what: String) throws -> [String] {
        try DocumentedTable("control.md", startingWith: [what]).rows.flatMap { row in
            row[0].matches(of: #/`([^`]+)`/#).map { String($0.1) }
        }
    }

    @Test("Every key is listed, and no other")
    func keysOfAnswers() throws {
        let cases: [(String, [any CodingKey])] = [
            ("key of an answer", ControlAnswer.CodingKeys.allCases),
            ("key of a machine", MachineObject.CodingKeys.allCases),
            ("key of a relationship", RelationshipObject.CodingKeys.allCases),
            ("key of a job", JobObject.CodingKeys.allCases),
            ("key of an error", JobErrorObject.CodingKeys.allCases),
            ("key of a disk", JobDiskObject.CodingKeys.allCases),
            ("key of statistics", StatisticsObject.CodingKeys.allCases),
        ]
        for (what, keys) in cases {
            let documented = try self.keys(of: what)
            #expect(documented.sorted() == keys.map(\.stringValue).sorted(), "\(what)")
        }
    }

    @Test("Every request is listed, with the keys that it must and may have")
    func requests() throws {
        let table = try DocumentedTable("control.md", startingWith: ["`request`", "must have"])
        func keys(_ text: String) -> Set<String> {
            Set(text.matches(of: #/`([^`]+)`/#).map { String($0.1) })
        }
        #expect(
            table.rows.map { keys($0[0]) } == ControlRequestName.allCases.map { [$0.rawValue] })
        for (row, name) in zip(table.rows, ControlRequestName.allCases) {
            #expect(keys(row[1]) == Set(name.requiredKeys.map(\.rawValue)), "\(name)")
            #expect(keys(row[2]) == Set(name.optionalKeys.map(\.rawValue)), "\(name)")
        }
        let all = try DocumentedTable("control.md", startingWith: ["key", "", ""])
        #expect(
            Set(all.rows.map { keys($0[0]) })
                == Set(ControlRequestKey.allCases.map { [$0.rawValue] }))
    }

    @Test("An answer has what the table of requests says")
    func answers() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        let desk = ControlDesk(trial.service)
        let id = try #require(trial.call(1).job).properties.instanceID
        let table = try DocumentedTable("control.md", startingWith: ["`request`", "must have"])
        let requests: [ControlRequest] = [
            .listMachines, .showMachine(computerSystem: "vm1"),
            .resynchronize(computerSystem: "vm1"),
            .requestReplicationStateChange(computerSystem: "vm1", requestedState: 7),
            .getReplicationStatistics(computerSystem: "vm1"), .listJobs, .showJob(id),
            .watchJob(id), .requestStateChange(job: id, requestedState: 6), .listHistory(),
        ]
        for (row, request) in zip(table.rows, requests) {
            let text = JSONText.line(desk.answer(to: request, from: "admin"))
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            let common: Set = ["version", "returnValue", "returnName", "reason"]
            let documented = row[3].matches(of: #/`([^`]+)`/#).map { String($0.1) }
            #expect(Set(object.keys).subtracting(common) == Set(documented), "\(request)")
        }
    }

    @Test("The limits are as documented")
    func limits() throws {
        let rows = try DocumentedTable("control.md", startingWith: ["", ""]).rows
        let text = rows.map { $0.joined(separator: " ") }.joined(separator: "\n")
        #expect(text.contains("\(ControlProtocol.requestByteLimit) bytes"))
        #expect(text.contains("\(JSONReader.depthLimit) arrays"))
        #expect(text.contains("once \(ControlLimits().connectionCount)."))
        #expect(text.contains("next \(Int(ControlLimits().idleSeconds)) seconds"))
        #expect(text.contains("answer \(Int(ControlLimits().sendSeconds)) seconds"))
    }
}
