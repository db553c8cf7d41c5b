internal import BlockIO
internal import Storage
internal import VHDX

/// A replica on this machine before and after it is written: made, or found and prepared, opened, and
/// read once more.
struct ReplicaOpening: Sendable {
    let path: String
    let options: ResyncOptions
    let monitor: ResyncMonitor

    /// Whether there is a replica. Where none is to be made, opening it says what is wrong with the path.
    var exists: Bool {
        !options.createsReplica || DiskFile.fingerprint(ofFileAt: path) != nil
    }

    /// Makes a replica, empty.
    func create(like primary: SourceOffer) throws(ResyncError) {
        try ReplicaCreation(path: path, options: options).run(like: primary)
        monitor.note(.made)
    }

    /// Finishes what an earlier run began, and makes the replica as large as the primary.
    func prepare(for virtualSize: UInt64) throws(ResyncError) -> ReplicaRecovery.Outcome {
        let (size, mark) = try options.inspectReplica(at: path) { (size) throws(ResyncError) in
            guard size > virtualSize || !options.growsReplica else { return }
            try Self.check(size, isOf: virtualSize)
        }
        let recovery = try ReplicaRecovery(replica: path, options: options)
            .runIfNeeded(mark, monitor: monitor)
        monitor.setDisk(virtualSize, blockSize: options.blockSize)
        monitor.expect(.resync(options))
        if size < virtualSize {
            try grow(to: virtualSize)
            monitor.note(.grown)
        }
        return recovery
    }

    /// Opens the replica, so that nobody else can.
    func open(_ virtualSize: UInt64) throws(ResyncError) -> ReplicaDisk {
        let target = try ReplicaDisk(openingDiskAt: path, options)
        try Self.check(target.virtualSize, isOf: virtualSize)
        return target
    }

    /// Whether the replica needs no journal: this run has made it, or it is half-written by a run without
    /// one. So there is no old content, and the mark is there, or can be, until all of it is new.
    func hasNothingToLose(
        _ target: borrowing ReplicaDisk, journal: JournalStore<DiskFile>
    ) -> Bool {
        guard options.writeMethod == .journal, target.isMarkable, !journal.exists else {
            return false
        }
        if let mark = target.mark { return mark.streamID == .zero }
        return monitor.preparation == .made
    }

    /// Reads the whole replica, as the next one who opens it will find it.
    func verify(
        _ body: (ComparisonEngine, consuming SourceDisk) throws(ResyncError) -> Void
    ) throws(ResyncError) {
        let reader = try PrimaryDisk(openingDiskAt: path, .replica, options).intoDisk()
        reader.dropCache()
        let size = reader.virtualSize
        let engine = try ComparisonEngine(
            virtualSize: size, options: options, pass: .verify, monitor: monitor)
        monitor.expect(.looking)
        monitor.begin(.verifying, bytesToDo: size)
        try body(engine, reader)
    }

    /// - Throws: ``ResyncError/differentSizes(primary:replica:)``.
    static func check(_ size: UInt64, isOf primary: UInt64) throws(ResyncError) {
        guard size == primary else { throw .differentSizes(primary: primary, replica: size) }
    }

    private func grow(to size: UInt64) throws(ResyncError) {
        let target = try ReplicaDisk(openingDiskAt: path, options)
        do throws(VHDXError) {
            try target.grow(to: size)
        } catch {
            throw .disk(.replica, error)
        }
    }
}

extension ComparisonEngine {
    /// Checks that a disk has a root digest.
    ///
    /// - Throws: ``ResyncError/proofFailed(primary:replica:)``.
    func check(
        _ disk: borrowing some BlockSource & ~Copyable, root: BlockDigest
    ) throws(ResyncError) {
        let found = try run(alone: disk)
        guard let found, found.primary == root else {
            throw .proofFailed(primary: root, replica: found?.primary ?? .zero)
        }
    }
}
