internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// Two runs on one replica, and files in the journal's place that are not its journal.
@Suite("The program, and what others put in its way", .serialized)
struct BusyProgramTests {
    private static let refusal = ChangingCalls.refusal

    private let pair: StalePair
    private let folder: TemporaryFolder
    private let replica: StoppedReplica

    init() throws {
        pair = try StalePair(blockCount: 16)
        folder = try TemporaryFolder()
        var replica = StoppedReplica(pair: pair, folder: folder.path, label: "")
        replica.options = ["--jobs", "1"]
        self.replica = replica
        try replica.reset()
    }

    /// The files of the folder, by their names.
    private func files() throws -> [String: FileState] {
        var files: [String: FileState] = [:]
        for name in try Folder(opening: folder.path).names() {
            files[name] = try FileState(ofFileAt: folder.file(name))
        }
        return files
    }

    private func expectRefusal(
        _ status: Int32, _ sentence: String, _ label: String, of verbs: [[String]]
    ) throws {
        let before = try files()
        for arguments in verbs {
            let ending = try Program.run(arguments)
            #expect(ending.status == status, "\(label), \(arguments): \(ending.error)")
            #expect(ending.error.contains(sentence), "\(label), \(arguments): \(ending.error)")
            #expect(ending.error.filter { $0 == "\n" }.count == 1, "\(label): \(ending.error)")
        }
        #expect(try files() == before, "\(label): a file was changed")
    }

    @Test(
        "A second run on a replica is told that it is in use, and changes nothing",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func twoRuns() throws {
        let calls = try ChangingCalls.calls(of: replica.job, in: folder.path)
        let writes = calls.filter { $0.name == "pwrite" }
        let ofReplica = writes.filter { $0.path == replica.replica }
        let ofJournal = writes.filter { $0.path == replica.journal }
        let places = [
            try #require(ofJournal.dropFirst().first), try #require(ofReplica.first),
            try #require(ofReplica.dropFirst(ofReplica.count / 2).first),
        ]
        for call in places {
            try replica.reset()
            let log = try TemporaryFolder()
            let first = try Program.Running(
                replica.job,
                environment: try ChangingCalls.environment(
                    in: [folder.path], .stop(at: call.number), log: log.file("calls")))
            while first.isRunning, try reached(log.file("calls")) < call.number { usleep(1000) }
            try expectRefusal(
                7, "another process is using it", "stopped at call \(call.number)",
                of: [replica.job, replica.recovery])
            first.send(SIGCONT)
            #expect(try first.wait().status == 0)
            #expect(try replica.remains() == .new)
            try replica.expectNothingElse()
        }
    }

    /// The last call that was noted.
    private func reached(_ log: String) throws -> Int {
        guard DiskFile.fingerprint(ofFileAt: log) != nil else { return 0 }
        return try ChangingCalls.calls(notedIn: log).last?.number ?? 0
    }

    @Test("A file in the journal's place that is none is left alone")
    func noJournal() throws {
        var random = SeededGenerator(seed: 90)
        for count in [1, 100, 4096, 1 << 20] {
            try Data(random.bytes(count: count)).write(to: URL(filePath: replica.journal))
            try expectRefusal(
                8, "is not the journal of this replica", "\(count) random bytes",
                of: [replica.job, replica.recovery])
        }
        #expect(try replica.remains() == .old)
    }

    @Test(
        "A journal of another replica is left alone, with and without its end",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func otherJournal() throws {
        let otherFolder = try TemporaryFolder()
        var other = StoppedReplica(
            pair: try StalePair(blockCount: 16), folder: otherFolder.path, label: "other")
        other.options = ["--jobs", "1"]
        for isCommitted in [false, true] {
            try makeJournal(of: other, isCommitted: isCommitted)
            try SparseCopy.make(of: other.journal, at: replica.journal)
            // A recovery has nothing to do where there is no committed journal.
            try expectRefusal(
                8, "is not the journal of this replica", "committed: \(isCommitted)",
                of: isCommitted ? [replica.job, replica.recovery] : [replica.job])
        }
        #expect(try replica.remains() == .old)
    }

    @Test(
        "A journal whose replica somebody has changed is left alone",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func changedReplica() throws {
        try makeJournal(of: replica, isCommitted: true)
        #expect(try replica.remains() == .old)
        let change = ContentChange.bytes([UInt8](repeating: 1, count: 65536), at: 0)
        try [change].apply(toImageAt: replica.replica)
        try expectRefusal(
            8, "is not the journal of this replica", "changed",
            of: [replica.job, replica.recovery])
    }

    /// What a run leaves that is killed in front of its first write to the replica, or in the middle of
    /// its journal.
    private func makeJournal(of other: StoppedReplica, isCommitted: Bool) throws {
        try other.reset()
        let writes = try ChangingCalls.calls(of: other.job, in: other.folder)
            .filter { $0.name == "pwrite" }
        let journal = writes.filter { $0.path == other.journal }
        let call = try #require(
            isCommitted
                ? writes.first { $0.path == other.replica } : journal.dropFirst(3).first)
        try other.reset()
        let fault = ChangingCalls.Fault.kill(at: call.number)
        let ending = try Program.run(
            other.job, environment: try ChangingCalls.environment(in: [other.folder], fault))
        #expect(ending.wasKilled)
        #expect(try other.journalIsCommitted() == isCommitted)
    }
}
