import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

/// Replicas that are smaller than the primary, that build on a parent, or on which others build.
@Suite("Replicas of other shapes")
struct ReplicaShapeTests {
    private let files: DiskFiles

    init() throws {
        files = try DiskFiles()
    }

    private func path(_ name: String) -> String { files.directory.path(name) }

    /// Makes an image, and writes values to some of its mebibytes.
    private func make(
        _ name: String, _ size: UInt64, on parent: String? = nil, isFixed: Bool = false,
        _ values: [UInt64: UInt8] = [:]
    ) throws {
        var specification = ImageSpecification(virtualSize: size)
        specification.blockSize = 2 << 20
        specification.isFixed = isFixed
        if let parent {
            let reader = try ImageReader(openingImageAt: path(parent))
            try specification.build(on: reader, at: path(name))
        }
        try ImageCreation.create(specification, at: path(name))
        let writer = try ImageWriter(openingImageAt: path(name))
        for (mebibyte, value) in values {
            let bytes = [UInt8](repeating: value, count: 1 << 20)
            try writer.write(bytes.rawSpan, at: mebibyte << 20)
        }
        try writer.close()
    }

    private func resynchronize(
        _ primary: String = "primary.vhdx", _ replica: String = "replica.vhdx",
        _ set: (inout ResyncOptions) -> Void = { _ in }
    ) throws(ResyncError) -> DiskReport {
        var options = ResyncOptions(workerCount: 2)
        set(&options)
        return try LocalResync(primary: path(primary), replica: path(replica), options: options)
            .run(monitor: ResyncMonitor())
    }

    private func failure(
        _ primary: String = "primary.vhdx", _ replica: String = "replica.vhdx",
        _ set: (inout ResyncOptions) -> Void = { _ in }
    ) -> ResyncError? {
        do throws(ResyncError) {
            _ = try resynchronize(primary, replica, set)
            return nil
        } catch {
            return error
        }
    }

    // MARK: Growing

    @Test("A smaller replica grows where that is asked for, and is left alone otherwise")
    func growing() throws {
        for isFixed in [false, true] {
            let name = "replica\(isFixed).vhdx"
            let primary = "primary\(isFixed).vhdx"
            try make(primary, 40 << 20, [0: 1, 3: 2, 39: 3])
            try make(name, (3 << 20) + 512, isFixed: isFixed, [0: 9, 1: 8])
            let before = try files.bytes(of: path(name))
            #expect(
                failure(primary, name)
                    == .differentSizes(primary: 40 << 20, replica: (3 << 20) + 512))
            let dry = try resynchronize(primary, name) {
                $0.growsReplica = true
                $0.isDryRun = true
            }
            #expect(try files.bytes(of: path(name)) == before)
            let report = try resynchronize(primary, name) { $0.growsReplica = true }
            #expect(report.isVerified && report.counts.blocksDiffering == 64)
            #expect(dry.counts.blocksDiffering == report.counts.blocksDiffering)
            let second = try resynchronize(primary, name)
            #expect(second.counts.blocksDiffering == 0 && second.rootDigest == report.rootDigest)
        }
    }

    @Test("A larger replica is never cut")
    func shrinking() throws {
        try make("primary.vhdx", 4 << 20)
        try make("replica.vhdx", 8 << 20)
        let before = try files.bytes(of: files.replica)
        #expect(
            failure { $0.growsReplica = true }
                == .differentSizes(primary: 4 << 20, replica: 8 << 20))
        #expect(try files.bytes(of: files.replica) == before)
    }

    // MARK: Children

    @Test("A replica on which another image builds is written to only by force")
    func children() throws {
        try make("primary.vhdx", 8 << 20, [1: 1])
        try make("replica.vhdx", 8 << 20, [1: 2])
        try make("child.avhdx", 8 << 20, on: "replica.vhdx", [2: 3])
        let before = try files.bytes(of: files.replica)
        let child = try Folder.realPath(of: path("child.avhdx"))
        #expect(failure() == .disk(.replica, .hasChild(path: files.replica, child: child)))
        #expect(failure { $0.isDryRun = true } == nil)
        #expect(try files.bytes(of: files.replica) == before)
        #expect(try resynchronize { $0.breaksChildren = true }.counts.blocksDiffering == 16)
        guard
            case .disk(.primary, .parentMismatch) = failure(
                "child.avhdx", "replica.vhdx", { $0.isDryRun = true })
        else {
            Issue.record("the child still opens")
            return
        }
    }

    @Test("A replica on which the primary itself builds is refused as such")
    func parentOfPrimary() throws {
        try make("base.vhdx", 8 << 20, [1: 1])
        try make("primary.vhdx", 8 << 20, on: "base.vhdx", [2: 2])
        let before = try files.bytes(of: path("base.vhdx"))
        #expect(
            failure("primary.vhdx", "base.vhdx") { $0.breaksChildren = true }
                == .parentOfPrimary(primary: files.primary, replica: path("base.vhdx")))
        #expect(try files.bytes(of: path("base.vhdx")) == before)
    }

    // MARK: Parents

    @Test("A replica is made on a parent, and stores only what differs from it")
    func creatingOnAParent() throws {
        try make("primary.vhdx", 64 << 20, [1: 1, 3: 3, 30: 5, 31: 5])
        try make("base.vhdx", 48 << 20, [1: 1, 2: 2, 3: 3])
        let base = try files.bytes(of: path("base.vhdx"))
        let dry = try resynchronize {
            $0.createsReplica = true
            $0.parentOfNewReplica = path("base.vhdx")
            $0.isDryRun = true
        }
        #expect(!FileManager.default.fileExists(atPath: files.replica))
        let report = try resynchronize {
            $0.createsReplica = true
            $0.parentOfNewReplica = path("base.vhdx")
        }
        #expect(report.isVerified && report.counts.blocksDiffering == 48)
        #expect(dry.counts.blocksDiffering == 48)
        #expect(try resynchronize().counts.blocksDiffering == 0)
        let states = try ImageInfo(ofImageAt: files.replica).blockStates
        #expect(states.fullyPresent == 1 && states.partiallyPresent == 1 && states.zero == 0)
        #expect(try files.bytes(of: path("base.vhdx")) == base)
    }

    @Test("The parent of a new replica may be named by a link to another folder")
    func parentByLink() throws {
        try FileManager.default.createDirectory(
            atPath: path("store"), withIntermediateDirectories: false)
        try FileManager.default.createDirectory(
            atPath: path("links"), withIntermediateDirectories: false)
        try make("primary.vhdx", 8 << 20, [1: 1, 3: 3])
        try make("store/base.vhdx", 8 << 20, [1: 1])
        try FileManager.default.createSymbolicLink(
            atPath: path("links/parent.vhdx"), withDestinationPath: path("store/base.vhdx"))
        try FileManager.default.createDirectory(
            atPath: path("replicas"), withIntermediateDirectories: false)
        func run(_ isDryRun: Bool) throws(ResyncError) -> UInt64 {
            try resynchronize("primary.vhdx", "replicas/replica.vhdx") {
                $0.createsReplica = true
                $0.parentOfNewReplica = path("links/parent.vhdx")
                $0.isDryRun = isDryRun
            }.counts.blocksDiffering
        }
        #expect(try run(false) == 16)
        #expect(try run(true) == 0, "a dry run finds the parent as well")
        #expect(try run(false) == 0)
    }

    @Test("The primary may be the parent of the replica, and stays as it is")
    func replicaOnPrimary() throws {
        try make("primary.vhdx", 8 << 20, [1: 1])
        try make("replica.vhdx", 8 << 20, on: "primary.vhdx", [1: 7, 5: 5])
        let before = try files.bytes(of: files.primary)
        #expect(try resynchronize().counts.blocksDiffering == 32)
        #expect(try resynchronize().counts.blocksDiffering == 0)
        #expect(try files.bytes(of: files.primary) == before)
    }

    @Test("A parent of the primary that changes under the run is noticed")
    func changedParent() throws {
        try make("base.vhdx", 8 << 20, [1: 1])
        try make("primary.vhdx", 8 << 20, on: "base.vhdx", [2: 2])
        let disk = try PrimaryDisk(
            openingDiskAt: files.primary, .primary, ResyncOptions(workerCount: 1))
        try disk.checkUnchanged()
        try files.overwrite(path("base.vhdx"), with: [1], at: 5 << 20)
        #expect(throws: ResyncError.primaryChanged(path: files.primary)) {
            try disk.checkUnchanged()
        }
    }
}
