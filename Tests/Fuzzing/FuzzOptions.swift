/// The command line: `fuzz TARGET [--seed N] [--seconds N] [--iteration N] [--verbose]`, or
/// `fuzz TARGET --replay FILE`.
struct FuzzOptions {
    static let usage = """
        usage: fuzz TARGET [--seed N] [--seconds N] [--iterations N] [--verbose]
               fuzz TARGET [--seed N] --iteration N [--show]
               fuzz TARGET --replay FILE
        targets: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))
        """

    var target: FuzzTarget
    var seed: UInt64 = 1
    var seconds: Double = 60
    /// Ends a run earlier.
    var iterations = UInt64.max
    /// Runs this case alone.
    var iteration: UInt64?
    /// Prints the case and does not run it.
    var isShown = false
    var replay: String?
    var isVerbose = false

    /// nil for what is not understood.
    init?(_ arguments: [String]) {
        guard let name = arguments.first, let target = FuzzTarget(rawValue: name) else {
            return nil
        }
        self.target = target
        var rest = arguments.dropFirst()
        while let option = rest.popFirst() {
            switch option {
            case "--verbose": isVerbose = true
            case "--show": isShown = true
            case "--replay":
                guard let path = rest.popFirst() else { return nil }
                replay = path
            case "--seconds":
                guard let number = rest.popFirst().flatMap(Double.init) else { return nil }
                seconds = number
            case "--seed", "--iteration", "--iterations":
                guard let number = rest.popFirst().flatMap(UInt64.init) else { return nil }
                if option == "--seed" { seed = number }
                if option == "--iteration" { iteration = number }
                if option == "--iterations" { iterations = number }
            default: return nil
            }
        }
    }
}
