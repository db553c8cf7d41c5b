internal import TestSupport

/// What is run where a case is no image but bytes.
protocol ByteTrial {
    /// What the cases are, in the plural.
    var noun: String { get }

    /// The bytes that a number stands for; the same at each call.
    func bytes(using generator: inout SeededGenerator) throws -> [UInt8]

    /// - Throws: ``Violation``.
    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws
}

extension SeededGenerator {
    /// What chooses a case: other numbers for each seed and each iteration.
    init(seed: UInt64, iteration: UInt64) {
        var generator = SeededGenerator(seed: seed)
        self.init(seed: generator.next() ^ iteration &* 0x9E37_79B9_7F4A_7C15)
    }
}
