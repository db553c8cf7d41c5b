import BlockIO
import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@Suite("Every target keeps the contract")
struct BlockTargetContractTests {
    private static let refusal = LoopDevice.refusal
    private static let seeds: [UInt64] = [1, 2, 3]

    /// A disk with some blocks of content, and what it reads as.
    private func image(
        _ kind: ImageBuilder.Kind, size: Int, blockSize: UInt64 = 1 << 20, seed: UInt64
    ) -> (file: MemoryFile, content: [UInt8]) {
        var generator = SeededGenerator(seed: seed)
        var builder = ImageBuilder(
            virtualSize: UInt64(size), blockSize: blockSize, kind: kind)
        if kind == .differencing { builder.addLocator() }
        var content = [UInt8](repeating: 0, count: size)
        for start in stride(from: 0, to: size, by: Int(blockSize)) {
            guard kind == .fixed || Bool.random(using: &generator) else { continue }
            let value = UInt8.random(in: 1...255, using: &generator)
            let bytes = [UInt8](repeating: value, count: Int(blockSize))
            builder.addBlock(UInt64(start) / blockSize, content: bytes)
            let end = min(start + Int(blockSize), size)
            content.withMutableRawSpan {
                $0.copy(bytes.rawSpan.extracting(0..<end - start), at: start)
            }
        }
        return (builder.build(), content)
    }

    @Test("Dynamic images", arguments: seeds, [1 << 20, 4 << 20] as [UInt64])
    func dynamic(seed: UInt64, blockSize: UInt64) throws {
        let (file, content) = image(
            .dynamic, size: (6 << 20) + 8192, blockSize: blockSize, seed: seed)
        try BlockTargetContract(seed: seed).check(content) {
            try ImageWriter(file)
        } close: {
            try $0.close()
        }
        #expect(try ImageReader(file).info.blockStates.fullyPresent == 0, "all is given back")
    }

    @Test("Fixed images", arguments: seeds)
    func fixed(seed: UInt64) throws {
        let (file, content) = image(.fixed, size: (3 << 20) + 8192, seed: seed)
        try BlockTargetContract(seed: seed).check(content) {
            try ImageWriter(file)
        } close: {
            try $0.close()
        }
    }

    @Test("Differencing images, which take whole sectors", arguments: seeds)
    func differencing(seed: UInt64) throws {
        let (parentFile, content) = image(.dynamic, size: (5 << 20) + 8192, seed: seed)
        var builder = ImageBuilder(virtualSize: UInt64(content.count), kind: .differencing)
        builder.addLocator()
        let file = builder.build()
        let parentContent = parentFile.content
        var contract = BlockTargetContract(seed: seed)
        contract.unit = 512
        try contract.check(content) {
            try ImageWriter(file, parent: ImageParent(try ImageReader(parentFile)))
        } close: {
            try $0.close()
        }
        #expect(parentFile.content == parentContent)
    }

    @Test("Raw disks in memory", arguments: seeds)
    func rawInMemory(seed: UInt64) throws {
        let file = MemoryFile()
        try file.setByteCount(5 << 20)
        try file.write([UInt8](repeating: 7, count: 777).rawSpan, at: 5 << 20)
        let content = [UInt8](repeating: 0, count: 5 << 20) + [UInt8](repeating: 7, count: 777)
        try BlockTargetContract(seed: seed).check(content) {
            try RawDisk(file)
        } close: {
            try $0.close()
        }
    }

    @Test("Raw disks in files", arguments: seeds)
    func rawInFile(seed: UInt64) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("disk.raw")
        let content = [UInt8](repeating: 7, count: (5 << 20) + 777)
        try DiskFile(creating: path).write(content.rawSpan, at: 0)
        try BlockTargetContract(seed: seed).check(content) {
            try RawDisk(openingDiskAt: path, for: .writing)
        } close: {
            try $0.close()
        }
        let file = try DiskFile(opening: path, for: .reading)
        #expect(try file.byteCount() == UInt64(content.count))
        #expect(try file.allocatedByteCount() <= 4096, "all is given back")
    }

    @Test("Disks whose files are looked at where the kernel keeps them", arguments: seeds)
    func mapped(seed: UInt64) throws {
        #expect(MappedReading.allow())
        let folder = try TemporaryFolder()
        func open(_ name: String) throws -> DiskFile {
            var file = try DiskFile(opening: folder.file(name), for: .writing)
            file.mapContentAnywhere()
            return file
        }
        let content = [UInt8](repeating: 7, count: (5 << 20) + 777)
        try DiskFile(creating: folder.file("raw")).write(content.rawSpan, at: 0)
        var contract = BlockTargetContract(seed: seed)
        // A file system in memory takes space where a hole is looked at.
        contract.knowsZeros = false
        try contract.check(content) {
            let disk = try RawDisk(try open("raw"))
            let isMapped = disk.mappedBytes(in: 5..<6) != nil
            #expect(isMapped)
            return disk
        } close: {
            try $0.close()
        }
        for kind in [.dynamic, .fixed] as [ImageBuilder.Kind] {
            let (image, content) = image(kind, size: (6 << 20) + 8192, seed: seed)
            try image.save(to: folder.file("\(kind)"))
            try contract.check(content) {
                try ImageWriter(try open("\(kind)"))
            } close: {
                try $0.close()
            }
        }
    }

    @Test(
        "Raw disks on devices", .enabled(if: refusal == nil, "\(refusal ?? "")"),
        arguments: seeds)
    func rawOnDevice(seed: UInt64) throws {
        let device = try LoopDevice(byteCount: 5 << 20)
        var contract = BlockTargetContract(seed: seed)
        contract.knowsZeros = false
        let path = device.path
        try contract.check([UInt8](repeating: 0, count: 5 << 20)) {
            try RawDisk(openingDiskAt: path, for: .writing)
        } close: {
            try $0.close()
        }
    }
}
