import Foundation
import Resync
import Storage
import Testing

@Suite("Digest tree")
struct DigestTreeTests {
    /// The root digest as docs/digest-tree.md defines it, from a list of all digests at once.
    private func naiveRoot(
        virtualSize: UInt64, blockSize: Int, leaves: [BlockDigest]
    ) throws -> BlockDigest {
        var context = try SHA256Context()
        var digests = leaves
        var level: UInt64 = 0
        repeat {
            level += 1
            let starts = stride(from: 0, to: max(digests.count, 1), by: 64)
            digests = starts.map { start in
                var bytes = Array("vhdresync node 1".utf8) + littleEndian(level, count: 8)
                for digest in digests[start..<min(start + 64, digests.count)] {
                    bytes += digest.bytes
                }
                return context.digest(of: bytes.rawSpan)
            }
        } while digests.count > 1
        let bytes =
            Array("vhdresync root 1".utf8) + littleEndian(virtualSize, count: 8)
            + littleEndian(UInt64(blockSize), count: 4) + digests[0].bytes
        return context.digest(of: bytes.rawSpan)
    }

    private func littleEndian(_ value: UInt64, count: UInt64) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// Runs of zero blocks and of others that fill a disk of so many blocks.
    private func leaves(
        count: Int, zeros: ZeroDigests, using generator: inout SplitMix64
    ) -> [BlockDigest] {
        var leaves: [BlockDigest] = []
        while leaves.count < count {
            let longest = [1, 3, 64, 200, 4096, 9000].randomElement(using: &generator) ?? 1
            let end = min(leaves.count + Int.random(in: 1...longest, using: &generator), count)
            let areZeros = Bool.random(using: &generator)
            for index in leaves.count..<end {
                leaves.append(
                    areZeros ? zeros.digest(ofBlock: UInt64(index)) : generator.digest())
            }
        }
        return leaves
    }

    /// Feeds runs of zero blocks as runs, cut at random places, and all other digests one by one.
    private func streamedRoot(
        zeros: ZeroDigests, leaves: [BlockDigest], using generator: inout SplitMix64
    ) throws -> BlockDigest {
        var tree = try DigestTreeBuilder(
            virtualSize: zeros.virtualSize, blockSize: zeros.blockSize)
        var index = 0
        while index < leaves.count {
            var end = index
            while end < leaves.count, leaves[end] == zeros.digest(ofBlock: UInt64(end)) {
                end += 1
            }
            if end == index {
                tree.append(leaves[index])
                index += 1
            } else {
                let count = Int.random(in: 0...(end - index), using: &generator)
                tree.append(zeroBlocks: UInt64(count))
                index += count
            }
            #expect(tree.appendedCount == UInt64(index))
        }
        return tree.root()
    }

    @Test("Streamed, the root is that of the definition, for shapes of each kind")
    func agreesWithDefinition() throws {
        let counts = [0, 1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 4160, 8192, 12345]
        for (seed, count) in (counts + counts + counts).enumerated() {
            var generator = SplitMix64(seed: UInt64(seed))
            let blockSize = 4096 << Int.random(in: 0...4, using: &generator)
            let partial = Int.random(in: 1..<blockSize, using: &generator)
            let missing = count == 0 || seed % 3 == 0 ? 0 : partial
            let virtualSize = UInt64(count * blockSize - missing)
            let zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: blockSize)
            let leaves = leaves(count: count, zeros: zeros, using: &generator)
            let expected = try naiveRoot(
                virtualSize: virtualSize, blockSize: blockSize, leaves: leaves)
            let root = try streamedRoot(zeros: zeros, leaves: leaves, using: &generator)
            #expect(root == expected, "seed \(seed), \(count) blocks")
        }
    }

    @Test("Levels above 64³ blocks")
    func agreesWithDefinitionWhereLarge() throws {
        for (seed, count) in [262_143, 262_144, 262_145, 300_000].enumerated() {
            var generator = SplitMix64(seed: UInt64(seed))
            let virtualSize = UInt64(count) * 4096 - UInt64(seed)
            let zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: 4096)
            let leaves = leaves(count: count, zeros: zeros, using: &generator)
            let expected = try naiveRoot(virtualSize: virtualSize, blockSize: 4096, leaves: leaves)
            let root = try streamedRoot(zeros: zeros, leaves: leaves, using: &generator)
            #expect(root == expected, "\(count) blocks")
        }
    }

    /// Root digests of disks of zeros, as `digest_tree.py root` gives them.
    private static let zeroVectors: [(virtualSize: UInt64, blockSize: Int, root: String)] = [
        (0, 65536, "436e4aca81673421c89379ab18743622eb8d6f4f8fedd69a4763a152047c0485"),
        (1, 65536, "ae5ad633e3693996b1f84a887705636dac2c805dd8ed91f4e550b2bf90a5e716"),
        (65536, 65536, "d097885f469b4d1dfedd14bb10edaed9d3b4602b92dfbb2ae2abfdfe8e1a23e2"),
        (4 << 20, 65536, "0eb833f534330bf1a6b5cb289b6b9732d9ae4138122d8b4515e81f468e4cd010"),
        (4 << 20 + 1, 65536, "8c753b04766d989e1f1a1886eeabb3ea27c7d4b43f8daf50eab895f53d0b1d57"),
        (256 << 20, 65536, "724cc948cde9eefb04721ff7c1f0d3fb1ff681ee82a6c73529f8dbbe9d9bac77"),
        (268_500_992, 65536, "190532000d5f01b295f8b71bb42ee35f8ec8554413691068fcc9c5428a247c6a"),
        (64 << 40, 65536, "23bf44bb1c7b386bf29997419645ebe9967eece9a7fd8591f52ea443ecc82926"),
        (
            70_368_744_173_567, 65536,
            "962042e75164f096d0ce4f4ec0940982b7112c5c315845fbb7a6e268fda39dc3"
        ),
        (64 << 40, 4096, "76c1e3478871507ef7eb6bba50b72428dd8f25aafff98e99535a0001f7700964"),
        (64 << 40, 16 << 20, "7a0f40b65060c63d08cef19deeb294cf6945e7209574c7fe068cd686517fe21b"),
    ]

    @Test("Disks of zeros up to 64 TiB have the root digests of the reference")
    func zeroVectors() throws {
        for (virtualSize, blockSize, root) in Self.zeroVectors {
            var tree = try DigestTreeBuilder(virtualSize: virtualSize, blockSize: blockSize)
            tree.append(zeroBlocks: tree.blockCount)
            #expect("\(tree.root())" == root, "\(virtualSize) bytes in blocks of \(blockSize)")
        }
    }

    @Test("64 TiB of zeros in blocks of 4 KiB, cut anywhere, are one disk")
    func zerosInPieces() throws {
        for seed in 0..<20 as Range<UInt64> {
            var generator = SplitMix64(seed: seed)
            var tree = try DigestTreeBuilder(virtualSize: 64 << 40, blockSize: 4096)
            while tree.appendedCount < tree.blockCount {
                let left = tree.blockCount - tree.appendedCount
                let shift = UInt64.random(in: 30...63, using: &generator)
                tree.append(zeroBlocks: min(left, generator.next() >> shift))
                if tree.appendedCount < tree.blockCount { tree.append(tree.zeros.block) }
            }
            #expect("\(tree.root())" == Self.zeroVectors[9].root, "seed \(seed)")
        }
    }

    @Test("The largest disk has a root digest")
    func largest() throws {
        for blockSize in [4096, 16 << 20] {
            var tree = try DigestTreeBuilder(
                virtualSize: DigestTree.maximumVirtualSize, blockSize: blockSize)
            tree.append(zeroBlocks: tree.blockCount)
            let size = "\(DigestTree.maximumVirtualSize)"
            let expected = try runReference(["root", size, "\(blockSize)", "zeros"])
            #expect("\(tree.root())" == expected)
        }
    }

    /// Disks with content, as the reference's patterns describe it.
    private static let patternVectors: [(Int, Int, period: Int, root: String)] = [
        (1, 4096, 1, "e14e4d16933553321c92ecd645d11db5058d0974dc31753ea2db96fd15b232a6"),
        (4096, 4096, 1, "01d65b8c2b24a5d3cdc81a8e3ffa0075174e991171deace4b14d24d45110c727"),
        (10000, 4096, 1, "30db713b5e4088e61efaa54005e65b5d623aa76c2db22eb73c6f97a647ff5e45"),
        (262_144, 4096, 1, "90f9fbde77e4ae1015bf2ae69dff8ee763b967e3034a21fe32c45527e3aa9256"),
        (266_240, 4096, 1, "d3e94b1d40946df170f57b74383f5e6a9f53dd307afffdce577beb00e3aa5c7b"),
        (266_241, 4096, 1, "bfae12b7ce55becd884b1fed61f87f452c213fdf58aaa1f2b99306981b710ff2"),
        (3_000_000, 65536, 5, "4bc447c59761a8baa11b2c5e3dc24d1e72abadec61bad30739736cbe8f9fea7b"),
    ]

    private func patternRoot(
        virtualSize: Int, blockSize: Int, period: Int
    ) throws -> BlockDigest {
        var context = try SHA256Context()
        var tree = try DigestTreeBuilder(virtualSize: UInt64(virtualSize), blockSize: blockSize)
        for index in 0..<Int(tree.blockCount) {
            guard index.isMultiple(of: period) else {
                tree.append(zeroBlocks: 1)
                continue
            }
            let size = min(blockSize, virtualSize - index * blockSize)
            let block = (0..<size).map { UInt8((7 * index + 13 * $0 + 1) % 251) }
            tree.append(context.digest(of: block.rawSpan))
        }
        return tree.root()
    }

    @Test("Disks with content have the root digests of the reference")
    func patternVectors() throws {
        for (virtualSize, blockSize, period, root) in Self.patternVectors {
            let computed = try patternRoot(
                virtualSize: virtualSize, blockSize: blockSize, period: period)
            #expect("\(computed)" == root, "\(virtualSize) bytes, every \(period)")
        }
    }

    @Test("The reference agrees on disks of random geometry")
    func agreesWithReference() throws {
        var generator = SplitMix64(seed: 7)
        for _ in 0..<12 {
            let blockSize = 4096 << Int.random(in: 0...3, using: &generator)
            let virtualSize = Int.random(in: 1...(200 * blockSize), using: &generator)
            let period = Int.random(in: 2...40, using: &generator)
            let expected = try runReference(
                ["root", "\(virtualSize)", "\(blockSize)", "every:\(period)"])
            let computed = try patternRoot(
                virtualSize: virtualSize, blockSize: blockSize, period: period)
            #expect("\(computed)" == expected, "\(virtualSize), \(blockSize), every \(period)")
        }
    }

    @Test("Each digest, its place, the size and the block size change the root")
    func dependsOnEverything() throws {
        var generator = SplitMix64(seed: 3)
        let leaves = (0..<130).map { _ in generator.digest() }
        func root(_ virtualSize: UInt64, _ blockSize: Int, _ leaves: [BlockDigest]) throws
            -> BlockDigest
        {
            var tree = try DigestTreeBuilder(virtualSize: virtualSize, blockSize: blockSize)
            for leaf in leaves { tree.append(leaf) }
            return tree.root()
        }
        var roots: Set<BlockDigest> = [try root(130 * 4096, 4096, leaves)]
        roots.insert(try root(130 * 4096 - 1, 4096, leaves))
        roots.insert(try root(130 * 8192, 8192, leaves))
        for index in leaves.indices {
            var changed = leaves
            changed[index] = generator.digest()
            roots.insert(try root(130 * 4096, 4096, changed))
            changed = leaves
            changed.swapAt(index, (index + 1) % leaves.count)
            roots.insert(try root(130 * 4096, 4096, changed))
        }
        #expect(roots.count == 3 + 2 * leaves.count)
    }

    @Test("A root before the last digest is a mistake in the program")
    func tooFew() async {
        await #expect(processExitsWith: .failure) {
            var tree = try DigestTreeBuilder(virtualSize: 8192, blockSize: 4096)
            tree.append(zeroBlocks: 1)
            _ = tree.root()
        }
    }

    @Test("So is a digest after the last block")
    func tooMany() async {
        await #expect(processExitsWith: .failure) {
            var tree = try DigestTreeBuilder(virtualSize: 8192, blockSize: 4096)
            tree.append(zeroBlocks: 3)
        }
    }
}

extension BlockDigest {
    /// The digest as it is stored.
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableRawSpan { encode(into: &$0, at: 0) }
        return bytes
    }
}
