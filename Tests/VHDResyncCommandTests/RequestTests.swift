import Replication
import Resync
import Storage
import Testing

@testable import VHDResyncCommand

@Suite struct RequestTests {
    private func request(_ words: String) throws(UsageError) -> Request {
        let arguments = ["vhdresync"] + words.split(separator: " ").map(String.init)
        return try Request(CommandLineArguments(parsing: arguments))
    }

    private func invocation(_ words: String) throws -> Invocation {
        guard case .run(let invocation) = try request(words) else {
            throw UsageError.invalid("not a run: \(words)")
        }
        return invocation
    }

    @Test func findsVerbAndPaths() throws {
        let cases: [(String, Verb, [String])] = [
            ("a b", .resync, ["a", "b"]),
            ("./info b", .resync, ["./info", "b"]),
            ("a info", .resync, ["a", "info"]),
            ("a diff", .resync, ["a", "diff"]),
            ("diff a b", .diff, ["a", "b"]),
            ("diff diff diff", .diff, ["diff", "diff"]),
            ("--json diff a b", .diff, ["a", "b"]),
            ("info a", .info, ["a"]),
            ("info info", .info, ["info"]),
            ("check a", .check, ["a"]),
            ("check --json ./check", .check, ["./check"]),
            ("map a -o m", .map, ["a"]),
            ("map -o m a", .map, ["a"]),
            ("-om map a", .map, ["a"]),
            ("map a --output=m", .map, ["a"]),
            ("-- -a --b", .resync, ["-a", "--b"]),
            ("a -- -b", .resync, ["a", "-b"]),
            ("/x:y/a ./c:d", .resync, ["/x:y/a", "./c:d"]),
            ("dir/c:d b", .resync, ["dir/c:d", "b"]),
            ("a ./apply", .resync, ["a", "./apply"]),
            ("apply d b", .apply, ["d", "b"]),
            ("apply apply recover", .apply, ["apply", "recover"]),
            ("recover b", .recover, ["b"]),
            ("diff a b -o d", .diff, ["a", "b"]),
        ]
        for (words, verb, paths) in cases {
            let invocation = try invocation(words)
            #expect(invocation.verb == verb, "\(words)")
            #expect(invocation.paths == paths, "\(words)")
        }
        #expect(try invocation("map a -o dir/m:1").output == "dir/m:1")
    }

    @Test func defaultsAreTheDocumentedOnes() throws {
        let invocation = try invocation("a b")
        #expect(invocation.options.blockSize == 65536)
        #expect(invocation.options.workerCount == ResyncOptions.processorCount)
        #expect(invocation.options.comparison == .hash)
        #expect(!invocation.options.isDryRun)
        #expect(!invocation.options.createsReplica)
        #expect(!invocation.options.verifiesWholeReplica)
        #expect(invocation.timeout == nil)
        #expect(!invocation.wantsJSON)
        #expect(invocation.progress == .auto)
        #expect(!invocation.isQuiet)
    }

    @Test func optionsMayStandAnywhereAndBeAbbreviated() throws {
        let words = "--block-size 1M a --jobs=3 --comp bytes b --cre --verify --timeout 1.5m --json"
        let invocation = try invocation(words + " --progress json -q")
        #expect(invocation.paths == ["a", "b"])
        #expect(invocation.options.blockSize == 1 << 20)
        #expect(invocation.options.workerCount == 3)
        #expect(invocation.options.comparison == .bytes)
        #expect(invocation.options.createsReplica)
        #expect(invocation.options.verifiesWholeReplica)
        #expect(invocation.timeout == .seconds(90))
        #expect(invocation.wantsJSON)
        #expect(invocation.progress == .json)
        #expect(invocation.isQuiet)
        #expect(try self.invocation("-nq a b").options.isDryRun)
        #expect(try self.invocation("a b --jobs 2 --jobs 5").options.workerCount == 5)
        #expect(try self.invocation("a b").options.cacheUse == .keep)
        for words in ["a b", "map a -o m", "diff a b", "apply d b", "recover b", "agent --stdio"] {
            #expect(try self.invocation(words + " --cache drop").options.cacheUse == .drop)
        }
    }

    @Test func waysOfWriting() throws {
        #expect(try invocation("a b").options.writeMethod == .journal)
        #expect(try invocation("a b --apply replica").options.writeMethod == .journal)
        #expect(try invocation("a b --apply clone").options.writeMethod == .clone)
        #expect(try invocation("a b --in-place").options.writeMethod == .inPlace)
        // What a dry run would do may be said.
        let dry = try invocation("-n a b --in-place")
        #expect(dry.options.isDryRun && dry.options.writeMethod == .inPlace)
        #expect(try invocation("-n a b --journal-dir d").options.journalFolder == "d")
        let apply = try invocation("apply d b --journal-dir /j --apply clone --force")
        #expect(apply.options.journalFolder == "/j")
        #expect(apply.options.writeMethod == .clone)
        #expect(apply.options.breaksChildren)
        #expect(try invocation("recover b --journal-dir ./j").options.journalFolder == "./j")
        #expect(try invocation("recover b --apply clone").options.writeMethod == .clone)
        let formats = try invocation("a b --primary-format raw --replica-format vhdx").options
        #expect(formats.primaryFormat == .raw && formats.replicaFormat == .vhdx)
        #expect(try invocation("a b").options.primaryFormat == .automatic)
        #expect(try invocation("recover b --replica-format raw").options.replicaFormat == .raw)
        #expect(try invocation("a b --create --replica-format raw").options.createsReplica)
    }

    @Test func aMapMayBeTrusted() throws {
        #expect(try invocation("map a -o m").earlierMap == nil)
        #expect(try invocation("map a -o m --reuse").earlierMap == "")
        #expect(try invocation("map --reuse a -o m").paths == ["a"])
        #expect(try invocation("map a -o m --reuse=n").earlierMap == "n")
    }

    @Test func helpAndVersionNeedNothingElse() throws {
        for words in ["--help", "-h", "map -h", "a b c d --help", "apply --help", "-V --help"] {
            guard case .help(_) = try request(words) else {
                Issue.record("\(words)")
                continue
            }
        }
        for words in ["--version", "-V", "info -V"] {
            guard case .version = try request(words) else {
                Issue.record("\(words)")
                continue
            }
        }
    }

    @Test func refusesWhatMakesNoSense() {
        let words = [
            "", "a", "a b c", "map", "map a", "map a b -o m", "diff a", "diff a b c", "info",
            "info a b", "check", "check a b",
            // Unknown, ambiguous, without an argument or with one too many.
            "a b --bogus", "a b -x", "a b -nx", "-xn a b", "a b --ver", "a b --json=1",
            "a b --jobs", "map a -o", "map a --output",
            // Values.
            "a b --jobs 0", "a b --block-size 5000", "a b --compare crc", "a b --progress bar",
            "a b --timeout never", "a b --cache direct",
            // Options of other verbs, and of no dry run.
            "info a --quiet", "info a --progress none", "info a --timeout 1", "info a --jobs 1",
            "info a --cache drop", "check a --cache drop",
            "info a --block-size 4K", "map a -o m --compare hash", "map a -o m --dry-run",
            "map a -o m --reuse n", "diff a b --reuse",
            "map a -o m --create", "map a -o m --verify", "diff a b --dry-run", "diff a b --create",
            "diff a b --verify", "a b -o m", "info a -o m", "-n --verify a b",
            "check a --quiet", "check a --jobs 1", "check a -n", "check a --timeout 1",
            "apply d", "apply d b c", "recover", "recover a b",
            // Of writing.
            "a b --apply both", "a b --primary-format qcow2", "a b --replica-format img",
            "a b --in-place --apply clone", "a b --apply replica --in-place",
            "a b --in-place --journal-dir d", "a b --journal-dir d --in-place",
            "a b --create --parent p --replica-format raw",
            "recover b --in-place", "recover b --force", "recover b -n", "apply d b --in-place",
            "apply d b --compare bytes", "apply d b --verify", "apply d b -n",
            "apply d b --primary-format raw", "diff a b -o d --compare bytes",
            "diff a b --journal-dir d", "diff a b --in-place", "map a -o m --replica-format raw",
            "info a --primary-format raw", "check a --replica-format raw",
        ]
        for words in words {
            let error = #expect(throws: UsageError.self, "\(words)") { try request(words) }
            #expect(error?.code == .invalidParameter, "\(words)")
            #expect(error?.sentence.isEmpty == false, "\(words)")
        }
        let arguments = CommandLineArguments(parsing: ["vhdresync", "a", ""])
        #expect(throws: UsageError.invalid("the name of a file is empty")) {
            try Request(arguments)
        }
    }

    @Test func refusesWhatIsPlanned() {
        let words = [
            "diff a host:b", "diff vhdresync://host/a b",
            "info host:a", "map host:a -o m", "map a -o host:m", "apply host:d b",
            "recover host:b", "a h:b --ca h:c", "a b --journal-dir h:d",
        ]
        for words in words {
            let error = #expect(throws: UsageError.self, "\(words)") { try request(words) }
            #expect(error?.code == .notSupported, "\(words)")
        }
    }

    @Test func namesWhatIsAtFault() {
        let cases = [
            ("a --bogus b", "unknown option '--bogus'"),
            ("a --bogus=7 b", "unknown option '--bogus'"),
            ("a -x b", "unknown option '-x'"),
            ("a -nxq b", "unknown option '-x'"),
            ("a -nx b", "unknown option '-x'"),
            ("a b --ver", "the option '--ver' is ambiguous: --verify or --version"),
            ("a b --json=1", "the option '--json' takes no argument"),
            ("a b --timeout", "the option '--timeout' needs an argument"),
            ("map a -o", "the option '-o' needs an argument"),
            (
                "a b c",
                "disks come in pairs, and 'c' is one name too many: vhdresync PRIMARY REPLICA "
                    + "[PRIMARY REPLICA]..."
            ),
            ("info a b", "one name too many, 'b': vhdresync info DISK"),
            (
                "a b --in-place --journal-dir d",
                "'--in-place' writes without a journal: '--journal-dir' means nothing to it"
            ),
            (
                "a b --create --parent p --replica-format raw",
                "a raw disk builds on no image: '--parent' means nothing to it"
            ),
            ("recover b --in-place", "the option '--in-place' means nothing to 'recover'"),
            ("info a -n", "the option '--dry-run' means nothing to 'info'"),
            (
                "info h:b",
                "'h:b' names a disk on another host, and only a resynchronization works over two "
                    + "hosts; './h:b' is a file here"
            ),
        ]
        for (words, sentence) in cases {
            let error = #expect(throws: UsageError.self, "\(words)") { try request(words) }
            #expect(error?.sentence == sentence, "\(words)")
        }
    }

    @Test func everyOptionIsFoundByItsNames() {
        for option in Option.allCases {
            let value = option.takesArgument ? ["value"] : []
            let expected = CommandLineArguments.Occurrence(option: option, argument: value.first)
            var spellings = ["--\(option.name)"]
            if let letter = option.letter { spellings.append("-\(letter)") }
            for spelling in spellings {
                let arguments = CommandLineArguments(parsing: ["vhdresync", spelling] + value)
                #expect(arguments.occurrences == [expected], "\(spelling)")
                #expect(arguments.operands.isEmpty)
                #expect(arguments.error == nil)
            }
        }
    }

    @Test func manyParseAtOnce() async {
        await withTaskGroup { group in
            for index in 0..<50 {
                group.addTask {
                    let text = "\(index)"
                    let parsed = CommandLineArguments(
                        parsing: ["vhdresync", text, "--jobs", text, "x", "-n"])
                    #expect(parsed.operands == [text, "x"])
                    #expect(parsed.occurrences.first?.argument == text)
                }
            }
        }
    }
}
