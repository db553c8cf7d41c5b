import CVHDResync
import Foundation
import TestSupport
import Testing

/// An image that was opened, or was not.
struct ImageHandle: @unchecked Sendable {
    let pointer: OpaquePointer?

    static func open(
        _ path: String, parentFolders: [String] = []
    ) -> Interface.Answer<ImageHandle> {
        let texts = CTexts()
        let options = Options { values, texts in
            values.parent_folders = texts.list(parentFolders)
            values.parent_folder_count = UInt64(parentFolders.count)
        }
        let answer = JobHandle.start { handle in
            withOptions(options) { options in
                vhdresync_image_open(texts.pointer(path), options, handle)
            }
        }
        return Interface.Answer(
            code: answer.code, value: ImageHandle(pointer: answer.value.pointer),
            error: answer.error)
    }

    func read(at offset: UInt64, count: Int) -> Interface.Answer<[UInt8]> {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        let code = bytes.withUnsafeMutableBytes {
            vhdresync_image_read(pointer, offset, $0.baseAddress, UInt64(count))
        }
        return Interface.Answer(code: code, value: bytes, error: Interface.lastError)
    }

    func close() -> UInt32 { vhdresync_image_close(pointer) }
}

@Suite struct ImageTests {
    private func info(_ path: String) -> Interface.Answer<String?> {
        let texts = CTexts()
        return Interface.text { vhdresync_info(texts.pointer(path), nil, $0) }
    }

    private func object(_ json: String?) throws -> [String: Any] {
        let text = try #require(json)
        return try JSONKeys.object(text)
    }

    @Test func anImageIsDescribedAndRead() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20, virtualSize: 5 << 30)
        let opened = ImageHandle.open(pair.primary)
        #expect(opened.code == VHDRESYNC_COMPLETED && opened.error == "")
        let image = opened.value
        var description = vhdresync_image_description()
        description.struct_size = UInt32(MemoryLayout<vhdresync_image_description>.size)
        #expect(
            vhdresync_image_describe(image.pointer, &description) == VHDRESYNC_COMPLETED)
        #expect(description.kind == VHDRESYNC_KIND_DYNAMIC)
        #expect(description.virtual_size == 5 << 30)
        #expect(description.payload_block_size == 1 << 20)
        #expect(description.logical_sector_size == 512)
        #expect(description.log_is_dirty == 0)
        let json = try object(info(pair.primary).value)
        let object = try #require(json["image"] as? [String: Any])
        #expect(object["virtualDiskID"] as? String == text(of: description.virtual_disk_id))
        #expect(object["dataWriteGUID"] as? String == text(of: description.data_write_guid))
        #expect(object["fileSize"] as? UInt64 == description.file_size)

        // A run of data with a number in each sector, and the space behind it.
        let data = image.read(at: 2 << 20, count: 1024)
        #expect(data.code == VHDRESYNC_COMPLETED)
        let number = data.value[512..<520].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        #expect(number == 1 << 20 + 512)
        #expect(image.read(at: 3 << 20, count: 16).value == [UInt8](repeating: 0, count: 16))
        #expect(image.read(at: 5 << 30, count: 0).code == VHDRESYNC_COMPLETED)
        for (offset, count) in [(5 << 30, 1), (5 << 30 - 1, 2), (.max, 1)] as [(UInt64, Int)] {
            let beyond = image.read(at: offset, count: count)
            #expect(beyond.code == VHDRESYNC_INVALID_PARAMETER)
            #expect(beyond.error.contains("do not lie on a disk of \(5 << 30) bytes"))
        }
        #expect(
            vhdresync_image_read(image.pointer, 0, nil, 1) == VHDRESYNC_INVALID_PARAMETER)
        #expect(
            vhdresync_image_read(image.pointer, 0, nil, .max) == VHDRESYNC_INVALID_PARAMETER)
        #expect(image.close() == VHDRESYNC_COMPLETED)
    }

    private func text<Field>(of field: Field) -> String {
        withUnsafeBytes(of: field) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    @Test func anOpenImageIsLockedAgainstWriters() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 20)
        let image = ImageHandle.open(pair.replica).value
        let refused = resynchronize(pair.primary, pair.replica)
        #expect(refused.code == VHDRESYNC_SYSTEM_IN_USE)
        // The primary may be read by others.
        let other = ImageHandle.open(pair.primary).value
        #expect(image.close() == VHDRESYNC_COMPLETED)
        #expect(resynchronize(pair.primary, pair.replica).code == VHDRESYNC_COMPLETED)
        #expect(other.close() == VHDRESYNC_COMPLETED)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func whatIsNoImageIsRefused() throws {
        let folder = try TemporaryFolder()
        let missing = ImageHandle.open(folder.file("a"))
        #expect(missing.code == VHDRESYNC_FILE_NOT_FOUND)
        #expect(missing.value.pointer == nil)
        #expect(missing.error == "cannot open \(folder.file("a")): No such file or directory")
        let path = folder.file("b")
        try Data(count: 1 << 20).write(to: URL(filePath: path))
        #expect(ImageHandle.open(path).code == VHDRESYNC_INCORRECT_DATA_TYPE)
        let info = info(path)
        #expect(info.code == VHDRESYNC_INCORRECT_DATA_TYPE && info.value == nil)
    }

    @Test func parentsAreLookedForInTheFoldersThatWereNamed() throws {
        let (folder, templates) = (try TemporaryFolder(), try TemporaryFolder())
        let child = try TestImage.unpack("ntfs-differential.vhdx", in: folder)
        #expect(check(child, VHDRESYNC_CHECK_PARENTS).1.image_count == 2)
        try FileManager.default.moveItem(
            atPath: folder.file("ntfs-parent.vhdx"), toPath: templates.file("ntfs-parent.vhdx"))
        #expect(ImageHandle.open(child).code == VHDRESYNC_FILE_NOT_FOUND)
        let opened = ImageHandle.open(child, parentFolders: [folder.path, templates.path])
        #expect(opened.code == VHDRESYNC_COMPLETED)
        var description = vhdresync_image_description()
        description.struct_size = UInt32(MemoryLayout<vhdresync_image_description>.size)
        _ = vhdresync_image_describe(opened.value.pointer, &description)
        #expect(description.kind == VHDRESYNC_KIND_DIFFERENCING)
        #expect(opened.value.close() == VHDRESYNC_COMPLETED)
    }

    // MARK: Checks

    private func check(
        _ path: String, _ flags: UInt32 = 0
    ) -> (Interface.Answer<String?>, vhdresync_findings) {
        let texts = CTexts()
        var findings = vhdresync_findings()
        findings.struct_size = UInt32(MemoryLayout<vhdresync_findings>.size)
        let answer = Interface.text { report in
            withOptions(.flags(flags)) { options in
                vhdresync_check(texts.pointer(path), options, &findings, report)
            }
        }
        return (answer, findings)
    }

    @Test func aCheckCountsAndReports() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let (sound, none) = check(pair.primary)
        #expect(sound.code == VHDRESYNC_COMPLETED && sound.error == "")
        #expect(none.error_count == 0 && none.image_count == 1)
        let report = try object(sound.value)
        #expect(Set(report.keys) == JSONKeys.checkResult)

        let file = try #require(FileHandle(forUpdatingAtPath: pair.primary))
        // Both headers.
        for offset in [65536, 131_072] as [UInt64] {
            try file.seek(toOffset: offset)
            try file.write(contentsOf: Data([1, 2, 3, 4]))
        }
        try file.close()
        let (damaged, findings) = check(pair.primary)
        #expect(damaged.code == VHDRESYNC_FAILED)
        #expect(findings.error_count > 0)
        #expect(damaged.error.hasPrefix("\(pair.primary): header: "))
        let object = try object(damaged.value)
        #expect(object["returnValue"] as? UInt32 == VHDRESYNC_FAILED)
        let image = try #require(object["check"] as? [String: Any])
        let counts = try #require(image["counts"] as? [String: UInt64])
        #expect(counts["error"] == findings.error_count)
        #expect(check(pair.primary + "x").0.code == VHDRESYNC_FILE_NOT_FOUND)
        #expect(check(pair.primary + "x").0.value == nil)
    }
}
