/// Another call of a host, after a connection with it broke, or while it still has the disk in use.
public struct Retry: Equatable, Sendable {
    /// The host.
    public var host: String
    /// What the call before has ended with.
    public var error: ResyncError
    /// Which try it is, from 1 on, and of how many.
    public var number: Int
    public var limit: Int
    /// How long after that end it begins, in seconds.
    public var seconds: Double
}
