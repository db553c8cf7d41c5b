internal import BlockIO
internal import Foundation
internal import Storage
internal import VHDX

/// The disks of a machine in a folder, with replicas that differ: images of 6 GiB, mostly of holes, with
/// content past 4 GiB.
package struct MachinePairs: Sendable {
    package let folder: String
    package let count: Int
    /// The replicas' files as they were made.
    private let old: [Data]

    private static let virtualSize: UInt64 = 6 << 30

    package init(in folder: String, count: Int = 3) throws {
        self.folder = folder
        self.count = count
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        var old: [Data] = []
        for index in 0..<count {
            let paths = ["primary", "replica"].map { folder + "/\(index)-\($0).vhdx" }
            let seed = UInt64(index) << 32
            try Self.make(
                paths[0],
                [(0, 1 << 20, seed), (3 << 20, 1 << 19, seed | 1), (5 << 30, 65536, seed | 2)])
            try Self.make(paths[1], [(0, 1 << 20, seed), (8 << 20, 1 << 18, seed | 3)])
            old.append(try Data(contentsOf: URL(filePath: paths[1])))
        }
        self.old = old
    }

    private static func make(
        _ path: String, _ runs: [(offset: UInt64, byteCount: Int, seed: UInt64)]
    ) throws {
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = 1 << 20
        try ImageCreation.create(specification, at: path)
        let writer = try ImageWriter(openingImageAt: path)
        for run in runs {
            var generator = SeededGenerator(seed: run.seed)
            var bytes = [UInt8](repeating: 0, count: run.byteCount)
            bytes.withMutableRawSpan { span in
                for offset in stride(from: 0, to: span.byteCount, by: 8) {
                    span.store(generator.next(), at: offset)
                }
            }
            try writer.write(bytes.rawSpan, at: run.offset)
        }
        try writer.close()
    }

    package func primary(_ index: Int) -> String { folder + "/\(index)-primary.vhdx" }
    package func replica(_ index: Int) -> String { folder + "/\(index)-replica.vhdx" }
    package func journal(_ index: Int) -> String { replica(index) + ".resync" }

    /// Puts all replicas back as they were made, and takes journals away.
    package func reset() throws {
        for index in 0..<count {
            try old[index].write(to: URL(filePath: replica(index)))
            try? FileManager.default.removeItem(atPath: journal(index))
        }
    }

    // MARK: What is so

    /// Whether the replica's file is to the byte what it was.
    package func isOld(_ index: Int) throws -> Bool {
        try Data(contentsOf: URL(filePath: replica(index))) == old[index]
    }

    /// Whether the replica opens, and reads as the primary.
    package func isNew(_ index: Int) throws -> Bool {
        let replica: ImageReader<DiskFile>
        do {
            replica = try ImageReader(openingImageAt: self.replica(index))
        } catch VHDXError.unfinishedApply {
            return false
        }
        let primary = try ImageReader(openingImageAt: primary(index))
        for start in stride(from: 0, to: Self.virtualSize, by: 64 << 20) {
            let range = start..<start + 64 << 20
            let extents = try primary.extents(in: range) + replica.extents(in: range)
            for extent in extents where extent.state == .data {
                let bytes = try [primary.read(extent.range), replica.read(extent.range)]
                guard bytes[0] == bytes[1] else { return false }
            }
        }
        return true
    }

    package var areOld: Bool {
        get throws { try (0..<count).allSatisfy { try isOld($0) } }
    }

    package var areNew: Bool {
        get throws { try (0..<count).allSatisfy { try isNew($0) } }
    }

    package var hasJournals: Bool {
        (0..<count).contains { FileManager.default.fileExists(atPath: journal($0)) }
    }

    /// Writes a sector of a disk, as somebody does who uses it.
    package func use(_ path: String) throws {
        let writer = try ImageWriter(openingImageAt: path)
        try writer.write([UInt8](repeating: 0xEE, count: 512).rawSpan, at: 1 << 30)
        try writer.close()
    }
}

extension ImageReader<DiskFile> {
    fileprivate func read(_ range: Range<UInt64>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(range.upperBound - range.lowerBound))
        try bytes.withMutableRawSpan { (span) throws(VHDXError) in
            try read(into: &span, at: range.lowerBound)
        }
        return bytes
    }
}
