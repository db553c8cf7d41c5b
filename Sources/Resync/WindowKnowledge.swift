internal import BlockIO

/// What stands against the primary in a window.
enum ReplicaContent: Sendable {
    /// A disk, by its own word of what holds data.
    case disk([Extent])
    /// A disk of which only digests are here, with those that the blocks would have as zeros.
    case digests([BlockDigest], zeros: [BlockDigest])
    case zeros

    var mayHoldData: Bool {
        switch self {
        case .disk(let extents): extents.contains { $0.state == .data }
        case .digests: true
        case .zeros: false
        }
    }

    /// The digest of a block that is not on this machine.
    func digest(ofBlock index: Int) -> BlockDigest? {
        guard case .digests(let digests, _) = self else { return nil }
        return digests[index]
    }

    /// What runs of digests say of the blocks of a window, which have these digests as zeros.
    init(_ runs: [DigestRun], zeros: [BlockDigest]) {
        let isZero = runs.allSatisfy { if case .zeros = $0 { true } else { false } }
        guard !isZero else {
            self = .zeros
            return
        }
        var digests: [BlockDigest] = []
        digests.reserveCapacity(zeros.count)
        for run in runs {
            switch run {
            case .zeros(let count): digests += zeros[digests.count..<digests.count + Int(count)]
            case .digests(let more): digests += more
            }
        }
        self = .digests(digests, zeros: zeros)
    }
}

/// Neighbouring blocks of a window that differ, and whose new content an earlier run has recorded.
struct HeldBlocks: Equatable, Sendable {
    /// Within the window.
    var range: Range<Int>
    /// Of the new content; nil where that is zeros.
    var digests: [BlockDigest]?
}

/// What is known of a window before either disk is read.
struct WindowKnowledge: Sendable {
    /// The digests of all its blocks, where there is no replica to read.
    var replicaDigests: [DigestRun]?
    /// In order.
    var held: [HeldBlocks] = []
    /// Whether, in a pass that records, the primary is only hashed: what stands against it is not known
    /// yet.
    var isPrimaryWantedAlone = false
    /// Whether nothing is known of any window from this one on.
    var isLast = false

    /// Nothing, of this window and all that follow.
    static let nothing = WindowKnowledge(isLast: true)
}
