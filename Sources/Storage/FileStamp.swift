internal import Glibc

/// A moment as file systems have it: seconds and nanoseconds since the start of 1970.
public struct FileTime: Comparable, Sendable {
    public var seconds: Int64
    public var nanoseconds: Int64

    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// The moment that it is, by this machine's clock.
    public static var now: FileTime {
        var time = timespec()
        // Safe: the call fills the structure, and this clock is on every machine.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return FileTime(time)
    }

    public static func < (left: FileTime, right: FileTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

/// All that a file system tells of the state of a file: its fingerprint, and when anything of it,
/// its name and owner too, last changed. That moment no program sets.
public struct FileStamp: Equatable, Sendable {
    public var fingerprint: FileFingerprint
    public var changeTime: FileTime

    init(_ status: stat, deviceByteCount: UInt64 = 0) {
        fingerprint = FileFingerprint(status, deviceByteCount: deviceByteCount)
        changeTime = FileTime(status.st_ctim)
    }

    /// The fields in order, 8 bytes each, little-endian.
    public var encoded: [UInt8] {
        var bytes = fingerprint.encoded
        let start = bytes.count
        bytes += [UInt8](repeating: 0, count: 16)
        bytes.withMutableRawSpan { bytes in
            bytes.store(changeTime.seconds, at: start)
            bytes.store(changeTime.nanoseconds, at: start + 8)
        }
        return bytes
    }

    /// Whether the file was last changed before a moment: then a change after it shows.
    public func isOlder(than moment: FileTime) -> Bool {
        let modificationTime = FileTime(
            seconds: fingerprint.modificationSeconds,
            nanoseconds: fingerprint.modificationNanoseconds)
        return max(changeTime, modificationTime) < moment
    }
}
