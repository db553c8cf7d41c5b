/// What a service answers to a request. `docs/control.md` says which key is there when.
package struct ControlAnswer: Codable, Equatable, Sendable {
    package var version = ControlProtocol.version
    package var returnValue: UInt32
    package var returnName: String
    /// Why it was refused.
    package var reason: Nullable<String>
    package var machines: [MachineObject]?
    package var machine: MachineObject?
    package var jobs: [JobObject]?
    package var job: JobObject?
    package var statistics: StatisticsObject?
    /// Of a job that is watched: whether nothing follows.
    package var isLast: Bool?

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case version, returnValue, returnName, reason
        case machines, machine, jobs, job, statistics, isLast
    }

    init(_ code: ReturnCode, _ reason: String? = nil) {
        returnValue = code.rawValue
        returnName = code.name
        self.reason = Nullable(reason)
    }

    package init(_ error: CodedError) {
        self.init(error.code, error.description)
    }

    /// Of `RequestStateChange` of a job, which has codes of its own.
    init(_ code: JobRequestCode) {
        returnValue = code.rawValue
        returnName = code.name
        reason = Nullable(nil)
    }

    /// The same with how the job has ended as its code, for who has waited for that.
    package func ended(_ code: ReturnCode) -> ControlAnswer {
        var answer = self
        answer.returnValue = code.rawValue
        answer.returnName = code.name
        answer.reason = job?.errorDescription ?? reason
        return answer
    }

    /// The code, where it is one of ours.
    package var code: ReturnCode { ReturnCode(rawValue: returnValue) ?? .failed }
    /// Why it was refused, for people.
    package var sentence: String { reason.value ?? returnName }
}
