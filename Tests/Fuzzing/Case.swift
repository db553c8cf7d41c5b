internal import Storage
internal import TestSupport

/// A promise of the product that an image has broken.
struct Violation: Error {
    var promise: String

    init(_ promise: String) {
        self.promise = promise
    }
}

/// One image to try, and what is then done with it.
struct Case {
    var seed: Seed
    var content: Content
    /// What chooses the places that are read and the operations of the writer.
    var operations: SeededGenerator

    /// The case that a number stands for; the same at each call.
    init(_ target: FuzzTarget, _ seeds: [Seed], seed number: UInt64, iteration: UInt64) {
        var generator = SeededGenerator(seed: number)
        generator = SeededGenerator(seed: generator.next() ^ iteration &* 0x9E37_79B9_7F4A_7C15)
        let candidates = seeds.filter(target.uses)
        var seed = candidates[generator.below(candidates.count)]
        for _ in 0..<2 where seed.isSlow { seed = candidates[generator.below(candidates.count)] }
        var mutator = Mutator(seed, generator)
        mutator.mutate(target.parts)
        self.seed = seed
        content = mutator.content
        operations = SeededGenerator(seed: mutator.generator.next())
    }

    /// A case that was written down.
    init(_ seed: Seed, _ content: Content, operations: SeededGenerator) {
        self.seed = seed
        self.content = content
        self.operations = operations
    }
}

/// What is damaged in a run.
enum FuzzTarget: String, CaseIterable {
    case header
    case regionTable = "region-table"
    case metadata
    case parentLocator = "parent-locator"
    case table = "bat"
    case log
    case image

    /// The parts of an image that the mutations change; the more often one stands here, the more
    /// often it is chosen.
    var parts: [Part] {
        switch self {
        case .header: [.header, .header, .header, .header, .fileSize]
        case .regionTable: [.regionTable, .regionTable, .regionTable, .fileSize]
        case .metadata: [.metadata]
        case .parentLocator: [.parentLocator, .parentLocator, .parentLocator, .metadata]
        case .table: [.table, .table, .table, .table, .table, .table, .fileSize]
        case .log: [.log, .log, .log, .log, .log, .log, .header]
        case .image:
            [
                .header, .regionTable, .metadata, .table, .table, .table, .table, .log, .log,
                .identifier, .fileSize,
            ]
        }
    }

    /// Whether an image has what this target damages.
    func uses(_ seed: Seed) -> Bool {
        switch self {
        case .parentLocator: seed.isDifferencing
        default: true
        }
    }
}
