internal import CSystem
internal import Glibc

/// What is done with a TCP socket before it is a connection, and to listen.
enum TCPSocket {
    /// How much may wait in the system for its turn to be sent: what is queued there nothing can
    /// overtake, and a connection that is closed loses it.
    private static let unsentByteLimit: Int32 = 256 << 10
    private static let waitingConnectionLimit: Int32 = 128

    /// Tries an address.
    ///
    /// - Returns: a descriptor, non-blocking and connected.
    static func connect(
        to address: SocketAddress, peerName: String, until deadline: MonotonicTime
    ) throws(TransportError) -> Int32 {
        let descriptor = try make(address, peerName)
        var isConnected = false
        defer { if !isConnected { _ = Glibc.close(descriptor) } }
        setOptions(descriptor)
        // Safe: the call reads the address.
        let status = unsafe address.withPointer { unsafe Glibc.connect(descriptor, $0, $1) }
        // A call that a signal interrupted goes on like one that does not wait.
        guard status == 0 || errno == EINPROGRESS || errno == EINTR else {
            throw .unreachable(peer: peerName, errno: errno)
        }
        while status != 0 {
            var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            // Safe: one request is passed, and one is said to be.
            let count = unsafe poll(&request, 1, deadline.remainingMilliseconds)
            if count > 0 { break }
            if count < 0, errno != EINTR { throw .unreachable(peer: peerName, errno: errno) }
            if deadline <= .now { throw .unreachable(peer: peerName, errno: ETIMEDOUT) }
        }
        var error: Int32 = 0
        var byteCount = socklen_t(MemoryLayout<Int32>.size)
        // Safe: the call fills in a number of the size it is told.
        _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &byteCount)
        guard error == 0 else { throw .unreachable(peer: peerName, errno: error) }
        isConnected = true
        return descriptor
    }

    /// Makes a socket that others can connect to.
    static func listen(on address: SocketAddress, name: String) throws(TransportError) -> Int32 {
        let descriptor = try make(address, name)
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if address.family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        // Safe: the call reads the address.
        guard unsafe address.withPointer({ unsafe bind(descriptor, $0, $1) }) == 0,
            Glibc.listen(descriptor, waitingConnectionLimit) == 0
        else {
            let error = errno
            _ = Glibc.close(descriptor)
            throw .system(operation: "listen on", peer: name, errno: error)
        }
        return descriptor
    }

    /// Takes the next connection that waits, and its address: nil where none does.
    ///
    /// - Throws: the error number.
    static func accept(from listener: Int32) -> Result<(Int32, SocketAddress?), SystemFailure> {
        var result: Int32 = -EINVAL
        // Safe: the call fills in the address, of at most the size it is told.
        let address = unsafe SocketAddress { address, byteCount in
            result = unsafe csystem_accept(listener, address, &byteCount)
            return result >= 0
        }
        guard result >= 0 else { return .failure(SystemFailure(errno: -result)) }
        setOptions(result)
        return .success((result, address))
    }

    struct SystemFailure: Error {
        var errno: Int32
    }

    /// The address of this side of a socket.
    static func localAddress(of descriptor: Int32) -> SocketAddress? {
        // Safe: the call fills in the address, of at most the size it is told.
        unsafe SocketAddress { unsafe getsockname(descriptor, $0, &$1) == 0 }
    }

    private static func make(
        _ address: SocketAddress, _ name: String
    ) throws(TransportError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.family, type, Int32(IPPROTO_TCP))
        // An address of a family that the system lacks is one that cannot be reached.
        guard descriptor >= 0 else { throw .unreachable(peer: name, errno: errno) }
        return descriptor
    }

    private static func setOptions(_ descriptor: Int32) {
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        set(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, unsentByteLimit)
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    }

    /// Options make a connection better, and it works without them.
    private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        // Safe: the call reads a number of the size it is told.
        _ = unsafe setsockopt(
            descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}
