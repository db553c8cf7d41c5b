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
        "blocksCompared", "blocksDiffering", "bytesRead", "bytesHashed", "bytesSent",
        "bytesReceived", "bytesWritten", "rootDigest", "verified",
    ]
    static let progressEvent: Set<String> = [
        "event", "phase", "isStopping", "percentComplete", "elapsedSeconds", "virtualSize",
        "bytesDone", "bytesRead", "bytesHashed", "bytesWritten", "blocksTotal", "blocksSkipped",
        "blocksCompared", "blocksDiffering", "bytesReadPerSecond", "etaSeconds",
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

    /// A JSON object.
    static func object(_ text: String) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(value as? [String: Any])
    }

    static func keys(of text: String) throws -> Set<String> {
        Set(try object(text).keys)
    }
}
