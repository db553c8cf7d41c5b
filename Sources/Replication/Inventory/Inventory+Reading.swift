internal import Storage

extension Inventory {
    /// Reads and checks a file.
    ///
    /// - Throws: ``InventoryError``, with everything that is wrong in it, but not more than 50.
    public init(contentsOf path: String) throws(InventoryError) {
        let bytes: [UInt8]
        do throws(FileError) {
            let file = try DiskFile(opening: path, for: .reading)
            // One more than there may be tells that there are too many.
            let limit = UInt64(JSONReader.lengthLimit) + 1
            bytes = try file.bytes(at: 0, count: Int(min(try file.byteCount(), limit)))
        } catch {
            throw .file(error)
        }
        try self.init(parsing: bytes, file: path)
    }

    /// Reads and checks the content of a file that messages call by this name.
    init(parsing bytes: [UInt8], file: String) throws(InventoryError) {
        var reader = InventoryReader(file: file, bytes: bytes)
        let inventory = reader.inventory(bytes)
        if let error = reader.error { throw error }
        self = inventory
    }
}

extension InventoryReader {
    /// What the text says, as far as it is right.
    mutating func inventory(_ bytes: [UInt8]) -> Inventory {
        var inventory = Inventory()
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONReader.document(bytes)
        } catch {
            note(error)
            return inventory
        }
        for error in document.duplicateKeys { note(error) }
        let root = InventoryField(value: document.root, path: FieldPath())
        guard let members = members(of: root, RootKey.self) else { return inventory }
        if let field = required(.version, in: members) { checkVersion(field) }
        inventory.service = service(members[.service])
        let defaults = settings(members[.defaultSettings], over: Inventory.ReplicationSettings())
        let machines = required(.machines, in: members)
            .flatMap { elements(of: $0, limit: Inventory.machineLimit, minimum: 0) }
        for field in machines ?? [] {
            if let machine = machine(field, defaults) { inventory.machines.append(machine) }
        }
        for (replica, disk) in claims.replicasThatAreDisks {
            note("the replica is the disk of a machine, \(reference(to: disk))", at: replica)
        }
        return inventory
    }

    private mutating func checkVersion(_ field: InventoryField) {
        let known = Int(Inventory.version)
        guard let version = integer(field, 1...Int.max), version > known else { return }
        note("version \(version) is not supported: this program knows version \(known)", at: field)
    }
}
