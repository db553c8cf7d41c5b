internal import Foundation
internal import Storage
internal import TestSupport
internal import Testing

/// A store on a file system whose power is cut: what was said to be there is there afterwards.
@Suite("The store, and a power cut", .serialized)
struct PowerCutStoreTests {
    private static let ext4 = LoopMount.refusal(.ext4)
    private static let xfs = LoopMount.refusal(.xfs)

    @Test("On ext4, at any time", .enabled(if: ext4 == nil, "\(ext4 ?? "")"))
    func onExt4() throws {
        try cut(.ext4, seed: 91)
    }

    @Test("On XFS, at any time", .enabled(if: xfs == nil, "\(xfs ?? "")"))
    func onXFS() throws {
        try cut(.xfs, seed: 92)
    }

    private func cut(_ fileSystem: LoopMount.FileSystem, seed: UInt64) throws {
        var mount = try LoopMount(fileSystem)
        let power = try PowerSwitch(for: mount.path)
        var random = SeededGenerator(seed: seed)
        var (cuts, jobs) = (0, 0)
        for index in 0..<30 {
            let state = mount.file("state\(index)")
            let lines = Int.random(in: 0..<16, using: &random)
            let delay = UInt32.random(in: 0..<3000, using: &random)
            let label =
                "\(fileSystem), seed \(seed), cut \(index), \(delay) µs after \(lines) lines"
            let run = try StoreRun(state, jobCount: 1000)
            run.wait(forLines: lines)
            usleep(delay)
            // What it says while the file system stops is not to be believed.
            let report = run.reportSoFar
            try power.cut()
            run.kill()
            let latest = run.report()
            try mount.remount()
            let remains = StoreRemains(folder: state)
            jobs += try remains.expect(report, latest: latest, label).jobs
            cuts += 1
        }
        print("a store on \(fileSystem): \(cuts) power cuts, \(jobs) jobs found")
        #expect(jobs > 50)
    }
}
