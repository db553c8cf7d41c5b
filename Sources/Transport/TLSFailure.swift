internal import COpenSSL
internal import Storage

/// One entry of the list of errors that OpenSSL keeps for each thread.
struct TLSFailure {
    let code: UInt

    /// All errors of this thread, the first one first; none are left.
    static func takeErrors() -> [TLSFailure] {
        var errors: [TLSFailure] = []
        while true {
            let code = ERR_get_error()
            if code == 0 { return errors }
            errors.append(TLSFailure(code: code))
        }
    }

    /// The error number of the system that it stands for, if it does.
    var systemError: Int32? { copenssl_is_system_error(code) == 1 ? reason : nil }

    /// The reason in the library's words.
    var text: String {
        // Safe: the call returns null or a static text that ends with a zero.
        guard let text = unsafe ERR_reason_error_string(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }

    /// Whether a key and a certificate do not belong together.
    var isMismatch: Bool {
        ERR_GET_LIB(code) == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH
    }

    /// Whether this side has found a fault with the other's certificate.
    var isRefusalOfPeer: Bool { isOfTLS && reason == SSL_R_CERTIFICATE_VERIFY_FAILED }

    private var reason: Int32 { ERR_GET_REASON(code) }
    private var isOfTLS: Bool { ERR_GET_LIB(code) == ERR_LIB_SSL }

    /// What it means on a connection.
    func error(peer: String) -> TransportError {
        if let systemError { return .lost("talk to", peer, systemError) }
        guard isOfTLS else {
            return reason == Int32(ERR_R_MALLOC_FAILURE)
                ? .outOfMemory : .tls(peer: peer, reason: text)
        }
        if let alert = Self.refusals[reason] {
            return .refused(
                peer: peer, reason: "it does not accept this side's certificate: \(alert)")
        }
        switch reason {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING:
            return .ended(peer: peer)
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return .refused(peer: peer, reason: "it shows no certificate")
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return .refused(peer: peer, reason: "its certificate is not accepted")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return .tls(peer: peer, reason: "it does not speak TLS 1.3")
        case SSL_R_HTTP_REQUEST, SSL_R_WRONG_VERSION_NUMBER:
            return .tls(peer: peer, reason: "it does not speak TLS")
        case Int32(ERR_R_MALLOC_FAILURE):
            return .outOfMemory
        default:
            return .tls(peer: peer, reason: text)
        }
    }

    /// Alerts by which the other side says what it has against a certificate.
    private static let refusals: [Int32: String] = [
        SSL_R_SSLV3_ALERT_BAD_CERTIFICATE: "it is damaged, or not for this use",
        SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: "it is not for this use",
        SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: "it was revoked",
        SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED: "it has expired",
        SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "it is not known",
        SSL_R_TLSV1_ALERT_UNKNOWN_CA: "no authority that the other side trusts has signed it",
        SSL_R_TLSV1_ALERT_ACCESS_DENIED: "it may not connect",
        SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED: "none was shown, and one is required",
        SSL_R_TLSV1_UNRECOGNIZED_NAME: "the other side does not have the name",
    ]
}
