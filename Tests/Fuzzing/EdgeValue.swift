internal import TestSupport

extension SeededGenerator {
    /// A number below a limit.
    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }

    /// True once in so many times.
    mutating func once(in count: Int) -> Bool { below(count) == 0 }

    /// A number on which code for numbers of this width is likely to fail.
    ///
    /// - Parameters:
    ///   - width: Bytes, 1 to 8.
    ///   - current: The number that stands there.
    ///   - landmarks: Numbers that mean something in this file.
    /// - Returns: A number that may have more bits than the width.
    mutating func edgeValue(width: Int, near current: UInt64, _ landmarks: [UInt64]) -> UInt64 {
        let step =
            ([1, 2, 8, 512, 4096, 65536, 1 << 20] as [UInt64]).randomElement(using: &self) ?? 1
        switch below(10) {
        case 0: return UInt64(below(10))
        case 1: return (1 << UInt64(below(width * 8))) &+ UInt64(below(3)) &- 1
        case 2: return current &+ step
        case 3: return current &- step
        case 4: return landmarks.randomElement(using: &self) ?? 0
        case 5: return (landmarks.randomElement(using: &self) ?? 0) &+ step
        case 6: return (landmarks.randomElement(using: &self) ?? 0) &- step
        case 7: return UInt64.max >> UInt64(64 - width * 8) &- (once(in: 2) ? 0 : step)
        case 8: return current ^ (1 << UInt64(below(width * 8)))
        default: return next() >> UInt64(below(64))
        }
    }
}
