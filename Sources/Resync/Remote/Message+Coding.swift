internal import Storage

// The bytes of messages. The fields stand in the order of the types' tables.

extension Message {
    /// The most that a message of each kind may hold, in bytes.
    package static func maximumByteCount(_ kind: Kind) -> Int {
        switch kind {
        case .hello: 1024
        case .open: OpenRequest.pathOffset + 2 + OpenRequest.maximumPathByteCount
        case .source: SourceOffer.byteCount
        case .target: TargetOffer.byteCount
        case .digests: 65536
        case .nodesWanted: 8
        case .nodes: 8 + RemoteGeometry.maximumNodeCount * ShortDigest.byteCount
        case .blocksWanted: 8 + RemoteGeometry.maximumNodeCount / 8
        case .blocks: 8 + RemoteGeometry.maximumRangeBlockCount * ShortDigest.byteCount
        case .records: DeltaRecordBuffer.maximumByteCount
        case .settled: 8
        case .finish: Finish.byteCount
        case .status: RemoteStatus.byteCount
        case .result:
            40 + RemoteCounts.byteCount + 2 + OpenRequest.maximumPathByteCount
        case .failure: 10 + PeerFailure.maximumTextByteCount
        case .prepared: PreparedJournal.encodedByteCount
        }
    }

    package var kind: Kind {
        switch self {
        case .hello: .hello
        case .open: .open
        case .source: .source
        case .target: .target
        case .digests: .digests
        case .nodesWanted: .nodesWanted
        case .nodes: .nodes
        case .blocksWanted: .blocksWanted
        case .blocks: .blocks
        case .records: .records
        case .settled: .settled
        case .finish: .finish
        case .status: .status
        case .result: .result
        case .failure: .failure
        case .prepared: .prepared
        }
    }

    /// The bytes of the message, without its kind.
    package func encoded() -> [UInt8] {
        var fields = FieldWriter()
        switch self {
        case .hello(let hello): hello.encode(into: &fields)
        case .open(let request): request.encode(into: &fields)
        case .source(let offer): offer.encode(into: &fields)
        case .target(let offer): offer.encode(into: &fields)
        case .digests(let ranges): for range in ranges { range.encode(into: &fields) }
        case .nodesWanted(let first), .settled(let first): fields.append(first)
        case .nodes(let first, let digests), .blocks(let first, let digests):
            fields.append(first)
            for digest in digests { fields.append(digest.value) }
        case .blocksWanted(let first, let nodes):
            fields.append(first)
            fields.append(Self.bits(nodes))
        case .records(let bytes), .prepared(let bytes): return bytes
        case .finish(let finish): finish.encode(into: &fields)
        case .status(let status): status.encode(into: &fields)
        case .result(let result): result.encode(into: &fields)
        case .failure(let failure): failure.encode(into: &fields)
        }
        return fields.bytes
    }

    /// Decodes and checks a message by its form. What its numbers mean is checked by who gets it.
    ///
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    package init(_ kind: Kind, _ bytes: [UInt8]) throws(ResyncError) {
        var fields = FieldReader(bytes, of: kind)
        switch kind {
        case .hello:
            // What a later version adds behind is none of ours.
            self = .hello(try Hello(decoding: &fields))
            return
        case .open: self = .open(try OpenRequest(decoding: &fields))
        case .source: self = .source(try SourceOffer(decoding: &fields))
        case .target: self = .target(try TargetOffer(decoding: &fields))
        case .digests:
            var ranges: [WindowRange] = []
            repeat {
                ranges.append(try WindowRange(decoding: &fields))
            } while fields.remainingCount > 0
            self = .digests(ranges)
        case .nodesWanted: self = .nodesWanted(first: try fields.next(UInt64.self))
        case .nodes:
            self = .nodes(first: try fields.next(UInt64.self), try Self.digests(&fields))
        case .blocksWanted:
            let first = try fields.next(UInt64.self)
            var nodes: [Bool] = []
            while fields.remainingCount > 0 {
                let byte = try fields.next(UInt8.self)
                for bit in 0..<8 { nodes.append(byte & 1 << bit != 0) }
            }
            self = .blocksWanted(first: first, nodes: nodes)
        case .blocks:
            self = .blocks(first: try fields.next(UInt64.self), try Self.digests(&fields))
        case .records:
            self = .records(bytes)
            return
        case .settled: self = .settled(try fields.next(UInt64.self))
        case .finish: self = .finish(try Finish(decoding: &fields))
        case .status: self = .status(try RemoteStatus(decoding: &fields))
        case .result: self = .result(try RemoteResult(decoding: &fields))
        case .failure: self = .failure(try PeerFailure(decoding: &fields))
        case .prepared: self = .prepared(try fields.next(PreparedJournal.encodedByteCount))
        }
        try fields.end()
    }

    private static func digests(
        _ fields: inout FieldReader
    ) throws(ResyncError) -> [ShortDigest] {
        var digests: [ShortDigest] = []
        digests.reserveCapacity(fields.remainingCount / ShortDigest.byteCount)
        while fields.remainingCount > 0 {
            digests.append(ShortDigest(value: try fields.next(UInt64.self)))
        }
        return digests
    }

    /// Eight to a byte, the first in bit 0.
    private static func bits(_ values: [Bool]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: (values.count + 7) / 8)
        for (index, value) in values.enumerated() where value {
            bytes[index / 8] |= 1 << (index % 8)
        }
        return bytes
    }
}

extension Hello {
    func encode(into fields: inout FieldWriter) {
        fields.append(Self.magic)
        fields.append(version)
        fields.append(oldest)
        fields.append(features)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        for expected in Self.magic {
            guard try fields.next(UInt8.self) == expected else {
                throw fields.violation("another magic")
            }
        }
        version = try fields.next(UInt16.self)
        oldest = try fields.next(UInt16.self)
        features = try fields.next(UInt32.self)
        guard oldest <= version else { throw fields.violation("versions \(oldest) to \(version)") }
    }

    /// The version that both sides speak.
    ///
    /// - Throws: ``ResyncError/unsupportedProtocol(oldest:newest:)``.
    func commonVersion(with other: Hello) throws(ResyncError) -> UInt16 {
        let common = min(version, other.version)
        guard common >= max(oldest, other.oldest) else {
            throw .unsupportedProtocol(oldest: other.oldest, newest: other.version)
        }
        return common
    }
}

extension OpenRequest {
    func encode(into fields: inout FieldWriter) {
        fields.append(role.rawValue)
        fields.append(UInt8(DiskFormat.allCases.firstIndex(of: format) ?? 0))
        fields.append(zeros: 2)
        fields.append(flags.rawValue)
        fields.append(blockSize)
        fields.append(zeros: 4)
        fields.append(bytesPerSecond)
        fields.append(expectedState)
        fields.append(path, atMost: Self.maximumPathByteCount)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        let role = try fields.next(UInt8.self)
        guard let role = ClientRole(rawValue: role) else { throw fields.violation("role \(role)") }
        let format = Int(try fields.next(UInt8.self))
        guard DiskFormat.allCases.indices.contains(format) else {
            throw fields.violation("format \(format)")
        }
        try fields.skipZeros(2)
        let flags = Flags(rawValue: try fields.next(UInt32.self))
        let asked = flags.intersection(.ofPreparing)
        guard flags.isSubset(of: .all), asked.rawValue.nonzeroBitCount <= 1,
            asked.isEmpty || role == .sender && !flags.contains(.dryRun)
        else { throw fields.violation("flags \(flags.rawValue)") }
        let blockSize = try fields.next(UInt32.self)
        guard ResyncOptions.blockSizes.contains(Int(blockSize)), blockSize.nonzeroBitCount == 1
        else { throw fields.violation("block size \(blockSize)") }
        try fields.skipZeros(4)
        self.init(
            role: role, format: DiskFormat.allCases[format], flags: flags, blockSize: blockSize,
            bytesPerSecond: try fields.next(UInt64.self), expectedState: try fields.nextGUID(),
            path: try fields.nextText(atMost: Self.maximumPathByteCount))
        guard !path.isEmpty, !path.utf8.contains(0) else { throw fields.violation("no path") }
    }
}

extension SourceOffer {
    func encode(into fields: inout FieldWriter) {
        fields.append(virtualSize)
        fields.append(state)
        fields.append(shape?.blockSize ?? 0)
        fields.append(shape?.logicalSectorSize ?? 0)
        fields.append(shape?.physicalSectorSize ?? 0)
        fields.append(UInt8(shape?.isFixed == true ? 1 : 0))
        fields.append(zeros: 7)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        virtualSize = try fields.next(UInt64.self)
        guard virtualSize <= DigestTree.maximumVirtualSize else {
            throw fields.violation("virtual size \(virtualSize)")
        }
        state = try fields.nextState()
        let blockSize = try fields.next(UInt64.self)
        let logical = try fields.next(UInt32.self)
        let physical = try fields.next(UInt32.self)
        let isFixed = try fields.nextFlag()
        try fields.skipZeros(7)
        guard blockSize > 0 else {
            guard logical == 0, physical == 0, !isFixed else {
                throw fields.violation("sector sizes of a raw disk")
            }
            shape = nil
            return
        }
        guard (1 << 20...256 << 20).contains(blockSize), blockSize.nonzeroBitCount == 1 else {
            throw fields.violation("payload block size \(blockSize)")
        }
        guard [512, 4096].contains(logical), [512, 4096].contains(physical) else {
            throw fields.violation("sector sizes \(logical) and \(physical)")
        }
        shape = ImageShape(
            blockSize: blockSize, logicalSectorSize: logical, physicalSectorSize: physical,
            isFixed: isFixed)
    }
}

extension TargetOffer {
    func encode(into fields: inout FieldWriter) {
        fields.append(virtualSize)
        fields.append(salt)
        fields.append(resultState)
        fields.append(heldBlockCount)
        fields.append(UInt32(isDone ? 1 : 0))
        fields.append(zeros: 4)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        virtualSize = try fields.next(UInt64.self)
        salt = try fields.nextGUID()
        resultState = try fields.nextGUID()
        heldBlockCount = try fields.next(UInt64.self)
        let flags = try fields.next(UInt32.self)
        guard flags <= 1 else { throw fields.violation("flags \(flags)") }
        isDone = flags == 1
        try fields.skipZeros(4)
    }
}

extension WindowRange {
    func encode(into fields: inout FieldWriter) {
        guard let digest else {
            fields.append(windowCount | Self.zerosBit)
            return
        }
        fields.append(windowCount)
        fields.append(digest.value)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        let word = try fields.next(UInt32.self)
        windowCount = word & ~Self.zerosBit
        guard windowCount > 0 else { throw fields.violation("a range of no windows") }
        guard word & Self.zerosBit == 0 else {
            digest = nil
            return
        }
        digest = ShortDigest(value: try fields.next(UInt64.self))
    }
}

extension RemoteCounts {
    /// All counts, in the order of the bytes.
    private static var fields: [WritableKeyPath<RemoteCounts, UInt64>] {
        [
            \.blocksSkipped, \.blocksCompared, \.blocksDiffering, \.blocksHeld, \.bytesRead,
            \.bytesHashed, \.bytesToZero, \.bytesWritten, \.bytesRecorded, \.bytesApplied,
            \.bytesVerified,
        ]
    }

    /// No more than ``maximum`` of anything.
    var bounded: RemoteCounts {
        var counts = self
        for field in Self.fields {
            counts[keyPath: field] = min(self[keyPath: field], Self.maximum)
        }
        return counts
    }

    func encode(into fields: inout FieldWriter) {
        for field in Self.fields { fields.append(self[keyPath: field]) }
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        self.init()
        for field in Self.fields { self[keyPath: field] = try fields.next(UInt64.self) }
    }
}

extension Finish {
    func encode(into fields: inout FieldWriter) {
        fields.append(root)
        fields.append(differingBlockCount)
        counts.encode(into: &fields)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        root = try fields.nextDigest()
        differingBlockCount = try fields.next(UInt64.self)
        counts = try RemoteCounts(decoding: &fields)
    }
}

extension RemoteStatus {
    func encode(into fields: inout FieldWriter) {
        fields.append(UInt8(phase.rawValue + 1))
        fields.append(zeros: 7)
        fields.append(bytesDone)
        fields.append(bytesToDo)
        counts.encode(into: &fields)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        let number = try fields.next(UInt8.self)
        guard let phase = ResyncPhase(rawValue: Int(number) - 1), phase != .opening,
            phase != .finished
        else {
            throw fields.violation("phase \(number)")
        }
        self.phase = phase
        try fields.skipZeros(7)
        bytesDone = try fields.next(UInt64.self)
        bytesToDo = try fields.next(UInt64.self)
        counts = try RemoteCounts(decoding: &fields)
    }
}

extension RemoteResult {
    func encode(into fields: inout FieldWriter) {
        fields.append(root)
        fields.append(UInt8(preparation.rawValue))
        let (number, path) =
            switch recovery {
            case .nothingToDo: (UInt8(0), "")
            case .unfinishedJournal(let path): (UInt8(1), path)
            case .finished(let path): (UInt8(2), path)
            }
        fields.append(number)
        fields.append(UInt8(isVerified ? 1 : 0))
        fields.append(zeros: 5)
        counts.encode(into: &fields)
        fields.append(path, atMost: OpenRequest.maximumPathByteCount)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        root = try fields.nextDigest()
        let made = try fields.next(UInt8.self)
        guard let preparation = ReplicaPreparation(rawValue: Int(made)) else {
            throw fields.violation("preparation \(made)")
        }
        self.preparation = preparation
        let recovered = try fields.next(UInt8.self)
        isVerified = try fields.nextFlag()
        try fields.skipZeros(5)
        counts = try RemoteCounts(decoding: &fields)
        let path = try fields.nextText(atMost: OpenRequest.maximumPathByteCount)
        switch recovered {
        case 0 where path.isEmpty: recovery = .nothingToDo
        case 1 where !path.isEmpty: recovery = .unfinishedJournal(path)
        case 2 where !path.isEmpty: recovery = .finished(journal: path)
        default:
            throw fields.violation("recovery \(recovered) with a path of \(path.utf8.count) bytes")
        }
    }
}

extension PeerFailure {
    func encode(into fields: inout FieldWriter) {
        fields.append(code)
        fields.append(UInt8(condition.rawValue))
        fields.append(zeros: 3)
        fields.append(text, atMost: Self.maximumTextByteCount)
    }

    init(decoding fields: inout FieldReader) throws(ResyncError) {
        code = try fields.next(UInt32.self)
        let number = try fields.next(UInt8.self)
        guard let condition = ReplicaCondition(rawValue: Int(number)) else {
            throw fields.violation("condition \(number)")
        }
        self.condition = condition
        try fields.skipZeros(3)
        text = try fields.nextText(atMost: Self.maximumTextByteCount)
    }
}
