/// What was decided of disks of a machine and is not carried out yet: work that comes before any other.
public struct TransferDecision: Sendable {
    /// Whether the job itself has decided so, before a restart of the service: then nothing else is left
    /// of it to do.
    public var isOwn: Bool
    public var disks: [StoredDecidedDisk]
}
