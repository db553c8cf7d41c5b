import Storage
import Testing

@testable import Replication

@Suite("Numbers and names of replication")
struct ReplicationStateTests {
    /// As the value map of the class has them.
    static let names = [
        "Disabled", "Ready for replication", "Waiting to complete initial replication",
        "Replicating", "Synced replication complete", "Recovered", "Committed", "Suspended",
        "Critical", "Waiting to start resynchronization", "Resynchronizing",
        "Resynchronization suspended", "Failover in progress", "Failback in progress",
        "Failback complete", "Disk update in progress", "Disk update critical", "Unknown",
        "Repurpose replication in progress", "Prepared for sync replication",
        "Prepared for group reverse replication", "Firedrill in progress",
    ]

    @Test("Numbers and names are the documented ones")
    func numbers() {
        #expect(ReplicationState.allCases.map(\.rawValue) == Array(0...21))
        #expect(ReplicationState.allCases.map(\.name) == Self.names)
        #expect(ReplicationHealth.allCases.map(\.rawValue) == Array(0...3))
        #expect(
            ReplicationHealth.allCases.map(\.name) == [
                "Not applicable", "Ok", "Warning", "Critical",
            ])
        #expect(ReplicationMode.allCases.map(\.rawValue) == Array(0...4))
        #expect(
            ReplicationMode.allCases.map(\.name) == [
                "None", "Primary", "Replica", "Test Replica", "Extended Replica",
            ])
        #expect(ReplicationType.allCases.map(\.rawValue) == Array(0...3))
        #expect(
            ReplicationType.allCases.map(\.name) == [
                "None", "Regular", "Application consistent", "Planned",
            ])
        #expect(JobType.allCases.map(\.rawValue) == [96, 107, 110, 121])
        #expect(JobType(resynchronizing: .primary).rawValue == 107)
        #expect(JobType(resynchronizing: .extended).rawValue == 121)
        #expect(Set(JobType.allCases.map(\.name)).count == JobType.allCases.count)
    }

    @Test("Only three states can be requested", arguments: 0...20 as ClosedRange<UInt16>)
    func requestedStates(_ number: UInt16) throws {
        if [3, 7, 9].contains(number) {
            #expect(try RequestedReplicationState(number: number).rawValue == number)
        } else {
            #expect(throws: ReplicationRefusal.requestedState(number)) {
                try RequestedReplicationState(number: number)
            }
        }
    }

    @Test("A refusal has its code and says what the state is")
    func refusals() {
        let cases: [(ReplicationRefusal, ReturnCode, String)] = [
            (.mode(.none), .invalidState, "the virtual machine's replication mode is 0 (None)"),
            (.state(.replicating), .invalidState, "the replication state is 3 (Replicating)"),
            (
                .pastCommitPoint, .invalidState,
                "the resynchronization is writing to the replica and can only be finished"
            ),
            (
                .requestedState(5), .invalidParameter,
                "the requested state 5 is none that is supported"
            ),
        ]
        for (refusal, code, sentence) in cases {
            #expect(ReturnCode(refusal) == code)
            #expect("\(refusal)" == sentence)
        }
        #expect(throws: ReplicationRefusal.pastCommitPoint) {
            try ReplicationState.resynchronizing.change(to: .suspended, beside: .committed)
        }
        #expect(throws: ReplicationRefusal.pastCommitPoint) {
            try ReplicationState.resynchronizing.change(
                to: .resynchronizationCancelled, beside: .committed)
        }
        #expect(throws: ReplicationRefusal.state(.replicating)) {
            try ReplicationState.replicating.resynchronize(beside: .none)
        }
    }

    static let machine = "9F6C1A30-0000-4000-8000-00000000000A"

    @Test("A relationship's key is read and written")
    func relationshipKeys() throws {
        let machineID = try #require(GUID(Self.machine))
        for kind in ReplicationRelationshipID.Kind.allCases {
            let text = "Microsoft:\(Self.machine)\\HVR\\\(kind.rawValue)"
            let key = ReplicationRelationshipID(machineID: machineID, kind: kind)
            #expect("\(key)" == text)
            #expect(ReplicationRelationshipID(text) == key)
            let lower = "Microsoft:\(Self.machine.lowercased())\\HVR\\\(kind.rawValue)"
            #expect(ReplicationRelationshipID(lower) == key)
        }
    }

    @Test(
        "Another text is no key",
        arguments: [
            "", "Microsoft:", "Microsoft:\\HVR\\0", "\(machine)\\HVR\\0", "Microsoft:\(machine)",
            "Microsoft:\(machine)\\HVR", "Microsoft:\(machine)\\HVR\\",
            "Microsoft:\(machine)\\HVR\\2",
            "Microsoft:\(machine)\\HVR\\00", "Microsoft:\(machine)\\HVR\\0 ",
            "Microsoft:\(machine)\\HVR\\0\\HVR\\0", "Microsoft:{\(machine)}\\HVR\\0",
            "Microsoft:\(machine.dropLast())\\HVR\\0", "Microsoft:\(machine)0\\HVR\\0",
            "Microsoft:\(machine)/HVR/0", "microsoft:\(machine)\\HVR\\0",
            "Microsoft:\(machine)\\HVR\\１", " Microsoft:\(machine)\\HVR\\0",
        ])
    func noKey(_ text: String) {
        #expect(ReplicationRelationshipID(text) == nil)
    }
}
