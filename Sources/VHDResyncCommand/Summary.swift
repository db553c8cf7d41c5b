internal import Resync

/// The result of a run that succeeded, in a few lines for people.
enum Summary {
    static func resync(_ report: DiskReport, _ elapsed: Duration, isDryRun: Bool) -> String {
        let primary = report.primary.printable
        let replica = (report.replica ?? "").printable
        let differs = report.counts.blocksDiffering > 0
        let headline: String
        switch (differs, isDryRun) {
        case (false, _): headline = "\(replica) reads as \(primary) already"
        case (true, true):
            headline = "\(replica) does not read as \(primary); dry run: nothing was written"
        case (true, false):
            let proof = report.isVerified ? ": verified" : ", not verified"
            headline = "\(replica) now reads as \(primary)\(proof)"
        }
        return text(headline, report, elapsed, writes: !isDryRun)
    }

    static func diff(_ report: DiskReport, _ elapsed: Duration) -> String {
        let primary = report.primary.printable
        let replica = (report.replica ?? "").printable
        let verdict = report.counts.blocksDiffering > 0 ? "differ" : "read the same"
        let headline = "\(primary) and \(replica) \(verdict)"
        return text(headline, report, elapsed, writes: false)
    }

    static func map(_ report: DiskReport, _ elapsed: Duration, output: String) -> String {
        let headline = "\(output.printable) holds the digests of \(report.primary.printable)"
        return text(headline, report, elapsed, comparesTwo: false, writes: false)
    }

    private static func text(
        _ headline: String, _ report: DiskReport, _ elapsed: Duration, comparesTwo: Bool = true,
        writes: Bool
    ) -> String {
        let counts = report.counts
        let blockSize = ByteText.size(UInt64(report.blockSize))
        var lines: [(String, String)] = [
            (
                "disk",
                "\(ByteText.size(counts.virtualSize)), "
                    + "\(ByteText.blocks(counts.blocksTotal)) of \(blockSize)"
            ),
            ("empty", "\(ByteText.blocks(counts.blocksSkipped)), not read"),
            (
                comparesTwo ? "compared" : "hashed",
                "\(ByteText.blocks(counts.blocksCompared)), \(ByteText.size(counts.bytesRead)) read"
            ),
        ]
        if comparesTwo { lines.append(("differing", ByteText.blocks(counts.blocksDiffering))) }
        if writes { lines.append(("written", ByteText.size(counts.bytesWritten))) }
        if let digest = report.rootDigest { lines.append(("digest", "\(digest)")) }
        lines.append(("time", "\(DurationText.length(elapsed))\(rate(counts, elapsed))"))
        return "\(headline)\n" + AlignedLines.text(lines, indent: "  ")
    }

    /// Of a run that was too short to have one, nothing.
    private static func rate(_ counts: ResyncCounts, _ elapsed: Duration) -> String {
        guard elapsed.seconds >= 0.1, counts.bytesRead > 0 else { return "" }
        let rate = ByteText.rate(bytesPerSecond: Double(counts.bytesRead) / elapsed.seconds)
        return ", \(rate) read"
    }
}
