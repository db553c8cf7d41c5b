internal import BlockIO
internal import Storage
internal import VHDX

/// What came of a comparison that records.
struct Recorded<File: RandomAccessFile & ~Copyable>: ~Copyable {
    /// What the disks read as; nil in a comparison of bytes.
    var roots: ComparisonEngine.Roots?
    /// The committed journal; nil where nothing differs.
    var journal: DeltaReader<File>?
}

/// A replica that is written through a journal: nothing of it is touched before everything is in the
/// journal, durable and proven, and from then on the journal finishes it whatever happens.
///
/// 1. Differences go to the journal. A stop leaves the replica as it was, and what is recorded is not
///    recorded again.
/// 2. The commit point: the journal gets its trailer, and is durable with its name.
/// 3. The replica gets a mark with the journal's name, durably: it refuses to open.
/// 4. The records are written, made durable, and read back.
/// 5. The mark goes, and then the journal.
///
/// A stop after 2 leaves the replica as it was, or marked, or as it is to be, and a journal that
/// makes it that.
struct JournaledReplica<File: RandomAccessFile & ~Copyable>: Sendable {
    let store: JournalStore<File>
    let options: ResyncOptions
    let monitor: ResyncMonitor
    /// What to call the replica in a message.
    let replica: String
    /// Bytes that are free where the replica grows; nil where nobody can tell.
    var freeByteCount: @Sendable () throws(FileError) -> UInt64? = { nil }

    // MARK: Finding

    /// What stands at the journal's place.
    enum Found {
        case nothing
        /// So little that it says nothing.
        case remains
        case unfinished(DeltaHeader)
        case committed(DeltaHeader, DeltaTrailer)
    }

    func find() throws(ResyncError) -> Found {
        guard let file = try onJournal({ () throws(FileError) in try store.open() }) else {
            return .nothing
        }
        let isRemains = try onJournal { () throws(FileError) in
            try DeltaStream.isRemainsOfHeader(file)
        }
        if isRemains { return .remains }
        let reader: DeltaReader<File>
        do throws(ResyncError) {
            reader = try DeltaReader(reading: file)
        } catch {
            guard case .notADelta = error else { throw error }
            throw foreign("it is no journal")
        }
        guard let trailer = reader.trailer else { return .unfinished(reader.header) }
        return .committed(reader.header, trailer)
    }

    /// The journal that was found.
    func openAgain() throws(ResyncError) -> File {
        let file = try onJournal { () throws(FileError) in try store.open() }
        guard let file else { throw foreign("it is gone") }
        return file
    }

    // MARK: Finishing what an earlier run began

    /// The committed journal of an earlier run, read as a whole and found right; nil where there is
    /// none.
    ///
    /// - Throws: ``ResyncError/foreignJournal(path:what:)`` where it is not this replica's.
    func journalOfEarlierRun(
        for target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState
    ) throws(ResyncError) -> DeltaReader<File>? {
        guard case .committed(let header, let trailer) = try find() else { return nil }
        let needsProof = try !isSure(header, isFor: target, targetState)
        monitor.setDisk(target.virtualSize, blockSize: header.blockSize)
        var reader = try DeltaReader(reading: try openAgain())
        while try reader.next() != nil {}
        // Whoever wrote it may have ended before it was durable.
        try onJournal { () throws(FileError) in
            try reader.input.file.flush()
            try store.flushName()
        }
        try reader.rewind()
        reader.trustStream()
        if needsProof { try checkResult(of: header, trailer, on: target) }
        monitor.note(.committed(path: store.path))
        return reader
    }

    /// Whether a committed journal is the replica's, which still has the state on which the journal
    /// builds, by the replica's own word; where it says nothing against it, its content must prove it.
    func isSure(
        _ header: DeltaHeader, isFor target: borrowing some ReplicaTarget & ~Copyable,
        _ targetState: DiskState
    ) throws(ResyncError) -> Bool {
        guard header.virtualSize == target.virtualSize else {
            throw foreign(
                "it is for a disk of \(header.virtualSize) bytes, and the replica has "
                    + "\(target.virtualSize)")
        }
        guard header.streamID != .zero, header.resultDataWriteGUID != .zero else {
            throw foreign("it is a delta, which belongs to no replica")
        }
        if target.isMarkable {
            let found = target.dataWriteGUID
            // What the journal announces is there from just before the mark to the journal's removal;
            // whoever wrote in place since then gave the image another name for its state.
            let isAnnounced = found == header.resultDataWriteGUID
            if isAnnounced, target.mark?.streamID == header.streamID { return true }
            guard isAnnounced || found == header.base.dataWriteGUID else {
                throw foreign(
                    "it builds on DataWriteGuid \(header.base.dataWriteGUID), and the replica has "
                        + "\(found)")
            }
            if isAnnounced, !header.hasRootDigests { return true }
        }
        let isUntouched =
            targetState == header.base && header.base.fileState != .zero
        guard isUntouched || header.hasRootDigests else {
            throw foreign("the replica was changed since, and nothing proves that it is the one")
        }
        return isUntouched
    }

    private func foreign(_ what: String) -> ResyncError {
        .foreignJournal(path: store.path, what: what)
    }

    /// Checks that the replica, with the journal's records over it, has the digest that the journal
    /// proves: for a disk that cannot say by itself whether it is the one.
    func checkResult(
        of header: DeltaHeader, _ trailer: DeltaTrailer,
        on target: borrowing some ReplicaTarget & ~Copyable
    ) throws(ResyncError) {
        let engine = try proofEngine(for: header)
        var records = HeldRecords(
            try DeltaReader(
                reading: try onJournal { () throws(FileError) in try store.openForReading() }),
            upTo: .max)
        monitor.begin(.comparing, bytesToDo: header.virtualSize)
        let roots = try engine.run(
            alone: target,
            knowledge: {
                (blocks) throws(ResyncError) in
                WindowKnowledge(held: try records.blocks(in: blocks))
            })
        guard let roots, roots.primary == trailer.resultRoot else {
            throw foreign("the replica holds something else than what it builds on")
        }
    }

    /// What finds the root digest of a disk in the blocks of a journal.
    func proofEngine(for header: DeltaHeader) throws(ResyncError) -> ComparisonEngine {
        var options = options
        options.blockSize = header.blockSize
        options.comparison = .hash
        return try ComparisonEngine(
            virtualSize: header.virtualSize, options: options, pass: .digest, monitor: monitor)
    }

    // MARK: Recording

    /// Compares the disks and records what differs, up to the commit point.
    ///
    /// An unfinished journal of the same two states is gone on with: of the blocks that it holds
    /// neither side is read. `check` is called last before the commit point, to see whether the source
    /// is still what it was.
    func record<Source: BlockSource & ~Copyable>(
        _ source: borrowing Source, _ sourceState: DiskState,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState,
        check: () throws(ResyncError) -> Void
    ) throws(ResyncError) -> Recorded<File> {
        try record(source, sourceState, on: target, targetState, check: check) {
            (recorder, roots, _) throws(ResyncError) in
            Recorded(roots: roots, journal: try commit(recorder, roots))
        }
    }

    /// As above, and `end` does with what was recorded what is to be done.
    func record<Source: BlockSource & ~Copyable, Result: ~Copyable>(
        _ source: borrowing Source, _ sourceState: DiskState,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState,
        check: () throws(ResyncError) -> Void,
        end: (
            DifferenceRecorder<DeltaWriter<File>>, ComparisonEngine.Roots?, DeltaHeader
        ) throws(ResyncError) -> Result
    ) throws(ResyncError) -> Result {
        let header = DeltaHeader(
            virtualSize: target.virtualSize, blockSize: options.blockSize, streamID: .random(),
            base: targetState, source: sourceState, resultDataWriteGUID: .random(),
            hasRootDigests: options.comparison == .hash)
        try checkRoom(for: header, on: target)
        var continued = try unfinished(like: header)
        while true {
            let recorder = DifferenceRecorder(continuing: continued.take(), monitor) {
                () throws(ResyncError) in try newJournal(header)
            }
            do throws(ResyncError) {
                let roots = try compare(source, target, recorder)
                try check()
                return try end(recorder, roots, header)
            } catch .outdatedJournal {
                // It does not say what the disks do: all of it is found out anew.
                try removeJournal()
                monitor.restart()
            } catch {
                try keep(recorder, after: error)
                throw error
            }
        }
    }

    func newJournal(_ header: DeltaHeader) throws(ResyncError) -> DeltaWriter<File> {
        let file = try onJournal { () throws(FileError) in try store.create() }
        monitor.note(.unfinished(path: store.path, isContinuable: header.isOfKnownStates))
        return try DeltaWriter(header, to: file)
    }

    /// Checks, before any work is done, that the replica can bear the mark that it will need.
    func checkRoom(
        for header: DeltaHeader, on target: borrowing some ReplicaTarget & ~Copyable
    ) throws(ResyncError) {
        try onDisk(.replica) { () throws(VHDXError) in
            try target.checkRoom(
                for: ApplyMark(streamID: header.streamID, journalPath: store.path))
        }
    }

    /// Whether the journal is there that a mark names, and it is complete.
    func holds(_ mark: ApplyMark) -> Bool {
        // What else is there, or wrong with it, does not matter here.
        guard case .committed(let header, _)? = try? find() else { return false }
        return header.streamID == mark.streamID
    }

    /// The unfinished journal of an earlier run that compared the same states in the same blocks;
    /// nil where there is none.
    func unfinished(
        like header: DeltaHeader
    ) throws(ResyncError) -> DeltaWriter<File>? {
        switch try find() {
        case .nothing, .remains: return nil
        case .committed: throw foreign("it is one that was committed for another replica")
        case .unfinished(let found):
            guard try isOfSameStates(found, header) else { return nil }
            monitor.note(.unfinished(path: store.path, isContinuable: header.isOfKnownStates))
            return try continuedJournal()
        }
    }

    private func continuedJournal() throws(ResyncError) -> DeltaWriter<File> {
        do throws(ResyncError) {
            return try DeltaWriter(continuing: try openAgain())
        } catch {
            if error.isFailedFlush { try removeJournal() }
            throw error
        }
    }

    /// Whether an unfinished journal was made of the disks as they are, in the same blocks.
    private func isOfSameStates(
        _ found: DeltaHeader, _ header: DeltaHeader
    ) throws(ResyncError) -> Bool {
        try check(found, isOf: header.base)
        var expected = header
        expected.streamID = found.streamID
        expected.resultDataWriteGUID = found.resultDataWriteGUID
        return found == expected && header.isOfKnownStates
    }

    /// Checks that an unfinished journal is the replica's own, in whatever state, so that it may be
    /// replaced.
    private func check(_ found: DeltaHeader, isOf base: DiskState) throws(ResyncError) {
        guard found.base.virtualDiskID == base.virtualDiskID else {
            throw foreign(
                "it builds on the disk \(found.base.virtualDiskID), and the replica is "
                    + "\(base.virtualDiskID)")
        }
    }

    private func compare(
        _ source: borrowing some BlockSource & ~Copyable,
        _ target: borrowing some ReplicaTarget & ~Copyable,
        _ recorder: DifferenceRecorder<DeltaWriter<File>>
    ) throws(ResyncError) -> ComparisonEngine.Roots? {
        let engine = try ComparisonEngine(
            virtualSize: target.virtualSize, options: options, pass: .record, monitor: monitor)
        let end = recorder.endBlock
        var held = try heldRecords(upTo: end)
        var heldGrowth: UInt64 = 0
        monitor.begin(.comparing, bytesToDo: target.virtualSize)
        let roots = try engine.run(
            primary: source, replica: target, sink: recorder,
            knowledge: { (blocks) throws(ResyncError) in
                try checkSpace(for: heldGrowth + recorder.growth)
                guard blocks.lowerBound < end else { return .nothing }
                let found = try held?.blocks(in: blocks) ?? []
                for run in found where run.digests != nil {
                    let first = blocks.lowerBound + UInt64(run.range.lowerBound)
                    heldGrowth += try newSpace(
                        for: first..<first + UInt64(run.range.count), on: target)
                }
                return WindowKnowledge(held: found)
            })
        try checkSpace(for: heldGrowth + recorder.growth)
        return roots
    }

    /// What the journal has recorded before a block; nil where that is nothing.
    func heldRecords(upTo end: UInt64) throws(ResyncError) -> HeldRecords<File>? {
        guard end > 0 else { return nil }
        return HeldRecords(
            try DeltaReader(
                reading: try onJournal { () throws(FileError) in try store.openForReading() }),
            upTo: end)
    }

    /// Checks that the replica can grow by what was recorded. Its structures need a little more.
    func checkSpace(for growth: UInt64) throws(ResyncError) {
        guard growth > 0 else { return }
        let free = try onJournal { () throws(FileError) in try freeByteCount() }
        guard let free, free < growth + Self.spareByteCount else { return }
        throw .noSpace(path: replica, needed: growth + Self.spareByteCount, free: free)
    }

    private static var spareByteCount: UInt64 { 2 << 20 }

    /// The commit point, where there is something to commit.
    private func commit(
        _ recorder: DifferenceRecorder<DeltaWriter<File>>, _ roots: ComparisonEngine.Roots?
    ) throws(ResyncError) -> DeltaReader<File>? {
        try checkProof(roots)
        guard let writer = try recorder.finish() else { return nil }
        return try commit(
            writer, baseRoot: roots?.replica ?? .zero, resultRoot: roots?.result ?? .zero)
    }

    /// Where nothing was recorded, too: then this is the proof that nothing differs.
    func checkProof(_ roots: ComparisonEngine.Roots?) throws(ResyncError) {
        guard let roots, let result = roots.result, result != roots.primary else { return }
        throw .proofFailed(primary: roots.primary, replica: result)
    }

    /// Makes a journal durable, and the one that finishes the replica from then on.
    func commit(
        _ writer: consuming DeltaWriter<File>, baseRoot: BlockDigest,
        resultRoot: BlockDigest
    ) throws(ResyncError) -> DeltaReader<File> {
        try onJournal { () throws(FileError) in try store.flushName() }
        var reader = try DeltaReader(
            reading: try writer.finish(baseRoot: baseRoot, resultRoot: resultRoot))
        reader.trustStream()
        monitor.note(.committed(path: store.path))
        return reader
    }

    /// After an error before the commit point: the journal is kept where the next run can use it.
    private func keep(
        _ recorder: DifferenceRecorder<DeltaWriter<File>>, after error: ResyncError
    ) throws(ResyncError) {
        try keep(after: error) { recorder.flush() }
    }

    /// As above; `flush` hands what is recorded to the file.
    func keep(after error: ResyncError, flush: () -> Void) throws(ResyncError) {
        switch error {
        case .primaryChanged, .proofFailed, .noSpace, .outdatedJournal: try removeJournal()
        case _ where error.isOutOfSpace || error.isFailedFlush: try removeJournal()
        default: flush()
        }
    }

    /// Makes a delta the committed journal of a replica whose content was proven to be its base.
    func copy(
        _ delta: consuming DeltaReader<DiskFile>,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState
    ) throws(ResyncError) -> DeltaReader<File> {
        var header = delta.header
        let trailer = try delta.requiredTrailer()
        header.streamID = .random()
        header.base = targetState
        header.resultDataWriteGUID = .random()
        try checkRoom(for: header, on: target)
        _ = try unfinished(like: header)
        var growth: UInt64 = 0
        let file = try onJournal { () throws(FileError) in try store.create() }
        monitor.note(.unfinished(path: store.path, isContinuable: false))
        do throws(ResyncError) {
            var writer = try DeltaWriter(header, to: file)
            monitor.begin(
                .receiving, bytesToDo: delta.byteCount - UInt64(DeltaTrailer.byteCount))
            count(writer.byteCount)
            while let record = try delta.next() {
                let before = writer.byteCount
                if let reason = monitor.stopReason { throw .stopped(reason) }
                if record.kind == .data {
                    growth += try newSpace(for: record.blocks, on: target)
                }
                try checkSpace(for: growth)
                try writer.append(copying: record)
                count(writer.byteCount - before)
            }
            return try commit(
                writer, baseRoot: trailer.baseRoot, resultRoot: trailer.resultRoot)
        } catch {
            try removeJournal()
            throw error
        }
    }

    /// Counts what came from another host.
    func count(recorded byteCount: UInt64) {
        var counts = ResyncCounts()
        counts.bytesRecorded = byteCount
        monitor.add(counts)
    }

    /// Counts what was copied to the journal.
    private func count(_ byteCount: UInt64) {
        var counts = ResyncCounts()
        counts.bytesRecorded = byteCount
        counts.bytesDone = byteCount
        monitor.add(counts)
    }

    /// How many bytes content of these blocks takes where the target has no space yet.
    func newSpace(
        for blocks: Range<UInt64>, on target: borrowing some ReplicaTarget & ~Copyable
    ) throws(ResyncError) -> UInt64 {
        let size = UInt64(options.blockSize)
        let end = min(blocks.upperBound * size, target.virtualSize)
        let extents = try onDisk(.replica) { () throws(VHDXError) in
            try target.extents(in: blocks.lowerBound * size..<end)
        }
        return extents.reduce(0) { $0 + ($1.state == .zero ? $1.range.byteCount : 0) }
    }

    func removeJournal() throws(ResyncError) {
        try onJournal { () throws(FileError) in try store.remove() }
        monitor.note(JournalCondition.none)
    }

    // MARK: Applying

    /// Writes a committed journal to the replica, and proves that it reads as the journal says. The
    /// caller removes the journal, and then closes the target. A target that is not visible, a copy that
    /// nobody else sees, needs no mark.
    func apply(
        _ journal: consuming DeltaReader<File>,
        to target: borrowing some ReplicaTarget & ~Copyable, isVisible: Bool = true,
        bytesToZero: UInt64? = nil
    ) throws(ResyncError) {
        let header = journal.header
        let application = try DeltaApplication(header, options: options, monitor: monitor)
        target.chooseDataWriteGUID(header.resultDataWriteGUID)
        if isVisible {
            monitor.note(isMarkable: target.isMarkable)
            monitor.note(.halfWritten)
            try onDisk(.replica) { () throws(VHDXError) in
                try target.setMark(ApplyMark(streamID: header.streamID, journalPath: store.path))
            }
        }
        let stream = Lock(journal)
        try application.write(stream, to: target, bytesToZero: bytesToZero)
        try onDisk(.replica) { () throws(VHDXError) in try target.commit() }
        try stream.withLock { (reader) throws(ResyncError) in try reader.rewind() }
        try application.verify(stream, on: target)
        try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
        if isVisible { monitor.note(.written) }
    }
}

extension ResyncError {
    /// Whether a journal could not be made durable. What is read of it from then on need not be what is
    /// on the device, and a later flush that succeeds proves nothing.
    fileprivate var isFailedFlush: Bool {
        if case .file(.system(.flush, _, _, _)) = self { true } else { false }
    }
}
