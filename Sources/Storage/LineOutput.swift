internal import CSystem
internal import Glibc

/// Lines of text to a descriptor that belongs to the process, standard error for one.
public struct LineOutput: Sendable {
    private let descriptor: Int32

    /// Lines to a descriptor, which stays open.
    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes a line and what ends it, in one call where the system takes it as a whole. Waits while
    /// nobody reads. What cannot be written is lost: there is no place to say so.
    public func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        let held = csystem_hold_broken_pipes()
        defer { csystem_release_broken_pipes(held) }
        var done = 0
        while done < bytes.count {
            // Safe: the call reads what is left of the array.
            let count = unsafe bytes[done...].withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            }
            if count >= 0 {
                done += count
            } else if errno == EAGAIN {
                var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                // Safe: one request is passed, and one is said to be.
                _ = unsafe poll(&request, 1, -1)
            } else if errno != EINTR {
                return
            }
        }
    }
}
