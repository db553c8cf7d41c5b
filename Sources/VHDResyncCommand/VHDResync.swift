internal import Replication
internal import Storage

/// The program as a library.
public enum VHDResync {
    /// Does what the arguments ask for. It belongs to a process of its own: it handles the signals
    /// that ask the process to end and the one that tells of a file that was cut, and writes to standard
    /// output and standard error.
    ///
    /// - Parameter arguments: as `main` was given them, the program's name first.
    /// - Returns: the exit status.
    public static func run(arguments: [String]) -> Int32 {
        StopSignals.ignoreBrokenPipes()
        MappedReading.allow()
        let arguments = CommandLineArguments(parsing: arguments)
        do throws(UsageError) {
            return run(try Request(arguments)).exitStatus
        } catch {
            let wantsJSON = arguments.contains(.json)
            let verb = arguments.operands.first.flatMap { Verb(word: $0) }
            if let verb, verb.isOfControl {
                let error = CodedError(error.code, error.sentence)
                return ControlVerb.fail(error, wantsJSON: wantsJSON).exitStatus
            }
            let job = ConcreteJob()
            job.fail(error.code, error.sentence)
            return Output.failure(error.code, job, error.sentence, disks: [], wantsJSON: wantsJSON)
                .exitStatus
        }
    }

    private static func run(_ request: Request) -> ReturnCode {
        switch request {
        case .help(let verb): return Output.text(Help.text(for: verb), .completed)
        case .version: return Output.text("vhdresync \(ProductVersion.text)\n", .completed)
        case .run(let invocation):
            switch invocation.verb {
            case .resync: return ResyncVerb.run(invocation)
            case .map: return MapVerb.run(invocation)
            case .diff: return DiffVerb.run(invocation)
            case .apply: return ApplyVerb.run(invocation)
            case .recover: return RecoverVerb.run(invocation)
            case .info: return InfoVerb.run(invocation)
            case .check: return CheckVerb.run(invocation)
            case .agent: return AgentVerb.run(invocation)
            case .service: return ServiceVerb.run(invocation)
            case .machine, .job: return ControlVerb.run(invocation)
            }
        }
    }
}
