import TestSupport
import Testing

@testable import Storage

@Suite("Extents that files share")
struct SharedExtentsTests {
    private typealias Flags = FileExtent.Flags

    private func extent(
        _ range: Range<UInt64>, at place: UInt64, _ flags: FileExtent.Flags = .shared
    ) -> FileExtent {
        FileExtent(offset: range.lowerBound, place: place, byteCount: range.byteCount, flags: flags)
    }

    private func stored(_ range: Range<UInt64>, at place: UInt64) -> StoredRange {
        StoredRange(range, at: StoragePlace(.volume(1), at: place))
    }

    /// What is found in a range where a file system answers with no more than so many extents at once.
    private func found(
        _ extents: [FileExtent], in range: Range<UInt64>, atOnce: Int = .max
    ) -> [StoredRange] {
        SharedExtents.ranges(in: range, on: 1) { range in
            let asked = extents.filter { extent in
                let end = extent.offset.addingReportingOverflow(extent.byteCount)
                return end.overflow || end.partialValue > range.lowerBound
            }
            return Array(asked.prefix(atOnce))
        }
    }

    @Test("However many extents one answer has, the same is found", arguments: [1, 2, 3, 5, .max])
    func pieces(_ atOnce: Int) {
        let extents = [
            extent(0..<4096, at: 1 << 20), extent(4096..<8192, at: 9 << 20, []),
            // A hole lies in between.
            extent(16384..<32768, at: 2 << 20),
            extent(32768..<65536, at: 3 << 20, [.shared, .merged]),
            extent(65536..<69632, at: 4 << 20, [.shared, .last]),
        ]
        #expect(
            found(extents, in: 0..<1 << 30, atOnce: atOnce) == [
                stored(0..<4096, at: 1 << 20), stored(16384..<32768, at: 2 << 20),
                stored(32768..<65536, at: 3 << 20), stored(65536..<69632, at: 4 << 20),
            ])
        // The first begins before, and the last ends behind.
        #expect(
            found(extents, in: 20000..<40000, atOnce: atOnce) == [
                stored(20000..<32768, at: (2 << 20) + 3616), stored(32768..<40000, at: 3 << 20),
            ])
        #expect(found(extents, in: 8192..<16384, atOnce: atOnce).isEmpty)
        #expect(found(extents, in: 5..<5, atOnce: atOnce).isEmpty)
        #expect(found([], in: 0..<1 << 30, atOnce: atOnce).isEmpty)
    }

    @Test("An extent is believed that is shared, and of which nothing else is said")
    func flags() {
        for bit in 0..<32 {
            let flag = FileExtent.Flags(rawValue: 1 << bit)
            let harmless = flag == .last || flag == .merged || flag == .shared
            let extents = [extent(0..<4096, at: 8192, [.shared, flag])]
            #expect(found(extents, in: 0..<4096).isEmpty != harmless, "\(bit)")
            let alone = [extent(0..<4096, at: 8192, flag)]
            #expect(found(alone, in: 0..<4096).isEmpty == (flag != .shared), "\(bit)")
        }
    }

    @Test("Behind the last extent nothing is asked for")
    func last() {
        var count = 0
        let ranges = SharedExtents.ranges(in: 0..<1 << 30, on: 1) { _ in
            count += 1
            return [extent(0..<4096, at: 0, [.shared, .last])]
        }
        #expect(count == 1 && ranges.count == 1)
    }

    @Test("Of a file system of which one answer makes no sense nothing is believed")
    func badAnswers() {
        let good = extent(0..<4096, at: 1 << 20)
        let bad = [
            // It ends beyond all numbers, in the file or on the device.
            FileExtent(offset: 8192, place: 0, byteCount: .max - 8191, flags: .shared),
            FileExtent(offset: 8192, place: .max - 4094, byteCount: 4096, flags: .shared),
            // It is empty, lies before, or over, the one before.
            FileExtent(offset: 4096, place: 0, byteCount: 0, flags: .shared),
            extent(0..<4096, at: 2 << 20), extent(2048..<8192, at: 2 << 20),
        ]
        for extent in bad {
            let ranges = SharedExtents.ranges(in: 0..<1 << 30, on: 1) { _ in [good, extent] }
            #expect(ranges.isEmpty, "\(extent)")
        }
        // What was asked for lies behind it.
        #expect(SharedExtents.ranges(in: 8192..<16384, on: 1) { _ in [good] }.isEmpty)
    }

    @Test("So many are found that memory is bounded")
    func limit() {
        let ranges = SharedExtents.ranges(in: 0..<1 << 40, on: 1) { range in
            [extent(range.lowerBound..<range.lowerBound + 4096, at: range.lowerBound)]
        }
        #expect(ranges.count == SharedExtents.largestCount)
    }

    // MARK: File systems

    private static let refusal = LoopMount.refusal(.xfs)

    private func isShared(_ range: StoredRange) -> Bool {
        if case .volume = range.place.space { true } else { false }
    }

    @Test("Where files share nothing, each byte is its file's own")
    func nothingShared() throws {
        let directory = try TemporaryDirectory()
        let file = try DiskFile(creating: directory.path(of: "disk"))
        try file.write([UInt8](repeating: 1, count: 1 << 20).rawSpan, at: 0)
        let found = file.storedRanges(in: 4096..<8192)
        let space = StoragePlace.Space.file(file.openingFingerprint)
        #expect(found == [StoredRange(4096..<8192, at: StoragePlace(space, at: 4096))])
        #expect(file.storedRanges(in: 7..<7).isEmpty)
    }

    @Test(
        "A clone has the places of its file, but for what was changed, on the device or not yet",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func clones() throws {
        let volume = try LoopMount(.xfs)
        let size: UInt64 = 8 << 20
        let original = try DiskFile(creating: volume.file("disk"))
        try original.write([UInt8](repeating: 3, count: Int(size)).rawSpan, at: 0)
        // Space that was never written, and a hole.
        try original.reserve(size..<size + 1 << 20)
        try original.setByteCount(size + 4 << 20)
        let clone = volume.file("clone")
        _ = try original.clone(to: clone)
        let opened = try DiskFile(opening: clone, for: .writing)
        let whole = 0..<size + 4 << 20
        let shared = original.storedRanges(in: whole).filter(isShared)
        #expect(shared == opened.storedRanges(in: whole).filter(isShared))
        #expect(shared.reduce(0) { $0 + $1.range.byteCount } == size)
        #expect(shared.last?.range.upperBound == size)

        try opened.write([UInt8](repeating: 4, count: 4096).rawSpan, at: 1 << 20)
        let changed = try DiskFile(opening: clone, for: .reading).storedRanges(in: 0..<size)
        let places = changed.filter { !isShared($0) }.map(\.range)
        let expected: [Range<UInt64>] = [1 << 20..<(1 << 20) + 4096]
        #expect(places == expected)
        for range in changed where isShared(range) {
            let same = original.storedRanges(in: range.range)
            #expect(same.first?.place == range.place)
        }
    }
}
