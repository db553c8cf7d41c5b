internal import Testing

/// The rules of style that neither the compiler nor the formatter checks.
enum StyleRule {
    static let longestFile = 600

    /// Where memory may be touched without the compiler's checks: folders and files of `Sources`.
    static let unsafePlaces = [
        "Storage/",
        "BlockIO/ZeroScan.swift",
        "Replication/Store/SQLiteConnection.swift",
        "Replication/Store/SQLiteStatement.swift",
        "Resync/Compression.swift",
        "Resync/SHA256.swift", "Resync/HashProvider.swift",
        "Transport/InProcessConnection.swift",
        "Transport/PeerIdentity.swift",
        "Transport/ProgramConnection.swift",
        "Transport/ServiceManager.swift",
        "Transport/SocketAddress.swift",
        "Transport/StandardStreams.swift",
        "Transport/StreamDescriptors.swift",
        "Transport/TCPSocket.swift",
        "Transport/TLSContext.swift",
        "Transport/TLSFailure.swift",
        "Transport/TLSSession.swift",
        "Transport/UnixSocket.swift",
        "VHDResyncABI/",
        "VHDResyncCommand/CommandLineArguments.swift",
        "VHDResyncCommand/Signals.swift",
        "VHDResyncCommand/Terminal.swift",
    ]

    /// What each file breaks of all the rules.
    static func findings(in file: RepositoryFile) -> [Finding] {
        length(of: file) + unsafeCode(in: file) + forcedTries(in: file)
    }

    /// Code of any language has 600 lines at most.
    static func length(of file: RepositoryFile) -> [Finding] {
        let isCode = ["Sources/", "Tests/", "Benchmarks/", "TestImages/make", "Package.swift"]
            .contains { file.path.hasPrefix($0) }
        let lineCount = file.text.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        guard isCode, lineCount > longestFile else { return [] }
        let message = "\(lineCount) lines, more than \(longestFile)"
        return [Finding(path: file.path, line: nil, message: message)]
    }

    /// `unsafe` stands only in the files named for it.
    static func unsafeCode(in file: RepositoryFile) -> [Finding] {
        let isPlaceForIt = unsafePlaces.contains { file.path.hasPrefix("Sources/" + $0) }
        guard file.module != nil, file.isSwift, !isPlaceForIt, file.text.contains("unsafe")
        else { return [] }
        return occurrences(of: #/\bunsafe\b/#, in: file, message: "unsafe code outside its places")
    }

    /// No error is turned into a trap.
    static func forcedTries(in file: RepositoryFile) -> [Finding] {
        guard file.isSwift, file.text.contains("try!") else { return [] }
        return occurrences(of: #/\btry!/#, in: file, message: "try!")
    }

    private static func occurrences(
        of pattern: some RegexComponent, in file: RepositoryFile, message: String
    ) -> [Finding] {
        SwiftCode.lines(of: file.text).enumerated()
            .filter { $0.element.contains(pattern) }
            .map { Finding(path: file.path, line: $0.offset + 1, message: message) }
    }
}

struct StyleRuleTests {
    @Test("Every file keeps the rules of style")
    func everyFile() {
        #expect(!Checkout.swiftFiles.isEmpty)
        let findings = Checkout.textFiles.flatMap(StyleRule.findings(in:))
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test("Every place for unsafe code exists", arguments: StyleRule.unsafePlaces)
    func everyUnsafePlace(_ place: String) {
        #expect(Checkout.paths.contains { $0.hasPrefix("Sources/" + place) })
    }

    @Test("A file of 601 lines is found, one of 600 is not")
    func findsALongFile() {
        let lines = String(repeating: "let a = 1\n", count: 600)
        let path = "Sources/VHDX/X.swift"
        #expect(StyleRule.findings(in: RepositoryFile(path: path, text: lines)).isEmpty)
        let findings = StyleRule.findings(in: RepositoryFile(path: path, text: lines + "\n"))
        #expect(findings.map(\.message) == ["601 lines, more than 600"])
    }

    @Test(
        "Unsafe code outside its places is found",
        arguments: [
            "Sources/VHDX/X.swift", "Sources/Resync/SHA256Tests.swift",
            "Sources/BlockIO/Storage/X.swift",
        ])
    func findsUnsafeCode(_ path: String) {
        let text = "func f() {\n    let a = \"\"\"\n        \\(unsafe g())\n        \"\"\"\n}\n"
        let findings = StyleRule.findings(in: RepositoryFile(path: path, text: text))
        #expect(findings.map(\.line) == [3])
    }

    @Test(
        "The word in comments, texts and longer names is no unsafe code",
        arguments: [
            "// unsafe", "/* unsafe /* */ unsafe */", "let a = \"unsafe \\\" unsafe\"",
            "let a = #\"\\(unsafe)\"#", "let unsafeName = 1",
        ])
    func acceptsTheWord(_ text: String) {
        let file = RepositoryFile(path: "Sources/VHDX/X.swift", text: text)
        #expect(StyleRule.findings(in: file).isEmpty)
    }

    @Test("Unsafe code in its places is accepted", arguments: StyleRule.unsafePlaces)
    func acceptsUnsafeCode(_ place: String) {
        let path = "Sources/" + place + (place.hasSuffix("/") ? "X.swift" : "")
        let file = RepositoryFile(path: path, text: "unsafe f()")
        #expect(StyleRule.findings(in: file).isEmpty)
    }

    @Test("A forced try is found", arguments: ["Sources/Storage/X.swift", "Tests/X/Y.swift"])
    func findsAForcedTry(_ path: String) {
        let file = RepositoryFile(path: path, text: "let a = try? f()\nlet b = try! f()\n")
        #expect(StyleRule.findings(in: file).map(\.line) == [2])
    }
}
