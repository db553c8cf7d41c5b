import CVHDResync
import Foundation
import Replication
import Resync
import TestSupport
import Testing

@testable import VHDResyncABI

/// What `vhdresync.h` says, against the library and against other compilers.
@Suite struct HeaderTests {
    private static let folder = TestImage.folder + "/../Sources/VHDResyncABI/include"
    private let text: String

    init() throws {
        text = try String(contentsOfFile: Self.folder + "/vhdresync.h", encoding: .utf8)
    }

    /// The numbers of the header whose names start like this, by the rest of the name.
    private func constants(_ prefix: String) -> [String: UInt64] {
        var constants: [String: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 3, words[0] == "#define", words[1].hasPrefix(prefix),
                let digits = words[2].wholeMatch(of: #/(0x[0-9A-F]+|[0-9]+)u(?:ll)?/#)?.1
            else { continue }
            let number =
                digits.hasPrefix("0x")
                ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
            constants[String(words[1].dropFirst(prefix.count))] = number
        }
        return constants
    }

    /// `systemInUse` as `SYSTEM_IN_USE`.
    private func cName(_ name: String) -> String {
        name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1)" : $1.uppercased() }
    }

    @Test func returnCodesAreThoseOfTheLibrary() {
        let codes = constants("VHDRESYNC_").filter {
            ReturnCode(rawValue: UInt32(truncatingIfNeeded: $0.value)) != nil
                && ($0.value >= 4096 || $0.key == "COMPLETED")
        }
        let expected = Dictionary(
            uniqueKeysWithValues: ReturnCode.allCases.map { (cName("\($0)"), UInt64($0.rawValue)) })
        #expect(codes == expected)
        for code in ReturnCode.allCases {
            #expect(Interface.codeName(code.rawValue) == code.name)
        }
        for code in [1, 4095, 32767, 32780, .max] as [UInt32] {
            #expect(Interface.codeName(code) == "Unknown code")
        }
    }

    @Test func phasesAndStatesAreThoseOfTheLibrary() {
        let phases = Dictionary(
            uniqueKeysWithValues: ResyncPhase.allCases.map {
                (cName("\($0)"), UInt64($0.rawValue))
            })
        #expect(constants("VHDRESYNC_PHASE_") == phases)
        let states = constants("VHDRESYNC_STATE_")
        #expect(states.count == 8)
        for state in JobState.allCases {
            if let number = states[cName("\(state)")] { #expect(number == UInt64(state.rawValue)) }
        }
    }

    @Test func versionIsThatOfTheLibrary() {
        #expect(text.contains("#define VHDRESYNC_VERSION \"\(ProductVersion.text)\"\n"))
        #expect(Interface.version == ProductVersion.text)
    }

    @Test func structuresHaveTheirFirstSizeAndNoGaps() {
        // It has grown.
        #expect(vhdresync_options.firstByteCount == 136)
        #expect(MemoryLayout<vhdresync_options>.size == 144)
        #expect(vhdresync_progress.firstByteCount == MemoryLayout<vhdresync_progress>.size)
        #expect(
            vhdresync_image_description.firstByteCount
                == MemoryLayout<vhdresync_image_description>.size)
        #expect(vhdresync_findings.firstByteCount == MemoryLayout<vhdresync_findings>.size)
    }

    @Test func fitsIntoOneHundredColumns() {
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }

    @Test(arguments: ["cc c c99", "cc c c11", "c++ c++ c++17", "c++ c++ c++11"])
    func otherCompilersTakeIt(_ words: String) throws {
        let words = words.split(separator: " ").map(String.init)
        let folder = try TemporaryFolder()
        let source = folder.file("twice.c")
        try "#include <vhdresync.h>\n#include <vhdresync.h>\nint unused_in_a_file = 1;\n"
            .write(toFile: source, atomically: true, encoding: .utf8)
        try ExternalProgram.run(
            words[0],
            [
                "-x", words[1], "-std=\(words[2])", "-Wall", "-Wextra", "-Wpadded", "-pedantic",
                "-Werror", "-I", Self.folder, "-fsyntax-only", source,
            ]
        ).requireSuccess()
    }
}
