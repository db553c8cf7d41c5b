import Storage
import Transport

/// A connection that breaks when so many bytes have crossed in one direction, and that tells where
/// frames end.
final class CutConnection: Connection {
    enum Direction: CaseIterable {
        case sent, received
    }

    struct Cut {
        var direction: Direction
        /// How many bytes still cross.
        var byteCount: Int
    }

    private struct Flow {
        var byteCount = 0
        /// Behind each frame.
        var frameEnds: [Int] = []
        var head: [UInt8] = []
        /// Bytes of the current frame that are still to come, behind its length.
        var left = 0

        mutating func pass(_ bytes: [UInt8]) {
            for byte in bytes {
                byteCount += 1
                if left > 0 {
                    left -= 1
                    if left == 0 { frameEnds.append(byteCount) }
                    continue
                }
                head.append(byte)
                guard head.count == 4 else { continue }
                // The kind, the payload and the checksum follow.
                left = 5 + Int(head.rawSpan.load(UInt32.self, at: 0))
                head = []
            }
        }
    }

    private let inner: any Connection
    private let cut: Cut?
    /// Called once, when so many bytes were sent.
    private let hook: (byteCount: Int, action: @Sendable () -> Void)?
    private let flows = Lock<[Direction: Flow]>([.sent: Flow(), .received: Flow()])

    init(
        _ inner: any Connection, _ cut: Cut?,
        hook: (byteCount: Int, action: @Sendable () -> Void)? = nil
    ) {
        self.inner = inner
        self.cut = cut
        self.hook = hook
    }

    var peerName: String { inner.peerName }

    func frameEnds(_ direction: Direction) -> [Int] {
        flows.withLock { $0[direction]?.frameEnds ?? [] }
    }

    private func count(_ direction: Direction) -> Int {
        flows.withLock { $0[direction]?.byteCount ?? 0 }
    }

    private func left(_ direction: Direction) -> Int {
        guard let cut, cut.direction == direction else { return .max }
        return cut.byteCount - count(direction)
    }

    private func pass(_ bytes: RawSpan, _ direction: Direction) {
        var copy = [UInt8](repeating: 0, count: bytes.byteCount)
        copy.withMutableRawSpan { $0.copy(bytes) }
        let before = count(direction)
        flows.withLock { $0[direction]?.pass(copy) }
        guard direction == .sent, let hook else { return }
        if before < hook.byteCount, before + copy.count >= hook.byteCount { hook.action() }
    }

    func send(_ bytes: RawSpan) throws(TransportError) {
        let count = min(bytes.byteCount, left(.sent))
        let part = bytes.extracting(0..<count)
        if count > 0 { try inner.send(part) }
        pass(part, .sent)
        guard count < bytes.byteCount || left(.sent) == 0 else { return }
        inner.close()
        throw .ended(peer: peerName)
    }

    func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        let room = min(buffer.byteCount, left(.received))
        guard room > 0 else {
            inner.close()
            throw .ended(peer: peerName)
        }
        var part = buffer.part(0..<room)
        let count = try inner.receive(into: &part, timeoutSeconds: timeoutSeconds)
        pass(part.bytes.extracting(0..<count), .received)
        return count
    }

    func finish(timeoutSeconds: Double) { inner.finish(timeoutSeconds: timeoutSeconds) }

    func close() { inner.close() }
}
