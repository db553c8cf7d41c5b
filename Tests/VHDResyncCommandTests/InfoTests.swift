import Replication
import TestSupport
import Testing
import VHDX

@testable import VHDResyncCommand

@Suite struct InfoTests {
    private static let logGUID = "0a0b0c0d-1111-4222-8333-444455556666"

    /// A disk of 64 MiB with blocks 0, 1, 2 and 40, of which the last lies before the others, and a
    /// log with one entry.
    private func description(
        _ change: (inout ImageBuilder) -> Void = { _ in }
    ) throws -> ImageDescription {
        var builder = ImageBuilder(virtualSize: 64 << 20)
        builder.addBlock(40)
        for block in 0..<3 as Range<UInt64> { builder.addBlock(block) }
        builder.rawBATEntries = [50: 2, 51: 3]
        builder.useLog(
            Self.logGUID,
            [
                .init(
                    at: 0, sequenceNumber: 1, logGUID: Self.logGUID,
                    flushedFileOffset: 8 << 20, lastFileOffset: 8 << 20, [])
            ])
        builder.fileSize = 9 << 20
        change(&builder)
        return try ImageDescription(builder.build(name: "/a.vhdx"))
    }

    @Test func textHasTwoColumns() throws {
        let text = InfoText.text(try description())
        let lines = text.split(separator: "\n").map(String.init)
        let expected = [
            "file:                   /a.vhdx",
            "creator:                ImageBuilder",
            "kind:                   dynamic",
            "virtual size:           64.0 MiB (67108864 bytes)",
            "file size:              9.0 MiB (9437184 bytes)",
            "payload block size:     1.0 MiB (1048576 bytes)",
            "geometry:               64 blocks, 4096 to a chunk, table of 64",
            "logical sector size:    512 bytes",
            "physical sector size:   4096 bytes",
            "disk ID:                0fedcba9-8765-4321-8fed-cba987654321",
            "file write GUID:        11111111-2222-4333-8444-555555555555",
            "data write GUID:        aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            "header sequence number: 8",
            "log:                    1.0 MiB at byte 1048576, 1 entry to be replayed by the next "
                + "writer",
            "region:                 metadata, 1.0 MiB at byte 2097152, required",
            "region:                 block allocation table, 1.0 MiB at byte 3145728, required",
            "payload blocks:         4 present, 58 not present, 1 zero, 1 unmapped",
            "sector bitmaps:         0",
            "allocated:              4.0 MiB (4194304 bytes) in payload blocks",
            "used in the file:       8.0 MiB (8388608 bytes)",
            "unused in the file:     1.0 MiB (1048576 bytes)",
            "contiguous runs:        2",
            "map:                    [###\(String(repeating: " ", count: 37))#"
                + "\(String(repeating: " ", count: 23))]",
        ]
        #expect(lines == expected)
        #expect(text.hasSuffix("\n"))
    }

    @Test func saysWhetherThereIsALog() throws {
        let empty = try description { $0.headers = [.init(sequenceNumber: 1), nil] }
        let emptyText = InfoText.text(empty)
        #expect(emptyText.contains("log:                    1.0 MiB at byte 1048576, empty\n"))
        let none = try description {
            $0.headers = [.init(sequenceNumber: 1), nil]
            $0.headers[0]?.logLength = 0
            $0.logEntries = []
        }
        #expect(InfoText.text(none).contains("log:                    none\n"))
    }

    @Test func saysThatAnImageIsHalfWritten() throws {
        let marked = try description { $0.addMark() }
        #expect(
            InfoText.text(marked).contains(
                "\nhalf-written:           an apply from /a.vhdx.resync was interrupted\n"))
        #expect(!InfoText.text(try description()).contains("half-written"))
        var inPlace = ImageBuilder.Mark()
        inPlace.streamID = ImageBuilder.zeroGUID
        inPlace.journalPath = []
        for (mark, journal) in [
            (ImageBuilder.Mark(), "/a.vhdx.resync"), (inPlace, nil),
        ] as [(ImageBuilder.Mark, String?)] {
            let object = InfoObject(try description { $0.addMark(mark) })
            let image = try #require(
                try JSONKeys.object(JSONText.object(object))["image"] as? [String: Any])
            #expect(Set(image.keys) == JSONKeys.image.union(["unfinishedApply"]))
            let apply = try #require(image["unfinishedApply"] as? [String: Any])
            #expect(Set(apply.keys) == JSONKeys.unfinishedApply)
            #expect(apply["streamID"] as? String == mark.streamID)
            #expect(apply["journal"] as? String == journal)
        }
    }

    @Test func shadesTheMap() throws {
        // Parts of 1 MiB in blocks of 4 MiB, and of 4 MiB in blocks of 1 MiB.
        var large = ImageBuilder(virtualSize: 64 << 20, blockSize: 4 << 20)
        large.addBlock(1)
        let space = String(repeating: " ", count: 56)
        #expect(
            try ImageDescription(large.build()).allocation.map == "    ####\(space)")
        var small = ImageBuilder(virtualSize: 256 << 20)
        for block in [4, 8, 9, 12, 13, 14, 16, 17, 18, 19] as [UInt64] { small.addBlock(block) }
        let map = try ImageDescription(small.build()).allocation.map
        #expect(map == " .:+#" + String(repeating: " ", count: 59))
        var uneven = ImageBuilder(virtualSize: 256 << 20 | 512)
        for block in 0..<8 as Range<UInt64> { uneven.addBlock(block) }
        let unevenMap = try ImageDescription(uneven.build()).allocation.map
        #expect(unevenMap == "#*" + String(repeating: " ", count: 62))
    }

    @Test func objectHasExactlyTheDocumentedKeys() throws {
        let object = try JSONKeys.object(JSONText.object(InfoObject(try description())))
        #expect(Set(object.keys) == JSONKeys.info)
        let image = try #require(object["image"] as? [String: Any])
        #expect(Set(image.keys) == JSONKeys.image)
        #expect(image["kind"] as? String == "dynamic")
        #expect(image["logIsDirty"] as? Bool == true)
        let states = try #require(image["blockStates"] as? [String: Any])
        #expect(Set(states.keys) == JSONKeys.blockStates)
        #expect(states["notPresent"] as? Int == 58)
        let geometry = try #require(image["geometry"] as? [String: Any])
        #expect(Set(geometry.keys) == JSONKeys.geometry)
        let log = try #require(image["log"] as? [String: Any])
        #expect(Set(log.keys) == JSONKeys.log)
        #expect(log["entriesToReplay"] as? Int == 1)
        let regions = try #require(image["regions"] as? [[String: Any]])
        #expect(regions.map { Set($0.keys) } == [JSONKeys.region, JSONKeys.region])
        let allocation = try #require(image["allocation"] as? [String: Any])
        #expect(Set(allocation.keys) == JSONKeys.allocation)
        #expect(allocation["contiguousRuns"] as? Int == 2)
        #expect(allocation["unusedBytes"] as? Int == 1 << 20)
        #expect((allocation["percentOfParts"] as? [Int])?.prefix(4) == [100, 100, 100, 0])
    }
}
