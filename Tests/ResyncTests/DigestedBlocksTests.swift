import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("Digested blocks")
struct DigestedBlocksTests {
    @Test("Blocks that come with the nodes that they fill are the same blocks, cut anywhere")
    func blocksWithNodes() throws {
        for seed in 0..<30 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            let count = Int.random(in: 1...700, using: &generator)
            var context = try SHA256Context(seed.isMultiple(of: 2) ? .automatic : .openssl)
            let digests = (0..<count).map { index in
                context.digest(of: Array("\(seed) \(index)".utf8).rawSpan)
            }
            let size = UInt64(count) * 4096
            var one = try DigestTreeBuilder(virtualSize: size, blockSize: 4096)
            one.append(digests)
            let expected = one.root()
            var other = try DigestTreeBuilder(virtualSize: size, blockSize: 4096)
            var rest = digests[...]
            while !rest.isEmpty {
                // Often at the beginning of a node, as windows do, and anywhere else.
                let wanted = 64 * Int.random(in: 0...5, using: &generator)
                let more = seed % 3 == 0 ? Int.random(in: 0...63, using: &generator) : 0
                let part = Array(rest.prefix(max(1, wanted + more)))
                other.append(DigestedBlocks(part, with: &context))
                rest = rest.dropFirst(part.count)
            }
            let found = other.root()
            #expect(found == expected, "seed \(seed)")
        }
    }
}
