package import Foundation
internal import Storage
internal import VHDX

/// Two images in a folder of their own: a primary with some data, and a replica that differs.
package struct DiskPair {
    package let folder: TemporaryFolder
    package let primary: String
    package let replica: String

    /// Where the journal of the replica stands.
    package var journal: String { replica + ".resync" }

    /// Bytes of data that the primary holds, in runs of 1 MiB with as much space between them.
    package let dataByteCount: Int

    /// The replica holds the first run only. Random data cannot be compressed.
    package init(
        dataByteCount: Int = 16 << 20, virtualSize: UInt64 = 6 << 30, isRandom: Bool = false
    ) throws {
        folder = try TemporaryFolder()
        primary = folder.file("primary.vhdx")
        replica = folder.file("replica.vhdx")
        self.dataByteCount = dataByteCount
        try Self.make(
            primary, virtualSize: virtualSize, runs: dataByteCount >> 20,
            isRandom: isRandom)
        try Self.make(replica, virtualSize: virtualSize, runs: 1, isRandom: isRandom)
    }

    private static func make(
        _ path: String, virtualSize: UInt64, runs: Int, isRandom: Bool
    ) throws {
        var generator = SeededGenerator(seed: 1)
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = 1 << 20
        try ImageCreation.create(specification, at: path)
        let writer = try ImageWriter(openingImageAt: path)
        for run in 0..<runs {
            // A number in each sector makes every block another one.
            var bytes = [UInt8](repeating: 0xA5, count: 1 << 20)
            bytes.withMutableRawSpan { span in
                for offset in stride(from: 0, to: span.byteCount, by: isRandom ? 8 : 512) {
                    span.store(isRandom ? generator.next() : UInt64(run << 20 + offset), at: offset)
                }
            }
            try writer.write(bytes.rawSpan, at: UInt64(run) << 21)
        }
        try writer.close()
    }

    /// The bytes of a file.
    package static func bytes(of path: String) throws -> Data {
        try Data(contentsOf: URL(filePath: path))
    }

    /// Whether the replica now reads as the primary, and is an image that QEMU finds no fault with.
    package func replicaIsCurrent() throws -> Bool {
        try QEMU.img(["check", replica]).requireSuccess()
        return try QEMU.img(["compare", primary, replica]).isSuccess
    }
}
