internal import Glibc

/// The file system that holds a file or a folder.
public enum Volume {
    /// Bytes that this process may still write there.
    public static func freeByteCount(at path: String) throws(FileError) -> UInt64 {
        var status = statvfs()
        // Safe: the path ends with a zero, and statvfs fills the structure.
        guard retrying({ unsafe statvfs(path, &status) }) == 0 else {
            throw .system(.inspect, path: path, at: nil, errno: errno)
        }
        return freeByteCount(status)
    }

    static func freeByteCount(_ status: statvfs) -> UInt64 {
        UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }
}

extension DiskFile {
    /// Bytes that this process may still write to the file system that holds the file; of a device,
    /// to the one that holds its name.
    public func freeByteCount() throws(FileError) -> UInt64 {
        var status = statvfs()
        // Safe: fstatvfs fills the structure.
        guard retrying({ unsafe fstatvfs(descriptor.rawValue, &status) }) == 0 else {
            throw failure(.inspect, nil)
        }
        return Volume.freeByteCount(status)
    }

    /// Bytes that the file takes on its file system, without its holes; of a device, all.
    public func allocatedByteCount() throws(FileError) -> UInt64 {
        if isDevice { return try byteCount() }
        return UInt64(try status().st_blocks) * 512
    }
}
