public import Resync
public import Transport

/// What an agent serves, to whom, and how much of it at once.
public struct AgentConfiguration: Sendable {
    /// The only folder that it serves.
    public var root: String
    /// Whether clients may have disks as primaries alone, and write to none.
    public var isReadOnly = false
    /// Whom it serves of those whom the authority has certified, as ``PeerIdentity/matches(_:)``
    /// has it; empty for all of them.
    public var allowedPeers: [String] = []
    /// How disks are opened and written; what a client wishes is added.
    public var options: ResyncOptions
    /// Connections at once, those that have not shown a certificate yet included.
    public var connectionLimit = 64
    /// Disks that are served at once.
    public var runLimit = 8
    public var handshakeTimeoutSeconds = 10.0
    public var channel = ChannelSettings()

    /// How many connections there may be. Each has a thread that receives and one that sends, and the
    /// system's pool has 255.
    public static let connectionLimits = 1...80
    /// How many disks there may be. Each takes a thread more, and memory for two windows.
    public static let runLimits = 1...16

    public init(root: String, options: ResyncOptions) {
        self.root = root
        self.options = options
    }

    /// - Throws: ``ResyncError/invalidOption(_:)``.
    func check() throws(ResyncError) {
        guard Self.connectionLimits.contains(connectionLimit) else {
            throw .invalidOption(
                "the number of connections must be 1 to \(Self.connectionLimits.upperBound), "
                    + "not \(connectionLimit)")
        }
        guard Self.runLimits.contains(runLimit) else {
            throw .invalidOption(
                "the number of disks at once must be 1 to \(Self.runLimits.upperBound), "
                    + "not \(runLimit)")
        }
    }
}
