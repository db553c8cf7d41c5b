import BlockIO
import Dispatch
import Foundation
import Storage
import TestSupport
import Testing
import VHDX

@testable import Resync

@Suite("Disks that lie or fail, and requests to stop")
struct EngineFaultTests {
    private static let blockSize = 65536
    private static let failure = FileError.system(.read, path: "disk", at: 0, errno: EIO)

    /// Both disks hold much: stale, new and left over blocks, alone and in rows.
    private func pair(using generator: inout SeededGenerator) -> DiskPair {
        let size: UInt64 = (6 << 20) + 512
        var pair = DiskPair(
            primary: DiskShape(virtualSize: size, blockSize: 2 << 20),
            replica: DiskShape(virtualSize: size))
        pair.primary.fill(0..<3 << 20, using: &generator)
        pair.replica.put(pair.primary.bytes(in: 0..<2 << 20), at: 0)
        for offset in [0, 7 << 16, 8 << 16, 9 << 16, 30 << 16] as [UInt64] {
            pair.replica.fill(offset + 1024..<offset + 1536, using: &generator)
        }
        pair.replica.fill(4 << 20..<5 << 20, using: &generator)
        pair.primary.fill(5 << 20..<(5 << 20) + 512, using: &generator)
        pair.primary.clear(20 << 16..<21 << 16)
        pair.primary.fill(size - 512..<size, using: &generator)
        return pair
    }

    private func error(_ body: () throws -> Void) -> ResyncError? {
        do {
            try body()
            return nil
        } catch {
            return error as? ResyncError
        }
    }

    // MARK: Lies

    /// Changes of the replica in an honest run by one worker, in order.
    private func changes(_ primary: MemoryFile, _ replica: SparseBytes) throws -> [Range<UInt64>] {
        let seen = Lock<[Range<UInt64>]>([])
        var run = EngineRun(blockSize: Self.blockSize)
        run.replicaProbe = Probe(fate: { range in
            seen.withLock { $0.append(range) }
            return .done
        })
        _ = try run(primary, to: MemoryFile(content: replica))
        return seen.withLock { $0 }
    }

    private func lies(
        about range: Range<UInt64>, _ fate: Probe.Fate, _ comparison: Comparison
    ) -> EngineRun {
        var run = EngineRun(blockSize: Self.blockSize, workerCount: 2, comparison: comparison)
        run.replicaProbe = Probe(fate: { $0 == range ? fate : .done })
        return run
    }

    @Test("No write that is dropped or spoiled passes the proof")
    func lyingTarget() throws {
        var generator = SeededGenerator(seed: 21)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        let honest = try changes(primary, replica.content)
        #expect(honest.count >= 8 && honest.contains { $0.byteCount > 65536 })
        for range in honest {
            let last = Int(range.byteCount) - 1
            for fate in [.dropped, .corrupted(at: 0), .corrupted(at: last)] as [Probe.Fate] {
                let comment: Comment = "\(fate) at \(range)"
                let target = MemoryFile(content: replica.content)
                let roots = try lies(about: range, fate, .hash)(primary, to: target)
                let after = try content(of: target)
                let wrong = after.pagesThatDiffer(from: pair.primary)
                #expect(!wrong.isEmpty, comment)
                #expect(roots?.primary != roots?.replica, comment)
                let root = try naiveRoot(of: after, blockSize: Self.blockSize)
                #expect(roots?.replica == root, comment)

                let size = UInt64(Self.blockSize)
                let first = try #require(wrong.min()) / size * size
                let found = error {
                    _ = try lies(about: range, fate, .bytes)(
                        primary, to: MemoryFile(content: replica.content))
                }
                #expect(found == .contentDiffersAfterWriting(at: first), comment)
            }
        }
    }

    @Test("Verifying finds a byte that changed after the run", arguments: Comparison.allCases)
    func verifies(_ comparison: Comparison) throws {
        var generator = SeededGenerator(seed: 22)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        _ = try EngineRun(blockSize: Self.blockSize)(primary, to: replica)
        let run = EngineRun(blockSize: Self.blockSize, comparison: comparison, pass: .verify)
        let roots = try run(primary, to: replica)
        #expect(roots?.primary == roots?.replica)
        #expect(run.counts.blocksCompared == 0 && run.counts.blocksSkipped == 0)
        #expect(run.counts.bytesRead > 0)

        // Somewhere in the content, which the naive reader finds again.
        let spoiled = try #require(replica.content.pagesWithData.max()) + 77
        replica.damage(at: spoiled)
        let page = try #require(naiveContent(of: replica).pagesThatDiffer(from: pair.primary).first)
        let again = EngineRun(blockSize: Self.blockSize, comparison: comparison, pass: .verify)
        let size = UInt64(Self.blockSize)
        switch comparison {
        case .hash:
            let differing = try again(primary, to: replica)
            #expect(differing?.primary != differing?.replica)
        case .bytes:
            let found = error { _ = try again(primary, to: replica) }
            #expect(found == .contentDiffersAfterWriting(at: page / size * size))
        }
    }

    // MARK: Reads that fail

    @Test("A read that fails names its side, and leaves a replica of old and new blocks")
    func failingReads() throws {
        var generator = SeededGenerator(seed: 23)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        for (role, comparison) in [
            (Role.primary, Comparison.hash), (.replica, .hash), (.primary, .bytes),
        ] {
            var number = 0
            while true {
                let failing = number
                let probe = Probe(beforeRead: { (index, _) throws(VHDXError) in
                    if index == failing { throw .file(Self.failure) }
                })
                var run = EngineRun(
                    blockSize: Self.blockSize, workerCount: number % 3 + 1, comparison: comparison)
                if role == .primary { run.primaryProbe = probe } else { run.replicaProbe = probe }
                let target = MemoryFile(content: replica.content)
                let found = error { _ = try run(primary, to: target) }
                guard probe.counts.reads > number else {
                    #expect(found == nil && number > 5)
                    break
                }
                let comment: Comment = "\(role) \(comparison), read \(number)"
                #expect(found == .disk(role, .file(Self.failure)), comment)
                let left = try Leftover(
                    of: target, old: pair.replica, new: pair.primary, blockSize: Self.blockSize)
                #expect(left.foreignSectors == [] && left.mixedBlocks == [], comment)
                #expect(run.counts.blocksCompared < run.counts.blocksTotal, comment)
                number += 1
                guard number % 3 == 0 else { continue }
                let roots = try EngineRun(blockSize: Self.blockSize)(primary, to: target)
                #expect(roots?.primary == roots?.replica, comment)
                #expect(naiveContent(of: target).readsAs(pair.primary), comment)
            }
        }
    }

    // MARK: Stopping

    /// Checks what a run left that was stopped, and that the next one completes it.
    private func checkStopped(
        _ run: EngineRun, _ pair: DiskPair, _ primary: MemoryFile, _ target: MemoryFile,
        _ comment: Comment
    ) throws {
        let counts = run.counts
        #expect(counts.blocksSkipped + counts.blocksCompared <= counts.blocksTotal, comment)
        #expect(counts.blocksDiffering <= counts.blocksCompared, comment)
        #expect(
            counts.bytesRead
                == run.primaryProbe.counts.bytesRead + run.replicaProbe.counts.bytesRead, comment)
        let zeroed = run.replicaProbe.counts.zeroed.reduce(0) { $0 + $1.byteCount }
        let written = run.replicaProbe.counts.bytesWritten
        #expect((written...written + zeroed).contains(counts.bytesWritten), comment)
        #expect(try !ImageReader(target).info.logIsDirty, comment)
        let left = try Leftover(
            of: target, old: pair.replica, new: pair.primary, blockSize: Self.blockSize)
        #expect(left.foreignSectors == [] && left.mixedBlocks == [], comment)

        let rest = ExpectedDifference(
            pair.primary, naiveContent(of: target), blockSize: Self.blockSize)
        let all = ExpectedDifference(pair.primary, pair.replica, blockSize: Self.blockSize)
        #expect(
            counts.bytesWritten == all.byteCount(all.differing.subtracting(rest.differing)), comment
        )
        let next = EngineRun(blockSize: Self.blockSize, comparison: run.options.comparison)
        _ = try next(primary, to: target)
        #expect(next.counts.blocksDiffering == rest.differing.count, comment)
        #expect(naiveContent(of: target).readsAs(pair.primary), comment)
    }

    @Test("A stop at any read keeps what was written so far", arguments: Comparison.allCases)
    func stopsAtRead(_ comparison: Comparison) throws {
        var generator = SeededGenerator(seed: 24)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        for number in 0..<12 {
            var run = EngineRun(
                blockSize: Self.blockSize, workerCount: number % 2 + 1, comparison: comparison)
            let monitor = run.monitor
            run.primaryProbe = Probe(beforeRead: { (index, _) throws(VHDXError) in
                if index == number { monitor.requestStop(.cancelled) }
            })
            let target = MemoryFile(content: replica.content)
            let found = error { _ = try run(primary, to: target) }
            guard run.primaryProbe.counts.reads > number else { break }
            // The last read may come too late to stop anything.
            #expect(
                found == .stopped(.cancelled) || naiveContent(of: target).readsAs(pair.primary),
                "read \(number)")
            #expect(number > 0 || found != nil)
            try checkStopped(run, pair, primary, target, "read \(number)")
        }
    }

    @Test("A stop from another thread ends the run, with the first reason")
    func stopsFromAnotherThread() throws {
        var generator = SeededGenerator(seed: 25)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        var run = EngineRun(blockSize: Self.blockSize, workerCount: 2)
        let monitor = run.monitor
        let (isReading, isAsked) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        run.primaryProbe = Probe(beforeRead: { (index, _) throws(VHDXError) in
            guard index == 1 else { return }
            isReading.signal()
            isAsked.wait()
        })
        Thread.detachNewThread {
            isReading.wait()
            monitor.requestStop(.timeout)
            monitor.requestStop(.cancelled)
            isAsked.signal()
        }
        let found = error { _ = try run(primary, to: replica) }
        #expect(found == .stopped(.timeout))
        #expect(monitor.stopReason == .timeout)
        try checkStopped(run, pair, primary, replica, "another thread")
    }

    @Test("A run that is stopped before it starts reads and writes nothing")
    func stopsBeforeStart() throws {
        var generator = SeededGenerator(seed: 26)
        let pair = pair(using: &generator)
        let (primary, replica) = pair.images(using: &generator)
        replica.resetCounts()
        let run = EngineRun(blockSize: Self.blockSize)
        run.monitor.requestStop(.cancelled)
        #expect(error { _ = try run(primary, to: replica) } == .stopped(.cancelled))
        #expect(run.primaryProbe.counts.reads == 0 && run.replicaProbe.counts.reads == 0)
        #expect(replica.counts.changes == 0 && replica.counts.flushes == 0)
        var nothing = ResyncCounts()
        nothing.virtualSize = pair.primary.byteCount
        nothing.blocksTotal = pair.primary.byteCount.dividedRoundingUp(by: 65536)
        #expect(run.counts == nothing)
    }
}
