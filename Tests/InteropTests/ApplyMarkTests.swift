internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Images of all makers, marked as half-written: who refuses them, and that they are whole again
/// without the mark.
struct ApplyMarkTests {
    private static let mark = ApplyMark(
        streamID: GUID("0d15ea5e-0000-4000-8000-0000000000a1") ?? .zero,
        journalPath: "/a.vhdx.resync")

    /// Whether QEMU opens the image, to describe it and to check it.
    private func qemuOpens(_ path: String) throws -> Bool {
        let information = try QEMU.img(["info", "-U", "-f", "vhdx", path])
        let check = try QEMU.img(["check", "-q", "-U", "-f", "vhdx", path])
        #expect(information.isSuccess == check.isSuccess)
        return information.isSuccess
    }

    /// Marks the image, looks at it, and takes the mark away again.
    private func markAndUnmark(_ image: TestImage, _ path: String) throws {
        let first = try ImageWriter(openingImageAt: path)
        try first.setMark(Self.mark)
        try first.close()

        let error = VHDXError.unfinishedApply(path: path, mark: Self.mark)
        #expect(throws: error) { _ = try ImageReader(openingImageAt: path).geometry }
        #expect(throws: error) { _ = try ImageWriter(openingImageAt: path).geometry }
        let errors = try ImageCheck(ofImageAt: path).findings.filter { $0.severity == .error }
        #expect(errors.map(\.rule) == [.unfinishedApply], "\(image)")
        #expect(try ImageDescription(ofImageAt: path).info.mark == Self.mark, "\(image)")
        if image.readableByQEMU { #expect(try !qemuOpens(path), "\(image), marked") }

        let second = try ImageWriter(openingImageAt: path, acceptsMark: true)
        #expect(second.mark == Self.mark)
        try second.removeMark()
        try second.close()
        #expect(try ImageCheck(ofImageAt: path).count(of: .error) == 0, "\(image)")
        #expect(try ImageReader(openingImageAt: path).mark == nil, "\(image)")
        if image.readableByQEMU {
            #expect(try qemuOpens(path), "\(image), no longer marked")
            if let expected = image.contentSHA256, image.virtualSize <= 512 << 20 {
                #expect(try QEMU.contentSHA256(of: path) == expected, "\(image)")
            }
        }
    }

    @Test("A marked image is refused, also by QEMU, and whole again without its mark")
    func committed() throws {
        for image in TestImage.committed {
            let folder = try TemporaryFolder()
            try markAndUnmark(image, try image.unpack(in: folder))
        }
    }

    @Test("So are images of Windows and others")
    func real() throws {
        try RealImages.forEach(for: "marking") { image, path in
            try markAndUnmark(image, path)
        }
    }

    @Test(
        "dissect refuses a marked image; libvhdi, which asks no item for being required, opens it")
    func otherReaders() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("image.vhdx")
        var builder = ImageBuilder(virtualSize: 8 << 20)
        builder.addBlock(0, content: [UInt8](repeating: 7, count: 1 << 20))
        try builder.build().save(to: path)
        let expected: KeyValuePairs<Judge, [Judge.Finding]> = [
            .ours: [.refused], .qemu: [.refused], .libvhdi: [.value(7)], .dissect: [.refused],
        ]
        for judge in expected.map(\.key) {
            #expect(try judge.findings(in: path, at: [0..<512]) == [.value(7)], "\(judge)")
        }
        let writer = try ImageWriter(openingImageAt: path)
        try writer.setMark(Self.mark)
        try writer.close()
        for (judge, findings) in expected {
            #expect(try judge.findings(in: path, at: [0..<512]) == findings, "\(judge)")
        }
    }
}
