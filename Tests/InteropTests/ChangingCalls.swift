internal import Foundation
internal import Storage
internal import TestSupport

/// `changing_calls.c`, built: what the program does to files, call by call, and how to stop it there.
///
/// The numbers of the calls repeat themselves from run to run where the program has one thread.
struct ChangingCalls {
    /// What the library does to a run.
    enum Fault {
        /// Killed in place of the call.
        case kill(at: Int)
        /// Killed after half of the bytes of a write, or after the call where it writes none.
        case tear(at: Int)
        /// Stopped in front of the call, until it is told to go on.
        case stop(at: Int)
        case fail(at: Int, errno: Int32, forGood: Bool = false)
        /// Interrupted calls, and reads and writes that do less than they were asked for.
        case hamper
    }

    /// One call that changes files, or one that reads.
    struct Call: Equatable {
        /// From 1; 0 where it reads.
        var number: Int
        var name: String
        var offset: UInt64
        var byteCount: UInt64
        var path: String
    }

    /// Why it cannot be built here; nil where it can.
    static let refusal: String? = {
        do {
            _ = try shared.get()
            return nil
        } catch {
            return "no library can be built here: \(error)"
        }
    }()

    private static let shared = Result { try ChangingCalls() }

    private let folder: TemporaryFolder
    private var library: String { folder.file("changing_calls.so") }

    private init() throws {
        folder = try TemporaryFolder()
        let source = TestImage.folder + "/../Tests/InteropTests/changing_calls.c"
        let arguments = ["-shared", "-fPIC", "-O1", "-o", folder.file("changing_calls.so"), source]
        do {
            try ExternalProgram.run("cc", arguments).requireSuccess()
        } catch ProgramFailure.notFound {
            // Who builds Swift programs has that one.
            try ExternalProgram.run("clang", arguments).requireSuccess()
        }
    }

    /// The environment of a run whose calls in these folders count.
    static func environment(
        in folders: [String], _ fault: Fault? = nil, log: String? = nil, reads: String? = nil
    ) throws -> [String: String] {
        var environment = [
            "LD_PRELOAD": try shared.get().library, "CALLS_FOLDERS": folders.joined(separator: ":"),
        ]
        environment["CALLS_LOG"] = log
        environment["CALLS_READS"] = reads
        switch fault {
        case .kill(let number): environment["CALLS_KILL"] = "\(number)"
        case .tear(let number): environment["CALLS_TEAR"] = "\(number)"
        case .stop(let number): environment["CALLS_STOP"] = "\(number)"
        case .fail(let number, let errno, let forGood):
            environment["CALLS_FAIL"] = "\(number)\(forGood ? "+" : ""):\(errno)"
        case .hamper: environment["CALLS_HAMPER"] = "1"
        case nil: break
        }
        return environment
    }

    /// The calls of an undisturbed run that change something in a folder, in their order.
    static func calls(of arguments: [String], in folder: String) throws -> [Call] {
        let logs = try TemporaryFolder()
        let log = logs.file("calls")
        let ending = try Program.run(
            arguments, environment: try environment(in: [folder], log: log))
        guard ending.status == 0, !ending.wasKilled else { throw Unexpected(ending: ending) }
        return try calls(notedIn: log)
    }

    /// A run without a fault failed.
    struct Unexpected: Error {
        var ending: Program.Ending
    }

    /// The calls of a run, as the library noted them.
    static func calls(notedIn log: String) throws -> [Call] {
        let text = String(decoding: try Data(contentsOf: URL(filePath: log)), as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 4)
            guard fields.count == 5, let number = Int(fields[0]), let offset = Int64(fields[2]),
                let byteCount = UInt64(fields[3])
            else { return nil }
            return Call(
                number: number, name: String(fields[1]), offset: UInt64(offset),
                byteCount: byteCount, path: String(fields[4]))
        }
    }
}
