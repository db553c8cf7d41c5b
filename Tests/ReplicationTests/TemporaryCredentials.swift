import Foundation
import TestSupport
import Transport

/// Copies of a certificate and its key, which a test can replace.
struct TemporaryCredentials {
    private let folder: TemporaryFolder
    let configuration: TLSConfiguration

    init(_ certificates: Certificates, _ name: String) throws {
        folder = try TemporaryFolder()
        configuration = TLSConfiguration(
            certificatePath: folder.file("cert.pem"), keyPath: folder.file("key.pem"),
            caPath: certificates.certificate("ca"))
        try put(certificates, name)
    }

    /// Puts another certificate and its key in place of those that are there.
    func put(_ certificates: Certificates, _ name: String) throws {
        let copies = [
            (certificates.certificate(name), configuration.certificatePath),
            (certificates.key(name), configuration.keyPath),
        ]
        for (source, copy) in copies {
            try Data(contentsOf: URL(fileURLWithPath: source)).write(
                to: URL(fileURLWithPath: copy))
        }
    }
}

/// What OpenSSL's command line says of a certificate.
enum ExternalFingerprint {
    /// "AB:CD:…".
    static func of(_ path: String) throws -> String {
        let outcome = try ExternalProgram.run(
            "openssl", ["x509", "-in", path, "-noout", "-fingerprint", "-sha256"]
        ).requireSuccess()
        let text = outcome.output.split(separator: "=").last ?? ""
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
