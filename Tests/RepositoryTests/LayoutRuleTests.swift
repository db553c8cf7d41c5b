internal import Testing

/// What lies where, and what no file says.
enum LayoutRule {
    /// The names at the top of the repository.
    static let topLevel: Set = [
        ".ci", ".gitignore", ".swift-format", "Benchmarks", "LICENSE", "Makefile", "Package.swift",
        "README.md", "Sources", "TestImages", "Tests", "docs",
    ]

    /// Words of one workplace, that mean nothing to who clones the repository. Put together here,
    /// so that this file does not hold them.
    static let workplaceWords = [
        "/wor" + "k/", "../sha" + "red", "/tm" + "p/a/", "index-" + "url", "http_" + "proxy",
        "https_" + "proxy", "arti" + "factory", "registry" + ".",
    ]

    /// Which file may hold which of them, with the reason.
    static let exceptions = [
        // The place where images that may not be distributed lie if nobody names another.
        "Makefile": ["../sha" + "red"]
    ]

    /// The hosts that a URL may name.
    static let hosts: Set<Substring> = [
        "www.apache.org", "learn.microsoft.com", "www.openssl.org", "docs.openssl.org",
        "www.qemu.org", "www.swift.org", "swift.org", "github.com", "lz4.org", "json-schema.org",
        "sqlite.org",
        // The name of SVG, which no one asks there.
        "www.w3.org",
    ]

    static func topLevelFindings(in paths: [String]) -> [Finding] {
        Set(paths.map { String($0.prefix { $0 != "/" }) }).subtracting(topLevel).sorted()
            .map { Finding(path: $0, line: nil, message: "has no place at the top") }
    }

    static func textFindings(in file: RepositoryFile) -> [Finding] {
        let lowercased = file.text.lowercased()
        let words = workplaceWords.filter {
            !(exceptions[file.path] ?? []).contains($0) && lowercased.contains($0)
        }
        guard !words.isEmpty || lowercased.contains("http") else { return [] }
        let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.enumerated().flatMap { index, line in
            let found = words.filter { line.lowercased().contains($0) }.map { "holds \($0)" }
            let strange = line.matches(of: #/https?:\/\/([A-Za-z0-9.\-]+)/#).map(\.output.1)
                .filter { !hosts.contains($0) }.map { "names the host \($0)" }
            return (found + strange).map { message in
                Finding(path: file.path, line: index + 1, message: message)
            }
        }
    }
}

struct LayoutRuleTests {
    @Test("Only known names stand at the top")
    func theTop() {
        let findings = LayoutRule.topLevelFindings(in: Checkout.paths)
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test("No file speaks of the place where it was written")
    func everyFile() {
        let findings = Checkout.textFiles.flatMap(LayoutRule.textFindings(in:))
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test("A strange name at the top is found")
    func findsAStrangeName() {
        let paths = ["Sources/VHDX/X.swift", "notes.txt", "scripts/run", "scripts/stop"]
        #expect(LayoutRule.topLevelFindings(in: paths).map(\.path) == ["notes.txt", "scripts"])
    }

    @Test("A word of the workplace is found", arguments: LayoutRule.workplaceWords)
    func findsAWord(_ word: String) {
        let file = RepositoryFile(path: "docs/X.md", text: "\nsee \(word)images\n")
        #expect(LayoutRule.textFindings(in: file).map(\.line) == [2])
    }

    @Test("A host that nobody allowed is found")
    func findsAHost() {
        let url = "https:" + "//packages.example.com/simple"
        let file = RepositoryFile(path: "Makefile", text: "x = \(url)\n")
        let findings = LayoutRule.textFindings(in: file)
        #expect(findings.map(\.message) == ["names the host packages.example.com"])
    }

    @Test("An exception holds for its file and its word only")
    func exceptions() {
        for (path, words) in LayoutRule.exceptions {
            for word in LayoutRule.workplaceWords {
                let file = RepositoryFile(path: path, text: word)
                #expect(LayoutRule.textFindings(in: file).isEmpty == words.contains(word))
            }
        }
    }
}
