internal import Replication
internal import Resync
internal import Storage

/// The result of a run that succeeded, in a few lines for people.
enum Summary {
    static func resync(
        _ report: DiskReport, _ elapsed: Duration, _ options: ResyncOptions
    ) -> String {
        let (primary, replica) = names(report)
        var headline: String
        switch (changes(report), options.isDryRun) {
        case (false, _): headline = "\(replica) reads as \(primary) already"
        case (true, true):
            headline = "\(replica) does not read as \(primary); dry run: nothing was written"
        case (true, false):
            let proof = report.isVerified ? ": verified" : ", not verified"
            headline = "\(replica) now reads as \(primary)\(proof)"
        }
        guard !options.isDryRun else {
            return text(headline, looking(report) + end(report, elapsed))
        }
        let lines = looking(report) + writing(report, options.writeMethod) + end(report, elapsed)
        return text(headline, lines)
    }

    static func apply(_ report: DiskReport, _ elapsed: Duration) -> String {
        let (delta, replica) = names(report)
        let headline =
            changes(report)
            ? "\(replica) now reads as \(delta) says: verified"
            : "\(replica) reads as \(delta) says already"
        return text(
            headline,
            looking(report, .oneDisk) + writing(report, .journal) + end(report, elapsed))
    }

    static func recovery(_ report: DiskReport, _ elapsed: Duration) -> String {
        let (_, replica) = names(report)
        switch report.recovery ?? .nothingToDo {
        case .nothingToDo:
            return text("\(replica) is whole: there is nothing to recover", [])
        case .unfinishedJournal(let path):
            return text(
                "\(replica) is whole: there is nothing to recover",
                [("journal", "\(path.printable), unfinished: the next run goes on with it")])
        case .finished:
            let counts = report.counts
            return text(
                "\(replica) is whole again: verified",
                [disk(report), ("recorded", ByteText.blocks(counts.blocksHeld))]
                    + writing(report, .journal) + end(report, elapsed))
        }
    }

    static func diff(_ report: DiskReport, _ elapsed: Duration) -> String {
        let (primary, replica) = names(report)
        let verdict = changes(report) ? "differ" : "read the same"
        return text("\(primary) and \(replica) \(verdict)", looking(report) + end(report, elapsed))
    }

    static func map(_ report: DiskReport, _ elapsed: Duration) -> String {
        let (primary, _) = names(report)
        let output = (report.output?.path ?? "").printable
        let headline = "\(output) holds the digests of \(primary)"
        let lines =
            switch report.reuse {
            case nil: looking(report, .digests)
            case .reused: [disk(report), ("reused", "nothing has changed since: 0 bytes read")]
            case .notReused(let reason):
                looking(report, .digests) + [("not reused", sentence(reason))]
            }
        return text(headline, lines + end(report, elapsed))
    }

    /// Why an earlier map was not trusted.
    private static func sentence(_ reason: MapReuse.Reason) -> String {
        switch reason {
        case .noMap: "there was no map yet"
        case .device: "a device does not show whether it was written to"
        case .dirtyLog: "the image has a log that is to be replayed by its next writer"
        case .unknownState:
            "the map does not tell in what state the files were, which had changed just before"
        case .blockSize: "the map has blocks of another size"
        case .changed: "the disk or its files have changed since"
        }
    }

    // MARK: Parts

    private typealias Line = (name: String, value: String)

    private static func text(_ headline: String, _ lines: [Line]) -> String {
        "\(headline)\n" + AlignedLines.text(lines, indent: "  ")
    }

    private static func names(_ report: DiskReport) -> (primary: String, replica: String) {
        (report.primary.printable, (report.replica ?? "").printable)
    }

    /// Whether something differed, before this run or before it finished an earlier one.
    private static func changes(_ report: DiskReport) -> Bool {
        if case .finished = report.recovery { return true }
        return report.counts.blocksDiffering > 0
    }

    private static func disk(_ report: DiskReport) -> Line {
        let blockSize = ByteText.size(UInt64(report.blockSize))
        return (
            "disk",
            "\(ByteText.size(report.counts.virtualSize)), "
                + "\(ByteText.blocks(report.counts.blocksTotal)) of \(blockSize)"
        )
    }

    /// At what: two disks, one that is to be another, or one of which the digests are wanted.
    private enum Look {
        case twoDisks, oneDisk, digests
    }

    /// What was read, and what that showed.
    private static func looking(_ report: DiskReport, _ look: Look = .twoDisks) -> [Line] {
        let counts = report.counts
        var lines = [
            disk(report), ("empty", "\(ByteText.blocks(counts.blocksSkipped)), not read"),
            (
                look == .twoDisks ? "compared" : "hashed",
                "\(ByteText.blocks(counts.blocksCompared)), \(ByteText.size(counts.bytesRead)) read"
            ),
        ]
        if counts.blocksHeld > 0 {
            let blocks = ByteText.blocks(counts.blocksHeld)
            lines.append(("held", "\(blocks), recorded by an earlier run and not read again"))
        }
        if look != .digests { lines.append(("differing", ByteText.blocks(counts.blocksDiffering))) }
        return lines
    }

    /// What was done to the replica, and on what way.
    private static func writing(_ report: DiskReport, _ method: WriteMethod) -> [Line] {
        let counts = report.counts
        var lines: [Line] = []
        if case .finished(let journal) = report.recovery {
            lines.append(("finished", "what \(journal.printable) held from an earlier run"))
        }
        if counts.bytesRecorded > 0 {
            lines.append(("journal", "\(ByteText.size(counts.bytesRecorded)), removed"))
        }
        let written = ByteText.size(counts.bytesWritten)
        switch method {
        case .journal: lines.append(("written", written))
        case .clone where counts.bytesWritten > 0:
            lines.append(("written", "\(written), to a clone that took its place"))
        case .inPlace where counts.bytesWritten > 0:
            lines.append(("written", "\(written), in place"))
        case .clone, .inPlace: lines.append(("written", written))
        }
        return lines
    }

    private static func end(_ report: DiskReport, _ elapsed: Duration) -> [Line] {
        var lines: [Line] = []
        let counts = report.counts
        if counts.bytesSent + counts.bytesReceived > 0 {
            let back = ByteText.size(counts.bytesReceived)
            lines.append(("sent", "\(ByteText.size(counts.bytesSent)), and \(back) back"))
        }
        if let output = report.output {
            lines.append(("file", "\(output.path.printable), \(ByteText.size(output.byteCount))"))
        }
        if let digest = report.rootDigest { lines.append(("digest", "\(digest)")) }
        lines.append(
            ("time", "\(DurationText.length(elapsed))\(rate(report.counts, elapsed))"))
        return lines
    }

    /// Of a run that was too short to have one, nothing.
    private static func rate(_ counts: ResyncCounts, _ elapsed: Duration) -> String {
        guard elapsed.seconds >= 0.1, counts.bytesRead > 0 else { return "" }
        let rate = ByteText.rate(bytesPerSecond: Double(counts.bytesRead) / elapsed.seconds)
        return ", \(rate) read"
    }
}
