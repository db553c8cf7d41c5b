import Foundation
import Storage
import TestSupport
import Testing
import Transport

@testable import Replication

/// A service that listens, and who comes to it.
@Suite("The control socket")
struct ControlServerTests {
    private let folder: TemporaryFolder
    private let trial: ServiceTrial
    private let server: ControlServer
    private var path: String { folder.file("s") }

    init() throws {
        folder = try TemporaryFolder()
        trial = try ServiceTrial([Inventory.machine(1)])
        var limits = ControlLimits()
        limits.connectionCount = 4
        limits.idleSeconds = 30
        let listener = try UnixListener(path: folder.file("s"))
        server = ControlServer(ControlDesk(trial.service), listener, limits)
        server.start { Issue.record("the listening has ended: \($0)") }
    }

    /// One who says what it wants, byte by byte if need be.
    private final class Client {
        let connection: DescriptorConnection
        private var lines = ControlLines(limit: 1 << 20)

        init(_ path: String) throws {
            connection = try DescriptorConnection.connect(toPath: path, timeoutSeconds: 30)
        }

        func send(_ text: String) throws {
            try connection.send(Array(text.utf8).rawSpan)
        }

        /// The next answer; nil at the end.
        func answer() throws -> ControlAnswer? {
            var piece = [UInt8](repeating: 0, count: 4096)
            while true {
                if let line = try lines.next() {
                    return try JSONDecoder().decode(ControlAnswer.self, from: Data(line))
                }
                var count = 0
                try piece.withMutableRawSpan { (bytes) throws(TransportError) in
                    count = try connection.receive(into: &bytes, timeoutSeconds: 60)
                }
                guard count > 0 else { return nil }
                lines.append(piece.rawSpan.extracting(0..<count))
            }
        }

        func ask(_ text: String) throws -> ControlAnswer? {
            try send(text + "\n")
            return try answer()
        }
    }

    private static let list = #"{"version":1,"request":"listMachines"}"#

    @Test("One connection asks many times, in pieces, at once, and after mistakes")
    func requests() throws {
        defer { server.stop() }
        let client = try Client(path)
        #expect(try client.ask(Self.list)?.machines?.count == 1)
        for byte in (Self.list + "\n").unicodeScalars { try client.send("\(byte)") }
        #expect(try client.answer()?.machines?.count == 1)
        #expect(try client.ask("nonsense")?.returnValue == 32773)
        #expect(try client.ask("")?.returnValue == 32773)
        #expect(try client.ask(#"{"version":9}"#)?.returnValue == 32770)
        try client.send(String(repeating: Self.list + "\n", count: 100))
        for _ in 0..<100 { #expect(try client.answer()?.machines?.count == 1) }
        let name = SystemUser.current.name
        let started = try client.ask(
            #"{"version":1,"request":"resynchronize","computerSystem":"vm1"}"#)
        #expect(started?.returnValue == 4096 && started?.job?.owner.value == name)
    }

    @Test("A request that is too long is told so, and ends the connection")
    func tooLong() throws {
        defer { server.stop() }
        for end in ["\n", ""] {
            let client = try Client(path)
            // What is behind it is not read, and the sending of it may fail.
            try? client.send(String(repeating: "x", count: 16385) + end)
            let answer = try client.answer()
            #expect(answer?.returnValue == 32773)
            #expect(answer?.reason.value == "the request has more than 16384 bytes")
            #expect(try client.answer() == nil)
        }
        let client = try Client(path)
        let padded = Self.list + String(repeating: " ", count: 16384 - Self.list.utf8.count)
        #expect(try client.ask(padded)?.returnValue == 0)
    }

    @Test("Half a request is none")
    func halfLine() throws {
        defer { server.stop() }
        let client = try Client(path)
        try client.send(#"{"version":1,"request":"resynchronize","computerSystem":"vm1"}"#)
        client.connection.close()
        #expect(try Client(path).ask(Self.list)?.returnValue == 0)
        #expect(trial.service.jobs.isEmpty)
    }

    @Test("However many connect, the next one is answered")
    func crowd() throws {
        defer { server.stop() }
        let silent = try (0..<200).map { _ in try Client(path) }
        let client = try Client(path)
        #expect(try client.ask(Self.list)?.machines?.count == 1)
        // The oldest have given way.
        #expect(throws: (any Error).self) {
            guard try silent[0].ask(Self.list) == nil else { return }
            throw TransportError.closed
        }
    }

    @Test("Where all connections are being answered, another one is told so")
    func busy() throws {
        defer { server.stop() }
        let job = try #require(trial.call(1).job).properties.instanceID
        let watching = try (0..<4).map { _ in
            let client = try Client(path)
            let answer = try client.ask(ControlRequest.watchJob(job).line)
            #expect(answer?.isLast == false)
            return client
        }
        let refused = try Client(path).answer()
        #expect(refused?.returnValue == 32774)
        trial.end(1)
        for client in watching {
            var answer = try client.answer()
            while answer?.isLast == false { answer = try client.answer() }
            #expect(answer?.job?.jobStateName == "Completed")
            // It may ask again.
            #expect(try client.ask(Self.list)?.returnValue == 0)
        }
        #expect(try Client(path).ask(Self.list)?.returnValue == 0)
    }

    @Test("Who reads nothing of what it watches holds nobody up, and is cut off in the end")
    func slowReader() throws {
        let folder = try TemporaryFolder()
        var limits = ControlLimits()
        limits.sendSeconds = 0.5
        let listener = try UnixListener(path: folder.file("s"))
        let server = ControlServer(ControlDesk(trial.service), listener, limits)
        server.start { _ in }
        defer {
            server.stop()
            self.server.stop()
        }
        let slow = try Client(folder.file("s"))
        // More answers than the system holds for a socket.
        let flood = Background { [connection = slow.connection] in
            let text = String(repeating: Self.list + "\n", count: 100_000)
            try? connection.send(Array(text.utf8).rawSpan)
        }
        let job = try #require(trial.call(1).job)
        let client = try Client(folder.file("s"))
        for _ in 0..<20 { #expect(try client.ask(Self.list)?.returnValue == 0) }
        trial.end(1)
        #expect(job.properties.jobState == .completed)
        // The other side has closed: what it still sends fails.
        _ = try flood.value()
        #expect(try client.ask(Self.list)?.returnValue == 0)
    }

    @Test("In the end who watches is told, and who waits is closed")
    func end() throws {
        let job = try #require(trial.call(1).job).properties.instanceID
        let watching = try Client(path)
        _ = try watching.ask(ControlRequest.watchJob(job).line)
        let silent = try Client(path)
        #expect(try silent.ask(Self.list)?.returnValue == 0)
        let stopped = Background { [server] in server.stop() }
        var answer = try watching.answer()
        while answer?.isLast == false { answer = try watching.answer() }
        #expect(answer?.returnValue == 32777)
        #expect(answer?.reason.value?.contains("goes on when there is a service again") == true)
        #expect(try watching.answer() == nil)
        #expect(try silent.answer() == nil)
        try stopped.value()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("A connection that says nothing ends")
    func idle() throws {
        let folder = try TemporaryFolder()
        var limits = ControlLimits()
        limits.idleSeconds = 0.2
        let server = ControlServer(
            ControlDesk(trial.service), try UnixListener(path: folder.file("s")), limits)
        server.start { _ in }
        defer {
            server.stop()
            self.server.stop()
        }
        let client = try Client(folder.file("s"))
        try client.send("{")
        #expect(try client.answer() == nil)
    }

    @Test("The client says what became of a request that nobody has answered")
    func client() throws {
        defer { server.stop() }
        let absent = #expect(throws: CodedError.self) {
            try ControlClient(path: folder.file("none"))
        }
        #expect(absent?.code == .systemNotAvailable)
        #expect(absent?.description.contains("no service runs at") == true)
        let long = #expect(throws: CodedError.self) {
            try ControlClient(path: folder.file(String(repeating: "x", count: 200)))
        }
        #expect(long?.code == .invalidParameter)

        // Somebody who listens and hangs up.
        let other = try UnixListener(path: folder.file("other"))
        defer { other.stop() }
        let hangingUp = Background {
            for _ in 0..<2 { try other.accept()?.connection.close() }
        }
        for (request, code) in [
            (ControlRequest.resynchronize(computerSystem: "vm1"), ReturnCode.statusUnknown),
            (.listJobs, .systemNotAvailable),
        ] {
            let client = try ControlClient(path: folder.file("other"))
            let error = #expect(throws: CodedError.self) { try client.answer(to: request) }
            #expect(error?.code == code)
        }
        try hangingUp.value()
    }
}
