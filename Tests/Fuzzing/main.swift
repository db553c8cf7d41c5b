internal import Glibc

guard let options = FuzzOptions(Array(CommandLine.arguments.dropFirst())) else {
    print(FuzzOptions.usage)
    exit(2)
}
var run = try FuzzRun(options)
Watch.start()
exit(try run.run() ? 0 : 1)
