import Foundation
import TestSupport
import Testing

@testable import Replication

@Suite("SQLite")
struct SQLiteTests {
    private let folder: TemporaryFolder
    private var path: String { folder.file("database") }

    init() throws {
        folder = try TemporaryFolder()
        try Data().write(to: URL(filePath: folder.file("database")))
    }

    @Test("Values come back as they were bound")
    func values() throws {
        let connection = try SQLiteConnection(opening: path)
        let values: [SQLiteValue] = [
            .null, .integer(0), .integer(.min), .integer(.max), .text(""), .text("a\0b"),
            .text("ä😀e\u{301}"), .bytes([]), .bytes([0, 255]),
        ]
        for value in values {
            let row = try connection.rows("SELECT ?1, ?1", [value])
            #expect(row == [[value, value]])
            // By their bytes: Swift takes texts for equal that Unicode does.
            if case .text(let text) = value, case .text(let read) = row[0][0] {
                #expect(Array(read.utf8) == Array(text.utf8))
            }
        }
        #expect(try connection.rows("SELECT 1 WHERE 0") == [])
        #expect(
            try connection.rows("SELECT 1 UNION SELECT 2 ORDER BY 1") == [
                [.integer(1)], [.integer(2)],
            ])
    }

    @Test("A statement says how many rows it has changed")
    func counts() throws {
        let connection = try SQLiteConnection(opening: path)
        try connection.runScript("CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1), (2)")
        #expect(try connection.run("UPDATE t SET a = a + ?", [.integer(1)]) == 2)
        #expect(try connection.run("DELETE FROM t WHERE a = ?", [.integer(9)]) == 0)
    }

    @Test("Floating-point numbers, and texts that are not UTF-8, are errors")
    func foreignValues() throws {
        let connection = try SQLiteConnection(opening: path)
        let number = #expect(throws: SQLiteError.self) {
            try connection.rows("SELECT 0.5 AS height")
        }
        #expect(
            number == .unexpectedValue(column: "height", value: "a floating-point number"))
        let text = #expect(throws: SQLiteError.self) {
            try connection.rows("SELECT CAST(x'ff41' AS TEXT) AS name")
        }
        #expect(text == .unexpectedValue(column: "name", value: "a text that is not UTF-8"))
    }

    @Test("A mistake in a statement has SQLite's text and code")
    func mistakes() throws {
        let connection = try SQLiteConnection(opening: path)
        let error = #expect(throws: SQLiteError.self) { try connection.run("SELEKT 1") }
        #expect(
            error == .other(SQLiteError.Answer(code: 1, text: "near \"SELEKT\": syntax error")))
        #expect("\(error, default: "")" == "near \"SELEKT\": syntax error (SQLite 1)")
        try connection.runScript("CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT")
        try connection.run("INSERT INTO t VALUES (1)")
        let constraint = #expect(throws: SQLiteError.self) {
            try connection.run("INSERT INTO t VALUES (1)")
        }
        #expect(
            constraint
                == .constraint(
                    SQLiteError.Answer(code: 1555, text: "UNIQUE constraint failed: t.a")))
    }

    @Test("A file that is not there, a folder, and a link, are not opened")
    func openings() throws {
        let link = folder.file("link")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        for path in [folder.file("none"), folder.path, link] {
            let error = #expect(throws: SQLiteError.self) {
                _ = try SQLiteConnection(opening: path)
            }
            guard case .cannotOpen = error else { throw error ?? .outOfMemory }
        }
    }

    @Test("Codes have their kinds, whatever stands in their higher bytes")
    func kinds() {
        func kind(_ code: Int32, _ systemError: Int32 = 0) -> ReturnCode {
            ReturnCode(
                SQLiteError(SQLiteError.Answer(code: code, text: "t", systemError: systemError)))
        }
        let cases: [(Int32, Int32, ReturnCode)] = [
            (5, 0, .systemInUse), (261, 0, .systemInUse), (6, 0, .systemInUse), (11, 0, .failed),
            (26, 0, .failed), (13, 0, .failed), (13, ENOSPC, .failed), (8, 0, .accessDenied),
            (1544, 0, .accessDenied), (3, 0, .accessDenied), (23, 0, .accessDenied),
            (14, EACCES, .accessDenied), (14, EROFS, .accessDenied), (14, ENOENT, .failed),
            (14, EMFILE, .failed), (14, ENOSPC, .failed), (10, EIO, .failed),
            (778, ENOSPC, .failed),
            (778, EDQUOT, .failed), (10, EACCES, .accessDenied), (7, 0, .outOfMemory),
            (2067, 0, .failed), (1, 0, .failed), (999, 0, .failed),
        ]
        for (code, systemError, expected) in cases {
            #expect(kind(code, systemError) == expected, "\(code) \(systemError)")
        }
        let full = SQLiteError(SQLiteError.Answer(code: 4874, text: "t", systemError: ENOSPC))
        #expect("\(full)" == "t (SQLite 4874): No space left on device")
        guard case .full = full else {
            Issue.record("4874 with ENOSPC is no full file system")
            return
        }
    }

    @Test("A wrong number of values is a mistake of this program")
    func wrongCount() async {
        await #expect(processExitsWith: .failure) {
            let folder = try TemporaryFolder()
            try Data().write(to: URL(filePath: folder.file("database")))
            let connection = try SQLiteConnection(opening: folder.file("database"))
            _ = try? connection.run("SELECT ?, ?", [.null])
        }
    }
}
