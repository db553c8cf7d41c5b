/// What a client asks a service for. `docs/control.md` says how each is written.
package enum ControlRequest: Equatable, Sendable {
    case listMachines
    case showMachine(computerSystem: String)
    case resynchronize(computerSystem: String, startTime: String? = nil)
    case requestReplicationStateChange(computerSystem: String, requestedState: UInt16)
    case getReplicationStatistics(computerSystem: String)
    case listJobs
    case showJob(String)
    /// Answered again and again, until the job is over.
    case watchJob(String)
    case requestStateChange(job: String, requestedState: UInt16)
    /// Jobs that are no jobs any more: of one machine, or of all.
    case listHistory(computerSystem: String? = nil, limit: Int? = nil)

    /// The word for it.
    package var name: ControlRequestName {
        switch self {
        case .listMachines: .listMachines
        case .showMachine: .showMachine
        case .resynchronize: .resynchronize
        case .requestReplicationStateChange: .requestReplicationStateChange
        case .getReplicationStatistics: .getReplicationStatistics
        case .listJobs: .listJobs
        case .showJob: .showJob
        case .watchJob: .watchJob
        case .requestStateChange: .requestStateChange
        case .listHistory: .listHistory
        }
    }
}

/// The words for requests.
package enum ControlRequestName: String, CaseIterable, Sendable {
    case listMachines
    case showMachine
    case resynchronize
    case requestReplicationStateChange
    case getReplicationStatistics
    case listJobs
    case showJob
    case watchJob
    case requestStateChange
    case listHistory

    /// The keys that it must have beside `version` and `request`.
    package var requiredKeys: Set<ControlRequestKey> {
        switch self {
        case .listMachines, .listJobs, .listHistory: []
        case .showMachine, .resynchronize, .getReplicationStatistics: [.computerSystem]
        case .requestReplicationStateChange: [.computerSystem, .requestedState]
        case .showJob, .watchJob: [.job]
        case .requestStateChange: [.job, .requestedState]
        }
    }

    /// The keys that it may have beside these.
    package var optionalKeys: Set<ControlRequestKey> {
        switch self {
        case .resynchronize: [.startTime]
        case .listHistory: [.computerSystem, .limit]
        case .listMachines, .showMachine, .requestReplicationStateChange,
            .getReplicationStatistics, .listJobs, .showJob, .watchJob, .requestStateChange:
            []
        }
    }

    /// Whether it changes something, so that it matters whether it was carried out.
    var changes: Bool {
        switch self {
        case .resynchronize, .requestReplicationStateChange, .requestStateChange: true
        case .listMachines, .showMachine, .getReplicationStatistics, .listJobs, .showJob,
            .watchJob, .listHistory:
            false
        }
    }
}

/// The keys of requests.
package enum ControlRequestKey: String, InventoryKey {
    case version
    case request
    case computerSystem
    case startTime
    case requestedState
    case job
    case limit
}

// MARK: - Writing

extension ControlRequest {
    private struct Text: Encodable {
        var version = ControlProtocol.version
        var request: String
        var computerSystem: String?
        var startTime: String?
        var requestedState: UInt16?
        var job: String?
        var limit: Int?
    }

    /// The request as a line, without its end.
    package var line: String {
        var text = Text(request: name.rawValue)
        switch self {
        case .listMachines, .listJobs: break
        case .showMachine(let computerSystem), .getReplicationStatistics(let computerSystem):
            text.computerSystem = computerSystem
        case .resynchronize(let computerSystem, let startTime):
            (text.computerSystem, text.startTime) = (computerSystem, startTime)
        case .requestReplicationStateChange(let computerSystem, let requestedState):
            (text.computerSystem, text.requestedState) = (computerSystem, requestedState)
        case .showJob(let job), .watchJob(let job): text.job = job
        case .requestStateChange(let job, let requestedState):
            (text.job, text.requestedState) = (job, requestedState)
        case .listHistory(let computerSystem, let limit):
            (text.computerSystem, text.limit) = (computerSystem, limit)
        }
        return JSONText.line(text)
    }
}
