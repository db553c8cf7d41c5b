import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("The command at the end of a job")
struct JobHookTests {
    private let folder: TemporaryFolder
    private let failures = Lock<[String]>([])

    init() throws {
        folder = try TemporaryFolder()
    }

    private func hook(
        _ script: String, timeLimitSeconds: Double = 600, waitingLimit: Int = JobHook.waitingLimit
    ) -> JobHook {
        JobHook(
            ["/bin/sh", "-c", script, "hook", folder.file("out")],
            timeLimitSeconds: timeLimitSeconds, waitingLimit: waitingLimit,
            failed: { [failures] words in failures.withLock { $0.append(words) } })
    }

    private var output: String {
        get throws { try String(contentsOfFile: folder.file("out"), encoding: .utf8) }
    }

    @Test("It reads what it is given, one run after another")
    func input() throws {
        let hook = hook("cat >>\"$1\"; echo >>\"$1\"; echo done")
        let texts = (0..<20).map { "{\"number\":\($0)}" }
        for text in texts { hook.run { text } }
        hook.finish(timeoutSeconds: 600)
        #expect(try output == texts.joined(separator: "\n") + "\n")
        #expect(failures.withLock { $0 }.isEmpty)
    }

    @Test("A failure is told, with what the command has printed")
    func failure() {
        let hook = hook("cat >/dev/null; echo 'no such address'; exit 3")
        hook.run { "{}" }
        hook.finish(timeoutSeconds: 600)
        #expect(
            failures.withLock { $0 } == ["/bin/sh ended with status 3: no such address\n"])
    }

    @Test("A command that does not read its input may succeed, and one that is missing is told of")
    func others() {
        let hook = hook("exit 0")
        hook.run { String(repeating: "x", count: 1 << 20) }
        hook.finish(timeoutSeconds: 600)
        #expect(failures.withLock { $0 }.isEmpty)
        let missing = JobHook(
            [folder.file("missing")],
            failed: { [failures] words in failures.withLock { $0.append(words) } })
        missing.run { "{}" }
        missing.finish(timeoutSeconds: 600)
        #expect(failures.withLock { $0.first?.hasPrefix("cannot start") } == true)
    }

    @Test("A command that does not end is ended, and the next one is run")
    func limit() throws {
        let hook = hook(
            "read -r text; if [ \"$text\" = a ]; then sleep 100000; fi; echo \"$text\" >\"$1\"",
            timeLimitSeconds: 1)
        hook.run { "a\n" }
        hook.run { "b\n" }
        hook.finish(timeoutSeconds: 600)
        #expect(failures.withLock { $0.count } == 1)
        #expect(try output == "b\n")
    }

    @Test("No more runs wait than there is room for")
    func waiting() throws {
        let hook = hook(
            "until [ -e \"$1\" ]; do sleep 0.05; done; cat >>\"$1\"", waitingLimit: 3)
        for number in 1...5 { hook.run { "\(number)" } }
        #expect(failures.withLock { $0.count { $0.contains("is not run") } } == 2)
        #expect(FileManager.default.createFile(atPath: folder.file("out"), contents: nil))
        hook.finish(timeoutSeconds: 600)
        #expect(try output == "123")
    }
}
