package import Storage

/// The receiver's side of a comparison: says what its disk holds, as far as the sender asks for it, and
/// follows what the sender sends, to the root digest that the disk will have.
///
/// A value without input and output: what comes in are windows that were hashed and messages; what
/// comes out are messages and records. Memory is bounded by ``RemoteGeometry/maximumBlocksAhead``,
/// whatever the sender says.
package struct ReceiverSession: ~Copyable, Sendable {
    let geometry: RemoteGeometry

    /// What the sender has asked of a range of windows.
    private enum Asked {
        case nothing
        case nodes
        case blocks
    }

    private struct ToldRange {
        var windows: Range<UInt64>
        var isZero: Bool
        var asked = Asked.nothing
    }

    private let zeros: ZeroDigests
    /// The form of the records that come.
    private let stream: DeltaHeader
    private var digester: ShortDigester
    private var own: HashedWindows
    private var baseTree: DigestTreeBuilder
    private var resultTree: DigestTreeBuilder
    /// Behind the last block that is in the trees.
    private var position: UInt64 = 0
    /// Behind the last window that the sender was told of.
    private var toldEnd: UInt64 = 0
    /// Told of and not settled, in order.
    private var told: ArraySlice<ToldRange> = []
    /// How many windows the next digest is to stand for.
    private var rangeSize: UInt64 = 1
    /// How many windows of zeros are told of at once.
    private var zeroRangeSize: UInt64 = 1
    /// Windows that were told of since the sender asked for more.
    private var quietWindowCount: UInt64 = 0
    /// Blocks in which the disk differs from what was recorded.
    package private(set) var differingBlockCount: UInt64 = 0

    /// After so many windows in a row that the sender asked nothing about, digests stand for more.
    private static let quietWindowLimit: UInt64 = 64
    private static let zeroRangeLimit: UInt64 = 1024

    /// - Parameters:
    ///   - stream: The header of the stream that the records are for.
    ///   - salt: Of all short digests.
    /// - Throws: ``ResyncError/outOfMemory(_:)``.
    package init(for stream: DeltaHeader, salt: GUID) throws(ResyncError) {
        let zeros = try ZeroDigests(of: stream)
        let digester = try ShortDigester(salt: salt, zeros: zeros)
        let baseTree = try stream.tree()
        let resultTree = try stream.tree()
        geometry = RemoteGeometry(virtualSize: stream.virtualSize, blockSize: stream.blockSize)
        own = HashedWindows(geometry, zeros)
        self.zeros = zeros
        self.stream = stream
        self.digester = digester
        self.baseTree = baseTree
        self.resultTree = resultTree
    }

    /// Whether another window may be hashed, and told of.
    package var canHash: Bool {
        own.digestCount < RemoteGeometry.maximumBlocksAhead
            && told.count < RemoteGeometry.maximumRangesAhead
    }

    /// Whether the sender was told of the whole disk.
    package var hasToldAll: Bool { toldEnd == geometry.windowCount }

    // MARK: The own disk

    /// The next window of the replica was hashed.
    ///
    /// - Returns: what the sender is to be told.
    package mutating func hashed(_ run: DigestRun) -> [WindowRange] {
        own.append(run)
        let last = own.end - 1
        let isZero = own.digests(of: last) == nil
        var ranges: [WindowRange] = []
        if last > toldEnd, (own.digests(of: toldEnd) == nil) != isZero {
            ranges.append(tell(upTo: last))
        }
        let limit = isZero ? zeroRangeSize : rangeSize
        if own.end - toldEnd >= limit || own.end == geometry.windowCount || !canHash {
            ranges.append(tell(upTo: own.end))
        }
        return ranges
    }

    /// What the sender is to be told of windows that hold either zeros or data.
    private mutating func tell(upTo end: UInt64) -> WindowRange {
        let windows = toldEnd..<end
        toldEnd = end
        let count = UInt32(windows.byteCount)
        let isZero = own.digests(of: windows.lowerBound) == nil
        told.append(ToldRange(windows: windows, isZero: isZero))
        guard !isZero else {
            zeroRangeSize = min(zeroRangeSize * 2, Self.zeroRangeLimit)
            return WindowRange(windowCount: count, digest: nil)
        }
        zeroRangeSize = 1
        quietWindowCount += UInt64(count)
        if quietWindowCount >= Self.quietWindowLimit {
            rangeSize = min(rangeSize * 2, geometry.rangeLimit)
        }
        let nodes = own.nodes(of: windows, with: &digester)
        return WindowRange(windowCount: count, digest: digester.digest(ofRange: nodes))
    }

    // MARK: What comes in

    /// What follows from a message of the sender.
    package enum Step: Sendable {
        case nothing
        case answer(Message)
        /// What the sender has sent, in order, to be written.
        case records([DeltaRecord])
        /// The sender has nothing more to say.
        case finish(Finish)
    }

    /// A message came, after the sender was sent a target.
    ///
    /// - Throws: ``ResyncError/protocolViolation(_:)`` or ``ResyncError/damagedDelta(path:what:at:)``.
    package mutating func received(
        _ message: Message, from peer: String
    ) throws(ResyncError) -> Step {
        switch message {
        case .nodesWanted(let first): return .answer(try received(nodesWantedAt: first))
        case .blocksWanted(let first, let nodes):
            return .answer(try received(blocksWantedAt: first, nodes: nodes))
        case .records(let bytes): return .records(try received(records: bytes, from: peer))
        case .settled(let window):
            try received(settled: window)
            return .nothing
        case .finish(let finish): return .finish(finish)
        case .hello, .open, .source, .target, .digests, .nodes, .blocks, .status, .result,
            .failure, .prepared:
            throw .protocolViolation("a message of kind \(message.kind) out of turn")
        }
    }

    /// - Returns: the answer.
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(nodesWantedAt first: UInt64) throws(ResyncError) -> Message {
        guard let index = index(ofRangeAt: first), case .nothing = told[index].asked else {
            throw .protocolViolation("a question for nodes at window \(first)")
        }
        noteQuestion()
        told[index].asked = .nodes
        return .nodes(first: first, own.nodes(of: told[index].windows, with: &digester))
    }

    /// - Returns: the answer.
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(
        blocksWantedAt first: UInt64, nodes wanted: [Bool]
    ) throws(ResyncError) -> Message {
        guard let index = index(ofRangeAt: first) else {
            throw .protocolViolation("a question for blocks at window \(first)")
        }
        let nodes = geometry.nodes(of: told[index].windows)
        switch told[index].asked {
        case .nodes: break
        // A range of one node has no digests between its own and those of its blocks.
        case .nothing where nodes.count == 1: break
        case .nothing, .blocks:
            throw .protocolViolation("a question for blocks at window \(first), out of turn")
        }
        guard wanted.count / 8 == (nodes.count + 7) / 8,
            !wanted[nodes.count...].contains(true), wanted.contains(true)
        else { throw .protocolViolation("a question for blocks of other nodes than there are") }
        noteQuestion()
        told[index].asked = .blocks
        var digests: [ShortDigest] = []
        for (blocks, isWanted) in zip(nodes, wanted) where isWanted {
            for block in blocks {
                digests.append(digester.digest(ofBlock: own.digest(ofBlock: block)))
            }
        }
        return .blocks(first: first, digests)
    }

    /// Records came: the next, of blocks that the sender was told of.
    ///
    /// - Throws: ``ResyncError/protocolViolation(_:)`` or ``ResyncError/damagedDelta(path:what:at:)``.
    mutating func received(
        records bytes: [UInt8], from peer: String
    ) throws(ResyncError) -> [DeltaRecord] {
        var records: [DeltaRecord] = []
        var offset = 0
        repeat {
            guard bytes.count - offset >= DeltaRecord.headerByteCount else {
                throw .protocolViolation("\(bytes.count - offset) bytes in place of a record")
            }
            let byteCount = try DeltaRecord.byteCount(
                startingWith: bytes.rawSpan.extracting(
                    offset..<offset + DeltaRecord.headerByteCount),
                in: stream, at: UInt64(offset), path: peer)
            guard byteCount <= bytes.count - offset else {
                throw .protocolViolation("a part of a record")
            }
            let isAlone = byteCount == bytes.count
            let record = try DeltaRecord(
                decoding: isAlone ? bytes : Array(bytes[offset..<offset + byteCount]),
                in: stream, after: position, at: UInt64(offset), path: peer)
            try take(record)
            records.append(record)
            offset += byteCount
        } while offset < bytes.count
        return records
    }

    private mutating func take(_ record: DeltaRecord) throws(ResyncError) {
        guard record.blocks.upperBound <= geometry.blocks(in: 0..<toldEnd).upperBound else {
            throw .protocolViolation("a record of blocks that the sender cannot know of")
        }
        advance(to: record.blocks.lowerBound)
        appendBase(record.blocks, comparedWith: record)
        switch record.kind {
        case .zeros: resultTree.append(zeroBlocks: record.blocks.byteCount)
        case .data:
            for index in 0..<record.blocks.count { resultTree.append(record.digest(at: index)) }
        }
        passed(record.blocks.upperBound)
    }

    /// Everything that differs before a window was sent.
    ///
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(settled window: UInt64) throws(ResyncError) {
        guard window <= toldEnd, geometry.blocks(in: 0..<window).upperBound >= position else {
            throw .protocolViolation("window \(window) is settled, of \(toldEnd)")
        }
        advance(to: geometry.blocks(in: 0..<window).upperBound)
    }

    /// Everything that differs was sent.
    ///
    /// - Returns: the root digests of the disk as it is, and as it will be.
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    package consuming func finished() throws(ResyncError) -> (
        base: BlockDigest, result: BlockDigest
    ) {
        guard hasToldAll else {
            throw .protocolViolation("an end before the disks were compared")
        }
        advance(to: geometry.blockCount)
        return (baseTree.root(), resultTree.root())
    }

    // MARK: The trees

    /// Blocks before this one stay as they are.
    private mutating func advance(to block: UInt64) {
        guard block > position else { return }
        forEachRun(in: position..<block) { run, base, result in
            switch run {
            case .zeros(let count):
                base.append(zeroBlocks: count)
                result.append(zeroBlocks: count)
            case .digests(let digests):
                base.append(digests)
                result.append(digests)
            }
        }
        passed(block)
    }

    private mutating func appendBase(
        _ blocks: Range<UInt64>, comparedWith record: DeltaRecord
    ) {
        var block = blocks.lowerBound
        var count: UInt64 = 0
        let zeros = zeros
        forEachRun(in: blocks) { run, base, _ in
            switch run {
            case .zeros(let zeroCount):
                base.append(zeroBlocks: zeroCount)
                // A record of data may have zeros, too.
                for block in block..<block + zeroCount where record.kind == .data {
                    let new = record.digest(at: Int(block - blocks.lowerBound))
                    if new != zeros.digest(ofBlock: block) { count += 1 }
                }
                block += zeroCount
            case .digests(let digests):
                base.append(digests)
                for digest in digests {
                    let new =
                        record.kind == .zeros
                        ? zeros.digest(ofBlock: block)
                        : record.digest(at: Int(block - blocks.lowerBound))
                    if new != digest { count += 1 }
                    block += 1
                }
            }
        }
        differingBlockCount += count
    }

    /// Goes through what the disk has in some blocks, window by window.
    private mutating func forEachRun(
        in blocks: Range<UInt64>,
        _ body: (DigestRun, inout DigestTreeBuilder, inout DigestTreeBuilder) -> Void
    ) {
        var start = blocks.lowerBound
        while start < blocks.upperBound {
            let window = start / geometry.blocksPerWindow
            let all = geometry.blocks(in: window)
            let end = min(all.upperBound, blocks.upperBound)
            if let digests = own.digests(of: window) {
                let slice = digests[Int(start - all.lowerBound)..<Int(end - all.lowerBound)]
                body(.digests(Array(slice)), &baseTree, &resultTree)
            } else {
                body(.zeros(end - start), &baseTree, &resultTree)
            }
            start = end
        }
    }

    /// Forgets what lies before a block.
    private mutating func passed(_ block: UInt64) {
        position = block
        let window =
            block == geometry.blockCount ? geometry.windowCount : block / geometry.blocksPerWindow
        own.drop(before: window)
        while let range = told.first, range.windows.upperBound <= window { told.removeFirst() }
    }

    /// The sender looks closer: what comes is more likely to differ, too.
    private mutating func noteQuestion() {
        quietWindowCount = 0
        rangeSize = 1
    }

    /// A range that may be asked about: of one that is settled in part, not all is kept.
    private func index(ofRangeAt first: UInt64) -> Int? {
        guard first >= own.start,
            let index = told.firstIndex(startingAt: first, \.windows.lowerBound),
            !told[index].isZero
        else { return nil }
        return index
    }
}

extension ZeroDigests {
    /// Those of the disk that a stream is for.
    init(of stream: DeltaHeader) throws(ResyncError) {
        do throws(OutOfMemory) {
            try self.init(virtualSize: stream.virtualSize, blockSize: stream.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
    }
}

extension DeltaHeader {
    /// An empty digest tree of the disk that the stream is for.
    fileprivate func tree() throws(ResyncError) -> DigestTreeBuilder {
        do throws(OutOfMemory) {
            return try DigestTreeBuilder(virtualSize: virtualSize, blockSize: blockSize)
        } catch {
            throw .outOfMemory(error)
        }
    }
}
