internal import BlockIO
internal import Foundation
internal import Resync
internal import Storage
internal import TestSupport
internal import VHDX

/// A primary, and a replica that differs from it in every way that matters: changed blocks, payload
/// blocks that are missing and others that became zeros, pieces of them, before and past 4 GiB.
///
/// The stale replica is only ever copied: each run gets one of its own.
final class StalePair: Sendable {
    /// A folder of its own: the primary's calls are told apart from the replica's by it.
    let folder: TemporaryFolder
    let primary: String
    /// The replica as it was before any run.
    let stale: String
    let oldContent: BlockDigest
    let newContent: BlockDigest

    private static let virtualSize: UInt64 = 4608 << 20
    private static let mebibyte: UInt64 = 1 << 20

    /// How much data the primary holds, by payload blocks of 1 MiB: one in so many is changed by
    /// 64 KiB, one in eight is not on the replica, and half as many are on the replica alone.
    init(blockCount: Int, changedOneIn period: Int = 5) throws {
        folder = try TemporaryFolder()
        primary = folder.file("primary.vhdx")
        stale = folder.file("stale.vhdx")
        var specification = ImageSpecification(virtualSize: Self.virtualSize)
        specification.blockSize = Self.mebibyte
        for path in [primary, stale] { try ImageCreation.create(specification, at: path) }
        let new = try ImageWriter(openingImageAt: primary)
        let old = try ImageWriter(openingImageAt: stale)
        var random = SeededGenerator(seed: 4)
        var content = random.bytes(count: Int(Self.mebibyte))
        for index in 0..<blockCount {
            // Half of the blocks lie past 4 GiB, with space between them.
            let start = (UInt64(index / 2) * 3 + UInt64(index % 2) * 4200) * Self.mebibyte
            Self.stamp(&content, with: index)
            try new.write(content.rawSpan, at: start)
            if index % 8 == 3 { continue }
            try old.write(content.rawSpan, at: start)
            let change = start + UInt64(index % 16) * 65536
            if index % period == 1 {
                Self.stamp(&content, with: index + blockCount)
                try old.write(content.rawSpan.extracting(0..<65536), at: change)
            }
            if index % 16 == 6 { try new.writeZeros(change..<change + 65536) }
            if index % 16 == 9 { try old.write(content.rawSpan, at: start + Self.mebibyte) }
        }
        try new.close()
        try old.close()
        newContent = try DiskContent.digestOfData(ofImageAt: primary)
        oldContent = try DiskContent.digestOfData(ofImageAt: stale)
    }

    /// Makes each sector another one.
    private static func stamp(_ content: inout [UInt8], with index: Int) {
        content.withMutableRawSpan { span in
            for offset in stride(from: 0, to: span.byteCount, by: 512) {
                span.store(UInt64(index << 20 + offset), at: offset)
            }
        }
    }

}

/// Copies of files that leave out their holes.
enum SparseCopy {
    static func make(of source: String, at path: String, isDurable: Bool = false) throws {
        try DiskFile.remove(path)
        let file = try DiskFile(opening: source, for: .reading)
        let copy = try DiskFile(creating: path)
        let size = try file.byteCount()
        try copy.setByteCount(size)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var position: UInt64 = 0
        while let data = try file.nextData(from: position, limit: size) {
            position = data.lowerBound
            while position < data.upperBound {
                let count = Int(min(UInt64(buffer.count), data.upperBound - position))
                try buffer.withMutableRawSpan { span in
                    var part = span.part(0..<count)
                    try file.read(into: &part, at: position)
                }
                try copy.write(buffer.rawSpan.extracting(0..<count), at: position)
                position += UInt64(count)
            }
        }
        guard isDurable else { return }
        try copy.flushCompletely()
        try Folder.flush(PathText.folder(of: path))
    }
}

extension DiskContent {
    /// One value for all images that read the same: over each piece that is not zero, with its place.
    static func digestOfData(ofImageAt path: String) throws -> BlockDigest {
        let reader = try ImageReader(openingImageAt: path)
        let piece: UInt64 = 1 << 20
        var all = try SHA256Context()
        var one = try SHA256Context()
        var buffer = [UInt8](repeating: 0, count: Int(piece))
        let zeros = one.digest(of: buffer.rawSpan)
        var position: UInt64 = 0
        for extent in try reader.extents(in: 0..<reader.virtualSize) where extent.state == .data {
            position = max(position, extent.range.lowerBound.roundedDown(toMultipleOf: piece))
            while position < extent.range.upperBound {
                let count = Int(min(piece, reader.virtualSize - position))
                try buffer.withMutableRawSpan { span in
                    var part = span.part(0..<count)
                    try reader.read(into: &part, at: position)
                }
                let digest = one.digest(of: buffer.rawSpan.extracting(0..<count))
                if digest != zeros {
                    var entry = [UInt8](repeating: 0, count: 8 + BlockDigest.byteCount)
                    entry.withMutableRawSpan { span in
                        span.store(position, at: 0)
                        digest.encode(into: &span, at: 8)
                    }
                    all.update(entry.rawSpan)
                }
                position += piece
            }
        }
        return all.finalize()
    }
}
