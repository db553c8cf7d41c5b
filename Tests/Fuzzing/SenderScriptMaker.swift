internal import TestSupport

/// Makes up what happens to a sender: by the model mostly what is right.
struct SenderScriptMaker {
    private var writer: ScriptWriter
    private var expected: SenderExpectation
    private let disk: SessionDisk
    /// The receiver's.
    private let other: SessionDisk
    private var digester: ModelDigester
    /// What was asked and not answered.
    private var questions: [SenderModel.Question] = []
    private var isOpen = true

    private var model: SenderModel { expected.model }

    init(_ script: SessionScript, _ generator: SeededGenerator) {
        disk = SessionDisk(script)
        other = SessionDisk(script, isOther: true)
        digester = other.digester(salt: script.salt)
        expected = SenderExpectation(script, disk)
        writer = ScriptWriter(script, generator)
    }

    /// A script of one run, which may go as far as the limits do.
    mutating func made(isFlood: Bool) -> SessionScript {
        if writer.generator.once(in: 16) { hash(writer.generator.below(20)) }
        if !writer.generator.once(in: 40) { sendTarget() }
        if isFlood { flood() }
        for _ in 0..<20 + writer.generator.below(200) where isOpen { step() }
        if isOpen { complete() }
        return writer.script
    }

    private mutating func step() {
        // What is wrong ends a run: most have some of what is right before.
        let isRight = !writer.generator.once(in: 60)
        switch writer.generator.below(16) {
        case 0...2: hash(1 + writer.generator.below(writer.generator.once(in: 8) ? 60 : 6))
        case 3...5: announce(isRight: isRight)
        case 6...9: answer(isRight: isRight)
        case 10, 11: take(1 + writer.generator.below(8))
        case 12, 13: sendAtOnce(1 + writer.generator.below(4))
        case 14: end(isRight: isRight)
        default: if writer.generator.once(in: 16) { send(writer.wrongMessage()) }
        }
    }

    // MARK: The own disk

    private mutating func hash(_ count: Int) {
        let before = model.hashedEnd
        for _ in 0..<count
        where model.canHash == true && model.hashedEnd < disk.geometry.windowCount {
            expected.model.hashed(disk.leaves(of: model.hashedEnd))
        }
        guard model.hashedEnd > before else { return }
        writer.add(.hash(Int(model.hashedEnd - before)))
        noteQuestions()
    }

    private mutating func sendAtOnce(_ count: Int) {
        let before = model.hashedEnd
        for _ in 0..<count
        where model.sendsAtOnce && model.hashedEnd < disk.geometry.windowCount {
            expected.model.sentAtOnce(disk.leaves(of: model.hashedEnd))
        }
        guard model.hashedEnd > before else { return }
        writer.add(.sendAtOnce(Int(model.hashedEnd - before)))
        noteQuestions()
    }

    private mutating func take(_ count: Int) {
        writer.add(.send(count))
        for _ in 0..<count {
            guard let found = expected.model.nextDifference() else { break }
            expected.model.sent(found.window)
        }
        _ = expected.model.takeSettled()
    }

    private mutating func noteQuestions() {
        questions += expected.model.takeQuestions()
        _ = expected.model.takeSettled()
    }

    // MARK: The other side

    private mutating func send(_ raw: RawMessage) {
        guard isOpen else { return }
        writer.add(.message(raw))
        isOpen = expected.takes(raw) && raw.kind != 14
        noteQuestions()
    }

    private mutating func sendTarget() {
        var payload = writer.maker.right(4)
        payload.put(disk.geometry.virtualSize, at: 0)
        payload.replaceSubrange(8..<24, with: writer.script.salt)
        payload.put(writer.generator.next() % (disk.geometry.blockCount + 1), at: 40)
        let mayBeDone = writer.script.expectsDone || writer.generator.once(in: 8)
        payload.put(UInt32(mayBeDone && writer.generator.once(in: 8) ? 1 : 0), at: 48)
        if writer.generator.once(in: 24) { payload = writer.maker.damage(4, payload) }
        send(RawMessage(4, payload))
    }

    /// The next windows of the receiver's disk, mostly by what they hold.
    private mutating func announce(isRight: Bool) {
        let geometry = disk.geometry
        var ranges: [ModelRange] = []
        var start = model.announcedEnd
        for _ in 0...writer.generator.below(3) where start < geometry.windowCount {
            let isZero = other.isZero(start)
            let most = isZero ? 8 : geometry.rangeLimit
            var end = start + 1
            while end < geometry.windowCount, end - start < most, !writer.generator.once(in: 3),
                other.isZero(end) == isZero
            {
                end += 1
            }
            let digest =
                writer.generator.once(in: 8)
                ? writer.generator.next() : digester.range(nodes(of: start..<end))
            ranges.append(ModelRange(windowCount: end - start, digest: isZero ? nil : digest))
            start = end
        }
        if !isRight || ranges.isEmpty && writer.generator.once(in: 60) {
            let counts = [1, 2, 17, geometry.rangeLimit + 1, 1 << 30, (1 << 31) - 1] as [UInt64]
            let count = counts[writer.generator.below(counts.count)]
            ranges.append(
                ModelRange(
                    windowCount: count,
                    digest: writer.generator.once(in: 2) ? nil : writer.generator.next()))
        }
        if !ranges.isEmpty { send(RawMessage(ranges)) }
    }

    private func nodes(of windows: Range<UInt64>) -> [UInt64] {
        disk.geometry.nodes(of: windows).map { digester.short(1, other.leaves(of: $0)) }
    }

    /// An answer to one of the questions, mostly by what the receiver's disk holds.
    private mutating func answer(isRight: Bool) {
        guard !questions.isEmpty else { return }
        let index = writer.generator.once(in: 3) ? writer.generator.below(questions.count) : 0
        let question = questions.remove(at: index)
        let (kind, asked): (UInt8, UInt64)
        var digests: [UInt64]
        switch question {
        case .nodes(let first):
            (kind, asked) = (7, first)
            digests = model.nodeCount(first) == nil ? [] : nodes(of: windows(first))
        case .blocks(let first, _):
            (kind, asked) = (9, first)
            digests = (model.blocksWanted(first) ?? []).map {
                digester.short(0, other.leaves(of: $0..<$0 + 1))
            }
        }
        // Below a digest that was made up some node must be, too.
        var trial = expected
        if kind == 7, !digests.isEmpty, !writer.generator.once(in: 40),
            !trial.takes(RawMessage(7, first: asked, digests: digests))
                || writer.generator.once(in: 8)
        {
            digests[writer.generator.below(digests.count)] = writer.generator.next()
        }
        if !isRight, writer.generator.once(in: 2) {
            digests.append(0)
        } else if !isRight {
            digests = digests.dropLast()
        }
        let first = writer.number(near: asked, isRight: isRight || writer.generator.once(in: 2))
        send(RawMessage(kind, first: first, digests: digests))
    }

    /// The windows of the range that starts here, as they were announced.
    private func windows(_ first: UInt64) -> Range<UInt64> { model.windows(first) ?? first..<first }

    private mutating func end(isRight: Bool) {
        if model.isDone, !model.isFinished, writer.generator.once(in: 2) {
            writer.add(.finish)
            expected.model.finish()
        }
        guard model.takesResult || !isRight else { return }
        let kind: UInt8 = writer.generator.once(in: 3) ? 14 : 13
        send(RawMessage(kind, writer.maker.right(kind)))
    }

    /// Goes on to the end, where that is near.
    private mutating func complete() {
        guard disk.geometry.windowCount <= SessionTrial.longWindowCount,
            writer.generator.once(in: 2)
        else { return }
        for _ in 0..<400 where isOpen && !model.isDone {
            hash(64)
            announce(isRight: true)
            while isOpen, !questions.isEmpty { answer(isRight: true) }
            take(64)
            sendAtOnce(64)
        }
        writer.add(.finish)
        if model.isDone { expected.model.finish() }
        send(RawMessage(14, writer.maker.right(14)))
    }

    /// Tells of more than a receiver may keep.
    private mutating func flood() {
        let geometry = disk.geometry
        let isZero = writer.generator.once(in: 2)
        let windowCount = isZero || writer.generator.once(in: 2) ? 1 : geometry.rangeLimit
        if writer.generator.once(in: 2) { hash(10_000) }
        for _ in 0..<40 where isOpen {
            let ranges = (0..<300).map { _ in
                ModelRange(windowCount: windowCount, digest: isZero ? nil : writer.generator.next())
            }
            send(RawMessage(ranges))
        }
        if writer.generator.once(in: 2) { hash(10_000) }
    }
}
