import Storage
import Testing

@Suite("Aligned buffer")
struct AlignedBufferTests {
    @Test("It starts with zeros, at its alignment", arguments: [512, 4096, 1 << 16, 1 << 20])
    func alignment(_ alignment: Int) throws {
        // Freed memory with other content must not show through.
        try useAndFreeMemory(alignment: alignment)
        let buffer = try AlignedBuffer(byteCount: 10_000, alignment: alignment)
        #expect(buffer.byteCount == 10_000)
        let visibleCount = buffer.bytes.byteCount
        #expect(visibleCount == 10_000)
        let isZero = buffer.bytes.isZero
        #expect(isZero)
        // Safe: only the address is looked at.
        let address = unsafe buffer.bytes.withUnsafeBytes { bytes in
            UInt(bitPattern: bytes.baseAddress)
        }
        #expect(address % UInt(alignment) == 0)
    }

    private func useAndFreeMemory(alignment: Int) throws(OutOfMemory) {
        var buffer = try AlignedBuffer(byteCount: 10_000, alignment: alignment)
        var bytes = buffer.mutableBytes
        bytes.copy([UInt8](repeating: 0xAA, count: 10_000).rawSpan)
    }

    @Test("What is written is read")
    func content() throws {
        var buffer = try AlignedBuffer(byteCount: 16)
        var bytes = buffer.mutableBytes
        bytes.store(0x0102_0304_0506_0708 as UInt64, at: 8)
        let words = (0..<2).map { buffer.bytes.load(UInt64.self, at: $0 * 8) }
        #expect(words == [0, 0x0102_0304_0506_0708])
    }

    @Test("More memory than there can be is an error, not a trap")
    func tooMuch() {
        let error = #expect(throws: OutOfMemory.self) {
            _ = try AlignedBuffer(byteCount: 1 << 60).byteCount
        }
        #expect(error?.byteCount == 1 << 60)
    }

    @Test("No bytes, or an access past the end, trap")
    func traps() async {
        await #expect(processExitsWith: .failure) {
            _ = try AlignedBuffer(byteCount: 0).byteCount
        }
        await #expect(processExitsWith: .failure) {
            let buffer = try AlignedBuffer(byteCount: 4096)
            _ = buffer.bytes.load(UInt8.self, at: 4096)
        }
    }
}
