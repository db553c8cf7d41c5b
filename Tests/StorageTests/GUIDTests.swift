import Storage
import TestSupport
import Testing

@Suite("GUID")
struct GUIDTests {
    private static let batText = "2dc27766-f623-4200-9d64-115e9bfd4a08"
    private static let batBytes: [UInt8] = [
        0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A,
        0x08,
    ]
    private static let metadataText = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
    private static let metadataBytes: [UInt8] = [
        0x06, 0xA2, 0x7C, 0x8B, 0x90, 0x47, 0x9A, 0x4B, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88,
        0x6E,
    ]

    private func encoded(_ guid: GUID) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: 20)
        bytes.withMutableRawSpan { guid.encode(into: &$0, at: 2) }
        #expect(bytes.prefix(2) == [0xEE, 0xEE] && bytes.suffix(2) == [0xEE, 0xEE])
        return Array(bytes[2..<18])
    }

    @Test(
        "The region GUIDs have the bytes that stand in real files",
        arguments: [(batText, batBytes), (metadataText, metadataBytes)])
    func knownBytes(text: String, bytes: [UInt8]) throws {
        let guid = try #require(GUID(text))
        #expect(encoded(guid) == bytes)
        #expect(GUID(decoding: bytes.rawSpan, at: 0) == guid)
        #expect(guid.description == text)
        #expect(GUID(text.uppercased()) == guid)
        #expect(GUID("{\(text)}") == guid)
        #expect(ImageBuilder.bytes(ofGUID: text) == bytes)
    }

    @Test("The FileWriteGuid of a header that Windows wrote reads as other tools print it")
    func windowsHeader() {
        let bytes: [UInt8] = [
            0x68, 0x65, 0x61, 0x64, 0x18, 0xBB, 0xFA, 0x37, 0x0E, 0, 0, 0, 0, 0, 0, 0,
            0x6D, 0xEA, 0x90, 0x8E, 0x36, 0xB6, 0x49, 0x1C, 0xB7, 0xD4, 0x35, 0x10, 0x9E, 0x60,
            0x0C, 0x0C,
        ]
        let guid = GUID(decoding: bytes.rawSpan, at: 16)
        #expect(guid.description == "8e90ea6d-b636-1c49-b7d4-35109e600c0c")
    }

    @Test(
        "What is not a GUID is refused",
        arguments: [
            "", "{}", "2dc27766", "{2dc27766-f623-4200-9d64-115e9bfd4a08",
            "2dc27766-f623-4200-9d64-115e9bfd4a08}", "2dc27766-f623-4200-9d64-115e9bfd4a0",
            "2dc27766-f623-4200-9d64-115e9bfd4a088", "2dc27766-f623-4200-9d64-115e9bfd4a0g",
            "2dc27766+f623-4200-9d64-115e9bfd4a08", "2dc277660f623-4200-9d64-115e9bfd4a08",
            " 2dc27766-f623-4200-9d64-115e9bfd4a08", "{{2dc27766-f623-4200-9d64-115e9bfd4a08}}",
            "２dc27766-f623-4200-9d64-115e9bfd4a08", "2dc27766-f623-4200-9d64-115e9bfdé08",
        ])
    func refuses(_ text: String) {
        #expect(GUID(text) == nil)
    }

    @Test("Text and bytes lead back to the GUID")
    func roundTrip() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<200 {
            let bytes = generator.bytes(count: 16)
            let guid = GUID(decoding: bytes.rawSpan, at: 0)
            #expect(encoded(guid) == bytes)
            #expect(GUID(guid.description) == guid, "seed 1: \(guid)")
            #expect(ImageBuilder.bytes(ofGUID: guid.description) == bytes)
        }
    }

    @Test("A random one says version 4, variant 10, and differs from the one before")
    func random() {
        var generator = SeededGenerator(seed: 2)
        var seen: Set<GUID> = [.zero]
        for _ in 0..<200 {
            let guid = GUID.random(using: &generator)
            let text = Array(guid.description)
            #expect(text[14] == "4")
            #expect("89ab".contains(text[19]), "\(guid)")
            #expect(seen.insert(guid).inserted)
        }
        #expect(GUID.random() != GUID.random())
    }

    @Test("Zero is all zeros")
    func zero() {
        #expect(GUID.zero.description == "00000000-0000-0000-0000-000000000000")
        #expect(encoded(.zero) == [UInt8](repeating: 0, count: 16))
        #expect(GUID("00000000-0000-0000-0000-000000000001") != .zero)
        #expect(GUID("10000000-0000-0000-0000-000000000000") != .zero)
    }
}
