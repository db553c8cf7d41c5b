internal import Storage
internal import TestSupport

/// A promise of the product that an image has broken.
struct Violation: Error {
    var promise: String

    init(_ promise: String) {
        self.promise = promise
    }
}

/// One image to try with all that it builds on, and what is then done with it.
struct Case {
    /// The image's own seed first, then that of its parent, and so on.
    var seeds: [Seed]
    /// What the files hold, in the same order.
    var contents: [Content]
    /// What chooses the places that are read and the operations of the writer.
    var operations: SeededGenerator

    /// The case that a number stands for; the same at each call.
    init(_ target: FuzzTarget, _ seeds: [Seed], seed number: UInt64, iteration: UInt64) {
        var generator = SeededGenerator(seed: number, iteration: iteration)
        let candidates = seeds.filter(target.uses)
        var seed = candidates[generator.below(candidates.count)]
        for _ in 0..<2 where seed.isSlow { seed = candidates[generator.below(candidates.count)] }
        self.seeds = seed.chain(in: seeds)
        contents = self.seeds.map(\.content)
        let spared = target == .chain ? generator.below(2 * contents.count) : -1
        for index in contents.indices where index != spared {
            guard index == 0 || target == .chain && generator.once(in: 3) else { continue }
            var mutator = Mutator(self.seeds[index], generator)
            mutator.mutate(index == 0 ? target.parts : FuzzTarget.image.parts)
            contents[index] = mutator.content
            generator = mutator.generator
        }
        operations = SeededGenerator(seed: generator.next())
    }

    /// A case that was written down.
    init(_ seeds: [Seed], _ contents: [Content], operations: SeededGenerator) {
        self.seeds = seeds
        self.contents = contents
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
    /// An image and its parents.
    case chain
    case delta
    case map
    /// What crosses the connection between two hosts.
    case frame
    case message
    /// The two sides of a comparison.
    case session
    /// What comes over the socket of a service.
    case control

    /// What is damaged, where it is no image.
    var trial: (any ByteTrial)? {
        switch self {
        case .delta: StreamTrial(format: .delta)
        case .map: StreamTrial(format: .map)
        case .frame: FrameTrial()
        case .message: MessageTrial()
        case .session: SessionTrial()
        case .control: ControlTrial()
        default: nil
        }
    }

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
        case .chain:
            [
                .parentLocator, .metadata, .header, .table, .table, .table, .bitmap, .bitmap, .log,
            ]
        case .image:
            [
                .header, .regionTable, .metadata, .table, .table, .table, .table, .log, .log,
                .identifier, .fileSize, .bitmap,
            ]
        case .delta, .map, .frame, .message, .session, .control: []
        }
    }

    /// Whether an image has what this target damages.
    func uses(_ seed: Seed) -> Bool {
        switch self {
        case .parentLocator, .chain: seed.isDifferencing
        default: true
        }
    }
}
