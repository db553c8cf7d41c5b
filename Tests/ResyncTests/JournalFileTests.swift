import BlockIO
import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

/// Journals and deltas as files beside replicas that are files.
@Suite("Replicas with journals, and deltas, as files")
struct JournalFileTests {
    private let files: DiskFiles
    private let pair: DiskPair

    init() throws {
        var generator = SeededGenerator(seed: 4000)
        let shape = DiskShape(virtualSize: (6 << 20) + 512)
        var pair = DiskPair(primary: shape, replica: shape)
        pair.primary.fill(0..<1 << 20, using: &generator)
        pair.replica = pair.primary
        pair.primary.fill(300_032..<400_384, using: &generator)
        pair.primary.fill(3 << 20..<3 << 20 | 4096, using: &generator)
        pair.replica.fill(5 << 20..<6 << 20, using: &generator)
        self.pair = pair
        files = try DiskFiles(pair, using: &generator)
    }

    private var journal: String { files.replica + ".resync" }
    private var delta: String { files.directory.path("delta") }
    private var options: ResyncOptions { ResyncOptions(workerCount: 2) }

    private func path(_ name: String) -> String { files.directory.path(name) }

    private func makeDelta() throws {
        _ = try DiskComparison(
            primary: files.primary, replica: files.replica, output: delta, options: options
        ).run(monitor: ResyncMonitor())
    }

    @discardableResult
    private func apply(_ options: ResyncOptions? = nil) throws(ResyncError) -> DiskReport {
        try DeltaApply(delta: delta, replica: files.replica, options: options ?? self.options)
            .run(monitor: ResyncMonitor())
    }

    private func resynchronize(_ options: ResyncOptions? = nil) throws(ResyncError) -> DiskReport {
        try LocalResync(
            primary: files.primary, replica: files.replica, options: options ?? self.options
        ).run(monitor: ResyncMonitor())
    }

    private func recover(
        _ options: ResyncOptions? = nil
    ) throws(ResyncError) -> ReplicaRecovery.Outcome {
        try ReplicaRecovery(replica: files.replica, options: options ?? self.options)
            .run(monitor: ResyncMonitor())
    }

    /// What a run leaves that ends at the commit point, or behind the mark.
    private func interrupt(_ options: ResyncOptions? = nil, marks: Bool) throws {
        let options = options ?? self.options
        let writing = try JournaledWriting(
            replica: files.replica, options: options, monitor: ResyncMonitor())
        let source = try PrimaryDisk(openingDiskAt: files.primary, .primary, options)
        let target = try ReplicaDisk(openingDiskAt: files.replica, options)
        var recorded = try writing.journaled.record(
            source.disk, try source.state(), on: target, try target.state(at: files.replica)
        ) { () throws(ResyncError) in }
        if let journal = recorded.journal.take(), marks {
            target.chooseDataWriteGUID(journal.header.resultDataWriteGUID)
            try target.setMark(
                ApplyMark(
                    streamID: journal.header.streamID,
                    journalPath: writing.journaled.store.path))
        }
        target.abandon()
    }

    private func expectNew() throws {
        #expect(try files.content(of: files.replica).readsAs(pair.primary))
        let names = try files.directory.names
        #expect(!names.contains { $0.hasSuffix(".resync") || $0.hasSuffix("-clone") })
    }

    /// Checks that a call fails, and that no file has changed or come or gone.
    private func expectNothingChanged(
        _ expected: (ResyncError) -> Bool, _ comment: Comment, _ body: () throws -> Void
    ) throws {
        let names = try files.directory.names
        let before = try names.map { try files.bytes(of: path($0)) }
        let error = resyncError(body)
        #expect(error.map(expected) ?? false, "\(comment): \(String(describing: error))")
        #expect(try files.directory.names == names, comment)
        #expect(try names.map { try files.bytes(of: path($0)) } == before, comment)
    }

    // MARK: Deltas

    @Test("A delta makes its base what it promises, once", arguments: Comparison.allCases)
    func rightBase(_ comparison: Comparison) throws {
        try makeDelta()
        var options = options
        options.comparison = comparison
        let report = try apply(options)
        try expectNew()
        let root = try naiveRoot(of: pair.primary, blockSize: 65536)
        #expect(report.rootDigest == root && report.isVerified)
        let expected = ExpectedDifference(pair.primary, pair.replica, blockSize: 65536)
        #expect(report.counts.blocksDiffering == expected.differing.count)

        let before = try files.bytes(of: files.replica)
        let second = try apply(options)
        #expect(second.counts.blocksDiffering == 0 && second.counts.bytesWritten == 0)
        #expect(try files.bytes(of: files.replica) == before)
    }

    @Test("A delta that does not fit, or is not whole, is refused and changes nothing")
    func wrongDeltas() throws {
        try makeDelta()
        let whole = try files.bytes(of: delta)
        func replace(_ bytes: Data) throws { try bytes.write(to: URL(fileURLWithPath: delta)) }

        var damaged = whole
        damaged[1000] ^= 1
        try replace(damaged)
        try expectNothingChanged(
            { if case .damagedDelta = $0 { true } else { false } }, "damaged"
        ) { try apply() }
        try replace(whole.dropLast(10))
        try expectNothingChanged(
            { $0 == .incompleteDelta(path: delta) }, "cut"
        ) { try apply() }
        try replace(Data("no delta".utf8))
        try expectNothingChanged({ $0 == .notADelta(path: delta) }, "text") { try apply() }

        for (size, hasRoots) in [(pair.primary.byteCount, false), (1 << 20, true)] {
            try FileManager.default.removeItem(atPath: delta)
            let header = DeltaHeader(
                virtualSize: size, blockSize: 65536, streamID: .random(), hasRootDigests: hasRoots)
            var writer = try DeltaWriter(header, to: DiskFile(creating: delta))
            try writer.append(zeros: 0..<1)
            _ = try writer.finish(baseRoot: .zero, resultRoot: .zero)
            try expectNothingChanged(
                {
                    $0 == .deltaWithoutProof(path: delta)
                        || $0 == .differentSizes(primary: 1 << 20, replica: pair.primary.byteCount)
                }, "\(size)"
            ) { try apply() }
        }
        try replace(whole)
        var inPlace = options
        inPlace.writeMethod = .inPlace
        try expectNothingChanged(
            { if case .invalidOption = $0 { true } else { false } }, "in place"
        ) {
            try apply(inPlace)
        }
        // One sector is another than the base has.
        let writer = try ImageWriter(openingImageAt: files.replica)
        try writer.write([UInt8](repeating: 9, count: 512).rawSpan, at: 0)
        try writer.close()
        try expectNothingChanged(
            { if case .otherBase = $0 { true } else { false } }, "another base"
        ) { try apply() }
    }

    @Test("A delta for a replica that an earlier run left half-written is applied behind that")
    func deltaAfterInterruption() throws {
        try makeDelta()
        try interrupt(marks: true)
        #expect(throws: VHDXError.self) { try files.content(of: files.replica) }
        // What the journal finishes is what the delta promises.
        #expect(try apply().counts.bytesWritten > 0)
        try expectNew()
    }

    @Test("A delta that cannot be copied to the journal, at whatever call, leaves none")
    func failingCopy() throws {
        try makeDelta()
        let run = JournalRun()
        var index = 0
        while true {
            let memory = MemoryFile(name: JournalPlace<MemoryFile>.path)
            let plan = FailingFile.Plan(failing: index, errno: 28, partialByteCount: 100)
            let file = FailingFile(memory, plan: plan)
            let place = JournalPlace(file, in: memory, isThere: false)
            let target = try ReplicaDisk(openingDiskAt: files.replica, options)
            let error = resyncError {
                _ = try run.journaled(place.store).copy(
                    DeltaReader(reading: DiskFile(opening: delta, for: .reading)), on: target,
                    target.state(at: files.replica))
            }
            target.abandon()
            guard file.failureCount > 0 else {
                #expect(error == nil && place.content != nil)
                break
            }
            #expect(error?.isOutOfSpace == true && place.content == nil, "call \(index)")
            index += 1
        }
        #expect(index > 3)
        #expect(try files.content(of: files.replica).readsAs(pair.replica))
    }

    @Test("What is no journal of the replica is neither written over nor applied")
    func foreignJournal() throws {
        try makeDelta()
        try Data("a letter".utf8).write(to: URL(fileURLWithPath: journal))
        let isForeign: (ResyncError) -> Bool = {
            if case .foreignJournal = $0 { true } else { false }
        }
        try expectNothingChanged(isForeign, "a run") { _ = try resynchronize() }
        try expectNothingChanged(isForeign, "a delta") { try apply() }
        try expectNothingChanged(isForeign, "a recovery") { _ = try recover() }
    }

    // MARK: Journals of earlier runs

    @Test("A committed journal is written first, marked or not", arguments: [false, true])
    func rollsForward(_ marks: Bool) throws {
        try interrupt(marks: marks)
        #expect(try recover() == .finished(journal: Folder.realPath(of: files.replica) + ".resync"))
        try expectNew()
        #expect(try recover() == .nothingToDo)
    }

    @Test("A run writes an earlier one's committed journal, and then what has changed since")
    func runRollsForward() throws {
        try interrupt(marks: true)
        let writer = try ImageWriter(openingImageAt: files.primary)
        try writer.write([UInt8](repeating: 3, count: 4096).rawSpan, at: 2 << 20)
        try writer.close()
        let report = try resynchronize()
        #expect(report.counts.blocksDiffering == 1 && report.isVerified)
        #expect(
            try files.content(of: files.replica).readsAs(files.content(of: files.primary)))
        #expect(!FileManager.default.fileExists(atPath: journal))
    }

    @Test("Without its journal a half-written replica stays that, until a run compares all of it")
    func missingJournal() throws {
        try interrupt(marks: true)
        try FileManager.default.removeItem(atPath: journal)
        let error = resyncError { _ = try recover() }
        guard case .missingJournal(files.replica, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        _ = try resynchronize()
        try expectNew()
    }

    @Test("A journal in another folder is found there, by the option and by the mark")
    func journalFolder() throws {
        for usesOption in [true, false] {
            try FileManager.default.createDirectory(
                atPath: path("folder"), withIntermediateDirectories: false)
            var options = options
            options.journalFolder = path("folder")
            try interrupt(options, marks: true)
            let inFolder = path("folder/replica.vhdx.resync")
            #expect(FileManager.default.fileExists(atPath: inFolder))
            #expect(!FileManager.default.fileExists(atPath: journal))
            let outcome = try recover(usesOption ? options : nil)
            #expect(
                outcome
                    == .finished(
                        journal: try Folder.realPath(of: path("folder")) + "/replica.vhdx.resync"))
            try expectNew()
            try FileManager.default.removeItem(atPath: path("folder"))
            // Stale once more, for the second turn.
            let writer = try ImageWriter(openingImageAt: files.replica)
            try writer.write([UInt8](repeating: 9, count: 512).rawSpan, at: 0)
            try writer.close()
        }
    }

    @Test("What stands beside the replica does not hide the journal that its mark names")
    func hiddenJournal() throws {
        try FileManager.default.createDirectory(
            atPath: path("folder"), withIntermediateDirectories: false)
        var options = options
        options.journalFolder = path("folder")
        try interrupt(options, marks: true)
        let base = try DiskState(
            virtualDiskID: files.info(of: files.primary).virtualDiskID, dataWriteGUID: .random(),
            fileState: .zero)
        let header = DeltaHeader(
            virtualSize: pair.primary.byteCount, blockSize: 65536, streamID: .random(), base: base)
        let unfinished = try DeltaWriter(header, to: DiskFile(creating: journal))
        _ = unfinished.intoFile()
        #expect(try recover() != .nothingToDo)
        #expect(try files.content(of: files.replica).readsAs(pair.primary))
        #expect(try files.bytes(of: journal).count == DeltaHeader.byteCount)
    }

    @Test("A journal is not applied to what a run in place has written since")
    func inPlaceInBetween() throws {
        let folder = try TemporaryFolder()
        var options = options
        options.journalFolder = folder.path
        try interrupt(options, marks: true)
        // The run in place does not see that folder, and does not come to its end.
        let target = InPlaceTarget(
            try ReplicaDisk(openingDiskAt: files.replica, self.options), ResyncMonitor())
        try target.write([UInt8](repeating: 7, count: 4096).rawSpan, at: 4 << 20)
        try target.close()
        try expectNothingChanged(
            { if case .foreignJournal = $0 { true } else { false } }, "a recovery"
        ) { _ = try recover(options) }
        try expectNothingChanged(
            { if case .missingJournal = $0 { true } else { false } }, "without the folder"
        ) { _ = try recover() }
        _ = try resynchronize()
        try expectNew()
    }

    @Test("A delta to what a run in place has made finishes it")
    func deltaAfterRunInPlace() throws {
        try makeDelta()
        _ = try apply()
        let target = try ReplicaDisk(openingDiskAt: files.replica, options)
        try target.setMark(ApplyMark(streamID: .zero, journalPath: ""))
        try target.close()
        #expect(throws: VHDXError.self) { try files.content(of: files.replica) }
        #expect(try apply().counts.bytesWritten == 0)
        try expectNew()
    }

    @Test("A delta in the journal's place is no journal")
    func deltaAsJournal() throws {
        try makeDelta()
        try FileManager.default.copyItem(atPath: delta, toPath: journal)
        try expectNothingChanged(
            { if case .foreignJournal = $0 { true } else { false } }, "a recovery"
        ) { _ = try recover() }
    }

    @Test("Where the file system cannot clone, that is said before anything is changed")
    func clone() throws {
        var options = options
        options.writeMethod = .clone
        let error = resyncError { _ = try resynchronize(options) }
        if error == nil { return try expectNew() }
        try expectNothingChanged(
            { if case .cannotClone = $0 { true } else { false } }, "clone"
        ) {
            _ = try resynchronize(options)
        }
        #expect(try files.content(of: files.replica).readsAs(pair.replica))
    }

    // MARK: Raw replicas

    @Test("A raw replica is finished by its journal if its content proves that it is the one")
    func raw() throws {
        try FileManager.default.removeItem(atPath: files.replica)
        try files.write(pair.replica, to: files.replica)
        var options = options
        options.replicaFormat = .raw
        try interrupt(options, marks: false)
        let committed = try files.bytes(of: journal)
        try files.overwrite(files.replica, with: [1, 2, 3], at: 2 << 20)
        try expectNothingChanged(
            { if case .foreignJournal = $0 { true } else { false } }, "another content"
        ) {
            _ = try recover(options)
        }
        try files.overwrite(files.replica, with: [0, 0, 0], at: 2 << 20)
        #expect(try recover(options) != .nothingToDo)
        #expect(
            try files.bytes(of: files.replica)
                == Data(
                    pair.primary.bytes(in: 0..<pair.primary.byteCount)))
        // It would be the one still.
        try committed.write(to: URL(fileURLWithPath: journal))
        #expect(try resynchronize(options).counts.blocksDiffering == 0)
        #expect(!FileManager.default.fileExists(atPath: journal))
    }
}
