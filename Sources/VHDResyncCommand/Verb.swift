internal import Resync

/// What the program is asked to do: a word in the first place, or none for the main job.
enum Verb: Equatable, Sendable {
    /// Makes a replica read as its primary.
    case resync
    /// Writes the digests of a disk to a file.
    case map
    /// Compares and changes nothing.
    case diff
    /// Describes an image.
    case info

    /// The verb that a first operand names, or nil where it names a file.
    init?(word: String) {
        switch word {
        case "map": self = .map
        case "diff": self = .diff
        case "info": self = .info
        default: return nil
        }
    }

    /// The words that will be verbs, and so name no file now.
    static let plannedWords: Set<String> = ["apply", "recover", "check", "agent", "service"]

    /// How the program is called for it.
    var usage: String {
        switch self {
        case .resync: "vhdresync PRIMARY REPLICA"
        case .map: "vhdresync map DISK -o MAP"
        case .diff: "vhdresync diff PRIMARY REPLICA|MAP"
        case .info: "vhdresync info DISK"
        }
    }

    /// How it is named in a sentence.
    var name: String {
        switch self {
        case .resync: "a resynchronization"
        case .map: "'map'"
        case .diff: "'diff'"
        case .info: "'info'"
        }
    }

    var operandCount: Int {
        switch self {
        case .resync, .diff: 2
        case .map, .info: 1
        }
    }
}
