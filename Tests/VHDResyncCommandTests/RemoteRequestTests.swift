import Replication
import Resync
import TestSupport
import Testing
import Foundation
import Transport
import VHDX

@testable import VHDResyncCommand

/// Disks on other hosts, and several of them, on the command line.
@Suite struct RemoteRequestTests {
    private func invocation(_ words: String) throws -> Invocation {
        let arguments = ["vhdresync"] + words.split(separator: " ").map(String.init)
        guard case .run(let invocation) = try Request(CommandLineArguments(parsing: arguments))
        else { throw UsageError.invalid("not a run: \(words)") }
        return invocation
    }

    private func refusal(_ words: String) -> UsageError? {
        #expect(throws: UsageError.self, "\(words)") { try invocation(words) }
    }

    // MARK: Disks

    @Test func findsDisksOnOtherHosts() throws {
        let ssh = DiskLocation.ssh(user: "u", host: "h", path: "/r")
        let cases: [(String, DiskLocation, DiskLocation)] = [
            ("a b", .local("a"), .local("b")),
            ("./h:a /x:b", .local("./h:a"), .local("/x:b")),
            ("a h:b", .local("a"), .ssh(user: nil, host: "h", path: "b")),
            ("a u@h:/r", .local("a"), ssh),
            ("u@h:/r b", ssh, .local("b")),
            ("a [::1]:/r", .local("a"), .ssh(user: nil, host: "::1", path: "/r")),
            (
                "a vhdresync://h/v/r --cert c --key k --ca f", .local("a"),
                .tls(host: "h", port: 7443, path: "v/r")
            ),
            (
                "vhdresync://h:1/p b --cert c --key k --ca f", .tls(host: "h", port: 1, path: "p"),
                .local("b")
            ),
        ]
        for (words, primary, replica) in cases {
            let pairs = try invocation(words).pairs
            #expect(pairs.map(\.primary) == [primary], "\(words)")
            #expect(pairs.map(\.replica) == [replica], "\(words)")
        }
    }

    @Test func takesSeveralPairs() throws {
        let pairs = try invocation("a b c h:d u@h:e f").pairs
        #expect(pairs.map { "\($0.primary) \($0.replica)" } == ["a b", "c h:d", "u@h:e f"])
        // One connection for each way to a host.
        #expect(
            pairs.map(\.remote?.place) == [
                nil, .ssh(user: nil, host: "h"), .ssh(user: "u", host: "h"),
            ])
    }

    @Test func readsOptionsOfOtherHosts() throws {
        let options = try invocation(
            "a h:b --bandwidth-limit 2M --retry 3 --idle-timeout 1.5m --rsh rsh"
        ).remote
        #expect(options.bytesPerSecond == 2 << 20)
        #expect(options.retryCount == 3)
        #expect(options.settings.bytesPerSecond == 2 << 20)
        #expect(options.settings.idleTimeoutSeconds == 90)
        #expect(options.settings.keepAliveSeconds == 10)
        #expect(options.shell == ["rsh"])
        let plain = try invocation("a h:b").remote
        #expect(plain == RemoteOptions())
        #expect(plain.settings.idleTimeoutSeconds == 60)
        #expect(plain.words(user: nil, host: "h") == ["ssh", "h", "vhdresync", "agent", "--stdio"])
        var others = RemoteOptions()
        (others.shell, others.command) = (["ssh", "-p", "22"], ["sudo", "vhdresync"])
        others.idleTimeoutSeconds = 2
        #expect(others.settings.keepAliveSeconds == 0.5)
        #expect(
            others.words(user: "u", host: "::1") == [
                "ssh", "-p", "22", "u@::1", "sudo", "vhdresync", "agent", "--stdio",
                "--idle-timeout", "2.0",
            ])
    }

    @Test func knowsTheAgent() throws {
        let agent = try invocation(
            "agent --stdio --journal-dir j --parent-path p --jobs 2 --idle-timeout 30")
        #expect(agent.verb == .agent)
        #expect(agent.options.journalFolder == "j")
        #expect(agent.options.parents.folders == ["p"])
        #expect(agent.options.workerCount == 2)
        #expect(agent.remote.idleTimeoutSeconds == 30)
        #expect(agent.agent.address == nil)
    }

    @Test func knowsTheAgentThatListens() throws {
        let request = try invocation(
            "agent --listen [::1]:7443 --root d --cert c --key k --ca f --allow-peer a "
                + "--allow-peer CN=b --read-only --log-format json --connection-limit 9 "
                + "--run-limit 3 --journal-dir j --jobs 2 --idle-timeout 30")
        #expect(request.agent.address == ListenAddress(host: "::1", port: 7443))
        #expect(request.agent.logFormat == .json)
        let configuration = request.agentConfiguration
        #expect(configuration.root == "d" && configuration.isReadOnly)
        #expect(configuration.allowedPeers == ["a", "CN=b"])
        #expect(configuration.connectionLimit == 9 && configuration.runLimit == 3)
        #expect(configuration.options.journalFolder == "j")
        #expect(configuration.options.workerCount == 2)
        #expect(configuration.channel.idleTimeoutSeconds == 30)
        let tls = request.tlsConfiguration
        #expect([tls.certificatePath, tls.keyPath, tls.caPath] == ["c", "k", "f"])
    }

    @Test func refusesWhatMakesNoSense() {
        let cases = [
            ("h:a k:b", "both 'h:a' and 'k:b' are on other hosts"),
            ("a b h:c h:d", "both 'h:c' and 'h:d' are on other hosts"),
            ("a -h:b", "unknown option"),
            ("a -- -h:b", "starts with a hyphen"),
            ("a vhdresync://-h/b", "starts with a hyphen"),
            ("a h::b", "two colons"),
            ("a h:", "has no path"),
            ("a b c", "disks come in pairs"),
            ("a h:b c h:b", "'h:b' is named as a replica twice"),
            ("a b --rsh ssh", "'--rsh' is for a disk at host:path, and none is named"),
            ("a b --remote-command v", "'--remote-command' is for a disk at host:path"),
            ("a b --retry 1", "'--retry' is for a disk on another host, and none is named"),
            ("a b --bandwidth-limit 1M", "'--bandwidth-limit' is for a disk on another host"),
            ("a b --idle-timeout 9", "'--idle-timeout' is for a disk on another host"),
            ("a h:b --cert c", "'--cert' is for a disk at vhdresync://host/path"),
            ("a vhdresync://h/b", "'--cert' is missing"),
            ("a vhdresync://h/b --cert c --ca f", "'--key' is missing"),
            ("a vhdresync://h/b --cert c --key k --ca f --rsh s", "'--rsh' is for a disk at host:"),
            ("a vhdresync://h/b --cert c --key k --ca f --idle-timeout 9", "20 s at least"),
            ("a h:b --in-place", "goes through a journal"),
            ("h:a b --in-place -n", "goes through a journal"),
            ("a h:b --compare bytes", "needs both disks on this one"),
            ("h:a b --compare bytes", "needs both disks on this one"),
            ("a h:b --journal-dir d", "belongs to the 'vhdresync agent' there"),
            ("a h:b --create --parent p", "'--parent' names an image on this host"),
            ("a h:b --retry -1", "the number of retries"),
            ("a h:b --bandwidth-limit 1023", "the bandwidth limit"),
            ("a h:b --bandwidth-limit 1T", "the bandwidth limit"),
            ("a h:b --idle-timeout 0", "the idle timeout"),
            ("a h:b --idle-timeout 25h", "the idle timeout"),
            ("a h:b --rsh '", "does not end"),
            ("a h:b --rsh ''", "needs a command"),
            ("agent", "'agent' needs either '--stdio' or '--listen'"),
            ("agent --stdio --listen :7443", "'agent' needs either '--stdio' or '--listen'"),
            ("agent --stdio --root d", "'--root' is for 'agent --listen'"),
            ("agent --stdio --cert c", "'--cert' is for 'agent --listen'"),
            ("agent --listen :7443 --cert c --key k --ca f", "'--root' is missing"),
            ("agent --listen :7443 --root d --cert c --key k", "'--ca' is missing"),
            ("agent --listen nowhere", "nowhere"),
            ("agent --listen :1 --connection-limit 81", "'--connection-limit' must be 1 to 80"),
            ("agent --listen :1 --run-limit 0", "'--run-limit' must be 1 to 16"),
            ("agent --listen :1 --log-format xml", "must be 'text' or 'json'"),
            ("a b --root d", "'--root' means nothing to a resynchronization"),
            ("agent --stdio --json", "'--json' means nothing to 'agent'"),
            ("agent --stdio --rsh ssh", "'--rsh' means nothing to 'agent'"),
            ("diff a b --retry 1", "'--retry' means nothing to 'diff'"),
        ]
        for (words, part) in cases {
            let error = refusal(words)
            #expect(error?.code == .invalidParameter, "\(words)")
            #expect(error?.sentence.contains(part) == true, "\(words): \(error?.sentence ?? "")")
        }
    }

    @Test func foldersOfAReplicaHereAreItsOwn() throws {
        let pull = try invocation("h:a b --journal-dir d --create --parent p --parent-path q")
        #expect(pull.options.journalFolder == "d")
        #expect(pull.options.parentOfNewReplica == "p")
        #expect(try invocation("a h:b --parent-path q").options.parents.folders == ["q"])
    }

    // MARK: Words

    @Test func takesCommandsApart() {
        let cases: [(String, [String]?)] = [
            ("", []), (" \t", []), ("ssh", ["ssh"]), (" ssh  -p\t22 ", ["ssh", "-p", "22"]),
            ("ssh -o 'a b' \"c d\"", ["ssh", "-o", "a b", "c d"]),
            ("a'b c'd", ["ab cd"]), ("''", [""]), ("'it''s'", ["it's"]), ("\"a'b\"", ["a'b"]),
            ("a\\ b", ["a\\", "b"]), ("'a", nil), ("a\"", nil),
        ]
        for (text, words) in cases { #expect(CommandWords.split(text) == words, "\(text)") }
    }

    // MARK: Lists

    @Test func readsAList() throws {
        let text = """
            # nightly
            a b

              "c d"\t'h:e f'  \r
            \t# nothing
            u@h:g  ./i
            """
        let pairs = try DiskList.pairs(in: text, of: "list")
        #expect(
            pairs.map { ["\($0.primary)", "\($0.replica)"] } == [
                ["a", "b"], ["c d", "h:e f"], ["u@h:g", "./i"],
            ])
    }

    @Test func namesTheLineThatIsAtFault() {
        let cases = [
            ("a b\nc\n", "list, line 2: a primary and a replica are wanted, and it has one name"),
            ("a b c", "list, line 1: a primary and a replica are wanted, and it has 3 names"),
            ("\n\na 'b\n", "list, line 3: a quote does not end"),
            ("a b\nh:a k:b", "list, line 2: both 'h:a' and 'k:b' are on other hosts"),
            ("a ''", "list, line 1: the name of a file is empty"),
            ("# a b\n", "list names no disks"),
            ("", "list names no disks"),
        ]
        for (text, sentence) in cases {
            let error = #expect(throws: UsageError.self, "\(text)") {
                try DiskList.pairs(in: text, of: "list")
            }
            #expect(error?.sentence.hasPrefix(sentence) == true, "\(error?.sentence ?? "")")
            #expect(error?.code == .invalidParameter)
        }
    }

    @Test func readsListsFromFiles() throws {
        let folder = try TemporaryFolder()
        let list = folder.file("list")
        try Data("c d\ne f\n".utf8).write(to: URL(filePath: list))
        #expect(try invocation("--disks \(list)").pairs.count == 2)
        let pairs = try invocation("a b --disks \(list)").pairs
        #expect(pairs.map { "\($0.primary)" } == ["a", "c", "e"])
        #expect(refusal("x d --disks \(list)")?.sentence == "'d' is named as a replica twice")
        let missing = refusal("--disks \(folder.file("missing"))")
        #expect(missing?.code == .fileNotFound)
        try Data([0x61, 0x20, 0xFF]).write(to: URL(filePath: list))
        #expect(refusal("--disks \(list)")?.sentence.contains("not UTF-8") == true)
    }
}
