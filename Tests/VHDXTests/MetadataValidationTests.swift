import Storage
import TestSupport
import Testing

@testable import VHDX

/// Rules 13 to 15 and 20: metadata.
@Suite("Validation on open: metadata")
struct MetadataValidationTests {
    private static let table: UInt64 = 2 << 20
    private static let unknown = "deadbeef-0000-4000-8000-000000000002"

    private func image(_ change: (inout ImageBuilder) -> Void = { _ in }) -> MemoryFile {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        change(&builder)
        return builder.build()
    }

    private func invalidEntry(_ index: Int, _ field: String, _ value: UInt64) -> VHDXError {
        .invalidField(
            .metadataTable, field: field, value: value, path: path,
            at: Self.table + 32 + UInt64(index) * 32)
    }

    @Test("The table starts with its signature")
    func signature() {
        for index in 0..<8 as Range<UInt64> {
            let file = image()
            file.damage(at: Self.table + index)
            #expect(
                refusal(of: file) == .wrongSignature(.metadataTable, path: path, at: Self.table))
        }
    }

    @Test("2047 items are the most", arguments: [2048, .max] as [UInt16])
    func entryCount(_ count: UInt16) {
        let file = image()
        file.put(count, at: Self.table + 10)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .metadataTable, field: "entry count", value: UInt64(count), path: path,
                    at: Self.table))
    }

    @Test("1024 of them may be a user's")
    func userEntryCount() {
        func image(userItems count: Int) -> MemoryFile {
            self.image { builder in
                for index in 0..<count {
                    let number = String(index + 0x1000, radix: 16)
                    builder.metadataItems.append(
                        .init(
                            identifier: "00000000-0000-4000-8000-00000000\(number)", offset: 0,
                            flags: 1, content: []))
                }
            }
        }
        #expect(refusal(of: image(userItems: 1024)) == nil)
        #expect(
            refusal(of: image(userItems: 1025))
                == .invalidField(
                    .metadataTable, field: "user entry count", value: 1025, path: path,
                    at: Self.table))
    }

    @Test(
        "An item lies behind the table and inside the region",
        arguments: [0, 1, 65535, 0xF_FFFC, 0x10_0000, .max] as [UInt32])
    func itemOffset(_ offset: UInt32) {
        let file = image()
        file.put(offset, at: Self.table + 32 + 16)
        #expect(refusal(of: file) == invalidEntry(0, "item offset", UInt64(offset)))
    }

    @Test("An item has at most 1 MiB", arguments: [0x10_0001, .max] as [UInt32])
    func itemLength(_ length: UInt32) {
        let file = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 70_000, flags: 0, content: [1]))
            $0.metadataItems[5].length = length
        }
        #expect(refusal(of: file) == invalidEntry(5, "item length", UInt64(length)))
    }

    @Test("An item without bytes has no place")
    func emptyItem() {
        let file = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 0, flags: 0, content: []))
        }
        #expect(refusal(of: file) == nil)
        file.put(70_000 as UInt32, at: Self.table + 32 + 5 * 32 + 16)
        #expect(refusal(of: file) == invalidEntry(5, "item offset", 70_000))
    }

    @Test("A user's item cannot be required")
    func userAndRequired() {
        let file = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 70_000, flags: 5, content: [1]))
        }
        #expect(refusal(of: file) == invalidEntry(5, "item flags", 5))
    }

    @Test("Items do not overlap, by a single byte")
    func overlap() {
        let file = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 65575, flags: 0, content: [1]))
        }
        #expect(
            refusal(of: file) == .overlap(.metadataItem, path: path, at: Self.table + 65575))
        let beside = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 65576, flags: 0, content: [1]))
        }
        #expect(refusal(of: beside) == nil)
    }

    @Test("An item is listed once, but a user's may bear the name of a system's")
    func duplicates() {
        let file = image {
            $0.metadataItems.append($0.metadataItems[1])
            $0.metadataItems[5].offset = 70_000
        }
        #expect(refusal(of: file) == .overlap(.metadataTable, path: path, at: Self.table))
        let user = image {
            $0.metadataItems.insert($0.metadataItems[1], at: 0)
            $0.metadataItems[0].offset = 70_000
            $0.metadataItems[0].flags = 1
            $0.metadataItems[0].content = [UInt8](0xFF, 8)
        }
        #expect(refusal(of: user) == nil, "and does not stand for it")
    }

    @Test("Each of the five items must be there")
    func missingItems() {
        let structures: [Structure] = [
            .fileParameters, .virtualDiskSize, .logicalSectorSize, .physicalSectorSize,
            .virtualDiskID,
        ]
        for (index, structure) in structures.enumerated() {
            let file = image { $0.metadataItems.remove(at: index) }
            #expect(refusal(of: file) == .missing(structure, path: path))
            let other = image { $0.metadataItems[index].flags = 1 }
            #expect(refusal(of: other) == .missing(structure, path: path), "a user's is none")
        }
    }

    @Test("Each of the five items has its length")
    func itemLengths() {
        let structures: [(Structure, UInt32)] = [
            (.fileParameters, 8), (.virtualDiskSize, 8), (.logicalSectorSize, 4),
            (.physicalSectorSize, 4), (.virtualDiskID, 16),
        ]
        for (index, (structure, length)) in structures.enumerated() {
            for wrong in [length - 1, length + 1, 1] {
                let file = image { builder in
                    // Apart, so that a longer one overlaps nothing.
                    for item in builder.metadataItems.indices {
                        builder.metadataItems[item].offset = UInt32(70_000 + item * 100)
                    }
                    builder.metadataItems[index].length = wrong
                }
                #expect(
                    refusal(of: file)
                        == .invalidField(
                            structure, field: "length", value: UInt64(wrong), path: path,
                            at: Self.table + 70_000 + UInt64(index) * 100))
            }
            let empty = image { builder in
                builder.metadataItems[index].content = []
                builder.metadataItems[index].offset = 0
            }
            #expect(refusal(of: empty) != nil)
        }
    }

    @Test("An unknown item that is required keeps everyone out; another is kept")
    func unknownItems() throws {
        let required = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 70_000, flags: 4, content: [1, 2]))
        }
        #expect(
            refusal(of: required)
                == .unsupported("required metadata item \(Self.unknown)", path: path))
        let optional = image {
            $0.metadataItems.append(
                .init(identifier: Self.unknown, offset: 70_000, flags: 2, content: [1, 2]))
        }
        #expect(refusal(of: optional) == nil)
        let before = optional.peek(at: Self.table, count: 1 << 20)
        let writer = try ImageWriter(optional)
        try writer.fill(1, count: 512, at: 0)
        try writer.close()
        #expect(optional.peek(at: Self.table, count: 1 << 20) == before)
    }

    @Test("An image whose creation never ended is refused as such")
    func incomplete() {
        let file = image {
            $0.metadataItems.append(
                .init(identifier: ImageBuilder.incompleteFile, offset: 0, flags: 4, content: []))
        }
        #expect(refusal(of: file) == .unsupported("its creation was never completed", path: path))
    }

    @Test("A differencing image is refused without its parent")
    func differencing() {
        var builder = ImageBuilder(virtualSize: 8 << 20, kind: .differencing)
        #expect(refusal(of: builder.build()) == .missing(.parentLocator, path: path))
        builder.addLocator()
        let file = builder.build()
        guard case .unsupported(let reason, path: path) = refusal(of: file) else {
            Issue.record("not refused as unsupported")
            return
        }
        #expect(reason.contains("differencing"))
    }

    // MARK: 15, values

    @Test(
        "A block has 1 to 256 MiB, a power of two",
        arguments: [0, 1, 1 << 19, (1 << 20) + 1, 3 << 20, 1 << 29, .max] as [UInt32])
    func blockSize(_ size: UInt32) {
        let file = image()
        file.put(size, at: Self.table + 65536)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .fileParameters, field: "block size", value: UInt64(size), path: path,
                    at: Self.table + 65536))
    }

    @Test("Unknown flags of the file parameters are refused", arguments: [4, 1 << 31] as [UInt32])
    func flags(_ flags: UInt32) {
        let file = image()
        file.put(flags, at: Self.table + 65540)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .fileParameters, field: "flags", value: UInt64(flags), path: path,
                    at: Self.table + 65536))
    }

    @Test("Sectors have 512 or 4096 bytes", arguments: [0, 1, 511, 1024, 8192, .max] as [UInt32])
    func sectorSizes(_ size: UInt32) {
        let logical = image()
        logical.put(size, at: Self.table + 65552)
        #expect(
            refusal(of: logical)
                == .invalidField(
                    .logicalSectorSize, field: "size", value: UInt64(size), path: path,
                    at: Self.table + 65552))
        let physical = image()
        physical.put(size, at: Self.table + 65556)
        #expect(
            refusal(of: physical)
                == .invalidField(
                    .physicalSectorSize, field: "size", value: UInt64(size), path: path,
                    at: Self.table + 65556))
    }

    @Test(
        "The disk has 1 sector to 64 TiB, in whole sectors",
        arguments: [0, 1, 511, 513, (64 << 40) + 512, 1 << 63, .max] as [UInt64])
    func virtualSize(_ size: UInt64) {
        let file = image()
        file.put(size, at: Self.table + 65544)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .virtualDiskSize, field: "size", value: size, path: path,
                    at: Self.table + 65544))
    }

    @Test("A disk of 4 KiB sectors has no half sector")
    func largeSectorSize() {
        let file = ImageBuilder(virtualSize: 8192, logicalSectorSize: 4096).build()
        #expect(refusal(of: file) == nil)
        file.put(8192 + 512 as UInt64, at: Self.table + 65544)
        #expect(
            refusal(of: file)
                == .invalidField(
                    .virtualDiskSize, field: "size", value: 8704, path: path,
                    at: Self.table + 65544))
    }
}
