import Storage
import TestSupport

@testable import Resync

/// A disk of which nothing is there but the digests of its blocks: a number for each, 0 for zeros.
struct ModelDisk {
    let geometry: RemoteGeometry
    let zeros: ZeroDigests
    /// Of the blocks of each window that holds more than zeros.
    var windows: [UInt64: [UInt64]] = [:]

    init(virtualSize: UInt64, blockSize: Int) throws {
        geometry = RemoteGeometry(virtualSize: virtualSize, blockSize: blockSize)
        zeros = try ZeroDigests(virtualSize: virtualSize, blockSize: blockSize)
    }

    func number(of block: UInt64) -> UInt64 {
        let window = block / geometry.blocksPerWindow
        return windows[window]?[Int(block - window * geometry.blocksPerWindow)] ?? 0
    }

    mutating func set(_ block: UInt64, to number: UInt64) {
        let window = block / geometry.blocksPerWindow
        let count = geometry.blocks(in: window).count
        windows[window, default: Array(repeating: 0, count: count)][
            Int(block - window * geometry.blocksPerWindow)] = number
    }

    mutating func fill(_ window: UInt64, with number: UInt64) {
        windows[window] = Array(repeating: number, count: geometry.blocks(in: window).count)
    }

    static func digest(_ number: UInt64, of block: UInt64) -> BlockDigest {
        var bytes = [UInt8](repeating: 0, count: BlockDigest.byteCount)
        bytes.withMutableRawSpan { span in
            span.store(number, at: 0)
            span.store(block, at: 8)
        }
        return BlockDigest(decoding: bytes.rawSpan, at: 0)
    }

    func digest(of block: UInt64) -> BlockDigest {
        let number = number(of: block)
        return number == 0 ? zeros.digest(ofBlock: block) : Self.digest(number, of: block)
    }

    /// What hashing a window finds.
    func run(_ window: UInt64) -> DigestRun {
        let blocks = geometry.blocks(in: window)
        guard let numbers = windows[window] else { return .zeros(UInt64(blocks.count)) }
        return .digests(
            zip(blocks, numbers).map { block, number in
                number == 0 ? zeros.digest(ofBlock: block) : Self.digest(number, of: block)
            })
    }

    /// The blocks that hold something else on another disk.
    func difference(from other: ModelDisk) -> Set<UInt64> {
        var found: Set<UInt64> = []
        for window in Set(windows.keys).union(other.windows.keys) {
            found.formUnion(
                geometry.blocks(in: window).filter { number(of: $0) != other.number(of: $0) })
        }
        return found
    }

    func root() throws -> BlockDigest {
        var tree = try DigestTreeBuilder(
            virtualSize: geometry.virtualSize, blockSize: geometry.blockSize)
        for window in 0..<geometry.windowCount {
            switch run(window) {
            case .zeros(let count): tree.append(zeroBlocks: count)
            case .digests(let digests): tree.append(digests)
            }
        }
        return tree.root()
    }

    /// Two disks of which windows are equal, zeros on either side, or differ in some or all blocks.
    /// About so many windows hold more than zeros.
    static func pair(
        virtualSize: UInt64, blockSize: Int, dataWindowCount: Int,
        using generator: inout SeededGenerator
    ) throws -> (primary: ModelDisk, replica: ModelDisk) {
        var primary = try ModelDisk(virtualSize: virtualSize, blockSize: blockSize)
        var replica = primary
        let windowCount = primary.geometry.windowCount
        guard windowCount > 0 else { return (primary, replica) }
        for index in 0..<dataWindowCount {
            let window =
                index == 0
                ? windowCount - 1 : UInt64.random(in: 0..<windowCount, using: &generator)
            let blocks = primary.geometry.blocks(in: window)
            primary.windows[window] = nil
            replica.windows[window] = nil
            let kind = generator.next() % 8
            if kind != 0 { primary.fill(window, with: 1) }
            if kind != 1 { replica.fill(window, with: kind == 2 ? 2 : 1) }
            guard kind < 6 else { continue }
            for _ in 0..<generator.next() % 5 {
                let block = UInt64.random(in: blocks, using: &generator)
                if generator.next() % 2 == 0 {
                    primary.set(block, to: generator.next() % 4)
                } else {
                    replica.set(block, to: generator.next() % 4)
                }
            }
        }
        return (primary, replica)
    }
}
