internal import Resync
internal import TestSupport
internal import Transport

/// Streams of frames that are damaged on purpose.
struct FrameTrial: ByteTrial {
    let noun = "streams"

    private static let largestRecords = 16_777_272

    /// A frame as its parts, right or wrong.
    private struct Parts {
        var kind: UInt8
        var payload: [UInt8]
        /// Where it is another than that of the payload.
        var length: UInt64?
        /// What is added to the right checksum.
        var error: UInt32 = 0

        /// The frame with the checksum of what it is, right but for the error.
        var bytes: [UInt8] {
            var bytes: [UInt8] = [0, 0, 0, 0, kind]
            bytes.put(length ?? UInt64(payload.count), width: 4, at: 0)
            bytes += payload
            let checksum = RawFrames.checksum(of: bytes[...]) &+ error
            bytes += [0, 0, 0, 0]
            bytes.put(UInt64(checksum), width: 4, at: bytes.count - 4)
            return bytes
        }
    }

    func bytes(using generator: inout SeededGenerator) throws -> [UInt8] {
        var maker = MessageMaker(generator: generator)
        var frames: [Parts] = []
        for index in 0..<maker.generator.below(8) {
            frames.append(frame(&maker, isFirst: index == 0))
        }
        // As large as may be, or a byte more or less.
        if maker.generator.once(in: 1500) { frames.append(largest(&maker.generator)) }
        for _ in 0..<maker.generator.below(3) { damage(&frames, &maker) }
        var bytes = frames.flatMap { part in
            // Of those that are right, the writer under test has made some.
            part.length == nil && part.error == 0 && maker.generator.once(in: 2)
                ? Frame(kind: part.kind, payload: part.payload).encoded() : part.bytes
        }
        switch maker.generator.below(8) {
        case 0: bytes.removeLast(maker.generator.below(bytes.count + 1))
        case 1: bytes.removeLast(min(bytes.count, maker.generator.below(12)))
        case 2: bytes += maker.generator.bytes(count: maker.generator.below(40))
        case 3 where !bytes.isEmpty:
            bytes[maker.generator.below(bytes.count)] ^= 1 << UInt8(maker.generator.below(8))
        default: break
        }
        return bytes
    }

    private func frame(_ maker: inout MessageMaker, isFirst: Bool) -> Parts {
        if maker.generator.once(in: 6) { return Parts(kind: 0, payload: []) }
        let kind = isFirst && !maker.generator.once(in: 4) ? 1 : maker.anyKind()
        let payload = maker.right(kind)
        guard maker.generator.once(in: 6) else { return Parts(kind: kind, payload: payload) }
        return Parts(kind: kind, payload: maker.damage(kind, payload))
    }

    private func largest(_ generator: inout SeededGenerator) -> Parts {
        let count = Self.largestRecords - 1 + generator.below(3)
        return Parts(
            kind: 10, payload: [UInt8](repeating: UInt8(generator.below(256)), count: count))
    }

    private func damage(_ frames: inout [Parts], _ maker: inout MessageMaker) {
        guard !frames.isEmpty else { return }
        let index = maker.generator.below(frames.count)
        switch maker.generator.below(9) {
        case 0, 1:
            let limit = UInt64(MessageForm.of(frames[index].kind)?.limit ?? 0)
            let length = UInt64(frames[index].payload.count)
            frames[index].length = maker.generator.edgeValue(
                width: 4, near: length, [limit, limit + 1, length, 1 << 31, 1 << 24])
        case 2: frames[index].kind = UInt8(maker.generator.below(20))
        case 3: frames[index].kind = UInt8(maker.generator.below(256))
        case 4: frames[index].error = 1 << UInt32(maker.generator.below(32))
        case 5: frames.remove(at: index)
        case 6: frames.insert(frames[index], at: maker.generator.below(frames.count + 1))
        case 7:
            // Right by its checksum, and as long as may be or longer by a byte.
            let kind = [1, 2, 7, 8, 15, 3, 0][maker.generator.below(7)] as UInt8
            let limit = MessageForm.of(kind)?.limit ?? 0
            frames[index] = Parts(
                kind: kind, payload: maker.generator.bytes(count: limit + maker.generator.below(2)))
        default:
            frames[index].payload = maker.damage(frames[index].kind, frames[index].payload)
        }
    }

    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws {
        var oracle = FrameOracle(bytes)
        try oracle.judge(&reach)
    }
}
