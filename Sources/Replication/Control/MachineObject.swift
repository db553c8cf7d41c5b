internal import Storage
internal import Transport

/// A virtual machine for programs: properties of `Msvm_ComputerSystem` under their names there, a name
/// beside each number that stands for one, and what is ours under names with a small letter in front.
package struct MachineObject: Codable, Equatable, Sendable {
    package var name: String
    package var elementName: String
    package var replicationMode: UInt16
    package var replicationModeName: String
    package var disks: [Disk]
    /// The relationship in which it is the sender.
    package var relationship: Nullable<RelationshipObject>
    /// The job of that relationship that is not over.
    package var job: Nullable<Job>
    /// From when on it is resynchronized; null where it does not wait for that.
    package var nextStartTime: Nullable<String>

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case name = "Name"
        case elementName = "ElementName"
        case replicationMode = "ReplicationMode"
        case replicationModeName = "ReplicationModeName"
        case disks, relationship, job, nextStartTime
    }

    package struct Disk: Codable, Equatable, Sendable {
        package var name: String
        package var path: String
        package var replica: Nullable<String>

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case name, path, replica
        }
    }

    /// As much of a job as a list of machines shows.
    package struct Job: Codable, Equatable, Sendable {
        package var instanceID: String
        package var jobState: UInt16
        package var jobStateName: String
        package var jobStatus: String
        package var percentComplete: UInt16

        package enum CodingKeys: String, CodingKey, CaseIterable {
            case instanceID = "InstanceID"
            case jobState = "JobState"
            case jobStateName = "JobStateName"
            case jobStatus = "JobStatus"
            case percentComplete = "PercentComplete"
        }

        init(_ properties: ConcreteJob.Properties) {
            instanceID = properties.instanceID
            jobState = properties.jobState.rawValue
            jobStateName = properties.jobState.name
            jobStatus = properties.jobStatus
            percentComplete = properties.percentComplete
        }
    }

    init(_ standing: MachineStanding) {
        let machine = standing.machine
        name = machine.name.description.uppercased()
        elementName = machine.elementName
        replicationMode = machine.replicationMode.rawValue
        replicationModeName = machine.replicationMode.name
        let replicas = machine.relationship?.replicas ?? []
        disks = machine.disks.enumerated().map { position, disk in
            Disk(
                name: disk.name, path: disk.path,
                replica: Nullable(position < replicas.count ? "\(replicas[position])" : nil))
        }
        let relationship = machine.relationship.flatMap { configured in
            standing.relationship.map { RelationshipObject($0, configured) }
        }
        self.relationship = Nullable(relationship)
        job = Nullable(standing.job.map { Job($0.properties) })
        nextStartTime = Nullable(standing.nextStartTime.map { "\(CIMTimestamp($0))" })
    }
}

/// An `Msvm_ReplicationRelationship` for programs.
package struct RelationshipObject: Codable, Equatable, Sendable {
    package var instanceID: String
    package var replicationState: UInt16
    package var replicationStateName: String
    package var replicationHealth: UInt16
    package var replicationHealthName: String
    package var failedOverReplicationType: UInt16
    package var failedOverReplicationTypeName: String
    package var lastReplicationType: UInt16
    package var lastReplicationTypeName: String
    package var lastReplicationTime: Nullable<String>
    package var lastApplicationConsistentReplicationTime: Nullable<String>
    package var lastApplyTime: Nullable<String>
    package var recoveryConnectionPoint: String
    package var timeOfLastStateChange: String
    package var statusDescription: Nullable<String>
    package var failureCount: Int
    package var nextAttemptTime: Nullable<String>

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case instanceID = "InstanceID"
        case replicationState = "ReplicationState"
        case replicationStateName = "ReplicationStateName"
        case replicationHealth = "ReplicationHealth"
        case replicationHealthName = "ReplicationHealthName"
        case failedOverReplicationType = "FailedOverReplicationType"
        case failedOverReplicationTypeName = "FailedOverReplicationTypeName"
        case lastReplicationType = "LastReplicationType"
        case lastReplicationTypeName = "LastReplicationTypeName"
        case lastReplicationTime = "LastReplicationTime"
        case lastApplicationConsistentReplicationTime = "LastApplicationConsistentReplicationTime"
        case lastApplyTime = "LastApplyTime"
        case recoveryConnectionPoint, timeOfLastStateChange, statusDescription, failureCount
        case nextAttemptTime
    }

    init(_ relationship: StoredRelationship, _ configured: Inventory.Relationship) {
        instanceID = "\(relationship.id)"
        replicationState = relationship.replicationState.rawValue
        replicationStateName = relationship.replicationState.name
        replicationHealth = relationship.replicationHealth.rawValue
        replicationHealthName = relationship.replicationHealth.name
        failedOverReplicationType = relationship.failedOverReplicationType.rawValue
        failedOverReplicationTypeName = relationship.failedOverReplicationType.name
        lastReplicationType = relationship.lastReplicationType.rawValue
        lastReplicationTypeName = relationship.lastReplicationType.name
        lastReplicationTime = Nullable(
            relationship.lastReplicationTime.map { "\(CIMTimestamp($0))" })
        lastApplicationConsistentReplicationTime = Nullable(
            relationship.lastApplicationConsistentReplicationTime.map { "\(CIMTimestamp($0))" })
        lastApplyTime = Nullable(relationship.lastApplyTime.map { "\(CIMTimestamp($0))" })
        recoveryConnectionPoint = "\(configured.recoveryConnectionPoint)"
        timeOfLastStateChange = "\(CIMTimestamp(relationship.timeOfLastStateChange))"
        statusDescription = Nullable(relationship.statusDescription)
        failureCount = relationship.retrySchedule.failureCount
        nextAttemptTime = Nullable(relationship.nextAttemptTime.map { "\(CIMTimestamp($0))" })
    }
}

extension RecoveryConnectionPoint: CustomStringConvertible {
    /// As the inventory has it.
    public var description: String {
        switch self {
        case .folder(let folder): "\(DiskLocation.local(folder))"
        case .ssh(let user, let host, let folder):
            "\(DiskLocation.ssh(user: user, host: host, path: folder ?? ""))"
        case .tls(let host, let port, let folder):
            "\(DiskLocation.tls(host: host, port: port, path: folder))"
        }
    }
}
