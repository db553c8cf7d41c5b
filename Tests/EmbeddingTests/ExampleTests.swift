import Foundation
import Glibc
import TestSupport
import Testing

/// One of the programs in `docs/examples`, ready to be given a primary and a replica.
struct Example {
    enum Language: String, CaseIterable {
        case c, python, swift
    }

    var program: String
    var arguments: [String] = []
    var environment: [String: String] = [:]

    private static let folder = InstalledCopy.root + "/docs/examples"

    /// Builds it as its own comment says.
    init(_ language: Language, in folder: TemporaryFolder) throws {
        switch language {
        case .c:
            let copy = try InstalledCopy.shared.get()
            program = folder.file("resync")
            environment = copy.environment
            try ExternalProgram.run(
                "cc",
                ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", Self.folder + "/resync.c"]
                    + copy.configuration(["--cflags", "--libs"]) + ["-o", program]
            ).requireSuccess()
        case .python:
            program = "/usr/bin/python3"
            arguments = [Self.folder + "/resync.py"]
            environment = try InstalledCopy.shared.get().environment
        case .swift:
            let copy = try InstalledCopy.shared.get()
            let package = try copy.configuration(["--variable=swift_package"])
            // Kept from test to test: the whole library is built for it.
            let scratch = InstalledCopy.kept + "/swift"
            try ExternalProgram.run(
                "swift",
                [
                    "build", "--package-path", Self.folder + "/swift", "--scratch-path", scratch,
                    "--disable-sandbox",
                ], environment: ["VHDRESYNC_PACKAGE": package.joined()], timeoutSeconds: 1800
            ).requireSuccess()
            program = scratch + "/debug/resync"
        }
    }

    func start(_ primary: String, _ replica: String) throws -> RunningProgram {
        // Whoever has started the tests may ignore the signal.
        try RunningProgram(
            at: URL(filePath: "/usr/bin/env"),
            ["--default-signal=INT", program] + arguments + [primary, replica],
            // Swift's own handlers are there where the environment asks for them.
            environment: environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 })
    }
}

/// The examples bring a stale replica up to date, show how far they are, stop when they are asked to,
/// and print the result.
@Suite(.serialized) struct ExampleTests {
    private func result(_ ending: Program.Ending) throws -> (job: [String: Any], code: Int?) {
        let object = try JSONKeys.object(ending.output)
        #expect(Set(object.keys) == JSONKeys.result)
        let job = try #require(object["job"] as? [String: Any])
        return (job, object["returnValue"] as? Int)
    }

    @Test(arguments: Example.Language.allCases)
    func bringsAReplicaUpToDate(_ language: Example.Language) throws {
        let folder = try TemporaryFolder()
        let example = try Example(language, in: folder)
        let pair = try DiskPair()
        let ending = try example.start(pair.primary, pair.replica).wait()
        #expect(ending.status == 0, "\(ending.error)")
        #expect(try pair.replicaIsCurrent())
        #expect(ending.error.contains(" %, "))
        #expect(try result(ending).code == 0)
        #expect(try result(ending).job["jobState"] as? Int == 7)
    }

    @Test(arguments: Example.Language.allCases)
    func stopsWhenItIsAskedTo(_ language: Example.Language) throws {
        let folder = try TemporaryFolder()
        let example = try Example(language, in: folder)
        let pair = try LongPair()
        let running = try example.start(pair.primary, pair.replica)
        while try !running.errorSoFar().contains(" %, "), running.isRunning { usleep(1000) }
        // What the library does with signals is the program's.
        #expect(try running.catches(SIGINT))
        #expect(try !running.catches(SIGBUS))
        running.send(SIGINT)
        let ending = try running.wait()
        #expect(!ending.wasKilled && ending.status == 1, "\(ending.error)")
        #expect(ending.error.contains("resync: Failed (32768): stopped on request"))
        #expect(try result(ending).code == 32768)
        #expect(try result(ending).job["jobState"] as? Int == 8)
    }

    @Test(arguments: Example.Language.allCases)
    func saysWhatIsWrong(_ language: Example.Language) throws {
        let folder = try TemporaryFolder()
        let example = try Example(language, in: folder)
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let ending = try example.start(pair.primary, pair.replica + "x").wait()
        #expect(ending.status == 12)
        #expect(
            ending.error.contains(
                "resync: File not found (32779): cannot open \(pair.replica)x: No such file"))
        #expect(try result(ending).code == 32779)
        #expect(try result(ending).job["jobState"] as? Int == 10)
    }
}
