internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// The program where the system refuses a call: the code that is documented, a sentence that helps,
/// and a replica that is lost in no case.
@Suite("The program, and calls that fail", .serialized)
struct FailingProgramTests {
    private static let refusal = ChangingCalls.refusal
    private static let ext4 = LoopMount.refusal(.ext4)

    private let pair: StalePair
    private let folder: TemporaryFolder
    private var replica: StoppedReplica

    init() throws {
        pair = try StalePair(blockCount: 16)
        folder = try TemporaryFolder()
        replica = StoppedReplica(pair: pair, folder: folder.path, label: "")
        replica.options = ["--jobs", "1"]
    }

    /// Whether the program ended as it must after an error: one sentence with what failed, how far it
    /// came where it wrote something, and what to do.
    private func expectFailure(
        _ ending: Program.Ending, _ reason: String, _ label: String
    ) {
        #expect(!ending.wasKilled && ending.status == 1, "\(label): \(ending)")
        #expect(ending.error.hasPrefix("vhdresync: "), "\(label): \(ending.error)")
        #expect(ending.error.filter { $0 == "\n" }.count == 1, "\(label): \(ending.error)")
        #expect(ending.error.contains(reason), "\(label)")
        #expect(ending.error.contains(folder.path), "\(label): \(ending.error)")
        #expect(ending.output.isEmpty, "\(label)")
    }

    @Test(
        "Each call fails in turn", .enabled(if: refusal == nil, "\(refusal ?? "")"),
        arguments: [
            (ENOSPC, "No space left on device", false), (EIO, "Input/output error", true),
        ] as [(Int32, String, Bool)])
    func eachCall(_ errno: Int32, _ reason: String, _ forGood: Bool) throws {
        var replica = replica
        try replica.reset()
        let calls = try ChangingCalls.calls(of: replica.job, in: folder.path)
        var tally = RemainsTally(of: "failing calls")
        var successes: [String] = []
        for call in calls {
            replica.label = "\(call.name) \(call.number) of \(calls.count): \(reason)"
            try replica.reset()
            let fault = ChangingCalls.Fault.fail(
                at: call.number, errno: errno, forGood: forGood)
            let ending = try Program.run(
                replica.job,
                environment: try ChangingCalls.environment(in: [folder.path], fault))
            if ending.status == 0 {
                successes.append(call.name)
                #expect(try replica.remains() == .new, "\(replica.label)")
            } else {
                expectFailure(ending, reason, replica.label)
            }
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("\(reason), \(forGood ? "for good" : "once")")
        // Space that is not given back to the file system hurts nobody.
        #expect(successes.allSatisfy { $0 == "fallocate" }, "\(successes)")
        #expect(tally[.old] > 0 && tally[.refused] > 0 && tally[.new] > 0)
    }

    @Test(
        "Interrupted calls, and those that do half, change nothing",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func hampered() throws {
        let environment = try ChangingCalls.environment(in: [folder.path], .hamper)
        var replica = replica
        for options in [["--jobs", "1"], [], ["--compare", "bytes"]] {
            replica.options = options
            replica.label = "\(options)"
            try replica.reset()
            let ending = try Program.run(replica.job, environment: environment)
            #expect(ending.status == 0, "\(replica.label): \(ending.error)")
            #expect(try replica.remains() == .new, "\(replica.label)")
            try replica.expectNothingElse()
        }
    }

    /// Runs the program with calls that are interrupted and do half, and checks that each write which
    /// did half is gone on with by the next.
    private func runHampered(_ arguments: [String], in folders: [String]) throws {
        let logs = try TemporaryFolder()
        let log = logs.file("calls")
        let ending = try Program.run(
            arguments, environment: try ChangingCalls.environment(in: folders, .hamper, log: log))
        #expect(ending.status == 0, "\(arguments): \(ending.error)")
        let writes = try ChangingCalls.calls(notedIn: log).filter { $0.name == "pwrite" }
        #expect(writes.contains { $0.byteCount >= 65536 }, "\(arguments)")
        for (write, next) in zip(writes, writes.dropFirst()) where write.byteCount > 1 {
            let half = write.byteCount / 2
            let isContinued =
                next.path == write.path && next.offset == write.offset + half
                && next.byteCount == write.byteCount - half
            #expect(isContinued, "\(arguments): \(write), then \(next)")
        }
        #expect(writes.last.map { $0.byteCount == 1 } ?? false, "\(arguments)")
    }

    @Test(
        "A recovery whose calls are interrupted, or do half, makes the replica new",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func hamperedRecovery() throws {
        try replica.reset()
        let writes = try ChangingCalls.calls(of: replica.job, in: folder.path)
            .filter { $0.name == "pwrite" && $0.path == replica.replica && $0.byteCount >= 65536 }
        let middle = try #require(writes.dropFirst(writes.count / 2).first)
        try replica.reset()
        let kill = try ChangingCalls.environment(in: [folder.path], .kill(at: middle.number))
        #expect(try Program.run(replica.job, environment: kill).wasKilled)
        #expect(try replica.remains() == .refused)
        try runHampered(replica.recovery, in: [folder.path])
        #expect(try replica.remains() == .new)
        try replica.expectNothingElse()
    }

    @Test(
        "A delta that is made and applied by such calls makes the replica new",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func hamperedDelta() throws {
        let deltas = try TemporaryFolder()
        let delta = deltas.file("delta")
        try replica.reset()
        try runHampered(
            ["diff"] + replica.allOptions + [pair.primary, replica.replica, "-o", delta],
            in: [deltas.path])
        #expect(try replica.remains() == .old)
        try runHampered(
            ["apply"] + replica.allOptions + [delta, replica.replica], in: [folder.path])
        #expect(try replica.remains() == .new)
        try replica.expectNothingElse()
    }

    @Test(
        "On a full file system the replica stays as it is, and the next run with space succeeds",
        .enabled(if: ext4 == nil, "\(ext4 ?? "")"))
    func fullFileSystem() throws {
        let mount = try LoopMount(.ext4, byteCount: 96 << 20)
        var replica = replica
        replica = StoppedReplica(pair: pair, folder: mount.path, label: "")
        let filler = mount.file("filler")
        var tally = RemainsTally(of: "failing calls")
        for free in [0, 64 << 10, 1 << 20, 3 << 20, 4 << 20, 6 << 20] as [UInt64] {
            replica.label = "\(free) bytes free"
            try replica.reset()
            try fill(filler, leaving: free)
            let ending = try Program.run(replica.job)
            if ending.status != 0 {
                #expect(ending.status == 1, "\(replica.label): \(ending.error)")
                #expect(ending.error.contains("free space there"), "\(ending.error)")
                #expect(ending.error.contains { $0.isNumber }, "\(ending.error)")
                #expect(ending.error.contains(mount.path), "\(ending.error)")
            }
            try DiskFile.remove(filler)
            try replica.expectOldRefusedOrNew(&tally)
        }
        tally.print("a full file system")
        #expect(tally[.old] > 2)
    }

    private func fill(_ path: String, leaving free: UInt64) throws {
        let filler = try DiskFile(creating: path)
        let all = try filler.freeByteCount()
        try filler.reserve(0..<all - free)
        try filler.flush()
    }
}
