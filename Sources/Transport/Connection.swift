/// A stream of bytes to another process and back.
public protocol Connection: AnyObject, Sendable {
    /// What to call the other side in a message: "backup-host" or "10.0.0.2:7443".
    var peerName: String { get }

    /// Sends all bytes. One thread at a time; beside it another may receive.
    ///
    /// - Throws: ``TransportError/timedOut(peer:seconds:)`` where the other side takes nothing for
    ///   as long as the connection was told to wait.
    func send(_ bytes: RawSpan) throws(TransportError)

    /// Waits for bytes, at most as many as there is room for, which must be for one at least.
    ///
    /// - Parameters:
    ///   - buffer: where to put them, from its start.
    ///   - timeoutSeconds: how long to wait where nothing comes; nil for no limit.
    /// - Returns: how many came; 0 where the other side has ended orderly.
    /// - Throws: ``TransportError/timedOut(peer:seconds:)`` where nothing comes for so long.
    func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int

    /// Ends this side's sending in such a way that what was sent arrives, and then all of it.
    /// What still comes is thrown away.
    ///
    /// - Parameter timeoutSeconds: how long to wait for the other side's system at most.
    func finish(timeoutSeconds: Double)

    /// Ends where the other side has answered all that was sent, so that nothing can be lost.
    ///
    /// - Parameter timeoutSeconds: how long to wait for the other side at most, where that is needed.
    func finishAnswered(timeoutSeconds: Double)

    /// Ends both directions at once, from any thread, any number of times. Who waits in another
    /// thread gets ``TransportError/closed``.
    func close()
}

extension Connection {
    /// For connections on which nothing can be lost on the way.
    public func finish(timeoutSeconds: Double) {
        close()
    }

    public func finishAnswered(timeoutSeconds: Double) {
        finish(timeoutSeconds: timeoutSeconds)
    }
}

/// How long a connection waits for the other side to take some bytes unless told otherwise.
public let defaultSendTimeoutSeconds = 60.0
