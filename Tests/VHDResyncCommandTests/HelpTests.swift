import Replication
import Testing

@testable import VHDResyncCommand

@Suite struct HelpTests {
    private let lines = Help.text.split(separator: "\n", omittingEmptySubsequences: false)

    @Test func fitsOnAScreen() {
        #expect(lines.count <= 68)
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(Help.text.hasSuffix("\n"))
    }

    @Test func namesEveryOptionVerbAndReturnCode() {
        for option in Option.allCases {
            #expect(Help.text.contains("--\(option.name)"))
            if let letter = option.letter { #expect(Help.text.contains(" -\(letter), ")) }
        }
        for verb in [
            Verb.resync, .map, .diff, .apply, .recover, .info, .check, .agent,
        ] {
            let usage = verb == .resync ? "PRIMARY REPLICA" : verb.usage
            #expect(Help.text.contains(usage), "\(usage)")
        }
        for code in ReturnCode.allCases {
            #expect(Help.text.contains("\(code.rawValue) "), "\(code)")
        }
    }
}
