internal import Storage

/// A file that is read from its start to its end in large pieces, whatever the pieces asked for.
///
/// Memory: one piece of 256 KiB. What is as long or longer is read straight to where it is wanted.
struct SequentialInput<File: RandomAccessFile & ~Copyable>: ~Copyable {
    let file: File
    let path: String
    /// The size when it was opened. What is appended later is not seen.
    let byteCount: UInt64

    private var buffer: [UInt8] = []
    /// Where the buffer's bytes stand in the file.
    private var bufferStart: UInt64 = 0

    private static var pieceByteCount: Int { 256 << 10 }

    init(_ file: consuming File) throws(ResyncError) {
        path = file.name
        do throws(FileError) {
            byteCount = try file.byteCount()
        } catch {
            throw .file(error)
        }
        self.file = file
    }

    /// Forgets what was read, so that the file is asked again.
    mutating func rewind() {
        buffer = []
        bufferStart = 0
    }

    /// Fills the target with the bytes at an offset; sequential offsets are fast.
    ///
    /// - Precondition: they lie within ``byteCount``.
    mutating func read(into target: inout MutableRawSpan, at offset: UInt64) throws(ResyncError) {
        precondition(offset <= byteCount && UInt64(target.byteCount) <= byteCount - offset)
        var done = 0
        while done < target.byteCount {
            let position = offset + UInt64(done)
            let remaining = target.byteCount - done
            let skipped = position >= bufferStart ? position - bufferStart : .max
            if skipped < UInt64(buffer.count) {
                let start = Int(skipped)
                let count = min(remaining, buffer.count - start)
                target.copy(buffer.rawSpan.extracting(start..<(start + count)), at: done)
                done += count
            } else if remaining >= Self.pieceByteCount {
                var rest = target.part(done..<target.byteCount)
                try read(directlyInto: &rest, at: position)
                done = target.byteCount
            } else {
                try fillBuffer(from: position)
            }
        }
    }

    /// Bytes at an offset.
    ///
    /// - Precondition: as for ``read(into:at:)``.
    mutating func bytes(at offset: UInt64, count: Int) throws(ResyncError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withMutableRawSpan { (span) throws(ResyncError) in
            try read(into: &span, at: offset)
        }
        return bytes
    }

    private mutating func fillBuffer(from position: UInt64) throws(ResyncError) {
        let count = Int(min(UInt64(Self.pieceByteCount), byteCount - position))
        buffer = []
        do throws(FileError) {
            buffer = try file.bytes(at: position, count: count)
        } catch {
            throw .file(error)
        }
        bufferStart = position
    }

    private func read(
        directlyInto target: inout MutableRawSpan, at position: UInt64
    ) throws(ResyncError) {
        do throws(FileError) {
            try file.read(into: &target, at: position)
        } catch {
            throw .file(error)
        }
    }
}
