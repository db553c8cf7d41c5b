import Foundation
import Storage
import Testing

@testable import Replication

@Suite("Another inventory for a replication service that runs")
struct InventoryReplacementTests {
    private func inventory(
        _ machines: [Inventory.Machine], limit: Int = 3, limitPerHost: Int = 3
    ) -> Inventory {
        var inventory = Inventory()
        inventory.machines = machines
        inventory.service.maximumActiveTransfers = limit
        inventory.service.maximumActiveTransfersPerHost = limitPerHost
        return inventory
    }

    @Test("A machine that is new can be resynchronized, now and after a restart")
    func new() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        #expect(trial.call(2).returnValue == .systemNotAvailable)
        trial.inventory = inventory([Inventory.machine(1), Inventory.machine(2)])
        try trial.service.replaceInventory(trial.inventory)
        #expect(try trial.state(2) == .waitingToStartResynchronization)
        #expect(trial.call(2).returnValue == .jobStarted)
        trial.end(2)
        try trial.restart()
        #expect(try trial.state(2) == .replicating)
        #expect(trial.takeEvents().contains("inventory-reloaded"))
    }

    @Test("A machine that is gone is unknown; its job ends in its turn, and its transfer goes on")
    func gone() throws {
        let machines = (1...3).map { Inventory.machine($0) }
        let trial = try ServiceTrial(machines, limit: 1)
        let running = try #require(trial.call(1).job)
        let waiting = try #require(trial.call(2).job)
        try trial.service.replaceInventory(inventory([machines[2]], limit: 1))
        #expect(trial.call(1).returnValue == .systemNotAvailable)
        #expect(running.properties.jobState == .running && trial.runner.stopped.isEmpty)
        trial.end(1)
        #expect(running.properties.jobState == .completed)
        #expect(waiting.properties.jobState == .exception)
        #expect(waiting.properties.errorCode == 32777)
        #expect(trial.call(3).returnValue == .jobStarted)
    }

    @Test("Limits, hosts and windows are those of the new one")
    func settings() throws {
        let trial = try ServiceTrial((1...4).map { Inventory.machine($0) }, limit: 1)
        for number in 1...3 { trial.call(number) }
        #expect(trial.runner.begun == ["vm1"])
        let hosts = [nil, "a", "a"].enumerated().map { Inventory.machine($0 + 1, host: $1) }
        trial.inventory = inventory(
            hosts + [Inventory.machine(4, window: .always)], limit: 4, limitPerHost: 1)
        try trial.service.replaceInventory(trial.inventory)
        trial.wait(seconds: 0)
        // The third one waits for the second one's host, and passes its place on.
        #expect(trial.runner.begun == ["vm1", "vm2", "vm4"])
        trial.end(2)
        #expect(trial.runner.begun.last == "vm3")
        // Without its window it is not begun again.
        trial.end(4, ServiceTrial.network)
        trial.inventory = inventory((1...4).map { Inventory.machine($0) })
        try trial.service.replaceInventory(trial.inventory)
        trial.wait(seconds: 3600)
        #expect(trial.runner.begun.count == 4)
    }

    @Test("Where the store refuses, the inventory before stays in use")
    func storeRefuses() throws {
        let trial = try ServiceTrial([Inventory.machine(1)])
        try trial.breakStore(tables: ["relationships"])
        #expect(throws: StoreError.self) {
            try trial.service.replaceInventory(inventory([Inventory.machine(2)]))
        }
        try trial.mendStore(tables: ["relationships"])
        #expect(trial.call(2).returnValue == .systemNotAvailable)
        #expect(trial.call(1).returnValue == .jobStarted)
    }
}
