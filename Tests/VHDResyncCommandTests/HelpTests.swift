import Replication
import Testing

@testable import VHDResyncCommand

@Suite struct HelpTests {
    private let all = Help.text + Help.service

    @Test(arguments: [Help.text, Help.service])
    func fitsOnAScreen(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 68)
        #expect(lines.allSatisfy { $0.count <= 80 })
        #expect(text.hasSuffix("\n"))
    }

    @Test func namesEveryOptionVerbAndReturnCode() {
        for option in Option.allCases {
            #expect(all.contains("--\(option.name)"))
            if let letter = option.letter { #expect(all.contains(" -\(letter), ")) }
        }
        for verb in [
            Verb.resync, .map, .diff, .apply, .recover, .info, .check, .agent,
        ] {
            let usage = verb == .resync ? "PRIMARY REPLICA" : verb.usage
            #expect(Help.text.contains(usage), "\(usage)")
        }
        for verb in [Verb.service, .machine, .job] {
            let words = Help.text.split { " |".contains($0) }
            #expect(words.contains(verb.usage.split(separator: " ")[1]))
            #expect(Help.text(for: verb) == Help.service)
            for command in verb.commands {
                let word = verb.usage.split(separator: " ")[1]
                #expect(Help.service.contains("vhdresync \(word) \(command.rawValue) "))
            }
            for option in Option.allCases where option.applies(to: verb) && option != .version {
                #expect(Help.service.contains("--\(option.name)"), "\(option.name)")
            }
        }
        #expect(Help.text(for: .agent) == Help.text && Help.text(for: nil) == Help.text)
        for code in ReturnCode.allCases {
            #expect(Help.text.contains("\(code.rawValue) "), "\(code)")
        }
    }
}
