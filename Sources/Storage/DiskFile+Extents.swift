internal import CSystem

extension DiskFile {
    /// How many extents the kernel is asked for at once: 12 KiB of them.
    private static let extentsAtOnce = 512

    public func storedRanges(in range: Range<UInt64>) -> [StoredRange] {
        var ranges: [StoredRange] = []
        var position = range.lowerBound
        for shared in sharedRanges(in: range) {
            append(position..<shared.range.lowerBound, to: &ranges)
            ranges.append(shared)
            position = shared.range.upperBound
        }
        append(position..<range.upperBound, to: &ranges)
        return ranges
    }

    /// Adds a range of which nothing is known but that it is this file's.
    private func append(_ range: Range<UInt64>, to ranges: inout [StoredRange]) {
        guard !range.isEmpty else { return }
        ranges.append(
            StoredRange(range, at: StoragePlace(.file(openingFingerprint), at: range.lowerBound)))
    }

    private func sharedRanges(in range: Range<UInt64>) -> [StoredRange] {
        let file = descriptor.rawValue
        guard hasCommonPlaces else { return [] }
        var extents = [csystem_extent](repeating: csystem_extent(), count: Self.extentsAtOnce)
        return SharedExtents.ranges(in: range, on: openingFingerprint.device) { range in
            // Safe: the call writes at most as many extents as the array has.
            let count = unsafe csystem_extents(
                file, range.lowerBound, range.byteCount, &extents, UInt32(extents.count))
            return extents.prefix(max(0, Int(count))).map(FileExtent.init)
        }
    }
}

extension FileExtent {
    fileprivate init(_ extent: csystem_extent) {
        self.init(
            offset: extent.offset, place: extent.place, byteCount: extent.count,
            flags: Flags(rawValue: extent.flags))
    }
}
