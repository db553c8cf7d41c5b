// Makes a replica read as its primary, from Swift. The work is done in threads of the library; this
// program shows how far it is, and cancels it when somebody has pressed Ctrl-C.
//
//     swift run resync PRIMARY REPLICA

import Dispatch
import Foundation
import Replication

func printError(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}

func report(_ code: ReturnCode, _ text: String) {
    printError("resync: \(code.name) (\(code.rawValue)): \(text)")
}

/// Calls the body at Ctrl-C, which no longer ends the program.
func atInterrupt(_ body: @escaping @Sendable () -> Void) async -> any DispatchSourceSignal {
    let interrupts = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    interrupts.setEventHandler(handler: body)
    await withCheckedContinuation { continuation in
        interrupts.setRegistrationHandler { continuation.resume() }
        interrupts.resume()
    }
    return interrupts
}

/// Runs the job to its end, and prints its result for programs.
func run(_ job: BackgroundJob) async -> ReturnCode {
    let interrupts = await atInterrupt { job.cancel() }
    defer { interrupts.cancel() }
    job.start()
    for await progress in job.updates {
        let sample = progress.sample
        printError("\(sample.percentComplete) %, \(sample.counts.blocksDiffering) blocks differ")
    }
    let ending = await job.ending()
    if let text = ending.errorDescription { report(ending.code, text) }
    print(ending.result.json)
    return ending.code
}

guard CommandLine.arguments.count == 3 else {
    printError("usage: resync PRIMARY REPLICA")
    exit(2)
}
let (primary, replica) = (CommandLine.arguments[1], CommandLine.arguments[2])
do throws(CodedError) {
    let job = try BackgroundJob(.resynchronize(primary: primary, replica: replica))
    exit(await run(job).exitStatus)
} catch {
    // Nothing was begun.
    report(error.code, error.description)
    exit(error.code.exitStatus)
}
