import Storage
import Testing

@Suite("Little-endian integers and slices")
struct LittleEndianTests {
    private static let bytes: [UInt8] = (1...16).map { UInt8($0) }

    @Test("The lowest byte comes first, at any offset")
    func loads() {
        let bytes = Self.bytes
        #expect(bytes.rawSpan.load(UInt8.self, at: 15) == 16)
        #expect(bytes.rawSpan.load(UInt16.self, at: 1) == 0x0302)
        #expect(bytes.rawSpan.load(UInt32.self, at: 3) == 0x0706_0504)
        #expect(bytes.rawSpan.load(UInt64.self, at: 8) == 0x100F_0E0D_0C0B_0A09)
    }

    @Test("What was stored is loaded, and nothing beside it changes")
    func stores() {
        for offset in 0...8 {
            var bytes = [UInt8](repeating: 0xEE, count: 16)
            bytes.withMutableRawSpan { $0.store(0x1122_3344_5566_7788 as UInt64, at: offset) }
            #expect(bytes.rawSpan.load(UInt64.self, at: offset) == 0x1122_3344_5566_7788)
            #expect(bytes.filter { $0 == 0xEE }.count == 8, "offset \(offset)")
            #expect(bytes[offset] == 0x88)
        }
    }

    @Test("A slice lies within the bytes, or it is refused with what was wanted")
    func slices() throws {
        let bytes = Self.bytes
        #expect(try bytes.rawSpan.slice(at: 4, count: 12).byteCount == 12)
        #expect(try bytes.rawSpan.slice(at: 4, count: 12).load(UInt8.self, at: 0) == 5)
        #expect(try bytes.rawSpan.slice(at: 16, count: 0).byteCount == 0)
        for (offset, count) in [(0, 17), (16, 1), (17, 0), (.max, 1), (1, .max), (.max, .max)]
            as [(UInt64, UInt64)]
        {
            let error = #expect(throws: OutOfBounds.self) {
                _ = try bytes.rawSpan.slice(at: offset, count: count).byteCount
            }
            #expect(error?.offset == offset && error?.count == count && error?.available == 16)
        }
    }

    @Test("Copying and clearing touch exactly their bytes")
    func copies() {
        let source: [UInt8] = [7, 8, 9]
        var bytes = [UInt8](repeating: 1, count: 6)
        bytes.withMutableRawSpan { $0.copy(source.rawSpan, at: 3) }
        #expect(bytes == [1, 1, 1, 7, 8, 9])
        let nothing: [UInt8] = []
        bytes.withMutableRawSpan { $0.copy(nothing.rawSpan, at: 6) }
        #expect(bytes == [1, 1, 1, 7, 8, 9])
        bytes.withMutableRawSpan { $0.clear() }
        #expect(bytes == [0, 0, 0, 0, 0, 0])
    }

    @Test("One byte that is not zero is seen wherever it is")
    func zeros() {
        // Not inside #expect: its macro cannot take a span apart.
        func isZero(_ bytes: [UInt8]) -> Bool { bytes.rawSpan.isZero }
        var bytes = [UInt8](repeating: 0, count: 100)
        #expect(isZero(bytes))
        #expect(isZero([]))
        for index in bytes.indices {
            bytes[index] = 0x80
            #expect(!isZero(bytes), "byte \(index)")
            bytes[index] = 0
        }
    }

    @Test("Loading past the end traps")
    func loadTraps() async {
        await #expect(processExitsWith: .failure) {
            let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
            _ = bytes.rawSpan.load(UInt64.self, at: 1)
        }
        await #expect(processExitsWith: .failure) {
            let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
            _ = bytes.rawSpan.load(UInt8.self, at: -1)
        }
        await #expect(processExitsWith: .failure) {
            _ = ([1] as [UInt8]).rawSpan.load(UInt64.self, at: 0)
        }
    }

    @Test("Storing and copying past the end traps")
    func storeTraps() async {
        await #expect(processExitsWith: .failure) {
            var bytes: [UInt8] = [1, 2, 3, 4]
            bytes.withMutableRawSpan { $0.store(1 as UInt32, at: 1) }
        }
        await #expect(processExitsWith: .failure) {
            var bytes: [UInt8] = [1, 2, 3, 4]
            bytes.withMutableRawSpan { $0.copy(([1, 2] as [UInt8]).rawSpan, at: 3) }
        }
        await #expect(processExitsWith: .failure) {
            var bytes: [UInt8] = [1, 2, 3, 4]
            bytes.withMutableRawSpan { $0.copy(([1, 2] as [UInt8]).rawSpan, at: -1) }
        }
    }
}
