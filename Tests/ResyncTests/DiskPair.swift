import Storage
import TestSupport

/// A primary and a replica of one size, made from a seed: the shapes of their images are different,
/// and parts of the replica are stale, missing or left over.
struct DiskPair: Sendable {
    var primary: DiskContent
    var replica: DiskContent
    var primaryShape: DiskShape
    var replicaShape: DiskShape
    /// Payload blocks that are present for nothing.
    var primaryPresent: Set<UInt64> = []
    var replicaPresent: Set<UInt64> = []

    /// A disk of some mebibytes, mostly with a last block that is a partial one.
    init(using generator: inout SeededGenerator) {
        let sectorSizes: [UInt64] = [512, 4096]
        let blockSizes: [UInt64] = [1 << 20, 2 << 20, 8 << 20]
        var size = UInt64.random(in: 1...(7 << 20), using: &generator)
        let isAligned = generator.next() % 2 == 0
        size = size.dividedRoundingUp(by: isAligned ? 4096 : 512) * (isAligned ? 4096 : 512)
        func shape() -> DiskShape {
            DiskShape(
                virtualSize: size, blockSize: blockSizes.randomElement(using: &generator) ?? 0,
                sectorSize: isAligned ? sectorSizes.randomElement(using: &generator) ?? 0 : 512,
                isFixed: generator.next() % 4 == 0)
        }
        primaryShape = shape()
        replicaShape = shape()
        primary = DiskContent(byteCount: size)
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            primary.fill(Self.range(in: size, using: &generator), using: &generator)
        }
        replica = primary
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
            let range = Self.range(in: size, using: &generator)
            switch generator.next() % 4 {
            case 0: replica.clear(range)
            case 1: primary.clear(range)
            default: replica.fill(range, using: &generator)
            }
        }
        if generator.next() % 2 == 0 {
            primary.fill(size - 512..<size, using: &generator)
        }
        primaryPresent = [UInt64.random(in: 0..<primaryShape.blockCount, using: &generator)]
        replicaPresent = [UInt64.random(in: 0..<replicaShape.blockCount, using: &generator)]
    }

    /// Two disks that hold nothing.
    init(primary: DiskShape, replica: DiskShape) {
        primaryShape = primary
        replicaShape = replica
        self.primary = DiskContent(byteCount: primary.virtualSize)
        self.replica = DiskContent(byteCount: replica.virtualSize)
    }

    private static func range(
        in size: UInt64, using generator: inout SeededGenerator
    ) -> Range<UInt64> {
        let sector = UInt64.random(in: 0..<size / 512, using: &generator)
        let longest: UInt64 = [1, 16, 200, 3000].randomElement(using: &generator) ?? 1
        let end = min(sector + UInt64.random(in: 1...longest, using: &generator), size / 512)
        return sector * 512..<end * 512
    }

    func images(using generator: inout SeededGenerator) -> (
        primary: MemoryFile, replica: MemoryFile
    ) {
        (
            primaryShape.image(holding: primary, alsoPresent: primaryPresent, using: &generator),
            replicaShape.image(holding: replica, alsoPresent: replicaPresent, using: &generator)
        )
    }
}
