import Foundation
import Replication
import TestSupport
import Testing
@testable import VHDX

@testable import VHDResyncCommand

/// What `check` prints.
@Suite struct CheckTests {
    private func check(
        _ change: (inout ImageBuilder) -> Void = { _ in }, damage: (MemoryFile) -> Void = { _ in }
    ) throws -> ImageCheck {
        var builder = ImageBuilder(virtualSize: 64 << 20)
        change(&builder)
        let file = builder.build(name: "/a.vhdx")
        damage(file)
        return try ImageCheck(file)
    }

    private func lines(_ check: ImageCheck) -> [String] {
        CheckText.text([check]).split(separator: "\n").map(String.init)
    }

    @Test func theWorstStandsFirstAndAVerdictLast() throws {
        let check = try check(
            {
                $0.regions[0].required = 0
                $0.rawBATEntries = [0: 4, 3: 1]
            }, damage: { $0.damage(at: 65536) })
        #expect(
            lines(check) == [
                "error: bat-state (2.5.1.1): block allocation table at byte 3145728, 0x4: payload "
                    + "block 0: the state is one that it cannot have, so that its content is not "
                    + "known",
                "warning: header-signature (2.2.2): header at byte 65536: first copy, for which "
                    + "the other one stands in: this copy was overwritten",
                "notice: region-not-required (2.2.3.2): region table at byte 196624: a region "
                    + "that every image must have is not marked as required, as QEMU leaves it",
                "/a.vhdx: 1 error, 1 warning, 1 notice: no software may use it as it is",
            ])
    }

    @Test func aHalfWrittenImageIsOneError() throws {
        #expect(
            lines(try check { $0.addMark() }) == [
                "error: unfinished-apply (2.6.1.2): apply mark: the image is half-written: an apply "
                    + "from /a.vhdx.resync was interrupted",
                "/a.vhdx: 1 error: no software may use it as it is",
            ])
    }

    @Test func aNameInAnImageDoesNotReachTheTerminalAsItIs() {
        let finding = Finding(
            severity: .error, rule: .parentOutside, structure: .parentLocator,
            message: "no \u{1B}[2J\nerror: x")
        let line = CheckText.line(finding)
        #expect(!line.contains("\u{1B}") && line.filter { $0 == "\n" }.count == 1)
    }

    @Test func countsWhatItDoesNotList() throws {
        let lines = try lines(
            check { for index in 0..<64 as Range<UInt64> { $0.rawBATEntries[index] = 4 } })
        #expect(lines.count == 17)
        #expect(lines[15].hasSuffix("; and 48 more"))
        #expect(lines[16] == "/a.vhdx: 64 errors: no software may use it as it is")
    }

    @Test func verdicts() throws {
        #expect(try lines(check()) == ["/a.vhdx: nothing to report"])
        let warning = try lines(check(damage: { $0.damage(at: 65536) })).last
        #expect(
            warning
                == "/a.vhdx: 1 warning: it can be used, and what is damaged or unfinished is "
                + "covered")
        let notice = try lines(check { $0.fileSize = 5 << 20 }).last
        #expect(notice == "/a.vhdx: 1 notice: it is as the format has it")
        let missing = try lines(check { $0.regions.removeFirst() })
        #expect(
            missing.dropFirst().first
                == "not checked for that: metadata table, block allocation table")
    }

    @Test func objectHasExactlyTheDocumentedKeys() throws {
        for check in [
            try check(), try check { $0.rawBATEntries = [0: 4] },
            try check { $0.metadataItems.removeLast() },
        ] {
            let text = JSONText.object(CheckObject([check], ReturnCode([check])))
            let object = try JSONKeys.object(text)
            #expect(Set(object.keys) == JSONKeys.checkResult)
            let image = try #require(object["check"] as? [String: Any])
            #expect(Set(image.keys) == JSONKeys.check)
            #expect(image["path"] as? String == "/a.vhdx")
            let counts = try #require(image["counts"] as? [String: Any])
            #expect(Set(counts.keys) == JSONKeys.counts)
            #expect(counts["error"] as? Int == check.findings.count)
            let findings = try #require(image["findings"] as? [[String: Any]])
            #expect(findings.allSatisfy { Set($0.keys) == JSONKeys.finding })
            #expect(findings.count == check.findings.count)
        }
        let check = try check { $0.rawBATEntries = [0: 4] }
        let object = try JSONKeys.object(JSONText.object(CheckObject([check], .failed)))
        #expect(object["returnValue"] as? Int == 32768)
        let image = try #require(object["check"] as? [String: Any])
        #expect(image["worst"] as? String == "error")
        let finding = try #require((image["findings"] as? [[String: Any]])?.first)
        #expect(finding["severity"] as? String == "error")
        #expect(finding["rule"] as? String == "bat-state")
        #expect(finding["section"] as? String == "2.5.1.1")
        #expect(finding["structure"] as? String == "block allocation table")
        #expect(finding["offset"] as? Int == 3 << 20)
        #expect(finding["value"] as? Int == 4)
        #expect(finding["more"] as? Int == 0)
    }

    // MARK: The built program

    private struct Case {
        var name: String
        var code: ReturnCode
        var lastLine: String
        var image: ImageBuilder?
        var damage: (MemoryFile) -> Void = { _ in }
    }

    private func write(_ file: MemoryFile, to path: String) throws {
        let count = Int(try file.byteCount())
        try Data(file.peek(at: 0, count: count)).write(to: URL(filePath: path))
    }

    @Test func theExitStatusIsThatOfTheWorst() throws {
        let folder = try TemporaryFolder()
        let clean = ImageBuilder(virtualSize: 8 << 20)
        var unknown = clean
        unknown.metadataItems.append(
            .init(identifier: ImageBuilder.incompleteFile, offset: 0, flags: 4, content: []))
        var both = unknown
        both.rawBATEntries = [0: 4]
        var marked = clean
        marked.addMark()
        var odd = clean
        odd.regions[0].required = 0
        let cases: [Case] = [
            Case(name: "clean", code: .completed, lastLine: "nothing to report", image: clean),
            Case(name: "odd", code: .completed, lastLine: "1 notice: ", image: odd),
            Case(
                name: "covered", code: .completed, lastLine: "1 warning: ", image: clean,
                damage: { $0.damage(at: 65536) }),
            Case(name: "unknown", code: .notSupported, lastLine: "1 error: ", image: unknown),
            Case(name: "marked", code: .invalidState, lastLine: "1 error: ", image: marked),
            Case(name: "both", code: .failed, lastLine: "2 errors: ", image: both),
            Case(
                name: "start", code: .incorrectDataType, lastLine: "1 error: ", image: clean,
                damage: { $0.damage(at: 0) }),
            Case(name: "text", code: .incorrectDataType, lastLine: "1 error: "),
        ]
        for item in cases {
            let path = folder.file(item.name)
            let file = item.image?.build() ?? MemoryFile()
            if item.image == nil { file.put(Array("not a disk".utf8), at: 0) }
            item.damage(file)
            try write(file, to: path)
            let before = try DiskPair.bytes(of: path)
            let ending = try Program.run(["check", path])
            #expect(ending.status == item.code.exitStatus, "\(item.name): \(ending.output)")
            #expect(ending.error.isEmpty, "\(item.name)")
            let last = ending.output.split(separator: "\n").last ?? ""
            #expect(last.hasPrefix("\(path): \(item.lastLine)"), "\(last)")
            let json = try Program.run(["--json", "check", path])
            #expect(json.status == item.code.exitStatus)
            let object = try JSONKeys.object(json.output)
            #expect(object["returnValue"] as? UInt32 == item.code.rawValue, "\(item.name)")
            #expect(try DiskPair.bytes(of: path) == before)
        }
    }

    @Test func followsTheChain() throws {
        let folder = try TemporaryFolder()
        let child = try TestImage.unpack("fat-differential.vhdx", in: folder)
        let parent = folder.file("fat-parent.vhdx")
        let both = try Program.run(["check", "--chain", child])
        #expect(both.status == 0)
        #expect(both.output == "\(child): nothing to report\n\n\(parent): nothing to report\n")
        let json = try JSONKeys.object(
            try Program.run(["check", "--chain", "--json", child]).output)
        let parents = try #require(json["parents"] as? [[String: Any]])
        #expect(parents.map { Set($0.keys) } == [JSONKeys.check])
        #expect(parents.first?["path"] as? String == parent)
        let info = try Program.run(["info", child])
        #expect(
            info.output.contains("parent:                 \(parent), data write GUID f88d4d92-"))

        try FileManager.default.createDirectory(
            atPath: folder.file("elsewhere"), withIntermediateDirectories: false)
        let elsewhere = folder.file("elsewhere/fat-parent.vhdx")
        try FileManager.default.moveItem(atPath: parent, toPath: elsewhere)
        #expect(try Program.run(["check", child]).status == 0)
        let missing = try Program.run(["check", "--chain", child])
        #expect(missing.status == ReturnCode.fileNotFound.exitStatus)
        #expect(missing.output.hasPrefix("error: parent-not-found (2.6.2.6.3): parent locator: "))
        let withoutParent = try Program.run(["info", child])
        #expect(withoutParent.status == 0)
        #expect(
            withoutParent.output.contains("parent:                 missing: cannot find the parent")
        )
        let named = try Program.run(
            ["check", "--chain", "--parent-path", folder.file("elsewhere"), child])
        #expect(named.status == 0)
        #expect(named.output.hasSuffix("\(elsewhere): nothing to report\n"))
        let alone = try Program.run(["check", "--parent-path", folder.path, child])
        #expect(alone.status == ReturnCode.invalidParameter.exitStatus)

        try Data(repeating: 0xFF, count: 64).write(to: URL(filePath: elsewhere))
        let damaged = try Program.run(
            ["check", "--chain", "--parent-path", folder.file("elsewhere"), child])
        #expect(damaged.status == ReturnCode.failed.exitStatus)
        #expect(damaged.output.contains("error: parent-damaged (2.6.2.6.3)"))
    }

    @Test func aFileThatCannotBeReadIsAnErrorAsForEveryVerb() throws {
        let folder = try TemporaryFolder()
        let missing = folder.file("missing.vhdx")
        let ending = try Program.run(["check", missing, "--json"])
        #expect(ending.status == ReturnCode.fileNotFound.exitStatus)
        #expect(ending.error == "vhdresync: cannot open \(missing): No such file or directory\n")
        #expect(try JSONKeys.keys(of: ending.output) == JSONKeys.result)
        let directory = try Program.run(["check", folder.path])
        #expect(directory.status == ReturnCode.incorrectDataType.exitStatus)
    }
}
