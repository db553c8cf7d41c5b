import Storage
import TestSupport
import Testing

@testable import VHDX

@Suite("Region table, metadata table, identifier, BAT entry")
struct StructureTests {
    private func encoded(_ table: RegionTable) -> [UInt8] {
        var bytes = [UInt8](0xEE, RegionTable.byteCount)
        bytes.withMutableRawSpan { table.encode(into: &$0) }
        return bytes
    }

    private func randomTable(_ generator: inout SeededGenerator, count: Int) -> RegionTable {
        RegionTable(
            entries: (0..<count).map { _ in
                RegionTableEntry(
                    identifier: .random(using: &generator),
                    fileOffset: UInt64.random(in: 1..<1 << 40, using: &generator) << 20,
                    length: UInt32.random(in: 1..<4096, using: &generator) << 20,
                    isRequired: Bool.random(using: &generator))
            })
    }

    @Test("A region table leads through its bytes to itself", arguments: [0, 1, 2, 100, 2047])
    func regionTable(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let table = randomTable(&generator, count: count)
        let bytes = encoded(table)
        #expect(try RegionTable.examine(bytes.rawSpan, of: path, at: 196_608).valid() == table)
        let regions = table.entries.map { entry in
            ImageBuilder.Region(
                identifier: entry.identifier.description, offset: entry.fileOffset,
                length: entry.length, required: entry.isRequired ? 1 : 0)
        }
        #expect(bytes == ImageBuilder.encode(regions), "the encoder without shared code agrees")
    }

    @Test(
        "The tables that Windows and QEMU write by default have their known checksums",
        arguments: [(2, 3, true, 0xC66B_8CAE)] as [(UInt64, UInt64, Bool, UInt32)])
    func knownChecksums(metadata: UInt64, bat: UInt64, required: Bool, checksum: UInt32) {
        let regions = [
            (RegionTableEntry.blockAllocationTable, bat), (RegionTableEntry.metadata, metadata),
        ].map { identifier, place in
            RegionTableEntry(
                identifier: identifier, fileOffset: place << 20, length: 1 << 20,
                isRequired: required)
        }
        let checksums = [regions, regions.reversed()].map { entries in
            encoded(RegionTable(entries: entries)).rawSpan.load(UInt32.self, at: 4)
        }
        #expect(checksums.contains(checksum))
    }

    @Test("Each damaged byte of a region table is noticed")
    func regionTableDamage() throws {
        var generator = SeededGenerator(seed: 6)
        let bytes = encoded(randomTable(&generator, count: 3))
        // Of the zeros at the end, every 61st stands for all: a checksum in a debug build is slow.
        let places = Array(0..<128) + Array(stride(from: 128, to: 65536, by: 61))
        for index in places {
            var damaged = bytes
            damaged[index] ^= UInt8.random(in: 1...255, using: &generator)
            do {
                _ = try RegionTable.examine(damaged.rawSpan, of: path, at: 196_608).valid()
                Issue.record("byte \(index), seed 6")
            } catch {
                switch error {
                case .wrongSignature(.regionTable, path: path, at: 196_608): #expect(index < 4)
                case .wrongChecksum(.regionTable, path: path, at: 196_608, stored: _, computed: _):
                    #expect(index >= 4)
                default: Issue.record("byte \(index): \(error)")
                }
            }
        }
    }

    @Test("2047 regions are the most", arguments: [2048, 1 << 31, .max] as [UInt32])
    func regionCount(_ count: UInt32) {
        let file = ImageBuilder(virtualSize: 1 << 20).build()
        file.patchRegionTables(count, at: 8)
        let invalid = VHDXError.invalidField(
            .regionTable, field: "entry count", value: UInt64(count), path: path, at: 196_608)
        #expect(refusal(of: file) == .noValidCopy(.regionTable, invalid))
    }

    @Test(
        "A region lies at a multiple of 1 MiB, past the headers",
        arguments: [
            0, 1, 0xF_FFFF, 0x10_0200, 0x20_0001, 1 << 63 | 1, .max, .max - 0xF_FFFF,
        ] as [UInt64])
    func regionOffset(_ offset: UInt64) {
        let file = ImageBuilder(virtualSize: 1 << 20).build()
        file.patchRegionTables(offset, at: 16 + 32 + 16)
        let invalid = VHDXError.invalidField(
            .regionTable, field: "file offset", value: offset, path: path, at: 196_608 + 48)
        #expect(refusal(of: file) == .noValidCopy(.regionTable, invalid))
    }

    @Test(
        "A region has a length, a multiple of 1 MiB",
        arguments: [0, 1, 0xF_FFFF, 0x10_0200, .max] as [UInt32])
    func regionLength(_ length: UInt32) {
        let file = ImageBuilder(virtualSize: 1 << 20).build()
        file.patchRegionTables(length, at: 16 + 24)
        let invalid = VHDXError.invalidField(
            .regionTable, field: "length", value: UInt64(length), path: path, at: 196_608 + 16)
        #expect(refusal(of: file) == .noValidCopy(.regionTable, invalid))
    }

    // MARK: Metadata table

    @Test("A metadata table leads through its bytes to itself", arguments: [0, 1, 5, 1024])
    func metadataTable(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let table = MetadataTable(
            entries: (0..<count).map { index in
                MetadataTableEntry(
                    itemID: .random(using: &generator), offset: UInt32(65536 + index * 16),
                    length: 16,
                    flags: [1, 2, 3, 4, 6].randomElement(using: &generator) ?? 1)
            })
        var bytes = [UInt8](0, MetadataTable.byteCount)
        bytes.withMutableRawSpan { table.encode(into: &$0) }
        let decoded = try MetadataTable.examine(
            bytes.rawSpan, regionLength: 1 << 20, of: path, at: 2 << 20
        ).valid()
        #expect(decoded == table, "seed \(count)")
    }

    @Test("Random bytes in place of any structure never trap")
    func noise() throws {
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var bytes = generator.bytes(count: 4096)
            bytes += [UInt8](0, 65536 - 4096)
            bytes.replaceSubrange(0..<8, with: Array("metadata".utf8))
            bytes[11] = 0
            _ = try? MetadataTable.examine(
                bytes.rawSpan, regionLength: UInt32(1) << 20, of: path, at: 2 << 20
            ).valid()
            let entry = Array(bytes[64..<96])
            _ = RegionTableEntry(uncheckedFrom: entry.rawSpan).errors(of: path, at: 0)
            let sequenceNumber = entry.rawSpan.load(UInt64.self, at: 24)
            _ = LogDescriptor(decoding: entry.rawSpan, sequenceNumber: sequenceNumber)
            bytes.replaceSubrange(0..<4, with: Array("loge".utf8))
            let guid = GUID(decoding: bytes.rawSpan, at: 32)
            _ = LogEntryHeader(decoding: bytes.rawSpan, logGUID: guid, logLength: 1 << 20)
        }
    }

    // MARK: Identifier

    @Test(
        "The creator is read as UTF-16 up to its end",
        arguments: ["", "Microsoft Windows 10.0.15063.0", "qemu 7.2", "äöü 磁盘 💽"])
    func identifier(creator: String) throws {
        var builder = ImageBuilder(virtualSize: 1 << 20)
        builder.creator = creator
        #expect(try info(of: builder.build()).creator == creator)
        var bytes = [UInt8](0, FileIdentifier.byteCount)
        bytes.withMutableRawSpan { FileIdentifier(creator: creator).encode(into: &$0) }
        #expect(bytes == builder.build().peek(at: 0, count: FileIdentifier.byteCount))
    }

    @Test("A creator that fills its field, or is no text, is no reason to refuse")
    func oddCreators() throws {
        let file = ImageBuilder(virtualSize: 1 << 20).build()
        file.put([UInt8](0x41, 512), at: 8)
        #expect(try info(of: file).creator.count == 256)
        file.put([0x00, 0xD8, 0x00, 0xD8, 0x41, 0x00, 0x00, 0x00], at: 8)
        #expect(try info(of: file).creator.hasSuffix("A"))
        let long = String(repeating: "x", count: 1000)
        var bytes = [UInt8](0, FileIdentifier.byteCount)
        bytes.withMutableRawSpan { FileIdentifier(creator: long).encode(into: &$0) }
        let decoded = try FileIdentifier(decoding: bytes.rawSpan, of: path)
        #expect(decoded.creator == String(repeating: "x", count: 255))
    }

    // MARK: BAT entry

    @Test("An entry's bits are state, reserved, and the offset in MiB")
    func batEntry() {
        let entry = BATEntry(rawValue: 0x0000_0123_4567_8ABE)
        #expect(entry.stateBits == 6 && entry.state == .fullyPresent)
        #expect(entry.fileOffset == 0x0000_0123_4560_0000)
        #expect(entry.reservedBits == 0x7_8AB8)
        #expect(BATEntry(rawValue: .max).fileOffset == 0xFFFF_FFFF_FFF0_0000)
        #expect(BATEntry(state: .fullyPresent, fileOffset: 4 << 20).rawValue == 0x40_0006)
        let states = (0..<8).map { BATEntry(rawValue: $0).state }
        #expect(
            states == [
                .notPresent, .undefined, .zero, .unmapped, nil, nil, .fullyPresent,
                .partiallyPresent,
            ])
    }

    @Test("An offset that is no multiple of 1 MiB is a mistake of the caller")
    func misplacedEntry() async {
        await #expect(processExitsWith: .failure) {
            _ = BATEntry(state: .fullyPresent, fileOffset: 512)
        }
    }
}
