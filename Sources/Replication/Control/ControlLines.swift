internal import Storage

/// Takes a stream of bytes apart into lines, without their line feeds.
///
/// It holds no more than one line that is not complete, and the bytes that came with its end.
package struct ControlLines: Sendable {
    /// A line is longer than it may be; nothing behind it can be understood.
    package struct TooLong: Error, Equatable {
        package var limit: Int
    }

    package let limit: Int
    private var bytes: [UInt8] = []
    /// Up to here there is no line feed.
    private var searched = 0
    private var isTooLong = false

    package init(limit: Int) {
        self.limit = limit
    }

    /// What has come and is not a whole line.
    package var byteCount: Int { bytes.count }

    package mutating func append(_ new: RawSpan) {
        guard !isTooLong else { return }
        bytes.append(new)
    }

    /// The next line; nil where it is not complete.
    package mutating func next() throws(TooLong) -> [UInt8]? {
        guard !isTooLong else { throw TooLong(limit: limit) }
        guard let end = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = bytes.count
            guard bytes.count <= limit else { throw tooLong() }
            return nil
        }
        guard end <= limit else { throw tooLong() }
        let line = Array(bytes[..<end])
        bytes.removeFirst(end + 1)
        searched = 0
        return line
    }

    private mutating func tooLong() -> TooLong {
        isTooLong = true
        bytes = []
        searched = 0
        return TooLong(limit: limit)
    }
}
