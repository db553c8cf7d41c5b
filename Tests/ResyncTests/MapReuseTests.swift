import Foundation
import Glibc
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

/// Changes nothing of a file but who may use it.
private func setPermissions(_ path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
}

@Suite("Maps that are trusted, so that the disk is not read")
struct MapReuseTests {
    private static let loopDeviceRefusal = LoopDevice.refusal

    /// A disk of 3 MiB in blocks of 4 KiB of which some hold data.
    private func files(seed: UInt64) throws -> DiskFiles {
        var generator = SeededGenerator(seed: seed)
        let shape = DiskShape(virtualSize: 3 << 20)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(4096..<1 << 20, using: &generator)
        pair.primary.fill((3 << 20) - 4096..<3 << 20, using: &generator)
        return try DiskFiles(pair, using: &generator)
    }

    /// By a clock of which so many seconds have passed since the files were made.
    private func map(
        _ disk: String, to output: String, reusing earlier: String? = nil, blockSize: Int = 4096,
        _ format: DiskFormat = .automatic, secondsLater: Int64 = 3600,
        monitor: ResyncMonitor = ResyncMonitor()
    ) throws -> DiskReport {
        var options = ResyncOptions(workerCount: 2)
        options.blockSize = blockSize
        options.primaryFormat = format
        var mapping = DiskMapping(disk: disk, output: output, options: options)
        mapping.earlierMap = earlier
        mapping.clock = { FileTime(seconds: FileTime.now.seconds + secondsLater) }
        return try mapping.run(monitor: monitor)
    }

    /// Waits until the clock of the file system has left the moment of a file's last change, which
    /// takes some milliseconds at most.
    private func waitForNewMoment(after path: String, in files: DiskFiles) throws {
        let last = try DiskFile(opening: path, for: .reading).openingStamp.changeTime
        let probe = files.directory.path("probe")
        repeat {
            try Data().write(to: URL(filePath: probe))
        } while try DiskFile(opening: probe, for: .reading).openingStamp.changeTime <= last
        try DiskFile.remove(probe)
    }

    /// The map of a disk as its digests and its header make it.
    private func write(_ header: DigestMapHeader, digestsOf map: String, to path: String) throws {
        var reader = try DigestMapReader(reading: DiskFile(opening: map, for: .reading))
        var writer = try DigestMapWriter(of: path, header: header)
        while let run = try reader.nextRun(upTo: .max) { try writer.append(run) }
        _ = try writer.finish(.replace)
    }

    private func header(of map: String) throws -> DigestMapHeader {
        try DigestMapReader(reading: DiskFile(opening: map, for: .reading)).header
    }

    @Test("A disk that did not change is not read, and its map stays as it is")
    func unchanged() throws {
        let files = try files(seed: 1)
        let output = files.directory.path("map")
        let first = try map(files.primary, to: output)
        #expect(first.reuse == nil && first.counts.bytesRead > 0)
        let (bytes, file) = (
            try files.bytes(of: output), try #require(DiskFile.fingerprint(ofFileAt: output))
        )
        try waitForNewMoment(after: output, in: files)

        let again = try map(files.primary, to: output, reusing: output)
        #expect(again.reuse == .reused)
        #expect(again.rootDigest == first.rootDigest && again.output == first.output)
        #expect(again.counts.bytesRead == 0 && again.counts.bytesHashed == 0)
        #expect(again.counts.virtualSize == 3 << 20 && again.counts.blocksTotal == 768)
        #expect(try files.bytes(of: output) == bytes)
        #expect(DiskFile.fingerprint(ofFileAt: output) == file)

        // By another name of the same file, and to another file.
        let (link, other) = (files.directory.path("link"), files.directory.path("other"))
        try files.link(link, to: output, isSymbolic: true)
        #expect(try map(files.primary, to: output, reusing: link).reuse == .reused)
        #expect(DiskFile.fingerprint(ofFileAt: output) == file)
        let copied = try map(files.primary, to: other, reusing: output)
        #expect(copied.reuse == .reused && copied.counts.bytesRead == 0)
        #expect(copied.rootDigest == first.rootDigest)
        #expect(try files.bytes(of: other) == bytes)
        #expect(
            try files.directory.names == ["link", "map", "other", "primary.vhdx", "replica.vhdx"])
    }

    @Test("Only who asks for it trusts a map")
    func notAsked() throws {
        let files = try files(seed: 2)
        let output = files.directory.path("map")
        let first = try map(files.primary, to: output)
        let again = try map(files.primary, to: output)
        #expect(again.reuse == nil && again.counts.bytesRead == first.counts.bytesRead)
    }

    /// Something that is done to the file of a disk.
    enum Change: String, CaseIterable {
        case content, contentWithItsOldTime, modificationTime, permissions, link, size, copy
        case dataWriteGUID

        func apply(to path: String, _ files: DiskFiles) throws {
            switch self {
            case .content:
                try files.overwrite(path, with: [1], at: 5 << 20)
            case .contentWithItsOldTime:
                try files.overwrite(path, with: [1], at: 5 << 20)
                try files.setChanged(path)
            case .modificationTime:
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSince1970: 1_000_000_001)],
                    ofItemAtPath: path)
            case .permissions: try setPermissions(path)
            case .link: try files.link(path + ".link", to: path, isSymbolic: false)
            case .size:
                let file = try DiskFile(opening: path, for: .writing)
                try file.setByteCount(file.byteCount() + 1 << 20)
                try files.setChanged(path)
            case .copy:
                let bytes = try files.bytes(of: path)
                try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
                try bytes.write(to: URL(filePath: path))
                try files.setChanged(path)
            case .dataWriteGUID:
                let writer = try ImageWriter(openingImageAt: path)
                let bytes = [UInt8](repeating: 7, count: 4096)
                try writer.write(bytes.rawSpan, at: 0)
                try writer.close()
            }
        }
    }

    @Test("Whatever happens to the file, the disk is read", arguments: Change.allCases)
    func changed(_ change: Change) throws {
        let files = try files(seed: 3)
        let (output, fresh) = (files.directory.path("map"), files.directory.path("fresh"))
        _ = try map(files.primary, to: output)
        try waitForNewMoment(after: files.primary, in: files)
        try change.apply(to: files.primary, files)
        let again = try map(files.primary, to: output, reusing: output)
        #expect(again.reuse == .notReused(.changed))
        #expect(again.counts.bytesRead > 0)
        let expected = try map(files.primary, to: fresh)
        #expect(again.rootDigest == expected.rootDigest)
        #expect(try files.bytes(of: output) == files.bytes(of: fresh))
        // And the map that was made of it is trusted again.
        #expect(try map(files.primary, to: output, reusing: output).reuse == .reused)
    }

    @Test("Each field of the header counts")
    func headerFields() throws {
        let files = try files(seed: 4)
        let (output, earlier) = (files.directory.path("map"), files.directory.path("earlier"))
        _ = try map(files.primary, to: output)
        let right = try header(of: output)
        func reuse(_ change: (inout DigestMapHeader) -> Void) throws -> MapReuse? {
            var header = right
            change(&header)
            try write(header, digestsOf: output, to: earlier)
            let report = try map(files.primary, to: output, reusing: earlier)
            #expect((report.counts.bytesRead == 0) == (report.reuse == .reused))
            return report.reuse
        }
        #expect(try reuse { _ in } == .reused)
        #expect(try reuse { $0.virtualDiskID = .random() } == .notReused(.changed))
        #expect(try reuse { $0.dataWriteGUID = .random() } == .notReused(.changed))
        #expect(try reuse { $0.virtualSize -= 512 } == .notReused(.changed))
        #expect(try reuse { $0.fileState = nil } == .notReused(.unknownState))
        let other = try BlockDigest(ofBytes: [1])
        #expect(try reuse { $0.fileState = other } == .notReused(.changed))
        let larger = try map(files.primary, to: output, reusing: output, blockSize: 8192)
        #expect(larger.reuse == .notReused(.blockSize) && larger.blockSize == 8192)
    }

    @Test("Each field of the state of a file counts, and so does each file and their order")
    func fileStates() throws {
        let files = try files(seed: 5)
        let first = try DiskFile(opening: files.primary, for: .reading).openingStamp
        let second = try DiskFile(opening: files.replica, for: .reading).openingStamp
        func state(_ stamps: [FileStamp], isImage: Bool = true) throws -> BlockDigest {
            try BlockDigest(ofFiles: stamps, isImage: isImage)
        }
        let changes: [(inout FileStamp) -> Void] = [
            { $0.fingerprint.device += 1 }, { $0.fingerprint.inode += 1 },
            { $0.fingerprint.byteCount += 1 }, { $0.fingerprint.modificationSeconds += 1 },
            { $0.fingerprint.modificationNanoseconds += 1 }, { $0.changeTime.seconds += 1 },
            { $0.changeTime.nanoseconds += 1 },
        ]
        var states = [try state([first, second])]
        for change in changes {
            for index in 0..<2 {
                var stamps = [first, second]
                change(&stamps[index])
                states.append(try state(stamps))
            }
        }
        states += [
            try state([first]), try state([second]), try state([second, first]),
            try state([first, second], isImage: false),
        ]
        #expect(Set(states.map { "\($0)" }).count == states.count)
        #expect(try state([first, second]) == states[0])
    }

    @Test("The vector of docs/digest-map.md for the state of a file")
    func stateVector() throws {
        let files = try files(seed: 6)
        var stamp = try DiskFile(opening: files.primary, for: .reading).openingStamp
        stamp.fingerprint.device = 0x801
        stamp.fingerprint.inode = 131_073
        stamp.fingerprint.byteCount = 4_194_304
        stamp.fingerprint.modificationSeconds = 1_800_000_000
        stamp.fingerprint.modificationNanoseconds = 1
        stamp.changeTime = FileTime(seconds: 1_800_000_000, nanoseconds: 2)
        let state = try BlockDigest(ofFiles: [stamp], isImage: true)
        #expect(try documentation("digest-map.md").contains("`\(state)`"), "\(state)")
    }

    @Test("What is changed in a parent counts as much", arguments: [false, true])
    func chain(changesParent: Bool) throws {
        let files = try files(seed: 7)
        let (child, output) = (files.directory.path("child.avhdx"), files.directory.path("map"))
        var specification = ImageSpecification(virtualSize: 3 << 20)
        let parent = try ImageReader(openingImageAt: files.primary)
        try specification.build(on: parent, at: child)
        try ImageCreation.create(specification, at: child)
        let first = try map(child, to: output)
        #expect(first.counts.bytesRead > 0)
        #expect(try map(child, to: output, reusing: output).reuse == .reused)
        // The parent's map is another, though the content is the same.
        let ofParent = try map(files.primary, to: files.directory.path("p"), reusing: output)
        #expect(ofParent.reuse == .notReused(.changed))
        let changed = changesParent ? files.primary : child
        try waitForNewMoment(after: changed, in: files)
        try setPermissions(changed)
        let again = try map(child, to: output, reusing: output)
        #expect(again.reuse == .notReused(.changed))
        #expect(again.counts.bytesRead == first.counts.bytesRead)
    }

    @Test("A file that was changed just before has no state that could be trusted")
    func racy() throws {
        let files = try files(seed: 8)
        let output = files.directory.path("map")
        func recorded(_ moment: FileTime) throws -> Bool {
            var options = ResyncOptions(workerCount: 1)
            options.blockSize = 4096
            var mapping = DiskMapping(disk: files.primary, output: output, options: options)
            mapping.clock = { moment }
            _ = try mapping.run(monitor: ResyncMonitor())
            return try header(of: output).fileState != nil
        }
        var limit = try DiskFile(opening: files.primary, for: .reading).openingStamp.changeTime
        limit.seconds += 10
        #expect(try !recorded(limit))
        let reuse = try map(files.primary, to: output, reusing: output)
        #expect(reuse.reuse == .notReused(.unknownState) && reuse.counts.bytesRead > 0)
        #expect(try !recorded(.now))
        limit.nanoseconds += 1
        #expect(try recorded(limit))
        // A time of modification that is set to one to come counts too.
        let future = Date(timeIntervalSinceNow: 7200)
        try FileManager.default.setAttributes(
            [.modificationDate: future], ofItemAtPath: files.primary)
        _ = try map(files.primary, to: output)
        #expect(try header(of: output).fileState == nil)
        _ = try map(files.primary, to: output, secondsLater: 7211)
        #expect(try header(of: output).fileState != nil)
    }

    @Test("A parent that was changed just before is enough")
    func racyParent() throws {
        let files = try files(seed: 9)
        let (child, output) = (files.directory.path("child.avhdx"), files.directory.path("map"))
        var specification = ImageSpecification(virtualSize: 3 << 20)
        try specification.build(on: ImageReader(openingImageAt: files.primary), at: child)
        try ImageCreation.create(specification, at: child)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: 7200)], ofItemAtPath: files.primary)
        _ = try map(child, to: output)
        #expect(try header(of: output).fileState == nil)
    }

    @Test("A raw disk in a file is trusted like an image, and not as one")
    func raw() throws {
        let files = try files(seed: 10)
        let output = files.directory.path("map")
        let first = try map(files.primary, to: output, .raw)
        let again = try map(files.primary, to: output, reusing: output, .raw)
        #expect(again.reuse == .reused && again.counts.bytesRead == 0)
        #expect(again.rootDigest == first.rootDigest)
        #expect(try map(files.primary, to: output, reusing: output).reuse == .notReused(.changed))
        #expect(
            try map(files.primary, to: output, reusing: output, .raw).reuse
                == .notReused(.changed))
        try waitForNewMoment(after: files.primary, in: files)
        try files.overwrite(files.primary, with: [1], at: 3)
        try files.setChanged(files.primary)
        let changed = try map(files.primary, to: output, reusing: output, .raw)
        #expect(changed.reuse == .notReused(.changed))
        #expect(changed.rootDigest != first.rootDigest)
    }

    @Test(
        "A block device is read, whatever its map says",
        .enabled(if: loopDeviceRefusal == nil, "\(loopDeviceRefusal ?? "")"))
    func device() throws {
        let device = try LoopDevice(byteCount: 1 << 20)
        let files = try DiskFiles()
        let output = files.directory.path("map")
        let path = device.path
        let first = try map(path, to: output)
        #expect(try header(of: output).fileState == nil)
        // Even a map that claims to know the state.
        var claimed = try header(of: output)
        claimed.fileState = try BlockDigest(ofBytes: [])
        for earlier in [try header(of: output), claimed] {
            try write(earlier, digestsOf: output, to: output)
            let again = try map(path, to: output, reusing: output)
            #expect(again.reuse == .notReused(.device))
            #expect(again.counts.bytesRead == first.counts.bytesRead)
        }
        #expect(first.counts.bytesRead == 1 << 20)
    }

    @Test("An image whose log is to be replayed is read, whatever its map says")
    func dirtyLog() throws {
        let dirty = try #require(try FaultScenario.inEachWay(seed: 240).interrupted())
        let files = try DiskFiles()
        try files.write(dirty, to: files.primary)
        let output = files.directory.path("map")
        let first = try map(files.primary, to: output)
        var claimed = try header(of: output)
        #expect(claimed.fileState == nil)
        let stamp = try DiskFile(opening: files.primary, for: .reading).openingStamp
        claimed.fileState = try BlockDigest(ofFiles: [stamp], isImage: true)
        try write(claimed, digestsOf: output, to: output)
        let again = try map(files.primary, to: output, reusing: output)
        #expect(again.reuse == .notReused(.dirtyLog))
        #expect(again.counts.bytesRead == first.counts.bytesRead)
        #expect(again.rootDigest == first.rootDigest)
    }

    @Test("A half-written image is refused, with a map or without")
    func halfWritten() throws {
        var builder = ImageBuilder(virtualSize: 3 << 20)
        builder.addMark()
        let files = try files(seed: 11)
        let output = files.directory.path("map")
        _ = try map(files.primary, to: output)
        try FileManager.default.removeItem(atPath: files.primary)
        try files.write(builder.build().content, to: files.primary)
        let before = try files.bytes(of: output)
        let error = resyncError { _ = try map(files.primary, to: output, reusing: output) }
        guard case .disk(.primary, .unfinishedApply) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try files.bytes(of: output) == before)
    }

    @Test("A map that is damaged anywhere, or cut, is refused, whether the disk has changed or not")
    func damaged() throws {
        let files = try files(seed: 12)
        let (output, earlier) = (files.directory.path("map"), files.directory.path("earlier"))
        _ = try map(files.primary, to: output)
        let bytes = [UInt8](try files.bytes(of: output))
        func expectRefusal(_ damaged: [UInt8], _ comment: String) throws {
            try Data(damaged).write(to: URL(filePath: earlier))
            for target in [output, earlier] {
                let monitor = ResyncMonitor()
                let error = resyncError {
                    _ = try map(files.primary, to: target, reusing: earlier, monitor: monitor)
                }
                switch error {
                case .damagedDigestMap, .unsupportedDigestMap, .notADigestMap: break
                default: Issue.record("\(comment): \(String(describing: error))")
                }
                #expect(monitor.counts.bytesRead == 0, "\(comment)")
            }
            #expect(try files.bytes(of: earlier) == Data(damaged), "\(comment)")
            #expect(try files.bytes(of: output) == Data(bytes), "\(comment)")
        }
        for changesDisk in [false, true] {
            if changesDisk { try files.overwrite(files.primary, with: [1], at: 5 << 20) }
            let places = Array(stride(from: 0, to: bytes.count, by: 97)) + [bytes.count - 1]
            for place in places {
                var damaged = bytes
                damaged[place] ^= 4
                try expectRefusal(damaged, "byte \(place)")
            }
            for count in [0, 15, 16, 19, 20, 71, 103, 104, 200, bytes.count - 1] {
                try expectRefusal(Array(bytes[..<count]), "\(count) bytes")
            }
        }
        #expect(
            try files.directory.names == ["earlier", "map", "primary.vhdx", "replica.vhdx"])
    }

    @Test("The output may be missing, and no other map")
    func missing() throws {
        let files = try files(seed: 13)
        let (output, earlier) = (files.directory.path("map"), files.directory.path("earlier"))
        let error = resyncError { _ = try map(files.primary, to: output, reusing: earlier) }
        guard case .file(.system(.open, earlier, _, ENOENT)) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let first = try map(files.primary, to: output, reusing: output)
        #expect(first.reuse == .notReused(.noMap) && first.counts.bytesRead > 0)
        #expect(try map(files.primary, to: output, reusing: output).reuse == .reused)
    }

    @Test("A stop while the map is read leaves everything as it was")
    func stopped() throws {
        let files = try files(seed: 14)
        let output = files.directory.path("map")
        _ = try map(files.primary, to: output)
        let monitor = ResyncMonitor()
        monitor.requestStop(.cancelled)
        let error = resyncError {
            let other = files.directory.path("other")
            _ = try map(files.primary, to: other, reusing: output, monitor: monitor)
        }
        #expect(error == .stopped(.cancelled))
        #expect(try files.directory.names == ["map", "primary.vhdx", "replica.vhdx"])
    }
}
