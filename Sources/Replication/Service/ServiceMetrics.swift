internal import FoundationEssentials
internal import Storage

/// The figures of a service at one instant, as Prometheus reads them: the text format, version 0.0.4.
///
/// Counters go on over restarts, since the store has them.
struct ServiceMetrics: Sendable {
    /// A relationship with what is known of it.
    struct Line: Sendable {
        var machine: String
        var relationship: StoredRelationship
        var statistics: ReplicationStatistics
        /// The job that is not over.
        var job: ConcreteJob.Properties?
    }

    var lines: [Line]
    var runningCount: Int
    var waitingCount: Int
    var limit: Int
    var isStoreRefusing: Bool

    /// A figure that each relationship has, or has not.
    private struct Family: Sendable {
        var name: String
        var type: String
        var help: String
        var value: @Sendable (Line) -> String?

        init(
            _ name: String, _ type: String, _ help: String,
            _ value: @escaping @Sendable (Line) -> String?
        ) {
            (self.name, self.type, self.help, self.value) = (name, type, help, value)
        }
    }

    private static let families: [Family] = [
        Family("replication_state", "gauge", "ReplicationState, by its WMI number.") {
            "\($0.relationship.replicationState.rawValue)"
        },
        Family("replication_health", "gauge", "ReplicationHealth: 1 ok, 2 warning, 3 critical.") {
            "\($0.relationship.replicationHealth.rawValue)"
        },
        Family("resynchronizations_total", "counter", "Resynchronizations that succeeded.") {
            "\($0.statistics.replicationSuccessCount)"
        },
        Family("resynchronization_failures_total", "counter", "Resynchronizations that failed.") {
            "\($0.statistics.replicationFailureCount)"
        },
        Family(
            "resynchronization_network_failures_total", "counter",
            "Those of the failures for which the other host could not be reached."
        ) { "\($0.statistics.networkFailureCount)" },
        Family("sent_bytes_total", "counter", "Bytes sent by resynchronizations that succeeded.") {
            "\($0.statistics.replicationSize)"
        },
        Family(
            "resynchronization_seconds_total", "counter",
            "How long the resynchronizations that succeeded have taken."
        ) { "\($0.statistics.totalLatency / .seconds(1))" },
        Family("last_result_code", "gauge", "The return code of the last resynchronization.") {
            $0.statistics.lastResult.map { "\($0.code.rawValue)" }
        },
        Family("last_result_timestamp_seconds", "gauge", "When the last one ended.") {
            $0.statistics.lastResult.map { seconds($0.date) }
        },
        Family("last_success_timestamp_seconds", "gauge", "When the last one succeeded.") {
            $0.relationship.lastReplicationTime.map(seconds)
        },
        Family("next_attempt_timestamp_seconds", "gauge", "When the next attempt is due.") {
            $0.relationship.nextAttemptTime.map(seconds)
        },
        Family("job_state", "gauge", "JobState of the job that is not over, by its WMI number.") {
            $0.job.map { "\($0.jobState.rawValue)" }
        },
        Family("job_percent_complete", "gauge", "How far that job is.") {
            $0.job.map { "\($0.percentComplete)" }
        },
        Family("job_compared_bytes", "gauge", "Virtual bytes that it has compared.") {
            $0.job.map { "\($0.figures.bytesCompared)" }
        },
        Family("job_differing_bytes", "gauge", "Virtual bytes in blocks that differ.") {
            $0.job.map { "\($0.figures.bytesDiffering)" }
        },
        Family("job_sent_bytes", "gauge", "Bytes that it has sent.") {
            $0.job.map { "\($0.figures.bytesSent)" }
        },
    ]

    /// The names of all figures, without `vhdresync_`.
    static var names: [String] {
        families.map(\.name)
            + ["transfers_running", "transfers_waiting", "transfers_limit", "store_refusing"]
    }

    var text: String {
        var text = ""
        func begin(_ name: String, _ type: String, _ help: String) {
            text += "# HELP vhdresync_\(name) \(help)\n# TYPE vhdresync_\(name) \(type)\n"
        }
        for family in Self.families {
            begin(family.name, family.type, family.help)
            for line in lines {
                guard let value = family.value(line) else { continue }
                text += "vhdresync_\(family.name)\(Self.labels(line)) \(value)\n"
            }
        }
        func add(_ name: String, _ help: String, _ value: Int) {
            begin(name, "gauge", help)
            text += "vhdresync_\(name) \(value)\n"
        }
        add("transfers_running", "Relationships that are resynchronized.", runningCount)
        add("transfers_waiting", "Those that wait for their time or a place.", waitingCount)
        add("transfers_limit", "How many may be resynchronized at once.", limit)
        add("store_refusing", "1 where the store refuses changes.", isStoreRefusing ? 1 : 0)
        return text
    }

    private static func labels(_ line: Line) -> String {
        let id = escaped("\(line.relationship.id)")
        return "{machine=\"\(escaped(line.machine))\",relationship=\"\(id)\"}"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
    }

    private static func seconds(_ date: Date) -> String {
        "\((date.timeIntervalSince1970 * 1000).rounded() / 1000)"
    }
}

extension ReplicationService {
    /// - Throws: ``StoreError`` where the statistics cannot be read.
    func metrics() throws(StoreError) -> ServiceMetrics {
        let senders = senders
        let (relationships, jobs, running, waiting, isRefusing) = state.withLock { state in
            (
                state.relationships, state.unfinishedJobs, state.queue.runningCount,
                state.queue.waitingCount, state.storeError != nil
            )
        }
        let unfinished = Dictionary(uniqueKeysWithValues: jobs.map { ($0.relationship, $0.job) })
        let lines = try store.read { (content) throws(StoreError) in
            var lines: [ServiceMetrics.Line] = []
            for (id, sender) in senders.sorted(by: { "\($0.key)" < "\($1.key)" }) {
                guard let relationship = relationships[id] else { continue }
                lines.append(
                    ServiceMetrics.Line(
                        machine: sender.machine.elementName, relationship: relationship,
                        statistics: try content.statistics(of: id),
                        job: unfinished[id]?.properties))
            }
            return lines
        }
        return ServiceMetrics(
            lines: lines, runningCount: running, waitingCount: waiting,
            limit: inventory.service.maximumActiveTransfers, isStoreRefusing: isRefusing)
    }
}
