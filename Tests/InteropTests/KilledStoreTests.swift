internal import Foundation
internal import Replication
internal import Storage
internal import TestSupport
internal import Testing

/// A service that is killed anywhere in its work with its store: what it has said to be there is
/// there, and nothing is half there.
@Suite("The killed store")
struct KilledStoreTests {
    private static let refusal = ChangingCalls.refusal

    private let folder: TemporaryFolder
    private var state: String { folder.file("state") }

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test("At any time, the same store again and again")
    func atAnyTime() throws {
        var random = SeededGenerator(seed: 90)
        for round in 0..<4 {
            let state = folder.file("state\(round)")
            var report = StoreReport("")
            for kill in 0..<12 {
                let lines = Int.random(in: 0..<12, using: &random)
                let delay = UInt32.random(in: 0..<4000, using: &random)
                let label =
                    "seed 90, round \(round), kill \(kill), \(delay) µs after \(lines) lines"
                let run = try StoreRun(state, jobCount: 1000)
                run.wait(forLines: lines)
                usleep(delay)
                run.kill()
                let said = run.report()
                #expect(said.errorCode == nil, "\(label): \(said.errorText)")
                report.add(said)
                // What it was about to say when it was killed, the next run finds.
                let remains = StoreRemains(folder: state)
                let found = try remains.expect(report, label)
                report = try report.completed(from: state)
                #expect(report.accepted.count == found.jobs, "\(label)")
            }
            #expect(report.accepted.count > 10 && report.ended.count > 5)
        }
    }

    /// The calls of a run that nobody disturbs.
    private func calls(of writer: String) throws -> [ChangingCalls.Call] {
        let log = folder.file("calls")
        let undisturbed = folder.file("undisturbed")
        try ExternalProgram.run(
            writer, [undisturbed, "1"],
            environment: try ChangingCalls.environment(in: [undisturbed], log: log)
        ).requireSuccess()
        return try ChangingCalls.calls(notedIn: log)
    }

    @Test(
        "At each call that changes a file, or in the middle of a write",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func atEachCall() throws {
        let writer = try Program.path(of: "storewriter").path
        let calls = try calls(of: writer)
        for name in ["open", "pwrite", "fdatasync", "fsync", "rename", "unlink"] {
            #expect(calls.contains { $0.name == name }, "no call of \(name)")
        }
        var withJobs = 0
        for call in calls {
            // A log is written by two calls in turn, so every third write is one of either.
            let isTorn = call.name == "pwrite" && !call.number.isMultiple(of: 3)
            let fault: ChangingCalls.Fault =
                isTorn ? .tear(at: call.number) : .kill(at: call.number)
            let state = folder.file("\(call.number)")
            let label = "\(fault) of \(calls.count), \(call.name) \(call.path)"
            let outcome = try ExternalProgram.run(
                writer, [state, "1"],
                environment: try ChangingCalls.environment(in: [state], fault))
            #expect(outcome.status == 128 + SIGKILL, "\(label)")
            let report = StoreReport(outcome.output)
            let found = try StoreRemains(folder: state).expect(report, label)
            withJobs += found.jobs > 0 ? 1 : 0
            try FileManager.default.removeItem(atPath: state)
        }
        print("a store, at each call: \(calls.count) kills, \(withJobs) of them with jobs")
        #expect(withJobs > 30)
    }

    @Test(
        "Where each call fails, the service is told so, and what it has said is there",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func failingCalls() throws {
        let writer = try Program.path(of: "storewriter").path
        let calls = try calls(of: writer)
        var told = 0
        for call in calls {
            let state = folder.file("\(call.number)")
            let errno = call.number.isMultiple(of: 3) ? ENOSPC : EIO
            let label = "errno \(errno) at call \(call.number), \(call.name) \(call.path)"
            let outcome = try ExternalProgram.run(
                writer, [state, "1"],
                environment: try ChangingCalls.environment(
                    in: [state], .fail(at: call.number, errno: errno, forGood: true)))
            let report = StoreReport(outcome.output)
            if let code = report.errorCode {
                // What SQLite cannot open to write it opens to read, and says that.
                let isAllowed = code == 32768 || code == 32769 && call.name == "open"
                #expect(isAllowed, "\(label): \(report.errorText)")
                told += 1
            } else {
                #expect(outcome.isSuccess, "\(label): \(outcome.errorOutput)")
            }
            try StoreRemains(folder: state).expect(report, label)
            try FileManager.default.removeItem(atPath: state)
        }
        print("a store, an error at each call: \(told) of \(calls.count) told")
        #expect(told > calls.count / 2)
    }

    @Test("One that is under way has its folder for itself, and is none the worse for it")
    func secondService() throws {
        let first = try StoreRun(state, jobCount: 1000)
        first.wait(forLines: 5)
        let second = try StoreRun(state, jobCount: 1).report()
        #expect(second.errorCode == 32774)
        #expect(second.errorText.hasSuffix("another service uses the folder \(state)"))
        first.kill()
        let report = first.report()
        #expect(report.accepted.count > 1)
        try StoreRemains(folder: state).expect(report, "second service")
    }

    @Test(
        "Files and folders that a user may not write to are refused with their code",
        .enabled(if: getuid() == 0, "only root can become another user"))
    func noPermission() throws {
        #expect(try StoreRun(state, jobCount: 1).report().ended.count == 1)
        let (lock, database) = (state + "/lock", state + "/state.sqlite")
        let cases: [(folder: Int, lock: Int, database: Int, path: String)] = [
            (0o700, 0o666, 0o666, state), (0o755, 0o600, 0o666, lock),
            (0o755, 0o666, 0o666, database), (0o777, 0o666, 0o444, database),
            (0o777, 0o666, 0o600, database),
        ]
        for (folderMode, lockMode, databaseMode, path) in cases {
            for (path, mode) in [
                (folder.path, 0o755), (state, folderMode), (lock, lockMode),
                (database, databaseMode),
            ] {
                try FileManager.default.setAttributes(
                    [.posixPermissions: mode], ofItemAtPath: path)
            }
            // The program may lie where only root can look.
            let program = folder.file("storewriter")
            try? FileManager.default.removeItem(atPath: program)
            try FileManager.default.copyItem(
                at: try Program.path(of: "storewriter"), to: URL(filePath: program))
            let outcome = try ExternalProgram.run(
                "setpriv",
                ["--reuid=65534", "--regid=65534", "--clear-groups", program, state, "1"])
            let report = StoreReport(outcome.output)
            #expect(report.errorCode == 32769, "\(path): \(outcome.output)\(outcome.errorOutput)")
            #expect(report.errorText.contains(path), "\(report.errorText)")
        }
    }
}

extension StoreReport {
    /// With what a killed run has done and could not say any more.
    fileprivate func completed(from folder: String) throws -> StoreReport {
        var report = self
        let store = try StateStore(opening: folder)
        try store.read { (content) throws(StoreError) in
            for job in try content.jobs() {
                let id = job.instanceID
                if !report.accepted.contains(id) { report.accepted.append(id) }
                let isDecided = try content.decision(of: id) != nil
                if isDecided, !report.decided.contains(id) { report.decided.append(id) }
                if job.properties.jobState.isFinal, !report.ended.contains(id) {
                    report.ended.append(id)
                }
            }
            if try !content.relationships().isEmpty { report.hasRelationships = true }
        }
        return report
    }
}
