/// What a sender knows of a run: its session, and what the receiver has said beside that.
///
/// A value without input and output, like the session.
struct SenderState: ~Copyable, Sendable {
    var session: SenderSession
    private(set) var target: TargetOffer?
    private(set) var result: RemoteResult?
    var failure: ResyncError?
    /// Whether everything was sent, so that nothing but the result may come.
    var isFinished = false
    private let expectsDone: Bool

    /// - Parameters:
    ///   - session: One that has not begun.
    ///   - expectsDone: Whether the receiver was asked about a run that it may have finished.
    init(_ session: consuming SenderSession, expectsDone: Bool) {
        self.session = session
        self.expectsDone = expectsDone
    }

    /// Whether the receiver has finished an earlier run, and nothing is left to do.
    var isDone: Bool { target?.isDone == true }

    /// A message of the receiver came, after it was sent a source.
    ///
    /// - Returns: whether nothing follows.
    /// - Throws: ``ResyncError/protocolViolation(_:)``.
    mutating func received(_ message: Message) throws(ResyncError) -> Bool {
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
        case .digests(let ranges): try session.received(digests: ranges)
        case .nodes(let first, let nodes): try session.received(nodes: nodes, first: first)
        case .blocks(let first, let blocks): try session.received(blocks: blocks, first: first)
        case .status:
            // While this side still counts, what another has counted must not come between.
            guard isFinished || isDone else {
                throw .protocolViolation("a status before the end")
            }
        case .result(let result):
            guard isFinished || isDone else {
                throw .protocolViolation("a result before the end")
            }
            self.result = result
            return true
        case .hello, .open, .source, .nodesWanted, .blocksWanted, .records, .settled, .finish,
            .failure:
            throw .protocolViolation("a message of kind \(message.kind) out of turn")
        }
        return false
    }
}
