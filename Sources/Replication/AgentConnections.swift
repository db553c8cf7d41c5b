internal import Resync

/// The connections of an agent: who may have one, and what becomes of them when it ends.
///
/// A value without threads or sockets: what it wants to be closed, its user closes.
struct AgentConnections: Sendable {
    /// One connection.
    struct Connection: Sendable {
        /// Where from, without the port.
        var host: String
        /// Ends it, from any thread, without waiting.
        var close: @Sendable () -> Void
        /// Whether the peer was let in. Until then the connection may have to give way.
        var isAdmitted = false
        /// Whether it was closed, and its thread is about to end.
        var isLeaving = false
        /// The disk that it has.
        var run: ResyncMonitor?
        /// Whether its client is being told why it gets nothing more, which has a time limit.
        var isTelling = false
    }

    /// How far the agent is with its end.
    enum Stop: Int, Sendable, Comparable {
        case none, orderly, atOnce

        static func < (first: Stop, second: Stop) -> Bool { first.rawValue < second.rawValue }
    }

    enum Admission {
        case admitted(id: UInt64)
        /// As above, and a connection that has to give way.
        case admittedFor(Connection, id: UInt64)
        case refused
    }

    /// Connections that were closed and whose threads have not ended. That takes no longer than it
    /// takes to wake them, but without a limit there would be no bound to the number of threads.
    static let leavingLimit = 32

    /// Whether threads have to end before the next connection is taken in.
    var isCrowded: Bool { stop == .none && leavingCount >= Self.leavingLimit }

    private var leavingCount: Int { connections.values.count { $0.isLeaving } }

    let limit: Int
    let runLimit: Int
    private(set) var stop = Stop.none
    private var connections: [UInt64: Connection] = [:]
    private var nextID: UInt64 = 0

    init(limit: Int, runLimit: Int) {
        self.limit = limit
        self.runLimit = runLimit
    }

    var isEmpty: Bool { connections.isEmpty }

    var runCount: Int { connections.values.count { $0.run != nil } }

    /// What the runs are doing, in no order.
    var phases: [ResyncPhase] { connections.values.compactMap { $0.run?.phase } }

    /// Takes a new connection in.
    ///
    /// Where there are as many as there may be, one that has not been let in gives way: the oldest of
    /// the host that has most of these. So a host that opens one after the other is in its own way,
    /// and no silent connection is in anybody's.
    mutating func admit(
        from host: String, close: @escaping @Sendable () -> Void
    ) -> Admission {
        guard stop == .none else { return .refused }
        var former: Connection?
        if connections.count - leavingCount >= limit {
            guard let id = nextToGiveWay() else { return .refused }
            former = connections[id]
            connections[id]?.isLeaving = true
        }
        let id = nextID
        nextID += 1
        connections[id] = Connection(host: host, close: close)
        if let former { return .admittedFor(former, id: id) }
        return .admitted(id: id)
    }

    private func nextToGiveWay() -> UInt64? {
        let candidates = connections.filter { !$0.value.isAdmitted && !$0.value.isLeaving }
        let counts = Dictionary(grouping: candidates.values, by: \.host).mapValues(\.count)
        let most = counts.values.max()
        return candidates.filter { counts[$0.value.host] == most }.keys.min()
    }

    /// The peer of a connection has shown who it is, and is let in.
    ///
    /// - Returns: false where the connection was closed meanwhile.
    mutating func letIn(_ id: UInt64, close: @escaping @Sendable () -> Void) -> Bool {
        guard let connection = connections[id], !connection.isLeaving, stop == .none else {
            return false
        }
        connections[id]?.isAdmitted = true
        connections[id]?.close = close
        return true
    }

    /// The thread of a connection ends.
    mutating func remove(_ id: UInt64) {
        connections[id] = nil
    }

    /// A connection is to have a disk.
    ///
    /// - Throws: ``ResyncError/busy(_:)``.
    mutating func begin(_ run: ResyncMonitor, on id: UInt64) throws(ResyncError) {
        guard stop == .none else { throw .busy("the agent is ending: try again later") }
        guard runCount < runLimit else {
            throw .busy(
                "the agent serves \(runCount) \(runCount == 1 ? "disk" : "disks") already, as many "
                    + "as it may: try again later")
        }
        connections[id]?.run = run
    }

    /// A connection has no disk any more, or got none.
    mutating func endRun(on id: UInt64, hasFailed: Bool) {
        connections[id]?.run = nil
        connections[id]?.isTelling = hasFailed
    }

    /// Ends all, orderly or at once; a second time at once.
    mutating func stop(atOnce: Bool) {
        stop = atOnce || stop != .none ? .atOnce : .orderly
    }

    /// What is to be done, without any lock, so that what is to end ends: again and again, since a run
    /// that finishes what an earlier one began may be in a phase that is not to be interrupted, and
    /// then in one that is.
    mutating func endWhatMay() -> [@Sendable () -> Void] {
        guard stop != .none else { return [] }
        var actions: [@Sendable () -> Void] = []
        for (id, connection) in connections {
            if let run = connection.run, stop == .atOnce || run.phase.mayBeInterrupted {
                actions.append { run.requestStop(.cancelled) }
            }
            if connection.run == nil && !connection.isTelling || stop == .atOnce {
                connections[id]?.isLeaving = true
                actions.append(connection.close)
            }
        }
        return actions
    }
}

extension ResyncPhase {
    /// Whether an orderly end of the agent stops a run here: before anything is written to the replica.
    fileprivate var mayBeInterrupted: Bool {
        switch self {
        case .opening, .comparing, .receiving: true
        case .applying, .verifying, .finished: false
        }
    }
}
