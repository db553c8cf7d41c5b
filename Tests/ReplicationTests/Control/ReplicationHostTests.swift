import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("The life of a service in a process")
struct ReplicationHostTests {
    private let folder: TemporaryFolder
    private var state: String { folder.file("state") }
    private let inventory: Inventory

    init() throws {
        folder = try TemporaryFolder()
        var inventory = Inventory()
        inventory.machines = [Inventory.machine(1)]
        self.inventory = inventory
    }

    private func refusal(socketPath: String? = nil) -> CodedError? {
        #expect(throws: CodedError.self) {
            try ReplicationHost(inventory, stateFolder: state, socketPath: socketPath)
        }
    }

    @Test("It answers from its start to its end, and another one follows")
    func life() throws {
        let runner = StubRunner()
        let host = try ReplicationHost(inventory, stateFolder: state, runner: runner)
        #expect(host.socketPath == state + "/service.sock")
        host.start()
        let client = try ControlClient(path: host.socketPath)
        #expect(try client.answer(to: .resynchronize(computerSystem: "vm1")).job != nil)
        #expect(refusal()?.code == .systemInUse)

        host.stop()
        let isWaiting = ConditionLock(false)
        let ended = Background {
            isWaiting.withLock { $0 = true }
            try host.wait()
        }
        isWaiting.withLock(when: { $0 }) { _ in }
        // Nothing ends before the transfer has; questions are answered, and nothing begins.
        for _ in 0..<200 { #expect(try client.answer(to: .listJobs).jobs?.count == 1) }
        let refused = try client.answer(to: .resynchronize(computerSystem: "vm1"))
        #expect(refused.returnValue == 32777)
        #expect(!ended.hasEnded)
        #expect(runner.stopped == ["vm1"])
        runner.end("vm1", .stopped("as asked"))
        try ended.value()
        #expect(!FileManager.default.fileExists(atPath: host.socketPath))
    }

    @Test("A host that was never started ends at once, also where it starts afterwards")
    func unstarted() throws {
        let host = try ReplicationHost(inventory, stateFolder: state, runner: StubRunner())
        host.stop()
        host.start()
        try host.wait()
        #expect(!FileManager.default.fileExists(atPath: host.socketPath))
    }

    @Test("What is in the socket's place, and paths that none can have, are refused")
    func sockets() throws {
        let file = folder.file("file")
        try Data("x".utf8).write(to: URL(filePath: file))
        #expect(refusal(socketPath: file)?.code == .invalidState)
        #expect(
            refusal(socketPath: folder.file(String(repeating: "x", count: 120)))?.code
                == .invalidParameter)
        let socket = folder.file("s")
        let first = try ReplicationHost(
            inventory, stateFolder: folder.file("other"), socketPath: socket, runner: StubRunner())
        #expect(refusal(socketPath: socket)?.code == .systemInUse)
        first.abandon()
        // Nothing of those attempts is left that would be in the way.
        let second = try ReplicationHost(
            inventory, stateFolder: state, socketPath: socket, runner: StubRunner())
        for host in [first, second] {
            host.stop()
            try host.wait()
        }
    }
}
