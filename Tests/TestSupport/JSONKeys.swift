internal import Foundation

/// The keys of the JSON that results are: a contract, which README.md documents.
package enum JSONKeys {
    package static let result: Set<String> = ["returnValue", "returnName", "job", "disks"]
    package static let job: Set<String> = [
        "instanceID", "jobState", "percentComplete", "elapsedSeconds", "errorCode",
        "errorDescription",
    ]
    package static let disk: Set<String> = [
        "primary", "replica", "virtualSize", "blockSize", "blocksTotal", "blocksSkipped",
        "blocksCompared", "blocksDiffering", "blocksHeld", "bytesRead", "bytesHashed", "bytesSent",
        "bytesReceived", "bytesWritten", "phases", "rootDigest", "verified", "reused",
        "notReusedReason", "recovery", "output",
    ]
    package static let phases: Set<String> = ["comparing", "receiving", "applying", "verifying"]
    package static let recovery: Set<String> = ["outcome", "journal"]
    package static let output: Set<String> = ["path", "bytes"]
    package static let progressEvent: Set<String> = [
        "event", "phase", "isStopping", "disk", "disks", "percentComplete", "elapsedSeconds",
        "virtualSize", "bytesSent", "bytesReceived", "bytesSentPerSecond",
        "bytesDone", "bytesToDo", "bytesRead", "bytesHashed", "bytesWritten", "phases",
        "blocksTotal", "blocksSkipped", "blocksCompared", "blocksDiffering", "blocksHeld",
        "bytesReadPerSecond", "bytesWrittenPerSecond", "bytesDonePerSecond", "etaSeconds",
    ]
    package static let retryEvent: Set<String> = [
        "event", "disk", "disks", "elapsedSeconds", "host", "error", "attempt", "attempts",
        "delaySeconds",
    ]
    package static let info: Set<String> = ["returnValue", "returnName", "image"]
    package static let image: Set<String> = [
        "path", "kind", "virtualSize", "fileSize", "payloadBlockSize", "logicalSectorSize",
        "physicalSectorSize", "creator", "virtualDiskID", "fileWriteGUID", "dataWriteGUID",
        "headerSequenceNumber", "logIsDirty", "blockStates", "geometry", "log", "regions",
        "allocation", "parents",
    ]
    /// What `image` has besides where it is half-written.
    package static let unfinishedApply: Set<String> = ["streamID", "journal"]
    package static let parent: Set<String> = ["path", "dataWriteGUID", "error"]
    package static let geometry: Set<String> = ["payloadBlocks", "chunkRatio", "batEntries"]
    package static let log: Set<String> = ["offset", "length", "entriesToReplay"]
    package static let region: Set<String> = [
        "identifier", "name", "offset", "length", "isRequired",
    ]
    package static let allocation: Set<String> = [
        "payloadBytes", "sectorBitmaps", "usedBytes", "unusedBytes", "contiguousRuns",
        "percentOfParts", "map",
    ]
    package static let checkResult: Set<String> = ["returnValue", "returnName", "check", "parents"]
    package static let check: Set<String> = ["path", "worst", "counts", "unchecked", "findings"]
    package static let counts: Set<String> = ["error", "warning", "notice"]
    package static let finding: Set<String> = [
        "severity", "rule", "section", "structure", "offset", "value", "message", "more",
    ]
    package static let blockStates: Set<String> = [
        "notPresent", "undefined", "zero", "unmapped", "fullyPresent", "partiallyPresent",
    ]

    /// What `info` prints of the files that the program makes.
    package static let map: Set<String> = [
        "path", "kind", "version", "fileSize", "virtualSize", "blockSize", "blocksTotal",
        "zeroBlocks", "virtualDiskID", "dataWriteGUID", "rootDigest",
    ]
    package static let delta: Set<String> = [
        "path", "kind", "version", "isComplete", "fileSize", "usableBytes", "virtualSize",
        "blockSize", "blocksTotal", "records", "dataBlocks", "zeroBlocks", "streamID", "base",
        "source", "result",
    ]
    package static let deltaState: Set<String> = ["virtualDiskID", "dataWriteGUID", "rootDigest"]

    package struct NoObject: Error {
        package var text: String
    }

    /// A JSON object.
    package static func object(_ text: String) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        guard let object = value as? [String: Any] else { throw NoObject(text: text) }
        return object
    }

    package static func keys(of text: String) throws -> Set<String> {
        Set(try object(text).keys)
    }
}
