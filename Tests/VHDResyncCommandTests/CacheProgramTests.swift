import Foundation
import Storage
import TestSupport
import Testing
import VHDX

/// The built program, and what it leaves in the page cache.
@Suite(.enabled(if: PageCache.refusal == nil, "\(PageCache.refusal ?? "")"))
struct CacheProgramTests {
    private let pair: DiskPair
    private static let dataByteCount = 48 << 20
    /// What may stay: less than is read at once.
    private static let slack = 256 << 10

    init() throws {
        pair = try DiskPair(dataByteCount: Self.dataByteCount)
        try drop(pair.primary, pair.replica)
    }

    private func drop(_ paths: String...) throws {
        for path in paths { try PageCache.drop(path) }
    }

    private func resident(_ path: String) throws -> Int {
        try PageCache.residentByteCount(of: path)
    }

    private func run(_ arguments: String...) throws {
        let ending = try Program.run(arguments + ["--quiet"])
        #expect(ending.status == 0, "\(ending.error)")
    }

    @Test func keepsWhatIsReadUnlessTold() throws {
        try run("diff", pair.primary, pair.replica)
        #expect(try resident(pair.primary) >= Self.dataByteCount)
        try drop(pair.primary)
        try run("diff", pair.primary, pair.replica, "--cache", "keep")
        #expect(try resident(pair.primary) >= Self.dataByteCount)
    }

    @Test(arguments: [[], ["--in-place"], ["--compare", "bytes"], ["--create"]])
    func givesBackWhatAReplicaTakes(_ options: [String]) throws {
        if options == ["--create"] { try FileManager.default.removeItem(atPath: pair.replica) }
        let ending = try Program.run(
            [pair.primary, pair.replica, "--quiet", "--cache", "drop"] + options)
        #expect(ending.status == 0, "\(ending.error)")
        #expect(try resident(pair.primary) <= Self.slack)
        #expect(try resident(pair.replica) <= Self.slack)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func givesBackWhatOtherVerbsRead() throws {
        let map = pair.folder.file("map")
        let delta = pair.folder.file("delta")
        try run("map", pair.replica, "-o", map, "--cache", "drop")
        try run("diff", pair.primary, map, "-o", delta, "--cache", "drop")
        try run("diff", pair.primary, pair.replica, "--cache", "drop")
        for path in [pair.primary, pair.replica, map, delta] {
            #expect(try resident(path) <= Self.slack, "\(path)")
        }
        try run("apply", delta, pair.replica, "--cache", "drop")
        #expect(try resident(delta) <= Self.slack)
        #expect(try resident(pair.replica) <= Self.slack)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func givesBackWhatIsReadOfParents() throws {
        let child = pair.folder.file("child.avhdx")
        var specification = ImageSpecification(virtualSize: 6 << 30)
        let reader = try ImageReader(openingImageAt: pair.primary)
        try specification.build(on: reader, at: child)
        try ImageCreation.create(specification, at: child)
        try drop(pair.primary, child)
        try run("map", child, "-o", pair.folder.file("map"))
        #expect(try resident(pair.primary) >= Self.dataByteCount)
        try drop(pair.primary, child)
        try run("map", child, "-o", pair.folder.file("map"), "--cache", "drop")
        #expect(try resident(pair.primary) <= Self.slack)
        #expect(try resident(child) <= Self.slack)
    }

    @Test func leavesWhatOthersUse() throws {
        try PageCache.read(8 << 20..<24 << 20, of: pair.primary)
        let before = try resident(pair.primary)
        #expect(before >= 16 << 20 && before < 20 << 20)
        try run(pair.primary, pair.replica, "--cache", "drop")
        let after = try resident(pair.primary)
        #expect(after >= before && after <= before + Self.slack)
    }

    /// A raw disk of which the data lies beyond 4 GiB.
    @Test func givesBackWhatLiesFarBehind() throws {
        let paths = [pair.folder.file("primary.raw"), pair.folder.file("replica.raw")]
        for path in paths {
            let file = try DiskFile(creating: path)
            try file.setByteCount(7 << 30)
            let bytes = [UInt8](repeating: 3, count: 20 << 20)
            try file.write(bytes.rawSpan, at: 6 << 30)
            try file.flush()
            try drop(path)
        }
        let formats = ["--primary-format", "raw", "--replica-format", "raw", "--quiet"]
        for (cache, range) in [("drop", 0...Self.slack), ("keep", 20 << 20...Int.max)] {
            let ending = try Program.run(["diff"] + paths + formats + ["--cache", cache])
            #expect(ending.status == 0, "\(ending.error)")
            for path in paths { #expect(try range.contains(resident(path)), "\(cache)") }
        }
    }
}
