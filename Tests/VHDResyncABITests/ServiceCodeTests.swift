import CVHDResync
import Foundation
import Glibc
import Replication
import Storage
import TestSupport
import Testing

@testable import VHDX

/// Each return code comes out of Resynchronize or its job by a real cause, and is the same number in
/// Swift, in C, in the program's JSON and in its exit status.
@Suite struct ServiceCodeTests {
    /// What leads to a code. It is made anew for each way, since the first one may change the disks.
    struct Cause: Sendable, CustomTestStringConvertible {
        var code: ReturnCode
        var what: String
        var computerSystem = "vm1"
        var startTime: String?
        /// The machine, and what is to live as long as the run.
        var make: @Sendable () throws -> (ServiceMachine, Any?)

        var testDescription: String { "\(code.rawValue): \(what)" }
    }

    @Test(arguments: Self.causes)
    func codeByItsCause(_ cause: Cause) throws {
        for way in [Self.inSwift, Self.inC, Self.inProgram] {
            let (machine, helper) = try cause.make()
            try withExtendedLifetime((machine, helper)) {
                let found = try way(machine, cause)
                #expect(found == cause.code.rawValue, "\(cause)")
            }
        }
    }

    @Test func everyCodeHasACause() {
        #expect(Set(Self.causes.map(\.code)) == Set(ReturnCode.allCases))
    }

    // MARK: The ways

    private static func inSwift(_ machine: ServiceMachine, _ cause: Cause) throws -> UInt32 {
        let host = try ReplicationHost(
            configuration: machine.configuration, stateFolder: machine.state("swift"))
        host.start()
        let method = host.service.resynchronize(
            computerSystem: cause.computerSystem, startTime: cause.startTime)
        if let job = method.job, cause.code != .jobStarted {
            while !job.properties.jobState.isFinal { usleep(1000) }
        }
        host.stop()
        try host.wait()
        guard let job = method.job, cause.code != .jobStarted else {
            return method.returnValue.rawValue
        }
        #expect(method.returnValue == .jobStarted)
        #expect((job.getError() == nil) == (job.properties.errorCode == 0))
        return UInt32(job.properties.errorCode)
    }

    private static func inC(_ machine: ServiceMachine, _ cause: Cause) throws -> UInt32 {
        let service = try #require(ServiceHandle.start(machine, "c").value)
        defer { #expect(service.stop().code == VHDRESYNC_COMPLETED) }
        let started = service.resynchronize(cause.computerSystem, cause.startTime)
        guard let job = started.value, cause.code != .jobStarted else { return started.code }
        #expect(started.code == VHDRESYNC_JOB_STARTED)
        let ended = service.wait(for: job)
        #expect(ended.error.isEmpty == (ended.code == VHDRESYNC_COMPLETED))
        return ended.code
    }

    private static func inProgram(_ machine: ServiceMachine, _ cause: Cause) throws -> UInt32 {
        let service = try RunningService(machine)
        var words = ["vm", "resync", cause.computerSystem, "--json"]
        if let startTime = cause.startTime { words += ["--start-time", startTime] }
        if cause.code != .jobStarted { words += ["--wait", "-q"] }
        let ending = try Program.run(service.words(words))
        let object = try JSONKeys.object(ending.output)
        let value = try #require(object["returnValue"] as? UInt32, "\(ending.output)")
        #expect(ending.status == ReturnCode(rawValue: value)?.exitStatus)
        return value
    }

    // MARK: The causes

    private static func local(
        _ change: @escaping @Sendable (DiskPair) throws -> Any? = { _ in nil }
    ) -> @Sendable () throws -> (ServiceMachine, Any?) {
        {
            let pair = try DiskPair(dataByteCount: 2 << 20)
            let helper = try change(pair)
            return (try ServiceMachine(pair), (pair, helper))
        }
    }

    /// Over a program in the place of ssh, which runs this script.
    private static func shell(
        _ script: String, idleTimeoutSeconds: Int = 60
    ) -> @Sendable () throws -> (ServiceMachine, Any?) {
        {
            let pair = try DiskPair(dataByteCount: 2 << 20)
            let program = try Program.path().path
            let machine = try ServiceMachine(
                primary: pair.primary, name: pair.replica, place: "host:",
                settings: [
                    "remoteShell": ["/bin/sh", "-c", script, program],
                    "idleTimeoutSeconds": idleTimeoutSeconds,
                ])
            return (machine, pair)
        }
    }

    private static let causes: [Cause] = [
        Cause(code: .completed, what: "the job is done", make: local()),
        Cause(
            code: .jobStarted, what: "the job waits for its time",
            startTime: "\(CIMTimestamp(Date.now.addingTimeInterval(3600)))", make: local()),
        Cause(
            code: .failed, what: "the journal's file system is full",
            make: {
                let pair = try DiskPair(dataByteCount: 16 << 20, isRandom: true)
                let mount = try SmallFolder()
                let machine = try ServiceMachine(pair, settings: ["journalFolder": mount.path])
                return (machine, (pair, mount))
            }),
        Cause(
            code: .accessDenied, what: "the agent does not trust the certificate",
            make: {
                let pair = try DiskPair(dataByteCount: 2 << 20)
                let agent = try ListeningAgent(root: pair.folder.path)
                let certificates = try Certificates.shared.get()
                let machine = try ServiceMachine(
                    primary: pair.primary, name: "replica.vhdx",
                    place: "vhdresync://localhost:\(agent.port)/",
                    settings: [
                        "certificates": [
                            "certificate": certificates.certificate("stranger"),
                            "key": certificates.key("stranger"),
                            "authorities": certificates.certificate("ca"),
                        ]
                    ])
                return (machine, (pair, agent))
            }),
        Cause(
            code: .notSupported, what: "the journal is of a later version",
            make: local { pair in
                let delta = pair.folder.file("delta")
                _ = try Program.run(["diff", pair.primary, pair.replica, "-o", delta, "-q"])
                var bytes = try DiskPair.bytes(of: delta)
                bytes[16] = 9
                try bytes.write(to: URL(filePath: pair.journal))
                return nil
            }),
        Cause(
            code: .statusUnknown, what: "the line breaks when the replica is being finished",
            make: shell(
                // The journal goes; a sanitizer removes files of its own with another call.
                "exec strace -D -f -q -o /dev/null -e trace=unlink "
                    + "-e inject=unlink:signal=KILL:when=1 \"$0\" agent --stdio")),
        Cause(
            code: .timeout, what: "the other host is silent",
            make: shell("exec sleep 100000", idleTimeoutSeconds: 1)),
        Cause(
            code: .invalidParameter, what: "a start time in a month that is none",
            startTime: "20271301000000.000000+000", make: local()),
        Cause(
            code: .systemInUse, what: "somebody else has the replica open",
            make: local { pair in
                let file = try DiskFile(opening: pair.replica, for: .writing)
                try file.lock(for: .writing)
                return OpenFile(file)
            }),
        Cause(
            code: .invalidState, what: "the disks have different sizes",
            make: {
                let pair = try DiskPair(dataByteCount: 2 << 20)
                let larger = try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 30)
                let machine = try ServiceMachine(
                    primary: larger.primary, name: "replica.vhdx", place: pair.folder.path)
                return (machine, (pair, larger))
            }),
        Cause(
            code: .incorrectDataType, what: "the primary is a text",
            make: local { pair in
                try Data(String(repeating: "no image\n", count: 10000).utf8)
                    .write(to: URL(filePath: pair.primary))
                return nil
            }),
        Cause(
            code: .systemNotAvailable, what: "nobody listens on the other host",
            make: {
                let pair = try DiskPair(dataByteCount: 2 << 20)
                let certificates = try Certificates.shared.get()
                let machine = try ServiceMachine(
                    primary: pair.primary, name: "replica.vhdx", place: "vhdresync://localhost:1/",
                    settings: [
                        "certificates": [
                            "certificate": certificates.certificate("client"),
                            "key": certificates.key("client"),
                            "authorities": certificates.certificate("ca"),
                        ]
                    ])
                return (machine, pair)
            }),
        Cause(
            code: .outOfMemory, what: "more images build on each other than memory is for",
            make: {
                let pair = try DiskPair(dataByteCount: 2 << 20)
                let primary = try LongChain(in: pair.folder).last
                let machine = try ServiceMachine(
                    primary: primary, name: "replica.vhdx", place: pair.folder.path)
                return (machine, pair)
            }),
        Cause(
            code: .fileNotFound, what: "there is no primary",
            make: local { pair in
                try FileManager.default.removeItem(atPath: pair.primary)
                return nil
            }),
    ]
}

/// A file that stays open, and locked.
private final class OpenFile {
    private let file: DiskFile

    init(_ file: consuming DiskFile) {
        self.file = file
    }
}

/// A folder with space for 4 MiB.
private final class SmallFolder {
    private let folder: TemporaryFolder
    let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.path
        try ExternalProgram.run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", path])
            .requireSuccess()
    }

    deinit {
        _ = try? ExternalProgram.run("umount", ["-l", path])
    }
}

/// As many images that build on each other as may be, and one more.
private struct LongChain {
    let last: String

    init(in folder: TemporaryFolder) throws {
        func guid(_ level: Int) -> String {
            "0000\(String(level + 0x1000, radix: 16))-bbbb-4ccc-8ddd-eeeeeeeeeeee"
        }
        for level in 0...ImageChain.maximumDepth {
            var builder = ImageBuilder(
                virtualSize: 8 << 20, kind: level == 0 ? .dynamic : .differencing)
            for slot in builder.headers.indices {
                builder.headers[slot]?.dataWriteGUID = guid(level)
            }
            if level > 0 {
                builder.addLocator(
                    ImageBuilder.Locator(
                        linkage: guid(level - 1), relativePath: "\(level - 1).vhdx"))
            }
            try builder.build().save(to: folder.file("\(level).vhdx"))
        }
        last = folder.file("\(ImageChain.maximumDepth).vhdx")
    }
}
