internal import CSystem
internal import Glibc

/// Locks of the open file description (`F_OFD_SETLK`), in the places where QEMU looks for them.
///
/// A writer locks the whole file. A reader takes read locks on the whole file but for the bytes by
/// which QEMU announces what it does: of these, only the ones that mean "I read" and "nobody may
/// write or resize". So readers, ours and QEMU's, share the file; a writer excludes everyone and is
/// excluded by everyone, QEMU included.
enum FileLock {
    /// Byte 100 + n: someone uses permission n; byte 200 + n: someone does not share it
    /// (QEMU, `block/file-posix.c`). Permission 0 is reading, 1 writing, 3 resizing.
    private static let permissionBase: UInt64 = 100
    private static let unsharedBase: UInt64 = 200
    private static let reading: UInt64 = 0
    private static let writing: UInt64 = 1
    private static let resizing: UInt64 = 3
    private static let permissionCount: UInt64 = 64

    /// The ranges a reader locks; a count of 0 reaches to the end.
    private static let readerRanges: [(offset: UInt64, count: UInt64)] = [
        (0, permissionBase + reading + 1),
        (permissionBase + permissionCount, unsharedBase - permissionBase - permissionCount),
        (unsharedBase + writing, 1),
        (unsharedBase + resizing, 1),
        (unsharedBase + permissionCount, 0),
    ]

    static func take(
        _ descriptor: Int32, for access: DiskFile.Access, name: String
    ) throws(FileError) {
        switch access {
        case .writing:
            try lock(descriptor, exclusive: true, 0, 0, name)
        case .reading:
            for range in readerRanges {
                try lock(descriptor, exclusive: false, range.offset, range.count, name)
            }
            for permission in [writing, resizing] {
                let answer = csystem_is_locked(descriptor, permissionBase + permission, 1)
                guard answer >= 0 else {
                    throw .system(.lock, path: name, at: nil, errno: -answer)
                }
                guard answer == 0 else { throw .locked(path: name) }
            }
        }
    }

    private static func lock(
        _ descriptor: Int32, exclusive: Bool, _ offset: UInt64, _ count: UInt64, _ name: String
    ) throws(FileError) {
        let status = csystem_lock(descriptor, exclusive ? 1 : 0, offset, count)
        switch status {
        case 0: return
        case EAGAIN, EACCES: throw .locked(path: name)
        default: throw .system(.lock, path: name, at: nil, errno: status)
        }
    }
}
