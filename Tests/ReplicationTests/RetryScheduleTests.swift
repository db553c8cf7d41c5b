import Glibc
import Resync
import Storage
import Testing
import VHDX

@testable import Replication

@Suite("Attempts after a failure")
struct RetryScheduleTests {
    @Test("Codes of what may go away are tried again, others never", arguments: ReturnCode.allCases)
    func classes(_ code: ReturnCode) {
        let transient: Set<UInt32> = [32771, 32772, 32774, 32777, 32778]
        let isTransient = RetryClass(code) == .transient
        #expect(isTransient == transient.contains(code.rawValue))
    }

    @Test("A lack of space is tried again; other errors as their codes are")
    func errors() {
        func file(_ errno: Int32) -> FileError {
            .system(.write, path: "a", at: 0, errno: errno)
        }
        let cases: [(ResyncError, RetryClass)] = [
            (.noSpace(path: "a", needed: 2, free: 1), .transient),
            (.file(file(ENOSPC)), .transient), (.file(file(EDQUOT)), .transient),
            (.disk(.replica, .file(file(ENOSPC))), .transient),
            (.file(file(EIO)), .permanent), (.disk(.replica, .file(file(EIO))), .permanent),
            (.file(file(ENOMEM)), .transient), (.file(.locked(path: "a")), .transient),
            (.disk(.primary, .file(.locked(path: "a"))), .transient),
            (.disk(.primary, .notVHDX(path: "a")), .permanent),
            (.stopped(.timeout), .transient), (.stopped(.cancelled), .permanent),
            (.differentSizes(primary: 1, replica: 2), .permanent), (.busy("b"), .transient),
        ]
        for (error, expected) in cases { #expect(RetryClass(error) == expected, "\(error)") }
    }

    @Test("The waits grow to ten minutes, and are half an hour then")
    func waits() {
        var schedule = RetrySchedule()
        let minutes = [1, 2, 4, 8, 10, 30, 30, 30, 30, 30]
        for (index, count) in minutes.enumerated() {
            #expect(schedule.failureCount == index)
            #expect(schedule.wait(afterFailure: .transient) == .seconds(count * 60))
        }
        #expect(schedule == RetrySchedule(failureCount: 10))
        schedule.reset()
        #expect(schedule.wait(afterFailure: .transient) == .seconds(60))
    }

    @Test("A permanent failure is not counted and not tried again")
    func permanent() {
        var schedule = RetrySchedule(failureCount: 3)
        #expect(schedule.wait(afterFailure: .permanent) == nil)
        #expect(schedule.failureCount == 3)
    }

    @Test("Any number of failures is one", arguments: [Int.min, -1, 0, Int.max])
    func anyCount(_ count: Int) {
        var schedule = RetrySchedule(failureCount: count)
        let expected = count > 0 ? RetrySchedule.laterWait : .seconds(60)
        #expect(schedule.wait(afterFailure: .transient) == expected)
    }
}
