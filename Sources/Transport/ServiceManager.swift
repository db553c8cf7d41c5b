internal import CSystem

/// The manager that has started this process, systemd mostly, as far as it wants to be told how things
/// are: the datagrams of `sd_notify(3)`.
public struct ServiceManager: Sendable {
    /// The socket; nil where nobody wants to be told.
    private let socket: String?

    /// - Parameter environment: of the process, where `NOTIFY_SOCKET` names the socket.
    public init(environment: [String: String]) {
        let name = environment["NOTIFY_SOCKET"] ?? ""
        socket = name.hasPrefix("/") || name.hasPrefix("@") ? name : nil
    }

    /// The process does what it is for.
    public func tellReady(_ status: String) {
        send("READY=1\n" + Self.statusLine(status))
    }

    /// What it is doing, in a few words.
    public func tell(_ status: String) {
        send(Self.statusLine(status))
    }

    /// It reads its configuration again. ``tellReady(_:)`` follows.
    public func tellReloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(MonotonicTime.now.nanoseconds / 1000)\n")
    }

    /// It is about to end.
    public func tellStopping(_ status: String) {
        send("STOPPING=1\n" + Self.statusLine(status))
    }

    private static func statusLine(_ status: String) -> String {
        "STATUS=\(status.replacing("\n", with: " "))\n"
    }

    /// Nobody waits for an answer, and who does not listen is not told.
    private func send(_ text: String) {
        guard let socket else { return }
        // Safe: both are strings that end with a zero, and the call keeps neither.
        _ = unsafe csystem_send_datagram(socket, text)
    }
}
