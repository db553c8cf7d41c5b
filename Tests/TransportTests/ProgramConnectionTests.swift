import Foundation
import Storage
import TestSupport
import Testing
import Transport

struct ProgramConnectionTests {
    static func start(_ command: String...) throws -> ProgramConnection {
        try ProgramConnection(command: command, peerName: "program")
    }

    @Test("All bytes go through a program and back, at once")
    func cat() throws {
        let connection = try Self.start("cat")
        var generator = SeededGenerator(seed: 21)
        let bytes = generator.bytes(count: 3_000_001)
        let sending = Background { try connection.send(bytes) }
        #expect(try connection.receive(exactly: bytes.count) == bytes)
        try sending.value()
        connection.close()
        #expect(throws: TransportError.closed) { try connection.receive(atMost: 1) }
    }

    @Test(
        "The status of a program that ends too soon is told",
        arguments: [
            ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 137), ("no-such-command-x", 127),
        ]
            as [(String, Int32)])
    func status(_ script: String, _ status: Int32) throws {
        let connection = try Self.start("sh", "-c", "echo a; exec 2>/dev/null; \(script)")
        #expect(try connection.receive(exactly: 2) == Array("a\n".utf8))
        #expect(throws: TransportError.programFailed(command: "sh", status: status)) {
            try connection.receive(atMost: 1)
        }
        #expect(throws: TransportError.programFailed(command: "sh", status: status)) {
            for _ in 0..<100 { try connection.send([UInt8](repeating: 0, count: 65_536)) }
        }
    }

    @Test("A program that ends well is an orderly end")
    func success() throws {
        let connection = try Self.start("echo", "a")
        #expect(try connection.receive(exactly: 10) == Array("a\n".utf8))
        #expect(throws: TransportError.ended(peer: "program")) {
            for _ in 0..<100 { try connection.send([UInt8](repeating: 0, count: 65_536)) }
        }
    }

    @Test("A program that is not there is an error")
    func missing() {
        #expect(throws: TransportError.programMissing(command: "/none/ssh", errno: ENOENT)) {
            try Self.start("/none/ssh")
        }
        #expect(throws: TransportError.programMissing(command: "no-such-program", errno: ENOENT)) {
            try Self.start("no-such-program", "x")
        }
    }

    @Test("Who waits is woken, and a program that ends with its input is not waited for long")
    func close() throws {
        let connection = try Self.start("cat")
        let waiting = Background { try connection.receive(atMost: 1, timeoutSeconds: nil) }
        let seconds = secondsTaken { connection.close() }
        #expect(throws: TransportError.closed) { try waiting.value() }
        #expect(seconds < 0.9)
        connection.close()
    }

    @Test("A program that does not want to end is ended, and leaves nothing behind")
    func stubborn() throws {
        let connection = try Self.start(
            "sh", "-c", "trap '' TERM HUP; echo $$; while :; do sleep 0.05; done")
        let line = String(decoding: try connection.receive(atMost: 100), as: UTF8.self)
        let process = try #require(Int32(line.trimmingCharacters(in: .whitespacesAndNewlines)))
        let seconds = secondsTaken { connection.close() }
        #expect(kill(process, 0) == -1 && errno == ESRCH, "neither a process nor a zombie")
        #expect((1.9...10).contains(seconds), "\(seconds)")
    }

    @Test("What was sent last gets through a slow program")
    func finish() throws {
        let folder = try TemporaryFolder()
        let output = folder.file("output")
        let connection = try Self.start("sh", "-c", "sleep 0.3; cat > \(output); echo ignored")
        try connection.send([1, 2, 3])
        connection.finish(timeoutSeconds: 20)
        #expect(try Data(contentsOf: URL(filePath: output)) == Data([1, 2, 3]))
    }

    @Test("A program starts with no signal blocked, and with SIGPIPE and SIGCHLD as by default")
    func signals() throws {
        // Not through a shell: it blocks signals itself, now and then.
        let connection = try Self.start("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
        let bytes = try connection.receive(exactly: 1000)
        let masks = try String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            .map { try #require(UInt64($0.dropFirst(8), radix: 16)) }
        try #require(masks.count == 2)
        #expect(masks[0] == 0 && masks[1] & (1 << (SIGPIPE - 1) | 1 << (SIGCHLD - 1)) == 0)
    }

    @Test("A program does not hold this process's ends of its pipes")
    func descriptors() throws {
        let connection = try Self.start(
            "sh", "-c", "for f in /proc/$$/fd/*; do readlink $f || :; done")
        let bytes = try connection.receive(exactly: 100_000)
        let files = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        try #require(files.count > 2)
        for file in files.prefix(2) {
            #expect(file.hasPrefix("pipe:") && files.count { $0 == file } == 1, "\(files)")
        }
    }
}
