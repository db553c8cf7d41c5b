import Glibc
import Storage
import Testing
import VHDX

@testable import Resync
@testable import VHDResyncCommand

@Suite struct ErrorSentenceTests {
    /// What a run of the main job has done and leaves behind.
    private struct Run {
        var disk = DiskReport(primary: "p.vhdx", replica: "r.vhdx", blockSize: 65536)
        var state: ReplicaState? = ReplicaState()
        var verb = Verb.resync
        var options = ResyncOptions(workerCount: 1)

        init(compared: UInt64 = 0, written: UInt64 = 0) {
            disk.counts.bytesCompared = compared
            disk.counts.bytesWritten = written
        }

        func text(_ error: ResyncError) -> String {
            ErrorSentence(error: error, disk: disk, state: state, verb: verb, options: options).text
        }
    }

    private let cancelled = ResyncError.stopped(.cancelled)

    private func full(_ path: String) -> ResyncError {
        .file(.system(.write, path: path, at: 7, errno: ENOSPC))
    }

    // MARK: Before anything is written

    @Test func errorsThatNameTheirCure() {
        let lost = VHDXError.parentNotFound(path: "c", names: ["p"])
        let journal = ApplyMark(
            streamID: GUID("0d15ea5e-0000-4000-8000-0000000000a1") ?? .zero, journalPath: "r.j")
        let inPlace = ApplyMark(streamID: .zero, journalPath: "")
        let cases: [(ResyncError, String)] = [
            (
                .differentSizes(primary: 1, replica: 2),
                "the virtual sizes differ: primary 1 bytes, replica 2 bytes"
            ),
            (
                .differentSizes(primary: 2, replica: 1),
                "the virtual sizes differ: primary 2 bytes, replica 1 bytes; '--grow' makes the "
                    + "replica as large"
            ),
            (
                .disk(.replica, .hasChild(path: "r", child: "c")),
                "c builds on r, and would be useless after a change to it; '--force' writes to it "
                    + "all the same"
            ),
            (
                .disk(.primary, lost),
                "cannot find the parent of c: no p; '--parent-path' names folders where it may be"
            ),
            (
                .disk(.primary, .unfinishedApply(path: "p", mark: journal)),
                "p is half-written: an apply from r.j was interrupted; 'vhdresync recover p' "
                    + "finishes it"
            ),
            (
                .disk(.primary, .unfinishedApply(path: "p", mark: inPlace)),
                "p is half-written: a resynchronization in place was interrupted; run the "
                    + "resynchronization again"
            ),
            (
                .disk(.primary, .notVHDX(path: "p.vhdx")),
                "p.vhdx is not a VHDX file: it does not start with 'vhdxfile'; if its bytes are "
                    + "those of the disk, say so with '--primary-format raw'"
            ),
            (
                .cannotClone(path: "r.vhdx"),
                "cannot clone r.vhdx: its file system cannot share content between files; without "
                    + "'--apply clone' the replica is written from its journal"
            ),
            (
                .foreignJournal(path: "r.j", what: "it is no journal"),
                "r.j is not the journal of this replica: it is no journal; if nothing needs that "
                    + "file any more, remove it and run the same command again"
            ),
        ]
        for (error, sentence) in cases { #expect(Run().text(error) == sentence) }
    }

    @Test func formatIsOnlyNamedWhereItMayBeGiven() {
        var run = Run()
        func text(_ role: Role, _ path: String) -> String {
            run.text(.disk(role, .notVHDX(path: path)))
        }
        #expect(
            text(.replica, "r.vhdx").hasSuffix(
                "; if its bytes are those of the disk, say so "
                    + "with '--replica-format raw'"))
        // A parent is an image in any case.
        #expect(text(.replica, "parent.vhdx").hasSuffix("'vhdxfile'"))
        run.verb = .apply
        #expect(text(.replica, "r.vhdx").contains("--replica-format"))
        run.verb = .map
        run.state = nil
        #expect(text(.primary, "p.vhdx").contains("--primary-format"))
    }

    @Test func deltasAndJournals() {
        var run = Run()
        let root = BlockDigest.zero
        #expect(
            run.text(.otherBase(delta: "d", replica: "r", expected: root, found: root))
                .hasSuffix(
                    "; make a delta for it as it is: from its map, which 'vhdresync map r -o MAP' "
                        + "writes, with 'vhdresync diff PRIMARY MAP -o DELTA'"))
        #expect(
            run.text(.damagedDelta(path: "r.j", what: "x", at: 1)).hasSuffix(
                "; it was to be the journal of the replica: remove it, and run the "
                    + "resynchronization again, which compares everything"))
        run.disk.primary = "d"
        #expect(
            run.text(.damagedDelta(path: "d", what: "x", at: 1))
                == "d is damaged: x at byte 1; make or copy it once more")
        #expect(run.text(.incompleteDelta(path: "d")).hasSuffix("; make or copy it once more"))
        run.state?.condition = .foundHalfWritten
        let mark = ApplyMark(streamID: .random(), journalPath: "/r.j")
        #expect(
            run.text(.missingJournal(path: "r", mark: mark))
                == "r is half-written, and its journal /r.j is not there; run the resynchronization "
                + "again: it compares everything and makes the replica whole")
    }

    @Test func stopBeforeTheCommitPoint() {
        var run = Run(compared: 1 << 20)
        #expect(run.text(cancelled) == "stopped on request; the replica is as it was")
        #expect(Run().text(cancelled) == "stopped on request; the replica is as it was")
        run.state?.journal = .unfinished(path: "r.j", isContinuable: true)
        #expect(
            run.text(.stopped(.timeout))
                == "stopped: the time limit was reached; the replica is as it was, and what was "
                + "recorded is kept in r.j: the same command goes on from there")
        run.state?.journal = .unfinished(path: "r.j", isContinuable: false)
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is as it was, and what was recorded is in r.j, "
                + "which the same command makes anew")
        run.state?.journal = .none
        run.state?.preparation = .grown
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica has its new size, and its old content")
        run.state?.preparation = .made
        #expect(
            run.text(.primaryChanged(path: "p"))
                == "p was changed while it was being read; the new replica is whole, and holds "
                + "nothing of the primary yet")
        run.state?.preparation = .none
        run.state?.finishedEarlierRun = true
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is as the run before this one was to leave it")
        run.state = nil
        #expect(run.text(cancelled) == "stopped on request")
    }

    @Test func stopWhereAnEarlierRunHadLeftTheReplicaHalfWritten() {
        var run = Run(compared: 1 << 20)
        run.state?.condition = .foundHalfWritten
        run.state?.journal = .unfinished(path: "r.j", isContinuable: true)
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is half-written, as an earlier run left it, and "
                + "refuses to open until a run has finished it, and what was recorded is kept in "
                + "r.j: the same command goes on from there")
    }

    // MARK: After it

    @Test func stopWhileItIsWritten() {
        var run = Run(compared: 1 << 20, written: 12 << 16)
        run.state?.journal = .committed(path: "r.vhdx.resync")
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is as it was, and r.vhdx.resync holds all that "
                + "it is to become: 'vhdresync recover r.vhdx', or the next run, finishes it")
        run.state?.condition = .halfWritten
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is half-written, and refuses to open until "
                + "'vhdresync recover r.vhdx', or the next run, has finished it")
        run.options.journalFolder = "/j"
        #expect(run.text(cancelled).contains("'vhdresync recover --journal-dir /j r.vhdx'"))
        run.options.replicaFormat = .raw
        run.state?.isMarkable = false
        run.state?.journalPath = "/j/r.vhdx.resync"
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica is half-written, which only its journal "
                + "/j/r.vhdx.resync tells: 'vhdresync recover --replica-format raw --journal-dir /j "
                + "r.vhdx', or the next run, finishes it")
    }

    @Test func stopInPlace() {
        var run = Run(compared: 1 << 20, written: 12 << 16)
        run.options.writeMethod = .inPlace
        run.state?.condition = .halfWritten
        #expect(
            run.text(cancelled)
                == "stopped on request; 12 blocks were written, and the replica refuses to open "
                + "until a run has finished it: run the same command again")
        // The last block of a disk may be smaller.
        run.disk.counts.bytesWritten = 512
        #expect(run.text(cancelled).contains("; 1 block was written, "))
        #expect(
            run.text(.primaryChanged(path: "p"))
                .hasSuffix(": run the same command again while nothing uses the primary"))
        #expect(run.text(.outOfMemory(OutOfMemory(byteCount: 1))).contains("; up to 1 block was "))
        run.state?.isMarkable = false
        #expect(
            run.text(cancelled).hasSuffix(
                "and the replica is half-written, which nothing on it tells: run the same command "
                    + "again"))
    }

    @Test func afterItIsWritten() {
        var run = Run(compared: 1 << 20, written: 1 << 16)
        run.state?.condition = .written
        #expect(
            run.text(cancelled)
                == "stopped on request; the replica was written and proven before that; only "
                + "'--verify' did not come to its end")
        #expect(
            run.text(.contentDiffersAfterWriting(at: 0)).hasSuffix(
                "; check the device of the replica; the replica must not be relied on until a run "
                    + "succeeds"))
    }

    // MARK: No space

    @Test func fullFileSystemSaysHowToGoOn() {
        var run = Run(compared: 1 << 20)
        let noSpace = ResyncError.noSpace(path: "r.vhdx", needed: 9, free: 8)
        let ways =
            "free space there, name a folder of another file system for the journal with "
            + "'--journal-dir', or write without a journal with '--in-place'"
        #expect(
            run.text(noSpace)
                == "no space for r.vhdx: it has to grow by 9 bytes, and 8 are free; \(ways); the "
                + "replica is as it was")
        run.options.journalFolder = "/j"
        #expect(
            run.text(noSpace).contains(
                "; free space there, or write without a journal with '--in-place'; "))
        run.verb = .apply
        #expect(run.text(noSpace).contains("; free space there; "))
        run.verb = .resync
        run.options.writeMethod = .inPlace
        #expect(run.text(full("r.vhdx")).contains("; free space there; "))
        run.options.writeMethod = .journal
        run.state?.condition = .halfWritten
        #expect(
            run.text(full("r.vhdx"))
                == "cannot write r.vhdx at byte 7: No space left on device; free space there; the "
                + "replica is half-written, and refuses to open until 'vhdresync recover "
                + "--journal-dir /j r.vhdx', or the next run, has finished it")
        run.state = nil
        let map = ResyncError.file(.system(.write, path: "m", at: 0, errno: EDQUOT))
        #expect(run.text(map).hasSuffix("; free space there"))
    }

    @Test func fullJournalSaysHowLargeItWas() {
        var run = Run(compared: 1 << 20)
        run.disk.counts.bytesRecorded = 28 << 20
        run.state?.journalPath = "/r.vhdx.resync"
        let text = run.text(full("/r.vhdx.resync"))
        let start =
            "cannot write /r.vhdx.resync at byte 7: No space left on device; the journal had 28.0 "
            + "MiB, and "
        #expect(text.hasPrefix(start), "\(text)")
        #expect(
            text.contains(
                " are free without it: free space there, name a folder of another file system for "
                    + "the journal with '--journal-dir', or write without a journal with "
                    + "'--in-place'; the replica is as it was"), "\(text)")
    }
}
