internal import Glibc

/// Two ends in one process, for tests and for who embeds both sides.
public enum InProcessConnection {
    /// Two connected ends, over a pair of sockets. An end may take nothing of what the other sends
    /// for so long.
    public static func pair(
        sendTimeoutSeconds: Double = defaultSendTimeoutSeconds
    ) throws(TransportError) -> (DescriptorConnection, DescriptorConnection) {
        let name = "this process"
        var ends: [2 of Int32] = [-1, -1]
        var span = ends.mutableSpan
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        // Safe: the call fills in two numbers.
        let status = unsafe span.withUnsafeMutableBufferPointer { ends in
            unsafe socketpair(AF_UNIX, type, 0, ends.baseAddress)
        }
        guard status == 0 else {
            throw .system(operation: "make a pair of sockets for", peer: name, errno: errno)
        }
        let connections = [ends[0], ends[1]].map { end in
            DescriptorConnection(
                reading: end, writing: end, peerName: name, sendTimeoutSeconds: sendTimeoutSeconds)
        }
        return (connections[0], connections[1])
    }
}
