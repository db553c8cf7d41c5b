internal import Resync
internal import Storage
internal import TestSupport

/// What must hold for one side of a comparison, whatever the other side says.
struct SessionOracle {
    private let script: SessionScript
    private let disk: SessionDisk

    init(_ script: SessionScript) {
        self.script = script
        disk = SessionDisk(script)
    }

    func judge(_ reach: inout Reach) throws {
        if script.isSender { try judgeSender(&reach) } else { try judgeReceiver(&reach) }
    }

    /// What the product makes of a message: nil where it is refused.
    private func accepted<Result: ~Copyable>(_ body: () throws -> Result) throws -> Result? {
        do {
            return try body()
        } catch let error as ResyncError {
            switch error {
            case .protocolViolation, .damagedDelta: return nil
            default: throw Violation("a wrong message ended with: \(error)")
            }
        }
    }

    private func decoded(_ raw: RawMessage) throws -> Message? {
        guard let kind = Message.Kind(rawValue: raw.kind) else { return nil }
        return try accepted { try Message(kind, raw.payload) }
    }

    private func raw(_ message: Message) -> RawMessage {
        RawMessage(message.kind.rawValue, message.encoded())
    }

    // MARK: The receiver's side

    private func judgeReceiver(_ reach: inout Reach) throws {
        let header = DeltaHeader(
            virtualSize: script.virtualSize, blockSize: 1 << Int(script.blockShift),
            streamID: .zero)
        var session = try ReceiverSession(
            for: header, salt: GUID(decoding: script.salt.rawSpan, at: 0))
        var expected = ReceiverExpectation(script, disk)
        for step in script.steps {
            switch step {
            case .hash(let count): try hash(&session, &expected, count)
            case .send, .sendAtOnce, .finish: break
            case .message(let raw):
                let outcome = expected.takes(raw)
                guard let message = try decoded(raw),
                    let step = try accepted({ try session.received(message, from: "peer") })
                else {
                    guard outcome == .refused else {
                        throw Violation("a right message of kind \(raw.kind) was refused")
                    }
                    return reach.noted("receiver: kind \(raw.kind) refused")
                }
                guard case .finish = step else {
                    try compare(step, outcome, raw, &reach)
                    continue
                }
                let differing = session.differingBlockCount
                let roots: (base: BlockDigest, result: BlockDigest)
                do throws(ResyncError) {
                    roots = try session.finished()
                } catch {
                    guard case .protocolViolation = error, outcome == .refused else {
                        throw Violation("an end leads to: \(error)")
                    }
                    return reach.noted("receiver: an end too early")
                }
                guard outcome == .finished else { throw Violation("an end was accepted") }
                return try compare(
                    roots.base.bytes, roots.result.bytes, differing, expected, &reach)
            }
        }
        reach.noted("receiver: open", isOpened: true)
    }

    /// Windows are hashed and told of as far as the limits allow.
    private func hash(
        _ session: inout ReceiverSession, _ expected: inout ReceiverExpectation, _ count: Int
    ) throws {
        for _ in 0..<count {
            guard session.canHash == expected.model.canHash else {
                throw Violation("a window may be hashed: \(session.canHash), wrongly")
            }
            let window = expected.model.hashedEnd
            guard session.canHash, window < disk.geometry.windowCount else { return }
            let ranges = session.hashed(disk.run(window, disk.leaves(of: window)))
            guard raw(.digests(ranges)) == expected.hash() else {
                throw Violation("window \(window) leads to other digests than it should")
            }
            guard session.hasToldAll == expected.model.hasToldAll else {
                throw Violation("the whole disk was told of, or not, wrongly")
            }
        }
        guard session.canHash == expected.model.canHash else {
            throw Violation("another window may be hashed: \(session.canHash), wrongly")
        }
    }

    /// What is answered, or taken of records and what they hold.
    private func compare(
        _ step: ReceiverSession.Step, _ outcome: ReceiverOutcome, _ message: RawMessage,
        _ reach: inout Reach
    ) throws {
        reach.noted("receiver: kind \(message.kind) accepted")
        switch (step, outcome) {
        case (.nothing, .nothing): return
        case (.answer(let answer), .answer(let expected)) where raw(answer) == expected: return
        case (.records(let records), .records(let expected))
        where records.count == expected.count:
            let form = RawRecords(
                blockSize: disk.geometry.blockSize, virtualSize: disk.geometry.virtualSize)
            for (record, other) in zip(records, expected) {
                guard (record.kind == .data) == other.isData, record.blocks == other.blocks,
                    record.contentByteCount == other.content,
                    record.bytes == Array(message.payload[other.bytes])
                else { throw Violation("another record than came") }
                guard other.isData else { continue }
                let content = form.content(of: other, in: message.payload)
                guard try self.content(of: record) == content else {
                    throw Violation("content of another digest was accepted, or right refused")
                }
                reach.noted("content \(content == nil ? "refused" : "accepted")")
            }
        default: throw Violation("kind \(message.kind) leads to \(step), not to \(outcome)")
        }
    }

    /// What goes to the journal; nil where it is not what its digests say.
    private func content(of record: DeltaRecord) throws -> [UInt8]? {
        var context = try SHA256Context()
        var content = [UInt8](repeating: 0xEE, count: Int(record.contentByteCount))
        return try accepted {
            try content.withMutableRawSpan { (span) throws(ResyncError) in
                try record.decode(into: &span, context: &context)
            }
        }.map { content }
    }

    private func compare(
        _ base: [UInt8], _ result: [UInt8], _ differing: UInt64, _ expected: ReceiverExpectation,
        _ reach: inout Reach
    ) throws {
        reach.noted("receiver: ended", isOpened: true)
        guard let end = expected.end() else { return }
        guard base == end.base, result == end.result else {
            throw Violation("the root digest of the disk is another, or of what it becomes")
        }
        guard differing == end.differing else {
            throw Violation("\(differing) blocks differ, and should be \(end.differing)")
        }
    }
}

// MARK: - The sender's side

extension SessionOracle {
    private func judgeSender(_ reach: inout Reach) throws {
        let geometry = RemoteGeometry(
            virtualSize: script.virtualSize, blockSize: 1 << Int(script.blockShift))
        let zeros = try ZeroDigests(
            virtualSize: geometry.virtualSize, blockSize: geometry.blockSize)
        var state = SenderState(
            try SenderSession(geometry, zeros, isDryRun: script.isDryRun),
            expectsDone: script.expectsDone)
        var expected = SenderExpectation(script, disk)
        for step in script.steps {
            switch step {
            case .hash(let count): try hash(&state, &expected, count, isSending: false)
            case .sendAtOnce(let count): try hash(&state, &expected, count, isSending: true)
            case .send(let count): try send(&state, &expected, count)
            case .finish:
                guard state.session.isDone == expected.model.isDone else {
                    throw Violation("all is done: \(state.session.isDone), wrongly")
                }
                guard expected.model.isDone else { continue }
                state.isFinished = true
                expected.model.finish()
            case .message(let raw):
                let isRight = expected.takes(raw)
                guard let message = try decoded(raw),
                    let isLast = try accepted({ try state.received(message) })
                else {
                    guard !isRight else {
                        throw Violation("a right message of kind \(raw.kind) was refused")
                    }
                    return reach.noted("sender: kind \(raw.kind) refused")
                }
                guard isRight, isLast == (raw.kind == 14) else {
                    throw Violation("a wrong message of kind \(raw.kind) was accepted")
                }
                reach.noted("sender: kind \(raw.kind) accepted")
                if isLast { return reach.noted("sender: ended", isOpened: true) }
            }
            try compareQuestions(&state, &expected)
            guard state.session.takeSettled() == expected.model.takeSettled() else {
                throw Violation("the receiver is told of another window that is settled")
            }
        }
        reach.noted("sender: open", isOpened: true)
    }

    private func compareQuestions(
        _ state: inout SenderState, _ expected: inout SenderExpectation
    ) throws {
        let questions = state.session.takeOutgoing().map(raw)
        let others = expected.model.takeQuestions().map { RawMessage($0) }
        guard questions == others else {
            throw Violation("it asks \(questions), and should ask \(others)")
        }
    }

    /// Windows are hashed as far as the limits allow, and sent at once where they may be.
    private func hash(
        _ state: inout SenderState, _ expected: inout SenderExpectation, _ count: Int,
        isSending: Bool
    ) throws {
        for _ in 0..<count {
            let window = expected.model.hashedEnd
            guard window < disk.geometry.windowCount else { return }
            let canHash = state.session.canHash
            guard canHash == expected.model.canHash ?? canHash else {
                throw Violation("a window may be hashed: \(canHash), wrongly")
            }
            try checkNextStep(state, expected.model)
            let leaves = disk.leaves(of: window)
            let run = disk.run(window, leaves)
            if isSending {
                guard state.session.nextStep == .sendAtOnce else { return }
                state.session.sentAtOnce(run)
                expected.model.sentAtOnce(leaves)
            } else {
                guard canHash else { return }
                state.session.hashed(run)
                expected.model.hashed(leaves)
            }
        }
    }

    /// It never waits while there is something to do.
    private func checkNextStep(_ state: borrowing SenderState, _ model: SenderModel) throws {
        let step = state.session.nextStep
        let isRight =
            switch step {
            case .sendAtOnce: model.sendsAtOnce
            case .hash: model.canHash != false && !model.nextIsZero
            case .sendDifferences: !model.sendsAtOnce
            case .wait:
                model.isWaiting || !model.hasFinding && !model.sendsAtOnce && model.canHash != true
            }
        guard isRight else { throw Violation("the next step is \(step), wrongly") }
    }

    /// What differs is given out window by window, in order.
    private func send(
        _ state: inout SenderState, _ expected: inout SenderExpectation, _ count: Int
    ) throws {
        for _ in 0..<count {
            let found = state.session.nextDifference()
            let other = expected.model.nextDifference()
            let difference = found.map {
                SenderModel.Difference(
                    window: $0.window, leaves: $0.digests?.flatMap(\.bytes), differs: $0.differs)
            }
            guard difference == other else {
                throw Violation(
                    "window \(found?.window ?? .max) differs, or other blocks, not "
                        + "\(other?.window ?? .max)")
            }
            guard let found else {
                guard state.session.nextStep != .sendDifferences else {
                    throw Violation("it is to send what there is none of")
                }
                return
            }
            state.session.sent(found.window)
            expected.model.sent(found.window)
        }
    }
}
