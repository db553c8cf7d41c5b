/// What a sender's session should make of messages, by docs/protocol.md: slowly, and without its data
/// structures.
package struct SenderModel {
    /// A question to the receiver.
    package enum Question: Equatable, Sendable {
        case nodes(first: UInt64)
        case blocks(first: UInt64, nodes: [Bool])
    }

    /// A window of which blocks are to be sent.
    package struct Difference: Equatable, Sendable {
        package var window: UInt64
        /// Nil where the window holds nothing but zeros.
        package var leaves: [UInt8]?
        package var differs: [Bool]

        package init(window: UInt64, leaves: [UInt8]?, differs: [Bool]) {
            self.window = window
            self.leaves = leaves
            self.differs = differs
        }
    }

    private enum Finding {
        /// Not compared yet. A range of zeros stays so: each of its windows is known once it is hashed.
        case none
        case nodesWanted
        case blocksWanted([Bool])
        case equal
        case all
        case some([Bool])
    }

    private struct Announced {
        var windows: Range<UInt64>
        var digest: UInt64?
        var finding = Finding.none
    }

    /// What the receiver is to say next: where it has nothing left to do, only the result.
    private enum Turn {
        case target, comparison, result
    }

    private var own: ModelWindows
    private let isDryRun: Bool
    private let expectsDone: Bool
    private var turn = Turn.target
    /// What was announced and is not settled, in order.
    private var open: [Announced] = []
    /// The first of these that was not compared.
    private var comparedCount = 0
    /// Blocks that digests stand for, of all that is open.
    private var openBlockCount: UInt64 = 0
    /// Ranges, and windows of ranges of zeros, that were compared, are not equal, and are open.
    private var pendingCount = 0
    package private(set) var announcedEnd: UInt64 = 0
    package private(set) var settledEnd: UInt64 = 0
    private var toldEnd: UInt64 = 0
    private var questions: [Question] = []

    package var geometry: ModelGeometry { own.geometry }
    package var hashedEnd: UInt64 { own.hashedEnd }
    package var isDone: Bool { settledEnd == geometry.windowCount }
    package var hasBegun: Bool { turn != .target }
    /// Whether everything was sent, and the receiver is to write it.
    package private(set) var isFinished = false

    /// A sender that has perhaps asked the receiver about an earlier run.
    package init(_ digester: ModelDigester, isDryRun: Bool, expectsDone: Bool) {
        own = ModelWindows(digester)
        self.isDryRun = isDryRun
        self.expectsDone = expectsDone
    }

    // MARK: The own disk

    /// Whether another window may be hashed; nil where the protocol leaves that open.
    package var canHash: Bool? {
        if own.blockCount >= 262_144 || pendingCount >= 4096 { return false }
        // What is equal in between takes no more than as many ranges.
        return 2 * pendingCount + 3 < 4096 ? true : nil
    }

    /// Whether the next window is one of zeros by the receiver's word, so that it is not hashed before.
    package var nextIsZero: Bool {
        guard let range = open.last(where: { $0.windows.contains(hashedEnd) }) else {
            return false
        }
        return range.digest == nil
    }

    /// Whether the next window is sent while it is hashed.
    package var sendsAtOnce: Bool { nextIsZero && settledEnd == hashedEnd }

    /// Whether nothing can be sent before the receiver has answered.
    package var isWaiting: Bool {
        switch open.first?.finding {
        case .nodesWanted, .blocksWanted: true
        default: false
        }
    }

    /// Whether something was compared, and can be sent or settled.
    package var hasFinding: Bool {
        guard let range = open.first else { return false }
        switch range.finding {
        case .nodesWanted, .blocksWanted: return false
        case .none: return range.digest == nil && settledEnd < hashedEnd
        case .equal, .all, .some: return true
        }
    }

    /// The next window was hashed.
    package mutating func hashed(_ leaves: [UInt8]?) {
        own.append(leaves)
        let last = hashedEnd - 1
        if leaves != nil,
            open.contains(where: { $0.windows.contains(last) && $0.digest == nil })
        {
            pendingCount += 1
        }
        compare()
    }

    /// The next window was hashed and sent.
    package mutating func sentAtOnce(_ leaves: [UInt8]?) {
        hashed(leaves)
        settle(hashedEnd)
    }

    // MARK: What comes in

    /// - Returns: whether a target is accepted.
    package mutating func takesTarget(
        virtualSize: UInt64, salt: [UInt8], heldBlockCount: UInt64, isDone: Bool
    ) -> Bool {
        guard turn == .target, !isFinished, virtualSize == geometry.virtualSize,
            heldBlockCount <= geometry.blockCount, expectsDone || !isDone
        else { return false }
        own.digester.salt = salt
        turn = isDone ? .result : .comparison
        return true
    }

    /// - Returns: whether status messages are accepted; for results see ``takesResult``.
    package var takesStatus: Bool { isFinished }
    package var takesResult: Bool { isFinished || turn == .result }

    private var isComparing: Bool { turn == .comparison && !isFinished }

    /// - Returns: whether it is believed what the next windows of the receiver hold.
    package mutating func takes(_ ranges: [ModelRange]) -> Bool {
        guard isComparing else { return false }
        for range in ranges {
            let count = range.windowCount
            guard count > 0, count <= geometry.windowCount - announcedEnd,
                range.digest == nil || count <= geometry.rangeLimit
            else { return false }
            let windows = announcedEnd..<announcedEnd + count
            open.append(Announced(windows: windows, digest: range.digest))
            announcedEnd += count
            if range.digest != nil {
                openBlockCount += UInt64(geometry.blocks(in: windows).count)
            } else if windows.lowerBound < hashedEnd {
                let hashed = windows.lowerBound..<min(windows.upperBound, hashedEnd)
                pendingCount += hashed.count { !own.isZero($0) }
            }
            guard open.count <= 2 * 4096, openBlockCount <= 2 * 262_144 else { return false }
        }
        compare()
        return true
    }

    private func open(_ first: UInt64) -> Int? {
        open.firstIndex { $0.windows.lowerBound == first }
    }

    /// The windows of the range that starts here, where it is not settled.
    package func windows(_ first: UInt64) -> Range<UInt64>? {
        open(first).map { open[$0].windows }
    }

    /// How many digests an answer of nodes for a range must have; nil where none is waited for.
    package func nodeCount(_ first: UInt64) -> Int? {
        guard let index = open(first), case .nodesWanted = open[index].finding else { return nil }
        return geometry.nodes(of: open[index].windows).count
    }

    /// The blocks of which an answer for a range must have digests; nil where none is waited for.
    package func blocksWanted(_ first: UInt64) -> [UInt64]? {
        guard let index = open(first), case .blocksWanted(let wanted) = open[index].finding else {
            return nil
        }
        return zip(geometry.nodes(of: open[index].windows), wanted).flatMap { $1 ? Array($0) : [] }
    }

    /// - Returns: whether an answer is accepted.
    package mutating func takesNodes(_ first: UInt64, _ digests: [UInt64]) -> Bool {
        guard isComparing, let index = open(first), nodeCount(first) == digests.count else {
            return false
        }
        let wanted = zip(own.nodes(of: open[index].windows), digests).map { $0 != $1 }
        guard wanted.contains(true) else { return false }
        askForBlocks(wanted, index)
        return true
    }

    /// - Returns: whether an answer is accepted.
    package mutating func takesBlocks(_ first: UInt64, _ digests: [UInt64]) -> Bool {
        guard isComparing, let index = open(first), let blocks = blocksWanted(first),
            blocks.count == digests.count
        else { return false }
        let all = geometry.blocks(in: open[index].windows)
        var differs = Array(repeating: false, count: all.count)
        for (block, digest) in zip(blocks, digests) {
            differs[Int(block - all.lowerBound)] = own.short(of: block) != digest
        }
        open[index].finding = .some(differs)
        return true
    }

    // MARK: What comes out

    /// What is to be asked since the last call, in order.
    package mutating func takeQuestions() -> [Question] {
        defer { questions = [] }
        return questions
    }

    /// The next window of which blocks are to be sent. Everything before is settled then.
    package mutating func nextDifference() -> Difference? {
        while let range = open.first {
            let window = settledEnd
            guard let differs = differs(window, in: range) else { return nil }
            guard !differs.contains(true) else {
                return Difference(
                    window: window, leaves: own.leaves(of: window), differs: differs)
            }
            settle(window + 1)
        }
        return nil
    }

    /// For each block of a window, whether the receiver has another; nil while that is not known.
    private func differs(_ window: UInt64, in range: Announced) -> [Bool]? {
        let blocks = geometry.blocks(in: window)
        switch range.finding {
        case .nodesWanted, .blocksWanted: return nil
        case .none:
            guard range.digest == nil, window < hashedEnd else { return nil }
            return blocks.map { own.leaf(of: $0) != own.digester.zeroLeaf(of: $0) }
        case .equal: return Array(repeating: false, count: blocks.count)
        case .all: return Array(repeating: true, count: blocks.count)
        case .some(let differs):
            let start = geometry.blocks(in: range.windows).lowerBound
            return Array(
                differs[Int(blocks.lowerBound - start)..<Int(blocks.upperBound - start)])
        }
    }

    /// A window was sent.
    package mutating func sent(_ window: UInt64) { settle(window + 1) }

    /// What the receiver has to be told is settled.
    package mutating func takeSettled() -> UInt64? {
        guard settledEnd - toldEnd >= geometry.settledLimit else { return nil }
        toldEnd = settledEnd
        return settledEnd
    }

    package mutating func finish() { isFinished = true }

    // MARK: Comparing

    private mutating func compare() {
        while comparedCount < open.count, open[comparedCount].windows.upperBound <= hashedEnd {
            compare(comparedCount)
            comparedCount += 1
        }
    }

    private mutating func compare(_ index: Int) {
        let windows = open[index].windows
        guard let digest = open[index].digest else { return }
        let nodes = own.nodes(of: windows)
        guard own.digester.range(nodes) != digest else { return open[index].finding = .equal }
        pendingCount += 1
        if !isDryRun, windows.allSatisfy({ own.isZero($0) }) {
            open[index].finding = .all
        } else if nodes.count == 1 {
            askForBlocks([true], index)
        } else {
            open[index].finding = .nodesWanted
            questions.append(.nodes(first: windows.lowerBound))
        }
    }

    private mutating func askForBlocks(_ wanted: [Bool], _ index: Int) {
        open[index].finding = .blocksWanted(wanted)
        questions.append(.blocks(first: open[index].windows.lowerBound, nodes: wanted))
    }

    private mutating func settle(_ end: UInt64) {
        for window in settledEnd..<end {
            guard let range = open.first else { break }
            if range.digest == nil, !own.isZero(window) { pendingCount -= 1 }
            guard range.windows.upperBound == window + 1 else { continue }
            if range.digest != nil {
                openBlockCount -= UInt64(geometry.blocks(in: range.windows).count)
                if case .equal = range.finding {} else { pendingCount -= 1 }
            }
            open.removeFirst()
            comparedCount = max(0, comparedCount - 1)
        }
        settledEnd = end
        own.drop(before: end)
    }
}
