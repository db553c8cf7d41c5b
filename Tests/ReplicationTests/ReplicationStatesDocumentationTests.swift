import Testing

@testable import Replication

@Suite("docs/replication-states.md")
struct ReplicationStatesDocumentationTests {
    static let jobs: [RelationshipJob: String] = [
        .none: "none", .waiting: "waiting", .underWay: "under way", .committed: "committed",
    ]
    static let words: [ReplicationAction: String] = [
        .startJob: "starts a job", .startOver: "starts over", .keepJob: "keeps the job",
        .continueJob: "continues the job", .suspendJob: "suspends the job",
        .cancelJob: "cancels the job", .cancelWaitingJob: "cancels the waiting job",
        .resumeReplication: "resumes replication", .suspendReplication: "suspends replication",
    ]

    /// A cell of the page, from the code.
    private func cell(
        _ state: ReplicationState, _ answer: () throws(ReplicationRefusal) -> ReplicationAction
    ) throws -> String {
        let action: ReplicationAction
        do throws(ReplicationRefusal) {
            action = try answer()
        } catch {
            return "\(ReturnCode(error).rawValue)"
        }
        var text = "\(ReturnCode(action).rawValue) \(try #require(Self.words[action]))"
        guard let event = action.event else { return text }
        // What a state permits also leads somewhere.
        let next = try #require(state.following(event), "\(state), \(event)")
        if next != state { text += " → \(next.rawValue)" }
        return text
    }

    @Test("Each request in each state, beside each job, is answered as the page says")
    func requests() throws {
        let table = try DocumentedTable(
            "replication-states.md", startingWith: ["states", "job", "Resynchronize"])
        #expect(
            table.header == [
                "states", "job", "Resynchronize", "resume (3)", "suspend (7)", "cancel (9)",
            ])
        #expect(RequestedReplicationState.allCases.map(\.rawValue) == [3, 7, 9])
        var seen: [ReplicationState: [RelationshipJob]] = [:]
        for row in table.rows {
            let named = row[1].split(separator: ", ").map(String.init)
            let jobs = RelationshipJob.allCases.filter {
                row[1] == "any" || named.contains(Self.jobs[$0] ?? "?")
            }
            #expect(row[1] == "any" || jobs.count == named.count, "\(row)")
            for number in try DocumentedTable.numbers(row[0]) {
                let state = try #require(ReplicationState(rawValue: number))
                seen[state, default: []] += jobs
                for job in jobs {
                    let place = "state \(number), job \(job)"
                    let first = try cell(state) { () throws(ReplicationRefusal) in
                        try state.resynchronize(beside: job)
                    }
                    #expect(first == row[2], "\(place)")
                    for (column, requested) in RequestedReplicationState.allCases.enumerated() {
                        let other = try cell(state) { () throws(ReplicationRefusal) in
                            try state.change(to: requested, beside: job)
                        }
                        #expect(other == row[3 + column], "\(place), \(requested)")
                    }
                }
            }
        }
        for state in ReplicationState.allCases {
            #expect(seen[state]?.count == 4, "\(state)")
            #expect(Set(seen[state] ?? []).count == 4, "\(state)")
        }
    }

    @Test("After each event in each state comes the state that the page says")
    func events() throws {
        let table = try DocumentedTable(
            "replication-states.md", startingWith: ["states", "start", "success"])
        let columns: [(String, ReplicationEvent)] = [
            ("start", .started), ("success", .succeeded), ("failure for now", .failedForNow),
            ("failure", .failed), ("suspension", .suspended), ("continuation", .continued),
            ("cancellation", .cancelled), ("end of the service", .interrupted),
            ("replication suspended", .replicationSuspended),
            ("replication resumed", .replicationResumed),
        ]
        #expect(table.header == ["states"] + columns.map(\.0))
        #expect(Set(columns.map(\.1)) == Set(ReplicationEvent.allCases))
        var seen: [ReplicationState] = []
        for row in table.rows {
            for number in try DocumentedTable.numbers(row[0]) {
                let state = try #require(ReplicationState(rawValue: number))
                seen.append(state)
                for (column, (name, event)) in columns.enumerated() {
                    let next = state.following(event).map { "\($0.rawValue)" } ?? "–"
                    #expect(next == row[column + 1], "state \(number), \(name)")
                }
            }
        }
        #expect(seen.map(\.rawValue).sorted() == ReplicationState.allCases.map(\.rawValue))
    }

    @Test("In each mode requests act on the relationship that the page says, or on none")
    func modes() throws {
        let table = try DocumentedTable("replication-states.md", startingWith: ["mode"])
        #expect(table.header == ["mode", "with an extended relationship", "without"])
        #expect(table.rows.map { $0[0] } == ReplicationMode.allCases.map { "\($0.rawValue)" })
        for (mode, row) in zip(ReplicationMode.allCases, table.rows) {
            for (column, hasExtended) in [(1, true), (2, false)] {
                let kinds: [ReplicationRelationshipID.Kind?] = [nil, .primary, .extended]
                for named in kinds {
                    var cell: String
                    do throws(ReplicationRefusal) {
                        let kind = try mode.relationship(named: named, hasExtended: hasExtended)
                        cell = "\(kind.rawValue)"
                    } catch {
                        #expect(error == .mode(mode))
                        cell = "\(ReturnCode(error).rawValue)"
                    }
                    let isOther = named.map { "\($0.rawValue)" != row[column] } ?? false
                    #expect(cell == (isOther ? "32775" : row[column]), "\(mode), \(hasExtended)")
                }
            }
        }
    }
}
