import Glibc
import Storage
import TestSupport
import Testing
import Transport

struct TCPTests {
    @Test(
        "Both families reach a listener on all addresses",
        arguments: ["127.0.0.1", "::1", "localhost"])
    func families(_ host: String) throws {
        let listener = try TCPListener(address: try ListenAddress(parsing: ":0"))
        let accepted = Background { try listener.accept() }
        let client = try TCPConnection.connect(
            host: host, port: listener.port, timeoutSeconds: 10)
        let server = try #require(try accepted.value())
        try client.send([1, 2])
        #expect(try server.receive(exactly: 2) == [1, 2])
        #expect(client.peerName == (host == "::1" ? "[::1]" : host) + ":\(listener.port)")
        if host != "localhost" {
            #expect(server.peerName.hasPrefix(host == "::1" ? "[::1]:" : "127.0.0.1:"))
        }
    }

    @Test("A stop wakes who waits for clients")
    func stop() throws {
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        let waiting = Background { try listener.accept() == nil }
        listener.stop()
        #expect(try waiting.value())
        #expect(try listener.accept() == nil)
        #expect(
            throws: TransportError.unreachable(
                peer: "127.0.0.1:\(listener.port)", errno: ECONNREFUSED)
        ) {
            try TCPConnection.connect(host: "127.0.0.1", port: listener.port, timeoutSeconds: 10)
        }
    }

    @Test("A port that is taken cannot be listened on")
    func takenPort() throws {
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        let address = ListenAddress(host: "127.0.0.1", port: listener.port)
        #expect(
            throws: TransportError.system(
                operation: "listen on", peer: "\(address)", errno: EADDRINUSE)
        ) { try TCPListener(address: address) }
    }

    @Test("A host that nobody knows is an error")
    func unknownHost() {
        let error = #expect(throws: TransportError.self) {
            try TCPConnection.connect(host: "no-such-host.invalid", port: 1, timeoutSeconds: 5)
        }
        guard case .unknownHost("no-such-host.invalid", _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("A host that does not answer is given up in time")
    func silence() throws {
        // A listener whose row of waiting connections is full does not answer.
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                #expect(unsafe bind(listener, pointer, size) == 0)
                #expect(listen(listener, 0) == 0)
                #expect(unsafe getsockname(listener, pointer, &size) == 0)
            }
        }
        let port = UInt16(bigEndian: address.sin_port)
        var held: [TCPConnection] = []
        let seconds = secondsTaken {
            let error = #expect(throws: TransportError.self) {
                for _ in 0..<20 {
                    held.append(
                        try TCPConnection.connect(
                            host: "127.0.0.1", port: port, timeoutSeconds: 0.3))
                }
            }
            #expect(error == .unreachable(peer: "127.0.0.1:\(port)", errno: ETIMEDOUT))
        }
        #expect(seconds < 5 && held.count < 10)
    }

    @Test("Errors are one clause that a terminal can show")
    func descriptions() {
        let name = "evil\u{1B}[2J\n"
        let errors: [TransportError] = [
            .system(operation: "send to", peer: name, errno: EIO),
            .unknownHost(host: name, reason: name), .unreachable(peer: name, errno: EHOSTUNREACH),
            .timedOut(peer: name, seconds: 60), .ended(peer: name), .closed,
            .refused(peer: name, reason: name), .tls(peer: name, reason: name),
            .credentials(path: name, reason: name), .invalidFrame(peer: name, what: name),
            .invalidAddress(name), .programFailed(command: name, status: 137),
            .programFailed(command: name, status: 255),
            .programMissing(command: name, errno: ENOENT),
            .outOfMemory,
        ]
        for error in errors {
            let text = "\(error)"
            #expect(!text.hasSuffix(".") && text.first?.isUppercase == false, "\(text)")
            #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(text)")
        }
        #expect("\(errors[3])".hasSuffix("for 60 s"))
        #expect("\(errors[11])".hasSuffix("ended by signal 9"))
    }
}
