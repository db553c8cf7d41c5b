import Foundation
import Resync
import Storage
import TestSupport
import Transport

@testable import Replication

/// A service whose clock stands still until the test moves it, with a runner that does what the test
/// says; and others after it on the same store.
final class ServiceTrial {
    private let folder: TemporaryFolder
    let store: StateStore
    /// Seconds after ``StoreTrial/time(_:)`` of 0, which is 08:00 in UTC on 15 January 2027.
    let now = Lock(0.0)
    /// What who watches was told, of all services one after another.
    let events = Lock<[ServiceEvent]>([])
    private(set) var runner = StubRunner()
    private(set) var service: ReplicationService
    var inventory: Inventory
    let zone: TimeZone

    init(
        _ machines: [Inventory.Machine], limit: Int = 3, limitPerHost: Int = 3,
        zone: TimeZone = .gmt, at date: Date = StoreTrial.time(0)
    ) throws {
        folder = try TemporaryFolder()
        store = try StateStore(opening: folder.file("state"))
        inventory = Inventory()
        inventory.machines = machines
        inventory.service.maximumActiveTransfers = limit
        inventory.service.maximumActiveTransfersPerHost = limitPerHost
        self.zone = zone
        now.withLock { $0 = date.timeIntervalSince(StoreTrial.time(0)) }
        service = try Self.service(inventory, store, runner, now, zone, events)
        service.advance()
    }

    private static func service(
        _ inventory: Inventory, _ store: StateStore, _ runner: StubRunner, _ now: Lock<Double>,
        _ zone: TimeZone, _ events: Lock<[ServiceEvent]>
    ) throws -> ReplicationService {
        let start = now.withLock { $0 }
        let clock = JobClock(
            date: { StoreTrial.time(0) + now.withLock { $0 } },
            uptime: { .seconds(now.withLock { $0 } - start) })
        return try ReplicationService(
            inventory, store: store, runner: runner, clock: clock, zone: zone,
            observe: { event in events.withLock { $0.append(event) } })
    }

    /// A crash: whatever the service knew is gone, and another one begins with the store.
    func restart(afterSeconds seconds: Double = 0) throws {
        now.withLock { $0 += seconds }
        runner = StubRunner()
        service = try Self.service(inventory, store, runner, now, zone, events)
    }

    var date: Date { StoreTrial.time(0) + now.withLock { $0 } }

    func wait(seconds: Double) {
        now.withLock { $0 += seconds }
        service.advance()
    }

    func wait(until date: Date) {
        now.withLock { $0 = date.timeIntervalSince(StoreTrial.time(0)) }
        service.advance()
    }

    @discardableResult
    func call(_ machine: Int, at startTime: Date? = nil) -> MethodAnswer {
        service.resynchronize(
            computerSystem: "vm\(machine)", startTime: startTime.map { "\(CIMTimestamp($0))" },
            owner: "admin")
    }

    func end(_ machine: Int, _ ending: TransferOutcome.Ending = .succeeded) {
        runner.end("vm\(machine)", ending)
    }

    static let network = TransferOutcome.Ending.failed(
        CodedError(.systemNotAvailable, "the line is cut"), .transient)
    static let broken = TransferOutcome.Ending.failed(
        CodedError(.failed, "the disk is damaged"), .permanent)

    /// What was told since the last call: "job-begun vm1".
    func takeEvents() -> [String] {
        let events = events.withLock { events in
            defer { events = [] }
            return events
        }
        return events.map { event in
            [event.kind.rawValue, event.machine].compactMap(\.self).joined(separator: " ")
        }
    }

    // MARK: What is so

    func id(_ machine: Int) -> ReplicationRelationshipID {
        inventory.machines.first { $0.elementName == "vm\(machine)" }?.relationship?.id
            ?? StoreTrial.id()
    }

    /// Of the service and of its store, which must agree.
    func relationship(_ machine: Int) throws -> StoredRelationship? {
        let known = service.relationship(id(machine))
        let stored = try store.read { (content) throws(StoreError) in
            try content.relationship(id(machine))
        }
        guard known?.replicationState == stored?.replicationState else { throw Disagreement() }
        return stored
    }

    func state(_ machine: Int) throws -> ReplicationState? {
        try relationship(machine)?.replicationState
    }

    func put(_ machine: Int, _ state: ReplicationState) throws {
        let record = StoredRelationship(
            id: id(machine), replicationState: state, replicationHealth: .ok,
            timeOfLastStateChange: date)
        try store.write { (content) throws(StoreError) in try content.put(record) }
        try restart()
    }

    /// From here on the store refuses every change of jobs, or of what else is named.
    func breakStore(tables: [String] = ["jobs"]) throws {
        for table in tables {
            for event in ["INSERT", "UPDATE"] {
                try script(
                    "CREATE TRIGGER no_\(table)_\(event) BEFORE \(event) ON \(table) "
                        + "BEGIN SELECT RAISE(ABORT, 'no'); END")
            }
        }
    }

    func mendStore(tables: [String] = ["jobs"]) throws {
        for table in tables {
            for event in ["INSERT", "UPDATE"] { try script("DROP TRIGGER no_\(table)_\(event)") }
        }
    }

    private func script(_ sql: String) throws {
        try store.write { (content) throws(StoreError) in _ = try content.change(sql, []) }
    }

    struct Disagreement: Error {}
}

/// Begins what it is told, and ends it when the test says.
final class StubRunner: TransferRunner {
    private struct State {
        var begun: [String] = []
        var transfers: [String: Transfer] = [:]
        var stopped: Set<String> = []
    }

    private let state = Lock(State())

    func begin(_ transfer: Transfer) -> @Sendable () -> Void {
        let name = transfer.machine.elementName
        state.withLock { state in
            state.begun.append(name)
            state.transfers[name] = transfer
        }
        return { self.state.withLock { _ = $0.stopped.insert(name) } }
    }

    /// Everything that was begun, in order.
    var begun: [String] { state.withLock { $0.begun } }
    var running: Set<String> { state.withLock { Set($0.transfers.keys) } }
    var stopped: Set<String> { state.withLock { $0.stopped } }
    func transfer(_ name: String) -> Transfer? { state.withLock { $0.transfers[name] } }

    func end(_ name: String, _ ending: TransferOutcome.Ending) {
        let transfer = state.withLock { $0.transfers.removeValue(forKey: name) }
        var outcome = TransferOutcome(ending)
        outcome.figures = JobFigures(bytesCompared: 100, bytesDiffering: 10, bytesSent: 5)
        if let transfer {
            let disk = transfer.machine.disks[0]
            let code: ReturnCode =
                if case .failed(let error, _) = ending { error.code } else { .completed }
            outcome.disks = [
                DiskOutcome(
                    report: DiskReport(
                        primary: disk.path, replica: "r", blockSize: 65536),
                    code: code, elapsedTime: .seconds(1))
            ]
        }
        transfer?.end(outcome)
    }
}

extension Inventory {
    static func machine(
        _ number: Int, _ mode: ReplicationMode = .primary, host: String? = nil,
        window: AutoResynchronizeWindow = .unlessSaid, hasRelationship: Bool = true
    ) -> Machine {
        let text = "\(number)"
        let digits = String(repeating: "0", count: 12 - text.count) + text
        let name = GUID("00000000-0000-0000-0000-" + digits) ?? .zero
        var settings = ReplicationSettings()
        settings.autoResynchronize = window
        let kind: ReplicationRelationshipID.Kind = mode == .replica ? .extended : .primary
        let relationship = Relationship(
            id: ReplicationRelationshipID(machineID: name, kind: kind),
            recoveryConnectionPoint: host.map { .tls(host: $0, port: 7443, folder: "") }
                ?? .folder("/replicas"),
            settings: settings,
            replicas: [.local("/replicas/\(number)a.vhdx"), .local("/replicas/\(number)b.vhdx")])
        return Machine(
            name: name, elementName: "vm\(number)", replicationMode: mode,
            disks: [
                Disk(name: "a", path: "/vm/\(number)a.vhdx"),
                Disk(name: "b", path: "/vm/\(number)b.vhdx"),
            ],
            primaryRelationship: mode == .replica ? nil : relationship,
            extendedRelationship: mode == .replica && hasRelationship ? relationship : nil)
    }
}
