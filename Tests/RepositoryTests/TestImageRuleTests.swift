internal import Foundation
internal import TestSupport
internal import Testing

/// Every image has a known origin, and every fact about it stands where people and tests look.
struct TestImageRule {
    /// The paths below `TestImages`.
    var files: [String]
    var readme: String
    var catalogue: [TestImage]

    /// The packed images are part of every clone, so they stay small.
    static let largestTotal = 1 << 20
    /// The folder's files that are no images.
    static let otherFiles: Set = ["README.md", "images.json"]
    static let prefixOfScripts = "make"

    func findings() -> [Finding] {
        strayFiles() + catalogue.flatMap(findings(about:))
    }

    private func strayFiles() -> [Finding] {
        let expected = Set(catalogue.filter(\.committed).map { "images/\($0.file).xz" })
        return files.filter { path in
            !expected.contains(path) && !Self.otherFiles.contains(path)
                && !path.hasPrefix(Self.prefixOfScripts)
        }.map { Finding(path: $0, line: nil, message: "is not in images.json") }
    }

    private func findings(about image: TestImage) -> [Finding] {
        var messages: [String] = []
        let isThere = files.contains("images/\(image.file).xz")
        if image.committed, !isThere { messages.append("is in images.json and not in images") }
        if image.committed, image.licence != "Apache-2.0" {
            messages.append("is committed under the licence \(image.licence)")
        }
        if image.differencing != (image.kind == .differencing)
            || image.differencing != (image.parent != nil)
        {
            messages.append("is and is not a differencing image")
        }
        if !readme.contains(image.file) { messages.append("is not in README.md") }
        let digests = image.contentSHA256.map { [$0] } ?? image.dataRanges?.map(\.sha256) ?? []
        if digests.isEmpty { messages.append("has no digest") }
        messages += digests.filter { $0.count != 64 || !readme.contains("`\($0)`") }
            .map { "has a digest that is not in README.md: \($0)" }
        return messages.map { Finding(path: image.file, line: nil, message: $0) }
    }
}

extension TestImageRule {
    /// The rule over the files of this checkout.
    static func forCheckout() throws -> TestImageRule {
        let prefix = "TestImages/"
        return TestImageRule(
            files: Checkout.paths.filter { $0.hasPrefix(prefix) }
                .map { String($0.dropFirst(prefix.count)) },
            readme: try Checkout.text(of: "TestImages/README.md"),
            catalogue: TestImage.all
        )
    }
}

struct TestImageRuleTests {
    @Test("Every image is listed with its facts")
    func everyImage() throws {
        let rule = try TestImageRule.forCheckout()
        #expect(rule.files.count { $0.hasSuffix(".xz") } >= 20)
        #expect(rule.findings() == [])
    }

    @Test("The packed images together are small")
    func totalSize() throws {
        let sizes = try TestImage.committed.map { image in
            let path = "\(TestImage.folder)/images/\(image.file).xz"
            return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        }
        #expect(sizes.reduce(0, +) < TestImageRule.largestTotal)
    }

    @Test("A file that images.json lacks is found")
    func findsAStrayFile() throws {
        var rule = try TestImageRule.forCheckout()
        rule.files.append("images/found-somewhere.vhdx.xz")
        #expect(rule.findings().map(\.path) == ["images/found-somewhere.vhdx.xz"])
    }

    @Test("A missing file is found")
    func findsAMissingFile() throws {
        var rule = try TestImageRule.forCheckout()
        rule.files.removeAll { $0 == "images/dirty-log.vhdx.xz" }
        #expect(rule.findings().map(\.path) == ["dirty-log.vhdx"])
    }

    @Test("An image or a digest that README.md lacks is found")
    func findsAGapInTheReadme() throws {
        var rule = try TestImageRule.forCheckout()
        rule.readme = rule.readme.replacing("dynamic-8M.vhdx", with: "")
        #expect(rule.findings().map(\.message) == ["is not in README.md"])

        rule = try TestImageRule.forCheckout()
        let digest = try #require(TestImage.named("dynamic-8M.vhdx").contentSHA256)
        rule.readme = rule.readme.replacing(digest, with: "")
        #expect(rule.findings().map(\.path) == ["dynamic-8M.vhdx"])
    }

    @Test("A committed image under another licence, or without a digest, is found")
    func findsALicence() throws {
        var rule = try TestImageRule.forCheckout()
        rule.catalogue[0].licence = "GPL-2.0"
        rule.catalogue[1].contentSHA256 = nil
        #expect(rule.findings().map(\.message).count == 2)
    }

    @Test(
        "A packed image holds the content that images.json promises, as QEMU reads it",
        arguments: TestImage.committed.filter {
            $0.readableByQEMU && !$0.dirtyLog && $0.virtualSize <= 1 << 28
        })
    func content(of image: TestImage) throws {
        let folder = try TemporaryFolder()
        let path = try image.unpack(in: folder)
        let digest = try #require(image.contentSHA256)
        #expect(try QEMU.contentSHA256(of: path) == digest)
    }
}
