internal import Dispatch
internal import Resync

/// Makes the disks of a machine read as they should, all together, each transfer in a thread of its own.
public struct DiskTransferRunner: TransferRunner {
    public init() {}

    public func begin(_ transfer: Transfer) -> @Sendable () -> Void {
        let work = MachineTransfer(transfer)
        DispatchQueue(label: "vhdresync.transfer").async { transfer.end(work.run()) }
        return { work.progress.requestStop(.cancelled) }
    }
}
