internal import Resync

/// What the program is asked to do: a word in the first place, or none for the main job.
enum Verb: Equatable, Sendable {
    /// Makes a replica read as its primary.
    case resync
    /// Writes the digests of a disk to a file.
    case map
    /// Compares and changes nothing.
    case diff
    /// Makes a replica read as a delta says.
    case apply
    /// Finishes a replica that is half-written.
    case recover
    /// Describes an image.
    case info
    /// Holds an image against every rule of the format.
    case check
    /// Serves the disks of this machine to another host.
    case agent
    /// Runs a replication service.
    case service
    /// Asks a service about virtual machines.
    case machine
    /// Asks a service about jobs.
    case job

    /// The verb that a first operand names, or nil where it names a file.
    init?(word: String) {
        switch word {
        case "map": self = .map
        case "diff": self = .diff
        case "apply": self = .apply
        case "recover": self = .recover
        case "info": self = .info
        case "check": self = .check
        case "agent": self = .agent
        case "service": self = .service
        case "vm": self = .machine
        case "job": self = .job
        default: return nil
        }
    }

    /// Whether it has to do with a replication service.
    var isOfService: Bool { self == .service || isOfControl }

    /// Whether it asks a service that runs.
    var isOfControl: Bool { self == .machine || self == .job }

    /// How the program is called for it.
    var usage: String {
        switch self {
        case .resync: "vhdresync PRIMARY REPLICA [PRIMARY REPLICA]..."
        case .map: "vhdresync map DISK -o MAP"
        case .diff: "vhdresync diff PRIMARY REPLICA|MAP [-o DELTA]"
        case .apply: "vhdresync apply DELTA REPLICA"
        case .recover: "vhdresync recover REPLICA"
        case .info: "vhdresync info DISK"
        case .check: "vhdresync check DISK"
        case .agent: "vhdresync agent --stdio | --listen ADDRESS:PORT ..."
        case .service: "vhdresync service --config FILE --state-dir DIR"
        case .machine: "vhdresync vm list|show|resync|suspend|resume|cancel [NAME]"
        case .job: "vhdresync job list|show|watch [ID]"
        }
    }

    /// How it is named in a sentence.
    var name: String {
        switch self {
        case .resync: "a resynchronization"
        case .map: "'map'"
        case .diff: "'diff'"
        case .apply: "'apply'"
        case .recover: "'recover'"
        case .info: "'info'"
        case .check: "'check'"
        case .agent: "'agent'"
        case .service: "'service'"
        case .machine: "'vm'"
        case .job: "'job'"
        }
    }

    /// How many names of disks it takes. The main job takes any number of pairs.
    var operandCount: Int {
        switch self {
        case .agent, .service, .machine, .job: 0
        case .resync, .diff, .apply: 2
        case .map, .recover, .info, .check: 1
        }
    }
}
