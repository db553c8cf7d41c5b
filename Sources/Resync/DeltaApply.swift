internal import BlockIO
internal import Storage
internal import VHDX

/// Makes a replica read as a delta says that it is to, if it is the disk that the delta builds on.
///
/// Proof and protection are those of ``LocalResync``: the delta is copied to the replica's journal.
public struct DeltaApply: Sendable {
    public var delta: String
    public var replica: String
    public var options: ResyncOptions

    public init(delta: String, replica: String, options: ResyncOptions) {
        self.delta = delta
        self.replica = replica
        self.options = options
    }

    /// Reads the replica, and changes it if its root digest is the one that the delta builds on, and
    /// if that with the delta over it is the one that the delta promises. A replica that has the
    /// promised one already is left as it is.
    ///
    /// - Throws: ``ResyncError/otherBase(delta:replica:expected:found:)`` before anything is written.
    public func run(monitor: ResyncMonitor) throws(ResyncError) -> DiskReport {
        try options.check()
        try options.check(replica: replica)
        guard options.writeMethod != .inPlace else {
            throw .invalidOption("a delta is applied through a journal, not in place")
        }
        let stream = try open()
        let header = stream.header
        let trailer = try stream.requiredTrailer()
        guard header.hasRootDigests else { throw .deltaWithoutProof(path: delta) }
        var options = options
        options.blockSize = header.blockSize
        options.comparison = .hash
        monitor.setDisk(header.virtualSize, blockSize: header.blockSize)
        let (_, mark) = try options.inspectReplica(at: replica) { (size) throws(ResyncError) in
            guard size == header.virtualSize else {
                throw .differentSizes(primary: header.virtualSize, replica: size)
            }
        }
        let recovery = try ReplicaRecovery(replica: replica, options: options)
            .runIfNeeded(mark, monitor: monitor)
        monitor.setDisk(header.virtualSize, blockSize: header.blockSize)
        monitor.expect(.applying)

        let target = try ReplicaDisk(openingDiskAt: replica, options)
        var report = DiskReport(primary: delta, replica: replica, blockSize: header.blockSize)
        report.rootDigest = trailer.resultRoot
        report.isVerified = true
        report.recovery = recovery
        let writing = try JournaledWriting(replica: replica, options: options, monitor: monitor)
        if options.writeMethod == .clone { try writing.checkThatCloneIsPossible() }
        let base: BlockDigest
        do throws(ResyncError) {
            base = try prove(stream, trailer, on: target, options, monitor)
        } catch {
            target.abandon()
            throw error
        }
        guard base != trailer.resultRoot else {
            try finishWhole(target, monitor)
            return report.finished(monitor)
        }
        let journal: DeltaReader<DiskFile>
        do throws(ResyncError) {
            let again = try open()
            guard again.header == header, again.trailer == trailer else {
                throw .deltaChanged(path: delta)
            }
            journal = try writing.journaled.copy(again, on: target, try target.state(at: replica))
        } catch {
            target.abandon()
            throw error
        }
        try writing.write(journal, to: target, bytesToZero: monitor.counts.bytesToZero)
        return report.finished(monitor)
    }

    /// Closes a replica that is what the delta makes of it. Its mark, if a run in place left one, says
    /// otherwise.
    private func finishWhole(
        _ target: consuming ReplicaDisk, _ monitor: ResyncMonitor
    ) throws(ResyncError) {
        guard target.mark != nil else { return target.abandon() }
        try onDisk(.replica) { () throws(VHDXError) in try target.removeMark() }
        monitor.note(.written)
        try target.closeReplica()
    }

    private func open() throws(ResyncError) -> DeltaReader<DiskFile> {
        try DeltaReader(
            reading: try onJournal { () throws(FileError) in
                var file = try DiskFile(opening: delta, for: .reading)
                file.cacheUse = options.cacheUse
                try file.lock(for: .reading)
                return file
            })
    }

    /// Reads the whole replica and the whole delta, and checks that the one with the other over it is
    /// what the delta promises.
    ///
    /// - Returns: the root digest of the replica as it is.
    private func prove(
        _ stream: consuming DeltaReader<DiskFile>, _ trailer: DeltaTrailer,
        on target: borrowing ReplicaDisk, _ options: ResyncOptions, _ monitor: ResyncMonitor
    ) throws(ResyncError) -> BlockDigest {
        let header = stream.header
        let engine = try ComparisonEngine(
            virtualSize: header.virtualSize, options: options, pass: .digest, monitor: monitor)
        var result: DigestTreeBuilder
        do throws(OutOfMemory) {
            result = try DigestTreeBuilder(
                virtualSize: header.virtualSize, blockSize: header.blockSize)
        } catch {
            throw .outOfMemory(error)
        }
        var records = HeldRecords(stream, upTo: .max)
        monitor.begin(.comparing, bytesToDo: header.virtualSize)
        let roots = try engine.run(
            alone: target,
            consume: { (run) throws(ResyncError) in
                let first = result.appendedCount
                let held = try records.blocks(in: first..<first + run.blockCount)
                let changed = result.append(run, under: held)
                var counts = ResyncCounts()
                counts.blocksDiffering = changed.blockCount
                // A short last block counts as a whole: it is a limit.
                counts.bytesToZero = changed.zeroBlockCount * UInt64(header.blockSize)
                monitor.add(counts)
            })
        try records.readToEnd()
        guard let base = roots?.primary, base == trailer.baseRoot || base == trailer.resultRoot
        else {
            throw .otherBase(
                delta: delta, replica: replica, expected: trailer.baseRoot,
                found: roots?.primary ?? .zero)
        }
        let found = result.root()
        guard found == trailer.resultRoot else {
            throw .proofFailed(primary: trailer.resultRoot, replica: found)
        }
        return base
    }
}

extension DigestTreeBuilder {
    /// Adds the digests of a run, with those of its blocks that are held in their place.
    ///
    /// - Returns: how many blocks that changes, and how many of these to zeros.
    fileprivate mutating func append(
        _ run: DigestRun, under held: [HeldBlocks]
    ) -> (blockCount: UInt64, zeroBlockCount: UInt64) {
        let first = appendedCount
        var digests: [BlockDigest]
        switch run {
        case .zeros(let count) where held.isEmpty:
            append(zeroBlocks: count)
            return (0, 0)
        case .zeros(let count): digests = (first..<first + count).map(zeros.digest(ofBlock:))
        case .digests(let known): digests = known
        }
        var changed: (blockCount: UInt64, zeroBlockCount: UInt64) = (0, 0)
        for blocks in held {
            for index in blocks.range {
                let digest =
                    blocks.digests?[index - blocks.range.lowerBound]
                    ?? zeros.digest(ofBlock: first + UInt64(index))
                if digest != digests[index] {
                    changed.blockCount += 1
                    if blocks.digests == nil { changed.zeroBlockCount += 1 }
                }
                digests[index] = digest
            }
        }
        append(digests)
        return changed
    }
}
