import Dispatch
import Storage
import Transport

/// A connection that notes what is sent, and holds it until it is opened. Nothing ever comes.
final class GatedConnection: Connection {
    struct Time {
        var nanoseconds: UInt64
    }

    private struct State {
        var isOpen = false
        var isClosed = false
        var callCount = 0
        var bytes: [UInt8] = []
        var writes: [Int] = []
        var times: [Time] = []
    }

    let peerName = "gate"
    private let state = ConditionLock(State())

    var bytes: [UInt8] { state.withLock { $0.bytes } }
    /// The size of each call.
    var writes: [Int] { state.withLock { $0.writes } }
    var times: [Time] { state.withLock { $0.times } }

    func open() {
        state.withLock { $0.isOpen = true }
    }

    /// Waits until somebody wants to send.
    func waitForCall() {
        state.withLock(when: { $0.callCount > 0 }) { _ in }
    }

    func send(_ bytes: RawSpan) throws(TransportError) {
        var copy: [UInt8] = []
        copy.append(bytes)
        let time = Time(nanoseconds: DispatchTime.now().uptimeNanoseconds)
        state.withLock { state in
            state.callCount += 1
            state.writes.append(copy.count)
            state.times.append(time)
            state.bytes += copy
        }
        try state.withLock(when: { $0.isOpen || $0.isClosed }) { state throws(TransportError) in
            if state.isClosed { throw .closed }
        }
    }

    func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        try state.withLock(when: { $0.isClosed }) { _ throws(TransportError) in throw .closed }
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}
