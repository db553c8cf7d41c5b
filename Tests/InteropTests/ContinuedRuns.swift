internal import Resync
internal import Storage
internal import TestSupport
internal import Testing

/// Runs that went on where others were stopped, and what they had to send.
///
/// What an undisturbed run sends, less the bytes of the whole records in the journal that a stop has
/// left, is the missing part. The next run sends that, and a hundredth of an undisturbed run at most.
struct ContinuedRuns {
    /// What an undisturbed run sends from the primary's host, in bytes.
    let wholeByteCount: UInt64
    private(set) var count = 0
    /// Bytes that had passed before those stops of which it is known, and what of them was kept.
    private(set) var passed: (byteCount: UInt64, keptByteCount: UInt64) = (0, 0)
    private var missingByteCount: UInt64 = 0
    private var sentByteCount: UInt64 = 0

    init(wholeByteCount: UInt64) {
        self.wholeByteCount = wholeByteCount
    }

    /// Checks one: how much of the records an earlier run had left, after so much had passed, and how
    /// much was sent then.
    mutating func expect(
        held: UInt64, afterPassing passed: UInt64?, sent: UInt64, label: String
    ) {
        #expect(held <= wholeByteCount, "\(label)")
        let missing = wholeByteCount - min(held, wholeByteCount)
        #expect(
            sent <= missing + wholeByteCount / 100,
            "\(label): sent \(sent), where \(missing) of \(wholeByteCount) were missing")
        count += 1
        missingByteCount += missing
        sentByteCount += sent
        guard let passed else { return }
        self.passed.byteCount += passed
        self.passed.keptByteCount += held
    }

    /// A line on standard output.
    func print(_ subject: String) {
        let kept =
            passed.byteCount > 0
            ? "\(passed.keptByteCount * 100 / passed.byteCount) % of what had passed was kept, "
            : ""
        Swift.print(
            "continued: \(subject): \(count) runs, \(kept)missing \(missingByteCount >> 10) KiB, "
                + "sent \(sentByteCount >> 10) KiB")
    }
}

extension StoppedReplica {
    /// Whether the journal is as long, or has its end.
    func hasJournal(of byteCount: UInt64) throws -> Bool {
        let size = DiskFile.fingerprint(ofFileAt: journal)?.byteCount ?? 0
        return try size >= byteCount || journalIsCommitted()
    }

    /// Bytes of the whole records in an unfinished journal.
    func heldByteCount() throws -> UInt64 {
        guard DiskFile.fingerprint(ofFileAt: journal) != nil else { return 0 }
        let file = try DiskFile(opening: journal, for: .reading)
        var reader: DeltaReader<DiskFile>
        do throws(ResyncError) {
            reader = try DeltaReader(reading: file)
        } catch {
            // Not even its header is there.
            return 0
        }
        while try reader.next() != nil {}
        return reader.position - UInt64(DeltaHeader.byteCount)
    }
}
