internal import Glibc

// What a block device does otherwise than a file.

extension DiskFile {
    /// Whether a path leads to a block device.
    public static func isDevice(_ path: String) -> Bool {
        var status = stat()
        // Safe: the path ends with a zero, and stat fills the structure.
        guard unsafe stat(path, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFBLK
    }

    /// No device zeroes parts of its blocks by itself, and none here has larger ones.
    private static let zeroingUnit: UInt64 = 4096

    /// Lets the device zero the whole blocks in a range, and writes zeros to the rest. Where it
    /// does not want to, zeros are written to all of it.
    func zeroOnDevice(
        _ range: Range<UInt64>, by call: (Int32, UInt64, UInt64) -> Int32
    ) throws(FileError) {
        let range = range.clamped(to: 0..<(try byteCount()))
        let start = range.lowerBound.dividedRoundingUp(by: Self.zeroingUnit) * Self.zeroingUnit
        let end = range.upperBound.roundedDown(toMultipleOf: Self.zeroingUnit)
        guard start < end, call(descriptor.rawValue, start, end - start) == 0 else {
            return try overwriteWithZeros(range)
        }
        try overwriteWithZeros(range.lowerBound..<start)
        try overwriteWithZeros(end..<range.upperBound)
    }

    /// Refuses any size but the one that the device has.
    func checkDeviceHas(_ byteCount: UInt64) throws(FileError) {
        let size = try self.byteCount()
        guard byteCount != size else { return }
        throw .system(
            .resize, path: name, at: byteCount, errno: byteCount > size ? ENOSPC : EINVAL)
    }
}

extension DiskFile.Access {
    /// Neither a pipe without another end nor a terminal may hold the process up.
    var flags: Int32 { (self == .reading ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY }
}
