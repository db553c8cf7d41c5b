internal import Resync

/// What became of a disk of a job, for programs. The keys are those of the JSON result of a run, as far
/// as they are remembered.
package struct JobDiskObject: Codable, Equatable, Sendable {
    package var name: String
    package var primary: String
    package var replica: String
    /// Null while the disk is not done, and has not failed.
    package var returnValue: Nullable<UInt32>
    package var returnName: Nullable<String>
    package var errorDescription: Nullable<String>
    package var elapsedSeconds: Double
    package var virtualSize: UInt64
    package var blockSize: Int
    package var blocksTotal: UInt64
    package var blocksSkipped: UInt64
    package var blocksCompared: UInt64
    package var blocksDiffering: UInt64
    package var blocksHeld: UInt64
    package var bytesRead: UInt64
    package var bytesHashed: UInt64
    package var bytesSent: UInt64
    package var bytesReceived: UInt64
    package var bytesWritten: UInt64
    package var rootDigest: Nullable<String>
    package var verified: Bool

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name, primary, replica, returnValue, returnName, errorDescription, elapsedSeconds
        case virtualSize, blockSize, blocksTotal, blocksSkipped, blocksCompared, blocksDiffering
        case blocksHeld, bytesRead, bytesHashed, bytesSent, bytesReceived, bytesWritten
        case rootDigest, verified
    }

    init(_ disk: StoredDiskResult) {
        name = disk.name
        primary = disk.primary
        replica = disk.replica
        returnValue = Nullable(disk.returnCode?.rawValue)
        returnName = Nullable(disk.returnCode?.name)
        errorDescription = Nullable(disk.errorDescription)
        elapsedSeconds = disk.elapsedTime.roundedSeconds
        virtualSize = disk.counts.virtualSize
        blockSize = disk.blockSize
        blocksTotal = disk.counts.blocksTotal
        blocksSkipped = disk.counts.blocksSkipped
        blocksCompared = disk.counts.blocksCompared
        blocksDiffering = disk.counts.blocksDiffering
        blocksHeld = disk.counts.blocksHeld
        bytesRead = disk.counts.bytesRead
        bytesHashed = disk.counts.bytesHashed
        bytesSent = disk.counts.bytesSent
        bytesReceived = disk.counts.bytesReceived
        bytesWritten = disk.counts.bytesWritten
        rootDigest = Nullable(disk.rootDigest.map { "\($0)" })
        verified = disk.isVerified
    }
}
