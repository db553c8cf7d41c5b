import Storage
import TestSupport

@testable import Resync

/// What a receiver's session should make of messages, slowly and without its data structures.
struct ReceiverModel {
    private enum Asked {
        case nothing, nodes, blocks
    }

    private struct ToldRange {
        var windows: Range<UInt64>
        var isZero: Bool
        var asked = Asked.nothing
    }

    let geometry: RemoteGeometry
    private var told: [ToldRange] = []
    private(set) var toldEnd: UInt64 = 0
    private(set) var position: UInt64 = 0

    init(_ geometry: RemoteGeometry) {
        self.geometry = geometry
    }

    mutating func tell(_ ranges: [WindowRange]) {
        for range in ranges {
            let end = toldEnd + UInt64(range.windowCount)
            told.append(ToldRange(windows: toldEnd..<end, isZero: range.digest == nil))
            toldEnd = end
        }
    }

    private var settledWindow: UInt64 {
        position == geometry.blockCount ? geometry.windowCount : position / geometry.blocksPerWindow
    }

    private func open(_ first: UInt64) -> Int? {
        told.firstIndex {
            $0.windows.lowerBound == first && !$0.isZero && $0.windows.upperBound > settledWindow
        }
    }

    func nodeCount(_ first: UInt64) -> Int? {
        open(first).map { geometry.nodes(of: told[$0].windows).count }
    }

    mutating func takesNodesWanted(_ first: UInt64) -> Bool {
        guard let index = open(first), told[index].asked == .nothing else { return false }
        told[index].asked = .nodes
        return true
    }

    mutating func takesBlocksWanted(_ first: UInt64, _ bits: [Bool]) -> Bool {
        guard let index = open(first), let count = nodeCount(first) else { return false }
        let isFirst = told[index].asked == .nothing && count == 1
        guard isFirst || told[index].asked == .nodes else { return false }
        guard bits.count == (count + 7) / 8 * 8, bits.prefix(count).contains(true),
            !bits.dropFirst(count).contains(true)
        else { return false }
        told[index].asked = .blocks
        return true
    }

    mutating func takes(_ blocks: Range<UInt64>) -> Bool {
        guard blocks.lowerBound >= position, blocks.upperBound <= toldBlock(toldEnd) else {
            return false
        }
        position = blocks.upperBound
        return true
    }

    mutating func takesSettled(_ window: UInt64) -> Bool {
        guard window <= toldEnd, toldBlock(window) >= position else { return false }
        position = toldBlock(window)
        return true
    }

    func toldBlock(_ window: UInt64) -> UInt64 {
        min(window * geometry.blocksPerWindow, geometry.blockCount)
    }
}
