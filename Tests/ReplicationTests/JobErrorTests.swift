import Testing

@testable import Replication

@Suite("GetError of a job")
struct JobErrorTests {
    /// Error type, CIM status and its name for each code.
    static let kinds: [ReturnCode: (UInt16, UInt32, String)] = [
        .failed: (4, 1, "CIM_ERR_FAILED"), .accessDenied: (7, 2, "CIM_ERR_ACCESS_DENIED"),
        .notSupported: (10, 7, "CIM_ERR_NOT_SUPPORTED"),
        .statusUnknown: (2, 1, "CIM_ERR_FAILED"), .timeout: (2, 1, "CIM_ERR_FAILED"),
        .invalidParameter: (4, 4, "CIM_ERR_INVALID_PARAMETER"),
        .systemInUse: (9, 1, "CIM_ERR_FAILED"), .invalidState: (4, 1, "CIM_ERR_FAILED"),
        .incorrectDataType: (4, 13, "CIM_ERR_TYPE_MISMATCH"),
        .systemNotAvailable: (2, 6, "CIM_ERR_NOT_FOUND"),
        .outOfMemory: (8, 1, "CIM_ERR_FAILED"), .fileNotFound: (9, 6, "CIM_ERR_NOT_FOUND"),
    ]

    @Test("A failure is described by its code", arguments: ReturnCode.allCases)
    func failure(_ code: ReturnCode) throws {
        guard code != .completed, code != .jobStarted else { return }
        let (type, status, name) = try #require(Self.kinds[code])
        let job = ConcreteJob()
        job.start()
        job.fail(code, "the reason")
        let error = try #require(job.getError())
        #expect(error.errorType.rawValue == type)
        #expect(error.owningEntity == "vhdresync")
        #expect(error.messageID == "\(code.rawValue)")
        #expect(error.message == "the reason")
        #expect(error.messageArguments == [])
        #expect(error.perceivedSeverity == (RetryClass(code) == .transient ? .medium : .high))
        #expect(error.probableCause == 0)
        #expect(error.recommendedActions.count == 1)
        #expect(error.errorSource == job.properties.instanceID)
        #expect(error.errorSourceFormat == 0)
        #expect(error.cimStatusCode == status)
        #expect(error.cimStatusCodeDescription == name)
    }

    @Test("An end that was asked for is of low severity")
    func stopped() throws {
        let terminated = ConcreteJob()
        terminated.start()
        terminated.terminate(.failed, "stopped on request")
        let error = try #require(terminated.getError())
        #expect(error.perceivedSeverity == .low)
        #expect(error.message == "stopped on request")
        #expect(error.recommendedActions == ["Run the job again."])
        let killed = ConcreteJob()
        killed.start()
        _ = killed.passCommitPoint()
        killed.kill(.failed, "k")
        #expect(
            killed.getError()?.recommendedActions == [
                "Finish the replica with vhdresync recover, or run the job again."
            ])
    }

    @Test("Numbers are the documented ones")
    func numbers() {
        #expect(JobError.ErrorType.allCases.map(\.rawValue) == Array(0...10))
        #expect(JobError.Severity.allCases.map(\.rawValue) == [0, 2, 3, 4, 5])
    }
}
