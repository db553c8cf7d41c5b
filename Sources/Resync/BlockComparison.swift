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

    /// Whether where the disks' content is stored says of it what there is to be found out: neither is
    /// written to meanwhile, and nothing that was written is to be proven.
    var looksForSharedContent: Bool {
        switch self {
        case .record, .compare: true
        case .resynchronize, .digest, .verify: false
        }
    }

    /// Whether content is looked at only once, so that it may be looked at where it can change meanwhile,
    /// and nothing that was written is to be proven.
    var mapsContent: Bool {
        switch self {
        case .record, .compare, .digest: true
        case .resynchronize, .verify: false
        }
    }

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
    }

    /// What came of the blocks of an item.
    struct Findings: Sendable {
        var blocks: [Finding]
        var counts: ResyncCounts
    }

    /// Compares blocks that lie in both buffers at these places, or in the primary's alone where of the
    /// replica only digests are here. Digests are taken where bytes do not say everything: once of two
    /// blocks that are equal, and of none that is zero. What was hashed is added to the counts.
    func compare(
        _ item: WorkItem, blocksAt places: [Range<Int>], _ content: ReplicaContent,
        _ counts: ResyncCounts, worker: inout Worker
    ) -> Findings {
        var findings: [Finding] = []
        var toHash = ToHash()
        for (index, bytes) in places.enumerated() {
            let zeroDigest = bytes.count == zeros.blockSize ? zeros.block : zeros.lastBlock
            let primaryIsZero =
                item.readsPrimary
                ? ZeroScan.isZero(worker.primary.bytes.extracting(bytes)) : !item.isShared
            var finding = Finding(
                primaryDigest: zeroDigest, replicaDigest: zeroDigest, differs: false,
                primaryIsZero: primaryIsZero)
            if let known = content.digest(ofBlock: item.first + index) {
                finding.replicaDigest = known
                finding.differs = zeroDigest != known
                if !primaryIsZero { toHash.primary.append((index, bytes)) }
            } else {
                finding.differs = !isEqual(item, bytes, primaryIsZero: primaryIsZero, worker)
                if comparison == .hash {
                    if !primaryIsZero { toHash.primary.append((index, bytes)) }
                    if finding.differs, item.readsReplica,
                        !ZeroScan.isZero(worker.replica.bytes.extracting(bytes))
                    {
                        toHash.replica.append((index, bytes))
                    }
                }
            }
            findings.append(finding)
        }
        let digests = worker.digests(
            ofPrimary: toHash.primary.map(\.bytes), ofReplica: toHash.replica.map(\.bytes))
        for ((index, _), digest) in zip(toHash.primary, digests.primary) {
            findings[index].primaryDigest = digest
            if content.digest(ofBlock: item.first + index) != nil {
                findings[index].differs = digest != findings[index].replicaDigest
            } else if !findings[index].differs {
                findings[index].replicaDigest = digest
            }
        }
        for ((index, _), digest) in zip(toHash.replica, digests.replica) {
            findings[index].replicaDigest = digest
        }
        var counts = counts
        counts.bytesHashed += toHash.byteCount
        return Findings(blocks: findings, counts: counts)
    }

    /// Blocks of an item, by their index in it, that have to be hashed.
    private struct ToHash {
        var primary: [(index: Int, bytes: Range<Int>)] = []
        var replica: [(index: Int, bytes: Range<Int>)] = []

        var byteCount: UInt64 {
            UInt64((primary + replica).reduce(0) { $0 + $1.bytes.count })
        }
    }

    private func isEqual(
        _ item: WorkItem, _ bytes: Range<Int>, primaryIsZero: Bool, _ worker: borrowing Worker
    ) -> Bool {
        if item.isShared { return true }
        guard item.readsReplica else { return primaryIsZero }
        guard item.readsPrimary else {
            return ZeroScan.isZero(worker.replica.bytes.extracting(bytes))
        }
        return ZeroScan.isEqual(
            worker.primary.bytes.extracting(bytes), worker.replica.bytes.extracting(bytes))
    }
}
