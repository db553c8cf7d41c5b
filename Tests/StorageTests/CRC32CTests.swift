import Storage
import TestSupport
import Testing

@Suite("CRC-32C")
struct CRC32CTests {
    private static let vectors: [(name: String, bytes: [UInt8], checksum: UInt32)] = [
        ("nothing", [], 0),
        ("123456789", Array("123456789".utf8), 0xE306_9283),
        ("32 zeros", [UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ("32 × FF", [UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ("00…1F", Array(0..<32), 0x46DD_794E),
        ("4096 zeros", [UInt8](repeating: 0, count: 4096), 0x98F9_4189),
        ("65536 zeros", [UInt8](repeating: 0, count: 65536), 0x72C0_C4A4),
    ]

    private func portable(_ bytes: [UInt8]) -> UInt32 {
        var checksum = CRC32C()
        checksum.updatePortably(bytes.rawSpan)
        return checksum.value
    }

    @Test("Published values, by the processor and by table")
    func vectors() {
        for vector in Self.vectors {
            #expect(
                CRC32C.checksum(of: vector.bytes.rawSpan) == vector.checksum, "\(vector.name)")
            #expect(portable(vector.bytes) == vector.checksum, "\(vector.name), by table")
        }
    }

    @Test("Both ways agree for every length and alignment around a word")
    func agreement() {
        var generator = SeededGenerator(seed: 3)
        let bytes = generator.bytes(count: 80)
        for start in 0..<9 {
            for count in 0..<70 {
                let part = Array(bytes[start..<(start + count)])
                #expect(
                    CRC32C.checksum(of: bytes.rawSpan.extracting(start..<(start + count)))
                        == portable(part), "\(count) bytes at \(start)")
            }
        }
    }

    @Test("Pieces give what the whole gives, wherever it is cut")
    func pieces() {
        var generator = SeededGenerator(seed: 4)
        let bytes = generator.bytes(count: 100)
        let whole = CRC32C.checksum(of: bytes.rawSpan)
        for cut in 0...100 {
            var checksum = CRC32C()
            checksum.update(bytes.rawSpan.extracting(0..<cut))
            checksum.updatePortably(bytes.rawSpan.extracting(cut..<100))
            #expect(checksum.value == whole, "cut at \(cut)")
        }
    }

    @Test("A structure's own checksum field counts as zero")
    func ownField() {
        var generator = SeededGenerator(seed: 5)
        var bytes = generator.bytes(count: 64)
        for field in [0, 4, 60] {
            var zeroed = bytes
            zeroed.replaceSubrange(field..<(field + 4), with: [0, 0, 0, 0])
            let expected = portable(zeroed)
            #expect(CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: field) == expected)
            bytes[field] ^= 0xFF
            #expect(CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: field) == expected)
        }
    }

    @Test("One changed bit is always seen")
    func singleBits() {
        let bytes = [UInt8](repeating: 0x5A, count: 128)
        let checksum = CRC32C.checksum(of: bytes.rawSpan)
        for bit in 0..<1024 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(CRC32C.checksum(of: damaged.rawSpan) != checksum, "bit \(bit)")
        }
    }
}
