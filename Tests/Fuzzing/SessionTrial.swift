internal import TestSupport

/// The two sides of a comparison, each with another side that says right things and wrong ones.
struct SessionTrial: ByteTrial {
    let noun = "runs"

    /// So many windows of blocks of 64 KiB have more blocks than either side may keep: it must forget
    /// some to come to the end.
    static let longWindowCount: UInt64 = 600

    func bytes(using generator: inout SeededGenerator) throws -> [UInt8] {
        let isFlood = generator.once(in: 150)
        let isLong = !isFlood && generator.once(in: 100)
        var script = isFlood ? Self.largeScript(&generator) : Self.script(&generator)
        if isLong {
            script.blockShift = 16
            script.virtualSize = Self.longWindowCount << 26
            script.zeroShare = 0
        }
        if script.isSender {
            var maker = SenderScriptMaker(script, generator)
            return maker.made(isFlood: isFlood).bytes
        }
        var maker = ReceiverScriptMaker(script, generator)
        return maker.made(isFlood: isFlood).bytes
    }

    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws {
        guard let script = SessionScript(bytes) else { return reach.noted("no script") }
        try SessionOracle(script).judge(&reach)
    }

    /// A disk that is large enough for what is kept to reach its limits: of blocks, or of ranges.
    private static func largeScript(_ generator: inout SeededGenerator) -> SessionScript {
        var script = SessionScript(
            blockShift: generator.once(in: 2) ? 16 : 21, zeroShare: generator.once(in: 2) ? 0 : 255,
            virtualSize: 1 << 56, diskSeed: generator.next(), salt: generator.bytes(count: 16))
        script.isSender = generator.once(in: 2)
        return script
    }

    /// A disk, and which side of it.
    private static func script(_ generator: inout SeededGenerator) -> SessionScript {
        // Blocks of 16 MiB take milliseconds to hash, windows of small ones have thousands.
        let shift =
            generator.once(in: 40)
            ? [12, 14, 22, 24][generator.below(4)]
            : [17, 18, 18, 19, 19, 19, 20][generator.below(7)]
        let counts = shift < 17 ? [1, 3, 9] : [1, 3, 9, 40, 200, 1 << 12, 1 << 30] as [UInt64]
        let windowCount = counts[generator.below(counts.count)]
        var size = windowCount << 26
        switch generator.below(32) {
        case 0...7: size -= UInt64(generator.below(1 << 26))
        case 8...15: size -= UInt64(generator.below(1 << shift))
        case 16: size = UInt64(Int64.max) - UInt64(generator.below(4096))
        case 17: size = UInt64(generator.below(2))
        // A short last node of whole blocks.
        case 18...23: size -= UInt64(generator.below(max(1, 1 << (26 - shift)))) << UInt64(shift)
        default: break
        }
        var script = SessionScript(
            blockShift: UInt8(shift), zeroShare: [0, 20, 80, 128, 240, 255][generator.below(6)],
            virtualSize: size, diskSeed: generator.next(), salt: generator.bytes(count: 16))
        script.isSender = generator.once(in: 2)
        script.isDryRun = generator.once(in: 4)
        script.expectsDone = generator.once(in: 4)
        return script
    }
}

/// What both makers of scripts share.
struct ScriptWriter {
    var script: SessionScript
    var maker: MessageMaker
    /// The last message that was right.
    private(set) var last: RawMessage?

    var generator: SeededGenerator {
        get { maker.generator }
        set { maker.generator = newValue }
    }

    init(_ script: SessionScript, _ generator: SeededGenerator) {
        self.script = script
        maker = MessageMaker(generator: generator)
    }

    mutating func add(_ step: SessionScript.Step) {
        script.steps.append(step)
        if case .message(let raw) = step { last = raw }
    }

    /// A number that is mostly right, and sometimes one on which code is likely to fail.
    mutating func number(near value: UInt64, isRight: Bool) -> UInt64 {
        isRight ? value : generator.edgeValue(width: 8, near: value, [1 << 37, 1 << 51, .max])
    }

    /// A message that is likely to be wrong: damaged, repeated, or of any kind.
    mutating func wrongMessage() -> RawMessage {
        switch generator.below(4) {
        case 0: if let last { return last }
        case 1, 2:
            if let last {
                return RawMessage(last.kind, maker.damage(last.kind, last.payload))
            }
        default: break
        }
        // What was prepared takes no part in a comparison, and its number is that of a step.
        let kind = min(maker.anyKind(), 15)
        return RawMessage(kind, maker.right(kind))
    }
}
