/// What a sender knows of a run: its session, and what the receiver has said beside that.
///
/// A value without input and output, like the session.
package struct SenderState: ~Copyable, Sendable {
    package var session: SenderSession
    private(set) var target: TargetOffer?
    private(set) var result: RemoteResult?
    /// What finishes the replica, where it was prepared and anything is to be done.
    private(set) var prepared: PreparedJournal?
    var failure: ResyncError?
    /// Whether everything was sent, so that nothing but the result may come.
    package var isFinished = false
    private let expectsDone: Bool
    /// The own disk, where the receiver was asked to prepare.
    private let preparedSource: DiskState?

    /// - Parameters:
    ///   - session: One that has not begun.
    ///   - expectsDone: Whether the receiver was asked about a run that it may have finished.
    ///   - preparedSource: Where it was asked to prepare, what it was told of the primary.
    package init(
        _ session: consuming SenderSession, expectsDone: Bool, preparedSource: DiskState? = nil
    ) {
        self.session = session
        self.expectsDone = expectsDone
        self.preparedSource = preparedSource
    }

    /// Whether the receiver has finished an earlier run, and nothing is left to do.
    var isDone: Bool { target?.isDone == true }

    /// A message of the receiver came, after it was sent a source.
    ///
    /// - Returns: whether nothing follows.
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    package mutating func received(_ message: Message) throws(ResyncError) -> Bool {
        // From then on the receiver works alone, or has nothing to do.
        let isWaiting = isFinished || isDone
        switch message {
        case .target(let target):
            guard target.virtualSize == session.geometry.virtualSize,
                target.heldBlockCount <= session.geometry.blockCount
            else { throw .protocolViolation("a target of another size") }
            guard expectsDone || !target.isDone else {
                throw .protocolViolation("an end of a run that nobody asked about")
            }
            try session.begin(salt: target.salt)
            self.target = target
        case .digests(let ranges) where !isWaiting: try session.received(digests: ranges)
        case .nodes(let first, let nodes) where !isWaiting:
            try session.received(nodes: nodes, first: first)
        case .blocks(let first, let blocks) where !isWaiting:
            try session.received(blocks: blocks, first: first)
        // While this side still counts, what another has counted must not come between.
        case .status where isFinished: break
        case .prepared(let bytes) where isFinished && preparedSource != nil && prepared == nil:
            guard let journal = PreparedJournal(decoding: bytes),
                journal.header.source == preparedSource,
                journal.header.virtualSize == session.geometry.virtualSize
            else { throw .protocolViolation("a journal of another run") }
            prepared = journal
        case .result(let result) where isWaiting:
            self.result = result
            return true
        case .hello, .open, .source, .digests, .nodesWanted, .nodes, .blocksWanted, .blocks,
            .records, .settled, .finish, .status, .result, .failure, .prepared:
            throw .protocolViolation("a message of kind \(message.kind) out of turn")
        }
        return false
    }
}
