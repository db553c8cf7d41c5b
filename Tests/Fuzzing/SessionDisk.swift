internal import Resync
internal import Storage
internal import TestSupport

/// A disk of which nothing is there but the digests of its blocks: a number for each, 0 for zeros, made
/// up from a seed.
struct SessionDisk {
    let geometry: ModelGeometry
    private let seed: UInt64
    private let zeroShare: UInt8
    /// Whether it is the other one of a pair, which differs in some windows.
    private let isOther: Bool
    private let zeroLeaf: [UInt8]
    private let lastZeroLeaf: [UInt8]

    init(_ script: SessionScript, isOther: Bool = false) {
        geometry = ModelGeometry(
            virtualSize: script.virtualSize, blockSize: 1 << UInt64(script.blockShift))
        seed = script.diskSeed
        zeroShare = script.zeroShare
        self.isOther = isOther
        zeroLeaf = Self.leaf(ofZeros: Int(geometry.blockSize))
        let rest = Int(geometry.virtualSize % geometry.blockSize)
        lastZeroLeaf = rest == 0 ? zeroLeaf : Self.leaf(ofZeros: rest)
    }

    func digester(salt: [UInt8]) -> ModelDigester {
        let hasher = SHA256Hasher()
        return ModelDigester(
            geometry, zeroLeaf: zeroLeaf, lastZeroLeaf: lastZeroLeaf, salt: salt,
            sha256: hasher.digest)
    }

    private static let known = Lock<[Int: [UInt8]]>([:])

    private static func leaf(ofZeros byteCount: Int) -> [UInt8] {
        if let found = known.withLock({ $0[byteCount] }) { return found }
        let leaf = SHA256Hasher().digest([UInt8](repeating: 0, count: byteCount))
        known.withLock { $0[byteCount] = leaf }
        return leaf
    }

    // MARK: Content

    private func mixed(_ number: UInt64, _ purpose: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: seed ^ number &* 0xD1B5_4A32_D192_ED03 &+ purpose)
        return generator.next()
    }

    /// Whether a window holds nothing but zeros.
    func isZero(_ window: UInt64) -> Bool {
        let kind = mixed(window, 1)
        let isZero =
            zeroShare == 255 ? window % 2 == 0 : UInt8(truncatingIfNeeded: kind) < zeroShare
        guard isOther else { return isZero }
        return isZero ? kind >> 8 & 3 != 0 : kind >> 24 & 3 == 0 && kind >> 32 & 3 == 0
    }

    private func number(of block: UInt64) -> UInt64 {
        let window = block / geometry.blocksPerWindow
        guard !isZero(window) else { return 0 }
        let kind = mixed(window, 1)
        let blocks = geometry.blocks(in: window)
        let isFirst = block == blocks.lowerBound
        // Some windows have all kinds of blocks, some zeros behind their first one.
        let number: UInt64 =
            switch kind >> 16 & 3 {
            case 0 where !isFirst: mixed(block, 2) & 3
            case 1 where !isFirst: 0
            default: 1
            }
        guard isOther, kind >> 24 & 3 == 0 else { return number }
        if kind >> 32 & 3 == 1 { return 2 }
        return kind >> 40 % UInt64(blocks.count) == block - blocks.lowerBound ? number + 1 : number
    }

    /// The leaf of a block that holds this.
    func leaf(_ number: UInt64, of block: UInt64) -> [UInt8] {
        guard number > 0 else {
            return block == geometry.blockCount - 1 ? lastZeroLeaf : zeroLeaf
        }
        return ModelDigester.bytes(of: number) + ModelDigester.bytes(of: block)
            + [UInt8](repeating: 0, count: 16)
    }

    /// The leaves of some blocks, one behind the other.
    func leaves(of blocks: Range<UInt64>) -> [UInt8] {
        let size = ModelGeometry.leafByteCount
        var leaves = [UInt8](repeating: 0, count: blocks.count * size)
        for (index, block) in blocks.enumerated() {
            let number = number(of: block)
            if number == 0 {
                leaves.replaceSubrange(index * size..<(index + 1) * size, with: leaf(0, of: block))
            } else {
                leaves.put(number, at: index * size)
                leaves.put(block, at: index * size + 8)
            }
        }
        return leaves
    }

    /// The leaves of a window; nil where it holds nothing but zeros.
    func leaves(of window: UInt64) -> [UInt8]? {
        isZero(window) ? nil : leaves(of: geometry.blocks(in: window))
    }

    /// What hashing a window finds.
    func run(_ window: UInt64, _ leaves: [UInt8]?) -> DigestRun {
        guard let leaves else { return .zeros(UInt64(geometry.blocks(in: window).count)) }
        return .digests(
            stride(from: 0, to: leaves.count, by: 32).map {
                BlockDigest(decoding: leaves.rawSpan, at: $0)
            })
    }
}

/// SHA-256 with one context.
final class SHA256Hasher {
    private var context: SHA256Context?

    func digest(_ bytes: [UInt8]) -> [UInt8] {
        if context == nil { context = try? SHA256Context() }
        return context?.digest(of: bytes.rawSpan).bytes ?? []
    }

    /// The root digest of a disk, by docs/digest-tree.md alone.
    func root(_ leaves: [UInt8], _ geometry: ModelGeometry) -> [UInt8] {
        var digests = leaves
        var level: UInt64 = 0
        repeat {
            level += 1
            let head = Array("vhdresync node 1".utf8) + ModelDigester.bytes(of: level)
            digests = stride(from: 0, to: max(1, digests.count), by: 64 * 32).flatMap { start in
                digest(head + digests[start..<min(start + 64 * 32, digests.count)])
            }
        } while digests.count > 32
        return digest(
            Array("vhdresync root 1".utf8) + ModelDigester.bytes(of: geometry.virtualSize)
                + ModelDigester.bytes(of: geometry.blockSize).prefix(4) + digests)
    }
}
