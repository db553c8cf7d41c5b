internal import COpenSSL
internal import Glibc
internal import Storage

/// The state of one TLS connection, over a socket on which no call waits. One thread at a time.
@safe struct TLSSession: ~Copyable, @unchecked Sendable {
    /// What came of a call.
    enum Outcome {
        case moved(Int)
        /// The socket must be ready for this first.
        case waits(StreamDescriptors.Direction)
        /// The other side has ended orderly.
        case ended
        case failed(TransportError)
    }

    // Nothing changes it once it is made.
    private nonisolated(unsafe) static let socketMethod = unsafe copenssl_make_socket_method()

    private let ssl: OpaquePointer
    private let peerName: String
    /// After a failure no more calls are made.
    private var failure: TransportError?

    /// A session before its handshake. The certificate must be for the host; without one this is
    /// the side that accepts.
    init(
        _ context: TLSContext, socket: Int32, host: String?, peerName: String
    ) throws(TransportError) {
        guard let ssl = unsafe SSL_new(context.context) else { throw .outOfMemory }
        // Safe, to the end: the object is valid, and freed where nobody will own it.
        guard unsafe copenssl_set_socket(ssl, Self.socketMethod, socket) == 1 else {
            unsafe SSL_free(ssl)
            throw .outOfMemory
        }
        unsafe SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
        if let host {
            unsafe SSL_set_connect_state(ssl)
            guard unsafe Self.expect(host, ssl) else {
                unsafe SSL_free(ssl)
                throw .tls(peer: peerName, reason: "the name \(host) cannot be asked for")
            }
        } else {
            unsafe SSL_set_accept_state(ssl)
        }
        unsafe self.ssl = ssl
        self.peerName = peerName
    }

    deinit {
        // Safe: this is the only owner. The socket is not the session's.
        unsafe SSL_free(ssl)
    }

    /// Which names or addresses of a certificate count: those made for it, never the subject.
    private static func expect(_ host: String, _ ssl: OpaquePointer) -> Bool {
        // Safe: the session is valid, and texts end with a zero.
        if SocketAddress.isLiteral(host) {
            let address = String(host.prefix { $0 != "%" })
            return unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address) == 1
        }
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        let flags =
            UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT)
            | UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
        unsafe SSL_set_hostflags(ssl, flags)
        return unsafe SSL_set1_host(ssl, name) == 1 && copenssl_ask_for_name(ssl, name) == 1
    }

    /// One step of the handshake; `moved` once it is done.
    mutating func handshake() -> Outcome {
        // Safe: the session is valid.
        unsafe call { ssl in (unsafe SSL_do_handshake(ssl), 0) }
    }

    /// Reads what has come, at most as much as there is room for.
    ///
    /// What ends it after some bytes is the outcome of the next call.
    mutating func read(into buffer: inout MutableRawSpan) -> Outcome {
        // Safe: each call writes at most what is left of the span.
        unsafe buffer.withUnsafeMutableBytes { bytes in
            var done = 0
            while done < bytes.count {
                // A call reads no more than one record.
                let outcome = unsafe call { ssl in
                    var count = 0
                    let status = unsafe SSL_read_ex(
                        ssl, unsafe bytes.baseAddress.map { unsafe $0 + done },
                        bytes.count - done, &count)
                    return (status, count)
                }
                guard case .moved(let count) = outcome else {
                    return done > 0 ? .moved(done) : outcome
                }
                done += count
            }
            return .moved(done)
        }
    }

    /// Writes some of the bytes, of which there is one at least.
    mutating func write(_ bytes: RawSpan) -> Outcome {
        // Safe: the call reads the bytes of the span.
        let outcome = unsafe bytes.withUnsafeBytes { bytes in
            unsafe call { ssl in
                var count = 0
                let status = unsafe SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
                return (status, count)
            }
        }
        guard case .failed(.ended) = outcome else { return outcome }
        return .failed(lastWord())
    }

    /// Says that nothing more comes. Once: a second time would wait for the other side's word.
    mutating func end() -> Outcome {
        // Safe: the session is valid.
        unsafe call { ssl in
            let status = unsafe SSL_shutdown(ssl)
            // 0: said, and the other side has not said it yet.
            return (status == 0 ? 1 : status, 0)
        }
    }

    /// The reason that the other side gave before it broke off: that it does not accept this side's
    /// certificate, a client of TLS 1.3 learns only from what it reads after the handshake.
    private mutating func lastWord() -> TransportError {
        failure = nil
        var byte: UInt8 = 0
        // Safe: the call writes one byte, which stays to be read.
        let outcome = unsafe call { ssl in
            var count = 0
            let status = unsafe SSL_peek_ex(ssl, &byte, 1, &count)
            return (status, count)
        }
        if case .failed(let error) = outcome { return error }
        // What the other side sent before may still be read.
        return .ended(peer: peerName)
    }

    private mutating func call(_ body: (OpaquePointer) -> (Int32, Int)) -> Outcome {
        if let failure { return .failed(failure) }
        ERR_clear_error()
        let (status, count) = unsafe body(ssl)
        let systemError = errno
        guard status <= 0 else { return .moved(count) }
        switch unsafe SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .waits(.reading)
        case SSL_ERROR_WANT_WRITE: return .waits(.writing)
        case SSL_ERROR_ZERO_RETURN: return .ended
        case SSL_ERROR_SYSCALL:
            let error = TLSFailure.takeErrors().first?.error(peer: peerName)
            // Without a number it is an end where there may be none.
            guard systemError != 0 else { return fail(error ?? .ended(peer: peerName)) }
            return fail(error ?? .lost("talk to", peerName, systemError))
        default:
            return fail(reason())
        }
    }

    private mutating func fail(_ error: TransportError) -> Outcome {
        failure = error
        return .failed(error)
    }

    private func reason() -> TransportError {
        let errors = TLSFailure.takeErrors()
        // Safe: the session is valid, and the call returns a static text that ends with a zero.
        let result = unsafe SSL_get_verify_result(ssl)
        if errors.contains(where: \.isRefusalOfPeer), result != X509_V_OK {
            let text = unsafe String(cString: X509_verify_cert_error_string(result))
            return .refused(peer: peerName, reason: "its certificate is not accepted: \(text)")
        }
        return errors.first?.error(peer: peerName)
            ?? .tls(peer: peerName, reason: "it failed without a reason")
    }

    /// Who the other side is, once the handshake is done.
    func peerIdentity() throws(TransportError) -> PeerIdentity {
        // Safe: the session is valid, and the certificate is given back once.
        guard let certificate = unsafe SSL_get1_peer_certificate(ssl) else {
            throw .refused(peer: peerName, reason: "it shows no certificate")
        }
        defer { unsafe X509_free(certificate) }
        return try unsafe PeerIdentity(certificate)
    }
}
