import Foundation
import Storage
import TestSupport
import Testing
import Transport

struct TLSTests {
    let certificates: Certificates

    init() throws {
        certificates = try Certificates.shared.get()
    }

    @Test("Each side learns who the other is", arguments: ["localhost", "127.0.0.1", "::1"])
    func identities(_ host: String) throws {
        let (client, server) = try TLSPair.make(
            client: certificates.context("client"), server: certificates.context("server"),
            host: host)
        #expect(server.peerIdentity.subject == "CN=client,O=Test")
        #expect(server.peerIdentity.commonName == "client")
        let output = try ExternalProgram.run(
            "openssl",
            [
                "x509", "-in", certificates.certificate("server"), "-noout", "-fingerprint",
                "-sha256",
            ]
        ).requireSuccess().output
        let fingerprint = try #require(output.split(separator: "=").last)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(client.peerIdentity.matches(fingerprint))
        #expect(client.peerIdentity.fingerprint.count == 64)
    }

    @Test(
        "A server that is not the one is refused, and learns why",
        arguments: [
            ("stranger", "unable to get local issuer certificate"),
            ("expired", "certificate has expired"),
            ("wrong-name", "hostname mismatch"),
            ("for-clients", "unsuitable certificate purpose"),
        ])
    func wrongServer(_ name: String, _ reason: String) throws {
        let (accepting, listener) = try TLSPair.serve(certificates.context(name))
        let error = #expect(throws: TransportError.self) {
            try TLSConnection.connect(
                host: "localhost", port: listener.port, context: certificates.context("client"),
                timeoutSeconds: 10)
        }
        guard case .refused(_, let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains("its certificate is not accepted") && why.contains(reason), "\(why)")
        let serverError = #expect(throws: TransportError.self) { try accepting.value() }
        guard case .refused(_, let why) = serverError else {
            Issue.record("\(String(describing: serverError))")
            return
        }
        #expect(why.contains("does not accept this side's certificate"), "\(why)")
    }

    @Test(
        "A client that is not trusted is refused, and learns why",
        arguments: [
            ("stranger", "no authority"), ("expired", "expired"), ("for-servers", "use"),
        ])
    func wrongClient(_ name: String, _ reason: String) throws {
        let (accepting, listener) = try TLSPair.serve(certificates.context("server"))
        let client = try TLSConnection.connect(
            host: "localhost", port: listener.port, context: certificates.context(name),
            timeoutSeconds: 10)
        let error = #expect(throws: TransportError.self) { try client.receive(atMost: 1) }
        guard case .refused(_, let why) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(why.contains(reason), "\(why)")
        let serverError = #expect(throws: TransportError.self) { try accepting.value() }
        guard case .refused = serverError else {
            Issue.record("\(String(describing: serverError))")
            return
        }
    }

    @Test("A client that only sends learns of its refusal too")
    func sendingToRefusal() throws {
        let (accepting, listener) = try TLSPair.serve(certificates.context("server"))
        let client = try TLSConnection.connect(
            host: "localhost", port: listener.port, context: certificates.context("stranger"),
            timeoutSeconds: 10)
        #expect(throws: TransportError.self) { try accepting.value() }
        let error = #expect(throws: TransportError.self) {
            for _ in 0..<1000 { try client.send([UInt8](repeating: 0, count: 65_536)) }
        }
        guard case .refused = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let again = #expect(throws: TransportError.self) { try client.receive(atMost: 1) }
        #expect(again == error)
    }

    @Test(
        "Other clients are turned away",
        arguments: [
            (["-tls1_2"], "TLS 1.3"), (["-tls1_3"], "no certificate"),
        ])
    func otherClients(_ arguments: [String], _ reason: String) throws {
        let (accepting, listener) = try TLSPair.serve(certificates.context("server"))
        _ = try ExternalProgram.run(
            "openssl", ["s_client", "-connect", "localhost:\(listener.port)"] + arguments)
        let error = #expect(throws: TransportError.self) { try accepting.value() }
        #expect(error.map { "\($0)" }?.contains(reason) == true, "\(String(describing: error))")
    }

    @Test(
        "What is not TLS is turned away",
        arguments: [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", String(repeating: "~", count: 9999),
        ])
    func otherProtocols(_ text: String) throws {
        let (accepting, listener) = try TLSPair.serve(certificates.context("server"))
        let client = try TCPConnection.connect(
            host: "localhost", port: listener.port, timeoutSeconds: 10)
        try client.send(Array(text.utf8))
        let error = #expect(throws: TransportError.self) { try accepting.value() }
        guard case .tls(_, let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason == "it does not speak TLS")
    }

    @Test("A server that does not speak TLS is an error too")
    func plainServer() throws {
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        let answering = Background {
            guard let client = try listener.accept() else { return }
            try client.send(Array("SSH-2.0-OpenSSH_9.2p1\r\n".utf8))
            _ = try? client.receive(atMost: 1000)
        }
        let error = #expect(throws: TransportError.self) {
            try TLSConnection.connect(
                host: "127.0.0.1", port: listener.port, context: certificates.context("client"),
                timeoutSeconds: 10)
        }
        guard case .tls = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try answering.value()
    }

    @Test("A silent client is let go, and one that sends a byte now and then")
    func silentClient() throws {
        for isTalking in [false, true] {
            let (accepting, listener) = try TLSPair.serve(
                certificates.context("server"), timeoutSeconds: 0.3)
            let client = try TCPConnection.connect(
                host: "127.0.0.1", port: listener.port, timeoutSeconds: 10)
            // The start of a record of 512 bytes.
            for byte in [22, 3, 1, 2, 0] + [UInt8](repeating: 1, count: 20) where isTalking {
                try? client.send([byte])
                usleep(20_000)
            }
            let error = #expect(throws: TransportError.self) { try accepting.value() }
            guard case .timedOut(_, 0.3) = error else {
                Issue.record("\(isTalking) \(String(describing: error))")
                continue
            }
        }
    }

    @Test("Records that have come are received together, as far as there is room")
    func severalRecords() throws {
        let (client, server) = try TLSPair.good()
        // A record has 16 KiB at most; as many as the socket holds without a reader.
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try client.send(bytes.rawSpan)
        var received = [UInt8](repeating: 0, count: 200_000)
        for part in [0..<50_000, 50_000..<100_000] {
            var count = 0
            try received.withMutableRawSpan { span throws(TransportError) in
                var room = span.part(part)
                count = try server.receive(into: &room, timeoutSeconds: 60)
            }
            #expect(count == part.count)
        }
        #expect(Array(received[0..<100_000]) == bytes)
    }

    @Test("An end without a word is no orderly one")
    func truncation() throws {
        let context = try certificates.context("server")
        let listener = try TCPListener(address: ListenAddress(host: "127.0.0.1", port: 0))
        let accepting = Background {
            guard let tcp = try listener.accept() else { throw ConnectionKind.Failure.nobody }
            let connection = try TLSConnection.accept(tcp, context: context, timeoutSeconds: 10)
            try connection.send([1, 2, 3])
            // The socket ends, and TLS says nothing.
            tcp.close()
        }
        let client = try TLSConnection.connect(
            host: "127.0.0.1", port: listener.port, context: certificates.context("client"),
            timeoutSeconds: 10)
        try accepting.value()
        #expect(try client.receive(exactly: 3) == [1, 2, 3])
        #expect(throws: TransportError.ended(peer: client.peerName)) {
            try client.receive(atMost: 1)
        }
    }

    @Test("A file that is no good is named")
    func credentials() throws {
        let garbage = certificates.folder.file("garbage")
        try "no certificate".write(toFile: garbage, atomically: true, encoding: .utf8)
        let good = TLSConfiguration(
            certificatePath: certificates.certificate("client"),
            keyPath: certificates.key("client"), caPath: certificates.certificate("ca"))
        _ = try TLSContext(good)
        var cases: [(TLSConfiguration, String, String)] = []
        for field in [\TLSConfiguration.certificatePath, \.keyPath, \.caPath] {
            for (path, text) in [(garbage, "it holds no"), ("/none", "No such file")] {
                var configuration = good
                configuration[keyPath: field] = path
                cases.append((configuration, path, text))
            }
        }
        var configuration = good
        configuration.keyPath = certificates.key("server")
        cases.append((configuration, configuration.keyPath, "does not belong"))
        for (configuration, path, text) in cases {
            let error = #expect(throws: TransportError.self) { try TLSContext(configuration) }
            guard case .credentials(path, let reason) = error else {
                Issue.record("\(path): \(String(describing: error))")
                continue
            }
            #expect(reason.contains(text), "\(reason)")
        }
    }

    @Test("A key with a password is refused without a question")
    func encryptedKey() throws {
        let path = certificates.folder.file("encrypted.key")
        try ExternalProgram.run(
            "openssl",
            [
                "ec", "-in", certificates.key("client"), "-aes128", "-passout", "pass:x", "-out",
                path,
            ]
        ).requireSuccess()
        let configuration = TLSConfiguration(
            certificatePath: certificates.certificate("client"), keyPath: path,
            caPath: certificates.certificate("ca"))
        let error = #expect(throws: TransportError.self) { try TLSContext(configuration) }
        #expect(error.map { "\($0)" }?.contains("without a password") == true)
    }

    @Test("An identity matches what names it alone")
    func matching() {
        let digits = String(repeating: "0a", count: 32)
        let identity = PeerIdentity(
            subject: "CN=client,O=Test", commonName: "client", fingerprint: digits)
        let colons = Array(repeating: "0A", count: 32).joined(separator: ":")
        for allowed in [
            digits, colons, "SHA256:" + colons, "sha256:" + digits, "CN=client", "client",
            "CN=client,O=Test",
        ] {
            #expect(identity.matches(allowed), "\(allowed)")
        }
        for allowed in ["", "CN=", "Client", "O=Test", "client,O=Test", digits + "0", "sha256:"] {
            #expect(!identity.matches(allowed), "\(allowed)")
        }
        let tricky = ["CN=admin,O=Test", digits, "CN=client"]
        for name in tricky {
            let identity = PeerIdentity(subject: "CN=x", commonName: name, fingerprint: "ff")
            #expect(!identity.matches(name), "\(name)")
        }
    }
}
