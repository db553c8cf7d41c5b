internal import FoundationEssentials
internal import Replication

/// What `service`, `vm` and `job` are asked for.
struct ControlOptions {
    /// The word behind `vm` and `job`.
    enum Command: String, CaseIterable {
        case list, show, resync, suspend, resume, cancel, watch
    }

    var command = Command.list
    /// The machine or the job.
    var name = ""
    /// The inventory.
    var configuration = ""
    var stateFolder = ""
    var socket = ""
    var startTime: String?
    var waits = false

    /// Where the service is reached: what was said, or where the system starts one.
    var socketPath: String {
        if !socket.isEmpty { return socket }
        return stateFolder.isEmpty
            ? ControlProtocol.systemSocket : ControlProtocol.socket(inStateFolder: stateFolder)
    }
}

extension Verb {
    /// The words that may follow.
    var commands: [ControlOptions.Command] {
        switch self {
        case .machine: [.list, .show, .resync, .suspend, .resume, .cancel]
        case .job: [.list, .show, .watch]
        case .resync, .map, .diff, .apply, .recover, .info, .check, .agent, .service: []
        }
    }
}

extension Invocation {
    /// Takes the operands of `service`, `vm` and `job`, and checks what goes with them.
    mutating func addControl(
        _ operands: ArraySlice<String>, _ arguments: CommandLineArguments
    ) throws(UsageError) {
        guard verb != .service else {
            for option in [Option.configuration, .stateFolder] where !arguments.contains(option) {
                throw .invalid(
                    "'service' needs '--config' and '--state-dir', and '--\(option.name)' is missing: "
                        + verb.usage)
            }
            guard let extra = operands.first else { return }
            throw .invalid("one name too many, '\(extra)': \(verb.usage)")
        }
        let words = verb.commands.map(\.rawValue).joined(separator: ", ")
        guard let word = operands.first else {
            throw .invalid("\(verb.name) needs to be told what to do: \(words)")
        }
        guard let command = ControlOptions.Command(rawValue: word), verb.commands.contains(command)
        else {
            throw .invalid("\(verb.name) knows no '\(word)', but \(words)")
        }
        control.command = command
        try addName(operands.dropFirst())
        guard !arguments.contains(.socket) || !arguments.contains(.stateFolder) else {
            throw .invalid(
                "'--socket' and '--state-dir' exclude each other: both say where a service is")
        }
        let isResync = command == .resync
        for option in [Option.startTime, .wait] where arguments.contains(option) && !isResync {
            throw .invalid("the option '--\(option.name)' is for 'vm resync'")
        }
        let isWatching = command == .watch || control.waits
        for option in [Option.progress, .quiet] where arguments.contains(option) && !isWatching {
            throw .invalid(
                "the option '--\(option.name)' is for 'vm resync --wait' and 'job watch'")
        }
    }

    private mutating func addName(_ operands: ArraySlice<String>) throws(UsageError) {
        let call = "vhdresync \(verb == .machine ? "vm" : "job") \(control.command.rawValue)"
        if control.command != .list {
            guard let name = operands.first, !name.isEmpty else {
                let what = verb == .machine ? "no virtual machine" : "no job"
                throw .invalid("\(what) is named: \(call) \(verb == .machine ? "NAME" : "ID")")
            }
            control.name = name
        }
        if let extra = operands.dropFirst(control.command == .list ? 0 : 1).first {
            throw .invalid("one name too many, '\(extra)': \(call)")
        }
    }
}

extension OptionValues {
    /// A CIM `datetime` as it is, which the service looks at; or a time that clocks show here: `HH:MM`,
    /// the next one, or `YYYY-MM-DD HH:MM`.
    static func startTime(
        _ text: String, now: Date = .now, zone: TimeZone = .current
    ) throws(UsageError) -> String {
        guard text.utf8.count != CIMDateTime.characterCount else { return text }
        let today = shown(now, zone)
        if let match = text.wholeMatch(of: #/([0-9]{2}):([0-9]{2})/#) {
            let time = "\(match.1)\(match.2)"
            // At noon, so that no change of clocks leads to another day.
            let noon = now + Double((12 - (today.hour ?? 12)) * 3600)
            let isOver = time <= pair(today.hour) + pair(today.minute)
            return dateTime(shown(isOver ? noon + 86400 : noon, zone), time)
        }
        let pattern = #/([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2})/#
        guard let match = text.wholeMatch(of: pattern) else {
            throw .invalid(
                "a start time is a CIM datetime, or a local time like 22:30 or '2027-01-31 22:30', not "
                    + "'\(text)'")
        }
        return "\(match.1)\(match.2)\(match.3)\(match.4)\(match.5)00.000000+***"
    }

    private static func shown(_ date: Date, _ zone: TimeZone) -> CIMTimestamp {
        CIMTimestamp(date, offsetMinutes: zone.secondsFromGMT(for: date) / 60)
    }

    private static func dateTime(_ day: CIMTimestamp, _ time: String) -> String {
        // The offset is that of the service's clocks.
        String("\(day)".prefix(8)) + time + "00.000000+***"
    }

    private static func pair(_ number: Int?) -> String {
        let number = number ?? 0
        return number < 10 ? "0\(number)" : "\(number)"
    }
}
