import Storage
import Testing

@testable import Replication

@Suite("Requests of the control protocol")
struct ControlRequestTests {
    private func request(_ text: String) throws(CodedError) -> ControlRequest {
        try ControlRequest(parsing: Array(text.utf8))
    }

    private func reason(_ text: String, _ code: ReturnCode = .invalidParameter) -> String? {
        let error = #expect(throws: CodedError.self, "\(text)") { try request(text) }
        #expect(error?.code == code, "\(text)")
        return error?.description
    }

    static let all: [ControlRequest] = [
        .listMachines, .showMachine(computerSystem: "mail"),
        .resynchronize(computerSystem: "m \"ä\"😀", startTime: nil),
        .resynchronize(computerSystem: "mail", startTime: "20270115183000.000000+***"),
        .requestReplicationStateChange(computerSystem: "mail", requestedState: 7),
        .requestReplicationStateChange(computerSystem: "mail", requestedState: 65535),
        .getReplicationStatistics(computerSystem: "mail"), .listJobs, .showJob("A"),
        .watchJob("A"), .requestStateChange(job: "A", requestedState: 0),
        .listHistory(), .listHistory(computerSystem: "mail", limit: 1000),
    ]

    @Test("Each is read as it was written")
    func roundTrip() throws {
        for expected in Self.all {
            #expect(try request(expected.line) == expected)
            #expect(!expected.line.contains("\n"))
        }
        #expect(Set(Self.all.map(\.name)) == Set(ControlRequestName.allCases))
    }

    @Test("Space, the order of keys and the end of a line from Windows mean nothing")
    func forms() throws {
        #expect(
            try request(" { \"request\" : \"showJob\", \"job\":\"A\", \"version\":1 }\r")
                == .showJob("A"))
    }

    @Test("What is wrong is said with the way to it")
    func refusals() {
        let cases = [
            (#"{"version":1}"#, "the request: request: missing"),
            (#"{"request":"listJobs"}"#, "the request: version: missing"),
            (
                #"{"version":"1","request":"listJobs"}"#,
                "the request: version: a number is wanted here, not a text"
            ),
            (
                #"{"version":1,"request":"listJobs","job":"A"}"#,
                "the request: job: it means nothing to \"listJobs\""
            ),
            (
                #"{"version":1,"request":"showJob"}"#, "the request: job: missing"
            ),
            (
                #"{"version":1,"request":"showJob","job":"A","Job":"A"}"#,
                "the request: Job: an unknown key; is \"job\" meant?"
            ),
            (
                #"{"version":1,"request":"showJob","job":"A","x":1}"#,
                "the request: x: an unknown key"
            ),
            (
                #"{"version":1,"request":"showJob","job":["A"]}"#,
                "the request: job: a text is wanted here, not a list"
            ),
            (
                #"{"version":1,"request":"showJob","job":"A","job":"B"}"#,
                "the request: job: the key stands twice in its object (byte 44)"
            ),
            (
                #"{"version":1,"request":"showJob","job":"a\u001b"}"#,
                "the request: job: the text holds control characters"
            ),
            (
                #"{"version":1,"request":"showMachine","computerSystem":""}"#,
                "the request: computerSystem: the text is empty"
            ),
            (
                #"{"version":1,"request":"requestStateChange","job":"A","requestedState":65536}"#,
                "the request: requestedState: must be a whole number from 0 to 65535, not 65536"
            ),
            (
                #"{"version":1,"request":"requestStateChange","job":"A","requestedState":4.0}"#,
                "the request: requestedState: must be a whole number from 0 to 65535, not 4.0"
            ),
            (
                #"{"version":1,"request":"listHistory","limit":1001}"#,
                "the request: limit: must be a whole number from 1 to 1000, not 1001"
            ),
            ("[]", "the request: an object is wanted here, not a list"),
            ("", "the request is not JSON: the line ends here too early (byte 1)"),
            (
                #"{"version":1} {}"#,
                "the request is not JSON: the line goes on after its end (byte 15)"
            ),
            (
                #"{"version":1,}"#,
                "the request is not JSON: a key in quotes is wanted here behind the comma, not \"}\" "
                    + "(byte 14)"
            ),
        ]
        for (text, sentence) in cases {
            let reason = reason(text)
            if text.hasSuffix(",}") {
                #expect(reason?.hasPrefix("the request is not JSON: ") == true, "\(text)")
            } else {
                #expect(reason == sentence, "\(text)")
            }
        }
        let word = reason(#"{"version":1,"request":"listjobs"}"#)
        #expect(word?.hasPrefix("the request: request: must be \"listMachines\" or ") == true)
        #expect(word?.hasSuffix(", not \"listjobs\"") == true)
    }

    @Test("Another version is not supported, whatever else there is")
    func versions() {
        let sentence =
            "version 2 of the control protocol is not supported: this service knows version 1"
        for text in [
            #"{"version":2,"request":"listJobs"}"#, #"{"version":2,"request":["x"]}"#,
            #"{"version":2}"#,
        ] {
            #expect(reason(text, .notSupported) == sentence)
        }
        _ = reason(#"{"version":0,"request":"listJobs"}"#)
    }

    @Test("No text traps or makes a long sentence")
    func hostile() {
        let texts = [
            String(repeating: "[", count: 16000), String(repeating: "{\"a\":", count: 3000),
            "{\"version\":1,\"request\":\"" + String(repeating: "x", count: 15000) + "\"}",
            "{\"version\":1,\"request\":\"showJob\",\"job\":\"" + String(repeating: "x", count: 256)
                + "\"}",
            "{" + (0..<1200).map { "\"k\($0)\":1" }.joined(separator: ",") + "}",
            "{\"version\":1" + String(repeating: "0", count: 400) + "}", "\u{FEFF}{}", "\0",
            "\u{15}",
            #"{"version":1,"request":"listJobs","\u001b[2J":1}"#, "{\"version\"\u{1B}[2J",
        ]
        for text in texts {
            let reason = reason(text)
            #expect((reason?.utf8.count ?? .max) < 2000)
            #expect(reason?.printable == reason)
        }
        let bytes: [UInt8] = [0x7B, 0xFF, 0x7D]
        #expect(throws: CodedError.self) { try ControlRequest(parsing: bytes) }
    }

    @Test("A start time may be any text: the service looks at it")
    func startTimes() throws {
        #expect(
            try request(
                #"{"version":1,"request":"resynchronize","computerSystem":"a","startTime":""}"#)
                == .resynchronize(computerSystem: "a", startTime: ""))
    }
}

@Suite("Lines of a stream")
struct ControlLinesTests {
    private func lines(
        _ text: String, pieces: Int, limit: Int = 10
    ) throws(ControlLines.TooLong) -> (lines: [String], rest: Int) {
        var splitter = ControlLines(limit: limit)
        var found: [String] = []
        let bytes = Array(text.utf8)
        var start = 0
        while start < bytes.count {
            let end = min(start + pieces, bytes.count)
            splitter.append(bytes.rawSpan.extracting(start..<end))
            while let line = try splitter.next() {
                found.append(String(decoding: line, as: UTF8.self))
            }
            start = end
        }
        return (found, splitter.byteCount)
    }

    @Test("They are the same in whatever pieces they come", arguments: 1...12)
    func pieces(_ count: Int) throws {
        let result = try lines("ab\n\n0123456789\ncd", pieces: count)
        #expect(result.lines == ["ab", "", "0123456789"])
        #expect(result.rest == 2)
    }

    @Test("A line that is too long is refused, complete or not, and nothing follows")
    func limit() throws {
        for text in ["0123456789a\nb\n", "0123456789a", "a\n0123456789a\n"] {
            for count in 1...14 {
                #expect(throws: ControlLines.TooLong(limit: 10)) { try lines(text, pieces: count) }
            }
        }
        var splitter = ControlLines(limit: 4)
        splitter.append([1, 2, 3, 4, 5].rawSpan)
        #expect(throws: ControlLines.TooLong.self) { try splitter.next() }
        splitter.append(Array("ab\n".utf8).rawSpan)
        #expect(throws: ControlLines.TooLong.self) { try splitter.next() }
        #expect(splitter.byteCount == 0)
    }
}

@Suite("Connections of a control socket")
struct ControlConnectionsTests {
    private func admit(_ connections: inout ControlConnections) -> UInt64? {
        switch connections.admit(close: {}) {
        case .admitted(let id), .admittedFor(_, let id): id
        case .refused: nil
        }
    }

    private func set(
        _ isIdle: Bool, _ id: UInt64, _ connections: inout ControlConnections,
        isThere: Bool = true
    ) {
        let answer = connections.setIdle(isIdle, id)
        #expect(answer == isThere)
    }

    @Test("The one gives way that has waited longest, and none that is answered")
    func givingWay() throws {
        var connections = ControlConnections(limit: 2)
        let first = try #require(admit(&connections))
        let second = try #require(admit(&connections))
        // The first is answered and waits again: the second has waited longer now.
        set(false, first, &connections)
        set(true, first, &connections)
        let third = try #require(admit(&connections))
        set(false, second, &connections, isThere: false)
        set(false, first, &connections)
        set(false, third, &connections)
        #expect(admit(&connections) == nil)
        set(true, first, &connections)
        #expect(admit(&connections) != nil)
        // Two have left, and have threads still.
        #expect(connections.isCrowded)
        connections.remove(second)
        #expect(!connections.isCrowded)
    }

    @Test("In the end those that wait are closed, and the others once they are answered")
    func stopping() throws {
        var connections = ControlConnections(limit: 4)
        let idle = try #require(admit(&connections))
        let busy = try #require(admit(&connections))
        set(false, busy, &connections)
        let idleOnes = connections.stop()
        #expect(idleOnes.count == 1)
        set(false, idle, &connections, isThere: false)
        set(true, busy, &connections, isThere: false)
        #expect(admit(&connections) == nil)
        let all = connections.stop(atOnce: true)
        #expect(all.count == 2)
        connections.remove(idle)
        connections.remove(busy)
        #expect(connections.isEmpty)
    }
}
