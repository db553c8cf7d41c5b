import BlockIO
import Storage
import Testing

@Suite("Scans of content")
struct ZeroScanTests {
    /// Enough for any length below, at any alignment to a cache line.
    private static let offsets = 0..<65
    private static let lengths = 0...300

    // An expectation takes no span, so these name bytes by array and range.
    private func isZero(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        ZeroScan.isZero(bytes.rawSpan.extracting(range))
    }

    private func isEqual(
        _ first: [UInt8], _ range: Range<Int>, _ second: [UInt8], _ other: Range<Int>
    ) -> Bool {
        ZeroScan.isEqual(first.rawSpan.extracting(range), second.rawSpan.extracting(other))
    }

    @Test("Zeros of each length at each alignment are zeros, whatever surrounds them")
    func findsZeros() {
        for offset in Self.offsets {
            for length in Self.lengths {
                var bytes = [UInt8](repeating: 0xFF, count: 400)
                for index in offset..<(offset + length) { bytes[index] = 0 }
                let range = offset..<(offset + length)
                #expect(isZero(bytes, range), "length \(length) at \(offset)")
            }
        }
    }

    @Test("One byte that is not zero is found at each place of each length")
    func findsEachByte() {
        for length in Self.lengths {
            let offset = length % 8
            var bytes = [UInt8](repeating: 0, count: 400)
            for index in 0..<length {
                bytes[offset + index] = 1 << UInt8(index % 8)
                #expect(
                    !isZero(bytes, offset..<(offset + length)), "byte \(index) of \(length)")
                bytes[offset + index] = 0
            }
        }
    }

    @Test("One byte is found in a block, at its ends and at each alignment")
    func findsAByteInABlock() {
        var bytes = [UInt8](repeating: 0, count: 65536 + 64)
        for offset in Self.offsets.dropLast() {
            for index in [0, 1, 63, 64, 32767, 65528, 65535] {
                bytes[offset + index] = 0x80
                #expect(!isZero(bytes, offset..<(offset + 65536)), "byte \(index) at \(offset)")
                bytes[offset + index] = 0
            }
        }
        #expect(isZero(bytes, 0..<bytes.count))
    }

    @Test("Equal is each length at each pair of alignments, and nothing with a byte changed")
    func compares() {
        let content = (0..<400).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        for length in Self.lengths {
            let shift = length % 16
            var copy = [UInt8](repeating: 0xAA, count: shift) + content[0..<length]
            copy.append(0x55)
            let range = shift..<(shift + length)
            #expect(isEqual(content, 0..<length, copy, range), "length \(length)")
            for index in range {
                copy[index] ^= 0x10
                #expect(
                    !isEqual(content, 0..<length, copy, range), "byte \(index - shift) of \(length)"
                )
                copy[index] ^= 0x10
            }
        }
    }

    @Test("Content of another size is not equal, even where one begins with the other")
    func comparesSizes() {
        let bytes = [UInt8](repeating: 0, count: 65)
        #expect(!isEqual(bytes, 0..<65, bytes, 0..<64))
        #expect(!isEqual([], 0..<0, bytes, 0..<65))
        #expect(isEqual([], 0..<0, bytes, 3..<3))
    }
}
