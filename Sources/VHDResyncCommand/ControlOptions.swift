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
        if let numbers = numbers(in: text, as: ["00:00"]) {
            let today = shown(now, zone)
            // At noon, so that no change of clocks leads to another day.
            let noon = now + Double((12 - (today.hour ?? 12)) * 3600)
            let isOver = numbers <= pair(today.hour) + pair(today.minute)
            let day = shown(isOver ? noon + 86400 : noon, zone)
            return dateTime("\(day)".prefix(8) + numbers)
        }
        guard let numbers = numbers(in: text, as: ["0000-00-00 00:00", "0000-00-00T00:00"]) else {
            throw .invalid(
                "a start time is a CIM datetime, or a local time like 22:30 or '2027-01-31 22:30', not "
                    + "'\(text)'")
        }
        return dateTime(numbers)
    }

    /// The digits of a text that has one of some forms, in which a zero stands for each digit.
    private static func numbers(in text: String, as forms: [String]) -> String? {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        let form = text.utf8.map { isDigit($0) ? 0x30 : $0 }
        guard forms.contains(where: { Array($0.utf8) == form }) else { return nil }
        return String(decoding: text.utf8.filter(isDigit), as: UTF8.self)
    }

    private static func shown(_ date: Date, _ zone: TimeZone) -> CIMTimestamp {
        CIMTimestamp(date, offsetMinutes: zone.secondsFromGMT(for: date) / 60)
    }

    /// The offset is that of the service's clocks.
    private static func dateTime(_ minutes: String) -> String { minutes + "00.000000+***" }

    private static func pair(_ number: Int?) -> String {
        let number = number ?? 0
        return number < 10 ? "0\(number)" : "\(number)"
    }
}
