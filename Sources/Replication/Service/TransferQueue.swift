internal import FoundationEssentials

/// Which relationships wait for a transfer, and which have one: a value without clock, threads and
/// files.
///
/// Who is due begins in the order in which it became so, as far as the limits permit; one whose host has
/// as many as it may is passed by those behind it, until its host has a place again, which it gets.
struct TransferQueue: Sendable {
    struct Entry: Equatable, Sendable {
        var id: ReplicationRelationshipID
        /// The other host; nil where there is none, and no limit but that of all.
        var host: String?
        /// From when on it may begin, and its place among those that are due.
        var dueTime: Date
        /// Whether its work has begun before: it goes on before others begin.
        var isContinuation = false
        /// It may begin while this is open, and not else.
        var window: AutoResynchronizeWindow?
    }

    /// An entry, and the order among those of the same time.
    private struct Place {
        var entry: Entry
        var number: Int

        func comes(before other: Place) -> Bool {
            if entry.isContinuation != other.entry.isContinuation { return entry.isContinuation }
            return (entry.dueTime, number) < (other.entry.dueTime, other.number)
        }
    }

    private var limit: Int
    private var limitPerHost: Int
    private var waiting: [ReplicationRelationshipID: Place] = [:]
    /// With their hosts.
    private var running: [ReplicationRelationshipID: Entry] = [:]
    private var lastNumber = 0

    init(limit: Int, limitPerHost: Int) {
        (self.limit, self.limitPerHost) = (limit, limitPerHost)
    }

    /// Other limits. Who runs beyond them goes on.
    mutating func setLimits(_ limit: Int, perHost limitPerHost: Int) {
        (self.limit, self.limitPerHost) = (limit, limitPerHost)
    }

    var runningCount: Int { running.count }
    var waitingCount: Int { waiting.count }

    func waitingEntry(of id: ReplicationRelationshipID) -> Entry? { waiting[id]?.entry }

    /// Waits, or waits for something else than before. One that was there already keeps its place
    /// among those of the same time.
    mutating func add(_ entry: Entry) {
        if waiting[entry.id] == nil { lastNumber += 1 }
        let number = waiting[entry.id]?.number ?? lastNumber
        waiting[entry.id] = Place(entry: entry, number: number)
    }

    /// Does not wait any more.
    mutating func remove(_ id: ReplicationRelationshipID) {
        waiting[id] = nil
    }

    /// The transfer is over.
    mutating func end(_ id: ReplicationRelationshipID) {
        running[id] = nil
    }

    /// Those that begin now, in order: they have a transfer from here on.
    mutating func begin(at date: Date, in zone: TimeZone) -> [Entry] {
        waitForWindows(at: date, in: zone)
        guard running.count < limit else { return [] }
        var begun: [Entry] = []
        let due = waiting.values.filter { $0.entry.dueTime <= date }.sorted { $0.comes(before: $1) }
        for place in due where running.count < limit && hasRoom(place.entry.host) {
            waiting[place.entry.id] = nil
            running[place.entry.id] = place.entry
            begun.append(place.entry)
        }
        return begun
    }

    /// When somebody is due that is not yet; nil for nobody.
    func nextDueTime(after date: Date) -> Date? {
        waiting.values.map(\.entry.dueTime).filter { $0 > date }.min()
    }

    private func hasRoom(_ host: String?) -> Bool {
        guard let host else { return true }
        return running.values.count { $0.host == host } < limitPerHost
    }

    /// Who did not come to begin while its window was open waits for it to open again.
    private mutating func waitForWindows(at date: Date, in zone: TimeZone) {
        for (id, place) in waiting where place.entry.dueTime <= date {
            guard let window = place.entry.window, !window.contains(date, in: zone) else {
                continue
            }
            if let opening = window.nextOpening(at: date, in: zone) {
                waiting[id]?.entry.dueTime = opening
            } else {
                waiting[id] = nil
            }
        }
    }
}
