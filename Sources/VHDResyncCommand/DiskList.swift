internal import Replication
internal import Storage

/// A file that names pairs of disks: on each line a primary, spaces or tabs, and its replica. Names
/// may stand in quotes. Empty lines, and those that start with `#`, say nothing.
enum DiskList {
    /// Enough for a hundred thousand disks, and little memory.
    private static let longestFile: UInt64 = 16 << 20

    /// - Throws: ``UsageError`` with the file, and the line if it is one that is at fault.
    static func pairs(inFileAt path: String) throws(UsageError) -> [ResyncPair] {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try read(path)
        } catch {
            throw UsageError(code: ReturnCode(error), sentence: "\(error)")
        }
        guard bytes.count <= longestFile else {
            throw .invalid("\(path) is too long for a list of disks")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid("\(path) is no list of disks: it is not UTF-8")
        }
        return try pairs(in: text, of: path)
    }

    static func pairs(in text: String, of path: String) throws(UsageError) -> [ResyncPair] {
        var pairs: [ResyncPair] = []
        // A carriage return and a line feed are one character.
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            do throws(UsageError) {
                if let pair = try pair(in: String(line)) { pairs.append(pair) }
            } catch {
                throw UsageError(
                    code: error.code, sentence: "\(path), line \(index + 1): \(error.sentence)")
            }
        }
        guard !pairs.isEmpty else { throw .invalid("\(path) names no disks") }
        return pairs
    }

    private static func pair(in line: String) throws(UsageError) -> ResyncPair? {
        guard line.first(where: { $0 != " " && $0 != "\t" }) != "#" else { return nil }
        guard let words = CommandWords.split(line) else {
            throw .invalid("a quote does not end")
        }
        guard !words.isEmpty else { return nil }
        guard words.count == 2 else {
            throw .invalid(
                "a primary and a replica are wanted, and it has "
                    + (words.count == 1 ? "one name" : "\(words.count) names")
                    + "; names with spaces stand in quotes")
        }
        return try ResyncPair(primary: words[0], replica: words[1])
    }

    private static func read(_ path: String) throws(FileError) -> [UInt8] {
        let file = try DiskFile(opening: path, for: .reading)
        let count = min(try file.byteCount(), longestFile + 1)
        return try file.bytes(at: 0, count: Int(count))
    }
}
