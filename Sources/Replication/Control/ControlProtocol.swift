/// What the two sides of a control connection agree on, as `docs/control.md` has it.
package enum ControlProtocol {
    package static let version = 1
    /// Bytes of a request, without the end of its line.
    package static let requestByteLimit = 16 << 10
    /// Bytes of an answer: as many as those of all machines and jobs that there may be.
    static let answerByteLimit = 256 << 20
    /// A job that is watched is shown at least so often, and not more often than that.
    static let watchSeconds = 1.0
    static let shortestWatchSeconds = 0.2
    package static let historyLimits = 1...1000
    static let usualHistoryLimit = 100

    /// Where a service listens that was started by the system.
    package static let systemSocket = "/run/vhdresync/service.sock"

    /// Where a service listens that has this folder for its state, unless told.
    package static func socket(inStateFolder folder: String) -> String {
        folder.utf8.last == UInt8(ascii: "/") ? folder + "service.sock" : folder + "/service.sock"
    }
}

/// What a service grants those who connect.
package struct ControlLimits: Sendable {
    /// Connections at once.
    package var connectionCount = 32
    /// From one whole request to the next.
    package var idleSeconds = 60.0
    /// How long a client may take nothing of an answer.
    package var sendSeconds = 30.0

    package init() {}
}
