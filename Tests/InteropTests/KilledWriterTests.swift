internal import BlockIO
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// A writer that ends in the middle of its session, as a killed process does: what it leaves is an
/// image for us and for QEMU, with the same content.
struct KilledWriterTests {
    private static let virtualSize: UInt64 = 64 << 20
    /// "I/O error", the system's reason for every failure here.
    private static let reason: Int32 = 5

    @Test("A writer that goes away after a commit leaves the committed content")
    func droppedWriter() throws {
        let folder = try TemporaryFolder()
        let (image, model) = (folder.file("image.vhdx"), folder.file("model.raw"))
        try ImageCreation.create(Self.specification, at: image)
        try makeRawFile(at: model, byteCount: Self.virtualSize)
        var generator = ContentChangeGenerator(seed: 31, virtualSize: 40 << 20)
        let committed = generator.changes(count: 12)
        try committed.apply(toRawFileAt: model)
        do {
            let writer = try ImageWriter(openingImageAt: image)
            try committed.apply(to: writer)
            try writer.commit()
            // New blocks, which nothing durable refers to yet.
            let late = ContentChange.bytes([UInt8](repeating: 9, count: 3 << 20), at: 50 << 20)
            try [late].apply(to: writer)
        }
        #expect(try ImageInfo(ofImageAt: image).logIsDirty)
        try expectAgreement(on: image, "dropped", model: model)
    }

    @Test("A writer that is killed at any call that changes the file leaves a valid image")
    func killedAtEachCall() throws {
        let start = MemoryFile()
        try ImageCreation.write(Self.specification, to: start)
        var generator = ContentChangeGenerator(seed: 32, virtualSize: Self.virtualSize)
        let before = generator.changes(count: 4)
        let first = generator.changes(count: 4)
        let second = generator.changes(count: 4)
        try before.apply(to: start)

        var index = 0
        var dirtyCount = 0
        while true {
            let file = MemoryFile(content: start.content)
            let plan = FailingFile.Plan(failing: index, errno: Self.reason, isPermanent: true)
            let isKilled = !write(first, second, to: FailingFile(file, plan: plan))
            let folder = try TemporaryFolder()
            let image = folder.file("image.vhdx")
            try file.save(to: image)
            if try ImageInfo(ofImageAt: image).logIsDirty { dirtyCount += 1 }
            try expectAgreement(on: image, "killed at call \(index)")
            guard isKilled else { break }
            index += 1
        }
        // Fewer would mean that the plan reached no more than the beginning.
        #expect(index > 20)
        #expect(dirtyCount > 5)
    }

    /// - Returns: whether the session came to its end.
    private func write(
        _ first: [ContentChange], _ second: [ContentChange], to file: FailingFile
    ) -> Bool {
        do {
            let writer = try ImageWriter(file)
            try first.apply(to: writer)
            try writer.commit()
            try second.apply(to: writer)
            try writer.close()
            return true
        } catch {
            return false
        }
    }

    /// Our reader, QEMU after its replay, and our writer after its own must find the same.
    private func expectAgreement(
        on image: String, _ label: String, model: String? = nil
    ) throws {
        let folder = try TemporaryFolder()
        let (byQEMU, byUs) = (folder.file("by-qemu.vhdx"), folder.file("by-us.vhdx"))
        let content = folder.file("content.raw")
        try Self.copy(image, to: byQEMU)
        try QEMU.img(["check", "-q", "-r", "all", "-f", "vhdx", byQEMU]).requireSuccess()
        try QEMU.img(["check", "-q", "-f", "vhdx", byQEMU]).requireSuccess()
        try QEMU.img(["convert", "-f", "vhdx", "-O", "raw", byQEMU, content]).requireSuccess()
        let before = try FileState(ofFileAt: image)
        let read = try DiskContent.firstDifference(ofImageAt: image, fromRawFileAt: content)
        #expect(read == nil, "\(label): replayed in memory")
        #expect(try FileState(ofFileAt: image) == before, "\(label): reading changed the file")

        try Self.copy(image, to: byUs)
        try ImageWriter(openingImageAt: byUs).close()
        #expect(try !ImageInfo(ofImageAt: byUs).logIsDirty, "\(label)")
        try QEMU.img(["check", "-q", "-f", "vhdx", byUs]).requireSuccess()
        let replayed = try DiskContent.firstDifference(ofImageAt: byUs, fromRawFileAt: content)
        #expect(replayed == nil, "\(label): replayed on disk")
        guard let model else { return }
        let expected = try DiskContent.firstDifference(ofImageAt: image, fromRawFileAt: model)
        #expect(expected == nil, "\(label): what was committed")
    }

    private static var specification: ImageSpecification {
        var specification = ImageSpecification(virtualSize: virtualSize)
        specification.blockSize = 1 << 20
        return specification
    }

    private static func copy(_ source: String, to copy: String) throws {
        try ExternalProgram.run("cp", ["--sparse=always", source, copy]).requireSuccess()
    }
}

extension [ContentChange] {
    /// Makes the changes in an image in memory.
    fileprivate func apply(to file: MemoryFile) throws {
        let writer = try ImageWriter(file)
        try apply(to: writer)
        try writer.close()
    }
}
