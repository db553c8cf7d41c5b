internal import CSystem
internal import Glibc

/// The standard input and output of this process.
public enum StandardStreams {
    /// Takes both as a connection, once in the life of the process: from then on descriptor 0 is
    /// empty and descriptor 1 is standard error, so that no stray print gets into the stream.
    ///
    /// Where a stream is missing, the first use of the connection fails.
    public static func take(peerName: String = "the calling side") -> DescriptorConnection {
        let input = fcntl(0, F_DUPFD_CLOEXEC, 3)
        let output = fcntl(1, F_DUPFD_CLOEXEC, 3)
        // Safe: the path is a string that ends with a zero.
        let nothing = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        if nothing >= 0 {
            _ = dup2(nothing, 0)
            if dup2(2, 1) < 0 { _ = dup2(nothing, 1) }
            if nothing > 2 { _ = close(nothing) }
        }
        return DescriptorConnection(reading: input, writing: output, peerName: peerName)
    }
}
