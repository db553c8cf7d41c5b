public import Storage
public import Transport

/// What a person has configured: machines, their disks, and where these are replicated to.
///
/// Read from a file of JSON that `docs/inventory.md` describes. Whatever is here has been checked.
public struct Inventory: Equatable, Sendable {
    public var service = ServiceSettings()
    public var machines: [Machine] = []

    /// The version of the file's form.
    static let version: Int64 = 1
    /// More than a host has, and few enough to be checked in a moment.
    static let machineLimit = 10_000
    /// As many as a virtual machine can have: four controllers with 64 each.
    static let diskLimit = 256

    /// What is of the service as a whole: `Msvm_ReplicationServiceSettingData`.
    public struct ServiceSettings: Equatable, Sendable {
        /// Relationships that are resynchronized at once.
        public var maximumActiveTransfers = 3
        /// Those of them with the same other host.
        public var maximumActiveTransfersPerHost = 3
        /// A program with its first arguments, run when a job has ended; empty for none.
        public var hookCommand: [String] = []
        public var logFormat = LogFormat.text
        /// A file that is replaced with figures now and then; nil for none.
        public var metricsFile: String?

        /// Each transfer takes threads, and memory for two windows.
        public static let activeTransfers = AgentConfiguration.runLimits

        public init() {}
    }

    /// A virtual machine: `Msvm_ComputerSystem`.
    public struct Machine: Equatable, Sendable {
        public var name: GUID
        /// What people call it. No two machines have the same.
        public var elementName: String
        /// A primary or a replica.
        public var replicationMode: ReplicationMode
        public var disks: [Disk]
        /// From this host's disks to replicas: of a primary, always.
        public var primaryRelationship: Relationship?
        /// From this host's replicas to extended replicas: of a replica, perhaps.
        public var extendedRelationship: Relationship?

        /// The relationship that `Resynchronize` acts on; nil where there is none.
        public var relationship: Relationship? { primaryRelationship ?? extendedRelationship }
    }

    /// A disk of a machine.
    public struct Disk: Equatable, Sendable {
        /// What people call it. No two disks of a machine have the same.
        public var name: String
        /// Where it is on this host, absolute.
        public var path: String
    }

    /// A way from the disks of a machine to their replicas: `Msvm_ReplicationRelationship`.
    public struct Relationship: Equatable, Sendable {
        public var id: ReplicationRelationshipID
        public var recoveryConnectionPoint: RecoveryConnectionPoint
        public var settings: ReplicationSettings
        /// Where the replica of each disk of the machine is, in their order.
        public var replicas: [DiskLocation]
    }

    /// How a relationship is resynchronized: `Msvm_ReplicationSettingData`.
    public struct ReplicationSettings: Equatable, Sendable {
        /// Bytes of virtual content that are compared as one.
        public var blockSize = 65536
        /// Bytes a second in each direction of a connection; nil for no limit.
        public var bandwidthLimit: UInt64?
        /// How often to call again where a connection breaks.
        public var retryCount = 0
        /// After so long without a sign of life the other side counts as dead; nil for the default.
        public var idleTimeoutSeconds: Int?
        /// Where the journals of replicas on this host stand; nil for beside the replicas.
        public var journalFolder: String?
        public var certificates: TLSConfiguration?
        /// The program that reaches a host, and its first arguments.
        public var remoteShell = ["ssh"]
        /// What it is to start there.
        public var remoteCommand = ["vhdresync"]
        public var autoResynchronize = AutoResynchronizeWindow.unlessSaid

        public init() {}
    }

    /// The machine that a GUID or a name leads to. No name is a GUID.
    public func machine(called text: String) -> Machine? {
        if let name = GUID(text) { return machines.first { $0.name == name } }
        return machines.first { $0.elementName == text }
    }
}
