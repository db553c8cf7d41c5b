import Glibc
import Replication
import Storage
import Testing
import VHDX

@testable import Resync
@testable import VHDResyncCommand

private func report(differing: UInt64, written: UInt64 = 0, verified: Bool = false) -> DiskReport {
    var report = DiskReport(primary: "p.vhdx", replica: "r.vhdx", blockSize: 65536)
    report.counts.virtualSize = 4 << 30
    report.counts.blocksTotal = 65536
    report.counts.blocksSkipped = 30000
    report.counts.blocksCompared = 35536
    report.counts.blocksDiffering = differing
    report.counts.bytesRead = 4 << 30
    report.counts.bytesWritten = written
    report.isVerified = verified
    return report
}

@Suite struct SummaryTests {
    @Test func saysWhatTheReplicaIsNow() {
        let text = Summary.resync(
            report(differing: 355, written: 355 << 16, verified: true), .seconds(2), isDryRun: false
        )
        #expect(
            text == """
                r.vhdx now reads as p.vhdx: verified
                  disk:      4.0 GiB, 65536 blocks of 64.0 KiB
                  empty:     30000 blocks, not read
                  compared:  35536 blocks, 4.0 GiB read
                  differing: 355 blocks
                  written:   22.2 MiB
                  time:      2.0 s, 2.0 GiB/s read

                """)
    }

    @Test func headlines() {
        func headline(_ text: String) -> String { String(text.prefix { $0 != "\n" }) }
        #expect(
            headline(Summary.resync(report(differing: 0), .zero, isDryRun: false))
                == "r.vhdx reads as p.vhdx already")
        #expect(
            headline(Summary.resync(report(differing: 1), .zero, isDryRun: true))
                == "r.vhdx does not read as p.vhdx; dry run: nothing was written")
        #expect(headline(Summary.diff(report(differing: 1), .zero)) == "p.vhdx and r.vhdx differ")
        #expect(
            headline(Summary.diff(report(differing: 0), .zero))
                == "p.vhdx and r.vhdx read the same")
        #expect(
            headline(Summary.map(report(differing: 0), .zero, output: "m"))
                == "m holds the digests of p.vhdx")
    }

    @Test func shortRunHasNoRateAndAComparisonWritesNothing() {
        let text = Summary.diff(report(differing: 1), .milliseconds(50))
        #expect(text.hasSuffix("time:      0.1 s\n"))
        #expect(!text.contains("written"))
        #expect(!Summary.map(report(differing: 0), .zero, output: "m").contains("differing"))
    }
}

@Suite struct ErrorSentenceTests {
    private let full = ResyncError.disk(
        .replica, .file(.system(.write, path: "r.vhdx", at: 7, errno: ENOSPC)))

    @Test func untouchedReplicaNeedsNoWords() {
        let untouched = report(differing: 3)
        #expect(
            ResyncError.differentSizes(primary: 1, replica: 2).sentence(untouched)
                == "the virtual sizes differ: primary 1 bytes, replica 2 bytes")
        #expect(
            ResyncError.differentSizes(primary: 2, replica: 1).sentence(untouched)
                == "the virtual sizes differ: primary 2 bytes, replica 1 bytes; '--grow' makes "
                + "the replica as large")
        #expect(
            ResyncError.disk(.replica, .hasChild(path: "r", child: "c")).sentence(untouched)
                == "c builds on r, and would be useless after a change to it; '--force' writes "
                + "to it all the same")
        let lost = VHDXError.parentNotFound(path: "c", names: ["p"])
        #expect(
            ResyncError.disk(.primary, lost).sentence(nil)
                == "cannot find the parent of c: no p; '--parent-path' names folders where it "
                + "may be")
        let mark = ApplyMark(
            streamID: GUID("0d15ea5e-0000-4000-8000-0000000000a1") ?? .zero, journalPath: "r.j")
        #expect(
            ResyncError.disk(.replica, .unfinishedApply(path: "r", mark: mark)).sentence(untouched)
                == "r is half-written: an apply from r.j was interrupted; 'vhdresync recover r' "
                + "finishes it")
        let inPlace = ApplyMark(streamID: .zero, journalPath: "")
        #expect(
            ResyncError.disk(.replica, .unfinishedApply(path: "r", mark: inPlace)).sentence(nil)
                == "r is half-written: a resynchronization in place was interrupted; run the "
                + "resynchronization again")
        #expect(
            ResyncError.stopped(.cancelled).sentence(untouched)
                == "stopped on request; nothing was written")
        #expect(
            ResyncError.stopped(.cancelled).sentence(untouched, .grown)
                == "stopped on request; the replica has its new size, and its old content")
        #expect(
            ResyncError.primaryChanged(path: "p").sentence(untouched, .made)
                == "p was changed while it was being read; the new replica is a valid image that "
                + "holds nothing of the primary yet")
    }

    @Test func saysWhatWasWrittenAndWhatToDo() {
        let partial = report(differing: 30, written: 12 << 16)
        #expect(
            ResyncError.stopped(.timeout).sentence(partial)
                == "stopped: the time limit was reached; 12 blocks were written, and the replica "
                + "is a valid image that holds part of the primary: run the same command again to "
                + "finish")
        // The last block of a disk may be smaller.
        #expect(
            ResyncError.stopped(.cancelled).sentence(report(differing: 1, written: 512))
                .contains("; 1 block was written, "))
        #expect(
            ResyncError.primaryChanged(path: "p").sentence(partial)
                .contains("while nothing uses the primary"))
        #expect(
            ResyncError.contentDiffersAfterWriting(at: 0).sentence(partial)
                .contains("must not be relied on"))
    }

    @Test func fullFileSystemSaysHowToGoOn() {
        #expect(
            full.sentence(report(differing: 30, written: 12 << 16))
                == "cannot write r.vhdx at byte 7: No space left on device; up to 12 blocks "
                + "were written, and the replica is a valid image that holds part of the primary: free "
                + "space there and run the same command again to finish")
        #expect(
            full.sentence(report(differing: 30)).hasSuffix(
                "; free space there and run the same command again"))
        let map = ResyncError.file(.system(.write, path: "m", at: 0, errno: EDQUOT))
        #expect(map.sentence(nil).hasSuffix("; free space there"))
    }
}
