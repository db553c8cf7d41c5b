import Foundation
import Replication
import Testing

@testable import VHDResyncCommand

@Suite struct ProgramTests {
    @Test func helpGoesToStandardOutput() throws {
        for option in ["--help", "-h"] {
            let ending = try Program.run([option])
            #expect(ending.status == 0)
            #expect(ending.output == Help.text)
            #expect(ending.error.isEmpty)
        }
    }

    @Test func saysItsVersion() throws {
        for option in ["--version", "-V"] {
            let ending = try Program.run([option])
            #expect(ending.status == 0)
            #expect(ending.output == "vhdresync 0.1.0\n")
            #expect(ending.error.isEmpty)
        }
    }

    @Test(
        "Wrong usage is one sentence and the documented status",
        arguments: [
            ([], .invalidParameter, "no disk is named"),
            (["a.vhdx"], .invalidParameter, "a second disk is missing"),
            (["--bogus", "a", "b"], .invalidParameter, "unknown option '--bogus'"),
            (["a", "b", "--block-size", "5000"], .invalidParameter, "power of two"),
            (["a", "b", "--jobs"], .invalidParameter, "'--jobs' needs an argument"),
            (["map", "a"], .invalidParameter, "'map' needs a file to write to"),
            (["a", "host:b"], .notSupported, "'host:b' names a disk on another machine"),
            (["apply", "d", "b"], .notSupported, "'apply' is not supported yet"),
        ] as [([String], ReturnCode, String)])
    func refuses(_ arguments: [String], code: ReturnCode, sentence: String) throws {
        let ending = try Program.run(arguments)
        #expect(ending.status == code.exitStatus)
        #expect(!ending.wasKilled)
        #expect(ending.output.isEmpty)
        #expect(ending.error.hasPrefix("vhdresync: "))
        #expect(ending.error.contains(sentence))
        #expect(ending.error.filter { $0 == "\n" }.count == 1)
    }

    @Test func wrongUsageHasAJSONResultToo() throws {
        let ending = try Program.run(["--json", "a", "b", "--jobs", "0"])
        #expect(ending.status == 6)
        let object = try JSONKeys.object(ending.output)
        #expect(Set(object.keys) == JSONKeys.result)
        #expect(object["returnValue"] as? Int == 32773)
        #expect((object["disks"] as? [Any])?.isEmpty == true)
        let job = try #require(object["job"] as? [String: Any])
        #expect(Set(job.keys) == JSONKeys.job)
        #expect(job["jobState"] as? Int == 10)
        #expect(ending.error == "vhdresync: \(job["errorDescription"] as? String ?? "")\n")
    }

    @Test func fullStandardOutputIsAnError() throws {
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        let ending = try Program.run(["--help"], output: full)
        #expect(ending.status == ReturnCode.failed.exitStatus)
        #expect(
            ending.error == "vhdresync: cannot write to standard output: No space left on device\n")
    }

    @Test func closedPipeIsNoError() throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let ending = try Program.run(["--help"], output: pipe.fileHandleForWriting)
        #expect(ending.status == 0)
        #expect(!ending.wasKilled)
        #expect(ending.error.isEmpty)
    }
}
