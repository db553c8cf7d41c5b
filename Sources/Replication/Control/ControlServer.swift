internal import Dispatch
internal import Storage
internal import Transport

/// Answers who connects to the socket of a service, until it is stopped. Each connection has a thread of
/// its own, so that nobody waits for another one, nor the service for any of them.
final class ControlServer: Sendable {
    private let desk: ControlDesk
    private let listener: UnixListener
    private let limits: ControlLimits
    private let connections: ConditionLock<ControlConnections>

    /// How long answers that are under way at the end may take.
    private static let farewellSeconds = 5.0
    /// How long bytes are thrown away that a client sends behind its last answer.
    private static let finishSeconds = 1.0
    private static let refusalSeconds = 0.01
    private static let pieceByteCount = 4096

    init(_ desk: ControlDesk, _ listener: UnixListener, _ limits: ControlLimits = ControlLimits()) {
        self.desk = desk
        self.listener = listener
        self.limits = limits
        connections = ConditionLock(ControlConnections(limit: limits.connectionCount))
    }

    /// Begins to answer, in threads of its own.
    ///
    /// - Parameter failed: Is told what has ended the listening, where nobody has asked for that.
    func start(failed: @escaping @Sendable (TransportError) -> Void) {
        DispatchQueue(label: "vhdresync.control").async { [self] in
            do throws(TransportError) {
                while let client = try listener.accept() { take(client) }
            } catch {
                failed(error)
            }
        }
    }

    /// Ends the listening and all connections: what is being answered is answered first.
    func stop() {
        listener.stop()
        for close in connections.withLock({ $0.stop() }) { close() }
        let end = DispatchTime.now().uptimeNanoseconds + UInt64(Self.farewellSeconds * 1e9)
        connections.withLock(when: { $0.isEmpty }, orAt: end) { _ in }
        for close in connections.withLock({ $0.stop(atOnce: true) }) { close() }
    }

    /// Ends the listening alone.
    func abandon() {
        listener.stop()
    }

    private func take(_ client: UnixListener.Client) {
        let connection = client.connection
        connection.sendTimeoutSeconds = limits.sendSeconds
        guard let user = client.user, user == .root || user == .current else {
            return refuse(
                connection,
                CodedError(
                    .accessDenied,
                    "the service serves root and '\(SystemUser.current.name)' alone, and not "
                        + "'\(client.user?.name ?? "somebody unknown")'"))
        }
        let admission = connections.withLock(when: { !$0.isCrowded }) { connections in
            connections.admit { connection.close() }
        }
        switch admission {
        case .refused:
            refuse(
                connection,
                CodedError(
                    .systemInUse,
                    "the service answers \(limits.connectionCount) connections already, as "
                        + "many as it may: try again later"))
        case .admitted(let id):
            start(connection, user, id)
        case .admittedFor(let former, let id):
            former.close()
            start(connection, user, id)
        }
    }

    /// Tells a client why it is not served. It fits into what the system holds for the socket.
    private func refuse(_ connection: DescriptorConnection, _ error: CodedError) {
        connection.sendTimeoutSeconds = 0
        try? send(ControlAnswer(error), connection)
        connection.finish(timeoutSeconds: Self.refusalSeconds)
    }

    private func start(_ connection: DescriptorConnection, _ user: SystemUser, _ id: UInt64) {
        DispatchQueue(label: "vhdresync.control.connection").async { [self] in
            // Before it does not count any more: the end waits for that.
            defer { connections.withLock { $0.remove(id) } }
            // What breaks a connection is its client's end.
            try? serve(connection, owner: user.name, id)
            // Where bytes are left unread, the client may lose its last answer.
            connection.finish(timeoutSeconds: Self.finishSeconds)
        }
    }

    // MARK: A connection

    private func serve(
        _ connection: DescriptorConnection, owner: String, _ id: UInt64
    ) throws(TransportError) {
        var lines = ControlLines(limit: ControlProtocol.requestByteLimit)
        while let line = try nextLine(&lines, connection) {
            guard connections.withLock({ $0.setIdle(false, id) }) else { return }
            try answer(line, connection, owner)
            guard connections.withLock({ $0.setIdle(true, id) }) else { return }
        }
    }

    /// Waits for a whole request, for so long as there may be none; nil where no other one follows.
    private func nextLine(
        _ lines: inout ControlLines, _ connection: DescriptorConnection
    ) throws(TransportError) -> [UInt8]? {
        let end = ContinuousClock.now + .seconds(limits.idleSeconds)
        var piece = [UInt8](repeating: 0, count: Self.pieceByteCount)
        while true {
            do throws(ControlLines.TooLong) {
                if let line = try lines.next() { return line }
            } catch {
                let reason = "the request has more than \(error.limit) bytes"
                try send(ControlAnswer(.invalidParameter, reason), connection)
                return nil
            }
            let left = (end - .now).seconds
            var count = 0
            try piece.withMutableRawSpan { (bytes) throws(TransportError) in
                count = try connection.receive(into: &bytes, timeoutSeconds: max(left, 0))
            }
            guard count > 0 else { return nil }
            lines.append(piece.rawSpan.extracting(0..<count))
        }
    }

    private func answer(
        _ line: [UInt8], _ connection: DescriptorConnection, _ owner: String
    ) throws(TransportError) {
        let request: ControlRequest
        do throws(CodedError) {
            request = try ControlRequest(parsing: line)
        } catch {
            return try send(ControlAnswer(error), connection)
        }
        if case .watchJob(let job) = request {
            try watch(job, connection)
        } else {
            try send(desk.answer(to: request, from: owner), connection)
        }
    }

    private func watch(_ job: String, _ connection: DescriptorConnection) throws(TransportError) {
        var last: JobObject?
        var lastTime = ContinuousClock.now
        while true {
            let answer: ControlAnswer
            do throws(CodedError) {
                answer = try desk.watched(job)
            } catch {
                var refusal = ControlAnswer(error)
                refusal.isLast = true
                return try send(refusal, connection)
            }
            let now = ContinuousClock.now
            let isDue = now - lastTime >= .seconds(ControlProtocol.watchSeconds)
            if answer.isLast == true || isDue || !answer.isShown(by: last) {
                try send(answer, connection)
                (last, lastTime) = (answer.job, now)
            }
            if answer.isLast == true { return }
            let pause = UInt64(ControlProtocol.shortestWatchSeconds * 1e9)
            let end = DispatchTime.now().uptimeNanoseconds + pause
            let isStopping = connections.withLock(when: { $0.isStopping }, orAt: end) {
                $0.isStopping
            }
            if isStopping { return try send(ControlDesk.farewell, connection) }
        }
    }

    private func send(
        _ answer: ControlAnswer, _ connection: DescriptorConnection
    ) throws(TransportError) {
        try connection.send(Array((JSONText.line(answer) + "\n").utf8).rawSpan)
    }
}

extension ControlAnswer {
    /// Whether a job was shown in this state, with this percentage, before.
    fileprivate func isShown(by last: JobObject?) -> Bool {
        guard let job, let last else { return false }
        return job.jobState == last.jobState && job.jobStatus == last.jobStatus
            && job.percentComplete == last.percentComplete
            && job.scheduledStartTime == last.scheduledStartTime
    }
}
