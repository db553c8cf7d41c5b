internal import Storage

/// A source of random numbers that repeats itself: SplitMix64 (Steele, Lea, Flood 2014).
///
/// A test prints ``seed`` where it fails, and with that seed alone the case runs again.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    /// What the generator was made from.
    package let seed: UInt64
    private var state: UInt64

    /// A generator that always gives the same numbers for a seed.
    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// The next number.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Some random bytes. Disks are filled with them, also where the compiler does not optimize.
    package mutating func bytes(count: Int) -> [UInt8] {
        let wholeCount = count / 8 * 8
        var bytes = [UInt8](repeating: 0, count: wholeCount)
        bytes.withMutableRawSpan { span in
            var offset = 0
            while offset < wholeCount {
                span.store(next(), at: offset)
                offset += 8
            }
        }
        guard wholeCount < count else { return bytes }
        let last = next()
        return bytes
            + (0..<count - wholeCount).map { UInt8(truncatingIfNeeded: last >> UInt64($0 * 8)) }
    }
}
