/// What a method of the replication service answers.
public struct MethodAnswer: Sendable {
    /// 4096 with a job, else a code that says why there is none.
    public var returnValue: ReturnCode
    public var job: ConcreteJob?
    /// Why it was refused, in one clause without a capital or a full stop.
    public var reason: String?

    static func started(_ job: ConcreteJob) -> MethodAnswer {
        MethodAnswer(returnValue: .jobStarted, job: job)
    }

    static func refused(_ code: ReturnCode, _ reason: String) -> MethodAnswer {
        MethodAnswer(returnValue: code, reason: reason)
    }
}
