import Foundation
import Testing

/// A table of a page of `docs`, to be compared with the code.
struct DocumentedTable {
    var header: [String]
    var rows: [[String]]

    /// The table with these first columns.
    init(_ page: String, startingWith columns: [String]) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/\(page)"), encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(Self.cells)
        let first = try #require(lines.firstIndex { $0.starts(with: columns) })
        header = lines[first]
        rows = Array(lines[(first + 2)...].prefix { !$0.isEmpty })
        for row in rows { #expect(row.count == header.count, "\(page): \(row)") }
    }

    private static func cells(_ line: Substring) -> [String] {
        guard line.hasPrefix("|"), line.hasSuffix("|") else { return [] }
        return line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// The numbers of "0–2, 4", each with what its rows say.
    static func numbers(_ text: String) throws -> [UInt16] {
        try text.split(separator: ", ").flatMap { part in
            let ends = try part.split(separator: "–").map { try #require(UInt16($0)) }
            let first = try #require(ends.first)
            return Array(first...(ends.last ?? first))
        }
    }
}
