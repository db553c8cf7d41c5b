import TestSupport

@testable import VHDX

/// One image that breaks a rule of the format, or just keeps it, and what must come of it.
///
/// The numbers are those of the table in docs/testing.md.
struct RuleExample: Sendable, CustomStringConvertible {
    enum Outcome: Sendable {
        case accepted
        /// Neither for reading nor for writing.
        case refused(VHDXError)
        /// For reading, but not for writing: at the latest the first change of content fails.
        case readOnly(VHDXError)
    }

    var number: Int
    var what: String
    var outcome: Outcome
    var build: @Sendable () -> MemoryFile
    /// Whether it is opened with a parent, which is ``parent()``.
    var hasParent = false

    init(
        _ number: Int, _ what: String, _ outcome: Outcome,
        _ build: @escaping @Sendable () -> MemoryFile
    ) {
        self.number = number
        self.what = what
        self.outcome = outcome
        self.build = build
    }

    /// A rule about an image of 8 blocks, whose log lies at 1 MiB, its metadata at 2 and its table at
    /// 3 MiB. The file ends at 4 MiB, or behind its blocks.
    init(
        _ number: Int, _ what: String, _ outcome: Outcome,
        change: @escaping @Sendable (inout ImageBuilder) -> Void = { _ in },
        damage: @escaping @Sendable (MemoryFile) -> Void = { _ in }
    ) {
        self.init(number, what, outcome) {
            var builder = ImageBuilder(virtualSize: 8 << 20)
            change(&builder)
            let file = builder.build()
            damage(file)
            return file
        }
    }

    var description: String { "rule \(number), \(what)" }

    /// Every image of every rule.
    static let all = headers + logs + regions + metadata + blocks + children

    /// An image that is the parent of the builder's differencing ones: 8 blocks full of nines.
    static func parent() throws -> ImageParent<MemoryFile> {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        for block in 0..<8 as Range<UInt64> {
            builder.addBlock(block, content: [UInt8](9, 1 << 20))
        }
        return ImageParent(try ImageReader(builder.build(name: "/memory/parent.vhdx")))
    }

    static let headerOffset: UInt64 = 64 << 10
    static let regionTableOffset: UInt64 = 192 << 10
    static let logOffset: UInt64 = 1 << 20
    static let metadataOffset: UInt64 = 2 << 20
    static let tableOffset: UInt64 = 3 << 20
    /// Where the file ends that has no blocks.
    static let end: UInt64 = 4 << 20
    static let unknown = "deadbeef-0000-4000-8000-000000000003"
}
