import FoundationEssentials
import Storage

@testable import Replication

/// A job whose clocks stand still until the test moves them, and who does its work.
struct JobTrial {
    /// Seconds, from which both clocks start.
    private let now = Lock(0.0)
    /// What was asked of who does the work.
    private let asked = Lock<[RequestedJobState]>([])
    let job: ConcreteJob

    init(type: JobType = .resynchronizing, scheduledStartTime: Date? = nil) {
        let now = now
        job = ConcreteJob(
            type: type, elementName: "vm1", owner: "admin", scheduledStartTime: scheduledStartTime,
            clock: JobClock(
                date: { Date(timeIntervalSince1970: now.withLock { $0 }) },
                uptime: { .seconds(now.withLock { $0 }) }))
    }

    var requests: [RequestedJobState] { asked.withLock { $0 } }
    var properties: ConcreteJob.Properties { job.properties }

    func wait(seconds: Double) { now.withLock { $0 += seconds } }

    func control(
        _ supported: Set<RequestedJobState> = [.start, .suspend, .terminate, .kill]
    ) -> JobControl {
        func note(_ requested: RequestedJobState) -> (@Sendable () -> Void)? {
            guard supported.contains(requested) else { return nil }
            let asked = asked
            return { asked.withLock { $0.append(requested) } }
        }
        return JobControl(
            start: note(.start), suspend: note(.suspend), terminate: note(.terminate),
            kill: note(.kill))
    }

    /// Brings a new job there.
    func bring(to state: JobState, isCommitted: Bool, pending: RequestedJobState?) {
        job.install(control())
        switch state {
        case .new: break
        case .starting, .service:
            // No job shows these: the one is left in the same instant, the other never entered.
            job.state.withLock { $0.properties.jobState = state }
        case .running, .shuttingDown, .completed, .terminated, .killed, .exception,
            .completedWithWarnings:
            job.start()
            if isCommitted { _ = job.passCommitPoint() }
        case .suspended:
            job.start()
            job.suspend()
        }
        switch state {
        case .completed: job.complete()
        case .completedWithWarnings: job.complete(warning: "w")
        case .terminated: job.terminate(.failed, "t")
        case .killed: job.kill(.failed, "k")
        case .exception: job.fail(.failed, "e")
        case .new, .starting, .running, .suspended, .shuttingDown, .service: break
        }
        if let pending { _ = job.requestStateChange(pending) }
        asked.withLock { $0 = [] }
    }
}
