import Foundation
import Resync
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("The store")
struct StateStoreTests {
    private let trial: StoreTrial

    init() throws {
        trial = try StoreTrial()
    }

    @Test("Every value of every record is there after the store was closed")
    func roundTrip() throws {
        for seed in UInt64(1)...20 {
            let trial = try StoreTrial()
            var maker = RecordMaker(random: SeededGenerator(seed: seed))
            let id = ReplicationRelationshipID(
                machineID: .random(using: &maker.random), kind: maker.element())
            let relationship = maker.relationship(id)
            let statistics = maker.statistics()
            let job = maker.job(id)
            let disks = (0..<3).map { maker.disk(job.instanceID, $0) }
            var decision = StoredDecision(
                job: job.instanceID, isCommitted: seed % 2 == 0, decisionTime: maker.time())
            do {
                let store = try trial.open()
                try store.write { (content) throws(StoreError) in
                    try content.put(relationship)
                    try content.put(statistics, of: id)
                    try content.accept(job, disks: disks)
                    #expect(
                        try content.decide(
                            job.instanceID, committing: decision.isCommitted,
                            at: decision.decisionTime) == decision)
                    if seed % 3 == 0 {
                        decision.timeCarriedOut = decision.decisionTime
                        try content.noteCarriedOut(job.instanceID, at: decision.decisionTime)
                    }
                }
            }
            let store = try trial.open()
            try store.read { (content) throws(StoreError) in
                #expect(try content.relationships() == [relationship], "seed \(seed)")
                #expect(try content.relationship(id) == relationship, "seed \(seed)")
                #expect(try content.statistics(of: id) == statistics, "seed \(seed)")
                #expect(try content.job(job.instanceID) == job, "seed \(seed)")
                #expect(try content.diskResults(of: job.instanceID) == disks, "seed \(seed)")
                #expect(try content.decision(of: job.instanceID) == decision, "seed \(seed)")
            }
        }
    }

    @Test("Every value can be changed")
    func changes() throws {
        var maker = RecordMaker(random: SeededGenerator(seed: 41))
        let id = StoreTrial.id()
        let store = try trial.open(with: [id])
        let first = StoreTrial.job(id, .changingReplicationState)
        let disks = StoreTrial.disks(of: first)
        try store.accept(first, disks: disks)
        for _ in 0..<20 {
            var job = maker.job(id)
            job.properties.instanceID = first.instanceID
            // A job that has ended stays that.
            job.properties.jobState = .running
            let disk = maker.disk(first.instanceID, 1)
            let (relationship, statistics) = (maker.relationship(id), maker.statistics())
            try store.write { [job] (content) throws(StoreError) in
                try content.update(job)
                try content.update(disk)
                try content.put(relationship)
                try content.put(statistics, of: id)
            }
            #expect(try store.job(first.instanceID) == job)
            #expect(try store.disks(of: first) == [disks[0], disk])
            try store.read { (content) throws(StoreError) in
                #expect(try content.relationships() == [relationship])
                #expect(try content.statistics(of: id) == statistics)
            }
        }
    }

    @Test("A number that does not fit is an error, and nothing is written")
    func tooLarge() throws {
        let id = StoreTrial.id()
        let store = try trial.open(with: [id])
        let job = StoreTrial.job(id)
        var disks = StoreTrial.disks(of: job)
        disks[1].counts.bytesRead = 1 << 63
        let error = #expect(throws: StoreError.self) { try store.accept(job, disks: disks) }
        let reason = SQLiteError.unexpectedValue(column: "bytes_read", value: "9223372036854775808")
        #expect(error == .database(path: trial.database, reason))
        #expect(try store.jobs().isEmpty)
    }

    @Test("A second service does not get the folder, and gets it afterwards")
    func oneOwner() throws {
        var first: StateStore? = try trial.open()
        let error = #expect(throws: StoreError.self) { try trial.open() }
        #expect(error == .inUse(folder: trial.path))
        #expect(error.map(ReturnCode.init) == .systemInUse)
        #expect(try first?.jobs().isEmpty == true)
        first = nil
        #expect(try trial.open().jobs().isEmpty)
    }

    @Test("The folder is made for its owner alone, beneath one that is there")
    func folder() throws {
        _ = try trial.open()
        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try mode(trial.path) == 0o700)
        #expect(try mode(trial.database) == 0o600)
        #expect(try mode(trial.path + "/lock") == 0o600)
        let names = try FileManager.default.contentsOfDirectory(atPath: trial.path).sorted()
        #expect(names == ["lock", "state.sqlite"])

        let deep = trial.folder.file("none/state")
        let missing = #expect(throws: StoreError.self) { try StateStore(opening: deep) }
        #expect(missing.map(ReturnCode.init) == .fileNotFound)
        let notAFolder = #expect(throws: StoreError.self) {
            try StateStore(opening: trial.database)
        }
        #expect(notAFolder.map(ReturnCode.init) == .fileNotFound)
        let elsewhere = trial.folder.file("link")
        try FileManager.default.createSymbolicLink(
            atPath: elsewhere, withDestinationPath: trial.path)
        #expect(try StateStore(opening: elsewhere).folder == Folder.realPath(of: trial.path))
    }

    @Test("The log of a store is for its owner alone too")
    func logPermissions() throws {
        let store = try trial.open(with: [StoreTrial.id()])
        for suffix in ["-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(
                atPath: trial.database + suffix)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
        withExtendedLifetime(store) {}
    }

    @Test("A change that throws leaves nothing, wherever it does")
    func rollback() throws {
        struct Stop: Error {}
        let ids = [StoreTrial.id(), StoreTrial.id()]
        let store = try trial.open(with: [ids[0]])
        let job = StoreTrial.job(ids[0])
        #expect(throws: StoreError.unknownRelationship(ids[1])) {
            try store.write { (content) throws(StoreError) in
                try content.accept(job, disks: StoreTrial.disks(of: job))
                _ = try content.decide(job.instanceID, committing: true, at: StoreTrial.time(2))
                try content.accept(StoreTrial.job(ids[1]), disks: [])
            }
        }
        #expect(try store.jobs().isEmpty)
        #expect(try store.disks(of: job).isEmpty)
        // Two disks with one position.
        let disks = StoreTrial.disks(of: job) + StoreTrial.disks(of: job)
        let error = #expect(throws: StoreError.self) { try store.accept(job, disks: disks) }
        guard case .database(_, .constraint) = error else {
            throw error ?? .unknownJob("")
        }
        #expect(try store.jobs().isEmpty)
        try store.accept(job, disks: StoreTrial.disks(of: job))
        #expect(try store.jobs() == [job])
    }

    @Test("Many threads may use it at once")
    func threads() throws {
        let ids = (0..<8).map { _ in StoreTrial.id() }
        let store = try trial.open(with: ids)
        let failures = Lock<[StoreError]>([])
        DispatchQueue.concurrentPerform(iterations: 8) { index in
            do throws(StoreError) {
                for _ in 0..<10 {
                    let job = StoreTrial.job(ids[index])
                    try store.accept(job, disks: StoreTrial.disks(of: job))
                    guard try store.disks(of: job).count == 2 else {
                        throw .unknownJob(job.instanceID)
                    }
                    try store.end(job)
                }
            } catch {
                failures.withLock { $0.append(error) }
            }
        }
        #expect(failures.withLock { $0 } == [])
        #expect(try store.jobs().count == 80)
    }

    @Test("What a person reads in the database has names")
    func names() throws {
        let id = StoreTrial.id()
        var store: StateStore? = try trial.open(with: [id])
        try store?.accept(StoreTrial.job(id))
        store = nil
        let connection = try SQLiteConnection(opening: trial.database)
        let job = try connection.rows("SELECT job_state, submitted, started FROM jobs_by_name")
        #expect(job == [[.text("New"), .text("2027-01-15 08:00:01"), .null]])
        let state = try connection.rows(
            "SELECT replication_state, replication_health, since FROM relationships_by_name")
        #expect(
            state == [
                [
                    .text("Waiting to start resynchronization"), .text("Critical"),
                    .text("2027-01-15 08:00:00"),
                ]
            ])
        func expect<Value: CaseIterable & RawRepresentable<UInt16>>(
            _ table: String, _: Value.Type, _ name: (Value) -> String
        ) throws {
            let rows = try connection.rows("SELECT number, name FROM \(table) ORDER BY number")
            let expected = Value.allCases.map { value -> [SQLiteValue] in
                [.number(of: value), .text(name(value))]
            }
            #expect(rows == expected, "\(table)")
        }
        try expect("replication_states", ReplicationState.self, \.name)
        try expect("replication_healths", ReplicationHealth.self, \.name)
        try expect("job_states", JobState.self, \.name)
        let states = try connection.rows("SELECT number, is_final FROM job_states")
        for state in JobState.allCases {
            #expect(
                states.contains([.integer(Int64(state.rawValue)), .boolean(state.isFinal)]),
                "\(state)")
        }
    }

    @Test("What is longer, later or more than can be said becomes what is nearest to it")
    func limits() throws {
        let id = StoreTrial.id()
        let store = try trial.open(with: [id])
        var job = StoreTrial.job(id)
        job.properties.elapsedTime = .seconds(Int64.max)
        job.properties.scheduledStartTime = .distantFuture.addingTimeInterval(1e15)
        job.properties.startTime = StoreTrial.time(1).addingTimeInterval(1.2e-6)
        var statistics = ReplicationStatistics()
        statistics.noteSuccess(byteCount: .max, latency: .seconds(1), at: StoreTrial.time(1))
        try store.accept(job)
        try store.write { [statistics] (content) throws(StoreError) in
            try content.put(statistics, of: id)
        }
        let properties = try #require(try store.job(job.instanceID)).properties
        #expect(properties.elapsedTime == CIMInterval.longest.duration)
        let last = "99991231235959.999999+000"
        #expect(properties.scheduledStartTime.map { CIMTimestamp($0) }?.description == last)
        #expect(properties.startTime == StoreTrial.time(1).addingTimeInterval(1e-6))
        try store.read { (content) throws(StoreError) in
            #expect(try content.statistics(of: id).replicationSize == UInt64(Int64.max))
        }
    }

    @Test("Microseconds are those of a date, on both sides of 1970 and of 2001, and for any number")
    func microseconds() {
        let numbers: [Int64] = [
            0, 1, -1, 999_999, -1_000_001, 978_307_199_999_999, 1_800_000_000_123_456,
        ]
        for microseconds in numbers {
            let date = CIMTimestamp.date(microseconds: microseconds)
            #expect(abs(date.timeIntervalSince1970 - Double(microseconds) / 1e6) < 1e-6)
            #expect(CIMTimestamp.microseconds(date) == microseconds)
        }
        for microseconds in [Int64.min, .max] {
            #expect(CIMTimestamp.date(microseconds: microseconds).timeIntervalSince1970.isFinite)
        }
    }
}
