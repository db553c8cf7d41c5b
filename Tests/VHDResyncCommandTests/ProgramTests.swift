import Foundation
import Replication
import TestSupport
import Testing
import VHDX

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
            (["info", "host:b"], .notSupported, "'host:b' names a disk on another host"),
            (["h:a", "host:b"], .invalidParameter, "one disk must be on this one"),
            (["service"], .invalidParameter, "'--config' is missing"),
            (["vm"], .invalidParameter, "'vm' needs to be told what to do: list, show"),
            (["job", "show"], .invalidParameter, "no job is named: vhdresync job show ID"),
            (["agent", "--stdio", "d"], .invalidParameter, "one name too many, 'd'"),
            (["recover"], .invalidParameter, "no disk is named: vhdresync recover REPLICA"),
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

    @Test func missingDiskIsNotFound() throws {
        let folder = try TemporaryFolder()
        let image = folder.file("a.vhdx")
        try ImageCreation.create(ImageSpecification(virtualSize: 4 << 20), at: image)
        let missing = folder.file("missing.vhdx")
        for arguments in [
            [missing, image], [image, missing], ["info", missing], ["-n", image, missing],
        ] {
            let ending = try Program.run(arguments)
            #expect(ending.status == ReturnCode.fileNotFound.exitStatus, "\(arguments)")
            #expect(
                ending.error == "vhdresync: cannot open \(missing): No such file or directory\n")
            #expect(ending.output.isEmpty)
        }
    }

    @Test func oneFileUnderTwoNamesIsRefused() throws {
        let folder = try TemporaryFolder()
        let image = folder.file("a.vhdx")
        try ImageCreation.create(ImageSpecification(virtualSize: 4 << 20), at: image)
        try FileManager.default.linkItem(atPath: image, toPath: folder.file("b.vhdx"))
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("c.vhdx"), withDestinationPath: "a.vhdx")
        for name in ["a.vhdx", "./a.vhdx", "b.vhdx", "c.vhdx"] {
            let ending = try Program.run(["a.vhdx", name], directory: folder.path)
            #expect(ending.status == ReturnCode.invalidParameter.exitStatus, "\(name)")
            #expect(ending.error == "vhdresync: a.vhdx and \(name) are one file\n")
        }
    }

    @Test func infoDescribesAnImage() throws {
        let folder = try TemporaryFolder()
        let image = folder.file("a.vhdx")
        try ImageCreation.create(ImageSpecification(virtualSize: 4 << 20), at: image)
        let text = try Program.run(["info", image])
        #expect(text.status == 0)
        #expect(text.output.contains("virtual size:           4.0 MiB (4194304 bytes)\n"))
        let json = try Program.run(["info", "--json", image])
        #expect(try JSONKeys.keys(of: json.output) == JSONKeys.info)
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
