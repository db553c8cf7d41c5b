internal import Storage

/// A log, found and replayed as [MS-VHDX] 2.3 says it, sector by sector and without haste: second
/// implementation.
struct RawLog {
    private struct Entry {
        /// From the start of the log.
        var position: UInt64
        var bytes: [UInt8]

        func number(_ offset: Int) -> UInt64 { bytes.rawSpan.load(UInt64.self, at: offset) }
        func half(_ offset: Int) -> UInt64 { UInt64(bytes.rawSpan.load(UInt32.self, at: offset)) }

        var tail: UInt64 { half(12) }
        var sequenceNumber: UInt64 { number(16) }
        var descriptorCount: Int { Int(half(24)) }
        var flushedFileOffset: UInt64 { number(48) }
        var lastFileOffset: UInt64 { number(56) }
        /// Bytes of the sectors with header and descriptors.
        var headByteCount: Int { (64 + descriptorCount * 32 + 4095) / 4096 * 4096 }
    }

    private let content: Content
    private let range: Range<UInt64>
    private let guid: [UInt8]
    /// What has to be replayed, the oldest first; empty where no sequence is valid.
    private var active: [Entry] = []

    /// The active sequence of the log that an image names.
    init(_ content: Content, _ image: RawImage) {
        self.content = content
        range = image.log
        guid = image.logGUID
        var best: UInt64 = 0
        for start in stride(from: 0, to: range.byteCount, by: 4096) {
            let sequence = sequence(from: start)
            guard let last = sequence.last, last.sequenceNumber > best,
                let tail = sequence.firstIndex(where: { $0.position == last.tail })
            else { continue }
            best = last.sequenceNumber
            active = Array(sequence[tail...])
        }
    }

    var isValid: Bool { !active.isEmpty }

    /// A size that the file must have for the log to be replayed.
    var flushedFileOffset: UInt64 { active.last?.flushedFileOffset ?? 0 }

    /// The file after replay, but for its headers.
    func replayed() -> Content {
        var result = content
        guard let last = active.last else { return result }
        result.resize(to: max(result.byteCount, last.lastFileOffset))
        for entry in active {
            var dataStart = entry.headByteCount
            for index in 0..<entry.descriptorCount {
                let descriptor = 64 + index * 32
                let target = entry.number(descriptor + 16)
                if entry.bytes[descriptor] == UInt8(ascii: "z") {
                    let end = target + entry.number(descriptor + 8)
                    if end > target { result.resize(to: max(result.byteCount, end)) }
                    result.clear(target..<end)
                } else {
                    let page =
                        entry.bytes[descriptor + 8..<descriptor + 16]
                        + entry.bytes[dataStart + 8..<dataStart + 4092]
                        + entry.bytes[descriptor + 4..<descriptor + 8]
                    result.write(Array(page), at: target)
                    dataStart += 4096
                }
            }
        }
        return result
    }

    /// The entries that follow each other from a position on.
    private func sequence(from start: UInt64) -> [Entry] {
        var entries: [Entry] = []
        var walked: UInt64 = 0
        while let entry = entry(at: (start + walked) % range.byteCount) {
            if let last = entries.last, entry.sequenceNumber != last.sequenceNumber &+ 1 { break }
            walked += UInt64(entry.bytes.count)
            if walked > range.byteCount { break }
            entries.append(entry)
        }
        return entries
    }

    private func entry(at position: UInt64) -> Entry? {
        let start = range.lowerBound + position
        guard content.integer(UInt32.self, at: start) == 0x6567_6F6C else { return nil }
        let length = UInt64(content.integer(UInt32.self, at: start + 8))
        guard length >= 4096, length.isMultiple(of: 4096), length < range.byteCount else {
            return nil
        }
        let beforeEnd = min(length, range.byteCount - position)
        let bytes =
            content.bytes(at: start, count: Int(beforeEnd))
            + content.bytes(at: range.lowerBound, count: Int(length - beforeEnd))
        let entry = Entry(position: position, bytes: bytes)
        let checksum = CRC32C.checksum(of: bytes.rawSpan, withoutFieldAt: 4)
        guard checksum == entry.half(4), entry.sequenceNumber > 0,
            Array(bytes[32..<48]) == guid, entry.tail.isMultiple(of: 4096),
            entry.tail < range.byteCount, entry.lastFileOffset <= 256 << 40,
            entry.headByteCount <= bytes.count, hasValidSectors(entry)
        else { return nil }
        return entry
    }

    private func hasValidSectors(_ entry: Entry) -> Bool {
        let end = max(
            entry.lastFileOffset,
            content.byteCount.roundedUp(toMultipleOf: .mebibyte) ?? content.byteCount)
        let limit = min(end, 256 << 40)
        var dataCount = 0
        for index in 0..<entry.descriptorCount {
            let descriptor = 64 + index * 32
            let target = entry.number(descriptor + 16)
            var length: UInt64 = 4096
            switch entry.half(descriptor) {
            case 0x6F72_657A: length = entry.number(descriptor + 8)
            case 0x6373_6564: dataCount += 1
            default: return false
            }
            let (end, overflows) = target.addingReportingOverflow(length)
            guard !overflows, target.isMultiple(of: 4096), length.isMultiple(of: 4096),
                entry.number(descriptor + 24) == entry.sequenceNumber,
                target >= 192 << 10, end <= limit,
                length == 0 || end <= range.lowerBound || target >= range.upperBound
            else { return false }
        }
        guard entry.headByteCount + dataCount * 4096 == entry.bytes.count else { return false }
        return (0..<dataCount).allSatisfy { index in
            let start = entry.headByteCount + index * 4096
            return entry.half(start) == 0x6174_6164
                && entry.half(start + 4) == entry.sequenceNumber >> 32
                && entry.half(start + 4092) == entry.sequenceNumber & 0xFFFF_FFFF
        }
    }
}
