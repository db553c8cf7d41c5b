internal import BlockIO
internal import Storage
internal import VHDX

// A journal that is made and proven, and committed later.

extension JournaledReplica where File: ~Copyable {
    // MARK: Before the commit point

    /// Compares the disks and records what differs, durably, up to right before the commit point: what
    /// stands there is an unfinished journal.
    ///
    /// A replica that bears a mark gets a journal although nothing differs: its mark goes with it, and
    /// not before.
    func prepare<Source: BlockSource & ~Copyable>(
        _ source: borrowing Source, _ sourceState: DiskState,
        on target: borrowing some ReplicaTarget & ~Copyable, _ targetState: DiskState,
        check: () throws(ResyncError) -> Void
    ) throws(ResyncError) -> (roots: ComparisonEngine.Roots?, journal: PreparedJournal?) {
        let isMarked = target.mark != nil
        return try record(source, sourceState, on: target, targetState, check: check) {
            (recorder, roots, header) throws(ResyncError) in
            try checkProof(roots)
            let journal = try prepare(
                try recorder.finish(), header, isMarked: isMarked,
                baseRoot: roots?.replica ?? .zero, resultRoot: roots?.result ?? .zero)
            return (roots, journal)
        }
    }

    /// Makes what was recorded durable, with its name.
    ///
    /// - Returns: nil where nothing is to be done.
    func prepare(
        _ writer: consuming DeltaWriter<File>?, _ header: DeltaHeader, isMarked: Bool,
        baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> PreparedJournal? {
        guard let writer = writer.take() else {
            guard isMarked else {
                try removeJournal()
                return nil
            }
            return try prepare(
                try newJournal(header), baseRoot: baseRoot, resultRoot: resultRoot)
        }
        return try prepare(writer, baseRoot: baseRoot, resultRoot: resultRoot)
    }

    private func prepare(
        _ writer: consuming DeltaWriter<File>, baseRoot: BlockDigest, resultRoot: BlockDigest
    ) throws(ResyncError) -> PreparedJournal {
        try onJournal { () throws(FileError) in try store.flushName() }
        return try writer.prepare(baseRoot: baseRoot, resultRoot: resultRoot)
    }

    /// Checks that nothing has changed since a journal was prepared, and changes nothing.
    ///
    /// - Throws: ``ResyncError/notAsPrepared(path:what:)``.
    func check(_ prepared: PreparedJournal, _ targetState: DiskState) throws(ResyncError) {
        guard targetState == prepared.header.base else {
            throw notAsPrepared("somebody has changed it")
        }
        switch try find() {
        case .unfinished(let header) where header == prepared.header: break
        case .nothing: throw notAsPrepared("its journal \(store.path) is gone")
        case .remains, .unfinished, .committed:
            throw notAsPrepared("its journal \(store.path) is another one")
        }
        let file = try openAgain()
        let byteCount = try onJournal { () throws(FileError) in try file.byteCount() }
        guard byteCount == prepared.byteCount else {
            throw notAsPrepared(
                "its journal \(store.path) has \(byteCount) bytes, and had \(prepared.byteCount)")
        }
    }

    private func notAsPrepared(_ what: String) -> ResyncError {
        .notAsPrepared(path: replica, what: what)
    }

    // MARK: The commit point

    /// Makes a prepared journal the one that finishes the replica, unless an earlier call has done so.
    ///
    /// - Returns: the journal, read as a whole and found right; nil where the replica is what it was to
    ///   become already.
    /// - Throws: ``ResyncError/notAsPrepared(path:what:)`` or
    ///   ``ResyncError/foreignJournal(path:what:)`` where it can become that no more. Nothing was
    ///   changed then.
    func commit(
        _ prepared: PreparedJournal, for target: borrowing some ReplicaTarget & ~Copyable,
        _ targetState: DiskState
    ) throws(ResyncError) -> DeltaReader<File>? {
        monitor.setDisk(target.virtualSize, blockSize: prepared.header.blockSize)
        let isGone: Bool
        switch try find() {
        case .unfinished(let header) where header == prepared.header:
            return try append(prepared, for: target, targetState)
        case .committed(let header, _) where header == prepared.header:
            return try journalOfEarlierRun(for: target, targetState)
        case .nothing: isGone = true
        case .remains, .unfinished, .committed: isGone = false
        }
        guard try isFinished(prepared, target) else {
            throw notAsPrepared(
                "its journal \(store.path) is \(isGone ? "gone" : "another one")")
        }
        return nil
    }

    /// Whether the replica reads as the journal said, by its own word, or else by its content.
    private func isFinished(
        _ prepared: PreparedJournal, _ target: borrowing some ReplicaTarget & ~Copyable
    ) throws(ResyncError) -> Bool {
        let header = prepared.header
        if target.isMarkable {
            return target.mark == nil && target.dataWriteGUID == header.resultDataWriteGUID
        }
        guard target.virtualSize == header.virtualSize, let root = prepared.resultRoot else {
            return false
        }
        let engine = try proofEngine(for: header)
        monitor.begin(.comparing, bytesToDo: header.virtualSize)
        return try engine.run(alone: target)?.primary == root
    }

    private func append(
        _ prepared: PreparedJournal, for target: borrowing some ReplicaTarget & ~Copyable,
        _ targetState: DiskState
    ) throws(ResyncError) -> DeltaReader<File> {
        let header = prepared.header
        let needsProof = try !isSure(header, isFor: target, targetState)
        var reader = try DeltaReader(reading: try openAgain())
        while try reader.next() != nil {}
        guard reader.position == prepared.byteCount, reader.isEnded(by: prepared.trailer),
            let trailer = prepared.decodedTrailer
        else { throw notAsPrepared("its journal \(store.path) holds something else") }
        if needsProof { try checkResult(of: header, trailer, on: target) }
        let file = reader.intoFile()
        try onJournal { () throws(FileError) in
            // What a power cut has left of a trailer that was being written.
            if try file.byteCount() > prepared.byteCount {
                try file.setByteCount(prepared.byteCount)
            }
            // The records are durable since they were prepared, where the disk has kept them. A trailer
            // must not be there without them.
            try file.flush()
            try store.flushName()
            try file.write(prepared.trailer.rawSpan, at: prepared.byteCount)
            try file.flush()
        }
        monitor.note(.committed(path: store.path))
        var committed = try DeltaReader(reading: file)
        committed.trustStream()
        return committed
    }
}

extension DeltaReader where File: ~Copyable {
    /// Whether these bytes would end the stream rightly, all records of which were given out.
    ///
    /// The SHA-256 of the stream is lost by that.
    fileprivate mutating func isEnded(by trailer: [UInt8]) -> Bool {
        guard let decoded = DeltaTrailer(decoding: trailer.rawSpan, streamID: header.streamID),
            [decoded.recordCount, decoded.dataBlockCount, decoded.zeroBlockCount]
                == [counts.records, counts.dataBlocks, counts.zeroBlocks]
        else { return false }
        let checked = DeltaTrailer.checkedByteCount
        stream.update(trailer.rawSpan.extracting(0..<checked))
        return stream.finalize() == BlockDigest(decoding: trailer.rawSpan, at: checked)
    }
}
