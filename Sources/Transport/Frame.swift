internal import Storage

/// What is sent as one piece.
///
///     offset  size  field
///          0     4  length     bytes of the payload
///          4     1  kind       what the payload is; 0 is a sign of life without one
///          5     n  payload
///      5 + n     4  checksum   CRC-32C of all before it
///
/// Integers are little-endian.
public struct Frame: Equatable, Sendable {
    /// The kind of a frame that only says that its sender is alive. Channels make and eat these.
    public static let keepAliveKind: UInt8 = 0
    static let headerByteCount = 5
    static let checksumByteCount = 4
    /// What a frame takes beside its payload.
    public static let overheadByteCount = headerByteCount + checksumByteCount

    public var kind: UInt8
    public var payload: [UInt8]

    /// - Precondition: the length of the payload fits into 32 bits.
    public init(kind: UInt8, payload: [UInt8] = []) {
        precondition(payload.count <= Int(UInt32.max))
        self.kind = kind
        self.payload = payload
    }

    static let keepAlive = Frame(kind: keepAliveKind)

    /// The size of the whole.
    public var byteCount: Int { payload.count + Self.overheadByteCount }

    /// The bytes in front of the payload.
    var header: [UInt8] {
        let length = UInt32(payload.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + [kind]
    }

    /// The bytes behind the payload.
    static func trailer(_ checksum: CRC32C) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: checksum.value >> ($0 * 8)) }
    }

    /// All its bytes.
    public func encoded() -> [UInt8] {
        var bytes = header
        bytes.reserveCapacity(byteCount)
        bytes += payload
        var checksum = CRC32C()
        checksum.update(bytes.rawSpan)
        return bytes + Self.trailer(checksum)
    }
}
