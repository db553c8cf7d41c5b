import Foundation
import Storage
import TestSupport
import Testing

/// The built program, and disks that it looks at where the kernel keeps them.
struct MappedProgramTests {
    private static let refusal = LoopMount.refusal(.ext4)
    /// Makes the question after each look at the file take long, so that a test can act in between.
    private static let launcher = [
        "strace", "-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=fstat,newfstatat", "-e",
        "inject=fstat,newfstatat:delay_enter=5000",
    ]

    @Test(
        "A disk that is cut while it is hashed ends the run with an error, and no signal",
        .enabled(if: refusal == nil, "\(refusal ?? "")"))
    func cut() throws {
        let volume = try LoopMount(.ext4)
        let pair = try DiskPair(dataByteCount: 48 << 20)
        let disk = volume.file("disk.vhdx")
        // A flush of the map would also write what is in memory of the disk, had they one file system.
        let map = pair.folder.file("map")
        var (mapped, failed) = (0, 0)
        for round in 0..<40 where mapped < 12 || failed < 6 {
            try ExternalProgram.run("cp", ["--sparse=always", pair.primary, disk]).requireSuccess()
            let running = try RunningProgram(
                ["map", disk, "-o", map, "--jobs", "2"], launcher: Self.launcher)
            while running.isRunning, try !running.hasMapped(disk) { usleep(100) }
            if running.isRunning { mapped += 1 }
            usleep(UInt32(round % 12) * 10_000)
            let file = try DiskFile(opening: disk, for: .writing)
            try file.setByteCount(try file.byteCount() / 3)
            let ending = try running.wait()
            #expect(!ending.wasKilled, "\(ending.error)")
            guard ending.status != 0 else { continue }
            failed += 1
            #expect(ending.status == 1 && ending.error.contains(disk), "\(ending.error)")
        }
        #expect(mapped >= 12 && failed >= 6)
    }

    @Test("The signal of which it makes an error still ends it when somebody else sends it")
    func sent() throws {
        let pair = try LongPair()
        // Swift's own handler is the one before where the environment asks for it.
        let running = try RunningProgram(
            ["map", pair.primary, "-o", pair.folder.file("map")],
            environment: ["SWIFT_BACKTRACE": "enable=no"])
        while running.isRunning, try !running.catches(SIGBUS) { usleep(1000) }
        running.send(SIGBUS)
        let ending = try running.wait()
        #expect(ending.wasKilled && ending.status == SIGBUS)
    }
}
