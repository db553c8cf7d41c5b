internal import Storage

/// Takes frames from bytes as they come, in pieces of any size, without input or output.
///
/// Nothing that the bytes say makes it use more memory than has arrived and one step more.
public struct FrameDecoder: Sendable {
    private let peerName: String
    private let maximumPayload: @Sendable (UInt8) -> Int?
    private var header: [UInt8] = []
    private var payload: [UInt8] = []
    private var length = 0
    private var trailer: [UInt8] = []
    private var checksum = CRC32C()
    /// The failure that ended it: after one nothing can be told apart any more.
    private var failure: TransportError?

    /// By how much memory grows at least, and at most.
    private static let smallestGrowth = 1 << 20
    private static let largestGrowth = 4 << 20

    /// - Parameters:
    ///   - peerName: what errors call who made the bytes.
    ///   - maximumPayload: the limit for the payload of a kind; nil for a kind that there is none
    ///     of.
    public init(peerName: String, maximumPayload: @escaping @Sendable (UInt8) -> Int?) {
        self.peerName = peerName
        self.maximumPayload = maximumPayload
    }

    /// Whether a frame has begun and not ended.
    public var isInsideFrame: Bool { !header.isEmpty }

    /// For how many bytes of the payload there is room.
    package var reservedByteCount: Int { payload.capacity }

    /// Takes bytes up to the end of a frame or to the end of the bytes.
    ///
    /// - Parameters:
    ///   - bytes: what has come, from the start or after what was taken.
    ///   - position: where to start in the bytes; moves to behind what was taken.
    /// - Returns: the frame that is complete now, or nil where more bytes are needed.
    /// - Throws: ``TransportError/invalidFrame(peer:what:)``, from then on each time.
    public mutating func next(
        from bytes: RawSpan, at position: inout Int
    ) throws(TransportError) -> Frame? {
        if let failure { throw failure }
        do throws(TransportError) {
            return try take(from: bytes, at: &position)
        } catch {
            failure = error
            payload = []
            throw error
        }
    }

    private mutating func take(
        from bytes: RawSpan, at position: inout Int
    ) throws(TransportError) -> Frame? {
        if header.count < Frame.headerByteCount {
            Self.move(Frame.headerByteCount, from: bytes, at: &position, to: &header)
            guard header.count == Frame.headerByteCount else { return nil }
            try begin()
        }
        while payload.count < length, position < bytes.byteCount { take(from: bytes, &position) }
        guard payload.count == length else { return nil }
        Self.move(Frame.checksumByteCount, from: bytes, at: &position, to: &trailer)
        guard trailer.count == Frame.checksumByteCount else { return nil }
        return try end()
    }

    private mutating func begin() throws(TransportError) {
        let header = header
        let claimed = header.rawSpan.load(UInt32.self, at: 0)
        let kind = header[4]
        guard let limit = kind == Frame.keepAliveKind ? 0 : maximumPayload(kind) else {
            throw invalid("its kind, \(kind), is unknown")
        }
        guard claimed <= limit else {
            throw invalid("\(claimed) bytes are too many for kind \(kind), which has \(limit)")
        }
        length = Int(claimed)
        checksum.update(header.rawSpan)
        payload.reserveCapacity(min(length, Self.smallestGrowth))
    }

    /// Takes as much of the payload as there is room for.
    private mutating func take(from bytes: RawSpan, _ position: inout Int) {
        if payload.count == payload.capacity {
            let growth = min(max(payload.count, Self.smallestGrowth), Self.largestGrowth)
            payload.reserveCapacity(min(length, payload.count + growth))
        }
        let room = min(length, payload.capacity) - payload.count
        let count = min(room, bytes.byteCount - position)
        let piece = bytes.extracting(position..<(position + count))
        checksum.update(piece)
        payload.append(piece)
        position += count
    }

    private mutating func end() throws(TransportError) -> Frame {
        let stored = trailer.rawSpan.load(UInt32.self, at: 0)
        guard stored == checksum.value else {
            throw invalid("its checksum is \(stored), its content has \(checksum.value)")
        }
        let kind = header[4]
        let content = payload
        header = []
        payload = []
        trailer = []
        length = 0
        checksum = CRC32C()
        return Frame(kind: kind, payload: content)
    }

    private static func move(
        _ count: Int, from bytes: RawSpan, at position: inout Int, to target: inout [UInt8]
    ) {
        let taken = min(count - target.count, bytes.byteCount - position)
        target.append(bytes.extracting(position..<(position + taken)))
        position += taken
    }

    func invalid(_ what: String) -> TransportError {
        .invalidFrame(peer: peerName, what: what)
    }
}
