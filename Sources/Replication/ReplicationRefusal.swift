/// Why a relationship does not do what it is asked for.
public enum ReplicationRefusal: Error, Equatable, Sendable {
    /// The machine is not the sender in that relationship, or in none.
    case mode(ReplicationMode)
    /// The relationship's state does not permit it.
    case state(ReplicationState)
    /// The resynchronization writes to the replica already, and nothing can undo that.
    case pastCommitPoint
    /// A number that `RequestReplicationStateChangeEx` does not know, or that is not supported.
    case requestedState(UInt16)
}

extension ReplicationRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .mode(let mode):
            "the virtual machine's replication mode is \(mode.rawValue) (\(mode.name))"
        case .state(let state):
            "the replication state is \(state.rawValue) (\(state.name))"
        case .pastCommitPoint:
            "the resynchronization is writing to the replica and can only be finished"
        case .requestedState(let number):
            "the requested state \(number) is none that is supported"
        }
    }
}

extension ReturnCode {
    /// The code of a call that was refused for this reason.
    public init(_ refusal: ReplicationRefusal) {
        switch refusal {
        case .mode, .state, .pastCommitPoint: self = .invalidState
        case .requestedState: self = .invalidParameter
        }
    }
}
