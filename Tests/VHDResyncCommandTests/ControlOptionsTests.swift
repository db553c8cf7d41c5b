import Foundation
import Replication
import Testing

@testable import VHDResyncCommand

@Suite struct ControlOptionsTests {
    private func invocation(_ words: [String]) throws(UsageError) -> Invocation {
        let request = try Request(CommandLineArguments(parsing: ["vhdresync"] + words))
        guard case .run(let invocation) = request else { throw .invalid("no run: \(words)") }
        return invocation
    }

    private func invocation(_ words: String) throws(UsageError) -> Invocation {
        try invocation(words.split(separator: " ").map(String.init))
    }

    @Test func findsWhatIsAskedFor() throws {
        let cases: [(String, Verb, ControlOptions.Command, String)] = [
            ("vm list", .machine, .list, ""), ("vm show a", .machine, .show, "a"),
            ("vm resync a", .machine, .resync, "a"),
            ("vm suspend list", .machine, .suspend, "list"),
            ("--json vm resume host:a", .machine, .resume, "host:a"),
            ("vm cancel a", .machine, .cancel, "a"), ("job list", .job, .list, ""),
            ("job show x", .job, .show, "x"), ("job watch -q x", .job, .watch, "x"),
        ]
        for (words, verb, command, name) in cases {
            let invocation = try invocation(words)
            #expect(invocation.verb == verb, "\(words)")
            #expect(invocation.control.command == command, "\(words)")
            #expect(invocation.control.name == name, "\(words)")
        }
        #expect(try invocation(["vm", "show", "web server"]).control.name == "web server")
        // A file of that name is named with a slash.
        #expect(try invocation("./vm b").verb == .resync)
        #expect(try invocation("a vm").verb == .resync)
    }

    @Test func findsTheService() throws {
        #expect(try invocation("vm list").control.socketPath == "/run/vhdresync/service.sock")
        #expect(try invocation("vm list --socket ./s").control.socketPath == "./s")
        #expect(try invocation("job list --state-dir /d").control.socketPath == "/d/service.sock")
        #expect(try invocation("job list --state-dir /d/").control.socketPath == "/d/service.sock")
        let service = try invocation("service --config c --state-dir d --socket s")
        #expect(service.verb == .service && service.control.configuration == "c")
        #expect(service.control.stateFolder == "d" && service.control.socket == "s")
    }

    @Test func refusesWhatMeansNothing() {
        let cases = [
            ("service", "'service' needs '--config' and '--state-dir', and '--config' is missing"),
            ("service --config c", "and '--state-dir' is missing"),
            ("service --config c --state-dir d e", "one name too many, 'e'"),
            ("service --config c --state-dir d --json", "'--json' means nothing to 'service'"),
            ("service --config c --state-dir d --wait", "'--wait' means nothing to 'service'"),
            ("vm", "'vm' needs to be told what to do: list, show, resync, suspend, resume, cancel"),
            ("vm stop a", "'vm' knows no 'stop', but list, show"),
            ("vm watch a", "'vm' knows no 'watch'"), ("job resync a", "'job' knows no 'resync'"),
            ("vm list a", "one name too many, 'a': vhdresync vm list"),
            ("vm show", "no virtual machine is named: vhdresync vm show NAME"),
            ("vm show a b", "one name too many, 'b'"), ("job show", "no job is named"),
            ("vm list --socket s --state-dir d", "exclude each other"),
            ("vm show a --wait", "'--wait' is for 'vm resync'"),
            ("vm list --start-time 10:00", "'--start-time' is for 'vm resync'"),
            ("vm resync a -q", "'--quiet' is for 'vm resync --wait' and 'job watch'"),
            ("job list --progress json", "'--progress' is for 'vm resync --wait'"),
            ("job watch x --wait", "'--wait' means nothing to 'job'"),
            ("vm list --config c", "'--config' means nothing to 'vm'"),
            ("vm list --dry-run", "'--dry-run' means nothing to 'vm'"),
            ("vm resync a --timeout 5", "'--timeout' means nothing to 'vm'"),
            ("vm list --parent-path p", "'--parent-path' means nothing to 'vm'"),
            ("a b --socket s", "'--socket' means nothing to a resynchronization"),
            ("agent --stdio --state-dir s", "'--state-dir' means nothing to 'agent'"),
        ]
        for (words, sentence) in cases {
            let error = #expect(throws: UsageError.self, "\(words)") { try invocation(words) }
            #expect(error?.code == .invalidParameter, "\(words)")
            #expect(error?.sentence.contains(sentence) == true, "\(error as Any)")
        }
    }

    @Test func everyVerbHasItsHelp() throws {
        let cases: [(String, Verb?)] = [
            ("vm --help", .machine), ("vm resync -h", .machine), ("job --help", .job),
            ("service -h", .service), ("--help", nil), ("map --help", .map), ("a b --help", nil),
        ]
        for (words, verb) in cases {
            let arguments = ["vhdresync"] + words.split(separator: " ").map(String.init)
            guard case .help(let found) = try Request(CommandLineArguments(parsing: arguments))
            else {
                Issue.record("\(words)")
                continue
            }
            #expect(found == verb, "\(words)")
        }
    }

    // MARK: Start times

    @Test func startTimes() throws {
        let zone = try #require(TimeZone(identifier: "Europe/Berlin"))
        func date(_ text: String) throws -> Date {
            let timestamp = try CIMTimestamp(parsing: text)
            return try #require(timestamp.date(inZoneOfServer: zone))
        }
        // In winter, in the night in which clocks go forward, and in that in which they go back.
        let cases = [
            ("20270115100000.000000+***", "10:01", "20270115100100.000000+***"),
            ("20270115100000.000000+***", "10:00", "20270116100000.000000+***"),
            ("20270115235959.000000+***", "00:00", "20270116000000.000000+***"),
            ("20270131120000.000000+***", "01:30", "20270201013000.000000+***"),
            ("20270327233000.000000+***", "22:00", "20270328220000.000000+***"),
            ("20271030233000.000000+***", "22:00", "20271031220000.000000+***"),
            ("20271031001000.000000+***", "00:05", "20271101000500.000000+***"),
            ("20270115100000.000000+***", "2027-02-03 04:05", "20270203040500.000000+***"),
            ("20270115100000.000000+***", "2027-02-03T04:05", "20270203040500.000000+***"),
        ]
        for (now, text, expected) in cases {
            #expect(
                try OptionValues.startTime(text, now: date(now), zone: zone) == expected,
                "\(text) at \(now)")
        }
        // As it is, whatever it is: the service looks at it.
        for text in ["20270203040506.789000-300", "xxxxxxxxxxxxxxxxxxxxxxxxx"] {
            #expect(try OptionValues.startTime(text) == text)
        }
        for text in ["", "10", "1:00", "10:00:00", "10.00", "2027-1-1 10:00", "tomorrow"] {
            let error = #expect(throws: UsageError.self, "\(text)") {
                try OptionValues.startTime(text)
            }
            #expect(error?.sentence.contains("or a local time like 22:30") == true)
        }
    }

    // MARK: Text

    @Test func columnsAreAligned() {
        let rows = [["aaa", "b", ""], ["ä", "bb\n", "c"]]
        let text = AlignedColumns.text(["A", "LONG", "C"], rows)
        #expect(text == "A    LONG     C\naaa  b\nä    bb\\u{a}  c\n")
    }
}
