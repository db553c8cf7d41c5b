internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// In which order the program changes files: what must be durable before something relies on it. A
/// file system may happen to keep an order that nobody asked it for, so that no power cut shows that
/// a flush is missing.
@Suite("The order of the program's calls", .serialized)
struct CallOrderTests {
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

    @Test(
        "Journal, its end, mark, content, no mark, no journal: with a flush between any two",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func order() throws {
        let calls = try ChangingCalls.calls(of: replica.job, in: folder.path)
        func numbers(_ name: String, _ path: String) -> [Int] {
            calls.filter { $0.name == name && $0.path == path }.map(\.number)
        }
        let journal = numbers("pwrite", replica.journal)
        let trailer = try #require(journal.last)
        let lastRecord = try #require(journal.dropLast().last)
        let writes = numbers("pwrite", replica.replica)
        let first = try #require(writes.first)
        let removal = try #require(numbers("unlink", replica.journal).first)
        // Behind it the log is marked as empty, which changes nothing of what the disk is.
        let last = try #require(writes.last { $0 < removal })

        func expectFlush(_ name: String, _ path: String, _ range: Range<Int>, _ what: String) {
            #expect(numbers(name, path).contains { range.contains($0) }, "\(what)")
        }
        expectFlush("fdatasync", replica.journal, lastRecord..<trailer, "of the records")
        expectFlush("fdatasync", replica.journal, trailer..<first, "of the journal's end")
        expectFlush("fsync", folder.path, journal[0]..<first, "of the journal's name")
        expectFlush("fdatasync", replica.replica, last..<removal, "of the replica without its mark")
        expectFlush("fsync", folder.path, removal..<calls.count + 1, "of the removed name")
        #expect(trailer < first && last < removal)

        // The content stands between the mark and its removal, and is durable behind it.
        let content = calls.filter {
            $0.name == "pwrite" && $0.path == replica.replica && $0.byteCount >= 65536
        }.map(\.number)
        let firstContent = try #require(content.first)
        let lastContent = try #require(content.last)
        let marking = try #require(writes.last { $0 < firstContent })
        let unmarking = try #require(writes.first { $0 > lastContent })
        expectFlush("fdatasync", replica.replica, marking..<firstContent, "of the mark")
        expectFlush("fdatasync", replica.replica, lastContent..<unmarking, "of the content")
    }

    @Test(
        "The calls that are counted are those that the kernel sees",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func completeness() throws {
        let counted = try ChangingCalls.calls(of: replica.job, in: folder.path)
            .filter { $0.name != "open" }
        try replica.reset()
        let traces = try TemporaryFolder()
        let names =
            "write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,fallocate,"
            + "truncate,ftruncate,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,"
            + "mkdir,copy_file_range,sendfile,splice,fsetxattr,fchmod,fchown"
        let ending = try Program.run(
            replica.job,
            launcher: [
                "strace", "-f", "-qq", "-y", "-o", traces.file("trace"), "-e", "trace=\(names)",
            ])
        #expect(ending.status == 0, "\(ending.error)")
        let trace = try Data(contentsOf: URL(filePath: traces.file("trace")))
        let lines = String(decoding: trace, as: UTF8.self).split(separator: "\n")
            .filter { $0.contains(folder.path) && !$0.contains("resumed>") }
        // So little is written that the device is not told to begin: a hint, which is not counted.
        #expect(lines.count == counted.count, "\(lines.joined(separator: "\n"))")
    }
}
