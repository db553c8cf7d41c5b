internal import BlockIO
internal import Storage
internal import VHDX

extension JournaledReplica where File: ~Copyable {
    /// Compares the replica with a primary on another host and takes what differs from there, up to the
    /// commit point.
    ///
    /// An unfinished journal of the same two states is gone on with: what it holds is not sent again.
    ///
    /// - Returns: what the sender has counted, and the journal; none where nothing differs.
    func receive(
        _ source: SourceOffer, through receiver: RemoteReceiver,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState
    ) throws(ResyncError) -> Received<File> {
        try receive(source, through: receiver, on: target, targetState) {
            (records, outcome, baseRoot, _) throws(ResyncError) in
            let journal = try commit(&records, baseRoot: baseRoot, resultRoot: outcome.resultRoot)
            return Received(finish: outcome.finish, journal: journal)
        }
    }

    /// As above, up to right before the commit point.
    func prepare(
        _ source: SourceOffer, through receiver: RemoteReceiver,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState
    ) throws(ResyncError) -> (finish: Finish, journal: PreparedJournal?) {
        let isMarked = target.mark != nil
        return try receive(source, through: receiver, on: target, targetState) {
            (records, outcome, baseRoot, header) throws(ResyncError) in
            let journal = try prepare(
                records.take(), header, isMarked: isMarked, baseRoot: baseRoot,
                resultRoot: outcome.resultRoot)
            return (outcome.finish, journal)
        }
    }

    /// As above, and `end` does with what was recorded what is to be done.
    private func receive<Result: ~Copyable>(
        _ source: SourceOffer, through receiver: RemoteReceiver,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState,
        end endRecords: (
            inout ReceivedRecords<File>, RemoteReceiver.Outcome, BlockDigest, DeltaHeader
        ) throws(ResyncError) -> Result
    ) throws(ResyncError) -> Result {
        let new = DeltaHeader(
            virtualSize: target.virtualSize, blockSize: options.blockSize, streamID: .random(),
            base: targetState, source: source.state, resultDataWriteGUID: .random())
        try checkRoom(for: new, on: target)
        let found = ReceivedRecords(writer: try unfinished(like: new))
        let header = found.header ?? new
        let (end, heldCount) = (found.endBlock, found.blockCount)
        let records = Lock(found)
        let offer = TargetOffer(
            virtualSize: target.virtualSize, salt: .random(),
            resultState: target.isMarkable ? header.resultDataWriteGUID : .zero,
            heldBlockCount: heldCount, isDone: false)
        do throws(ResyncError) {
            let held = Lock(try heldRecords(upTo: end))
            let heldGrowth = SharedCount()
            let heldBlockCount = SharedCount()
            let application = try DeltaApplication(header, options: options, monitor: monitor)
            receiver.channel.send(.target(offer))
            let outcome = try receiver.run(
                target, for: header, salt: offer.salt,
                knowledge: { (blocks) throws(ResyncError) in
                    guard blocks.lowerBound < end else { return .nothing }
                    let found = try held.withLock { (held) throws(ResyncError) in
                        try held?.blocks(in: blocks) ?? []
                    }
                    for run in found {
                        heldBlockCount.add(UInt64(run.range.count))
                        guard run.digests != nil else { continue }
                        let first = blocks.lowerBound + UInt64(run.range.lowerBound)
                        heldGrowth.add(
                            try newSpace(for: first..<first + UInt64(run.range.count), on: target))
                    }
                    return WindowKnowledge(held: found)
                }
            ) { (intake) throws(ResyncError) in
                try application.check(intake) { (record) throws(ResyncError) in
                    guard record.blocks.lowerBound >= end else {
                        throw .outdatedJournal(path: store.path)
                    }
                    let newSpace =
                        record.kind == .data ? try newSpace(for: record.blocks, on: target) : 0
                    try records.withLock { (records) throws(ResyncError) in
                        if !records.isBegun { records.begin(try newJournal(header)) }
                        records.growth += newSpace
                        try checkSpace(for: heldGrowth.current + records.growth)
                        count(recorded: try records.append(record))
                    }
                } failed: { error in
                    // An error here would hide the one that led here.
                    try? keep(records, after: error)
                }
            }
            guard outcome.resultRoot == outcome.finish.root else {
                throw .proofFailed(primary: outcome.finish.root, replica: outcome.resultRoot)
            }
            let baseRoot = heldBlockCount.current == 0 ? outcome.baseRoot : .zero
            return try records.withLock { (records) throws(ResyncError) in
                try endRecords(&records, outcome, baseRoot, header)
            }
        } catch {
            try keep(records, after: error)
            throw error
        }
    }

    private func commit(
        _ records: inout ReceivedRecords<File>, baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> DeltaReader<File>? {
        guard let writer = records.take() else { return nil }
        return try commit(writer, baseRoot: baseRoot, resultRoot: resultRoot)
    }

    private func keep(
        _ records: Lock<ReceivedRecords<File>>, after error: ResyncError
    ) throws(ResyncError) {
        try keep(after: error) {
            records.withLock { records in try? records.flush() }
        }
    }
}

/// What came of taking the records of another host.
struct Received<File: RandomAccessFile & ~Copyable>: ~Copyable {
    var finish: Finish
    /// The committed journal; nil where nothing differs.
    var journal: DeltaReader<File>?
}

/// Records of another host, on their way to the journal.
private struct ReceivedRecords<File: RandomAccessFile & ~Copyable>: ~Copyable {
    /// Nil until the first record is there.
    private var writer: DeltaWriter<File>?
    /// Of the stream that an earlier run has begun.
    let header: DeltaHeader?
    /// Behind the last block that an earlier run has received.
    let endBlock: UInt64
    /// How many blocks that were.
    let blockCount: UInt64
    /// Bytes of content that the replica has no space for yet.
    var growth: UInt64 = 0

    init(writer: consuming DeltaWriter<File>?) {
        if let found = writer.take() {
            header = found.header
            endBlock = found.endBlock
            blockCount = found.dataBlockCount + found.zeroBlockCount
            self.writer = consume found
        } else {
            header = nil
            endBlock = 0
            blockCount = 0
            self.writer = nil
        }
    }

    var isBegun: Bool { writer != nil }

    mutating func begin(_ new: consuming DeltaWriter<File>) { writer = consume new }

    mutating func take() -> DeltaWriter<File>? { writer.take() }

    /// - Returns: how many bytes the journal has grown by.
    mutating func append(_ record: DeltaRecord) throws(ResyncError) -> UInt64 {
        guard var open = writer.take() else { return 0 }
        let before = open.byteCount
        do throws(ResyncError) {
            try open.append(copying: record)
        } catch {
            writer = consume open
            throw error
        }
        let count = open.byteCount - before
        writer = consume open
        return count
    }

    mutating func flush() throws(ResyncError) {
        guard var open = writer.take() else { return }
        try open.flush()
    }
}
