/// A place in a text, as an editor shows it.
public struct TextPosition: Hashable, Sendable {
    /// From 1. A line ends with a line feed, with a carriage return, or with both.
    public var line: Int
    /// From 1, in Unicode scalars; a tab is one.
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// Where the lines of a text start.
struct TextLines: Sendable {
    private let bytes: [UInt8]
    private let starts: [Int]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        for (offset, byte) in bytes.enumerated() {
            let isInPair =
                byte == UInt8(ascii: "\r") && offset + 1 < bytes.count
                && bytes[offset + 1] == UInt8(ascii: "\n")
            let endsLine = byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
            if endsLine && !isInPair { starts.append(offset + 1) }
        }
        self.starts = starts
    }

    /// The place of a byte, or the one behind the last byte.
    func position(ofByteAt offset: Int) -> TextPosition {
        precondition((0...bytes.count).contains(offset))
        var low = 0
        var high = starts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        // Bytes of the form 10xxxxxx continue a scalar.
        let scalarCount = bytes[starts[low]..<offset].count { $0 & 0xC0 != 0x80 }
        return TextPosition(line: low + 1, column: scalarCount + 1)
    }
}
