internal import FoundationEssentials
internal import Replication
internal import Storage

/// What a service answers, for people.
enum ControlText {
    static func text(_ answer: ControlAnswer, _ command: ControlOptions.Command) -> String {
        if let machines = answer.machines { return list(machines) }
        if let jobs = answer.jobs { return list(jobs) }
        switch command {
        case .resync:
            return answer.job.map { "\($0.instanceID)\n" } ?? ""
        case .suspend, .resume, .cancel:
            return change(answer)
        case .list, .show, .watch:
            return answer.machine.map(describe) ?? answer.job.map(describe) ?? ""
        }
    }

    /// What a request for another state has come to so far.
    private static func change(_ answer: ControlAnswer) -> String {
        let state = answer.machine?.relationship.value?.replicationStateName
        let job = answer.job.map { "job \($0.instanceID) \($0.jobStateName)" }
        let words = [state, job].compactMap(\.self).joined(separator: ", ")
        return "\(answer.machine?.elementName ?? ""): \(words)".printable + "\n"
    }

    // MARK: Machines

    private static func list(_ machines: [MachineObject]) -> String {
        let rows = machines.map { machine in
            [
                machine.elementName, machine.replicationModeName,
                machine.relationship.value?.replicationStateName ?? "-",
                machine.relationship.value?.replicationHealthName ?? "-",
                machine.job.value.map(brief) ?? "-",
                machine.nextStartTime.value.map(next) ?? "-",
                machine.relationship.value?.lastReplicationTime.value.map(time) ?? "-",
            ]
        }
        return AlignedColumns.text(
            ["MACHINE", "MODE", "STATE", "HEALTH", "JOB", "NEXT START", "LAST SUCCESS"], rows)
    }

    private static func brief(_ job: MachineObject.Job) -> String {
        job.percentComplete == 0
            ? job.jobStateName : "\(job.jobStateName) \(job.percentComplete)%"
    }

    private static func describe(_ machine: MachineObject) -> String {
        var lines = [
            ("machine", machine.elementName), ("name", machine.name),
            ("mode", machine.replicationModeName),
        ]
        if let relationship = machine.relationship.value {
            lines += [
                ("replicas at", relationship.recoveryConnectionPoint),
                (
                    "state",
                    "\(relationship.replicationState) \(relationship.replicationStateName), since "
                        + time(relationship.timeOfLastStateChange)
                ), ("health", relationship.replicationHealthName),
            ]
            if let reason = relationship.statusDescription.value {
                lines.append(("reason", reason))
            }
            if relationship.failureCount > 0 {
                lines.append(("failures", "\(relationship.failureCount) since the last success"))
            }
            lines.append(
                ("last success", relationship.lastReplicationTime.value.map(time) ?? "never"))
        }
        if let start = machine.nextStartTime.value { lines.append(("next start", next(start))) }
        if let job = machine.job.value {
            lines.append(("job", "\(job.instanceID), \(brief(job)), \(job.jobStatus)"))
        }
        for disk in machine.disks {
            let replica = disk.replica.value.map { " to \($0)" } ?? ""
            lines.append(("disk", "\(disk.name): \(disk.path)\(replica)"))
        }
        return AlignedLines.text(lines.map { ($0.0, $0.1.printable) })
    }

    // MARK: Jobs

    private static func list(_ jobs: [JobObject]) -> String {
        let rows = jobs.map { job in
            [
                job.instanceID, job.elementName, job.jobStateName, "\(job.percentComplete)%",
                job.owner.value ?? "-", time(job.timeSubmitted),
                job.startTime.value.map(time) ?? job.scheduledStartTime.value.map(next) ?? "-",
                DurationText.length(.seconds(job.elapsedSeconds)),
            ]
        }
        return AlignedColumns.text(
            ["JOB", "MACHINE", "STATE", "DONE", "OWNER", "SUBMITTED", "START", "ELAPSED"], rows)
    }

    private static func describe(_ job: JobObject) -> String {
        var lines = [
            ("job", job.instanceID), ("what", job.description),
            ("state", "\(job.jobState) \(job.jobStateName), \(job.percentComplete)%"),
            ("status", job.jobStatus), ("owner", job.owner.value ?? "unknown"),
            ("submitted", time(job.timeSubmitted)),
        ]
        if let start = job.scheduledStartTime.value { lines.append(("start time", time(start))) }
        if let start = job.startTime.value { lines.append(("begun", time(start))) }
        lines += [
            ("elapsed", DurationText.length(.seconds(job.elapsedSeconds))),
            ("compared", amount(job.bytesCompared, job.bytesComparedPerSecond.value)),
            ("differing", ByteText.size(job.bytesDiffering)),
            ("sent", amount(job.bytesSent, job.bytesSentPerSecond.value)),
        ]
        if let seconds = job.etaSeconds.value {
            lines.append(("ETA", DurationText.clock(seconds: Double(seconds))))
        }
        if let error = job.error.value {
            lines.append(("error", "\(error.messageID) \(error.message)"))
            lines += error.recommendedActions.map { ("to do", $0) }
        }
        for disk in job.disks.value ?? [] { lines.append(("disk", result(of: disk))) }
        return AlignedLines.text(lines.map { ($0.0, $0.1.printable) })
    }

    private static func amount(_ byteCount: UInt64, _ rate: UInt64?) -> String {
        let size = ByteText.size(byteCount)
        return rate.map { "\(size), \(ByteText.rate(bytesPerSecond: Double($0)))" } ?? size
    }

    private static func result(of disk: JobDiskObject) -> String {
        let names = "\(disk.name): \(disk.primary) to \(disk.replica)"
        guard disk.returnValue.value != nil else { return "\(names), not done" }
        if let reason = disk.errorDescription.value { return "\(names), failed: \(reason)" }
        let proof = disk.verified ? "verified" : "not verified"
        return "\(names), \(ByteText.size(disk.virtualSize)), "
            + "\(ByteText.blocks(disk.blocksDiffering)) differed, \(proof)"
    }

    /// A job that has completed.
    static func ending(of job: JobObject) -> String {
        let lines =
            (job.disks.value ?? []).map { ("disk", result(of: $0).printable) } + [
                ("compared", ByteText.size(job.bytesCompared)),
                ("differing", ByteText.size(job.bytesDiffering)),
                ("sent", ByteText.size(job.bytesSent)), ("job", job.instanceID),
                ("time", DurationText.length(.seconds(job.elapsedSeconds))),
            ]
        return "\(job.elementName.printable): \(job.jobStateName)\n"
            + AlignedLines.text(lines, indent: "  ")
    }

    /// What a job waits for that has not begun.
    static func waiting(_ job: JobObject) -> String {
        let start = job.scheduledStartTime.value.map(next) ?? "now"
        return start == "now" ? "waits for its turn" : "waits until \(start)"
    }

    // MARK: Times

    /// "2027-01-15 18:30", as clocks show it here.
    static func time(_ text: String) -> String {
        guard let date = date(text) else { return text }
        let offset = TimeZone.current.secondsFromGMT(for: date) / 60
        let digits = Array("\(CIMTimestamp(date, offsetMinutes: offset))".prefix(12))
        func part(_ range: Range<Int>) -> String { String(digits[range]) }
        return "\(part(0..<4))-\(part(4..<6))-\(part(6..<8)) \(part(8..<10)):\(part(10..<12))"
    }

    /// The same, and "now" for what has passed.
    private static func next(_ text: String) -> String {
        guard let date = date(text), date > .now else { return "now" }
        return time(text)
    }

    private static func date(_ text: String) -> Date? {
        (try? CIMTimestamp(parsing: text)).flatMap { $0.date(inZoneOfServer: .current) }
    }
}

/// A table for people.
enum AlignedColumns {
    /// A line for the header and one for each row; columns are two spaces apart.
    static func text(_ header: [String], _ rows: [[String]]) -> String {
        let lines = [header] + rows.map { $0.map(\.printable) }
        let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
        return lines.map { line in
            let cells = zip(line, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let text = cells.joined(separator: "  ")
            return text.prefix(text.count - text.reversed().prefix { $0 == " " }.count) + "\n"
        }.joined()
    }
}
