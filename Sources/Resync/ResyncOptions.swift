public import Storage
public import VHDX

/// How two blocks are compared.
public enum Comparison: String, Sendable, CaseIterable {
    /// By SHA-256, with a root digest of each disk as proof. The default.
    case hash
    /// Byte by byte, which needs both disks on this machine and yields no root digest.
    case bytes
}

/// What the bytes of a file mean.
public enum DiskFormat: String, Sendable, CaseIterable {
    /// A block device is a raw disk, and a file an image. The default.
    case automatic = "auto"
    case vhdx
    /// The bytes of the file are those of the disk.
    case raw
}

/// How a replica is written.
public enum WriteMethod: String, Sendable, CaseIterable {
    /// Into the replica itself, from a journal that holds everything. The default.
    case journal
    /// Into a copy that shares what does not change, and that then takes the replica's place. The file
    /// system must be able to make such copies.
    case clone
    /// Into the replica itself, while it is being compared: a stop leaves it half-written.
    case inPlace = "in-place"
}

/// What a resynchronization is to do beyond its two disks.
public struct ResyncOptions: Sendable {
    /// Bytes of virtual content in a block: a power of two in ``blockSizes``.
    public var blockSize = 65536
    /// Threads that read and hash. More than the machine has cores gain nothing.
    public var workerCount: Int
    public var comparison = Comparison.hash
    public var hashProvider = HashProvider.automatic
    /// Of the disks with all that they build on, and of journals, deltas and maps.
    public var cacheUse = CacheUse.keep
    /// Whether differing blocks are only counted and the replica is opened read-only.
    public var isDryRun = false
    /// Whether the whole replica is read again afterwards, from the device where the kernel can.
    public var verifiesWholeReplica = false
    /// Whether a replica that does not exist is made, with the primary's geometry.
    public var createsReplica = false
    /// An image on which a replica that is made builds: only what differs from it is stored.
    public var parentOfNewReplica: String?
    /// Whether a replica that is smaller than the primary is made as large.
    public var growsReplica = false
    /// Whether a replica is written to although a differencing image builds on it.
    public var breaksChildren = false
    public var writeMethod = WriteMethod.journal
    /// Where the journal stands; nil for beside the replica.
    public var journalFolder: String?
    /// Whether the mark of a half-written replica is believed where it names another place for the
    /// journal. What stands there is written to, so not where others may have made the replica's file.
    public var trustsJournalPathOfMark = true
    public var primaryFormat = DiskFormat.automatic
    public var replicaFormat = DiskFormat.automatic
    /// Where the parents of differencing images may be, besides the folders of the images.
    public var parents = ParentSearch()

    /// The block sizes there are: from 4 KiB to 16 MiB.
    public static let blockSizes = 4096...(16 << 20)

    /// How many threads there may be.
    public static let workerCounts = 1...256

    /// How many processors this process may keep busy, within ``workerCounts``.
    public static var processorCount: Int {
        min(max(ProcessorCount.allowed, workerCounts.lowerBound), workerCounts.upperBound)
    }

    public init(workerCount: Int = Self.processorCount) {
        self.workerCount = workerCount
    }

    /// - Throws: ``ResyncError/invalidOption(_:)``.
    package func check() throws(ResyncError) {
        guard Self.blockSizes.contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw .invalidOption(
                "the block size must be a power of two from 4 KiB to 16 MiB, not \(blockSize)")
        }
        guard Self.workerCounts.contains(workerCount) else {
            throw .invalidOption("the number of jobs must be 1 to 256, not \(workerCount)")
        }
    }
}
