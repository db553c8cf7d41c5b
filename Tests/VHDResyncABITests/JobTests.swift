import CVHDResync
import Foundation
import Storage
import TestSupport
import Testing

/// Jobs, through the functions that C calls.
@Suite struct JobTests {
    private func disk(_ json: String?) throws -> [String: Any] {
        let object = try object(json)
        #expect(Set(object.keys) == JSONKeys.result)
        let disks = try #require(object["disks"] as? [[String: Any]])
        #expect(disks.count == 1)
        let disk = try #require(disks.first)
        #expect(Set(disk.keys) == JSONKeys.disk)
        return disk
    }

    private func object(_ json: String?) throws -> [String: Any] {
        let text = try #require(json)
        return try JSONKeys.object(text)
    }

    private func job(_ json: String?) throws -> [String: Any] {
        let object = try object(json)
        return try #require(object["job"] as? [String: Any])
    }

    // MARK: Success

    @Test func aStaleReplicaIsBroughtUpToDate() throws {
        let pair = try DiskPair()
        let recorder = ProgressRecorder()
        let done = resynchronize(pair.primary, pair.replica, .flags(0), recorder)
        #expect(done.code == VHDRESYNC_COMPLETED && done.error == "")
        #expect(try pair.replicaIsCurrent())
        #expect(!FileManager.default.fileExists(atPath: pair.journal))
        let disk = try disk(done.value)
        #expect(disk["verified"] as? Bool == true)
        #expect(disk["blocksDiffering"] as? Int == 15 << 4)
        #expect(try job(done.value)["jobState"] as? Int == 7)

        // The last call tells the end.
        let last = try #require(recorder.all.last)
        #expect(last.job_state == VHDRESYNC_STATE_COMPLETED)
        #expect(last.phase == VHDRESYNC_PHASE_FINISHED)
        #expect(last.percent_complete == 100 && last.is_stopping == 0)
        #expect(last.struct_size == UInt32(MemoryLayout<vhdresync_progress>.size))
        #expect(last.virtual_size == 6 << 30 && last.block_size == 65536)
        #expect(last.blocks_differing == 15 << 4 && last.bytes_differing == 15 << 20)
        #expect(last.bytes_compared == 6 << 30 && last.bytes_sent == 0)
        #expect(last.bytes_written == disk["bytesWritten"] as? UInt64)
        #expect(last.bytes_read == disk["bytesRead"] as? UInt64)
        let percents = recorder.all.map(\.percent_complete)
        #expect(percents == percents.sorted())
    }

    @Test func optionsReachTheEngine() throws {
        let pair = try DiskPair(dataByteCount: 2 << 20, virtualSize: 8 << 20)
        let before = try DiskPair.bytes(of: pair.replica)
        let options = Options { values, _ in
            values.flags = VHDRESYNC_DRY_RUN
            values.block_size = 4096
            values.worker_count = 1
            values.compare = VHDRESYNC_COMPARE_BYTES
        }
        let dry = resynchronize(pair.primary, pair.replica, options)
        #expect(dry.code == VHDRESYNC_COMPLETED)
        let disk = try disk(dry.value)
        #expect(disk["blockSize"] as? Int == 4096 && disk["blocksDiffering"] as? Int == 256)
        #expect(disk["rootDigest"] is NSNull)
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        // A folder for the journal that is not there, and a format.
        let journal = Options { values, texts in
            values.journal_folder = texts.pointer(pair.folder.file("none"))
        }
        #expect(
            resynchronize(pair.primary, pair.replica, journal).code == VHDRESYNC_FILE_NOT_FOUND)
        let raw = Options { values, _ in values.primary_format = VHDRESYNC_FORMAT_RAW }
        #expect(resynchronize(pair.primary, pair.replica, raw).code == VHDRESYNC_INVALID_STATE)
        let inPlace = Options { values, _ in
            values.write_method = VHDRESYNC_WRITE_IN_PLACE
            values.flags = VHDRESYNC_VERIFY
        }
        #expect(resynchronize(pair.primary, pair.replica, inPlace).code == VHDRESYNC_COMPLETED)
        #expect(try pair.replicaIsCurrent())
        let made = pair.folder.file("made.vhdx")
        #expect(resynchronize(pair.primary, made).code == VHDRESYNC_FILE_NOT_FOUND)
        #expect(resynchronize(pair.primary, made, .flags(VHDRESYNC_CREATE)).code == 0)
        #expect(try QEMU.img(["compare", pair.primary, made]).isSuccess)
    }

    @Test func whatRunsIsAskedAndWaitedFor() throws {
        let pair = try LongPair()
        let started = JobHandle.resynchronize(pair.primary, pair.replica, .flags(0))
        #expect(started.code == VHDRESYNC_JOB_STARTED && started.error == "")
        let job = started.value
        #expect(job.wait(milliseconds: 0).code == VHDRESYNC_JOB_STARTED)
        #expect(job.wait(milliseconds: 1).code == VHDRESYNC_JOB_STARTED)
        let early = job.result
        #expect(early.code == VHDRESYNC_JOB_STARTED && early.value == nil && early.error == "")
        while job.progress.value.bytes_done == 0 {
            #expect(job.wait(milliseconds: 1).code == VHDRESYNC_JOB_STARTED)
        }
        let progress = job.progress
        #expect(progress.code == VHDRESYNC_COMPLETED)
        #expect(progress.value.job_state == VHDRESYNC_STATE_RUNNING)
        #expect(progress.value.phase == VHDRESYNC_PHASE_COMPARING)
        #expect(progress.value.bytes_to_do == LongPair.virtualSize)
        #expect(progress.value.virtual_size == LongPair.virtualSize)
        #expect(vhdresync_job_progress(job.pointer, nil) == VHDRESYNC_INVALID_PARAMETER)
        // A job that runs is ended by giving it back.
        #expect(job.free().code == VHDRESYNC_COMPLETED)
        #expect(job.wait().code == VHDRESYNC_INVALID_PARAMETER)
    }

    // MARK: Stops

    @Test func aJobIsCancelledInTheMiddle() throws {
        let pair = try LongPair()
        let before = try pair.replicaBytes()
        let job = JobHandle.resynchronize(pair.primary, pair.replica).value
        defer { _ = job.free() }
        while job.progress.value.bytes_done == 0 {
            #expect(job.wait(milliseconds: 1).code == VHDRESYNC_JOB_STARTED)
        }
        #expect(job.cancel() == VHDRESYNC_COMPLETED)
        let ended = job.wait()
        #expect(ended.code == VHDRESYNC_FAILED)
        #expect(ended.error == "stopped on request; the replica is as it was")
        #expect(job.progress.value.job_state == VHDRESYNC_STATE_TERMINATED)
        #expect(job.progress.value.is_stopping == 0)
        #expect(job.progress.value.percent_complete < 100)
        let result = job.result
        #expect(result.code == VHDRESYNC_COMPLETED)
        let properties = try self.job(result.value)
        #expect(properties["jobState"] as? Int == 8)
        #expect(properties["errorDescription"] as? String == ended.error)
        #expect(properties["errorCode"] as? UInt32 == VHDRESYNC_FAILED)
        // A job that is over stays as it is.
        #expect(job.cancel() == VHDRESYNC_COMPLETED)
        #expect(job.wait().code == VHDRESYNC_FAILED)
        #expect(try pair.replicaBytes() == before)
    }

    @Test func aCallbackCancels() throws {
        let pair = try LongPair()
        let recorder = ProgressRecorder { $0.bytes_done > 0 ? -1 : 0 }
        let stopped = resynchronize(pair.primary, pair.replica, .flags(0), recorder)
        #expect(stopped.code == VHDRESYNC_FAILED)
        #expect(stopped.error.hasPrefix("stopped on request"))
        #expect(try job(stopped.value)["jobState"] as? Int == 8)
        let states = recorder.all.map(\.job_state)
        #expect(states.last == VHDRESYNC_STATE_TERMINATED)
        #expect(states.dropLast().allSatisfy { $0 == VHDRESYNC_STATE_RUNNING })
        let ends = recorder.all.filter { $0.bytes_done > 0 && $0.is_stopping == 0 }
        #expect(ends.count == 2)
    }

    @Test func aTimeLimitHasItsOwnCode() throws {
        let pair = try LongPair()
        let options = Options { values, _ in values.timeout_ms = 1 }
        let stopped = resynchronize(pair.primary, pair.replica, options)
        #expect(stopped.code == VHDRESYNC_TIMEOUT)
        #expect(try job(stopped.value)["jobState"] as? Int == 10)
    }

    @Test func aHostThatDoesNotAnswerIsGivenUp() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let options = Options { values, texts in
            values.remote_shell = texts.pointer("sh -c 'exec sleep 1000'")
        }
        let job = JobHandle.resynchronize(pair.primary, "h:\(pair.replica)", options).value
        #expect(job.wait(milliseconds: 20).code == VHDRESYNC_JOB_STARTED)
        #expect(job.cancel() == VHDRESYNC_COMPLETED)
        #expect(job.wait().code == VHDRESYNC_FAILED)
        #expect(job.free().code == VHDRESYNC_COMPLETED)
        let none = Options { values, texts in
            values.remote_shell = texts.pointer("/nowhere/ssh")
        }
        let failed = resynchronize(pair.primary, "h:r", none)
        #expect(failed.code == VHDRESYNC_SYSTEM_NOT_AVAILABLE)
        #expect(failed.error == "cannot start /nowhere/ssh: No such file or directory")
    }

    @Test func aDiskOfAnotherHostIsReached() throws {
        let pair = try DiskPair()
        let program = try Program.path().path
        let options = Options { values, texts in
            // What stands for ssh: the host's name is its first argument.
            values.remote_shell = texts.pointer("sh -c 'shift; exec \"\"$@\"\"' sh")
            values.remote_command = texts.pointer("'\(program)'")
            values.progress_interval_ms = 10
        }
        let recorder = ProgressRecorder()
        let done = resynchronize(pair.primary, "h:\(pair.replica)", options, recorder)
        #expect(done.code == VHDRESYNC_COMPLETED, "\(done.error)")
        #expect(try pair.replicaIsCurrent())
        let last = try #require(recorder.all.last)
        #expect(last.bytes_sent > 0 && last.bytes_received > 0)
        #expect(try disk(done.value)["bytesSent"] as? UInt64 == last.bytes_sent)
    }

    // MARK: Callbacks

    @Test func aCallbackCannotWaitForItsOwnJob() throws {
        let pair = try LongPair()
        let known = Lock<JobHandle?>(nil)
        let codes = Lock<[[UInt32]]>([])
        let recorder = ProgressRecorder { _ in
            // The first call may come before the test knows its job; the last cannot.
            guard let job = known.withLock({ $0 }) else { return 0 }
            let these = [job.wait(milliseconds: 0).code, job.wait().code, job.free().code]
            codes.withLock { $0.append(these) }
            return 1
        }
        let job = JobHandle.resynchronize(pair.primary, pair.replica, .flags(0), recorder).value
        known.withLock { $0 = job }
        #expect(job.wait().code == VHDRESYNC_FAILED)
        #expect(job.free().code == VHDRESYNC_COMPLETED)
        let expected = [VHDRESYNC_JOB_STARTED, VHDRESYNC_INVALID_STATE, VHDRESYNC_INVALID_STATE]
        #expect(codes.withLock { $0.count } >= 2)
        #expect(codes.withLock { $0.allSatisfy { $0 == expected } })
    }

    // MARK: Errors

    @Test func whatIsWrongWithTheDisksIsTheEndOfTheJob() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let other = try DiskPair(dataByteCount: 1 << 20, virtualSize: 8 << 20)
        let text = pair.folder.file("text")
        try Data("not an image, but long enough".utf8).write(to: URL(filePath: text))
        let cases: [(String, String, UInt32, String)] = [
            (pair.primary, pair.primary + "x", VHDRESYNC_FILE_NOT_FOUND, "No such file"),
            (pair.primary + "x", pair.replica, VHDRESYNC_FILE_NOT_FOUND, "No such file"),
            (text, pair.replica, VHDRESYNC_INCORRECT_DATA_TYPE, "is not a VHDX file"),
            (pair.primary, text, VHDRESYNC_INCORRECT_DATA_TYPE, "is not a VHDX file"),
            (pair.primary, other.replica, VHDRESYNC_INVALID_STATE, "the virtual sizes differ"),
            (pair.primary, pair.primary, VHDRESYNC_INVALID_PARAMETER, "are one file"),
        ]
        for (primary, replica, code, words) in cases {
            let started = JobHandle.resynchronize(primary, replica)
            #expect(started.code == VHDRESYNC_JOB_STARTED)
            let ended = started.value.wait()
            #expect(ended.code == code)
            #expect(ended.error.contains(words), "\(ended.error)")
            let result = started.value.result
            let object = try object(result.value)
            #expect(object["returnValue"] as? UInt32 == code)
            #expect(try job(result.value)["errorDescription"] as? String == ended.error)
            #expect(started.value.free().code == VHDRESYNC_COMPLETED)
            let blocking = resynchronize(primary, replica)
            #expect(blocking.code == code && blocking.error == ended.error)
        }
    }

    // MARK: Threads

    @Test func jobsRunSideBySide() throws {
        let pairs = try (0..<2).map { _ in try DiskPair() }
        let runs = pairs.map { pair in
            let (primary, replica) = (pair.primary, pair.replica)
            return Background { () -> [UInt32] in
                let recorder = ProgressRecorder()
                let first = resynchronize(primary, replica, .flags(0), recorder)
                let wrong = resynchronize(primary, replica + "x")
                return [first.code, wrong.code, wrong.error.contains(replica + "x") ? 1 : 0]
            }
        }
        for run in runs {
            #expect(try run.value() == [VHDRESYNC_COMPLETED, VHDRESYNC_FILE_NOT_FOUND, 1])
        }
        for pair in pairs { #expect(try pair.replicaIsCurrent()) }
    }

    @Test func severalThreadsShareAJob() throws {
        let pair = try LongPair()
        let job = JobHandle.resynchronize(pair.primary, pair.replica).value
        let waiting = (0..<3).map { _ in Background { job.wait().code } }
        let asking = (0..<2).map { _ in
            Background {
                while job.progress.value.bytes_done == 0, job.wait(milliseconds: 0).code == 4096 {}
                return job.cancel()
            }
        }
        for answer in asking { #expect(try answer.value() == VHDRESYNC_COMPLETED) }
        for answer in waiting { #expect(try answer.value() == VHDRESYNC_FAILED) }
        // One of them gives it back.
        let freeing = (0..<4).map { _ in Background { job.free().code } }
        let codes = try freeing.map { try $0.value() }.sorted()
        #expect(codes.first == VHDRESYNC_COMPLETED)
        #expect(codes.dropFirst().allSatisfy { $0 == VHDRESYNC_INVALID_PARAMETER })
    }

    // MARK: The other verbs

    @Test func aResynchronizationIsCarriedOnAStick() throws {
        let pair = try DiskPair(dataByteCount: 3 << 20, virtualSize: 8 << 20)
        let texts = CTexts()
        let (map, delta) = (pair.folder.file("map"), pair.folder.file("delta"))
        func run(
            _ start: (UnsafeMutablePointer<OpaquePointer?>) -> UInt32
        ) throws -> [String: Any] {
            let started = JobHandle.start(start)
            #expect(started.code == VHDRESYNC_JOB_STARTED, "\(started.error)")
            let ended = started.value.wait()
            #expect(ended.code == VHDRESYNC_COMPLETED, "\(ended.error)")
            let result = started.value.result.value
            #expect(started.value.free().code == VHDRESYNC_COMPLETED)
            return try disk(result)
        }
        let primary = texts.pointer(pair.primary)
        let replica = texts.pointer(pair.replica)
        let mapped = try run {
            vhdresync_map_start(replica, texts.pointer(map), nil, nil, nil, $0)
        }
        #expect((mapped["output"] as? [String: Any])?["path"] as? String == map)
        let compared = try run {
            vhdresync_diff_start(primary, replica, nil, nil, nil, nil, $0)
        }
        #expect(compared["output"] is NSNull && compared["blocksDiffering"] as? Int == 32)
        _ = try run {
            vhdresync_diff_start(
                primary, texts.pointer(map), texts.pointer(delta), nil, nil, nil, $0)
        }
        let applied = try run {
            vhdresync_apply_start(texts.pointer(delta), replica, nil, nil, nil, $0)
        }
        #expect(applied["verified"] as? Bool == true)
        #expect(try pair.replicaIsCurrent())
        let recovered = try run {
            vhdresync_recover_start(replica, nil, nil, nil, $0)
        }
        #expect(
            (recovered["recovery"] as? [String: Any])?["outcome"] as? String == "nothingToDo")
        for (path, key) in [(map, "map"), (delta, "delta"), (pair.replica, "image")] {
            let info = Interface.text { vhdresync_info(texts.pointer(path), nil, $0) }
            #expect(try object(info.value)[key] != nil)
        }
    }
}
