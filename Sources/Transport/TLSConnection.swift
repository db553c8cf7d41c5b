internal import Storage

/// A connection over TLS 1.3 on which each side has checked the other's certificate.
public final class TLSConnection: Connection {
    public let peerName: String
    /// Who the other side is.
    public let peerIdentity: PeerIdentity
    private let descriptors: StreamDescriptors
    /// Only for calls that do not block; who has to wait does so without the lock.
    private let session: Lock<TLSSession>
    private let sendTimeout = Lock(defaultSendTimeoutSeconds)

    /// Longer pieces would keep the receiving thread waiting for the lock.
    private static let largestWrite = 64 << 10

    /// Connects to a host and checks that its certificate is one for this host: for its name, or
    /// for its address where the host is one.
    ///
    /// Whether the other side accepts this one's certificate is not known before it has sent
    /// something: a refusal comes out of the first call to receive, or of one to send.
    ///
    /// The time is for all of it, the handshake included.
    public static func connect(
        host: String, port: UInt16, context: TLSContext, timeoutSeconds: Double
    ) throws(TransportError) -> TLSConnection {
        let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        let tcp = try TCPConnection.connect(
            host: host, port: port, timeoutSeconds: timeoutSeconds)
        return try TLSConnection(
            tcp, context: context, host: host, deadline: deadline, timeoutSeconds: timeoutSeconds)
    }

    /// Answers the handshake of a client, which must show a certificate.
    ///
    /// Takes the TCP connection over, and closes it where the handshake fails.
    public static func accept(
        _ tcp: TCPConnection, context: TLSContext, timeoutSeconds: Double
    ) throws(TransportError) -> TLSConnection {
        let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        return try TLSConnection(
            tcp, context: context, host: nil, deadline: deadline, timeoutSeconds: timeoutSeconds)
    }

    private init(
        _ tcp: TCPConnection, context: TLSContext, host: String?, deadline: MonotonicTime,
        timeoutSeconds: Double
    ) throws(TransportError) {
        do throws(TransportError) {
            var session = try TLSSession(
                context, socket: tcp.socket, host: host, peerName: tcp.peerName)
            try Self.shakeHands(
                &session, tcp.descriptors, until: deadline, timeoutSeconds: timeoutSeconds)
            peerIdentity = try session.peerIdentity()
            self.session = Lock(session)
        } catch {
            tcp.close()
            throw error
        }
        peerName = tcp.peerName
        descriptors = tcp.descriptors
    }

    private static func shakeHands(
        _ session: inout TLSSession, _ descriptors: StreamDescriptors,
        until deadline: MonotonicTime, timeoutSeconds: Double
    ) throws(TransportError) {
        let socket = try descriptors.enter(.reading)
        defer { descriptors.leave(.reading) }
        while true {
            switch session.handshake() {
            case .moved: return
            case .failed(let error): throw descriptors.isClosed ? .closed : error
            case .ended: throw .ended(peer: descriptors.peerName)
            case .waits(let direction):
                // A client that sends a byte now and then gets no more time than a silent one.
                let isLate = deadline <= .now
                switch isLate
                    ? .timedOut
                    : try descriptors.wait(for: direction, on: socket, until: deadline)
                {
                case .ready: break
                case .timedOut:
                    throw .timedOut(peer: descriptors.peerName, seconds: timeoutSeconds)
                case .closed: throw .closed
                }
            }
        }
    }

    /// How long the other side may take nothing of what is sent.
    public var sendTimeoutSeconds: Double {
        get { sendTimeout.withLock { $0 } }
        set { sendTimeout.withLock { $0 = newValue } }
    }

    public func send(_ bytes: RawSpan) throws(TransportError) {
        let socket = try descriptors.enter(.writing)
        defer { descriptors.leave(.writing) }
        let timeoutSeconds = sendTimeoutSeconds
        var deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        var done = 0
        while done < bytes.byteCount {
            let end = min(done + Self.largestWrite, bytes.byteCount)
            let piece = bytes.extracting(done..<end)
            switch session.withLock({ $0.write(piece) }) {
            case .moved(let count):
                done += count
                deadline = .now.advanced(bySeconds: timeoutSeconds)
            case .waits(let direction):
                switch try descriptors.wait(for: direction, on: socket, until: deadline) {
                case .ready: break
                case .timedOut: throw .timedOut(peer: peerName, seconds: timeoutSeconds)
                case .closed: throw .closed
                }
            case .ended: throw .ended(peer: peerName)
            case .failed(let error): throw descriptors.isClosed ? .closed : error
            }
        }
    }

    /// - Throws: ``TransportError/refused(peer:reason:)`` where the other side does not accept this
    ///   one's certificate; ``TransportError/ended(peer:)`` where it ended without saying so.
    public func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        precondition(buffer.byteCount > 0, "no room for a byte: 0 would look like the end")
        let socket = try descriptors.enter(.reading)
        defer { descriptors.leave(.reading) }
        let deadline = timeoutSeconds.map { MonotonicTime.now.advanced(bySeconds: $0) }
        while true {
            switch session.withLock({ $0.read(into: &buffer) }) {
            case .moved(let count):
                return count
            case .waits(let direction):
                switch try descriptors.wait(for: direction, on: socket, until: deadline) {
                case .ready: break
                case .timedOut: throw .timedOut(peer: peerName, seconds: timeoutSeconds ?? 0)
                case .closed: throw .closed
                }
                // What is ready may be less than a record, again and again.
                if let deadline, let timeoutSeconds, deadline <= .now {
                    throw .timedOut(peer: peerName, seconds: timeoutSeconds)
                }
            case .ended:
                guard !descriptors.isClosed else { throw .closed }
                return 0
            case .failed(let error):
                throw descriptors.isClosed ? .closed : error
            }
        }
    }

    /// At once: a round trip would confirm what the other side has answered already.
    public func finishAnswered(timeoutSeconds: Double) {
        close()
    }

    public func finish(timeoutSeconds: Double) {
        let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        sayEnd(until: deadline)
        descriptors.finish(timeoutSeconds: deadline.seconds(since: .now), mode: .delivered)
    }

    /// Tells the other side that the end is an orderly one, where that does not take time.
    public func close() {
        sayEnd(until: .now)
        descriptors.close()
    }

    private func sayEnd(until deadline: MonotonicTime) {
        // A socket that is closed may be another one's by now.
        guard let socket = try? descriptors.enter(.writing) else { return }
        defer { descriptors.leave(.writing) }
        while case .waits(let direction) = session.withLock({ $0.end() }) {
            guard deadline > .now,
                (try? descriptors.wait(for: direction, on: socket, until: deadline)) == .ready
            else { return }
        }
    }
}
