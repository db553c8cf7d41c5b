package import Storage

extension MemoryFile {
    /// Writes the file to a path where nothing is, with its holes.
    package func save(to path: String) throws(FileError) {
        let file = try DiskFile(creating: path)
        let content = content
        try file.setByteCount(content.byteCount)
        var position: UInt64 = 0
        while let range = content.nextData(from: position, limit: content.byteCount) {
            let bytes = peek(at: range.lowerBound, count: Int(range.byteCount))
            try file.write(bytes.rawSpan, at: range.lowerBound)
            position = range.upperBound
        }
    }
}
