internal import Storage

/// Content that two disks have because it is stored once.
enum SharedContent {
    /// The ranges that are stored in the same place on both sides. What is known of each side is in order.
    static func ranges(_ first: [StoredRange], _ second: [StoredRange]) -> [Range<UInt64>] {
        var shared: [Range<UInt64>] = []
        var (index, other) = (0, 0)
        while index < first.count, other < second.count {
            let (one, two) = (first[index], second[other])
            let start = max(one.range.lowerBound, two.range.lowerBound)
            let end = min(one.range.upperBound, two.range.upperBound)
            if start < end, one.place(of: start) == two.place(of: start) {
                shared.append(joining: start..<end)
            }
            if one.range.upperBound <= two.range.upperBound { index += 1 } else { other += 1 }
        }
        return shared
    }
}

extension [Range<UInt64>] {
    fileprivate mutating func append(joining range: Range<UInt64>) {
        if let last, last.upperBound == range.lowerBound {
            self[count - 1] = last.lowerBound..<range.upperBound
        } else {
            append(range)
        }
    }
}
