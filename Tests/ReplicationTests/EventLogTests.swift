import Dispatch
import Foundation
import Resync
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("Logs")
struct EventLogTests {
    private let lines = Lock<[String]>([])
    private let time = Lock(Date(timeIntervalSince1970: 1_800_000_000.25))

    private func log(_ format: LogFormat) -> EventLog {
        EventLog(
            format, write: { [lines] line in lines.withLock { $0.append(line) } },
            now: { [time] in time.withLock { $0 } })
    }

    private var event: AgentEvent {
        var event = AgentEvent(
            .runFinished, peer: "[::1]:7", subject: "CN=a \"b\" \\ c", message: "one\ntwo")
        event.role = .replica
        event.path = "vm/\u{1B}[2J\u{202E}ä.vhdx"
        event.code = .systemInUse
        event.bytes = 12
        event.seconds = 1.0625
        return event
    }

    @Test("A line of text has the time, the event, and what is known of it")
    func text() {
        let log = log(.text)
        log.note(event)
        log.note(AgentEvent(.certificatesReloaded))
        log.flush(timeoutSeconds: 10)
        let first = [
            "2027-01-15T08:00:00.250Z run-finished", #"peer="[::1]:7""#,
            #"subject="CN=a \"b\" \\ c""#, #"role="replica""#,
            #"path="vm/\\u{1b}[2J\\u{202e}ä.vhdx""#, "code=32774", "bytes=12", "seconds=1.063",
            #"message="one\\u{a}two""#,
        ]
        let second = "2027-01-15T08:00:00.250Z certificates-reloaded"
        #expect(lines.withLock { $0 } == [first.joined(separator: " "), second])
    }

    @Test("A line of JSON is an object that says the same")
    func json() throws {
        let log = log(.json)
        log.note(event)
        log.flush(timeoutSeconds: 10)
        let line = try #require(lines.withLock { $0 }.first)
        #expect(!line.contains("\n"))
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["time"] as? String == "2027-01-15T08:00:00.250Z")
        #expect(object["event"] as? String == "run-finished")
        #expect(object["peer"] as? String == "[::1]:7")
        #expect(object["subject"] as? String == #"CN=a "b" \ c"#)
        #expect(object["path"] as? String == #"vm/\u{1b}[2J\u{202e}ä.vhdx"#)
        #expect(object["code"] as? Int == 32774)
        #expect(object["bytes"] as? Int == 12)
        #expect(object["seconds"] as? Double == 1.063)
        #expect(object["message"] as? String == #"one\u{a}two"#)
        #expect(object.count == 10)
    }

    @Test("Any text makes one line that parses, and a long one is cut")
    func anyText() throws {
        let log = log(.json)
        var generator = SeededGenerator(seed: 40)
        for _ in 0..<200 {
            var text = String.UnicodeScalarView()
            for _ in 0..<20 {
                let value = UInt32(truncatingIfNeeded: generator.next()) % 0x300
                if let scalar = Unicode.Scalar(value) { text.append(scalar) }
            }
            log.note(AgentEvent(.runBegun, message: String(text)))
        }
        log.note(AgentEvent(.runBegun, message: String(repeating: "x", count: 100_000)))
        log.flush(timeoutSeconds: 10)
        let all = lines.withLock { $0 }
        #expect(all.count == 201)
        for line in all {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            #expect(object is [String: Any], "\(line)")
            #expect(line.utf8.count < 20 * 1024)
        }
    }

    @Test("What strangers cause comes five times a second, and then as a count")
    func rateLimit() {
        let log = log(.text)
        for index in 0..<100 { log.note(AgentEvent(.handshakeFailed, message: "\(index)")) }
        // What is not theirs comes in between.
        log.note(AgentEvent(.runBegun))
        time.withLock { $0 += 1 }
        log.note(AgentEvent(.handshakeFailed, message: "next"))
        log.flush(timeoutSeconds: 10)
        let found = lines.withLock { $0 }
        #expect(found.count { $0.contains("handshake-failed message") } == 6)
        #expect(found.count == 8)
        #expect(found.suffix(2).first?.contains("\"95 more: handshake-failed\"") == true)
    }

    @Test("The count comes also when nothing else does")
    func rateLimitAtTheEnd() {
        let log = log(.text)
        for _ in 0..<7 { log.note(AgentEvent(.peerRefused)) }
        log.flush(timeoutSeconds: 10)
        let found = lines.withLock { $0 }
        #expect(found.count == 6)
        #expect(found.last?.contains("\"2 more: peer-refused\"") == true)
    }

    @Test("Who does not read the log holds nobody up, and gets no more than there is room for")
    func blockedReader() {
        let gate = DispatchSemaphore(value: 0)
        let log = EventLog(
            .text,
            write: { [lines] line in
                gate.wait()
                gate.signal()
                lines.withLock { $0.append(line) }
            }, now: { Date.now })
        let count = 5 * EventLog.waitingLineLimit
        for _ in 0..<count { log.note(AgentEvent(.runBegun)) }
        log.flush(timeoutSeconds: 0.01)
        #expect(lines.withLock { $0.count } == 0)
        gate.signal()
        log.flush(timeoutSeconds: 30)
        let found = lines.withLock { $0 }
        #expect(found.count <= 2 * EventLog.waitingLineLimit + 2)
        let lost = found.filter { $0.contains("lines-left-out") }.compactMap { line in
            line.split(separator: "\"").last.flatMap { Int($0.prefix { $0.isNumber }) }
        }
        let written = found.count { $0.contains("run-begun") }
        #expect(written + lost.reduce(0, +) == count)
        #expect(!lost.isEmpty)
    }

    @Test("Lines of many threads are whole, in a file")
    func descriptor() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("log")
        #expect(FileManager.default.createFile(atPath: path, contents: nil))
        let handle = try #require(FileHandle(forWritingAtPath: path))
        let log = EventLog(.json, descriptor: handle.fileDescriptor)
        DispatchQueue.concurrentPerform(iterations: 8) { index in
            for _ in 0..<50 { log.note(AgentEvent(.runBegun, message: "\(index)")) }
        }
        log.flush(timeoutSeconds: 30)
        let written = try String(contentsOfFile: path, encoding: .utf8)
        let found = written.split(separator: "\n")
        #expect(found.count == 400 && written.hasSuffix("\n"))
        for line in found {
            #expect(throws: Never.self) {
                try JSONSerialization.jsonObject(with: Data(line.utf8))
            }
        }
        try handle.close()
    }
}
