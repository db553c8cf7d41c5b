/// The connections of a control socket: who may have one, and what becomes of them in the end.
///
/// A value without threads or sockets: what it wants to be closed, its user closes.
struct ControlConnections: Sendable {
    struct Connection: Sendable {
        /// Ends it, from any thread, without waiting.
        var close: @Sendable () -> Void
        /// Since which turn it waits for a request; nil while it is answered.
        var idleSince: UInt64?
        /// Whether it was closed, and its thread is about to end.
        var isLeaving = false
    }

    enum Admission {
        case admitted(id: UInt64)
        /// As above, and a connection that has to give way.
        case admittedFor(Connection, id: UInt64)
        case refused
    }

    let limit: Int
    private(set) var isStopping = false
    private var connections: [UInt64: Connection] = [:]
    private var nextNumber: UInt64 = 0

    init(limit: Int) {
        self.limit = limit
    }

    var isEmpty: Bool { connections.isEmpty }
    private var leavingCount: Int { connections.values.count { $0.isLeaving } }
    /// Whether threads have to end before the next connection is taken in: without a limit there would
    /// be no bound to their number.
    var isCrowded: Bool { !isStopping && leavingCount >= limit }

    /// Takes a new connection in. Where there are as many as there may be, the one gives way that has
    /// waited longest for a request; where all are being answered, there is no room.
    mutating func admit(close: @escaping @Sendable () -> Void) -> Admission {
        guard !isStopping else { return .refused }
        var former: Connection?
        if connections.count - leavingCount >= limit {
            let idle = connections.filter { !$0.value.isLeaving && $0.value.idleSince != nil }
            let oldest = idle.min { ($0.value.idleSince ?? 0) < ($1.value.idleSince ?? 0) }
            guard let oldest else { return .refused }
            former = oldest.value
            connections[oldest.key]?.isLeaving = true
        }
        let id = number()
        connections[id] = Connection(close: close, idleSince: id)
        if let former { return .admittedFor(former, id: id) }
        return .admitted(id: id)
    }

    private mutating func number() -> UInt64 {
        nextNumber += 1
        return nextNumber
    }

    /// A request has come, or was answered.
    ///
    /// - Returns: false where the connection has to end: what has come is not carried out.
    mutating func setIdle(_ isIdle: Bool, _ id: UInt64) -> Bool {
        guard let connection = connections[id], !connection.isLeaving, !isStopping else {
            return false
        }
        let number = number()
        connections[id]?.idleSince = isIdle ? number : nil
        return true
    }

    /// The thread of a connection ends.
    mutating func remove(_ id: UInt64) {
        connections[id] = nil
    }

    /// Takes no connection any more, and closes those that wait for a request; at once, all of them.
    mutating func stop(atOnce: Bool = false) -> [@Sendable () -> Void] {
        isStopping = true
        var actions: [@Sendable () -> Void] = []
        for (id, connection) in connections where atOnce || connection.idleSince != nil {
            connections[id]?.isLeaving = true
            actions.append(connection.close)
        }
        return actions
    }
}
