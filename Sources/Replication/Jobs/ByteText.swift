/// Sizes, rates and counts for people: binary units with one decimal.
package enum ByteText {
    private static let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    /// "512 B", "1.5 KiB", "4.0 GiB".
    package static func size(_ byteCount: UInt64) -> String {
        guard byteCount >= 1024 else { return "\(byteCount) B" }
        let index = unitIndex(of: byteCount)
        let tenths = tenths(of: byteCount, inUnit: index)
        return "\(tenths / 10).\(tenths % 10) \(units[index])"
    }

    /// "1.7 of 4.0 GiB": both in the unit of the whole.
    package static func share(_ part: UInt64, of whole: UInt64) -> String {
        guard whole >= 1024 else { return "\(part) of \(whole) B" }
        let tenths = tenths(of: part, inUnit: unitIndex(of: whole))
        return "\(tenths / 10).\(tenths % 10) of \(size(whole))"
    }

    /// "3.1 GiB/s".
    package static func rate(bytesPerSecond: Double) -> String {
        guard bytesPerSecond.isFinite, bytesPerSecond >= 0 else { return "0 B/s" }
        return size(UInt64(min(bytesPerSecond, 0x1p63))) + "/s"
    }

    /// "1 block", "355 blocks".
    package static func blocks(_ count: UInt64) -> String {
        count == 1 ? "1 block" : "\(count) blocks"
    }

    /// The largest unit that goes into the size, rounded to a tenth, at least once.
    private static func unitIndex(of byteCount: UInt64) -> Int {
        let index = (63 - byteCount.leadingZeroBitCount) / 10 - 1
        // 1023.96 KiB would be 1024.0 KiB.
        return tenths(of: byteCount, inUnit: index) == 10240 ? index + 1 : index
    }

    private static func tenths(of byteCount: UInt64, inUnit index: Int) -> UInt64 {
        let unit: UInt64 = 1 << ((index + 1) * 10)
        // The unit is at most 2^60, so ten times the rest fits.
        return byteCount / unit * 10 + (byteCount % unit * 10 + unit / 2) / unit
    }
}
