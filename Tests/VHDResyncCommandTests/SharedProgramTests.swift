import Foundation
import Storage
import TestSupport
import Testing
import VHDX

/// The built program on files that share content.
@Suite struct SharedProgramTests {
    private static let refusal = LoopMount.refusal(.xfs)
    private static let dataByteCount = 32 << 20

    /// A primary on a file system of its own, and a replica that is a clone of it.
    private struct ClonedPair: ~Copyable {
        let mount: LoopMount
        let primary: String
        let replica: String

        init(sharing mode: String = "always") throws {
            let pair = try DiskPair(dataByteCount: SharedProgramTests.dataByteCount)
            let mount = try LoopMount(.xfs)
            let paths = ["primary.vhdx", "replica.vhdx"].map { mount.file($0) }
            try ExternalProgram.run("cp", [pair.primary, paths[0]]).requireSuccess()
            try ExternalProgram.run("cp", ["--reflink=\(mode)"] + paths).requireSuccess()
            primary = paths[0]
            replica = paths[1]
            self.mount = mount
        }

        /// Writes to the replica as whoever uses it would.
        func change(_ bytes: [UInt8], at offsets: [UInt64]) throws {
            let writer = try ImageWriter(openingImageAt: replica)
            for offset in offsets { try writer.write(bytes.rawSpan, at: offset) }
            try writer.close()
        }

        func isCurrent() throws -> Bool {
            try QEMU.img(["check", replica]).requireSuccess()
            return try QEMU.img(["compare", primary, replica]).isSuccess
        }

        func run(_ options: String..., verb: [String] = []) throws -> [String: Any] {
            try SharedProgramTests.run(verb + [primary, replica] + options)
        }
    }

    /// The disk of the result.
    private static func run(_ arguments: [String]) throws -> [String: Any] {
        let ending = try Program.run(arguments + ["--json", "--quiet"])
        #expect(ending.status == 0, "\(ending.error)")
        let object = try JSONKeys.object(ending.output)
        return try #require((object["disks"] as? [[String: Any]])?.first)
    }

    private func expect(
        _ disk: [String: Any], _ counts: [String: Int], _ comment: String = "",
        location: SourceLocation = #_sourceLocation
    ) {
        for (name, count) in counts {
            #expect(disk[name] as? Int == count, "\(name) \(comment)", sourceLocation: location)
        }
    }

    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
    func readsOnceWhatIsStoredOnce() throws {
        let (data, blocks) = (Self.dataByteCount, Self.dataByteCount >> 16)
        var roots: [String] = []
        for (mode, factor) in [("always", 1), ("never", 2)] {
            let pair = try ClonedPair(sharing: mode)
            for verb in [[], ["diff"]] {
                let disk = try pair.run(verb: verb)
                expect(
                    disk,
                    [
                        "bytesRead": factor * data, "bytesHashed": data, "blocksDiffering": 0,
                        "blocksCompared": blocks, "blocksSkipped": (6 << 14) - blocks,
                    ], mode)
                #expect(disk["verified"] as? Bool == true)
                roots.append(try #require(disk["rootDigest"] as? String))
                let read = mode == "always" ? 0 : blocks
                expect(
                    try pair.run("--compare", "bytes", verb: verb),
                    [
                        "bytesRead": read << 17, "bytesHashed": 0, "blocksDiffering": 0,
                        "blocksCompared": read, "blocksSkipped": (6 << 14) - read,
                    ], mode)
            }
        }
        #expect(Set(roots).count == 1)
        #expect(try ClonedPair().isCurrent())
    }

    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
    func findsExactlyWhatWasChanged() throws {
        let offsets: [UInt64] = [0, 4096 * 9, 4 << 20, (6 << 20) + 4096 * 255, 62 << 20]
        for options in [["--compare", "hash"], ["--compare", "bytes"]] {
            let pair = try ClonedPair()
            try pair.change([UInt8](repeating: 0x77, count: 4096), at: offsets)
            // A payload block that the primary does not store.
            try pair.change([7], at: [3 << 20])
            let arguments = [pair.primary, pair.replica, "--block-size", "4K"] + options
            let found = try Self.run(["diff"] + arguments)
            expect(found, ["blocksDiffering": 6])
            let written = try Self.run(arguments)
            expect(written, ["blocksDiffering": 6, "bytesWritten": 6 * 4096])
            #expect(try pair.isCurrent())
            let again = try Self.run(["diff"] + arguments)
            // What was written is stored twice now.
            expect(again, ["blocksDiffering": 0])
        }
    }

    @Test(
        "Between blocks that become zero there may be one that nobody reads",
        .enabled(if: refusal == nil, "\(refusal ?? "")"), arguments: ["hash", "bytes"])
    func keepsWhatIsSharedBetweenZeros(_ comparison: String) throws {
        let pair = try ClonedPair()
        // The primary has data in each second mebibyte, and zeros between.
        let between: [UInt64] = (0..<31).map { UInt64($0) << 21 + 1 << 20 }
        try pair.change([UInt8](repeating: 0x77, count: 1 << 20), at: between)
        let disk = try pair.run("--compare", comparison)
        expect(disk, ["blocksDiffering": 31 * 16])
        #expect(try pair.isCurrent())
    }

    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
    func verifyingReadsAll() throws {
        let pair = try ClonedPair()
        let data = Self.dataByteCount
        expect(try pair.run("--verify"), ["bytesRead": 2 * data, "blocksDiffering": 0])
        expect(try pair.run("--verify", "--compare", "bytes"), ["bytesRead": 2 * data])
    }

    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
    func writingInPlaceReadsAll() throws {
        let pair = try ClonedPair()
        try pair.change([9], at: [5])
        let disk = try pair.run("--in-place")
        expect(disk, ["blocksDiffering": 1, "bytesRead": 2 * Self.dataByteCount + 65536])
        #expect(try pair.isCurrent())
    }

    /// What was written, and is in memory alone.
    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"), arguments: [0, 1])
    func findsWhatIsNotOnTheDeviceYet(_ changed: Int) throws {
        for comparison in ["hash", "bytes"] {
            let mount = try LoopMount(.xfs)
            let paths = [mount.file("primary.raw"), mount.file("replica.raw")]
            try Data(repeating: 5, count: 8 << 20).write(to: URL(filePath: paths[0]))
            try ExternalProgram.run("cp", ["--reflink=always"] + paths).requireSuccess()
            let handle = try FileHandle(forUpdating: URL(filePath: paths[changed]))
            try handle.seek(toOffset: 3 << 20)
            try handle.write(contentsOf: Data(repeating: 6, count: 4096))
            let options = ["--primary-format", "raw", "--replica-format", "raw"]
            let disk = try Self.run(["diff"] + paths + options + ["--compare", comparison])
            expect(disk, ["blocksDiffering": 1], comparison)
            let read = comparison == "hash" ? (8 << 20) + 65536 : 2 * 65536
            expect(disk, ["bytesRead": read], comparison)
            try handle.close()
        }
    }

    /// A raw primary, and a replica whose blocks stand elsewhere in its file.
    @Test(.enabled(if: refusal == nil, "\(refusal ?? "")"))
    func findsSharedContentInOtherPlaces() throws {
        let pair = try ClonedPair(sharing: "never")
        let raw = pair.mount.file("primary.raw")
        try QEMU.img(["convert", "-O", "raw", pair.primary, raw]).requireSuccess()
        let script = """
            import fcntl, os, struct, sys
            raw, image = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDWR)
            unit, places = 1 << 20, {}
            for offset in range(0, 2 * int(sys.argv[3]), 2 * unit):
                places[os.pread(raw, unit, offset)] = offset
            for offset in range(0, os.fstat(image).st_size, unit):
                found = places.get(os.pread(image, unit, offset))
                if found is not None:
                    # FICLONERANGE
                    fcntl.ioctl(image, 0x4020940D, struct.pack("qQQQ", raw, found, unit, offset))
            """
        let data = Self.dataByteCount
        try ExternalProgram.run("python3", ["-c", script, raw, pair.replica, "\(data)"])
            .requireSuccess()
        let arguments = ["diff", raw, pair.replica, "--primary-format", "raw"]
        expect(try Self.run(arguments), ["bytesRead": data, "blocksDiffering": 0])
        expect(
            try Self.run(arguments + ["--compare", "bytes"]),
            ["bytesRead": 0, "blocksDiffering": 0, "blocksCompared": 0])
    }

    /// On any file system: two images that build on one.
    @Test func readsAParentOfBothOnce() throws {
        let pair = try DiskPair(dataByteCount: Self.dataByteCount)
        let children = ["one.avhdx", "two.avhdx"].map(pair.folder.file)
        for (index, child) in children.enumerated() {
            var specification = ImageSpecification(virtualSize: 6 << 30)
            let reader = try ImageReader(openingImageAt: pair.primary)
            try specification.build(on: reader, at: child)
            try ImageCreation.create(specification, at: child)
            let writer = try ImageWriter(openingImageAt: child)
            try writer.write([UInt8](repeating: UInt8(index), count: 4096).rawSpan, at: 2 << 20)
            try writer.close()
        }
        let (data, block) = (Self.dataByteCount, 65536)
        expect(
            try Self.run(["diff"] + children),
            ["blocksDiffering": 1, "bytesRead": data + block, "bytesHashed": data + block])
        expect(
            try Self.run(["diff"] + children + ["--compare", "bytes"]),
            ["blocksDiffering": 1, "bytesRead": 2 * block, "blocksCompared": 1])
        // One of the two is the other's parent.
        expect(
            try Self.run(["diff", pair.primary, children[0], "--compare", "bytes"]),
            ["blocksDiffering": 1, "bytesRead": 2 * block])
        let ending = try Program.run(children + ["--quiet"])
        #expect(ending.status == 0, "\(ending.error)")
        expect(try Self.run(["diff"] + children), ["blocksDiffering": 0])
    }
}
