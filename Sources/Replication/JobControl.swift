/// How the one who does the work learns of requests: what it installs in its job.
///
/// A closure is called on the thread of who asks, and must not wait. It may be called when the work
/// has just ended, and does nothing then. What has none is not supported.
public struct JobControl: Sendable {
    /// Begin a job that waits for its start time, or go on: ``ConcreteJob/start()`` or
    /// ``ConcreteJob/resume()`` follows.
    public var start: (@Sendable () -> Void)?
    /// ``ConcreteJob/suspend()`` follows, when nothing is being done any more.
    public var suspend: (@Sendable () -> Void)?
    /// ``ConcreteJob/terminate(_:_:)`` follows, or whatever the work has ended with before.
    public var terminate: (@Sendable () -> Void)?
    /// ``ConcreteJob/kill(_:_:)`` follows, or whatever the work has ended with before.
    public var kill: (@Sendable () -> Void)?

    public init(
        start: (@Sendable () -> Void)? = nil, suspend: (@Sendable () -> Void)? = nil,
        terminate: (@Sendable () -> Void)? = nil, kill: (@Sendable () -> Void)? = nil
    ) {
        (self.start, self.suspend) = (start, suspend)
        (self.terminate, self.kill) = (terminate, kill)
    }

    func action(for requested: RequestedJobState) -> (@Sendable () -> Void)? {
        switch requested {
        case .start: start
        case .suspend: suspend
        case .terminate: terminate
        case .kill: kill
        case .service: nil
        }
    }
}
