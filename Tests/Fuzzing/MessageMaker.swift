internal import TestSupport

/// Makes messages that are right by their form, and damages them where their fields stand.
struct MessageMaker {
    var generator: SeededGenerator

    private static let texts = [
        "/disks/a.vhdx", "a", "/Bär/日本語/\u{1F4BE}", "C:\\disks\\b.vhdx", "\u{202E}\u{1B}[2J",
        "\u{FEFF}\u{FFFD}\u{10FFFF}",
    ]

    /// What is no UTF-8, or what a path must not hold.
    private static let wrongTexts: [[UInt8]] = [
        [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
        [0xF0, 0x8F, 0xBF, 0xBF],
        [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0x80], [0xE2, 0x82], [0x00],
        [0xC3], [0xC3, 0x28],
    ]

    // MARK: Right ones

    /// A message of a kind that there is.
    mutating func right(_ kind: UInt8) -> [UInt8] {
        var payload = attempt(kind)
        for _ in 0..<20 where !RawMessage(kind, payload).isRight { payload = attempt(kind) }
        return payload
    }

    mutating func anyKind() -> UInt8 { UInt8(1 + generator.below(16)) }

    private mutating func attempt(_ kind: UInt8) -> [UInt8] {
        guard let form = MessageForm.of(kind) else { return [] }
        var payload: [UInt8] = []
        for field in form.fields { payload += value(of: field) }
        let room = form.limit - payload.count
        switch form.rest {
        case .nothing: break
        case .anything: payload += generator.bytes(count: min(room, count()))
        case .numbers:
            for _ in 0..<min(room / 8, count()) { payload += number(8) }
        case .ranges:
            for _ in 0...generator.below(6) {
                let isZero = generator.once(in: 3)
                let word = UInt32(1 + generator.below(generator.once(in: 4) ? 1 << 30 : 16))
                payload += bytes(UInt64(isZero ? word | 1 << 31 : word), 4)
                if !isZero { payload += number(8) }
            }
        case .text(let counts):
            let text = text(counts.upperBound)
            payload += bytes(UInt64(text.count), 2) + text
        }
        return payload
    }

    /// Mostly a few, seldom many.
    private mutating func count() -> Int {
        generator.below(generator.once(in: 16) ? 400 : 12)
    }

    private mutating func value(of field: MessageField) -> [UInt8] {
        switch field.values {
        case .any:
            return field.width <= 8 ? number(field.width) : generator.bytes(count: field.width)
        case .bytes(let bytes): return bytes
        case .choice(let numbers):
            return bytes(numbers.randomElement(using: &generator) ?? 0, field.width)
        case .atMost(let limit):
            let value =
                generator.once(in: 4) ? limit : generator.next() >> UInt64(generator.below(64))
            return bytes(min(value, limit), field.width)
        }
    }

    private mutating func number(_ width: Int) -> [UInt8] {
        bytes(
            generator.edgeValue(width: width, near: 0, [1 << 56, .max, UInt64(Int64.max)]), width)
    }

    private func bytes(_ number: UInt64, _ width: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: width)
        bytes.put(number, width: width, at: 0)
        return bytes
    }

    private mutating func text(_ limit: Int) -> [UInt8] {
        guard !generator.once(in: 6) else { return [] }
        let text = Array((Self.texts.randomElement(using: &generator) ?? "").utf8)
        guard generator.once(in: 12) else { return text }
        // As long as may be, to the byte.
        let whole = Array(repeating: text, count: limit / text.count).flatMap { $0 }
        return whole + Array(repeating: UInt8(ascii: "z"), count: limit - whole.count)
    }

    // MARK: Wrong ones

    /// Changes a message where that is likely to matter.
    mutating func damage(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var payload = payload
        for _ in 0...generator.below(2) {
            switch generator.below(10) {
            case 0...3: setField(kind, &payload)
            case 4: flip(&payload)
            case 5: payload.removeLast(min(payload.count, 1 + generator.below(12)))
            case 6: payload += generator.bytes(count: 1 + generator.below(12))
            case 7: changeText(kind, &payload)
            case 8: payload.removeLast(generator.below(payload.count + 1))
            default: repeatPart(&payload)
            }
        }
        return payload
    }

    /// Where numbers stand: in the fields, and in what begins behind them.
    private func fields(_ kind: UInt8) -> [(offset: Int, width: Int)] {
        guard let form = MessageForm.of(kind) else { return [] }
        var fields: [(Int, Int)] = []
        var offset = 0
        for field in form.fields {
            fields.append((offset, min(field.width, 8)))
            if field.width > 1 { fields.append((offset + field.width - 1, 1)) }
            offset += field.width
        }
        switch form.rest {
        case .nothing, .anything: break
        case .numbers: fields.append((offset, 8))
        case .ranges: fields += [(offset, 4), (offset + 4, 4), (offset + 12, 4)]
        case .text: fields += [(offset, 2), (offset, 2)]
        }
        return fields
    }

    private mutating func setField(_ kind: UInt8, _ payload: inout [UInt8]) {
        guard let (offset, width) = fields(kind).randomElement(using: &generator),
            offset + width <= payload.count
        else { return flip(&payload) }
        let current = MessageField.number(payload[offset..<offset + width])
        let landmarks =
            [
                512, 4096, 8192, 1 << 20, 1 << 24, 1 << 28, 1 << 31, 1 << 56, UInt64(Int64.max),
                .max,
                UInt64(payload.count), 6, 63,
            ] as [UInt64]
        payload.put(
            generator.edgeValue(width: width, near: current, landmarks), width: width, at: offset)
    }

    private mutating func flip(_ payload: inout [UInt8]) {
        guard !payload.isEmpty else { return }
        let index = generator.below(payload.count)
        payload[index] =
            generator.once(in: 2)
            ? payload[index] ^ 1 << UInt8(generator.below(8)) : UInt8(generator.below(256))
    }

    /// Puts other bytes into a text, whose length stays or is right again.
    private mutating func changeText(_ kind: UInt8, _ payload: inout [UInt8]) {
        guard let form = MessageForm.of(kind), case .text(let counts) = form.rest else {
            return flip(&payload)
        }
        let start = form.fieldsByteCount + 2
        guard payload.count > start else { return flip(&payload) }
        if generator.once(in: 8) {
            // Longer than may be by a byte.
            let text = [UInt8](repeating: UInt8(ascii: "z"), count: counts.upperBound + 1)
            payload.replaceSubrange(start..., with: text)
        } else {
            let wrong = Self.wrongTexts.randomElement(using: &generator) ?? []
            let place = start + generator.below(payload.count - start + 1)
            let end = min(place + generator.below(3), payload.count)
            payload.replaceSubrange(place..<end, with: wrong)
        }
        if !generator.once(in: 4) {
            payload.put(UInt64(payload.count - start), width: 2, at: start - 2)
        }
    }

    private mutating func repeatPart(_ payload: inout [UInt8]) {
        guard !payload.isEmpty else { return }
        let start = generator.below(payload.count)
        let end = min(payload.count, start + [1, 4, 8, 12][generator.below(4)])
        payload.insert(contentsOf: payload[start..<end], at: start)
    }
}
