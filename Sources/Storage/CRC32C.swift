internal import CSystem

/// CRC-32C (Castagnoli), the checksum of VHDX headers, region tables and log entries.
///
/// [MS-VHDX] 2.2.2, 2.2.3.1 and 2.3.1.1. "123456789" gives e3069283.
public struct CRC32C: Sendable {
    private var state: UInt32 = .max

    /// The checksum of no bytes.
    public init() {}

    /// The checksum of everything that was added.
    public var value: UInt32 { ~state }

    /// Adds bytes at the end.
    public mutating func update(_ bytes: RawSpan) {
        if csystem_has_crc32c() != 0 {
            // Safe: the call reads the bytes of the span, and nothing else.
            state = unsafe bytes.withUnsafeBytes { buffer in
                unsafe csystem_crc32c(state, buffer.baseAddress, buffer.count)
            }
        } else {
            updatePortably(bytes)
        }
    }

    /// Adds bytes by table, for processors without the instruction and as its oracle in tests.
    public mutating func updatePortably(_ bytes: RawSpan) {
        for index in 0..<bytes.byteCount {
            let byte = bytes.load(UInt8.self, at: index)
            state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ (state >> 8)
        }
    }

    /// The checksum of some bytes.
    public static func checksum(of bytes: RawSpan) -> UInt32 {
        var checksum = CRC32C()
        checksum.update(bytes)
        return checksum.value
    }

    /// The checksum of a structure whose own checksum field, four bytes at `field`, counts as zero.
    public static func checksum(of bytes: RawSpan, withoutFieldAt field: Int) -> UInt32 {
        let zeros: [UInt8] = [0, 0, 0, 0]
        var checksum = CRC32C()
        checksum.update(bytes.extracting(0..<field))
        checksum.update(zeros.rawSpan)
        checksum.update(bytes.extracting((field + 4)..<bytes.byteCount))
        return checksum.value
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            (value >> 1) ^ (value & 1 == 1 ? 0x82F6_3B78 : 0)
        }
    }
}
