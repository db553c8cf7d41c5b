import Storage
import TestSupport
import VHDX

@testable import Resync

/// A machine of several disks, which become new together: prepared, decided, finished. The decision is
/// a file of the folder, in place of the store of a service.
struct MachineScenario: Sendable {
    let disks: [JournalScenario]

    static let decisionName = "decision"

    init(_ disks: [JournalScenario]) { self.disks = disks }

    /// Three disks in which a run does everything, one of them differencing, and one that is equal.
    static func ofFour(seed: UInt64) throws -> MachineScenario {
        var equal = JournalScenario(.inEachWay(seed: seed + 3))
        equal.files[JournalScenario.replicaName] = equal.primary.content
        return MachineScenario([
            JournalScenario(.inEachWay(seed: seed)), try .differencing(seed: seed + 1),
            JournalScenario(.inEachWay(seed: seed + 2)), equal,
        ])
    }

    /// All files, by names that end with the number of the disk.
    var files: [String: SparseBytes] {
        var files: [String: SparseBytes] = [:]
        for (index, disk) in disks.enumerated() {
            for (name, content) in disk.files { files[name + "\(index)"] = content }
        }
        return files
    }

    /// The files of a disk, by its own names.
    private static func files(
        of disk: Int, in all: [String: SparseBytes]
    ) -> [String: SparseBytes] {
        var files: [String: SparseBytes] = [:]
        for name in [
            JournalScenario.replicaName, JournalScenario.parentName, JournalScenario.journalName,
        ] { files[name] = all[name + "\(disk)"] }
        return files
    }

    private func open(
        _ index: Int, on disk: PowerCutDisk
    ) throws(VHDXError) -> ImageWriter<PowerCutDisk.File> {
        guard let replica = disk.open(JournalScenario.replicaName + "\(index)") else {
            preconditionFailure("the replica is gone")
        }
        return try JournalScenario.open(
            replica, on: disk.open(JournalScenario.parentName + "\(index)"))
    }

    private func store(_ index: Int, on disk: PowerCutDisk) -> JournalStore<PowerCutDisk.File> {
        JournalStore(on: disk, name: JournalScenario.journalName + "\(index)")
    }

    // MARK: The run

    /// Prepares all disks, decides, and finishes all.
    func run(on disk: PowerCutDisk) throws {
        var prepared: [Int: PreparedJournal] = [:]
        for index in disks.indices {
            prepared[index] = try disks[index].run().prepare(
                disks[index].primary, store(index, on: disk)
            ) { () throws(VHDXError) in try open(index, on: disk) }
        }
        for (index, journal) in prepared {
            try disks[index].run().check(journal, store(index, on: disk)) {
                () throws(VHDXError) in try open(index, on: disk)
            }
        }
        disk.mark("prepared")
        try Self.decide(prepared, on: disk)
        disk.mark("decided")
        try finish(prepared, on: disk)
        disk.mark("finished")
    }

    func finish(_ prepared: [Int: PreparedJournal], on disk: PowerCutDisk) throws {
        for (index, journal) in prepared.sorted(by: { $0.key < $1.key }) {
            try disks[index].run().finish(journal, store(index, on: disk)) {
                () throws(VHDXError) in try open(index, on: disk)
            }
        }
    }

    /// A byte for the disk and its journal, for each, and a checksum.
    private static func decide(
        _ prepared: [Int: PreparedJournal], on disk: PowerCutDisk
    ) throws {
        var bytes: [UInt8] = []
        for (index, journal) in prepared { bytes += [UInt8(index)] + journal.encoded() }
        let checksum = CRC32C.checksum(of: bytes.rawSpan)
        for shift in stride(from: 0, to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: checksum >> UInt32(shift)))
        }
        let file = disk.openOrCreate(decisionName)
        try file.write(bytes.rawSpan, at: 0)
        try file.flush()
        disk.flushNames()
    }

    /// What was decided; nil for nothing.
    static func decision(in files: [String: SparseBytes]) -> [Int: PreparedJournal]? {
        guard let content = files[decisionName], content.byteCount > 4 else { return nil }
        var bytes = content.bytes(in: 0..<content.byteCount)
        let stored = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        bytes.removeLast(4)
        guard CRC32C.checksum(of: bytes.rawSpan) == stored else { return nil }
        var prepared: [Int: PreparedJournal] = [:]
        let size = 1 + PreparedJournal.encodedByteCount
        for start in stride(from: 0, to: bytes.count, by: size) {
            prepared[Int(bytes[start])] = PreparedJournal(
                decoding: Array(bytes[start + 1..<start + size]))
        }
        return prepared
    }

    // MARK: After a stop

    /// What a machine was before a restart made something of it.
    enum Standing: Hashable {
        case old, mixed, new
    }

    /// What is wrong with what a fault left, and with what a restart makes of it: empty where nothing is.
    func faults(
        of left: [String: SparseBytes], marks: [String], runsAgain: Bool
    ) -> (faults: [String], standing: Standing) {
        do {
            var faults: [String] = []
            let decision = Self.decision(in: left)
            if marks.contains("decided"), decision == nil { faults.append("forgotten") }
            let before = try disks.indices.map { index in
                try JournalScenario.content(Self.files(of: index, in: left))
            }
            let areOld = zip(disks, before).allSatisfy { disk, content in
                content?.readsAs(disk.differs ? disk.old : disk.new) ?? false
            }
            let areNew = zip(disks, before).allSatisfy { $1?.readsAs($0.new) ?? false }
            let standing: Standing = areNew ? .new : areOld ? .old : .mixed
            if decision == nil, !areOld { faults.append("applied, and not decided") }
            if marks.contains("finished"), !areNew { faults.append("what was written is gone") }

            let after = try disks.indices.map { index in
                let files = JournalScenario.Files(Self.files(of: index, in: left))
                if let journal = decision?[index] {
                    // Twice: who was stopped before it could say so does it once more.
                    for _ in 0..<2 {
                        try disks[index].run().finish(journal, files.journal.store, files.open)
                    }
                    if files.journal.content != nil { faults.append("\(index): a journal is left") }
                } else if try disks[index].run().recover(files.journal.store, files.open) {
                    faults.append("\(index): committed, and not decided")
                }
                if decision == nil, runsAgain {
                    try disks[index].run()(
                        disks[index].primary, files.journal.store, to: files.open)
                }
                return try files.content()
            }
            for (index, disk) in disks.enumerated() {
                let isWanted =
                    decision != nil || runsAgain
                    ? after[index]?.readsAs(disk.new) : after[index]?.readsAs(disk.old)
                if isWanted != true, disk.differs { faults.append("\(index): not recovered") }
            }
            return (faults, standing)
        } catch {
            return (["\(error)"], .mixed)
        }
    }

}

extension JournalScenario {
    /// Whether there is anything to do.
    var differs: Bool { files[Self.replicaName] != primary.content }
}
