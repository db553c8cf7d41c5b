internal import Glibc
internal import Replication
internal import Storage

// Takes jobs on in a store, carries them out, and says of each step when it is there for good:
// `storewriter FOLDER JOBS`. For tests that stop it anywhere.

let arguments = CommandLine.arguments
guard arguments.count == 3, let jobCount = Int(arguments[2]) else {
    print("usage: storewriter FOLDER JOBS")
    exit(2)
}
do {
    let store = try StateStore(opening: arguments[1])
    var writer = StoreWriter(store: store, output: LineOutput(descriptor: 1))
    try writer.run(jobCount: jobCount)
} catch {
    print("error \(ReturnCode(error).rawValue) \(error)")
    exit(1)
}
