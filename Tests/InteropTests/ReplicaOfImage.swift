internal import BlockIO
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// One image as primary: makes replicas of it in every way, brings them up to date, and has them
/// judged by this project's reader, by the digests of `images.json`, and by QEMU.
struct ReplicaOfImage {
    /// Larger disks are judged by their ranges with data; QEMU needs minutes for all of one.
    static let largestWholeDisk: UInt64 = 16 << 30
    /// Larger disks have all their bytes hashed once, smaller ones in every replica.
    private static let largestCheapDisk: UInt64 = 256 << 20
    private static let largestFixedReplica: UInt64 = 128 << 20
    /// A debug build takes seconds for each pass over a table of more blocks, and each way takes
    /// twenty passes: such a primary has one replica.
    private static let mostBlocksForEveryWay: UInt64 = 1 << 20

    let image: TestImage
    let primary: String
    let folder: TemporaryFolder
    /// Nil for a primary with too many blocks for every way.
    private let root: BlockDigest?
    private let data: [Range<UInt64>]
    /// The primary as QEMU opens it: with the log replayed.
    private let primaryForQEMU: String

    init(_ image: TestImage, unpackedAt path: String, in folder: TemporaryFolder) throws {
        self.image = image
        self.folder = folder
        primary = path
        let isForEveryWay =
            image.virtualSize / image.payloadBlockSize <= Self.mostBlocksForEveryWay
        root = isForEveryWay ? try ResyncTrial.rootDigest(ofImageAt: path) : nil
        if let ranges = image.dataRanges {
            data = ranges.map { $0.offset..<$0.offset + $0.count }
        } else {
            data = try DiskContent.dataRanges(ofImageAt: path)
        }
        guard image.dirtyLog else {
            primaryForQEMU = path
            return
        }
        primaryForQEMU = folder.file("replayed-by-qemu.vhdx")
        try Self.copy(path, to: primaryForQEMU)
        try QEMU.img(["check", "-q", "-r", "all", "-f", "vhdx", primaryForQEMU]).requireSuccess()
    }

    /// Every way there is for this image.
    func tryEveryWay() throws {
        let parents = image.parentPaths(besideImageAt: primary)
        let before = try parents.map { try FileState(ofFileAt: $0) }
        try aCopyWithChangedBlocks()
        try aCopyThatIsElsewhere()
        if root != nil { try everyOtherWay() }
        #expect(try parents.map { try FileState(ofFileAt: $0) } == before, "\(image): parents")
    }

    private func everyOtherWay() throws {
        try aNewImage()
        try anImageOfAnotherBlockSize()
        if image.readableByQEMU {
            try aCopyChangedByQEMU()
            try anImageByQEMU(subformat: "dynamic")
            if image.virtualSize <= Self.largestFixedReplica {
                try anImageByQEMU(subformat: "fixed")
            }
        }
        if image.dirtyLog { try aReplicaWithADirtyLog() }
    }

    // MARK: The ways

    private func aCopyWithChangedBlocks() throws {
        let replica = folder.file("copy.vhdx")
        try Self.copy(primary, to: replica)
        let changes = changes(seed: 1, count: 16)
        try changes.apply(toImageAt: replica)
        let trial = ResyncTrial(label: "\(image), changed copy", primary: primary, replica: replica)
        let report = try trial.run(expecting: root)
        #expect(report.counts.blocksDiffering > 0, "\(trial.label)")
        try judge(trial, changes)
    }

    /// Map there, delta here, applied there: neither side sees the other's disk.
    private func aCopyThatIsElsewhere() throws {
        let replica = folder.file("elsewhere.vhdx")
        try Self.copy(primary, to: replica)
        let changes = changes(seed: 3, count: 16)
        try changes.apply(toImageAt: replica)
        let trial = ResyncTrial(label: "\(image), elsewhere", primary: primary, replica: replica)
        let (map, delta) = (folder.file("elsewhere.map"), folder.file("elsewhere.delta"))
        let before = try FileState(ofFileAt: replica)
        let mapping = DiskMapping(disk: replica, output: map, options: trial.options)
        let mapped = try mapping.run(monitor: ResyncMonitor())
        let comparison = DiskComparison(
            primary: primary, replica: map, output: delta, options: trial.options)
        let difference = try comparison.run(monitor: ResyncMonitor())
        #expect(difference.counts.blocksDiffering > 0, "\(trial.label)")
        #expect(try FileState(ofFileAt: replica) == before, "\(trial.label)")
        let mapSize = try DiskFile(opening: map, for: .reading).byteCount()
        #expect(mapSize <= 40 * mapped.counts.blocksTotal + 65536, "\(trial.label)")

        let application = DeltaApply(delta: delta, replica: replica, options: trial.options)
        let report = try application.run(monitor: ResyncMonitor())
        #expect(report.isVerified, "\(trial.label)")
        #expect(report.rootDigest == difference.rootDigest, "\(trial.label)")
        #expect(
            report.counts.blocksDiffering == difference.counts.blocksDiffering, "\(trial.label)")
        try trial.run(expecting: nil)
        try judge(trial, changes)
        let again = try application.run(monitor: ResyncMonitor())
        #expect(again.counts.bytesWritten == 0, "\(trial.label), again")
    }

    private func aCopyChangedByQEMU() throws {
        let replica = folder.file("copy-by-qemu.vhdx")
        try Self.copy(primary, to: replica)
        let changes = changes(seed: 2, count: 12)
        try changes.applyByQEMU(toImageAt: replica)
        var trial = ResyncTrial(
            label: "\(image), copy changed by QEMU", primary: primary, replica: replica)
        trial.options.comparison = .bytes
        trial.options.blockSize = 4096
        let report = try trial.run(expecting: root)
        #expect(report.counts.blocksDiffering > 0, "\(trial.label)")
        try judge(trial, changes)
    }

    private func aNewImage() throws {
        let replica = folder.file("new.vhdx")
        var trial = ResyncTrial(label: "\(image), new image", primary: primary, replica: replica)
        trial.options.createsReplica = true
        trial.options.verifiesWholeReplica = true
        try trial.run(expecting: root)
        try judge(trial, [], hashesLargeDisk: true)

        let made = try ImageInfo(ofImageAt: replica)
        let original = try ImageInfo(ofImageAt: primary)
        let kind = image.differencing ? .dynamic : original.kind
        #expect(made.kind == kind, "\(trial.label)")
        #expect(made.virtualSize == original.virtualSize, "\(trial.label)")
        #expect(made.payloadBlockSize == original.payloadBlockSize, "\(trial.label)")
        #expect(made.logicalSectorSize == original.logicalSectorSize, "\(trial.label)")
        #expect(made.physicalSectorSize == original.physicalSectorSize, "\(trial.label)")
        #expect(made.virtualDiskID == original.virtualDiskID, "\(trial.label)")
    }

    private func anImageOfAnotherBlockSize() throws {
        // QEMU makes such images too, but not with these sectors.
        guard !image.readableByQEMU else { return }
        let replica = folder.file("other-block-size.vhdx")
        var specification = ImageSpecification(virtualSize: image.virtualSize)
        specification.blockSize = otherBlockSize
        specification.logicalSectorSize = UInt64(image.logicalSectorSize)
        specification.physicalSectorSize = UInt64(image.physicalSectorSize)
        try ImageCreation.create(specification, at: replica)
        let changes = changes(seed: 3, count: 12)
        try changes.apply(toImageAt: replica)
        let trial = ResyncTrial(
            label: "\(image), other block size", primary: primary, replica: replica)
        try trial.run(expecting: root)
        try judge(trial, changes)
    }

    private func anImageByQEMU(subformat: String) throws {
        let replica = folder.file("\(subformat)-by-qemu.vhdx")
        let options = "subformat=\(subformat),block_size=\(otherBlockSize)"
        try QEMU.img(
            ["create", "-q", "-f", "vhdx", "-o", options, replica, "\(image.virtualSize)"]
        ).requireSuccess()
        let changes = changes(seed: 4, count: 12)
        try changes.applyByQEMU(toImageAt: replica)
        var trial = ResyncTrial(
            label: "\(image), \(subformat) by QEMU", primary: primary, replica: replica)
        trial.options.blockSize = 1 << 20
        try trial.run(expecting: root)
        try judge(trial, changes)
    }

    /// The image itself as replica: whoever opens it for writing replays its log.
    private func aReplicaWithADirtyLog() throws {
        let changed = folder.file("changed-primary.vhdx")
        try Self.copy(primary, to: changed)
        let changes = changes(seed: 5, count: 12)
        try changes.apply(toImageAt: changed)
        let replica = folder.file("dirty.vhdx")
        try Self.copy(primary, to: replica)
        #expect(try ImageInfo(ofImageAt: replica).logIsDirty, "\(image)")
        let trial = ResyncTrial(
            label: "\(image), dirty log in the replica", primary: changed, replica: replica)
        try trial.run(expecting: try ResyncTrial.rootDigest(ofImageAt: changed))
        #expect(try !ImageInfo(ofImageAt: replica).logIsDirty, "\(trial.label)")
        try QEMU.img(["check", "-q", "-f", "vhdx", replica]).requireSuccess()
        #expect(try QEMU.compare(changed, replica), "\(trial.label)")
    }

    // MARK: Judging

    private func judge(
        _ trial: ResyncTrial, _ changes: [ContentChange], hashesLargeDisk: Bool = false
    ) throws {
        let isLarge = image.virtualSize > Self.largestCheapDisk
        if let digest = image.contentSHA256, hashesLargeDisk || !isLarge {
            let found = try DiskContent.sha256(ofImageAt: trial.replica)
            #expect(found == digest, "\(trial.label)")
        }
        try expectDataRanges(trial)
        if !isLarge || image.dataRanges != nil { try expectContentByOthers(trial) }
        guard image.readableByQEMU else { return }
        try QEMU.img(["check", "-q", "-f", "vhdx", trial.replica]).requireSuccess()
        if image.virtualSize <= Self.largestWholeDisk {
            #expect(try QEMU.compare(primaryForQEMU, trial.replica), "\(trial.label)")
        } else {
            try expectDataRangesByQEMU(trial, changes)
        }
    }

    private func expectContentByOthers(_ trial: ResyncTrial) throws {
        let ranges = (image.dataRanges ?? []).map { $0.offset..<$0.offset + $0.count }
        let digests = image.dataRanges?.map(\.sha256) ?? [image.contentSHA256].compactMap { $0 }
        let isChild = try ImageInfo(ofImageAt: trial.replica).kind == .differencing
        let parents = isChild ? image.parentPaths(besideImageAt: primary) : []
        for reader in OtherReader.allCases where try reader.canRead([trial.replica] + parents) {
            let reading = try reader.read(trial.replica, parents: parents, ranges: ranges)
            #expect(reading.size == image.virtualSize, "\(trial.label), \(reader)")
            #expect(reading.digests == digests, "\(trial.label), \(reader)")
        }
    }

    private func expectDataRanges(_ trial: ResyncTrial) throws {
        guard let ranges = image.dataRanges else { return }
        let content = try DiskContent.inspect(imageAt: trial.replica, dataIn: data)
        #expect(content.digests == ranges.map(\.sha256), "\(trial.label)")
        #expect(content.firstDataElsewhere == nil, "\(trial.label)")
    }

    /// Lets QEMU read the ranges with data, and zeros where others were written before.
    private func expectDataRangesByQEMU(_ trial: ResyncTrial, _ changes: [ContentChange]) throws {
        for range in image.dataRanges ?? [] {
            let place = "driver=raw,offset=\(range.offset),size=\(range.count)"
            let disks = [primary, trial.replica].map {
                "\(place),file.driver=vhdx,file.file.driver=file,file.file.filename=\($0)"
            }
            let outcome = try QEMU.img(["compare", "-q", "--image-opts"] + disks)
            #expect(outcome.isSuccess, "\(trial.label), \(outcome)")
        }
        let elsewhere = changes.map(\.range).filter { range in
            !data.contains { $0.overlaps(range) }
        }
        guard !elsewhere.isEmpty else { return }
        let commands = elsewhere.map { "read -q -P 0 \($0.lowerBound) \($0.byteCount)" }
        try QEMU.io(commands, on: trial.replica, isReadOnly: true).requireSuccess()
    }

    // MARK: Small parts

    private func changes(seed: UInt64, count: Int) -> [ContentChange] {
        var generator = ContentChangeGenerator(
            seed: seed, virtualSize: image.virtualSize, data: data,
            alignment: image.differencing ? UInt64(image.logicalSectorSize) : 1)
        return generator.changes(count: count)
    }

    private var otherBlockSize: UInt64 {
        let sizes: [UInt64] = [1 << 20, 2 << 20, 8 << 20, 32 << 20, 256 << 20]
        let index = sizes.firstIndex(of: image.payloadBlockSize) ?? 0
        return sizes[(index + 1) % sizes.count]
    }

    private static func copy(_ source: String, to copy: String) throws {
        try ExternalProgram.run("cp", ["--sparse=always", source, copy]).requireSuccess()
    }
}
