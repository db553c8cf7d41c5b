internal import Storage

/// The digest trees of a comparison, window by window: of the primary, of the replica, and of what the replica
/// will read as. Most often a window gives the same nodes to all three, and these are hashed once.
struct ComparisonTrees: ~Copyable {
    private var primary: DigestTreeBuilder
    private var replica: DigestTreeBuilder
    /// Nil where no differences are recorded.
    private var result: DigestTreeBuilder?
    private var context: SHA256Context

    init(
        virtualSize: UInt64, _ options: ResyncOptions, records: Bool
    ) throws(OutOfMemory) {
        func tree() throws(OutOfMemory) -> DigestTreeBuilder {
            try DigestTreeBuilder(virtualSize: virtualSize, blockSize: options.blockSize)
        }
        let primary = try tree()
        let replica = try tree()
        let result = records ? try tree() : nil
        context = try SHA256Context(options.hashProvider)
        self.primary = primary
        self.replica = replica
        self.result = result
    }

    /// Adds blocks that are zero on both sides.
    mutating func append(zeroBlocks count: UInt64) {
        primary.append(zeroBlocks: count)
        replica.append(zeroBlocks: count)
        result?.append(zeroBlocks: count)
    }

    /// Adds the blocks of a window.
    mutating func append(_ window: WindowResult) {
        let ofPrimary = DigestedBlocks(window.primaryDigests, with: &context)
        primary.append(ofPrimary)
        replica.append(digested(window.replicaDigests, like: ofPrimary))
        if result != nil {
            let ofResult = digested(window.resultDigests, like: ofPrimary)
            result?.append(ofResult)
        }
    }

    private mutating func digested(
        _ digests: [BlockDigest], like primary: DigestedBlocks
    ) -> DigestedBlocks {
        digests == primary.digests ? primary : DigestedBlocks(digests, with: &context)
    }

    /// What the disks read as, where all their blocks were added.
    consuming func roots(replicaIsKnown: Bool) -> ComparisonEngine.Roots {
        let ofReplica = replica.root()
        return ComparisonEngine.Roots(
            primary: primary.root(), replica: replicaIsKnown ? ofReplica : nil,
            result: result.take()?.root())
    }
}
