package import Storage

extension MemoryFile {
    /// Writes the content to a new file, with its holes.
    package func save(to path: String) throws(FileError) {
        let saved = try DiskFile(creating: path)
        let content = content
        try saved.setByteCount(content.byteCount)
        var position: UInt64 = 0
        while let range = content.nextData(from: position, limit: content.byteCount) {
            var bytes = [UInt8](repeating: 0, count: Int(range.byteCount))
            bytes.withMutableRawSpan { span in _ = content.read(into: &span, at: range.lowerBound) }
            try saved.write(bytes.rawSpan, at: range.lowerBound)
            position = range.upperBound
        }
    }
}
