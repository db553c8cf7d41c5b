internal import Foundation
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing

/// A run that goes on where another was killed does not do again what that had done.
@Suite("The program that goes on", .serialized)
struct ContinuedProgramTests {
    private static let refusal = ChangingCalls.refusal

    /// What a run did: how much it wrote to the journal, and read of the primary's file.
    private struct Work {
        var bytesRecorded: UInt64 = 0
        var bytesOfPrimary: UInt64 = 0
        /// From the JSON result, where there is one.
        var bytesRead: UInt64 = 0
        var bytesReceived: UInt64?
        var journalByteCount: UInt64 = 0
        var journalWrites: [ChangingCalls.Call] = []
    }

    private func run(
        _ replica: StoppedReplica, _ fault: ChangingCalls.Fault? = nil
    ) throws -> Work {
        let logs = try TemporaryFolder()
        let log = logs.file("calls")
        let ending = try Program.run(
            ["--json"] + replica.job,
            environment: try ChangingCalls.environment(
                in: [replica.folder], fault, log: log, reads: replica.pair.folder.path))
        #expect(ending.wasKilled == (fault != nil), "\(ending.error)")
        let calls = try ChangingCalls.calls(notedIn: log)
        var work = Work()
        work.journalWrites = calls.filter { $0.name == "pwrite" && $0.path == replica.journal }
        work.bytesRecorded = work.journalWrites.reduce(0) { $0 + $1.byteCount }
        work.journalByteCount = work.journalWrites.map { $0.offset + $0.byteCount }.max() ?? 0
        work.bytesOfPrimary = calls.filter { $0.name == "pread" }.reduce(0) { $0 + $1.byteCount }
        guard fault == nil else { return work }
        #expect(ending.status == 0, "\(ending.error)")
        let object = try JSONSerialization.jsonObject(with: Data(ending.output.utf8))
        let disks = (object as? [String: Any])?["disks"] as? [[String: Any]]
        let disk = try #require(disks?.first)
        work.bytesRead = try #require(disk["bytesRead"] as? UInt64)
        let phases = disk["phases"] as? [String: [String: Any]]
        work.bytesReceived = phases?["receiving"]?["bytes"] as? UInt64
        return work
    }

    /// The blocks with content that an unfinished journal holds, in bytes.
    private func bytesHeld(in journal: String) throws -> UInt64 {
        var reader = try DeltaReader(reading: try DiskFile(opening: journal, for: .reading))
        #expect(reader.trailer == nil)
        while try reader.next() != nil {}
        return reader.counts.dataBlocks * UInt64(reader.header.blockSize)
    }

    @Test(
        "After a kill at 80 % of receiving at most 25 % is received by the second run",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func killedWhileReceiving() throws {
        let folder = try TemporaryFolder()
        let pair = try StalePair(blockCount: 128)
        let replica = StoppedReplica(pair: pair, folder: folder.path, label: "")
        try replica.reset()
        let whole = try run(replica)
        #expect(try replica.remains() == .new)

        try replica.reset()
        let place = whole.journalByteCount / 5 * 4
        let write = try #require(whole.journalWrites.first { $0.offset >= place })
        _ = try run(replica, .kill(at: write.number))
        #expect(try replica.remains() == .old)
        let reached = try #require(DiskFile.fingerprint(ofFileAt: replica.journal)).byteCount
        #expect(reached >= place && reached < whole.journalByteCount)
        let held = try bytesHeld(in: replica.journal)

        let second = try run(replica)
        #expect(second.bytesRecorded * 4 <= whole.journalByteCount)
        if let received = second.bytesReceived { #expect(received * 4 <= whole.journalByteCount) }
        // An undisturbed run reads each block of the primary once; the table may be read in other pieces.
        #expect(second.bytesOfPrimary + held < whole.bytesOfPrimary + 65536)
        #expect(second.bytesRead + held <= whole.bytesRead)
        #expect(try replica.remains() == .new)
        try replica.expectNothingElse()
        let share = second.bytesRecorded * 100 / whole.journalByteCount
        print(
            "killed at \(reached * 100 / whole.journalByteCount) % of receiving: the second run "
                + "records \(share) %, and reads \(second.bytesOfPrimary) bytes of the primary's "
                + "file of \(whole.bytesOfPrimary)")
    }
}
