internal import Glibc

/// Which file it is, its size, and when it last changed: equal before and after a read, the file
/// was left alone in between, as far as the file system tells.
public struct FileFingerprint: Equatable, Sendable {
    public var device: UInt64
    public var inode: UInt64
    public var byteCount: UInt64
    public var modificationSeconds: Int64
    public var modificationNanoseconds: Int64

    /// A device is known by its number, whatever name in whichever folder leads to it; no file has
    /// the inode 0. Its modification time is that of the name, which not every write changes.
    init(_ status: stat, deviceByteCount: UInt64 = 0) {
        let isDevice = status.st_mode & S_IFMT == S_IFBLK
        device = UInt64(isDevice ? status.st_rdev : status.st_dev)
        inode = isDevice ? 0 : UInt64(status.st_ino)
        byteCount = isDevice ? deviceByteCount : UInt64(status.st_size)
        modificationSeconds = Int64(status.st_mtim.tv_sec)
        modificationNanoseconds = Int64(status.st_mtim.tv_nsec)
    }

    /// The fields in order, 8 bytes each, little-endian.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 40)
        bytes.withMutableRawSpan { bytes in
            bytes.store(device, at: 0)
            bytes.store(inode, at: 8)
            bytes.store(byteCount, at: 16)
            bytes.store(modificationSeconds, at: 24)
            bytes.store(modificationNanoseconds, at: 32)
        }
        return bytes
    }

    /// Whether two paths led to one file, through links or mounts.
    public func isSameFile(as other: FileFingerprint) -> Bool {
        device == other.device && inode == other.inode
    }
}
