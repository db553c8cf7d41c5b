internal import Storage

/// The fields of a message, in order: written to bytes, or read from bytes that somebody sent.
struct FieldWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger & BitwiseCopyable) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: value.bitWidth / 8))
        bytes.withMutableRawSpan { $0.store(value, at: start) }
    }

    mutating func append(_ guid: GUID) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: GUID.byteCount))
        bytes.withMutableRawSpan { guid.encode(into: &$0, at: start) }
    }

    mutating func append(_ digest: BlockDigest) {
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: BlockDigest.byteCount))
        bytes.withMutableRawSpan { digest.encode(into: &$0, at: start) }
    }

    mutating func append(_ state: DiskState) {
        append(state.virtualDiskID)
        append(state.dataWriteGUID)
        append(state.fileState)
    }

    mutating func append(_ more: [UInt8]) { bytes += more }

    mutating func append(zeros count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: count))
    }

    /// A length of two bytes, and so many bytes of UTF-8: whole characters of the text, as many as fit.
    mutating func append(_ text: String, atMost limit: Int) {
        var text = text
        while text.utf8.count > limit { text.removeLast() }
        append(UInt16(text.utf8.count))
        bytes += Array(text.utf8)
    }
}

/// Reads fields from the bytes of a message, and believes nothing that they say.
struct FieldReader: ~Copyable {
    private let bytes: [UInt8]
    private let name: Message.Kind
    private(set) var position = 0

    init(_ bytes: [UInt8], of kind: Message.Kind) {
        self.bytes = bytes
        name = kind
    }

    var remainingCount: Int { bytes.count - position }

    func violation(_ what: String) -> ResyncError {
        .protocolViolation("\(what) in a message of kind \(name)")
    }

    mutating func next<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type
    ) throws(ResyncError) -> T {
        let start = try advance(by: T.bitWidth / 8)
        return bytes.rawSpan.load(type, at: start)
    }

    mutating func next(_ count: Int) throws(ResyncError) -> [UInt8] {
        let start = try advance(by: count)
        return Array(bytes[start..<start + count])
    }

    mutating func nextGUID() throws(ResyncError) -> GUID {
        let start = try advance(by: GUID.byteCount)
        return GUID(decoding: bytes.rawSpan, at: start)
    }

    mutating func nextDigest() throws(ResyncError) -> BlockDigest {
        let start = try advance(by: BlockDigest.byteCount)
        return BlockDigest(decoding: bytes.rawSpan, at: start)
    }

    mutating func nextState() throws(ResyncError) -> DiskState {
        DiskState(
            virtualDiskID: try nextGUID(), dataWriteGUID: try nextGUID(),
            fileState: try nextDigest())
    }

    mutating func nextFlag() throws(ResyncError) -> Bool {
        switch try next(UInt8.self) {
        case 0: return false
        case 1: return true
        case let value: throw violation("a flag of \(value)")
        }
    }

    /// Passes bytes that must be zeros.
    mutating func skipZeros(_ count: Int) throws(ResyncError) {
        let start = try advance(by: count)
        guard bytes[start..<start + count].allSatisfy({ $0 == 0 }) else {
            throw violation("reserved bytes that are not zeros")
        }
    }

    mutating func nextText(atMost limit: Int) throws(ResyncError) -> String {
        let count = Int(try next(UInt16.self))
        guard count <= limit else { throw violation("a text of \(count) bytes") }
        let start = try advance(by: count)
        guard let text = String(validating: bytes[start..<start + count], as: UTF8.self) else {
            throw violation("a text that is no UTF-8")
        }
        return text
    }

    /// The message must end here.
    func end() throws(ResyncError) {
        guard remainingCount == 0 else { throw violation("\(remainingCount) bytes too many") }
    }

    private mutating func advance(by count: Int) throws(ResyncError) -> Int {
        guard count <= remainingCount else {
            throw violation("\(bytes.count) bytes, which are too few,")
        }
        position += count
        return position - count
    }
}
