/// What a receiver's session should make of messages, by docs/protocol.md: slowly, and without its data
/// structures.
package struct ReceiverModel {
    package enum Asked {
        case nothing, nodes, blocks
    }

    /// A range of windows that the sender was told of.
    package struct Told {
        package var windows: Range<UInt64>
        package var isZero: Bool
        package var asked = Asked.nothing
    }

    private var own: ModelWindows
    /// Those that are not settled, in order.
    package private(set) var told: [Told] = []
    package private(set) var toldEnd: UInt64 = 0
    /// Behind the last block that is settled or came in a record.
    package private(set) var position: UInt64 = 0

    /// How many windows the next range stands for, of data and of zeros.
    private var sizes: (data: UInt64, zeros: UInt64) = (1, 1)
    /// Windows that were told of since the sender has asked.
    private var quietCount: UInt64 = 0

    package var geometry: ModelGeometry { own.geometry }
    package var hashedEnd: UInt64 { own.hashedEnd }
    package var canHash: Bool { own.blockCount < 262_144 && told.count < 4096 }
    package var hasToldAll: Bool { toldEnd == geometry.windowCount }

    package init(_ digester: ModelDigester) {
        own = ModelWindows(digester)
    }

    // MARK: The own disk

    /// The next window was hashed.
    ///
    /// - Parameter leaves: Of its blocks; nil where it holds nothing but zeros.
    /// - Returns: what the sender is told of.
    package mutating func hashed(_ leaves: [UInt8]?) -> [ModelRange] {
        own.append(leaves)
        let last = hashedEnd - 1
        var ranges: [ModelRange] = []
        if toldEnd < last, own.isZero(toldEnd) != own.isZero(last) { ranges.append(tell(last)) }
        let size = own.isZero(last) ? sizes.zeros : sizes.data
        if hashedEnd - toldEnd >= size || hashedEnd == geometry.windowCount || !canHash {
            ranges.append(tell(hashedEnd))
        }
        return ranges
    }

    /// Tells of all before a window, which is either data or zeros.
    private mutating func tell(_ end: UInt64) -> ModelRange {
        let windows = toldEnd..<end
        let count = end - toldEnd
        let isZero = own.isZero(toldEnd)
        toldEnd = end
        told.append(Told(windows: windows, isZero: isZero))
        guard !isZero else {
            sizes.zeros = min(sizes.zeros * 2, 1024)
            return ModelRange(windowCount: count, digest: nil)
        }
        sizes.zeros = 1
        quietCount += count
        if quietCount >= 64 { sizes.data = min(sizes.data * 2, geometry.rangeLimit) }
        return ModelRange(
            windowCount: count, digest: own.digester.range(own.nodes(of: windows)))
    }

    // MARK: What comes in

    /// A range that may be asked about: one of which a part is settled may not.
    private func open(_ first: UInt64) -> Int? {
        guard first >= geometry.window(behind: position) else { return nil }
        return told.firstIndex { $0.windows.lowerBound == first && !$0.isZero }
    }

    /// How many nodes a range has that the sender may ask about.
    package func nodeCount(_ first: UInt64) -> Int? {
        open(first).map { geometry.nodes(of: told[$0].windows).count }
    }

    /// - Returns: the digests of the answer; nil where the question is refused.
    package mutating func nodesWanted(_ first: UInt64) -> [UInt64]? {
        guard let index = open(first), told[index].asked == .nothing else { return nil }
        told[index].asked = .nodes
        noteQuestion()
        return own.nodes(of: told[index].windows)
    }

    /// - Returns: the digests of the answer; nil where the question is refused.
    package mutating func blocksWanted(_ first: UInt64, _ bits: [Bool]) -> [UInt64]? {
        guard let index = open(first) else { return nil }
        let nodes = geometry.nodes(of: told[index].windows)
        let isFirst = told[index].asked == .nothing && nodes.count == 1
        guard isFirst || told[index].asked == .nodes,
            bits.count == (nodes.count + 7) / 8 * 8, bits.prefix(nodes.count).contains(true),
            !bits.dropFirst(nodes.count).contains(true)
        else { return nil }
        told[index].asked = .blocks
        noteQuestion()
        return zip(nodes, bits).flatMap { $1 ? $0.map(own.short(of:)) : [] }
    }

    private mutating func noteQuestion() {
        quietCount = 0
        sizes.data = 1
    }

    /// - Returns: whether a record of these blocks is accepted.
    package mutating func takesRecord(_ blocks: Range<UInt64>) -> Bool {
        guard blocks.lowerBound >= position, blocks.upperBound <= toldBlock(toldEnd) else {
            return false
        }
        pass(blocks.upperBound)
        return true
    }

    /// - Returns: whether it is believed that all before a window is settled.
    package mutating func takesSettled(_ window: UInt64) -> Bool {
        guard window <= toldEnd, toldBlock(window) >= position else { return false }
        pass(toldBlock(window))
        return true
    }

    private func toldBlock(_ window: UInt64) -> UInt64 {
        geometry.blocks(in: 0..<window).upperBound
    }

    private mutating func pass(_ block: UInt64) {
        position = block
        let window = geometry.window(behind: block)
        own.drop(before: window)
        told.removeAll { $0.windows.upperBound <= window }
    }
}
