import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

/// Files that are not what a store has written: refused, with the file and what to do, and left as
/// they are.
@Suite("Damaged stores")
struct StoreDamageTests {
    private let trial: StoreTrial
    private let job: StoredJob

    init() throws {
        trial = try StoreTrial()
        let id = StoreTrial.id()
        job = StoreTrial.job(id)
        try trial.open(with: [id]).accept(job, disks: StoreTrial.disks(of: job))
    }

    private func bytes(_ suffix: String = "") throws -> [UInt8] {
        try [UInt8](Data(contentsOf: URL(filePath: trial.database + suffix)))
    }

    private func write(_ bytes: [UInt8], _ suffix: String = "") throws {
        try Data(bytes).write(to: URL(filePath: trial.database + suffix))
    }

    /// That the store is refused, and its files stay as they are.
    private func refusal(_ label: String = "") throws -> StoreError? {
        let before = try bytes()
        let error = #expect(throws: StoreError.self, "\(label)") { try trial.open() }
        #expect(try bytes() == before, "\(label)")
        return error
    }

    private func expectDamaged(_ reason: String, _ code: ReturnCode = .failed) throws {
        let error = try refusal(reason)
        #expect(error == .damaged(path: trial.database, reason: reason))
        #expect(error.map(ReturnCode.init) == code)
        let sentence = "\(error, default: "")"
        #expect(
            sentence.hasPrefix("\(trial.database) is damaged: \(reason); move it away with "))
    }

    @Test("A file of something else")
    func noDatabase() throws {
        try write(Array("relationships: none\n".utf8) + [UInt8](repeating: 0x20, count: 8192))
        try expectDamaged("it is no database")
    }

    @Test("An empty file, where SQLite would make a new database")
    func empty() throws {
        try write([])
        try expectDamaged("it has no more than 0 bytes")
    }

    @Test("A missing file, where SQLite would throw its log away")
    func missing() throws {
        let store = try trial.open()
        try store.end(job)
        let log = try bytes("-wal")
        withExtendedLifetime(store) {}
        #expect(!log.isEmpty)
        let copy = try StoreTrial()
        try FileManager.default.createDirectory(
            atPath: copy.path, withIntermediateDirectories: false)
        try Data(log).write(to: URL(filePath: copy.database + "-wal"))
        let error = #expect(throws: StoreError.self) { try copy.open() }
        let reason = "it is missing, and \(copy.database)-wal is not"
        #expect(error == .damaged(path: copy.database, reason: reason))
        #expect(try [UInt8](Data(contentsOf: URL(filePath: copy.database + "-wal"))) == log)
        // Moved away as the sentence says, nothing is in the way of a new one.
        try DiskFile.remove(copy.database + "-wal")
        #expect(try copy.open().jobs().isEmpty)
    }

    @Test("A file that was cut, anywhere")
    func cut() throws {
        let whole = try bytes()
        for count in stride(from: 1, to: whole.count, by: 1777) {
            try write(Array(whole.prefix(count)))
            do throws(StoreError) {
                // What was cut off its last page is nothing.
                #expect(try trial.open().jobs() == [job], "\(count) of \(whole.count) bytes")
                #expect(count > whole.count - 4096)
            } catch {
                guard case .damaged(trial.database, _) = error else { throw error }
                #expect(try bytes() == Array(whole.prefix(count)))
            }
        }
        try write(whole)
        #expect(try trial.open().jobs() == [job])
    }

    @Test("A database of another program, and one of a later release")
    func foreign() throws {
        try trial.change("PRAGMA application_id = 1")
        #expect(try refusal() == .foreign(path: trial.database))
        #expect(try refusal().map(ReturnCode.init) == .incorrectDataType)
        try trial.change("PRAGMA application_id = \(StoreSchema.applicationID)")
        let known = StoreSchema.current.version
        try trial.change("PRAGMA user_version = \(known + 1)")
        let later = try refusal()
        #expect(later == .laterVersion(path: trial.database, version: known + 1, known: known))
        #expect(later.map(ReturnCode.init) == .notSupported)
        try trial.change("PRAGMA user_version = \(known)")
        #expect(try trial.open().jobs() == [job])
    }

    @Test("A row whose job is missing")
    func reference() throws {
        try trial.change("PRAGMA foreign_keys = OFF; DELETE FROM jobs")
        try expectDamaged("a row belongs to one that is missing")
    }

    @Test("The log of a damaged database stays as it is, too")
    func logStays() throws {
        let copy = try StoreTrial()
        try FileManager.default.createDirectory(
            atPath: copy.path, withIntermediateDirectories: false)
        let connection = try SQLiteConnection(opening: trial.database)
        try connection.runScript("PRAGMA foreign_keys = OFF; DELETE FROM jobs")
        let files = try ["", "-wal"].map { (suffix: $0, bytes: try bytes($0)) }
        #expect(files[1].bytes.count > 4096)
        for file in files {
            try Data(file.bytes).write(to: URL(filePath: copy.database + file.suffix))
        }
        let error = #expect(throws: StoreError.self) { try copy.open() }
        let reason = "a row belongs to one that is missing"
        #expect(error == .damaged(path: copy.database, reason: reason))
        for file in files {
            let path = copy.database + file.suffix
            #expect(try [UInt8](Data(contentsOf: URL(filePath: path))) == file.bytes)
        }
    }

    @Test("A value that nobody has written here is found when it is read")
    func value() throws {
        try trial.change("PRAGMA foreign_keys = OFF; UPDATE jobs SET relationship = 'of mine'")
        let store = try trial.open()
        let error = #expect(throws: StoreError.self) { try store.jobs() }
        #expect(
            error
                == .damaged(
                    path: trial.database, reason: "text(\"of mine\") in relationship of jobs"))
    }

    @Test(
        "Damage anywhere is refused, or changes nothing that the store is asked for, and never traps"
    )
    func anywhere() throws {
        let whole = try bytes()
        var random = SeededGenerator(seed: 77)
        var (refused, same, changed) = (0, 0, 0)
        for _ in 0..<300 {
            var damaged = whole
            let count = [1, 4, 64, 4096].randomElement(using: &random) ?? 1
            let start = Int.random(in: 0..<whole.count, using: &random)
            for place in start..<min(start + count, whole.count) {
                damaged[place] = UInt8.random(in: .min ... .max, using: &random)
            }
            try write(damaged)
            do throws(StoreError) {
                let jobs = try trial.open().jobs()
                if jobs == [job] { same += 1 } else { changed += 1 }
            } catch {
                refused += 1
                switch error {
                case .damaged(trial.database, _), .foreign(trial.database),
                    .laterVersion(trial.database, _, _), .database(trial.database, _):
                    break
                default:
                    throw error
                }
            }
            for suffix in ["-wal", "-shm"] { try DiskFile.remove(trial.database + suffix) }
        }
        print("damaged stores: \(refused) refused, \(same) the same, \(changed) with other values")
        // SQLite has no checksums in its database: a text may become another one.
        #expect(refused > 80 && changed < 30)
    }

    @Test("A damaged log ends where its last whole transaction does")
    func log() throws {
        // The log of a process that was killed: as it is while a store is open.
        let store = try trial.open()
        let other = StoreTrial.id()
        try store.write { (content) throws(StoreError) in
            try content.put(StoreTrial.relationship(other))
        }
        let first = try bytes("-wal").count
        let late = StoreTrial.job(other)
        try store.accept(late)
        let (database, log) = (try bytes(), try bytes("-wal"))
        withExtendedLifetime(store) {}
        #expect(log.count > first)

        let copy = try StoreTrial()
        try FileManager.default.createDirectory(
            atPath: copy.path, withIntermediateDirectories: false)
        func jobs(_ log: [UInt8]) throws -> [String] {
            for suffix in ["-wal", "-shm"] { try DiskFile.remove(copy.database + suffix) }
            try Data(database).write(to: URL(filePath: copy.database))
            try Data(log).write(to: URL(filePath: copy.database + "-wal"))
            return try copy.open().jobs().map(\.instanceID)
        }
        #expect(try jobs(log) == [job.instanceID, late.instanceID])
        var torn = log
        torn[first + 100] ^= 1
        #expect(try jobs(torn) == [job.instanceID])
        for count in stride(from: first, to: log.count, by: 500) {
            #expect(try jobs(Array(log.prefix(count))) == [job.instanceID], "\(count) bytes")
        }
    }
}
