internal import CSystem
internal import Dispatch
internal import Glibc

/// The arguments of the program, taken apart but not yet understood.
struct CommandLineArguments: Equatable {
    struct Occurrence: Equatable {
        var option: Option
        var argument: String?
    }

    /// The options in their order.
    var occurrences: [Occurrence] = []
    /// Everything else in its order.
    var operands: [String] = []
    /// What is wrong with the first argument that could not be understood; nothing after it was
    /// looked at.
    var error: UsageError?

    func contains(_ option: Option) -> Bool {
        occurrences.contains { $0.option == option }
    }

    /// The arguments of an option that may be given more than once, in their order.
    func values(of option: Option) -> [String] {
        occurrences.filter { $0.option == option }.map { $0.argument ?? "" }
    }

    /// Takes apart what `main` was given, the program's name included.
    init(parsing arguments: [String]) {
        self = Self.queue.sync { Self(alone: arguments) }
    }

    /// getopt_long keeps its place in global variables, so that one command line is parsed at a time.
    private static let queue = DispatchQueue(label: "vhdresync.arguments")

    private init(alone arguments: [String]) {
        let count = max(arguments.count, 1)
        let texts = arguments.isEmpty ? ["vhdresync"] : arguments
        let names = Option.allCases.map(\.name)
        // Safe: the strings live until they are freed at the end, and argv ends with a null.
        var argv = unsafe texts.map { unsafe strdup($0) } + [nil]
        let cNames = unsafe names.map { unsafe strdup($0) }
        defer {
            unsafe argv.forEach { unsafe free($0) }
            unsafe cNames.forEach { unsafe free($0) }
        }
        let longOptions = unsafe zip(Option.allCases, cNames).map { option, name in
            unsafe csystem_long_option(
                name: UnsafePointer(name),
                takes_argument: option.takesArgument ? 1 : option.mayTakeArgument ? 2 : 0,
                value: option.rawValue)
        }

        csystem_reset_options()
        var nextIndex = 0
        while error == nil {
            let step = unsafe csystem_next_option(
                Int32(count), &argv, Option.shortForms, longOptions, Int32(longOptions.count))
            let value = unsafe step.value
            nextIndex = unsafe Int(step.next_index)
            if value == -1 { break }
            // After the call for this option argv may be in another order than the texts.
            let current = unsafe Self.text(argv, nextIndex - 1)
            if let option = Option(rawValue: value) {
                let argument = unsafe step.argument.map { unsafe String(cString: $0) }
                occurrences.append(Occurrence(option: option, argument: argument))
            } else if value == Int32(UInt8(ascii: ":")) {
                error = .invalid("the option '\(current ?? "")' needs an argument")
            } else {
                error = unsafe Self.unknown([current, Self.text(argv, nextIndex)])
            }
        }
        if error == nil {
            operands = unsafe argv[min(nextIndex, count)..<count].compactMap {
                unsafe $0.map { unsafe String(cString: $0) }
            }
        }
    }

    private static func text(_ argv: [UnsafeMutablePointer<CChar>?], _ index: Int) -> String? {
        // Safe: each is a string that ends with a zero.
        unsafe argv.indices.contains(index) ? argv[index].map { unsafe String(cString: $0) } : nil
    }

    /// Which of the arguments around the place where parsing stopped is at fault, and why: within a
    /// group of letters, getopt_long still stands before the group.
    private static func unknown(_ candidates: [String?]) -> UsageError {
        for candidate in candidates.compactMap(\.self) where candidate.hasPrefix("-") {
            if candidate.hasPrefix("--") {
                return unknownLong(candidate)
            }
            for letter in candidate.dropFirst() {
                guard let option = Option.allCases.first(where: { $0.letter == letter }) else {
                    return .invalid("unknown option '-\(letter)'")
                }
                if option.takesArgument { break }
            }
        }
        return .invalid("unknown option '\(candidates.compactMap(\.self).first ?? "")'")
    }

    private static func unknownLong(_ text: String) -> UsageError {
        let name = text.dropFirst(2).prefix { $0 != "=" }
        let matches = Option.allCases.filter { $0.name.hasPrefix(name) }
        if matches.count == 1 || matches.contains(where: { $0.name == name }) {
            return .invalid("the option '--\(name)' takes no argument")
        }
        if matches.isEmpty { return .invalid("unknown option '--\(name)'") }
        let choices = matches.map { "--\($0.name)" }.sorted().joined(separator: " or ")
        return .invalid("the option '--\(name)' is ambiguous: \(choices)")
    }
}
