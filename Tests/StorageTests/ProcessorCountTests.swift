import Foundation
import TestSupport
import Testing

@testable import Storage

@Suite("How many processors there are")
struct ProcessorCountTests {
    @Test(
        "A quota is rounded up; what is none counts for nothing",
        arguments: [
            ("200000 100000\n", 2), ("150000 100000", 2), ("1 100000", 1), ("100001 100000", 2),
            ("max 100000\n", nil), ("0 100000", nil), ("100000 0", nil), ("100000", nil), ("", nil),
            ("9223372036854775807 1", Int.max), ("-1 100000", nil), ("1 2 3", nil),
        ] as [(String, Int?)])
    func quota(text: String, expected: Int?) {
        #expect(ProcessorCount.quota(text) == expected)
    }

    @Test("The smallest quota counts, of the group itself and of those around it")
    func groups() throws {
        let groups = try String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)
        guard let own = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else {
            print("this system has no cgroup v2: nothing is found, and nothing else is tested")
            #expect(ProcessorCount.quota(ofGroupsIn: "/sys/fs/cgroup") == nil)
            return
        }
        let folder = try TemporaryFolder()
        let path = folder.path + own.dropFirst(3)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(ProcessorCount.quota(ofGroupsIn: folder.path) == nil)
        try Data("500000 100000\n".utf8).write(to: URL(filePath: folder.file("cpu.max")))
        #expect(ProcessorCount.quota(ofGroupsIn: folder.path) == 5)
        try Data("300000 100000\n".utf8).write(to: URL(filePath: path + "/cpu.max"))
        #expect(ProcessorCount.quota(ofGroupsIn: folder.path) == 3)
    }

    @Test("As many as nproc counts, and no more than the quota")
    func affinity() throws {
        #expect(ProcessorCount.allowed >= 1)
        #expect(ProcessorCount.allowed <= ProcessInfo.processInfo.processorCount)
        let counts = try ExternalProgram.run("nproc", []).requireSuccess().output
        let expected = Int(counts.trimmingCharacters(in: .whitespacesAndNewlines))
        let quota = ProcessorCount.quota(ofGroupsIn: "/sys/fs/cgroup")
        #expect(ProcessorCount.allowed == min(expected ?? 0, quota ?? .max))
    }
}
