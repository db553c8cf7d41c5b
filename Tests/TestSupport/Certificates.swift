internal import Foundation
package import Transport

/// Certificates made by OpenSSL's command line, once for all tests.
package struct Certificates: Sendable {
    package let folder: TemporaryFolder

    package static let shared = Result { try Certificates() }

    private static let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    private init() throws {
        folder = try TemporaryFolder()
        for name in ["ca", "other-ca"] { try makeAuthority(name) }
        try make("server", subject: "/O=Test/CN=server", names: "DNS:localhost,IP:127.0.0.1,IP:::1")
        try make("client", subject: "/O=Test/CN=client")
        try make("wrong-name", subject: "/CN=localhost", names: "DNS:elsewhere.example")
        try make("stranger", subject: "/CN=stranger", authority: "other-ca", names: "DNS:localhost")
        try make("expired", subject: "/CN=expired", names: "DNS:localhost", days: "-1")
        try make("for-servers", subject: "/CN=s", names: "DNS:localhost", usage: "serverAuth")
        try make("for-clients", subject: "/CN=c", names: "DNS:localhost", usage: "clientAuth")
    }

    package func certificate(_ name: String) -> String { folder.file(name + ".pem") }
    package func key(_ name: String) -> String { folder.file(name + ".key") }

    package func context(_ name: String, authority: String = "ca") throws -> TLSContext {
        try TLSContext(
            TLSConfiguration(
                certificatePath: certificate(name), keyPath: key(name),
                caPath: certificate(authority)))
    }

    private func makeAuthority(_ name: String) throws {
        try openssl(
            ["req", "-x509"] + Self.key
                + ["-keyout", key(name), "-out", certificate(name), "-days", "2"]
                + ["-subj", "/CN=\(name)"])
    }

    private func make(
        _ name: String, subject: String, authority: String = "ca", names: String? = nil,
        usage: String? = nil, days: String = "2"
    ) throws {
        let (request, extensions) = (folder.file(name + ".csr"), folder.file(name + ".ext"))
        try openssl(
            ["req"] + Self.key + ["-keyout", key(name), "-out", request, "-subj", subject])
        var lines = ["basicConstraints=CA:FALSE"]
        if let names { lines.append("subjectAltName=\(names)") }
        if let usage { lines.append("extendedKeyUsage=\(usage)") }
        try lines.joined(separator: "\n").write(
            toFile: extensions, atomically: false, encoding: .utf8)
        try openssl([
            "x509", "-req", "-in", request, "-CA", certificate(authority), "-CAkey",
            key(authority), "-CAcreateserial", "-days", days, "-extfile", extensions, "-out",
            certificate(name),
        ])
    }

    private func openssl(_ arguments: [String]) throws {
        try ExternalProgram.run("openssl", arguments).requireSuccess()
    }
}
