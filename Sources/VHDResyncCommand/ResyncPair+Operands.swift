internal import Replication
internal import Transport

extension ResyncPair {
    /// The pair with these names on the command line.
    ///
    /// - Throws: ``UsageError`` for a name that is none, and for two disks that are both elsewhere.
    init(primary: String, replica: String) throws(UsageError) {
        self.init(
            primary: try Operand.location(primary), replica: try Operand.location(replica))
        guard !self.primary.isRemote || !self.replica.isRemote else {
            throw .invalid(
                "both '\(primary)' and '\(replica)' are on other hosts, and one disk must be on "
                    + "this one: run the program on one of the two hosts")
        }
    }
}
