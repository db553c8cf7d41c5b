internal import BlockIO
internal import Storage

/// What one pass over the disks is for.
enum Pass: Sendable {
    /// Compare, and write what differs.
    case resynchronize
    /// Compare, and give what differs to a sink.
    case record
    /// Compare, and only count.
    case compare
    /// Digests of the primary alone; whoever takes them counts differences.
    case digest
    /// Digests of a disk whose blocks were counted before.
    case verify

    var writes: Bool { if case .resynchronize = self { true } else { false } }

    var records: Bool { if case .record = self { true } else { false } }

    var countsBlocks: Bool { if case .verify = self { false } else { true } }

    var countsDifferences: Bool {
        switch self {
        case .resynchronize, .record, .compare: true
        case .digest, .verify: false
        }
    }
}

/// Compares the blocks of one work item in the buffers of one worker.
struct BlockComparison: Sendable {
    let comparison: Comparison
    let zeros: ZeroDigests

    /// What was found out about one block.
    struct Finding: Sendable {
        var primaryDigest: BlockDigest
        var replicaDigest: BlockDigest
        var differs: Bool
        var primaryIsZero: Bool
        var bytesHashed: UInt64
    }

    /// Compares one block that lies in the primary's buffer with a digest.
    func compare(
        _ item: WorkItem, blockAt bytes: Range<Int>, with digest: BlockDigest,
        zeroDigest: BlockDigest, worker: inout Worker
    ) -> Finding {
        let isZero = !item.readsPrimary || ZeroScan.isZero(worker.primary.bytes.extracting(bytes))
        let primaryDigest = isZero ? zeroDigest : worker.digestOfPrimary(bytes)
        return Finding(
            primaryDigest: primaryDigest, replicaDigest: digest, differs: primaryDigest != digest,
            primaryIsZero: isZero, bytesHashed: isZero ? 0 : UInt64(bytes.count))
    }

    /// Compares one block that lies in both buffers at the same place.
    func compare(
        _ item: WorkItem, blockAt bytes: Range<Int>, zeroDigest: BlockDigest,
        worker: inout Worker
    ) -> Finding {
        let primaryIsZero =
            !item.readsPrimary || ZeroScan.isZero(worker.primary.bytes.extracting(bytes))
        let isEqual: Bool
        if item.readsPrimary && item.readsReplica {
            isEqual = ZeroScan.isEqual(
                worker.primary.bytes.extracting(bytes), worker.replica.bytes.extracting(bytes))
        } else if item.readsReplica {
            isEqual = ZeroScan.isZero(worker.replica.bytes.extracting(bytes))
        } else {
            isEqual = primaryIsZero
        }
        var finding = Finding(
            primaryDigest: zeroDigest, replicaDigest: zeroDigest, differs: !isEqual,
            primaryIsZero: primaryIsZero, bytesHashed: 0)
        guard comparison == .hash else { return finding }
        if !primaryIsZero {
            finding.primaryDigest = worker.digestOfPrimary(bytes)
            finding.bytesHashed += UInt64(bytes.count)
        }
        if isEqual {
            finding.replicaDigest = finding.primaryDigest
        } else if item.readsReplica,
            !ZeroScan.isZero(worker.replica.bytes.extracting(bytes))
        {
            finding.replicaDigest = worker.digestOfReplica(bytes)
            finding.bytesHashed += UInt64(bytes.count)
        }
        return finding
    }
}
