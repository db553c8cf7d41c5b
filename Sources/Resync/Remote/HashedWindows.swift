internal import Storage

/// What one host has found out of its own disk and still needs: the digests of the blocks of some
/// neighbouring windows.
///
/// Windows of zeros take no memory.
struct HashedWindows: Sendable {
    /// The first window that is kept.
    private(set) var start: UInt64 = 0
    /// Behind the last window that was hashed.
    private(set) var end: UInt64 = 0
    /// How many digests are kept.
    private(set) var digestCount = 0

    private let geometry: RemoteGeometry
    private let zeros: ZeroDigests
    /// Of the windows that hold anything but zeros.
    private var digests: [UInt64: [BlockDigest]] = [:]

    init(_ geometry: RemoteGeometry, _ zeros: ZeroDigests) {
        self.geometry = geometry
        self.zeros = zeros
    }

    /// Adds the next window.
    ///
    /// - Precondition: it has so many blocks.
    mutating func append(_ run: DigestRun) {
        precondition(run.blockCount == geometry.blocks(in: end).byteCount)
        if case .digests(let found) = run, !isZero(found) {
            digests[end] = found
            digestCount += found.count
        }
        end += 1
    }

    /// The digests of the blocks of a window; nil where all are zeros.
    ///
    /// - Precondition: the window is kept.
    func digests(of window: UInt64) -> [BlockDigest]? {
        precondition((start..<end).contains(window))
        return digests[window]
    }

    /// The digest of a block.
    ///
    /// - Precondition: its window is kept.
    func digest(ofBlock block: UInt64) -> BlockDigest {
        let window = block / geometry.blocksPerWindow
        guard let found = digests(of: window) else { return zeros.digest(ofBlock: block) }
        return found[Int(block - window * geometry.blocksPerWindow)]
    }

    /// Whether some windows hold nothing but zeros.
    func areZero(_ windows: Range<UInt64>) -> Bool {
        digests.isEmpty || windows.allSatisfy { digests(of: $0) == nil }
    }

    /// Forgets all windows before one.
    mutating func drop(before window: UInt64) {
        guard window > start else { return }
        if !digests.isEmpty {
            for dropped in start..<min(window, end) {
                guard let found = digests.removeValue(forKey: dropped) else { continue }
                digestCount -= found.count
            }
        }
        start = window
    }

    /// The short digests of the nodes of some windows.
    func nodes(
        of windows: Range<UInt64>, with digester: inout ShortDigester
    ) -> [ShortDigest] {
        var nodes: [ShortDigest] = []
        for window in windows {
            let first = geometry.blocks(in: window).lowerBound
            let found = digests(of: window)
            for blocks in geometry.nodes(of: window..<window + 1) {
                guard let found else {
                    nodes.append(digester.digest(ofZeroNode: blocks))
                    continue
                }
                let slice =
                    found[Int(blocks.lowerBound - first)..<Int(blocks.upperBound - first)]
                nodes.append(digester.digest(ofNode: slice))
            }
        }
        return nodes
    }

    private func isZero(_ found: [BlockDigest]) -> Bool {
        let first = geometry.blocks(in: end).lowerBound
        for (index, digest) in found.enumerated()
        where digest != zeros.digest(ofBlock: first + UInt64(index)) { return false }
        return true
    }
}
