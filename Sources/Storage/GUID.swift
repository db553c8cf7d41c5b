/// A 16-byte identifier, in the order in which it stands on disk.
///
/// The text form swaps the first three fields, as Microsoft's formats do ([MS-DTYP] 2.3.4).
public struct GUID: Hashable, Sendable, BitwiseCopyable {
    /// Bytes 0 to 7 as a little-endian number.
    private var low: UInt64
    /// Bytes 8 to 15 as a little-endian number.
    private var high: UInt64

    /// The size on disk.
    public static let byteCount = 16

    /// All bits zero: "none" wherever VHDX has a GUID that may be absent.
    public static let zero = GUID(low: 0, high: 0)

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Decodes the GUID at an offset.
    ///
    /// - Precondition: 16 bytes lie there.
    public init(decoding bytes: RawSpan, at offset: Int) {
        low = bytes.load(UInt64.self, at: offset)
        high = bytes.load(UInt64.self, at: offset + 8)
    }

    /// Encodes the GUID at an offset.
    ///
    /// - Precondition: there is room for 16 bytes.
    public func encode(into bytes: inout MutableRawSpan, at offset: Int) {
        bytes.store(low, at: offset)
        bytes.store(high, at: offset + 8)
    }

    /// A new random one, version 4 of RFC 9562.
    public static func random() -> GUID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// A new random one from a given source, so that tests repeat themselves.
    public static func random(using generator: inout some RandomNumberGenerator) -> GUID {
        // The version is the high nibble of the third field, the variant the top of byte 8.
        let low = generator.next() & 0x0FFF_FFFF_FFFF_FFFF | 0x4000_0000_0000_0000
        let high = generator.next() & ~0xC0 | 0x80
        return GUID(low: low, high: high)
    }

    private var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: low >> ($0 * 8)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: high >> ($0 * 8)) }
    }

    /// Where each byte of the text form stands on disk.
    private static let textOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
}

extension GUID: LosslessStringConvertible {
    /// Reads the text form, in either case, with or without braces.
    public init?(_ text: String) {
        var digits = Array(text.utf8)
        if digits.first == UInt8(ascii: "{"), digits.last == UInt8(ascii: "}") {
            digits = Array(digits.dropFirst().dropLast())
        }
        guard digits.count == 36 else { return nil }
        var values: [UInt8] = []
        for (index, digit) in digits.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard digit == UInt8(ascii: "-") else { return nil }
            } else {
                guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
                values.append(UInt8(value))
            }
        }
        var onDisk: [UInt8] = Array(repeating: 0, count: 16)
        for (index, place) in Self.textOrder.enumerated() {
            onDisk[place] = values[index * 2] << 4 | values[index * 2 + 1]
        }
        self.init(decoding: onDisk.rawSpan, at: 0)
    }

    /// The text form: lower case, with hyphens, without braces.
    public var description: String {
        let bytes = bytes
        var text = ""
        for (index, place) in Self.textOrder.enumerated() {
            if [4, 6, 8, 10].contains(index) { text += "-" }
            let byte = bytes[place]
            text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
        return text
    }
}
