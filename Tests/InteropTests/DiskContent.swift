internal import BlockIO
internal import Resync
internal import Storage
internal import VHDX

/// What a disk reads as through this project's own reader.
enum DiskContent {
    /// How much is read at once; a multiple of every sector size.
    private static let pieceByteCount: UInt64 = 1 << 20
    /// How much of a disk is asked for its extents at once.
    private static let windowByteCount: UInt64 = 1 << 30

    /// SHA-256 over the whole disk, in lower-case hexadecimal.
    ///
    /// Space that is absent is hashed like any other: a digest of 10 GiB takes some seconds.
    static func sha256(ofImageAt path: String) throws -> String {
        let reader = try ImageReader(openingImageAt: path)
        return try sha256(of: reader, in: 0..<reader.virtualSize)
    }

    private static func sha256(
        of reader: borrowing ImageReader<DiskFile>, in range: Range<UInt64>
    ) throws -> String {
        var context = try SHA256Context()
        let zeros = [UInt8](repeating: 0, count: Int(pieceByteCount))
        var buffer = zeros
        try forEachPiece(of: range, reader) { piece, isZero in
            let count = Int(piece.byteCount)
            if isZero {
                context.update(zeros.rawSpan.extracting(0..<count))
            } else {
                try read(reader, piece, into: &buffer)
                context.update(buffer.rawSpan.extracting(0..<count))
            }
        }
        return "\(context.finalize())"
    }

    /// SHA-256 over each of some ranges of a raw file, in lower-case hexadecimal.
    static func sha256(
        ofRawFileAt path: String, in ranges: [Range<UInt64>]
    ) throws -> [String] {
        let file = try DiskFile(opening: path, for: .reading)
        var buffer = [UInt8](repeating: 0, count: Int(pieceByteCount))
        return try ranges.map { range in
            var context = try SHA256Context()
            var position = range.lowerBound
            while position < range.upperBound {
                let count = Int(min(pieceByteCount, range.upperBound - position))
                try buffer.withMutableRawSpan { span in
                    var part = span.part(0..<count)
                    try file.read(into: &part, at: position)
                }
                context.update(buffer.rawSpan.extracting(0..<count))
                position += UInt64(count)
            }
            return "\(context.finalize())"
        }
    }

    /// The ranges of a disk that may hold something, by the word of the format.
    static func dataRanges(ofImageAt path: String) throws -> [Range<UInt64>] {
        let reader = try ImageReader(openingImageAt: path)
        var ranges: [Range<UInt64>] = []
        try forEachExtent(in: 0..<reader.virtualSize, reader) { extent in
            if extent.state == .data { ranges.append(extent.range) }
        }
        return ranges
    }

    /// SHA-256 over each of some ranges, which are in order, and the first piece outside them that
    /// holds a byte other than zero.
    static func inspect(
        imageAt path: String, dataIn ranges: [Range<UInt64>]
    ) throws -> (digests: [String], firstDataElsewhere: Range<UInt64>?) {
        let reader = try ImageReader(openingImageAt: path)
        var buffer = [UInt8](repeating: 0, count: Int(pieceByteCount))
        var position: UInt64 = 0
        var digests: [String] = []
        var found: Range<UInt64>?
        let end = reader.virtualSize
        for range in ranges + [end..<end] {
            try forEachPiece(of: position..<range.lowerBound, reader) { piece, isZero in
                guard !isZero, found == nil else { return }
                try read(reader, piece, into: &buffer)
                let holdsZeros = ZeroScan.isZero(
                    buffer.rawSpan.extracting(0..<Int(piece.byteCount)))
                if !holdsZeros { found = piece }
            }
            if !range.isEmpty { digests.append(try sha256(of: reader, in: range)) }
            position = range.upperBound
        }
        return (digests, found)
    }

    /// The first piece in which an image and a raw file differ; an empty one at the end where only
    /// their sizes do.
    static func firstDifference(
        ofImageAt path: String, fromRawFileAt rawPath: String
    ) throws -> Range<UInt64>? {
        let reader = try ImageReader(openingImageAt: path)
        let raw = try DiskFile(opening: rawPath, for: .reading)
        let size = reader.virtualSize
        guard try raw.byteCount() == size else { return size..<size }
        var buffer = [UInt8](repeating: 0, count: Int(pieceByteCount))
        var expected = buffer
        var found: Range<UInt64>?
        try forEachPiece(of: 0..<size, reader) { piece, isZero in
            guard found == nil else { return }
            let count = Int(piece.byteCount)
            let rawIsZero =
                try raw.nextData(from: piece.lowerBound, limit: piece.upperBound) == nil
            if isZero, rawIsZero { return }
            try read(reader, piece, into: &buffer)
            try expected.withMutableRawSpan { span in
                var part = span.part(0..<count)
                try raw.read(into: &part, at: piece.lowerBound)
            }
            let isEqual = ZeroScan.isEqual(
                buffer.rawSpan.extracting(0..<count), expected.rawSpan.extracting(0..<count))
            if !isEqual { found = piece }
        }
        return found
    }

    private static func read(
        _ reader: borrowing ImageReader<DiskFile>, _ range: Range<UInt64>,
        into buffer: inout [UInt8]
    ) throws {
        try buffer.withMutableRawSpan { (span) throws(VHDXError) in
            var part = span.part(0..<Int(range.byteCount))
            try reader.read(into: &part, at: range.lowerBound)
        }
    }

    private static func forEachExtent(
        in range: Range<UInt64>, _ reader: borrowing ImageReader<DiskFile>,
        _ body: (Extent) throws -> Void
    ) throws {
        var position = range.lowerBound
        while position < range.upperBound {
            let end = min(position + windowByteCount, range.upperBound)
            for extent in try reader.extents(in: position..<end) { try body(extent) }
            position = end
        }
    }

    private static func forEachPiece(
        of range: Range<UInt64>, _ reader: borrowing ImageReader<DiskFile>,
        _ body: (Range<UInt64>, _ isZero: Bool) throws -> Void
    ) throws {
        try forEachExtent(in: range, reader) { extent in
            var position = extent.range.lowerBound
            while position < extent.range.upperBound {
                let end = min(position + pieceByteCount, extent.range.upperBound)
                try body(position..<end, extent.state == .zero)
                position = end
            }
        }
    }
}

/// The bytes of a file, and which file it is and when it last changed.
struct FileState: Equatable {
    /// Nil where there is no file.
    let fingerprint: FileFingerprint?
    /// SHA-256 over the size and over each stretch of 64 KiB that is not zero, with its offset: one
    /// value for a file with holes and for its copy without them.
    let digest: BlockDigest

    init(ofFileAt path: String) throws {
        fingerprint = DiskFile.fingerprint(ofFileAt: path)
        let file = try DiskFile(opening: path, for: .reading)
        let size = try file.byteCount()
        var context = try SHA256Context()
        context.update(Self.encoded(size).rawSpan)
        let stretch: UInt64 = 65536
        var buffer = [UInt8](repeating: 0, count: Int(stretch))
        var position: UInt64 = 0
        while position < size, let data = try file.nextData(from: position, limit: size) {
            position = max(position, data.lowerBound.roundedDown(toMultipleOf: stretch))
            while position < data.upperBound {
                let count = Int(min(stretch, size - position))
                try buffer.withMutableRawSpan { span in
                    var part = span.part(0..<count)
                    try file.read(into: &part, at: position)
                }
                let bytes = buffer.rawSpan.extracting(0..<count)
                if !ZeroScan.isZero(bytes) {
                    context.update(Self.encoded(position).rawSpan)
                    context.update(bytes)
                }
                position += stretch
            }
        }
        digest = context.finalize()
    }

    private static func encoded(_ value: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.withMutableRawSpan { $0.store(value, at: 0) }
        return bytes
    }
}
