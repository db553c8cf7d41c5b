internal import BlockIO
internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Images that this project makes, in the eyes of QEMU.
struct CreationTests {
    struct Shape: Sendable, CustomStringConvertible {
        var virtualSize: UInt64
        var blockSize: UInt64
        var isFixed = false
        var sectorSize: UInt64 = 512

        var description: String {
            "\(isFixed ? "fixed" : "dynamic"), \(virtualSize) bytes, blocks of "
                + "\(blockSize >> 20) MiB, sectors of \(sectorSize)"
        }

        func make(at path: String) throws {
            var specification = ImageSpecification(virtualSize: virtualSize)
            specification.blockSize = blockSize
            specification.isFixed = isFixed
            specification.logicalSectorSize = sectorSize
            try ImageCreation.create(specification, at: path)
        }
    }

    static let shapes: [Shape] = [
        Shape(virtualSize: 512, blockSize: 1 << 20),
        Shape(virtualSize: (3 << 20) + 512, blockSize: 1 << 20),
        Shape(virtualSize: 100_000_256, blockSize: 2 << 20),
        Shape(virtualSize: (4 << 30) + (1 << 20), blockSize: 4 << 20),
        Shape(virtualSize: 5 << 30, blockSize: 8 << 20),
        Shape(virtualSize: 1 << 30, blockSize: 16 << 20),
        Shape(virtualSize: 9_663_676_928, blockSize: 32 << 20),
        Shape(virtualSize: 1 << 30, blockSize: 64 << 20),
        Shape(virtualSize: 1 << 30, blockSize: 128 << 20),
        Shape(virtualSize: (1 << 30) + 512, blockSize: 256 << 20),
        Shape(virtualSize: (2 << 40) + 512, blockSize: 8 << 20),
        Shape(virtualSize: 64 << 40, blockSize: 256 << 20),
        Shape(virtualSize: 512, blockSize: 1 << 20, isFixed: true),
        Shape(virtualSize: (20 << 20) + 1024, blockSize: 1 << 20, isFixed: true),
        Shape(virtualSize: (33 << 20) + 512, blockSize: 32 << 20, isFixed: true),
        Shape(virtualSize: 10 << 20, blockSize: 256 << 20, isFixed: true),
    ]

    private struct Description: Decodable {
        var format: String
        var virtualSize: UInt64
        var clusterSize: UInt64

        enum CodingKeys: String, CodingKey {
            case format
            case virtualSize = "virtual-size"
            case clusterSize = "cluster-size"
        }
    }

    @Test("QEMU accepts a new image, reads zeros from it, and writes to it", arguments: shapes)
    func qemu(_ shape: Shape) throws {
        let folder = try TemporaryFolder()
        let image = folder.file("image.vhdx")
        try shape.make(at: image)
        let outcome = try QEMU.img(["info", "--output=json", "-f", "vhdx", image]).requireSuccess()
        let description = try JSONDecoder()
            .decode(Description.self, from: Data(outcome.output.utf8))
        #expect(description.format == "vhdx")
        #expect(description.virtualSize == shape.virtualSize)
        #expect(description.clusterSize == shape.blockSize)
        try QEMU.img(["check", "-q", "-f", "vhdx", image]).requireSuccess()

        // The first and the last bytes, and those at an edge of a chunk where the disk has one.
        let last = shape.virtualSize - 512
        let edge = min(last, 4 << 30)
        let places = [0, last, edge]
        try QEMU.io(
            places.map { "read -q -P 0 \($0) 512" }, on: image, isReadOnly: true
        ).requireSuccess()
        try QEMU.io(places.map { "write -q -P 201 \($0) 512" }, on: image).requireSuccess()
        try QEMU.img(["check", "-q", "-f", "vhdx", image]).requireSuccess()
        try expectContent(of: image, 201, at: places)
    }

    @Test(
        "A new image with sectors of 4096 bytes takes writes at both ends",
        arguments: [
            Shape(virtualSize: 4096, blockSize: 1 << 20, sectorSize: 4096),
            Shape(virtualSize: (4 << 20) + 4096, blockSize: 1 << 20, sectorSize: 4096),
            Shape(virtualSize: 66 << 30, blockSize: 256 << 20, sectorSize: 4096),
            Shape(virtualSize: (2 << 40) + 4096, blockSize: 32 << 20, sectorSize: 4096),
            Shape(virtualSize: 12 << 20, blockSize: 8 << 20, isFixed: true, sectorSize: 4096),
        ])
    func sectorsOf4096(_ shape: Shape) throws {
        let folder = try TemporaryFolder()
        let image = folder.file("image.vhdx")
        try shape.make(at: image)
        // A chunk of such sectors is 32 GiB.
        let last = shape.virtualSize - 512
        let places = [0, last, min(last, 32 << 30)]
        let content = [UInt8](repeating: 202, count: 512)
        try places.map { ContentChange.bytes(content, at: $0) }.apply(toImageAt: image)
        try expectContent(of: image, 202, at: places)
        #expect(try ImageInfo(ofImageAt: image).logicalSectorSize == 4096)
    }

    private func expectContent(of image: String, _ value: UInt8, at places: [UInt64]) throws {
        let reader = try ImageReader(openingImageAt: image)
        for place in places {
            var bytes = [UInt8](repeating: 0, count: 512)
            try bytes.withMutableRawSpan { (span) throws(VHDXError) in
                try reader.read(into: &span, at: place)
            }
            #expect(bytes == [UInt8](repeating: value, count: 512), "at \(place)")
        }
    }
}
