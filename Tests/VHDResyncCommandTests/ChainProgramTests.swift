import Foundation
import Replication
import Storage
import TestSupport
import Testing
import VHDX

/// The built program on images that build on others, and on replicas that are smaller.
@Suite struct ChainProgramTests {
    private let pair: DiskPair
    /// Builds on the primary, whose content it adds to.
    private let child: String

    init() throws {
        pair = try DiskPair()
        child = pair.folder.file("child.avhdx")
        try Self.make(child, on: pair.primary, virtualSize: 7 << 30)
        let writer = try ImageWriter(openingImageAt: child)
        let bytes = [UInt8](repeating: 7, count: 4096)
        try writer.write(bytes.rawSpan, at: 6 << 30)
        try writer.close()
    }

    private static func make(_ path: String, on parent: String, virtualSize: UInt64) throws {
        var specification = ImageSpecification(virtualSize: virtualSize)
        let reader = try ImageReader(openingImageAt: parent)
        try specification.build(on: reader, at: path)
        try ImageCreation.create(specification, at: path)
    }

    private func expect(
        _ code: ReturnCode, _ sentence: String, _ arguments: [String],
        keeping files: [String] = []
    ) throws {
        let before = files.map { try? DiskPair.bytes(of: $0) }
        let ending = try Program.run(arguments + ["--quiet"])
        #expect(ending.status == code.exitStatus, "\(arguments): \(ending.error)")
        #expect(
            sentence.isEmpty ? ending.error.isEmpty : ending.error.contains(sentence),
            "\(arguments): \(ending.error)")
        let after = files.map { try? DiskPair.bytes(of: $0) }
        #expect(before == after)
    }

    @Test func aChainGoesToAReplicaThatGrows() throws {
        let parent = pair.primary
        try expect(
            .invalidState, "the virtual sizes differ", [child, pair.replica],
            keeping: [child, parent, pair.replica])
        try expect(.completed, "", ["--grow", child, pair.replica], keeping: [child, parent])
        try QEMU.img(["check", pair.replica]).requireSuccess()
        try expect(.completed, "", ["diff", child, pair.replica])
        let again = try Program.run([child, pair.replica])
        #expect(again.output.contains("reads as"))
    }

    @Test func aReplicaIsMadeOnAParent() throws {
        let replica = pair.folder.file("new.avhdx")
        let base = pair.replica
        try expect(
            .completed, "", ["--create", "--parent", base, pair.primary, replica],
            keeping: [base, pair.primary])
        let info = try Program.run(["info", replica])
        #expect(info.output.contains("differencing"))
        try expect(.completed, "", ["diff", pair.primary, replica])
        // What the base holds already is not stored again.
        let states = try ImageInfo(ofImageAt: replica).blockStates
        #expect(states.fullyPresent + states.partiallyPresent == 15)
        try expect(
            .invalidParameter, "needs '--create'",
            ["--parent", base, pair.primary, replica], keeping: [replica])
    }

    @Test func aReplicaWithAChildIsLeftAlone() throws {
        let primary = pair.replica
        let replica = pair.primary
        try expect(
            .systemInUse, "child.avhdx builds on", [primary, replica], keeping: [replica, child])
        try expect(.completed, "", ["--dry-run", primary, replica], keeping: [replica, child])
        try expect(.completed, "", ["--force", primary, replica])
        // The child can still be described, and be no primary any more.
        #expect(try Program.run(["info", child]).status == 0)
        try expect(
            .invalidState, "is not the parent that",
            ["--create", child, pair.folder.file("other.vhdx")])
    }

    @Test func aParentElsewhereIsFoundWhereTheUserSays() throws {
        let inner = pair.folder.file("inner")
        try FileManager.default.createDirectory(
            atPath: inner, withIntermediateDirectories: false)
        let moved = inner + "/moved.avhdx"
        try Self.make(moved, on: pair.primary, virtualSize: 6 << 30)
        try expect(
            .accessDenied, "outside the folders", [moved, pair.replica], keeping: [pair.replica])
        try expect(
            .completed, "", ["--parent-path", pair.folder.path, moved, pair.replica])
        try expect(.completed, "", ["diff", pair.primary, pair.replica])
        try expect(
            .fileNotFound, "gone", ["--parent-path", pair.folder.file("gone"), moved, pair.replica])
    }

    @Test func theParentOfThePrimaryIsNoReplica() throws {
        try expect(
            .invalidParameter, "builds on", ["--force", child, pair.primary],
            keeping: [child, pair.primary])
    }
}
