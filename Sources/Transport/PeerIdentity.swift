internal import COpenSSL
internal import Storage

/// Who the other side of a TLS connection is, by its certificate.
public struct PeerIdentity: Equatable, Sendable {
    /// The subject on one line, as RFC 2253 has it: "CN=backup,O=Example".
    public var subject: String
    /// The subject's common name, where there is exactly one.
    public var commonName: String?
    /// SHA-256 of the certificate in DER: 64 lower-case hexadecimal digits.
    public var fingerprint: String

    public init(subject: String, commonName: String?, fingerprint: String) {
        self.subject = subject
        self.commonName = commonName
        self.fingerprint = fingerprint
    }

    /// Whether this is whom an entry of a list names: by the fingerprint, with colons or without,
    /// in either case, "sha256:" in front or not; by the whole subject; or by the common name,
    /// "CN=" in front or not.
    ///
    /// Each entry means one thing alone: a name that was made to look like another's fingerprint or
    /// subject is none.
    public func matches(_ allowed: String) -> Bool {
        if let wanted = Self.fingerprint(in: allowed) { return wanted == fingerprint }
        if allowed.isEmpty { return false }
        if allowed == subject { return true }
        guard let commonName else { return false }
        let name = allowed.hasPrefix("CN=") ? String(allowed.dropFirst(3)) : allowed
        return !name.isEmpty && !name.contains { "=,+".contains($0) } && name == commonName
    }

    /// The digits of what looks like a fingerprint.
    private static func fingerprint(in text: String) -> String? {
        let lowercased = text.lowercased()
        let digits = lowercased.hasPrefix("sha256:") ? lowercased.dropFirst(7) : lowercased[...]
        let plain = digits.filter { $0 != ":" }
        guard plain.utf8.count == 64, plain.allSatisfy({ "0123456789abcdef".contains($0) }) else {
            return nil
        }
        return plain
    }
}

extension PeerIdentity {
    /// Reads a certificate.
    init(_ certificate: OpaquePointer) throws(TransportError) {
        // Safe, to the end: the certificate is valid, and each object is freed once.
        guard let memory = unsafe BIO_new(BIO_s_mem()) else { throw .outOfMemory }
        defer { unsafe BIO_free(memory) }
        var start: UnsafeMutablePointer<CChar>?
        guard unsafe copenssl_print_subject(memory, certificate) >= 0 else { throw .outOfMemory }
        let count = unsafe copenssl_memory(memory, &start)
        let text = unsafe UnsafeRawBufferPointer(start: start, count: max(0, count))
        subject = unsafe String(decoding: text, as: UTF8.self)
        commonName = unsafe Self.commonName(of: certificate)

        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard let algorithm = unsafe EVP_sha256(),
            unsafe X509_digest(certificate, algorithm, &digest, &length) == 1, length == 32
        else { throw .outOfMemory }
        fingerprint = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func commonName(of certificate: OpaquePointer) -> String? {
        // Safe: the name and its parts live as long as the certificate; the text is freed once.
        let name = unsafe X509_get_subject_name(certificate)
        let first = unsafe X509_NAME_get_index_by_NID(name, NID_commonName, -1)
        guard first >= 0, unsafe X509_NAME_get_index_by_NID(name, NID_commonName, first) < 0 else {
            return nil
        }
        let value = unsafe X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first))
        var text: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&text, value)
        guard count > 0, let text = unsafe text else { return nil }
        defer { unsafe CRYPTO_free(text, #fileID, #line) }
        let bytes = unsafe UnsafeBufferPointer(start: text, count: Int(count))
        // A null in a name makes it look shorter to those who take it for its end.
        guard unsafe !bytes.contains(0) else { return nil }
        return unsafe String(validating: bytes, as: UTF8.self)
    }
}
