import Foundation
import TestSupport

@testable import Replication

/// An inventory as text, to be changed and read.
struct InventoryTrial {
    var text: String

    /// A primary with two disks and a folder of this host, and a replica that goes on over TLS.
    static let small = InventoryTrial(
        text: """
            {
              "version": 1,
              "defaultSettings": {
                "certificates": { "certificate": "/c.pem", "key": "/c.key", "authorities": "/ca" }
              },
              "machines": [
                {
                  "name": "00000000-0000-0000-0000-00000000000A",
                  "elementName": "mail",
                  "replicationMode": "primary",
                  "disks": [
                    { "name": "system", "path": "/vm/a.vhdx", "replica": "a.vhdx" },
                    { "name": "data", "path": "/vm/b.vhdx", "replica": "b.vhdx" }
                  ],
                  "primaryRelationship": { "recoveryConnectionPoint": "/replicas" }
                },
                {
                  "name": "{00000000-0000-0000-0000-00000000000b}",
                  "elementName": "files",
                  "replicationMode": "replica",
                  "disks": [
                    { "name": "system", "path": "/vm/c.vhdx", "extendedReplica": "c.vhdx" }
                  ],
                  "extendedRelationship": {
                    "recoveryConnectionPoint": "vhdresync://far.example/", "settings": {}
                  }
                }
              ]
            }
            """)

    struct NotThere: Error {
        var text: String
    }

    /// With a text that stands in it once, or first, in place of another.
    func replacing(_ old: String, with new: String) throws -> InventoryTrial {
        guard let range = text.range(of: old) else { throw NotThere(text: old) }
        return InventoryTrial(text: text.replacingCharacters(in: range, with: new))
    }

    func inventory() throws(InventoryError) -> Inventory {
        try Inventory(parsing: Array(text.utf8), file: "i.json")
    }

    /// What is wrong, and how much more.
    var refusal: (issues: [InventoryIssue], more: Int) {
        do throws(InventoryError) {
            _ = try inventory()
            return ([], 0)
        } catch {
            guard case .invalid(let issues, let more) = error else { return ([], 0) }
            return (issues, more)
        }
    }

    /// What is wrong, each as `line:column: field: message`.
    var issues: [String] {
        refusal.issues.map { String($0.description.dropFirst("i.json:".count)) }
    }

    /// The example of the documentation.
    static func documented() throws -> InventoryTrial {
        let lines = try document("inventory.md").split(
            separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.firstIndex(of: "```json"),
            let last = lines[first...].firstIndex(of: "```")
        else { throw NotThere(text: "```json") }
        return InventoryTrial(text: lines[(first + 1)..<last].joined(separator: "\n"))
    }

    /// A page of the documentation.
    static func document(_ name: String) throws -> String {
        var root = URL(filePath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        return try String(contentsOf: root.appending(path: "docs/" + name), encoding: .utf8)
    }
}
