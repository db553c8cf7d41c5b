internal import Storage

/// What differs in a window, and what the primary had there when it was compared.
package struct DifferingWindow: Equatable, Sendable {
    package var window: UInt64
    /// Of all blocks of the window; nil where they are zeros.
    package var digests: [BlockDigest]?
    /// For each block of the window, whether the replica has something else.
    package var differs: [Bool]
}

/// The sender's side of a comparison: finds, from the digests of its own disk and from what the
/// receiver says of the other, the blocks that differ, in the order of the disk.
///
/// A value without input and output: what comes in are windows that were hashed and messages; what
/// comes out are messages, and windows of which blocks are to be sent. Memory is bounded by
/// ``RemoteGeometry/maximumBlocksAhead``, whatever the receiver says.
package struct SenderSession: ~Copyable, Sendable {
    let geometry: RemoteGeometry
    /// Whether blocks are only counted: then all of them are looked for, one by one.
    let isDryRun: Bool

    /// What became of a range of windows that was compared.
    private enum Finding {
        case equal
        /// All blocks may differ.
        case all
        /// The digests of its nodes are on their way.
        case waitsForNodes
        /// The digests of the blocks of these nodes are on their way.
        case waitsForBlocks([Bool])
        /// For each block of the range.
        case blocks([Bool])
    }

    /// What the receiver has told of and must keep until it is settled.
    private struct OpenRange {
        /// Behind its last window.
        var end: UInt64
        /// How many blocks a digest stands for; 0 for zeros.
        var blockCount: Int
    }

    private struct ComparedRange {
        var windows: Range<UInt64>
        var finding: Finding
    }

    private let zeros: ZeroDigests
    private var digester: ShortDigester
    /// Whether the receiver has chosen the salt.
    private var hasBegun = false
    private var own: HashedWindows
    /// What the receiver has said and was not compared yet, in order.
    private var announced: ArraySlice<WindowRange> = []
    /// Behind the last window that the receiver has told of.
    private var announcedEnd: UInt64 = 0
    /// What was told of and is not settled, in order: no more than the receiver itself may keep.
    private var open: ArraySlice<OpenRange> = []
    private var openBlockCount = 0
    /// What was compared and is not settled, in order.
    private var compared: ArraySlice<ComparedRange> = []
    private var comparedEnd: UInt64 = 0
    /// Behind the last window of which nothing is left to do.
    private var settledEnd: UInt64 = 0
    /// What the receiver knows of that.
    private var toldEnd: UInt64 = 0
    private var outgoing: [Message] = []

    /// A receiver stops soon behind its limits. It may be ahead by what it has taken of the records
    /// that this side has not yet counted as sent.
    private static let maximumOpenRangeCount = 2 * RemoteGeometry.maximumRangesAhead
    private static let maximumOpenBlockCount = 2 * RemoteGeometry.maximumBlocksAhead

    package init(
        _ geometry: RemoteGeometry, _ zeros: ZeroDigests, isDryRun: Bool
    ) throws(ResyncError) {
        digester = try ShortDigester(salt: .zero, zeros: zeros)
        self.geometry = geometry
        self.isDryRun = isDryRun
        self.zeros = zeros
        own = HashedWindows(geometry, zeros)
    }

    /// The receiver has chosen the salt of all short digests. Nothing else of it counts before.
    mutating func begin(salt: GUID) throws(ResyncError) {
        guard !hasBegun else { throw .protocolViolation("a second target") }
        digester = try ShortDigester(salt: salt, zeros: zeros)
        hasBegun = true
    }

    /// How many windows were hashed.
    var hashedWindowCount: UInt64 { own.end }

    /// Whether ``nextDifference()`` has something to say.
    var hasDifference: Bool {
        switch compared.first?.finding {
        case nil, .waitsForNodes, .waitsForBlocks: false
        case .equal, .all, .blocks: true
        }
    }

    /// Whether another window may be hashed: what was hashed must not run away from what is settled.
    package var canHash: Bool {
        own.digestCount < RemoteGeometry.maximumBlocksAhead
            && compared.count < RemoteGeometry.maximumRangesAhead
    }

    /// Whether all windows were hashed, compared and settled.
    package var isDone: Bool { settledEnd == geometry.windowCount }

    /// What to do with the disk next.
    package enum Step: Equatable, Sendable {
        /// Hash the next window.
        case hash
        /// Hash the next window and send what is not zero in it: the receiver has nothing but zeros there,
        /// and nothing before is left to do.
        case sendAtOnce
        /// Send what ``nextDifference()`` gives.
        case sendDifferences
        /// Nothing, until a message comes.
        case wait
    }

    package var nextStep: Step {
        // To hash what will be read again to be sent would gain nothing.
        if comparedEnd == own.end, let range = announced.first, range.digest == nil {
            if settledEnd == own.end { return .sendAtOnce }
        } else if canHash {
            return .hash
        }
        return hasDifference ? .sendDifferences : .wait
    }

    /// Messages to the receiver that came up since the last call. They may overtake records.
    package mutating func takeOutgoing() -> [Message] {
        defer { outgoing = [] }
        return outgoing
    }

    // MARK: What comes in

    /// The next window of the primary was hashed.
    package mutating func hashed(_ run: DigestRun) {
        own.append(run)
        compareAhead()
    }

    /// The next window was hashed, and everything that differs in it was sent: the receiver had
    /// nothing but zeros there.
    ///
    /// - Precondition: ``nextStep`` said so before it was hashed.
    package mutating func sentAtOnce(_ run: DigestRun) {
        precondition(nextStep == .sendAtOnce)
        own.append(run)
        takeAnnounced(1)
        settle(own.end)
    }

    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(digests ranges: [WindowRange]) throws(ResyncError) {
        guard hasBegun else { throw .protocolViolation("digests before a target") }
        for range in ranges {
            let count = UInt64(range.windowCount)
            guard count <= geometry.windowCount - announcedEnd else {
                throw .protocolViolation("digests of more windows than the disk has")
            }
            guard range.digest == nil || count <= geometry.rangeLimit else {
                throw .protocolViolation("a digest of \(count) windows")
            }
            let windows = announcedEnd..<announcedEnd + count
            let blockCount = range.digest == nil ? 0 : geometry.blocks(in: windows).count
            announced.append(range)
            announcedEnd += count
            open.append(OpenRange(end: announcedEnd, blockCount: blockCount))
            openBlockCount += blockCount
            guard open.count <= Self.maximumOpenRangeCount,
                openBlockCount <= Self.maximumOpenBlockCount
            else { throw .protocolViolation("digests too far ahead") }
        }
        compareAhead()
    }

    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(nodes: [ShortDigest], first: UInt64) throws(ResyncError) {
        guard let index = index(ofRangeAt: first), case .waitsForNodes = compared[index].finding
        else { throw .protocolViolation("nodes that nobody asked for") }
        let windows = compared[index].windows
        let expected = own.nodes(of: windows, with: &digester)
        guard nodes.count == expected.count else {
            throw .protocolViolation("\(nodes.count) nodes, expected \(expected.count)")
        }
        let wanted = zip(nodes, expected).map { $0 != $1 }
        guard wanted.contains(true) else {
            throw .protocolViolation("nodes that do not make their digest")
        }
        askForBlocks(wanted, at: index)
    }

    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(blocks: [ShortDigest], first: UInt64) throws(ResyncError) {
        guard let index = index(ofRangeAt: first),
            case .waitsForBlocks(let wanted) = compared[index].finding
        else { throw .protocolViolation("blocks that nobody asked for") }
        let windows = compared[index].windows
        let start = geometry.blocks(in: windows).lowerBound
        let nodes = geometry.nodes(of: windows)
        let expected = zip(nodes, wanted).reduce(0) { $0 + ($1.1 ? $1.0.count : 0) }
        guard blocks.count == expected else {
            throw .protocolViolation("digests of \(blocks.count) blocks, expected \(expected)")
        }
        var differs = [Bool](
            repeating: false, count: Int(geometry.blocks(in: windows).byteCount))
        var next = 0
        for (node, isWanted) in zip(nodes, wanted) where isWanted {
            for block in node {
                let own = digester.digest(ofBlock: own.digest(ofBlock: block))
                differs[Int(block - start)] = own != blocks[next]
                next += 1
            }
        }
        compared[index].finding = .blocks(differs)
    }

    // MARK: What comes out

    /// The next window of which blocks are to be sent, in order; nil where nothing is known to be.
    /// It counts as settled when the next one is asked for.
    package mutating func nextDifference() -> DifferingWindow? {
        while let range = compared.first {
            let window = max(settledEnd, range.windows.lowerBound)
            guard window < range.windows.upperBound else {
                compared.removeFirst()
                continue
            }
            let blocks = geometry.blocks(in: window)
            switch range.finding {
            case .waitsForNodes, .waitsForBlocks: return nil
            case .equal:
                settle(range.windows.upperBound)
            case .all:
                return DifferingWindow(
                    window: window, digests: own.digests(of: window),
                    differs: Array(repeating: true, count: blocks.count))
            case .blocks(let differs):
                let start = geometry.blocks(in: range.windows).lowerBound
                let part = differs[
                    Int(blocks.lowerBound - start)..<Int(blocks.upperBound - start)]
                guard part.contains(true) else {
                    settle(window + 1)
                    continue
                }
                return DifferingWindow(
                    window: window, digests: own.digests(of: window), differs: Array(part))
            }
        }
        return nil
    }

    /// Everything that differs in a window that ``nextDifference()`` gave was sent.
    package mutating func sent(_ window: UInt64) {
        precondition(window == max(settledEnd, compared.first?.windows.lowerBound ?? settledEnd))
        settle(window + 1)
    }

    /// What the receiver has to be told of what is settled, behind all records that were sent: now and
    /// then, so that it can go on.
    package mutating func takeSettled() -> UInt64? {
        guard settledEnd - toldEnd >= geometry.settledLimit else { return nil }
        toldEnd = settledEnd
        return settledEnd
    }

    // MARK: Comparing

    /// Compares what both sides have told of.
    private mutating func compareAhead() {
        while let range = announced.first {
            let hashed = own.end - comparedEnd
            guard hashed > 0 else { return }
            guard let digest = range.digest else {
                let count = min(hashed, UInt64(range.windowCount))
                compareWithZeros(comparedEnd..<comparedEnd + count)
                takeAnnounced(count)
                continue
            }
            let windows = comparedEnd..<comparedEnd + UInt64(range.windowCount)
            guard own.end >= windows.upperBound else { return }
            takeAnnounced(UInt64(range.windowCount))
            let nodes = own.nodes(of: windows, with: &digester)
            guard digester.digest(ofRange: nodes) != digest else {
                append(windows, .equal)
                continue
            }
            if !isDryRun, own.areZero(windows) {
                append(windows, .all)
                continue
            }
            append(windows, .waitsForNodes)
            if nodes.count == 1 {
                askForBlocks([true], at: compared.endIndex - 1)
            } else {
                outgoing.append(.nodesWanted(first: windows.lowerBound))
            }
        }
    }

    /// Where the receiver has nothing but zeros, the blocks that differ are those that are none here.
    private mutating func compareWithZeros(_ windows: Range<UInt64>) {
        for window in windows {
            guard let digests = own.digests(of: window) else {
                append(window..<window + 1, .equal)
                continue
            }
            let first = geometry.blocks(in: window).lowerBound
            append(
                window..<window + 1,
                .blocks(
                    digests.enumerated().map {
                        $0.element != zeros.digest(ofBlock: first + UInt64($0.offset))
                    }))
        }
    }

    /// Takes windows from what the receiver has told of first.
    private mutating func takeAnnounced(_ count: UInt64) {
        comparedEnd += count
        announced[announced.startIndex].windowCount -= UInt32(count)
        if announced[announced.startIndex].windowCount == 0 { announced.removeFirst() }
    }

    private mutating func append(_ windows: Range<UInt64>, _ finding: Finding) {
        if case .equal = finding, let last = compared.last, case .equal = last.finding {
            compared[compared.endIndex - 1].windows = last.windows.lowerBound..<windows.upperBound
        } else {
            compared.append(ComparedRange(windows: windows, finding: finding))
        }
    }

    private mutating func askForBlocks(_ wanted: [Bool], at index: Int) {
        compared[index].finding = .waitsForBlocks(wanted)
        outgoing.append(
            .blocksWanted(first: compared[index].windows.lowerBound, nodes: wanted))
    }

    private func index(ofRangeAt first: UInt64) -> Int? {
        compared.firstIndex(startingAt: first, \.windows.lowerBound)
    }

    private mutating func settle(_ end: UInt64) {
        settledEnd = end
        while let range = open.first, range.end <= end {
            openBlockCount -= range.blockCount
            open.removeFirst()
        }
        own.drop(before: end)
    }
}
