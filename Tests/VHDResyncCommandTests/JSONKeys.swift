import Foundation
import Testing

/// The keys of the JSON that the program prints: its contract, which README.md documents.
enum JSONKeys {
    static let result: Set<String> = ["returnValue", "returnName", "job", "disks"]
    static let job: Set<String> = [
        "instanceID", "jobState", "percentComplete", "elapsedSeconds", "errorCode",
        "errorDescription",
    ]
    static let disk: Set<String> = [
        "primary", "replica", "virtualSize", "blockSize", "blocksTotal", "blocksSkipped",
        "blocksCompared", "blocksDiffering", "blocksHeld", "bytesRead", "bytesHashed", "bytesSent",
        "bytesReceived", "bytesWritten", "phases", "rootDigest", "verified", "recovery", "output",
    ]
    static let phases: Set<String> = ["comparing", "receiving", "applying", "verifying"]
    static let recovery: Set<String> = ["outcome", "journal"]
    static let output: Set<String> = ["path", "bytes"]
    static let progressEvent: Set<String> = [
        "event", "phase", "isStopping", "disk", "disks", "percentComplete", "elapsedSeconds",
        "virtualSize", "bytesSent", "bytesReceived", "bytesSentPerSecond",
        "bytesDone", "bytesToDo", "bytesRead", "bytesHashed", "bytesWritten", "phases",
        "blocksTotal", "blocksSkipped", "blocksCompared", "blocksDiffering", "blocksHeld",
        "bytesReadPerSecond", "bytesWrittenPerSecond", "bytesDonePerSecond", "etaSeconds",
    ]
    static let info: Set<String> = ["returnValue", "returnName", "image"]
    static let image: Set<String> = [
        "path", "kind", "virtualSize", "fileSize", "payloadBlockSize", "logicalSectorSize",
        "physicalSectorSize", "creator", "virtualDiskID", "fileWriteGUID", "dataWriteGUID",
        "headerSequenceNumber", "logIsDirty", "blockStates", "geometry", "log", "regions",
        "allocation", "parents",
    ]
    /// What `image` has besides where it is half-written.
    static let unfinishedApply: Set<String> = ["streamID", "journal"]
    static let parent: Set<String> = ["path", "dataWriteGUID", "error"]
    static let geometry: Set<String> = ["payloadBlocks", "chunkRatio", "batEntries"]
    static let log: Set<String> = ["offset", "length", "entriesToReplay"]
    static let region: Set<String> = ["identifier", "name", "offset", "length", "isRequired"]
    static let allocation: Set<String> = [
        "payloadBytes", "sectorBitmaps", "usedBytes", "unusedBytes", "contiguousRuns",
        "percentOfParts", "map",
    ]
    static let checkResult: Set<String> = ["returnValue", "returnName", "check", "parents"]
    static let check: Set<String> = ["path", "worst", "counts", "unchecked", "findings"]
    static let counts: Set<String> = ["error", "warning", "notice"]
    static let finding: Set<String> = [
        "severity", "rule", "section", "structure", "offset", "value", "message", "more",
    ]
    static let blockStates: Set<String> = [
        "notPresent", "undefined", "zero", "unmapped", "fullyPresent", "partiallyPresent",
    ]

    /// What `info` prints of the files that the program makes.
    static let map: Set<String> = [
        "path", "kind", "version", "fileSize", "virtualSize", "blockSize", "blocksTotal",
        "zeroBlocks", "virtualDiskID", "dataWriteGUID", "rootDigest",
    ]
    static let delta: Set<String> = [
        "path", "kind", "version", "isComplete", "fileSize", "usableBytes", "virtualSize",
        "blockSize", "blocksTotal", "records", "dataBlocks", "zeroBlocks", "streamID", "base",
        "source", "result",
    ]
    static let deltaState: Set<String> = ["virtualDiskID", "dataWriteGUID", "rootDigest"]

    /// A JSON object.
    static func object(_ text: String) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(value as? [String: Any])
    }

    static func keys(of text: String) throws -> Set<String> {
        Set(try object(text).keys)
    }
}
