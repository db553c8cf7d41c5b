internal import Dispatch
internal import Glibc
internal import Replication
internal import Storage

// A service that resynchronizes a machine, or goes on with what an earlier one has left, and says when it has
// decided and how it has ended: `machinerunner INVENTORY STATE MACHINE`. For tests that stop it anywhere.

/// Says when a decision is there for good.
struct TalkingRunner: TransferRunner {
    let output: LineOutput

    func begin(_ transfer: Transfer) -> @Sendable () -> Void {
        var transfer = transfer
        let decide = transfer.decide
        transfer.decide = { (disks, outcomes) throws(StoreError) in
            try decide(disks, outcomes)
            output.write("decided \(disks.count)")
        }
        output.write(transfer.decision == nil ? "begun" : "begun with a decision")
        return DiskTransferRunner().begin(transfer)
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 4 else {
    print("usage: machinerunner INVENTORY STATE MACHINE")
    exit(2)
}
let output = LineOutput(descriptor: 1)
do {
    let inventory = try Inventory(contentsOf: arguments[1])
    let store = try StateStore(opening: arguments[2])
    let change = DispatchSemaphore(value: 0)
    let service = try ReplicationService(
        inventory, store: store, runner: TalkingRunner(output: output),
        wake: { change.signal() })
    let unfinished = service.jobs.last { !$0.properties.jobState.isFinal }
    service.advance()
    guard
        let job = unfinished ?? service.resynchronize(computerSystem: arguments[3]).job
    else {
        output.write("refused")
        exit(1)
    }
    while !job.properties.jobState.isFinal {
        _ = change.wait(timeout: .now() + 1)
        service.advance()
    }
    let properties = job.properties
    output.write("ended \(properties.jobState) \(properties.errorDescription ?? "")")
    exit(properties.jobState == .completed ? 0 : 1)
} catch {
    print("error \(error)")
    exit(1)
}
