internal import Storage

/// The records of the other host, as the threads of a pool take them: each message once, in order, by
/// whoever is free.
struct RecordIntake: Sendable {
    /// The records of one message.
    struct Delivery: Sendable {
        /// How many deliveries there were before.
        var number: Int
        var records: [DeltaRecord]
    }

    private struct Input {
        var count = 0
        var finish: Finish?
        /// After an error nothing is taken any more, although more may come.
        var failure: ResyncError?
    }

    private struct Turn {
        /// Whose turn it is.
        var number = 0
        /// The first in the order that failed, and what it has failed with. What comes before it is still
        /// taken.
        var failure: (number: Int, error: ResyncError)?
        /// Whether that was told.
        var isTold = false

        /// Whether nothing that comes before is still to be waited for.
        func isTurn(of number: Int) -> Bool {
            self.number == number || failure.map { $0.number < number } ?? false
        }
    }

    /// The next message about the disk; who holds the lock waits for it.
    private let input = Lock(Input())
    private let turn = ConditionLock(Turn())
    private let nextEvent: @Sendable () throws(ResyncError) -> Event
    private let end: @Sendable (ResyncError) -> Void

    /// What comes of a message, where it is not answered at once.
    enum Event: Sendable {
        case records([DeltaRecord])
        case finish(Finish)
    }

    /// - Parameters:
    ///   - nextEvent: Waits for it. One thread at a time, and not after the finish.
    ///   - end: Tells the other host that this one has failed, so that nobody waits for it any more.
    init(
        nextEvent: @escaping @Sendable () throws(ResyncError) -> Event,
        end: @escaping @Sendable (ResyncError) -> Void
    ) {
        self.nextEvent = nextEvent
        self.end = end
    }

    /// What the other host says in the end, once ``next(_:)`` has answered that there is no more.
    var finish: Finish? { input.withLock { $0.finish } }

    /// Waits for records, and takes them. Several threads may do so at once.
    ///
    /// - Parameters:
    ///   - prepare: Does what can be done while other threads do the same with other records.
    ///   - take: Does the rest, in the order of the deliveries.
    ///   - failed: Called once where something fails, when everything before that is taken, and before
    ///     the other host is told.
    /// - Returns: false where there are no more.
    /// - Throws: what a body has thrown, or what is wrong with the connection or the other host:
    ///   whichever was first in the order.
    func next(
        prepare: (Delivery) throws(ResyncError) -> Void,
        take: (Delivery) throws(ResyncError) -> Void, failed: (ResyncError) -> Void = { _ in }
    ) throws(ResyncError) -> Bool {
        var number = 0
        do throws(ResyncError) {
            guard let delivery = try delivery(&number) else { return false }
            try prepare(delivery)
            try turn.withLock(when: { $0.isTurn(of: number) }) { (turn) throws(ResyncError) in
                if let failure = turn.failure, failure.number < number { throw failure.error }
                try take(delivery)
                turn.number += 1
            }
            return true
        } catch {
            throw fail(number, error, failed)
        }
    }

    /// - Returns: what the run fails with.
    private func fail(
        _ number: Int, _ error: ResyncError, _ failed: (ResyncError) -> Void
    ) -> ResyncError {
        turn.withLock { turn in
            if number < turn.failure?.number ?? .max { turn.failure = (number, error) }
        }
        let (first, isToBeTold) = turn.withLock(when: { $0.isTurn(of: number) }) { turn in
            defer { turn.isTold = true }
            return (turn.failure?.error ?? error, !turn.isTold)
        }
        if isToBeTold {
            failed(first)
            // Another thread may wait for a message that never comes.
            end(first)
        }
        return first
    }

    /// `number` becomes that of the delivery, or where it would have come.
    private func delivery(_ number: inout Int) throws(ResyncError) -> Delivery? {
        var place = number
        defer { number = place }
        return try input.withLock { (input) throws(ResyncError) in
            place = input.count
            if input.finish != nil { return nil }
            if let failure = turn.withLock({ $0.failure?.error }) ?? input.failure {
                throw failure
            }
            do throws(ResyncError) {
                switch try nextEvent() {
                case .records(let records):
                    input.count += 1
                    return Delivery(number: place, records: records)
                case .finish(let finish):
                    input.finish = finish
                    return nil
                }
            } catch {
                input.failure = error
                throw error
            }
        }
    }
}
