@testable import Replication
import Testing

@Suite struct JobStateTests {
    @Test func numbersAreTheDocumentedOnes() {
        let numbers: [JobState: UInt16] = [
            .new: 2, .starting: 3, .running: 4, .suspended: 5, .shuttingDown: 6, .completed: 7,
            .terminated: 8, .killed: 9, .exception: 10, .service: 11,
            .completedWithWarnings: 32768,
        ]
        #expect(JobState.allCases.count == numbers.count)
        for state in JobState.allCases {
            #expect(state.rawValue == numbers[state], "\(state)")
        }
    }

    @Test func namesAreTheDocumentedOnes() {
        let names = [
            "New", "Starting", "Running", "Suspended", "Shutting Down", "Completed", "Terminated",
            "Killed", "Exception", "Service", "Completed with warnings",
        ]
        #expect(JobState.allCases.map(\.name) == names)
    }

    @Test func allowsTheDocumentedTransitionsAndNoOthers() {
        let documented: [JobState: Set<JobState>] = [
            .new: [.starting, .shuttingDown, .exception],
            .starting: [.running, .shuttingDown, .exception],
            .running: [.suspended, .shuttingDown, .exception],
            .suspended: [.starting, .shuttingDown, .exception],
            .service: [.starting, .shuttingDown, .exception],
            .shuttingDown: [
                .completed, .terminated, .killed, .exception, .completedWithWarnings,
            ],
            .completed: [], .terminated: [], .killed: [], .exception: [],
            .completedWithWarnings: [],
        ]
        for first in JobState.allCases {
            for second in JobState.allCases {
                var state = first
                if documented[first]?.contains(second) == true {
                    #expect(throws: Never.self, "\(first) to \(second)") {
                        try state.advance(to: second)
                    }
                    #expect(state == second)
                } else {
                    #expect(throws: JobState.IllegalTransition(from: first, to: second)) {
                        try state.advance(to: second)
                    }
                    #expect(state == first)
                }
            }
        }
    }

    @Test func finalStatesAreThoseThatClientsWaitFor() {
        let final = JobState.allCases.filter(\.isFinal)
        #expect(final == [.completed, .terminated, .killed, .exception, .completedWithWarnings])
        let failed = JobState.allCases.filter(\.isFailure)
        #expect(failed == [.terminated, .killed, .exception])
        for state in JobState.allCases {
            #expect(state.isFinal == state.successors.isEmpty, "\(state)")
        }
    }
}
