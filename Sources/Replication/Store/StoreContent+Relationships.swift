extension StoreContent {
    /// All relationships, by their InstanceIDs.
    public func relationships() throws(StoreError) -> [StoredRelationship] {
        try records("1", orderedBy: "instance_id")
    }

    public func relationship(_ id: ReplicationRelationshipID) throws(StoreError)
        -> StoredRelationship?
    {
        try record("instance_id = ?", [.text(id.description)])
    }

    /// Adds a relationship, or changes it.
    public mutating func put(_ relationship: StoredRelationship) throws(StoreError) {
        try put(record: relationship)
    }

    /// Forgets a relationship and its statistics. Its jobs stay.
    ///
    /// - Throws: ``StoreError/resynchronizing(_:job:)`` where it has one under way.
    public mutating func removeRelationship(_ id: ReplicationRelationshipID) throws(StoreError) {
        if let job = try resynchronization(of: id) {
            throw .resynchronizing(id, job: job.instanceID)
        }
        let sql = "DELETE FROM relationships WHERE instance_id = ?"
        guard try change(sql, [.text(id.description)]) == 1 else { throw .unknownRelationship(id) }
    }

    /// The statistics of a relationship; of nothing where there are none.
    public func statistics(
        of id: ReplicationRelationshipID
    ) throws(StoreError) -> ReplicationStatistics {
        let found: StoredStatistics? = try record("relationship = ?", [.text(id.description)])
        return found?.statistics ?? ReplicationStatistics()
    }

    /// Adds the statistics of a relationship that is there, or changes them.
    public mutating func put(
        _ statistics: ReplicationStatistics, of id: ReplicationRelationshipID
    ) throws(StoreError) {
        guard try relationship(id) != nil else { throw .unknownRelationship(id) }
        try put(record: StoredStatistics(relationship: id, statistics: statistics))
    }
}
