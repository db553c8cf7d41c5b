internal import Storage

/// What leads to everything else in an image: the header that counts, and what the log that it names
/// puts over the file.
struct ImageStart: Sendable {
    var header: CurrentHeader
    /// The log that must be replayed; nil where it is empty.
    var sequence: LogSequence?
    var overlay = LogOverlay()

    /// Reads and checks the identifier, the headers and the log.
    init(of file: borrowing some RandomAccessFile & ~Copyable) throws(VHDXError) {
        header = try ImageLayout.readHeader(from: file)
        sequence = try LogSequence.active(in: file, header: header)
        if let sequence { overlay = try LogOverlay(replaying: sequence, in: file) }
    }
}
