/// The counts of one disk. All are final when the run has ended, and true so far while it runs.
public struct ResyncCounts: Equatable, Sendable {
    /// Virtual size of the disk in bytes; 0 until it is open.
    public var virtualSize: UInt64 = 0
    public var blocksTotal: UInt64 = 0
    /// Blocks that were not read: by the formats' own word both sides read as zeros, or, in a comparison of
    /// bytes, by the file system's word both are stored in the same place.
    public var blocksSkipped: UInt64 = 0
    /// Blocks that were read on at least one side.
    public var blocksCompared: UInt64 = 0
    public var blocksDiffering: UInt64 = 0
    /// Of those that differ: blocks that an earlier run had recorded, and that were not read again.
    public var blocksHeld: UInt64 = 0
    /// Content read from both disks, in bytes, reading back and verifying included.
    public var bytesRead: UInt64 = 0
    public var bytesHashed: UInt64 = 0
    /// Of what was found to differ: content of blocks that are to become zeros, in bytes.
    public var bytesToZero: UInt64 = 0
    /// Content written to the replica, in bytes, ranges that were zeroed included.
    public var bytesWritten: UInt64 = 0
    /// Virtual bytes that were compared, or hashed, and those that could be skipped.
    public var bytesCompared: UInt64 = 0
    /// What crossed the connection with another host, in bytes; 0 where both disks are here.
    public var bytesSent: UInt64 = 0
    public var bytesReceived: UInt64 = 0
    /// Size of what was recorded of the differences: what is received where two machines compare.
    public var bytesRecorded: UInt64 = 0
    /// Virtual bytes of what was recorded and is written; in place, of what is written. Zeros that
    /// were recorded count as a whole, even where the replica had them.
    public var bytesApplied: UInt64 = 0
    /// Virtual bytes of what was written that were read back, and those of a verification.
    public var bytesVerified: UInt64 = 0
    /// What the current phase has done, and what it has to do as far as that is known: virtual bytes,
    /// but bytes of a stream in the phase that receives one.
    public var bytesDone: UInt64 = 0
    public var bytesToDo: UInt64 = 0

    public init() {}
}
