import Foundation
import Replication
import TestSupport
import Testing

@testable import VHDResyncCommand

/// `docs/vhdresync.1`, which `make install` installs.
@Suite struct ManualTests {
    private static let path = TestImage.folder + "/../docs/vhdresync.1"
    private let text: String

    init() throws {
        // mdoc needs a backslash in front of a hyphen that is no hyphenation.
        text = try String(contentsOfFile: Self.path, encoding: .utf8)
            .replacing("\\-", with: "-")
    }

    /// Text is kept in lines of at most 80 characters, and what mandoc warns about is an error.
    @Test func isAManual() throws {
        let outcome = try ExternalProgram.run("mandoc", ["-T", "lint", "-W", "warning", Self.path])
        #expect(outcome.isSuccess, "\(outcome.output)\(outcome.errorOutput)")
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 })
    }

    @Test func namesEveryOptionVerbAndReturnCode() {
        for option in Option.allCases {
            let names = option.letter.map { "\($0) , -\(option.name)" } ?? "-\(option.name)"
            let isNamed = text.contains("Fl \(names) ") || text.contains("Fl \(names)\n")
            #expect(isNamed, "\(option.name)")
        }
        for verb in [
            Verb.map, .diff, .apply, .recover, .info, .check, .agent, .service, .machine, .job,
        ] {
            let word = verb.usage.split(separator: " ")[1]
            #expect(text.contains("\n.Nm\n.Cm \(word)\n"), "\(word)")
            #expect(text.contains("\n.It Cm \(word)"), "\(word)")
        }
        for code in ReturnCode.allCases {
            #expect(
                text.contains("\n.It \(code.rawValue) Ta \(code.exitStatus) Ta \(code.name)\n"),
                "\(code)")
        }
    }
}
