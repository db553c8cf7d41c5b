internal import COpenSSL
internal import Storage

/// The files that say who this side is and whom it trusts, all in PEM.
public struct TLSConfiguration: Equatable, Sendable {
    /// This side's certificate, and behind it those between it and the authority.
    public var certificatePath: String
    /// The certificate's private key, without a password.
    public var keyPath: String
    /// Certificates of the authorities, of which one must have signed the other side's.
    public var caPath: String

    public init(certificatePath: String, keyPath: String, caPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.caPath = caPath
    }
}

/// What a TLS configuration holds, read and checked once; for any number of connections of either
/// direction, from any thread.
@safe public final class TLSContext: @unchecked Sendable {
    // Nothing changes it after the initializer, and OpenSSL counts references to it atomically.
    let context: OpaquePointer

    /// Fastest first: AES-128 costs a tenth less than AES-256 on processors with AES instructions.
    private static let cipherSuites =
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

    /// What a connection takes from its socket at once, of which a record has at most 16 KiB.
    private static let readByteCount = 256 << 10

    /// Reads the files.
    ///
    /// - Throws: ``TransportError/credentials(path:reason:)`` for the file that is no good.
    public init(_ configuration: TLSConfiguration) throws(TransportError) {
        guard let context = unsafe SSL_CTX_new(TLS_method()) else { throw .outOfMemory }
        unsafe self.context = context
        // Safe, to the end: the context is valid, and all texts end with a zero.
        let hasRules =
            unsafe copenssl_allow_only_tls13(context) == 1
            && SSL_CTX_set_ciphersuites(context, Self.cipherSuites) == 1
            && SSL_CTX_set_num_tickets(context, 0) == 1
        guard hasRules else {
            throw .tls(peer: "libssl", reason: "it does not offer TLS 1.3 as it is used here")
        }
        unsafe copenssl_set_modes(context, Self.readByteCount)
        // Without this a key with a password is asked for on the terminal.
        unsafe SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in -1 }

        ERR_clear_error()
        let certificate = configuration.certificatePath
        guard unsafe SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else {
            throw Self.failure(certificate, "it holds no certificate in PEM")
        }
        let key = configuration.keyPath
        guard unsafe SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else {
            throw Self.failure(key, "it holds no private key in PEM without a password")
        }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else {
            throw Self.failure(key, "the key does not belong to the certificate \(certificate)")
        }
        guard unsafe SSL_CTX_load_verify_file(context, configuration.caPath) == 1 else {
            throw Self.failure(configuration.caPath, "it holds no certificate in PEM")
        }
    }

    deinit {
        // Safe: connections hold references of their own.
        unsafe SSL_CTX_free(context)
    }

    private static func failure(_ path: String, _ reason: String) -> TransportError {
        let errors = TLSFailure.takeErrors()
        guard let error = errors.first else { return .credentials(path: path, reason: reason) }
        if error.isMismatch {
            let mismatch = "the key does not belong to the certificate"
            return .credentials(path: path, reason: mismatch)
        }
        let cause = error.systemError.map { String(describingErrno: $0) } ?? error.text
        let isKnown = error.systemError != nil
        return .credentials(path: path, reason: isKnown ? cause : "\(reason) (\(cause))")
    }
}
