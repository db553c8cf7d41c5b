/// How two blocks are compared.
public enum Comparison: String, Sendable, CaseIterable {
    /// By SHA-256, with a root digest of each disk as proof. The default.
    case hash
    /// Byte by byte, which needs both disks on this machine and yields no root digest.
    case bytes
}

/// What a resynchronization is to do beyond its two disks.
public struct ResyncOptions: Sendable {
    /// Bytes of virtual content in a block: a power of two in ``blockSizes``.
    public var blockSize = 65536
    /// Threads that read and hash. More than the machine has cores gain nothing.
    public var workerCount: Int
    public var comparison = Comparison.hash
    /// Whether differing blocks are only counted and the replica is opened read-only.
    public var isDryRun = false
    /// Whether the whole replica is read again afterwards, from the device where the kernel can.
    public var verifiesWholeReplica = false
    /// Whether a replica that does not exist is made, with the primary's geometry.
    public var createsReplica = false

    /// The block sizes there are: from 4 KiB to 16 MiB.
    public static let blockSizes = 4096...(16 << 20)

    public init(workerCount: Int) {
        self.workerCount = workerCount
    }
}
