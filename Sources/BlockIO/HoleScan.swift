internal import Storage

/// The holes of a file as extents.
enum HoleScan {
    /// A hole shorter than this is not worth the system call that finds it.
    private static let minimumHole: UInt64 = 65536

    static func extents(
        of file: borrowing some RandomAccessFile & ~Copyable, in range: Range<UInt64>
    ) throws(FileError) -> [Extent] {
        var extents: [Extent] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let found = try file.nextData(from: position, limit: range.upperBound)
            guard let data = found else {
                append(position..<range.upperBound, .zero, to: &extents)
                break
            }
            let hole = position..<data.lowerBound
            let isShort = !hole.isEmpty && hole.byteCount < minimumHole
            append(hole, isShort ? .data : .zero, to: &extents)
            // Many short holes would cost more than they save: take the rest as it comes.
            position = isShort ? range.upperBound : data.upperBound
            append(data.lowerBound..<position, .data, to: &extents)
        }
        return extents
    }

    private static func append(
        _ range: Range<UInt64>, _ state: ExtentState, to extents: inout [Extent]
    ) {
        guard !range.isEmpty else { return }
        if let last = extents.last, last.state == state {
            extents[extents.count - 1].range = last.range.lowerBound..<range.upperBound
        } else {
            extents.append(Extent(range: range, state: state))
        }
    }
}
