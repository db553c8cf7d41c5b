import Foundation
import Storage
import TestSupport
import Testing

@Suite("DiskFile, opened as a disk")
struct DiskDeviceTests {
    private static let size: UInt64 = 8 << 20
    private static let refusal = LoopDevice.refusal

    @Test("A file is opened as a file")
    func files() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1, 2, 3])
        let file = try DiskFile(openingDisk: path, for: .writing)
        #expect(file.isDevice == false)
        #expect(try file.byteCount() == 3)
        try file.setByteCount(5)
        #expect(try file.fingerprint().byteCount == 5)
    }

    @Test("What is neither a file nor a block device is refused")
    func kinds() throws {
        let directory = try TemporaryDirectory()
        for path in [directory.path, "/dev/null"] {
            for access in [.reading, .writing] as [DiskFile.Access] {
                #expect(throws: FileError.notARegularFile(path: path)) {
                    _ = try DiskFile(openingDisk: path, for: access).name
                }
            }
        }
    }

    @Test("A device is no regular file", .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func refused() throws {
        let device = try LoopDevice(byteCount: Self.size)
        let path = device.path
        #expect(throws: FileError.notARegularFile(path: path)) {
            _ = try DiskFile(opening: path, for: .reading).name
        }
        #expect(throws: FileError.notARegularFile(path: path)) {
            _ = try DiskFile(creatingOrOpening: path).name
        }
    }

    @Test(
        "A device has its size, reads, writes and zeroes at any offset",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func device() throws {
        let device = try LoopDevice(byteCount: Self.size)
        let file = try DiskFile(openingDisk: device.path, for: .writing)
        #expect(file.isDevice == true)
        #expect(try file.byteCount() == Self.size)
        #expect(try file.allocatedByteCount() == Self.size)
        #expect(try file.fingerprint().byteCount == Self.size)
        try file.write([UInt8](repeating: 1, count: Int(Self.size)).rawSpan, at: 0)
        var expected = [UInt8](repeating: 1, count: Int(Self.size))
        for range in [0..<1, 100..<5000, 8192..<16384, 20_001..<90_001, 8_388_000..<8_388_608]
            as [Range<UInt64>]
        {
            try file.deallocate(range)
            let other = range.lowerBound + 1_000_000..<range.upperBound + 1_000_000
            try file.writeZeros(other)
            for index in [range, other.clamped(to: 0..<Self.size)].joined() {
                expected[Int(index)] = 0
            }
        }
        try file.flush()
        #expect(try file.bytes(at: 0, count: Int(Self.size)) == expected)
        file.dropCache()
        #expect(try file.bytes(at: 0, count: Int(Self.size)) == expected)
        #expect(try file.nextData(from: 5, limit: .max) == 5..<Self.size, "it cannot tell")
        #expect(try file.nextData(from: Self.size, limit: .max) == nil)
    }

    @Test("A device keeps its size", .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func size() throws {
        let device = try LoopDevice(byteCount: Self.size)
        let path = device.path
        let file = try DiskFile(openingDisk: path, for: .writing)
        try file.setByteCount(Self.size)
        try file.reserve(0..<Self.size)
        for (size, reason) in [(Self.size - 512, EINVAL), (Self.size + 1, ENOSPC)] {
            #expect(throws: FileError.system(.resize, path: path, at: size, errno: reason)) {
                try file.setByteCount(size)
            }
        }
        #expect(throws: FileError.system(.resize, path: path, at: Self.size + 1, errno: ENOSPC)) {
            try file.reserve(0..<Self.size + 1)
        }
        let bytes = [UInt8](repeating: 1, count: 1024)
        let error = #expect(throws: FileError.self) {
            try file.write(bytes.rawSpan, at: Self.size - 512)
        }
        #expect("\(error, default: "")".hasSuffix(": No space left on device"))
        #expect(throws: FileError.unexpectedEnd(path: path, at: Self.size)) {
            _ = try file.bytes(at: Self.size - 1, count: 2)
        }
    }

    @Test(
        "Locks keep others away from a device, and a writer claims it",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func locks() throws {
        let device = try LoopDevice(byteCount: Self.size)
        let path = device.path
        let reader = try DiskFile(openingDisk: path, for: .reading)
        try reader.lock(for: .reading)
        let writer = try DiskFile(openingDisk: path, for: .writing)
        #expect(throws: FileError.locked(path: path)) { try writer.lock(for: .writing) }
        #expect(throws: FileError.locked(path: path)) {
            _ = try DiskFile(openingDisk: path, for: .writing).name
        }
        #expect(reader.openingFingerprint.isSameFile(as: writer.openingFingerprint))
        let byPath = try #require(DiskFile.fingerprint(ofFileAt: path))
        #expect(byPath.isSameFile(as: reader.openingFingerprint))
    }
}
