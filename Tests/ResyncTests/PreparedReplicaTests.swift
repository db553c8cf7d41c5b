import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("A replica that is prepared, checked and finished")
struct PreparedReplicaTests {
    private let files: DiskFiles
    private let pair: DiskPair

    init() throws {
        var generator = SeededGenerator(seed: 4100)
        // Past 4 GiB, mostly of holes.
        let shape = DiskShape(virtualSize: (5 << 30) + 512)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<1 << 20, using: &generator)
        pair.replica = pair.primary
        pair.primary.fill(300_032..<400_384, using: &generator)
        pair.primary.fill(9 << 29..<9 << 29 | 4096, using: &generator)
        pair.replica.fill(5 << 20..<6 << 20, using: &generator)
        self.pair = pair
        files = try DiskFiles(pair, using: &generator)
    }

    private var journal: String { files.replica + ".resync" }
    private var options: ResyncOptions { ResyncOptions(workerCount: 2) }

    private func prepare(_ options: ResyncOptions? = nil) throws(ResyncError) -> PreparedDisk {
        try LocalResync(
            primary: files.primary, replica: files.replica, options: options ?? self.options
        ).prepare(monitor: ResyncMonitor())
    }

    private func replica(
        _ prepared: PreparedDisk, _ options: ResyncOptions? = nil
    ) throws -> PreparedReplica {
        PreparedReplica(
            path: files.replica, options: options ?? self.options,
            journal: try #require(prepared.journal))
    }

    private func check(_ replica: PreparedReplica) throws(ResyncError) {
        try replica.check(monitor: ResyncMonitor())
    }

    @discardableResult
    private func finish(_ replica: PreparedReplica) throws(ResyncError) -> DiskReport {
        try replica.finish(monitor: ResyncMonitor())
    }

    private func isNew() throws -> Bool {
        try files.content(of: files.replica).readsAs(pair.primary)
    }

    private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// Whether an error says that the replica is not as it was prepared, with these words.
    private func isRefusal(_ error: ResyncError?, _ words: String) -> Bool {
        guard case .notAsPrepared(let path, let what) = error else { return false }
        return path == files.replica && what.contains(words)
    }

    /// Whether the journal has its end. What is no journal has none.
    private func isCommitted() throws -> Bool {
        let file = try DiskFile(opening: journal, for: .reading)
        do {
            let reader = try DeltaReader(reading: file)
            return reader.trailer != nil
        } catch ResyncError.notADelta {
            return false
        }
    }

    // MARK: As it should be

    @Test("Prepared, it is as it was to the byte, beside an unfinished journal")
    func prepared() throws {
        let before = try files.bytes(of: files.replica)
        let fingerprint = DiskFile.fingerprint(ofFileAt: files.replica)
        let prepared = try prepare()
        #expect(prepared.report.rootDigest != nil && !prepared.report.isVerified)
        #expect(prepared.report.counts.blocksDiffering > 10)
        try check(replica(prepared))
        try prepared.checkPrimary(at: files.primary, options)
        #expect(try files.bytes(of: files.replica) == before)
        #expect(DiskFile.fingerprint(ofFileAt: files.replica) == fingerprint)
        let outcome = try ReplicaRecovery(replica: files.replica, options: options)
            .run(monitor: ResyncMonitor())
        #expect(outcome == .unfinishedJournal(journal))
        #expect(try !isCommitted())
        #expect(try files.bytes(of: files.replica) == before)
    }

    @Test("Finished, it reads as the primary, and to finish it again changes nothing")
    func finished() throws {
        let prepared = try prepare()
        let replica = try replica(prepared)
        let report = try finish(replica)
        #expect(report.isVerified && report.rootDigest == prepared.report.rootDigest)
        #expect(report.counts.bytesWritten > 0)
        #expect(try isNew())
        #expect(!isThere(journal))
        let after = try files.bytes(of: files.replica)
        let again = try finish(replica)
        #expect(again.isVerified && again.counts.bytesWritten == 0)
        #expect(try files.bytes(of: files.replica) == after)
        // Nor where the next run has begun.
        try Data().write(to: URL(filePath: journal))
        try finish(replica)
        #expect(try files.bytes(of: files.replica) == after)
    }

    @Test("The next run goes on with what was prepared, whether it prepares or not")
    func goneOnWith() throws {
        let first = try prepare()
        let second = try prepare()
        #expect(second.report.counts.blocksHeld == first.report.counts.blocksDiffering)
        let (one, other) = (try #require(first.journal), try #require(second.journal))
        #expect(one.header == other.header && one.byteCount == other.byteCount)
        let report = try LocalResync(
            primary: files.primary, replica: files.replica, options: options
        ).run(monitor: ResyncMonitor())
        #expect(report.counts.blocksHeld == first.report.counts.blocksDiffering)
        #expect(try isNew())
        try finish(replica(first))
    }

    @Test("Equal disks need nothing")
    func equal() throws {
        try finish(replica(prepare()))
        let before = try files.bothFiles
        let prepared = try prepare()
        #expect(prepared.journal == nil && prepared.report.isVerified)
        #expect(try files.bothFiles == before)
        #expect(!isThere(journal))
    }

    @Test("A mark goes with the journal, though no block differs")
    func marked() throws {
        try finish(replica(prepare()))
        let writer = try ImageWriter(openingImageAt: files.replica)
        try writer.setMark(ApplyMark(streamID: .zero, journalPath: ""))
        try writer.close()
        let replica = try replica(prepare())
        #expect(replica.journal.byteCount == UInt64(DeltaHeader.byteCount))
        #expect(throws: VHDXError.self) { try files.content(of: files.replica) }
        try check(replica)
        try finish(replica)
        #expect(try isNew())
        #expect(!isThere(journal))
    }

    @Test("A journal in a folder of its own, and one whose end is half there")
    func otherFolder() throws {
        var options = options
        options.journalFolder = files.directory.path("journals")
        options.verifiesWholeReplica = true
        try FileManager.default.createDirectory(
            atPath: files.directory.path("journals"), withIntermediateDirectories: false)
        let replica = try replica(prepare(options), options)
        #expect(!isThere(journal))
        try finish(replica)
        #expect(try isNew())
    }

    @Test("A trailer of which a power cut has left a part is written anew")
    func tornTrailer() throws {
        let prepared = try prepare()
        let replica = try replica(prepared)
        let trailer = replica.journal.trailer
        let (old, journalBytes) = (
            try files.bytes(of: files.replica), try files.bytes(of: journal)
        )
        let fingerprint = DiskFile.fingerprint(ofFileAt: files.replica)
        let zeros = [UInt8](repeating: 0, count: 144)
        for left in [
            Array(trailer.prefix(1)), Array(trailer.prefix(143)), zeros,
            Array(trailer.prefix(72)) + zeros.prefix(72),
            Array(zeros.prefix(80)) + trailer.suffix(64),
        ] {
            try journalBytes.write(to: URL(filePath: files.replica + ".resync"))
            try files.overwrite(journal, with: left, at: UInt64(journalBytes.count))
            #expect(throws: ResyncError.self) { try check(replica) }
            try finish(replica)
            #expect(try isNew())
            try old.write(to: URL(filePath: files.replica))
            // The content proves that it is the one, although the file is another.
            #expect(DiskFile.fingerprint(ofFileAt: files.replica) != fingerprint)
        }
    }

    @Test("A raw replica proves by its content that it is the one")
    func raw() throws {
        var options = options
        options.primaryFormat = .raw
        options.replicaFormat = .raw
        var bytes = [UInt8](repeating: 7, count: 3 << 20)
        try Data(bytes).write(to: URL(filePath: files.primary))
        bytes.replaceSubrange(65536..<65600, with: repeatElement(1, count: 64))
        try Data(bytes).write(to: URL(filePath: files.replica))
        let replica = try replica(prepare(options), options)
        try check(replica)
        // Another file with the same content.
        try Data(bytes).write(to: URL(filePath: files.replica))
        #expect(isRefusal(resyncError { try check(replica) }, "changed"))
        bytes[0] = 8
        try Data(bytes).write(to: URL(filePath: files.replica))
        let error = resyncError { try finish(replica) }
        guard case .foreignJournal = error else { throw error ?? .stopped(.cancelled) }
        #expect(try files.bytes(of: files.replica) == Data(bytes))
        bytes[0] = 7
        try Data(bytes).write(to: URL(filePath: files.replica))
        for _ in 0..<2 { try finish(replica) }
        #expect(try files.bytes(of: files.replica) == files.bytes(of: files.primary))
        bytes[1] = 9
        try Data(bytes).write(to: URL(filePath: files.replica))
        #expect(isRefusal(resyncError { try finish(replica) }, "is gone"))
    }

    // MARK: When something is in the way

    /// What somebody does to a replica or its journal, what a check then says, and what an end.
    private func disturb(
        _ words: String, finishes: Bool = false, _ body: () throws -> Void
    ) throws {
        let replica = try replica(prepare())
        try body()
        let before = try files.bytes(of: files.replica)
        #expect(isRefusal(resyncError { try check(replica) }, words))
        #expect(try files.bytes(of: files.replica) == before)
        let error = resyncError { try finish(replica) }
        guard !finishes else {
            #expect(error == nil)
            #expect(try isNew())
            return
        }
        switch error {
        case .foreignJournal, .notAsPrepared: break
        default: Issue.record("\(String(describing: error))")
        }
        #expect(try files.bytes(of: files.replica) == before)
        if isThere(journal) { #expect(try !isCommitted()) }
    }

    @Test("Somebody has written to the replica")
    func writtenTo() throws {
        try disturb("somebody has changed it") {
            let writer = try ImageWriter(openingImageAt: files.replica)
            try writer.write([1, 2, 3, 4].rawSpan, at: 0)
            try writer.close()
        }
    }

    @Test("Somebody has touched the replica, whose content is what it was")
    func touched() throws {
        try disturb("somebody has changed it", finishes: true) {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1_100_000_000)],
                ofItemAtPath: files.replica)
        }
    }

    @Test("The journal is gone, or another one")
    func otherJournal() throws {
        try disturb("is gone") { try FileManager.default.removeItem(atPath: journal) }
        try disturb("is another one") {
            try FileManager.default.removeItem(atPath: journal)
            _ = try prepare()
        }
        try disturb("is another one") { try Data([0, 0]).write(to: URL(filePath: journal)) }
    }

    @Test("The journal is shorter, or damaged")
    func damagedJournal() throws {
        try disturb("bytes, and had") {
            let file = try DiskFile(opening: journal, for: .writing)
            try file.setByteCount(try file.byteCount() - 1)
        }
        let replica = try replica(prepare())
        try files.overwrite(journal, with: [0x5A], at: replica.journal.byteCount - 9)
        let before = (try files.bytes(of: files.replica), try files.bytes(of: journal))
        #expect(isRefusal(resyncError { try finish(replica) }, "something else"))
        #expect(try files.bytes(of: files.replica) == before.0)
        #expect(try files.bytes(of: journal) == before.1)
    }

    @Test("Somebody has the replica open, or the primary was written to")
    func inUse() throws {
        let prepared = try prepare()
        let replica = try replica(prepared)
        do {
            let reader = try ImageReader(openingImageAt: files.replica)
            for body in [check, { _ = try finish($0) }] as [(PreparedReplica) throws -> Void] {
                guard case .disk(.replica, .file(.locked)) = resyncError({ try body(replica) })
                else {
                    Issue.record("it is not in use")
                    return
                }
            }
            withExtendedLifetime(reader) {}
        }
        try check(replica)
        try files.setChanged(files.primary)
        try prepared.checkPrimary(at: files.primary, options)
        let writer = try ImageWriter(openingImageAt: files.primary)
        try writer.write([1, 2, 3, 4].rawSpan, at: 0)
        try writer.close()
        #expect(
            resyncError { try prepared.checkPrimary(at: files.primary, options) }
                == .primaryChanged(path: files.primary))
    }

    @Test("A dry run, or one in place, prepares nothing")
    func whatMakesNoSense() throws {
        var dry = options
        dry.isDryRun = true
        var inPlace = options
        inPlace.writeMethod = .inPlace
        for options in [dry, inPlace] {
            let error = resyncError { _ = try prepare(options) }
            guard case .invalidOption = error else { throw error ?? .stopped(.cancelled) }
        }
    }

    // MARK: As a value

    @Test("As bytes it is what it was, and where a byte is another it is none, or another one")
    func coding() throws {
        let journal = try #require(try prepare().journal)
        let bytes = journal.encoded()
        #expect(bytes.count == PreparedJournal.encodedByteCount && bytes.count == 352)
        #expect(PreparedJournal(decoding: bytes) == journal)
        #expect(PreparedJournal(decoding: bytes + [0]) == nil)
        #expect(PreparedJournal(decoding: Array(bytes.dropLast())) == nil)
        var others = 0
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x80
            guard let other = PreparedJournal(decoding: damaged) else { continue }
            #expect(other != journal && other.encoded() == damaged)
            others += 1
        }
        // The length, but for its highest byte, and the SHA-256, which only the journal can prove.
        #expect(others == 7 + 32)
    }
}
