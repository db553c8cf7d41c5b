/// What differs in the blocks of one work item, in a form that joins with what stands before and
/// behind it.
struct ItemDifferences: Equatable, Sendable {
    /// A run of blocks that are zero on the primary.
    struct Zeros: Equatable, Sendable {
        var count: UInt64 = 0
        /// Whether the replica holds something else in one of them.
        var differs = false

        mutating func append(_ finding: BlockComparison.Finding) {
            count += 1
            differs = differs || finding.differs
        }
    }

    /// Neighbouring blocks that differ, within the item.
    struct Run: Equatable, Sendable {
        var blocks: Range<Int>
        /// Whether they became zero; a run of these may hold some that were zero before.
        var isZero: Bool
    }

    /// The item's blocks, on the disk.
    var blocks: Range<UInt64>
    /// Before the first block that is not zero; all blocks where none is.
    var leadingZeros = Zeros()
    /// Behind the last block that is not zero.
    var trailingZeros = Zeros()
    /// Whether every block is zero on the primary.
    var isZero = true
    /// What is to be recorded between these two runs, in order.
    var runs: [Run] = []
    /// Bytes of content that differ and that the replica has no space for yet.
    var growth: UInt64 = 0

    /// Whether any block differs.
    var hasAny: Bool { !runs.isEmpty || leadingZeros.differs || trailingZeros.differs }

    /// Looks through the findings of an item that starts with this block.
    init(_ findings: [BlockComparison.Finding], from first: UInt64) {
        blocks = first..<first + UInt64(findings.count)
        var zeros = Zeros()
        var index = 0
        while index < findings.count {
            if findings[index].primaryIsZero {
                zeros.append(findings[index])
                index += 1
                continue
            }
            if isZero {
                leadingZeros = zeros
            } else if zeros.differs {
                runs.append(Run(blocks: index - Int(zeros.count)..<index, isZero: true))
            }
            isZero = false
            zeros = Zeros()
            let end =
                findings[index...].firstIndex {
                    $0.primaryIsZero || $0.differs != findings[index].differs
                } ?? findings.count
            if findings[index].differs { runs.append(Run(blocks: index..<end, isZero: false)) }
            index = end
        }
        if isZero { leadingZeros = zeros } else { trailingZeros = zeros }
    }
}
