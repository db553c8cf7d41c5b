internal import CSystem
internal import Glibc

/// One of the two streams that the program writes to, without a buffer.
enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Whether a person watches it on a terminal that can move its cursor.
    var isTerminal: Bool {
        guard isatty(rawValue) == 1 else { return false }
        // Safe: getenv returns null or a string that ends with a zero, and nothing here changes
        // the environment.
        guard let type = unsafe getenv("TERM") else { return false }
        let name = unsafe String(cString: type)
        return !name.isEmpty && name != "dumb"
    }

    /// Columns of the terminal; 80 where it does not tell.
    var columns: Int {
        let width = csystem_terminal_width(rawValue)
        return width > 0 ? Int(width) : 80
    }

    /// Writes all of a text.
    ///
    /// - Returns: 0, or the system's error number.
    @discardableResult
    func write(_ text: String) -> Int32 {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            // Safe: write reads at most the rest of the bytes.
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(rawValue, bytes.baseAddress, bytes.count)
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                waitUntilWritable()
            } else {
                return count < 0 ? errno : EIO
            }
        }
        return 0
    }

    /// For a pipe that another process made non-blocking.
    private func waitUntilWritable() {
        var request = pollfd(fd: rawValue, events: Int16(POLLOUT), revents: 0)
        // Safe: one request is passed, and one is said to be.
        _ = unsafe poll(&request, 1, -1)
    }
}
