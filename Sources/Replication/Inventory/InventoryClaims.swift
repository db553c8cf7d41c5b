internal import Storage
internal import Transport

/// A path in a form in which two that lead to the same file are mostly equal: without empty steps
/// and steps to where one is. Links are not followed.
struct PathKey: Hashable {
    /// By their bytes, as file systems have them: Swift takes texts for equal that Unicode does.
    var components: [[UInt8]]

    init(_ path: String) {
        components = PathText.components(of: path).filter { $0 != "." }.map { Array($0.utf8) }
    }
}

/// What fields of an inventory lay claim to, to find what two of them do.
struct InventoryClaims {
    private var machineNames: [GUID: InventoryField] = [:]
    private var elementNames: [String: InventoryField] = [:]
    private var disks: [PathKey: Disk] = [:]
    private var replicas: [ReplicaKey: InventoryField] = [:]
    private var localReplicas: [LocalReplica] = []

    private struct Disk {
        var field: InventoryField
        var mode: ReplicationMode?
    }

    private struct LocalReplica {
        var key: PathKey
        var field: InventoryField
        var kind: ReplicationRelationshipID.Kind
    }

    /// A file, on this host or on another one.
    private struct ReplicaKey: Hashable {
        var host: String
        var path: PathKey

        init(_ location: DiskLocation) {
            switch location {
            case .local(let path): (host, self.path) = ("", PathKey(path))
            case .ssh(_, let host, let path):
                (self.host, self.path) = ("ssh " + host.lowercased(), PathKey(path))
            case .tls(let host, let port, let path):
                (self.host, self.path) = ("tls \(host.lowercased()) \(port)", PathKey(path))
            }
        }
    }

    // Each of these returns the field that has claimed the same before.

    mutating func claim(_ name: GUID, _ field: InventoryField) -> InventoryField? {
        Self.claim(name, field, &machineNames)
    }

    mutating func claim(elementName: String, _ field: InventoryField) -> InventoryField? {
        Self.claim(elementName, field, &elementNames)
    }

    mutating func claim(
        disk path: String, _ mode: ReplicationMode?, _ field: InventoryField
    ) -> InventoryField? {
        Self.claim(PathKey(path), Disk(field: field, mode: mode), &disks)?.field
    }

    mutating func claim(
        _ location: DiskLocation, _ kind: ReplicationRelationshipID.Kind, _ field: InventoryField
    ) -> InventoryField? {
        if case .local(let path) = location {
            localReplicas.append(LocalReplica(key: PathKey(path), field: field, kind: kind))
        }
        return Self.claim(ReplicaKey(location), field, &replicas)
    }

    private static func claim<Key, Value>(
        _ key: Key, _ value: Value, _ claims: inout [Key: Value]
    ) -> Value? {
        if let earlier = claims[key] { return earlier }
        claims[key] = value
        return nil
    }

    /// Replicas that are disks of machines where they must not be: each with the disk.
    ///
    /// That of a primary may be the disk of a machine that is a replica, which goes on from there.
    /// An extended replica is the end of the way.
    var replicasThatAreDisks: [(replica: InventoryField, disk: InventoryField)] {
        localReplicas.compactMap { replica in
            guard let disk = disks[replica.key] else { return nil }
            let goesOn = replica.kind == .primary && disk.mode != .primary
            return goesOn ? nil : (replica.field, disk.field)
        }
    }
}
