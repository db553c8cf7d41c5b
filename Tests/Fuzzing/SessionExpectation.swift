internal import TestSupport

/// What must come of a message to a receiver's session.
enum ReceiverOutcome: Equatable {
    case refused
    case nothing
    case answer(RawMessage)
    case records([RawRecords.Record])
    case finished
}

extension RawMessage {
    /// A message that is a number and what follows it.
    init(_ kind: UInt8, first: UInt64, _ rest: [UInt8] = []) {
        self.init(kind, ModelDigester.bytes(of: first) + rest)
    }

    init(_ ranges: [ModelRange]) {
        self.init(
            5,
            ranges.flatMap { range in
                let word = range.windowCount | (range.digest == nil ? 1 << 31 : 0)
                return ModelDigester.bytes(of: word).prefix(4)
                    + (range.digest.map(ModelDigester.bytes(of:)) ?? [])
            })
    }

    init(_ question: SenderModel.Question) {
        switch question {
        case .nodes(let first): self.init(6, first: first)
        case .blocks(let first, let nodes):
            var bytes = [UInt8](repeating: 0, count: (nodes.count + 7) / 8)
            for (index, isWanted) in nodes.enumerated() where isWanted {
                bytes[index / 8] += 1 << UInt8(index % 8)
            }
            self.init(8, first: first, bytes)
        }
    }

    /// An answer.
    init(_ kind: UInt8, first: UInt64, digests: [UInt64]) {
        self.init(kind, first: first, digests.flatMap(ModelDigester.bytes(of:)))
    }
}

/// A receiver as docs/protocol.md has it: the model, with messages as bytes.
struct ReceiverExpectation {
    private(set) var model: ReceiverModel
    private let disk: SessionDisk
    private let form: RawRecords
    /// What came: the blocks, and the leaves that they are to have; nil for zeros.
    private var recorded: [(blocks: Range<UInt64>, leaves: [UInt8]?)] = []

    /// Root digests are computed of disks with no more blocks.
    private static let fewBlocks: UInt64 = 1 << 18

    init(_ script: SessionScript, _ disk: SessionDisk) {
        self.disk = disk
        model = ReceiverModel(disk.digester(salt: script.salt))
        form = RawRecords(
            blockSize: disk.geometry.blockSize, virtualSize: disk.geometry.virtualSize)
    }

    /// The next window is hashed.
    ///
    /// - Returns: what the sender is told.
    mutating func hash() -> RawMessage {
        RawMessage(model.hashed(disk.leaves(of: model.hashedEnd)))
    }

    mutating func takes(_ raw: RawMessage) -> ReceiverOutcome {
        guard raw.isRight else { return .refused }
        switch raw.kind {
        case 6:
            guard let digests = model.nodesWanted(raw.first) else { return .refused }
            return .answer(RawMessage(7, first: raw.first, digests: digests))
        case 8:
            guard let digests = model.blocksWanted(raw.first, raw.bits) else { return .refused }
            return .answer(RawMessage(9, first: raw.first, digests: digests))
        case 10: return takesRecords(raw.payload)
        case 11: return model.takesSettled(raw.first) ? .nothing : .refused
        case 12: return model.hasToldAll ? .finished : .refused
        default: return .refused
        }
    }

    private mutating func takesRecords(_ bytes: [UInt8]) -> ReceiverOutcome {
        var records: [RawRecords.Record] = []
        var start = 0
        repeat {
            guard
                let record = form.record(
                    in: bytes, at: start, limit: bytes.count, behind: model.position),
                model.takesRecord(record.blocks)
            else { return .refused }
            records.append(record)
            let digests = record.bytes.lowerBound + 24
            let end = digests + 32 * (record.isData ? record.blocks.count : 0)
            recorded.append((record.blocks, record.isData ? Array(bytes[digests..<end]) : nil))
            start = record.bytes.upperBound
        } while start < bytes.count
        return .records(records)
    }

    func content(of record: RawRecords.Record, in bytes: [UInt8]) -> [UInt8]? {
        form.content(of: record, in: bytes)
    }

    /// The root digests of the disk as it is and as it will be, and how many blocks of records differ
    /// from the disk; nil where that are too many.
    func end() -> (base: [UInt8], result: [UInt8], differing: UInt64)? {
        let geometry = disk.geometry
        guard geometry.blockCount <= Self.fewBlocks else { return nil }
        let base = disk.leaves(of: 0..<geometry.blockCount)
        var result = base
        var differing: UInt64 = 0
        for (blocks, leaves) in recorded {
            for (index, block) in blocks.enumerated() {
                let new = leaves?[index * 32..<index * 32 + 32] ?? disk.leaf(0, of: block)[...]
                let place = Int(block) * 32..<Int(block) * 32 + 32
                if result[place] != new { differing += 1 }
                result.replaceSubrange(place, with: new)
            }
        }
        let hasher = SHA256Hasher()
        return (hasher.root(base, geometry), hasher.root(result, geometry), differing)
    }
}

/// A sender as docs/protocol.md has it: the model, with messages as bytes.
struct SenderExpectation {
    var model: SenderModel
    let disk: SessionDisk

    init(_ script: SessionScript, _ disk: SessionDisk) {
        self.disk = disk
        model = SenderModel(
            disk.digester(salt: script.salt), isDryRun: script.isDryRun,
            expectsDone: script.expectsDone)
    }

    /// - Returns: whether a message is accepted.
    mutating func takes(_ raw: RawMessage) -> Bool {
        guard raw.isRight else { return false }
        switch raw.kind {
        case 4:
            return model.takesTarget(
                virtualSize: raw.first, salt: Array(raw.payload[8..<24]),
                heldBlockCount: raw.number(UInt64.self, 40), isDone: raw.payload[48] == 1)
        case 5:
            return model.takes(
                (raw.ranges ?? []).map {
                    ModelRange(windowCount: $0.windowCount, digest: $0.digest)
                })
        case 7: return model.takesNodes(raw.first, raw.digests)
        case 9: return model.takesBlocks(raw.first, raw.digests)
        case 13: return model.takesStatus
        case 14: return model.takesResult
        default: return false
        }
    }
}
