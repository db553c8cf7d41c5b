internal import Storage
internal import Transport

extension InventoryReader {
    mutating func machine(
        _ field: InventoryField, _ defaults: Inventory.ReplicationSettings
    ) -> Inventory.Machine? {
        guard let members = members(of: field, MachineKey.self) else { return nil }
        let name = required(.name, in: members).flatMap { machineName($0) }
        let elementName = required(.elementName, in: members).flatMap { self.elementName($0) }
        let modes: [(String, ReplicationMode)] = [
            ("primary", .primary), ("replica", .replica),
        ]
        let mode = required(.replicationMode, in: members).flatMap { choice($0, modes) }
        let primary = relationship(.primary, members, mode, defaults)
        let extended = relationship(.extended, members, mode, defaults)

        let fields = required(.disks, in: members)
            .flatMap { elements(of: $0, limit: Inventory.diskLimit) }
        var disks: [ReadDisk] = []
        var names: [String: InventoryField] = [:]
        for field in fields ?? [] {
            guard let disk = disk(field, mode, primary, extended, &names) else { continue }
            disks.append(disk)
        }
        // Where something is missing, something was noted, and nobody gets the machine.
        guard let name, let elementName, let mode else { return nil }
        return Inventory.Machine(
            name: name, elementName: elementName, replicationMode: mode, disks: disks.map(\.disk),
            primaryRelationship: primary?.relationship(
                of: name, .primary, disks.compactMap(\.replica)),
            extendedRelationship: extended?.relationship(
                of: name, .extended, disks.compactMap(\.extendedReplica)))
    }

    private mutating func machineName(_ field: InventoryField) -> GUID? {
        guard let text = text(field) else { return nil }
        guard let name = GUID(text), name != .zero else {
            note("must be the GUID of a machine, not \(text.quoted)", at: field)
            return nil
        }
        if let earlier = claims.claim(name, field) {
            note("the same GUID as \(reference(to: earlier))", at: field)
        }
        return name
    }

    private mutating func elementName(_ field: InventoryField) -> String? {
        guard let name = text(field) else { return nil }
        guard GUID(name) == nil else {
            note("a GUID is no name for people", at: field)
            return nil
        }
        if let earlier = claims.claim(elementName: name, field) {
            note("the same name as \(reference(to: earlier))", at: field)
        }
        return name
    }

    // MARK: Relationships

    /// A relationship before its machine is known.
    private struct ReadRelationship {
        /// Nil where it is wrong.
        var point: RecoveryConnectionPoint?
        var settings: Inventory.ReplicationSettings

        func relationship(
            of machine: GUID, _ kind: ReplicationRelationshipID.Kind, _ replicas: [DiskLocation]
        ) -> Inventory.Relationship? {
            guard let point else { return nil }
            return Inventory.Relationship(
                id: ReplicationRelationshipID(machineID: machine, kind: kind),
                recoveryConnectionPoint: point,
                settings: settings, replicas: replicas)
        }
    }

    /// - Returns: nil where there is none.
    private mutating func relationship(
        _ kind: ReplicationRelationshipID.Kind, _ machine: InventoryMembers<MachineKey>,
        _ mode: ReplicationMode?, _ defaults: Inventory.ReplicationSettings
    ) -> ReadRelationship? {
        let key: MachineKey = kind == .primary ? .primaryRelationship : .extendedRelationship
        if mode == .primary, kind == .primary { _ = required(key, in: machine) }
        guard let field = machine[key] else { return nil }
        if mode == .replica, kind == .primary {
            note(
                "a replica has none: it belongs to the inventory of the primary's host", at: field)
        }
        if mode == .primary, kind == .extended {
            note("a primary has none: it belongs to the machine that is the replica", at: field)
        }
        guard let members = members(of: field, RelationshipKey.self) else {
            return ReadRelationship(point: nil, settings: defaults)
        }
        let pointField = required(.recoveryConnectionPoint, in: members)
        let point = pointField.flatMap { recoveryConnectionPoint($0) }
        let settings = settings(members[.settings], over: defaults, at: point)
        if let pointField, case .tls = point { checkTLS(settings, pointField) }
        return ReadRelationship(point: point, settings: settings)
    }

    private mutating func recoveryConnectionPoint(
        _ field: InventoryField
    ) -> RecoveryConnectionPoint? {
        guard let text = text(field, limit: Self.longestPath) else { return nil }
        let point: RecoveryConnectionPoint
        do throws(TransportError) {
            point = try RecoveryConnectionPoint(parsing: text)
        } catch {
            note("\(error)", at: field)
            return nil
        }
        switch point {
        case .folder(let folder), .ssh(_, _, let folder?):
            guard folder.utf8.first == UInt8(ascii: "/") else {
                note("the folder must be an absolute path, not \(folder.quoted)", at: field)
                return nil
            }
            return check(folder, .folder, field) ? point : nil
        case .tls(_, _, let folder):
            return check(folder, .folder, field) ? point : nil
        case .ssh(_, _, nil):
            return point
        }
    }

    private mutating func checkTLS(
        _ settings: Inventory.ReplicationSettings, _ field: InventoryField
    ) {
        if settings.certificates == nil {
            note(
                "vhdresync:// is reached with certificates: certificates is missing, here in settings "
                    + "or in defaultSettings", at: field)
        }
        // An agent that listens gives a sign of life every 10 seconds.
        if let seconds = settings.idleTimeoutSeconds, seconds < 20 {
            note(
                "for vhdresync:// idleTimeoutSeconds must be 20 at least, not \(seconds)", at: field
            )
        }
    }

    // MARK: Disks

    private struct ReadDisk {
        var disk: Inventory.Disk
        var replica: DiskLocation?
        var extendedReplica: DiskLocation?
    }

    private mutating func disk(
        _ field: InventoryField, _ mode: ReplicationMode?, _ primary: ReadRelationship?,
        _ extended: ReadRelationship?, _ names: inout [String: InventoryField]
    ) -> ReadDisk? {
        guard let members = members(of: field, DiskKey.self) else { return nil }
        let nameField = required(.name, in: members)
        let name = nameField.flatMap { text($0) }
        if let nameField, let name {
            if let earlier = names[name] {
                note("the same name as \(reference(to: earlier))", at: nameField)
            }
            names[name] = names[name] ?? nameField
        }
        let pathField = required(.path, in: members)
        let path = pathField.flatMap { diskPath($0) }
        if let pathField, let path, let earlier = claims.claim(disk: path, mode, pathField) {
            note("the same disk as \(reference(to: earlier))", at: pathField)
        }
        let isPrimary = mode == .primary
        let replica = replica(
            .replica, members, primary, .primary, isWanted: mode.map { _ in isPrimary },
            absence: "a replica has none: the disk here is the replica")
        let extendedReplica = self.replica(
            .extendedReplica, members, extended, .extended, isWanted: extended != nil,
            absence: "the machine has no extendedRelationship")
        guard let name, let path else { return nil }
        return ReadDisk(
            disk: Inventory.Disk(name: name, path: path), replica: replica,
            extendedReplica: extendedReplica)
    }

    /// Where a disk is replicated to. Whether that is wanted is nil where it is not known.
    private mutating func replica(
        _ key: DiskKey, _ disk: InventoryMembers<DiskKey>, _ relationship: ReadRelationship?,
        _ kind: ReplicationRelationshipID.Kind, isWanted: Bool?, absence: String
    ) -> DiskLocation? {
        if isWanted == true { _ = required(key, in: disk) }
        guard let field = disk[key] else { return nil }
        if isWanted == false { note(absence, at: field) }
        guard let path = replicaPath(field, at: relationship?.point),
            let point = relationship?.point
        else { return nil }
        let location = point.location(of: path)
        if let earlier = claims.claim(location, kind, field) {
            note("the same file as \(reference(to: earlier))", at: field)
        }
        return location
    }
}
