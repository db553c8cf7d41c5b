internal import CSystem
internal import Glibc
internal import Storage

/// Calls of the system for sockets of the Unix family, which have paths.
enum UnixSocket {
    /// As many bytes as an address holds, `sockaddr_un.sun_path`, less the zero behind them.
    static let longestPath = 107
    private static let waitingConnectionLimit: Int32 = 128

    /// Makes a socket that others can connect to, and its file.
    static func listen(at path: String) throws(TransportError) -> Int32 {
        try check(path)
        // Safe: the path ends with a zero.
        let descriptor = unsafe csystem_listen_at_path(path, waitingConnectionLimit)
        guard descriptor >= 0 else {
            throw .system(operation: "listen on", peer: path, errno: -descriptor)
        }
        return descriptor
    }

    /// Connects to a socket.
    static func connect(to path: String, timeoutSeconds: Double) throws(TransportError) -> Int32 {
        try check(path)
        let milliseconds = Int32(clamping: Int(min(max(timeoutSeconds, 0.001), 86400) * 1000))
        // Safe: the path ends with a zero.
        let descriptor = unsafe csystem_connect_to_path(path, milliseconds)
        guard descriptor >= 0 else {
            // So it says that too many wait.
            let errno = -descriptor == EAGAIN ? ETIMEDOUT : -descriptor
            throw .unreachable(peer: path, errno: errno)
        }
        return descriptor
    }

    static func check(_ path: String) throws(TransportError) {
        let count = path.utf8.count
        guard count <= longestPath else {
            throw .invalidAddress(
                "the path of a socket has \(longestPath) bytes at most, and this one \(count): "
                    + path)
        }
        guard !path.utf8.isEmpty, !path.utf8.contains(0) else {
            throw .invalidAddress("the path of a socket is empty, or holds a zero")
        }
    }

    /// Takes the next connection that waits.
    static func accept(from listener: Int32) -> Result<Int32, TCPSocket.SystemFailure> {
        let descriptor = csystem_accept(listener, nil, nil)
        return descriptor >= 0
            ? .success(descriptor) : .failure(TCPSocket.SystemFailure(errno: -descriptor))
    }

    /// The user at the other end; nil where the system does not say.
    static func peerUser(of socket: Int32) -> UInt32? {
        var user: UInt32 = 0
        // Safe: the call fills in the number.
        return unsafe csystem_peer_user(socket, &user) == 0 ? user : nil
    }

    /// What stands under a path.
    struct Identity: Equatable, Sendable {
        var device: UInt64
        var file: UInt64
        var isSocket: Bool
    }

    /// Nil where nothing does, or where it cannot be looked at.
    static func identity(of path: String) -> Identity? {
        var status = stat()
        // Safe: the path ends with a zero, and the call fills in the structure.
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return Identity(
            device: UInt64(status.st_dev), file: UInt64(status.st_ino),
            isSocket: status.st_mode & S_IFMT == S_IFSOCK)
    }

    static func remove(_ path: String) throws(TransportError) {
        // Safe: the path ends with a zero.
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw .system(operation: "remove", peer: path, errno: errno)
        }
    }
}

/// A user of this system.
public struct SystemUser: Hashable, Sendable {
    public var number: UInt32

    public init(number: UInt32) {
        self.number = number
    }

    public static let root = SystemUser(number: 0)
    /// For whom this process acts.
    public static var current: SystemUser { SystemUser(number: geteuid()) }

    /// The number where there is no name.
    public var name: String {
        // Safe: the call writes at most the capacity, and a zero behind the name.
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            let status = unsafe csystem_user_name(number, buffer.baseAddress, buffer.count)
            guard status == 0, let text = buffer.baseAddress else { return "\(number)" }
            return unsafe String(cString: text)
        }
    }
}
