internal import Storage

extension ControlRequest {
    /// Reads a request from a line.
    ///
    /// - Throws: 32773 with what is wrong and the way to it; 32770 for another version.
    package init(parsing line: [UInt8]) throws(CodedError) {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONReader.document(line)
        } catch {
            throw .invalid("the request is not JSON: \(error.place)")
        }
        if let error = document.duplicateKeys.first {
            throw .invalid("the request: \(error.place)")
        }
        // It is the same task as to read an inventory, with other keys.
        var reader = InventoryReader(file: "request", bytes: line)
        let request = try reader.request(document.root)
        if let error = reader.error { throw .invalid(Self.sentence(error)) }
        guard let request else { throw .invalid("the request cannot be understood") }
        self = request
    }

    /// As many mistakes as a sentence can bear.
    private static func sentence(_ error: InventoryError) -> String {
        guard case .invalid(let issues, let more) = error else { return "\(error)" }
        let shown = issues.prefix(5).map { issue in
            issue.field.isEmpty ? issue.message : "\(issue.field): \(issue.message)"
        }
        let left = issues.count - shown.count + more
        return "the request: " + shown.joined(separator: "; ")
            + (left > 0 ? "; and \(left) more" : "")
    }
}

extension JSONError {
    fileprivate var place: String {
        let way = path.description
        let text = "\(reason)".replacing("the file", with: "the line")
        return (way.isEmpty ? "" : "\(way): ") + "\(text) (byte \(offset + 1))"
    }
}

extension InventoryReader {
    /// Nil where something is noted.
    fileprivate mutating func request(
        _ root: JSONValue
    ) throws(CodedError) -> ControlRequest? {
        let field = InventoryField(value: root, path: FieldPath())
        guard let members = members(of: field, ControlRequestKey.self) else { return nil }
        try checkVersion(members)
        guard let word = required(.request, in: members) else { return nil }
        let names = ControlRequestName.allCases.map { ($0.rawValue, $0) }
        guard let name = choice(word, names) else { return nil }
        checkKeys(of: name, members)
        let values = RequestValues(
            computerSystem: members[.computerSystem].flatMap { text($0) },
            startTime: members[.startTime].flatMap { startTime($0) },
            requestedState: members[.requestedState].flatMap { integer($0, 0...65535) }
                .map(UInt16.init),
            job: members[.job].flatMap { text($0) },
            limit: members[.limit].flatMap { integer($0, ControlProtocol.historyLimits) })
        return error == nil ? values.request(name) : nil
    }

    /// Before anything else: another version may have other requests.
    private mutating func checkVersion(
        _ members: InventoryMembers<ControlRequestKey>
    ) throws(CodedError) {
        guard let field = required(.version, in: members),
            let version = integer(field, 1...Int.max)
        else { return }
        guard version == ControlProtocol.version else {
            throw CodedError(
                .notSupported,
                "version \(version) of the control protocol is not supported: this service knows "
                    + "version \(ControlProtocol.version)")
        }
    }

    private mutating func checkKeys(
        of name: ControlRequestName, _ members: InventoryMembers<ControlRequestKey>
    ) {
        for key in ControlRequestKey.allCases where name.requiredKeys.contains(key) {
            _ = required(key, in: members)
        }
        let known = name.requiredKeys.union(name.optionalKeys).union([.version, .request])
        for key in ControlRequestKey.allCases where !known.contains(key) {
            guard let field = members[key] else { continue }
            note("it means nothing to \(name.rawValue.quoted)", at: field)
        }
    }

    /// Any text: what is wrong with it, the service says with a code of its own.
    private mutating func startTime(_ field: InventoryField) -> String? {
        guard case .string(let text) = field.value.content else {
            noteKind("a text", field)
            return nil
        }
        return text
    }
}

/// The values of a request, of which each kind has some.
private struct RequestValues {
    var computerSystem: String?
    var startTime: String?
    var requestedState: UInt16?
    var job: String?
    var limit: Int?

    /// Nil where one is missing.
    func request(_ name: ControlRequestName) -> ControlRequest? {
        switch name {
        case .listMachines: .listMachines
        case .showMachine: computerSystem.map { .showMachine(computerSystem: $0) }
        case .resynchronize:
            computerSystem.map { .resynchronize(computerSystem: $0, startTime: startTime) }
        case .requestReplicationStateChange:
            both(computerSystem, requestedState).map {
                .requestReplicationStateChange(computerSystem: $0, requestedState: $1)
            }
        case .getReplicationStatistics:
            computerSystem.map { .getReplicationStatistics(computerSystem: $0) }
        case .listJobs: .listJobs
        case .showJob: job.map { .showJob($0) }
        case .watchJob: job.map { .watchJob($0) }
        case .requestStateChange:
            both(job, requestedState).map { .requestStateChange(job: $0, requestedState: $1) }
        case .listHistory: .listHistory(computerSystem: computerSystem, limit: limit)
        }
    }

    private func both<First, Second>(_ first: First?, _ second: Second?) -> (First, Second)? {
        guard let first, let second else { return nil }
        return (first, second)
    }
}
