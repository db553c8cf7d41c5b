internal import FoundationEssentials
internal import Storage
internal import Transport

/// Asks a service that runs on this host. One thread at a time uses it; any may close it.
package final class ControlClient: Sendable {
    private let path: String
    private let connection: DescriptorConnection
    private let lines = Lock(ControlLines(limit: ControlProtocol.answerByteLimit))

    private static let connectSeconds = 10.0
    /// A service that flushes to a slow disk may take a while.
    private static let answerSeconds = 60.0

    /// Connects to the socket of a service.
    ///
    /// - Throws: 32777 where no service is there; 32769 where this user may not use it; 32773 for a path
    ///   that no socket can have.
    package init(path: String) throws(CodedError) {
        self.path = path
        do throws(TransportError) {
            connection = try DescriptorConnection.connect(
                toPath: path, timeoutSeconds: Self.connectSeconds)
        } catch {
            throw Self.error(error, path)
        }
    }

    private static func error(_ error: TransportError, _ path: String) -> CodedError {
        if error.isNobodyListening {
            return CodedError(
                .systemNotAvailable,
                "no service runs at \(path.printable): 'vhdresync service' starts one, and '--socket' or "
                    + "'--state-dir' says where another one is")
        }
        if error.isForbidden {
            return CodedError(
                .accessDenied,
                "the service at \(path.printable) serves its own user and root alone")
        }
        return CodedError(ReturnCode(error), "\(error)")
    }

    /// Asks, and waits for the answer; for the first one, where others follow.
    package func answer(to request: ControlRequest) throws(CodedError) -> ControlAnswer {
        var reason = "it has ended before it answered"
        var line: [UInt8]?
        do throws(TransportError) {
            try connection.send(Array((request.line + "\n").utf8).rawSpan)
            line = try next()
        } catch {
            reason = "\(error)"
            // An answer may be there though the request was not taken.
            line = (try? next()).flatMap(\.self)
        }
        guard let line else { throw lost(request, reason) }
        return try decoded(line)
    }

    /// Waits for another answer to the same request.
    package func nextAnswer() throws(CodedError) -> ControlAnswer {
        let line: [UInt8]?
        do throws(TransportError) {
            line = try next()
        } catch {
            throw CodedError(.systemNotAvailable, "the service at \(path.printable): \(error)")
        }
        guard let line else {
            throw CodedError(.systemNotAvailable, "the service at \(path.printable) has ended")
        }
        return try decoded(line)
    }

    /// Ends the connection, from any thread. Who waits in another one gets an error.
    package func close() {
        connection.close()
    }

    private func lost(_ request: ControlRequest, _ reason: String) -> CodedError {
        let sentence = "the service at \(path.printable): \(reason)"
        guard request.name.changes else { return CodedError(.systemNotAvailable, sentence) }
        return CodedError(
            .statusUnknown, sentence + "; whether it has done what it was asked for is not known")
    }

    private func next() throws(TransportError) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        let end = ContinuousClock.now + .seconds(Self.answerSeconds)
        while true {
            do throws(ControlLines.TooLong) {
                let line = try lines.withLock { (lines) throws(ControlLines.TooLong) in
                    try lines.next()
                }
                if let line { return line }
            } catch {
                throw .invalidFrame(
                    peer: path, what: "an answer of more than \(error.limit) bytes")
            }
            let left = (end - .now).seconds
            var count = 0
            try piece.withMutableRawSpan { (bytes) throws(TransportError) in
                count = try connection.receive(into: &bytes, timeoutSeconds: max(left, 0))
            }
            guard count > 0 else { return nil }
            lines.withLock { $0.append(piece.rawSpan.extracting(0..<count)) }
        }
    }

    private func decoded(_ line: [UInt8]) throws(CodedError) -> ControlAnswer {
        do {
            return try JSONDecoder().decode(ControlAnswer.self, from: Data(line))
        } catch {
            throw CodedError(
                .failed, "what answers at \(path.printable) is no service of this version")
        }
    }
}
