package import Foundation
internal import Storage
internal import VHDX

/// Two images as large as a file can be on most systems, which read as zeros: comparing them takes a
/// second or more, and reads nothing but their tables. A test can act meanwhile.
///
/// Each window has a block that the file has a place for, which is a hole, so that none can be passed
/// unseen.
package struct LongPair {
    package let folder: TemporaryFolder
    package let primary: String
    package let replica: String

    package static let virtualSize: UInt64 = 15 << 40
    /// That of a window.
    private static let blockSize: UInt64 = 256 << 20
    /// Payload blocks in front of the entry of a sector bitmap.
    private static let chunkRatio: UInt64 = 16

    package init() throws {
        folder = try TemporaryFolder()
        primary = folder.file("primary.vhdx")
        replica = folder.file("replica.vhdx")
        for path in [primary, replica] { try Self.make(path) }
    }

    /// All bytes of the replica's file that are not a hole, and a little more.
    package func replicaBytes() throws -> Data {
        let file = try FileHandle(forReadingFrom: URL(filePath: replica))
        return try file.read(upToCount: 32 << 20) ?? Data()
    }

    private static func make(_ path: String) throws {
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = blockSize
        try ImageCreation.create(specification, at: path)
        let file = try DiskFile(opening: path, for: .writing)
        let blockCount = virtualSize / blockSize
        var table = [UInt8](repeating: 0, count: Int(blockCount + blockCount / chunkRatio) * 8)
        // The table is what a new image ends with.
        let contentStart = try file.byteCount()
        let tableByteCount = UInt64(table.count).dividedRoundingUp(by: 1 << 20) << 20
        var place = contentStart
        table.withMutableRawSpan { table in
            for block in 0..<blockCount {
                let fullyPresent: UInt64 = 6
                table.store(place | fullyPresent, at: Int(block + block / chunkRatio) * 8)
                place += blockSize
            }
        }
        try file.write(table.rawSpan, at: contentStart - tableByteCount)
        try file.setByteCount(place)
    }
}
