internal import Foundation
internal import Resync
internal import Storage
internal import TestSupport
internal import Testing
internal import VHDX

/// What a run that was stopped can leave of a replica.
enum Remains: String, CaseIterable {
    case old, refused, new
}

/// How many stopped runs left what.
struct RemainsTally {
    private(set) var counts: [Remains: Int] = [:]
    /// What a run was stopped by, in the plural.
    let events: String

    init(of events: String) {
        self.events = events
    }

    var total: Int { counts.values.reduce(0, +) }

    subscript(remains: Remains) -> Int { counts[remains, default: 0] }

    mutating func count(_ remains: Remains) {
        counts[remains, default: 0] += 1
    }

    /// A line on standard output.
    func print(_ subject: String) {
        let parts = Remains.allCases.map { "\(self[$0]) \($0)" }.joined(separator: ", ")
        Swift.print("\(events): \(subject): \(total) runs, \(parts)")
    }
}

/// A replica of its own for one run that is to be stopped, and everything that must be true of it
/// afterwards.
struct StoppedReplica {
    let pair: StalePair
    /// Where the replica stands, with nothing else but what the run makes.
    let folder: String
    /// Options of each run, the recovery's too.
    var options: [String] = []
    var journalFolder: String?
    /// Whether power cuts are to come.
    var needsDurability = false
    /// Names the case where something is not as expected.
    var label: String

    var replica: String { folder + "/replica.vhdx" }
    var journal: String { (journalFolder ?? folder) + "/replica.vhdx.resync" }
    /// Options of the main job alone. Larger blocks are fewer: most of the time of a run on a small
    /// disk goes into looking at each of them.
    var jobOptions = ["--block-size", "256K"]
    var allOptions: [String] {
        options + (journalFolder.map { ["--journal-dir", $0] } ?? []) + ["-q"]
    }
    /// The disks as the main job names them, and how it reaches them, where one is on another host.
    var operands: [String]?
    /// The main job.
    var job: [String] { jobOptions + allOptions + (operands ?? [pair.primary, replica]) }
    var recovery: [String] { ["recover"] + allOptions + [replica] }

    /// The stale replica, without a journal.
    func reset() throws {
        try DiskFile.remove(journal)
        try SparseCopy.make(of: pair.stale, at: replica, isDurable: needsDurability)
    }

    /// Whether there is a journal with its end.
    func journalIsCommitted() throws -> Bool {
        guard DiskFile.fingerprint(ofFileAt: journal) != nil else { return false }
        let file = try DiskFile(opening: journal, for: .reading)
        do throws(ResyncError) {
            return try DeltaReader(reading: file).trailer != nil
        } catch {
            return false
        }
    }

    /// What the replica is; nil, with a failure, for anything that it may not be.
    func remains() throws -> Remains? {
        let content: BlockDigest
        do {
            content = try DiskContent.digestOfData(ofImageAt: replica)
        } catch VHDXError.unfinishedApply {
            return .refused
        } catch {
            Issue.record("\(label): \(error)")
            return nil
        }
        if content == pair.oldContent { return .old }
        if content == pair.newContent { return .new }
        Issue.record("\(label): it reads as neither the old nor the new disk")
        return nil
    }

    /// Checks what a stop has left, then finishes it: by one recovery where the journal was committed,
    /// by a run where it was not.
    ///
    /// - Returns: how that run ended.
    @discardableResult
    func expectOldRefusedOrNew(_ tally: inout RemainsTally) throws -> Program.Ending? {
        let isCommitted = try journalIsCommitted()
        guard let remains = try remains() else { return nil }
        let isFirst = tally[remains] == 0
        tally.count(remains)
        if remains == .refused {
            #expect(isCommitted, "\(label): nothing can finish it")
            try expectRefusal(inEachWay: tally[remains] % 8 == 1)
        } else if isFirst {
            try expectThatQEMUReadsIt(as: remains)
        }
        let recovery = try Program.run(recovery)
        #expect(recovery.status == 0, "\(label): \(recovery.error)")
        let recovered = try self.remains()
        #expect(recovered == (isCommitted ? .new : remains), "\(label): recovered")
        let isFinished = recovered == .new && isCommitted
        let run = isFinished ? nil : try expectThatARunFinishesIt()
        try expectNothingElse()
        return run
    }

    /// The next run makes it new, whatever it is.
    @discardableResult
    func expectThatARunFinishesIt() throws -> Program.Ending {
        let run = try Program.run(job)
        #expect(run.status == 0, "\(label): \(run.error)")
        #expect(try remains() == .new, "\(label): next run")
        return run
    }

    /// The replica is an image without fault, and nothing else is left.
    func expectNothingElse() throws {
        let check = try ImageCheck(ofImageAt: replica)
        #expect(check.count(of: .error) == 0, "\(label): \(check.findings)")
        let names = try Folder(opening: folder).names().filter { $0 != "lost+found" }
        #expect(names == ["replica.vhdx"], "\(label)")
        #expect(DiskFile.fingerprint(ofFileAt: journal) == nil, "\(label)")
    }

    /// A marked replica opens nowhere: not for the program, and not for QEMU, which may even replay
    /// its log before.
    private func expectRefusal(inEachWay: Bool) throws {
        let dryRun = try Program.run(["--dry-run", "-q", pair.primary, replica])
        #expect(dryRun.status == 8, "\(label): \(dryRun.error)")
        #expect(dryRun.error.contains("vhdresync recover"), "\(label): \(dryRun.error)")
        let copies = try TemporaryFolder()
        let copy = copies.file("copy.vhdx")
        try SparseCopy.make(of: replica, at: copy)
        let check = try QEMU.img(["check", "-q", "-r", "all", "-f", "vhdx", copy])
        #expect(!check.isSuccess, "\(label): QEMU checks it")
        guard inEachWay else { return }
        #expect(try Program.run(["check", replica]).status == 8, "\(label): check")
        let information = try QEMU.img(["info", "-f", "vhdx", copy])
        #expect(!information.isSuccess, "\(label): QEMU opens it")
    }

    private func expectThatQEMUReadsIt(as remains: Remains) throws {
        let copies = try TemporaryFolder()
        let copy = copies.file("copy.vhdx")
        try SparseCopy.make(of: replica, at: copy)
        try QEMU.img(["check", "-q", "-r", "all", "-f", "vhdx", copy]).requireSuccess()
        let other = remains == .new ? pair.primary : pair.stale
        #expect(try QEMU.compare(copy, other), "\(label): by QEMU not \(remains)")
    }
}
