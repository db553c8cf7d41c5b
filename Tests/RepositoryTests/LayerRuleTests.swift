internal import Testing

/// Which modules a module may import.
struct LayerRule {
    /// The project's modules, bottom-up.
    var modules: [String]

    /// Modules of the system that every layer may import.
    static let systemModules: Set = ["Glibc", "Dispatch", "Synchronization"]
    /// Foundation costs size and brings its own errors, so the layers of the format do without.
    static let foundationModules: Set = ["Foundation", "FoundationEssentials"]
    static let modulesWithFoundation: Set = ["Replication", "VHDResyncCommand"]

    /// Targets that are no modules of the product.
    static let testTargets: Set = ["TestSupport", "fuzz", "storewriter", "machinerunner"]

    /// Reads the order from the manifest: every target but those for tests.
    init(manifest: String) {
        let pattern = #/\.(?:target|systemLibrary|executableTarget)\(\s*name: "(\w+)"/#
        modules = manifest.matches(of: pattern).map { String($0.1) }
            .filter { !Self.testTargets.contains($0) }
    }

    func findings(in file: RepositoryFile) -> [Finding] {
        guard let module = file.module, file.isSwift else { return [] }
        guard let layer = modules.firstIndex(of: module) else {
            return [Finding(path: file.path, line: nil, message: "no target named \(module)")]
        }
        var allowed = Set(modules[..<layer]).union(Self.systemModules)
        if Self.modulesWithFoundation.contains(module) { allowed.formUnion(Self.foundationModules) }
        return Self.imports(in: file.text).filter { !allowed.contains($0.module) }.map {
            Finding(
                path: file.path, line: $0.line, message: "\(module) may not import \($0.module)")
        }
    }

    /// The imported modules, each with its line.
    static func imports(in source: String) -> [(line: Int, module: String)] {
        let pattern =
            #/
            ^\s*(?:@\w+(?:\([^)]*\))?\s+)*
            (?:(?:public|package|internal|fileprivate|private)\s+)?
            import\s+(?:(?:struct|class|enum|protocol|typealias|func|var|let)\s+)?(\w+)
            /#
        return SwiftCode.lines(of: source).enumerated().flatMap { index, line in
            line.split(separator: ";").compactMap { statement in
                (try? pattern.firstMatch(in: statement)).flatMap { $0 }
                    .map { (line: index + 1, module: String($0.1)) }
            }
        }
    }
}

struct LayerRuleTests {
    static let order = [
        "CSystem", "CSHA256", "COpenSSL", "CLZ4", "CSQLite", "Storage", "Transport", "VHDX",
        "BlockIO", "Resync", "Replication", "CVHDResync", "VHDResyncABI",
        "VHDResyncSharedLibrary", "VHDResyncCommand", "vhdresync",
    ]

    @Test("Package.swift lists the modules bottom-up")
    func readsTheOrder() throws {
        let rule = LayerRule(manifest: try Checkout.text(of: "Package.swift"))
        #expect(rule.modules == Self.order)
    }

    @Test("A module imports only modules that stand before it")
    func everySourceFile() throws {
        let rule = LayerRule(manifest: try Checkout.text(of: "Package.swift"))
        let files = Checkout.swiftFiles.filter { $0.module != nil }
        #expect(!files.isEmpty)
        let findings = files.flatMap(rule.findings(in:))
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test(
        "A wrong import is found",
        arguments: [
            ("Storage", "internal import VHDX", "VHDX"),
            ("Storage", "import Foundation", "Foundation"),
            ("Resync", "internal import FoundationEssentials", "FoundationEssentials"),
            ("VHDX", "@preconcurrency public import Resync", "Resync"),
            ("VHDX", "@_spi(Log) import BlockIO", "BlockIO"),
            ("BlockIO", "import struct Resync.BlockDigest", "Resync"),
            ("BlockIO", "import Storage; import Resync", "Resync"),
            ("Resync", "import Resync", "Resync"),
        ])
    func findsAWrongImport(_ module: String, _ line: String, _ imported: String) {
        let rule = LayerRule(modules: Self.order)
        let file = RepositoryFile(path: "Sources/\(module)/X.swift", text: "\n" + line)
        let message = "\(module) may not import \(imported)"
        #expect(rule.findings(in: file) == [Finding(path: file.path, line: 2, message: message)])
    }

    @Test("A module that the manifest lacks is found")
    func findsAnUnknownModule() {
        let file = RepositoryFile(path: "Sources/Helpers/X.swift", text: "")
        #expect(LayerRule(modules: Self.order).findings(in: file).count == 1)
    }

    @Test("A right import is none of its business")
    func acceptsRightImports() {
        let rule = LayerRule(modules: Self.order)
        let text = """
            internal import Dispatch
            public import Storage
            // import Foundation
            let text = "import VHDX"
            """
        #expect(rule.findings(in: RepositoryFile(path: "Sources/VHDX/X.swift", text: text)).isEmpty)
        let foundation = RepositoryFile(
            path: "Sources/Replication/X.swift", text: "internal import Foundation")
        #expect(rule.findings(in: foundation).isEmpty)
    }
}

extension LayerRule {
    init(modules: [String]) {
        self.modules = modules
    }
}
