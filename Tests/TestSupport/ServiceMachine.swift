internal import Foundation

/// An inventory in a folder of its own, with machines of one disk each.
package struct ServiceMachine {
    package let folder: TemporaryFolder

    /// The inventory.
    package var configuration: String { folder.file("inventory.json") }
    /// Of a service of its own.
    package func state(_ name: String) -> String { folder.file(name) }

    /// "vm1", whose replica has this name in this place, with settings of the relationship and of the
    /// service.
    package init(
        primary: String, name: String, place: String, settings: [String: Any] = [:],
        service: [String: Any] = [:]
    ) throws {
        try self.init(
            [
                Self.machine(
                    1, disk: ["name": "disk", "path": primary, "replica": name], place: place,
                    settings: settings)
            ], service: service)
    }

    /// "vm1" and so on, a machine for each pair, with replicas in a folder of this host.
    package init(_ pairs: MachinePairs, service: [String: Any] = [:]) throws {
        let machines = (0..<pairs.count).map { index in
            let replica = URL(filePath: pairs.replica(index)).lastPathComponent
            return Self.machine(
                index + 1,
                disk: ["name": "disk", "path": pairs.primary(index), "replica": replica],
                place: pairs.folder, settings: [:])
        }
        try self.init(machines, service: service)
    }

    private init(_ machines: [[String: Any]], service: [String: Any]) throws {
        folder = try TemporaryFolder()
        let inventory: [String: Any] = ["version": 1, "service": service, "machines": machines]
        try JSONSerialization.data(withJSONObject: inventory)
            .write(to: URL(filePath: folder.file("inventory.json")))
    }

    private static func machine(
        _ number: Int, disk: [String: Any], place: String, settings: [String: Any]
    ) -> [String: Any] {
        let digits = String(number)
        let name = String("00000000-0000-0000-0000-000000000000".dropLast(digits.count)) + digits
        return [
            "name": name, "elementName": "vm\(number)", "replicationMode": "primary",
            "disks": [disk],
            "primaryRelationship": ["recoveryConnectionPoint": place, "settings": settings],
        ]
    }

    /// The disks of a pair, with the replica in a folder of this host.
    package init(
        _ pair: DiskPair, settings: [String: Any] = [:], service: [String: Any] = [:]
    ) throws {
        let replica = URL(filePath: pair.replica)
        try self.init(
            primary: pair.primary, name: replica.lastPathComponent,
            place: replica.deletingLastPathComponent().path, settings: settings,
            service: service)
    }
}
