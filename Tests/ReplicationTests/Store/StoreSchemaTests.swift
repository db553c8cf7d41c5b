import Foundation
import TestSupport
import Testing

@testable import Replication

@Suite("Versions of the store")
struct StoreSchemaTests {
    private let trial: StoreTrial
    private let id = StoreTrial.id()
    private let job: StoredJob

    init() throws {
        trial = try StoreTrial()
        job = StoreTrial.job(id)
        try trial.open(with: [id]).accept(job, disks: StoreTrial.disks(of: job))
    }

    /// The tables here with others behind them.
    private func later(_ migrations: String...) -> StoreSchema {
        StoreSchema(migrations: StoreSchema.current.migrations + migrations)
    }

    private func version() throws -> SQLiteValue? {
        try SQLiteConnection(opening: trial.database).rows("PRAGMA user_version").first?.first
    }

    @Test("A later release changes the tables, and keeps what is in them")
    func migration() throws {
        let schema = later(
            "CREATE TABLE notes (text TEXT NOT NULL) STRICT; INSERT INTO notes VALUES ('new');",
            """
            CREATE TABLE notes2 (text TEXT NOT NULL, weight INTEGER NOT NULL) STRICT;
            INSERT INTO notes2 SELECT text, 7 FROM notes;
            DROP TABLE notes;
            ALTER TABLE notes2 RENAME TO notes;
            """)
        let store = try StateStore(opening: trial.path, schema: schema)
        #expect(try store.jobs() == [job])
        let notes = try store.read { (content) throws(StoreError) in
            Result { () throws(SQLiteError) in try content.connection.rows("SELECT * FROM notes") }
        }
        #expect(try notes.get() == [[.text("new"), .integer(7)]])
        withExtendedLifetime(store) {}
    }

    @Test("docs/state.md lists every table and view, and every file")
    func documentation() throws {
        let text = try InventoryTrial.document("state.md")
        let names = try SQLiteConnection(opening: trial.database).rows(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%'"
        )
        #expect(names.count == 11)
        for case .text(let name) in names.flatMap(\.self) {
            #expect(text.contains("`\(name)`") || text.contains("FROM \(name)'"), "\(name)")
        }
        let files = StoreFiles(folder: "")
        for path in [files.lock, files.database, files.unfinished] {
            #expect(text.contains("`\(path.dropFirst())`"), "\(path)")
        }
    }

    @Test("This release does not open what a later one has changed")
    func noWayBack() throws {
        let known = StoreSchema.current.version
        _ = try StateStore(opening: trial.path, schema: later("CREATE TABLE t (a INTEGER) STRICT"))
        let error = #expect(throws: StoreError.self) { try trial.open() }
        #expect(error == .laterVersion(path: trial.database, version: known + 1, known: known))
    }

    @Test("A change that fails leaves the tables of before, all of them")
    func failure() throws {
        let schema = later(
            "CREATE TABLE first (a INTEGER) STRICT; DELETE FROM disk_results",
            "CREATE TABLE second (a INTEGER) STRICT; INSERT INTO none VALUES (1)")
        let error = #expect(throws: StoreError.self) {
            try StateStore(opening: trial.path, schema: schema)
        }
        guard case .database(trial.database, .other(let answer)) = error else {
            throw error ?? .unknownJob("")
        }
        #expect(answer.text == "no such table: none")
        #expect(try version() == .integer(Int64(StoreSchema.current.version)))
        let store = try trial.open()
        #expect(try store.jobs() == [job])
        #expect(try store.disks(of: job).count == 2)
        let tables = try SQLiteConnection(opening: trial.database).rows(
            "SELECT name FROM sqlite_schema WHERE name IN ('first', 'second')")
        #expect(tables.isEmpty)
    }

    @Test("A store that is made has all versions at once, and a remainder of one is no obstacle")
    func creation() throws {
        let other = try StoreTrial()
        try FileManager.default.createDirectory(
            atPath: other.path, withIntermediateDirectories: false)
        for suffix in ["", "-journal", "-wal"] {
            try Data([1, 2, 3]).write(to: URL(filePath: other.path + "/state.sqlite.new" + suffix))
        }
        #expect(try other.open().jobs().isEmpty)
        let names = try FileManager.default.contentsOfDirectory(atPath: other.path).sorted()
        #expect(names == ["lock", "state.sqlite"])
        #expect(try version() == .integer(Int64(StoreSchema.current.version)))
    }
}
