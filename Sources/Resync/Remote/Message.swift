internal import Storage
internal import VHDX

/// What two hosts say to each other about a pair of disks (docs/protocol.md).
///
/// The *sender* has the primary, the *receiver* the replica. Which of them called the other, the
/// client, makes no difference after the first messages.
package enum Message: Equatable, Sendable {
    /// First from each side, at once.
    case hello(Hello)
    /// From the client: what it wants.
    case open(OpenRequest)
    /// From the sender: what its disk is.
    case source(SourceOffer)
    /// From the receiver: what its disk is.
    case target(TargetOffer)
    /// From the receiver: what the next windows of its disk hold.
    case digests([WindowRange])
    /// From the sender: it wants the digests of the nodes of a range of windows, which starts here.
    case nodesWanted(first: UInt64)
    case nodes(first: UInt64, [ShortDigest])
    /// From the sender: it wants the digests of the blocks below some nodes of such a range.
    case blocksWanted(first: UInt64, nodes: [Bool])
    case blocks(first: UInt64, [ShortDigest])
    /// From the sender: records of a delta stream, one or more whole ones.
    case records([UInt8])
    /// From the sender: everything that differs before this window was sent.
    case settled(UInt64)
    /// From the sender: everything that differs was sent, and the primary did not change.
    case finish(Finish)
    /// From the receiver: how far it is with writing.
    case status(RemoteStatus)
    /// From the receiver: the replica reads as the primary.
    case result(RemoteResult)
    /// From either: it cannot go on, or was stopped. The last message.
    case failure(PeerFailure)
    /// From the receiver, before its result: what finishes its replica, as
    /// ``PreparedJournal/encoded()``. From the sender: the same, to be checked or carried out.
    case prepared([UInt8])

    /// The number of each message in its frame. 0 is the keep-alive of the connection.
    package enum Kind: UInt8, CaseIterable, Sendable {
        case hello = 1
        case open, source, target, digests, nodesWanted, nodes, blocksWanted, blocks, records
        case settled, finish, status, result, failure, prepared
    }
}

/// Who speaks, and which versions of the protocol it knows.
///
///     offset  size  field
///          0     8  magic     "vhdrsync"
///          8     2  version   the newest that it knows
///         10     2  oldest    and the oldest
///         12     4  features  0
package struct Hello: Equatable, Sendable {
    var version: UInt16 = Self.newest
    var oldest: UInt16 = Self.oldest
    var features: UInt32 = 0

    static let magic = Array("vhdrsync".utf8)
    static let newest: UInt16 = 2
    static let oldest: UInt16 = 1
    /// From this version on a replica can be prepared, checked and finished.
    static let preparing: UInt16 = 2
    static let byteCount = 16
}

/// Which of the two disks the client has.
enum ClientRole: UInt8, Sendable {
    case sender = 1
    case receiver = 2
}

/// What a client wants of the disk that the other side has.
///
///     offset  size  field
///          0     1  role            the client's: 1 sender, 2 receiver
///          1     1  format          of the server's disk: 0 automatic, 1 VHDX, 2 raw
///          2     2  0
///          4     4  flags
///          8     4  block size      bytes
///         12     4  0
///         16     8  bytes a second  that the server may send; 0: as many as it can
///         24    16  expected state  data write GUID that a committed run was to give the replica
///         40     2  path length
///         42        path            UTF-8
package struct OpenRequest: Equatable, Sendable {
    var role: ClientRole
    var format = DiskFormat.automatic
    var flags: Flags = []
    var blockSize: UInt32
    var bytesPerSecond: UInt64 = 0
    /// Zero where nothing is to be asked about.
    var expectedState = GUID.zero
    var path: String

    struct Flags: OptionSet, Sendable {
        var rawValue: UInt32

        static let dryRun = Flags(rawValue: 1)
        static let create = Flags(rawValue: 2)
        static let grow = Flags(rawValue: 4)
        static let breakChildren = Flags(rawValue: 8)
        static let verify = Flags(rawValue: 16)
        static let clone = Flags(rawValue: 32)
        /// The replica is not changed: what finishes it comes before the result.
        static let prepare = Flags(rawValue: 64)
        /// A replica that was prepared is to be as it was then. What was prepared follows.
        static let check = Flags(rawValue: 128)
        /// It is to be finished.
        static let finish = Flags(rawValue: 256)
        static let all: Flags = [
            .dryRun, .create, .grow, .breakChildren, .verify, .clone, .prepare, .check, .finish,
        ]
        /// A run has one of these at most, and then it is no dry one.
        static let ofPreparing: Flags = [.prepare, .check, .finish]
    }

    /// Which version of the protocol knows it.
    var version: UInt16 { flags.isDisjoint(with: .ofPreparing) ? 1 : Hello.preparing }

    static let pathOffset = 40
    /// UTF-8 bytes: the longest path that Linux takes.
    static let maximumPathByteCount = 4096
}

/// The disk of the sender.
///
///     offset  size  field
///          0     8  virtual size        bytes
///          8    64  state               as in a delta stream
///         72     8  payload block size  of an image, in bytes; 0: a raw disk
///         80     4  logical sector size
///         84     4  physical sector size
///         88     1  fixed               1: all blocks of the image are allocated
///         89     7  0
package struct SourceOffer: Equatable, Sendable {
    var virtualSize: UInt64
    var state: DiskState
    /// What an image like it is made from; nil for a raw disk.
    var shape: ImageShape?

    static let byteCount = 96
}

/// What a new image takes from another.
struct ImageShape: Equatable, Sendable {
    var blockSize: UInt64
    var logicalSectorSize: UInt32
    var physicalSectorSize: UInt32
    var isFixed: Bool
}

/// The disk of the receiver.
///
///     offset  size  field
///          0     8  virtual size  bytes
///          8    16  salt          of all short digests
///         24    16  result state  data write GUID that an image is to get; zero: it has none
///         40     8  held blocks   that an earlier run has received already
///         48     4  flags         bit 0: the replica is in the expected state, and whole
///         52     4  0
package struct TargetOffer: Equatable, Sendable {
    var virtualSize: UInt64
    var salt: GUID
    var resultState: GUID
    var heldBlockCount: UInt64
    var isDone: Bool

    static let byteCount = 56
}

/// What some neighbouring windows of the receiver's disk hold.
///
///     offset  size  field
///          0     4  windows  how many; bit 31: they hold nothing but zeros, and no digest follows
///          4     8  digest   of their nodes
package struct WindowRange: Equatable, Sendable {
    var windowCount: UInt32
    /// Nil: nothing but zeros.
    var digest: ShortDigest?

    static let zerosBit: UInt32 = 1 << 31
}

/// What ends the comparison.
///
///     offset  size  field
///          0    32  root digest  of the primary
///         32     8  differing    blocks that differ, where the sender has counted them
///         40        counts       of the sender
package struct Finish: Equatable, Sendable {
    var root: BlockDigest
    var differingBlockCount: UInt64
    package var counts: RemoteCounts

    static let byteCount = 40 + RemoteCounts.byteCount
}

/// How far the receiver is.
///
///     offset  size  field
///          0     1  phase        2 comparing, 3 receiving, 4 applying, 5 verifying
///          1     7  0
///          8     8  bytes done   of this phase
///         16     8  bytes to do  0: not known
///         24        counts       of the receiver
package struct RemoteStatus: Equatable, Sendable {
    var phase: ResyncPhase
    var bytesDone: UInt64
    var bytesToDo: UInt64
    var counts: RemoteCounts

    static let byteCount = 24 + RemoteCounts.byteCount
}

/// What became of the replica.
///
///     offset  size  field
///          0    32  root digest     of the replica
///         32     1  preparation     0 none, 1 made, 2 made larger
///         33     1  recovery        0 nothing was to be done, 1 an unfinished journal, 2 a finished one
///         34     1  verified        1: proven to read as the primary
///         35     5  0
///         40        counts          of the receiver
///                2  journal length
///                   journal         path of the journal that was found, UTF-8
package struct RemoteResult: Equatable, Sendable {
    var root: BlockDigest
    var preparation: ReplicaPreparation
    var recovery: ReplicaRecovery.Outcome
    var isVerified: Bool
    package var counts: RemoteCounts
}

/// Why the other side could not go on.
///
///     offset  size  field
///          0     4  code         a documented return code
///          4     1  condition    of the replica: 0 untouched, 1 found half-written, 2 half-written,
///                                3 written
///          5     3  0
///          8     2  text length
///         10        text         a sentence for people, UTF-8
public struct PeerFailure: Equatable, Sendable {
    /// A return code: 32768 and above.
    public var code: UInt32
    public var condition: ReplicaCondition
    /// A sentence for people. It is the peer's: not to be printed as it is.
    public var text: String

    public init(code: UInt32, condition: ReplicaCondition, text: String) {
        self.code = code
        self.condition = condition
        self.text = text
    }

    /// UTF-8 bytes.
    static let maximumTextByteCount = 8192
}

/// What one side counts and the other side reports: eight bytes each, in this order.
package struct RemoteCounts: Equatable, Sendable {
    var blocksSkipped: UInt64 = 0
    var blocksCompared: UInt64 = 0
    var blocksDiffering: UInt64 = 0
    var blocksHeld: UInt64 = 0
    var bytesRead: UInt64 = 0
    var bytesHashed: UInt64 = 0
    var bytesToZero: UInt64 = 0
    var bytesWritten: UInt64 = 0
    var bytesRecorded: UInt64 = 0
    var bytesApplied: UInt64 = 0
    var bytesVerified: UInt64 = 0

    static let byteCount = 88
    /// What is believed at most, so that sums with what this side has counted do not overflow.
    static let maximum: UInt64 = 1 << 56
}

extension RemoteCounts {
    init(_ counts: ResyncCounts) {
        blocksSkipped = counts.blocksSkipped
        blocksCompared = counts.blocksCompared
        blocksDiffering = counts.blocksDiffering
        blocksHeld = counts.blocksHeld
        bytesRead = counts.bytesRead
        bytesHashed = counts.bytesHashed
        bytesToZero = counts.bytesToZero
        bytesWritten = counts.bytesWritten
        bytesRecorded = counts.bytesRecorded
        bytesApplied = counts.bytesApplied
        bytesVerified = counts.bytesVerified
    }
}
