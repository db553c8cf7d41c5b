public import Storage

/// The key of a relationship, `Msvm_ReplicationRelationship.InstanceID`:
/// `Microsoft:<virtual machine>\HVR\<0 or 1>`.
public struct ReplicationRelationshipID: Hashable, Sendable {
    /// Which of a virtual machine's relationships it is.
    public enum Kind: UInt8, CaseIterable, Sendable {
        /// From a primary to its replica.
        case primary = 0
        /// From a replica to its own replica.
        case extended = 1
    }

    public var machineID: GUID
    public var kind: Kind

    private static let prefix = "Microsoft:"
    private static let infix = "\\HVR\\"

    public init(machineID: GUID, kind: Kind) {
        (self.machineID, self.kind) = (machineID, kind)
    }
}

extension ReplicationRelationshipID: LosslessStringConvertible {
    /// Reads a key. The machine may be in either case; the rest is as it is written.
    public init?(_ text: String) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let parts = text.dropFirst(Self.prefix.count).split(
            separator: Self.infix, omittingEmptySubsequences: false)
        // A GUID with braces is another text for the same one, and no key.
        guard parts.count == 2, parts[0].utf8.count == 36, let machineID = GUID(String(parts[0])),
            let kind = Kind.allCases.first(where: { "\($0.rawValue)" == parts[1] })
        else { return nil }
        self.init(machineID: machineID, kind: kind)
    }

    /// The key, with the machine in upper case, as hosts have it.
    public var description: String {
        "\(Self.prefix)\(machineID.description.uppercased())\(Self.infix)\(kind.rawValue)"
    }
}
