internal import Resync
internal import TestSupport

/// Messages that are damaged on purpose, and what must hold for any bytes that are read as one.
///
/// A case is the kind of a message and its payload.
struct MessageTrial: ByteTrial {
    let noun = "messages"

    func bytes(using generator: inout SeededGenerator) throws -> [UInt8] {
        var maker = MessageMaker(generator: generator)
        var kind = maker.anyKind()
        var payload = maker.right(kind)
        switch maker.generator.below(8) {
        case 0: break
        case 1: kind = UInt8(maker.generator.below(18))
        default: payload = maker.damage(kind, payload)
        }
        return [kind] + payload
    }

    func judge(_ bytes: [UInt8], _ reach: inout Reach) throws {
        guard let number = bytes.first else { return }
        let raw = RawMessage(number, Array(bytes.dropFirst()))
        guard let form = MessageForm.of(number), let kind = Message.Kind(rawValue: number) else {
            guard MessageForm.of(number) == nil, Message.Kind(rawValue: number) == nil else {
                throw Violation("kind \(number) is one, or none, wrongly")
            }
            return reach.noted("no kind")
        }
        guard Message.maximumByteCount(kind) == form.limit else {
            throw Violation("\(kind) may have \(Message.maximumByteCount(kind)) bytes")
        }
        do {
            let message = try Message(kind, raw.payload)
            guard raw.isRight else { throw Violation("a wrong message was accepted") }
            guard message.kind == kind else { throw Violation("it became another kind") }
            // What a later version adds to a greeting is not kept.
            let expected = kind == .hello ? Array(raw.payload.prefix(16)) : raw.payload
            guard message.encoded() == expected else { throw Violation("it became other bytes") }
            try count(message)
            reach.noted("\(kind) read", isOpened: true)
        } catch let error as ResyncError {
            guard !raw.isRight else { throw Violation("a right message was refused: \(error)") }
            guard case .protocolViolation = error else {
                throw Violation("a wrong message ended with: \(error)")
            }
            reach.noted(error)
        }
    }

    /// What was counted on the other side is added up here, and must not overflow.
    private func count(_ message: Message) throws {
        let monitor = ResyncMonitor()
        for _ in 0..<2 {
            switch message {
            case .status(let status): monitor.follow(status)
            case .finish(let finish): monitor.add(finish.counts, ofReceiver: false)
            case .result(let result): monitor.add(result.counts, ofReceiver: true)
            default: return
            }
        }
        let progress = monitor.progress
        let counts = progress.counts
        guard (0...1).contains(progress.shareOfJob),
            [counts.bytesDone, counts.bytesToDo, counts.bytesRead, counts.bytesWritten]
                .allSatisfy({ $0 <= 2 << 56 })
        else { throw Violation("counts of the other side make \(counts)") }
    }
}
