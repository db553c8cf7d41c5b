internal import CSystem
internal import Glibc

/// An open regular file or block device with one owner, closed once.
public struct DiskFile: ~Copyable, RandomAccessFile {
    /// What the file was opened for.
    public enum Access: Sendable {
        case reading
        case writing
    }

    /// The path that was opened.
    public let name: String
    /// Which file it was, and when it had last changed, before a byte of it was read.
    public internal(set) var openingStamp: FileStamp
    /// Whether it is a block device, which has a size for good.
    public let isDevice: Bool
    /// Whether there was no file of the name before.
    public let wasCreated: Bool
    /// Whether it may share content with other files, and the kernel can tell what.
    let hasCommonPlaces: Bool
    var descriptor: Descriptor

    /// What becomes of the page cache. To be set before the content is looked at.
    public var cacheUse: CacheUse {
        get { descriptor.footprint == nil ? .keep : .drop }
        set {
            guard newValue != cacheUse else { return }
            descriptor.footprint = newValue == .drop ? CacheFootprint() : nil
        }
    }

    /// Lets ``mappedBytes(in:)`` have the content that the file has now, where the process may read like
    /// that, and the file system is one of those that are known to serve it. Not where what is read is not
    /// to stay in the page cache.
    public mutating func mapContent() {
        guard csystem_keeps_pages(descriptor.rawValue) == 1 else { return }
        mapContentAnywhere()
    }

    /// The same on any file system.
    package mutating func mapContentAnywhere() {
        guard !isDevice, cacheUse == .keep, let size = try? byteCount() else { return }
        descriptor.mapping = FileMapping(of: descriptor.rawValue, byteCount: size)
    }

    public func mappedBytes(in range: Range<UInt64>) -> MappedBytes? {
        descriptor.mapping?.bytes(in: range)
    }

    /// Opens a regular file, following symbolic links.
    ///
    /// - Throws: ``FileError/notARegularFile(path:)`` for anything else, without waiting for a
    ///   pipe's other end.
    public init(opening path: String, for access: Access) throws(FileError) {
        try self.init(path: path, name: path, flags: access.flags, operation: .open)
    }

    /// Opens a regular file or a block device, following symbolic links.
    ///
    /// A device that is opened for writing is claimed: nobody can mount it meanwhile.
    ///
    /// - Throws: ``FileError/locked(path:)`` where the kernel uses the device, for a mounted file
    ///   system among others; ``FileError/notARegularFile(path:)`` for what is neither.
    public init(openingDisk path: String, for access: Access) throws(FileError) {
        let claim = access == .writing && Self.isDevice(path) ? O_EXCL : 0
        try self.init(
            path: path, name: path, flags: access.flags | claim, operation: .open, devices: true)
    }

    /// Makes a new, empty file that only its owner may read until ``adoptDefaultPermissions()``.
    ///
    /// Errors call it by the name that it is to have, where its path is a temporary one.
    ///
    /// - Throws: ``FileError/alreadyExists(path:)``.
    public init(creating path: String, as name: String? = nil) throws(FileError) {
        try self.init(
            path: path, name: name ?? path, flags: O_RDWR | O_CREAT | O_EXCL, operation: .create)
    }

    /// Opens a regular file for writing; where there is none, makes an empty one that only its
    /// owner may read. ``wasCreated`` tells which. A symbolic link is not followed.
    public init(creatingOrOpening path: String) throws(FileError) {
        var created = false
        var rawValue: Int32
        repeat {
            let flags = Access.writing.flags | O_NOFOLLOW | O_CLOEXEC
            // Safe, twice: the path is a string that ends with a zero.
            rawValue = retrying { unsafe open(path, flags) }
            guard rawValue < 0, errno == ENOENT else { break }
            rawValue = retrying { unsafe open(path, flags | O_CREAT | O_EXCL, 0o600) }
            created = rawValue >= 0
            // Somebody else may have just made it.
        } while rawValue < 0 && errno == EEXIST
        guard rawValue >= 0 else { throw Self.openingFailure(.open, name: path) }
        try self.init(owning: rawValue, name: path, wasCreated: created)
    }

    /// Opens a regular file for reading by a name that somebody else gave: it must lead to a place in
    /// the folder or in one within it, through symbolic links too.
    ///
    /// - Throws: `FileError.system` with EXDEV where it leads out.
    public init(opening name: String, beneath folder: borrowing Folder) throws(FileError) {
        let path = folder.path + "/" + name
        // Safe: the name is a string that ends with a zero.
        let rawValue = unsafe csystem_open_beneath(folder.descriptor.rawValue, name)
        guard rawValue >= 0 else {
            if -rawValue == ENXIO { throw .notARegularFile(path: path) }
            throw .system(.open, path: path, at: nil, errno: -rawValue)
        }
        try self.init(owning: rawValue, name: path)
    }

    private init(
        path: String, name: String, flags: Int32, operation: FileOperation, devices: Bool = false
    ) throws(FileError) {
        // Safe: the path is a string that ends with a zero.
        let rawValue = retrying { unsafe open(path, flags | O_CLOEXEC, 0o600) }
        guard rawValue >= 0 else {
            if devices && errno == EBUSY { throw .locked(path: name) }
            throw Self.openingFailure(operation, name: name)
        }
        try self.init(
            owning: rawValue, name: name, devices: devices, wasCreated: flags & O_CREAT != 0)
    }

    private init(
        owning rawValue: Int32, name: String, devices: Bool = false, wasCreated: Bool = false
    ) throws(FileError) {
        let descriptor = Descriptor(rawValue: rawValue)
        let status = try Self.status(of: rawValue, name)
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG || kind == S_IFBLK && devices else {
            throw .notARegularFile(path: name)
        }
        let byteCount = try Self.byteCount(of: rawValue, status, name)
        openingStamp = FileStamp(status, deviceByteCount: byteCount)
        isDevice = kind == S_IFBLK
        hasCommonPlaces = kind == S_IFREG && csystem_has_common_places(rawValue) == 1
        self.wasCreated = wasCreated
        self.descriptor = descriptor
        self.name = name
    }

    private static func openingFailure(_ operation: FileOperation, name: String) -> FileError {
        switch errno {
        case EISDIR, ENXIO: .notARegularFile(path: name)
        case EEXIST: .alreadyExists(path: name)
        default: .system(operation, path: name, at: nil, errno: errno)
        }
    }

    /// Sets the permissions to what the process's umask leaves of 0666, as `open(2)` would.
    public func adoptDefaultPermissions() throws(FileError) {
        guard fchmod(descriptor.rawValue, 0o666 & ~Self.processMask) == 0 else {
            throw failure(.create, nil)
        }
    }

    /// The process's umask. The system tells it only to those who change it, and two threads that
    /// did so at once would keep the wrong one, so it is asked for once.
    private static let processMask = {
        let mask = umask(0o077)
        umask(mask)
        return mask
    }()

    public func byteCount() throws(FileError) -> UInt64 {
        try Self.byteCount(of: descriptor.rawValue, try status(), name)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(FileError) {
        note(offset, buffer.byteCount, isWritten: false)
        var done = 0
        while done < buffer.byteCount {
            let position = offset &+ UInt64(done)
            // Safe: pread writes at most the rest of the buffer.
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                retrying {
                    unsafe pread(
                        descriptor.rawValue, bytes.baseAddress.map { unsafe $0 + done },
                        bytes.count - done, off_t(truncatingIfNeeded: position))
                }
            }
            guard count >= 0 else { throw failure(.read, position) }
            guard count > 0 else { throw .unexpectedEnd(path: name, at: position) }
            done += count
        }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(FileError) {
        note(offset, bytes.byteCount, isWritten: true)
        var done = 0
        while done < bytes.byteCount {
            let position = offset &+ UInt64(done)
            // Safe: pwrite reads at most the rest of the span.
            let count = unsafe bytes.withUnsafeBytes { bytes in
                retrying {
                    unsafe pwrite(
                        descriptor.rawValue, bytes.baseAddress.map { unsafe $0 + done },
                        bytes.count - done, off_t(truncatingIfNeeded: position))
                }
            }
            guard count > 0 else { throw failure(.write, position) }
            done += count
        }
        startWritingBack(after: UInt64(done))
    }

    /// Has the device begin with what was written at every 8 MiB, so that it does not stand still, and the
    /// next flush has less to wait for.
    private func startWritingBack(after byteCount: UInt64) {
        let step: UInt64 = 8 << 20
        let written = descriptor.written.add(byteCount)
        guard written / step > (written - byteCount) / step else { return }
        csystem_start_writing(descriptor.rawValue)
    }

    private func note(_ offset: UInt64, _ byteCount: Int, isWritten: Bool) {
        guard let footprint = descriptor.footprint else { return }
        let (end, overflows) = offset.addingReportingOverflow(UInt64(byteCount))
        guard !overflows else { return }
        footprint.note(offset..<end, isWritten: isWritten, of: descriptor.rawValue)
    }

    public func deallocate(_ range: Range<UInt64>) throws(FileError) {
        try zero(range, .deallocate, by: csystem_punch_hole)
    }

    public func writeZeros(_ range: Range<UInt64>) throws(FileError) {
        try zero(range, .write, by: csystem_zero_range)
    }

    public func reserve(_ range: Range<UInt64>) throws(FileError) {
        guard !range.isEmpty else { return }
        if isDevice { return try checkDeviceHas(max(range.upperBound, try byteCount())) }
        let status = csystem_allocate(descriptor.rawValue, range.lowerBound, range.byteCount)
        switch status {
        case 0: return
        case EOPNOTSUPP, ENOSYS:
            if try byteCount() < range.upperBound { try setByteCount(range.upperBound) }
        default:
            throw .system(.allocate, path: name, at: range.lowerBound, errno: status)
        }
    }

    public func setByteCount(_ byteCount: UInt64) throws(FileError) {
        if isDevice { return try checkDeviceHas(byteCount) }
        guard
            retrying({ ftruncate(descriptor.rawValue, off_t(truncatingIfNeeded: byteCount)) }) == 0
        else { throw failure(.resize, byteCount) }
    }

    public func flush() throws(FileError) {
        guard retrying({ fdatasync(descriptor.rawValue) }) == 0 else { throw failure(.flush, nil) }
        descriptor.footprint?.giveBack(descriptor.rawValue)
    }

    /// Makes content and all attributes durable (`fsync`), for a file that is about to be renamed.
    public func flushCompletely() throws(FileError) {
        guard retrying({ fsync(descriptor.rawValue) }) == 0 else { throw failure(.flush, nil) }
        descriptor.footprint?.giveBack(descriptor.rawValue)
    }

    public func nextData(from offset: UInt64, limit: UInt64) throws(FileError) -> Range<UInt64>? {
        let start = csystem_seek_data(descriptor.rawValue, offset)
        guard start >= 0 else {
            switch errno {
            case ENXIO: return nil
            // The file system cannot tell: everything may be data.
            case EINVAL, EOPNOTSUPP, ENOSYS:
                let end = min(limit, try byteCount())
                return offset < end ? offset..<end : nil
            default: throw failure(.inspect, offset)
            }
        }
        guard start < limit else { return nil }
        let end = csystem_seek_hole(descriptor.rawValue, UInt64(start))
        guard end >= 0 else { throw failure(.inspect, UInt64(start)) }
        return UInt64(start)..<min(UInt64(end), limit)
    }

    /// Asks the kernel to drop clean pages of this file from its cache, so that the next read comes
    /// from the device. Advice: it may be ignored.
    public func dropCache() {
        _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// Which file a path leads to; nil where it leads to none that this process may see. The size
    /// of a device stays 0.
    public static func fingerprint(ofFileAt path: String) -> FileFingerprint? {
        var status = stat()
        // Safe: the path ends with a zero, and stat fills the structure.
        guard unsafe stat(path, &status) == 0 else { return nil }
        return FileFingerprint(status)
    }

    /// The part of ``openingStamp`` that writing to the file changes.
    public var openingFingerprint: FileFingerprint { openingStamp.fingerprint }

    /// Which file this is and when its content last changed.
    public func fingerprint() throws(FileError) -> FileFingerprint { try stamp().fingerprint }

    /// Which file this is and when anything of it last changed.
    func stamp() throws(FileError) -> FileStamp {
        let status = try status()
        let byteCount = try Self.byteCount(of: descriptor.rawValue, status, name)
        return FileStamp(status, deviceByteCount: byteCount)
    }

    /// Takes the locks that `access` needs, without waiting; they end with the file.
    ///
    /// - Throws: ``FileError/locked(path:)``.
    public func lock(for access: Access) throws(FileError) {
        try FileLock.take(descriptor.rawValue, for: access, name: name)
    }

    func status() throws(FileError) -> stat {
        try Self.status(of: descriptor.rawValue, name)
    }

    private static func status(of descriptor: Int32, _ name: String) throws(FileError) -> stat {
        var status = stat()
        // Safe: fstat fills the structure.
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .system(.inspect, path: name, at: nil, errno: errno)
        }
        return status
    }

    private static func byteCount(
        of descriptor: Int32, _ status: stat, _ name: String
    ) throws(FileError) -> UInt64 {
        guard status.st_mode & S_IFMT == S_IFBLK else { return UInt64(status.st_size) }
        // Only a seek tells the size of a device. Nothing here uses the position.
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw .system(.inspect, path: name, at: nil, errno: errno) }
        return UInt64(end)
    }

    private func zero(
        _ range: Range<UInt64>, _ operation: FileOperation,
        by call: (Int32, UInt64, UInt64) -> Int32
    ) throws(FileError) {
        guard !range.isEmpty else { return }
        if isDevice { return try zeroOnDevice(range, by: call) }
        let status = call(descriptor.rawValue, range.lowerBound, range.byteCount)
        switch status {
        case 0: return
        case EOPNOTSUPP, ENOSYS: try overwriteWithZeros(range)
        default: throw .system(operation, path: name, at: range.lowerBound, errno: status)
        }
    }

    /// Without holes. The file does not grow.
    func overwriteWithZeros(_ range: Range<UInt64>) throws(FileError) {
        let end = min(range.upperBound, try byteCount())
        guard range.lowerBound < end else { return }
        let zeros = [UInt8](repeating: 0, count: Int(min(end - range.lowerBound, .mebibyte)))
        var position = range.lowerBound
        while position < end {
            let count = min(end - position, UInt64(zeros.count))
            try write(zeros.rawSpan.extracting(0..<Int(count)), at: position)
            position += count
        }
    }

    func failure(_ operation: FileOperation, _ offset: UInt64?) -> FileError {
        .system(operation, path: name, at: offset, errno: errno)
    }
}

/// A file descriptor that is closed, and whose locks are given up, when its owner ends.
///
/// Closing alone would not end the locks while a child process, between fork and exec, still has
/// the descriptor.
///
/// Not private: a private type in a public `~Copyable` structure crashes the release compiler.
struct Descriptor: ~Copyable {
    let rawValue: Int32
    /// Bytes that were written.
    let written = SharedCount()
    /// What it has put into the page cache; nil where that stays there.
    var footprint: CacheFootprint?
    /// Its content in the process's memory; nil where it is read into buffers.
    var mapping: FileMapping?

    deinit {
        footprint?.giveBack(rawValue)
        csystem_unlock(rawValue)
        _ = Glibc.close(rawValue)
    }
}

/// Repeats a call that a signal interrupted.
func retrying<Result: BinaryInteger>(_ call: () -> Result) -> Result {
    while true {
        let result = call()
        if result == -1 && errno == EINTR { continue }
        return result
    }
}
