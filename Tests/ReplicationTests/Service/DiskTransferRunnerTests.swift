import Foundation
import Storage
import TestSupport
import Testing
import Transport

@testable import Replication

/// The service with disks, threads and the system's clocks.
@Suite("The disks of a machine")
struct DiskTransferRunnerTests {
    private func inventory(_ pairs: [DiskPair]) -> Inventory {
        var machine = Inventory.machine(1)
        machine.disks = pairs.enumerated().map { Inventory.Disk(name: "\($0)", path: $1.primary) }
        machine.primaryRelationship?.replicas = pairs.map { .local($0.replica) }
        var inventory = Inventory()
        inventory.machines = [machine]
        return inventory
    }

    /// Runs a service until its job has ended, as a timer makes it.
    private func job(_ inventory: Inventory, _ store: StateStore) throws -> ConcreteJob {
        let isOver = ConditionLock(false)
        let timer = ServiceTimer()
        let service = try ReplicationService(
            inventory, store: store, runner: DiskTransferRunner(), wake: timer.wake)
        timer.start { [weak service] in
            defer { isOver.withLock { $0 = service?.isIdle ?? true } }
            return service?.advance()
        }
        let job = try #require(service.resynchronize(computerSystem: "vm1").job)
        let limit = DispatchTime.now().uptimeNanoseconds + 1_800_000_000_000
        isOver.withLock(when: { $0 && job.properties.jobState.isFinal }, orAt: limit) { _ in }
        timer.stop()
        return job
    }

    @Test("Every disk becomes new, and the job and the store say so")
    func success() throws {
        let pairs = try (0..<2).map { _ in
            try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 20)
        }
        let folder = try TemporaryFolder()
        let store = try StateStore(opening: folder.file("state"))
        let job = try job(inventory(pairs), store)
        #expect(job.properties.jobState == .completed)
        #expect(job.properties.figures.bytesCompared == 16 << 20)
        #expect(job.properties.figures.bytesDiffering == 2 << 20)
        for pair in pairs { #expect(try pair.replicaIsCurrent()) }
        let stored = try #require(try store.job(job.properties.instanceID))
        let disks = try store.disks(of: stored)
        #expect(disks.map(\.returnCode) == [.completed, .completed])
        #expect(disks.allSatisfy { $0.isVerified && $0.rootDigest != nil })
    }

    @Test("The first disk that fails ends the job with its code, and none is changed")
    func failure() throws {
        let pairs = try (0..<3).map { _ in
            try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 20)
        }
        try FileManager.default.removeItem(atPath: pairs[1].primary)
        let folder = try TemporaryFolder()
        let store = try StateStore(opening: folder.file("state"))
        let inventory = inventory(pairs)
        let job = try job(inventory, store)
        #expect(job.properties.jobState == .exception)
        #expect(job.properties.errorCode == 32779)
        let stored = try #require(try store.job(job.properties.instanceID))
        let disks = try store.disks(of: stored)
        #expect(disks.map(\.returnCode) == [nil, .fileNotFound, nil])
        let id = try #require(inventory.machines[0].relationship?.id)
        let relationship = try store.read { (content) throws(StoreError) in
            try content.relationship(id)
        }
        #expect(relationship?.replicationState == .critical)
        for disk in [0, 2] { #expect(try !pairs[disk].replicaIsCurrent()) }
    }
}
