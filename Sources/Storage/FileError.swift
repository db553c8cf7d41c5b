internal import CSystem

/// What failed on a file: the operation, the file, the place, and the system's reason.
public enum FileError: Error, Equatable {
    /// A system call failed.
    case system(FileOperation, path: String, at: UInt64?, errno: Int32)
    /// The file ended before the last byte that was to be read.
    case unexpectedEnd(path: String, at: UInt64)
    /// Another process holds a lock that excludes this use of the file.
    case locked(path: String)
    /// The path names a directory, a socket, a pipe or a device.
    case notARegularFile(path: String)
    /// A new file was to be made under a name that something bears already.
    case alreadyExists(path: String)
}

/// What was being done when a call failed.
public enum FileOperation: String, Equatable, Sendable {
    case open, read, write, flush, lock, resize, allocate, deallocate, inspect, rename, remove
    case create, clone
}

extension FileError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop.
    public var description: String {
        switch self {
        case .system(let operation, let path, let offset, let errno):
            let place = offset.map { " at byte \($0)" } ?? ""
            return "cannot \(operation.rawValue) \(path)\(place): \(String(describingErrno: errno))"
        case .unexpectedEnd(let path, let offset):
            return "cannot read \(path) at byte \(offset): unexpected end of file"
        case .locked(let path):
            return "cannot open \(path): another process is using it"
        case .notARegularFile(let path):
            return "cannot open \(path): not a regular file"
        case .alreadyExists(let path):
            return "cannot create \(path): it exists already"
        }
    }
}

extension String {
    /// The error number in the system's words.
    public init(describingErrno errno: Int32) {
        // Safe: the call writes at most the capacity and returns a text that ends with a zero, the
        // buffer or a static one.
        self = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            let text = unsafe csystem_describe_error(errno, buffer.baseAddress, buffer.count)
            guard let text = unsafe text else { return "error \(errno)" }
            return unsafe String(cString: text)
        }
    }
}
