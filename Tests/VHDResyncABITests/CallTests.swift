import CVHDResync
import TestSupport
import Testing

/// Calls that make no sense: each is refused, and none traps.
@Suite struct CallTests {
    private let invalid = VHDRESYNC_INVALID_PARAMETER

    // MARK: Null pointers

    @Test func missingDisksAreRefused() {
        for (primary, replica, name) in [
            (nil, "r", "primary"), ("p", nil, "replica"), (nil, nil, "primary"),
        ] as [(String?, String?, String)] {
            let started = JobHandle.resynchronize(primary, replica)
            #expect(started.code == invalid)
            #expect(started.error == "\(name) is missing: a null pointer")
            #expect(started.value.pointer == nil)
            let done = resynchronize(primary, replica)
            #expect(done.code == invalid && done.value == nil)
        }
        let empty = JobHandle.resynchronize("", "r")
        #expect(empty.code == invalid && empty.error == "primary is empty")
    }

    @Test func missingPlacesAreRefused() {
        let texts = CTexts()
        let path = texts.pointer("/nowhere")
        let calls: [UInt32] = [
            vhdresync_resynchronize_start(path, path, nil, nil, nil, nil),
            vhdresync_recover_start(path, nil, nil, nil, nil),
            vhdresync_map_start(path, path, nil, nil, nil, nil),
            vhdresync_diff_start(path, path, nil, nil, nil, nil, nil),
            vhdresync_apply_start(path, path, nil, nil, nil, nil),
            vhdresync_image_open(path, nil, nil),
            vhdresync_info(path, nil, nil),
        ]
        #expect(calls.allSatisfy { $0 == invalid })
        #expect(Interface.lastError.hasSuffix("a null pointer"))
    }

    @Test func missingNamesAreRefused() {
        let calls: [UInt32] = [
            JobHandle.start { vhdresync_recover_start(nil, nil, nil, nil, $0) }.code,
            JobHandle.start { vhdresync_map_start(nil, nil, nil, nil, nil, $0) }.code,
            JobHandle.start {
                vhdresync_diff_start(nil, nil, nil, nil, nil, nil, $0)
            }.code,
            JobHandle.start {
                vhdresync_apply_start(nil, nil, nil, nil, nil, $0)
            }.code,
            JobHandle.start { vhdresync_image_open(nil, nil, $0) }.code,
            Interface.text { vhdresync_info(nil, nil, $0) }.code,
            vhdresync_check(nil, nil, nil, nil),
        ]
        #expect(calls.allSatisfy { $0 == invalid })
    }

    @Test func missingHandlesAreRefused() {
        var progress = vhdresync_progress()
        var description = vhdresync_image_description()
        let calls: [UInt32] = [
            vhdresync_job_progress(nil, &progress), vhdresync_job_progress(nil, nil),
            vhdresync_job_wait(nil, 0), vhdresync_job_wait(nil, VHDRESYNC_FOREVER),
            vhdresync_job_cancel(nil), vhdresync_job_result(nil, nil),
            vhdresync_image_describe(nil, &description), vhdresync_image_describe(nil, nil),
            vhdresync_image_read(nil, 0, nil, 0),
        ]
        #expect(calls.allSatisfy { $0 == invalid })
    }

    /// As `free` does.
    @Test func givingNothingBackIsNoError() {
        vhdresync_text_free(nil)
        #expect(vhdresync_job_free(nil) == VHDRESYNC_COMPLETED)
        #expect(vhdresync_image_close(nil) == VHDRESYNC_COMPLETED)
    }

    // MARK: Handles

    @Test func handlesThatMeanNothingAreRefused() throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let job = JobHandle.resynchronize(pair.primary, pair.replica).value
        #expect(job.wait().code == VHDRESYNC_COMPLETED)
        #expect(job.free().code == VHDRESYNC_COMPLETED)
        let image = ImageHandle.open(pair.primary).value
        // Given back twice, of the other kind, and never a handle.
        let strange = OpaquePointer(bitPattern: UInt.max)
        for handle in [job.pointer, image.pointer, strange] {
            let job = JobHandle(pointer: handle)
            #expect(job.free().code == invalid)
            #expect(job.free().error == "there is no such job, or it was given back")
            #expect(job.wait().code == invalid)
            #expect(job.cancel() == invalid)
            #expect(job.result.code == invalid && job.result.value == nil)
            #expect(job.progress.code == invalid)
        }
        for handle in [job.pointer, strange] {
            #expect(vhdresync_image_close(handle) == invalid)
            #expect(vhdresync_image_read(handle, 0, nil, 0) == invalid)
        }
        #expect(vhdresync_image_close(image.pointer) == VHDRESYNC_COMPLETED)
        #expect(vhdresync_image_close(image.pointer) == invalid)
    }

    // MARK: Structures

    @Test(arguments: [0, 1, 4, 135, 65537, .max] as [UInt32])
    func wrongSizesAreRefused(_ size: UInt32) {
        let options = Options { values, _ in values.struct_size = size }
        let started = JobHandle.resynchronize("p", "r", options)
        #expect(started.code == invalid)
        #expect(
            started.error
                == "struct_size of options is \(size): it is to be set to sizeof, here 144")
        var findings = vhdresync_findings()
        findings.struct_size = size == 135 ? 31 : size
        let texts = CTexts()
        let path = texts.pointer(TestImage.folder + "/images.json")
        #expect(vhdresync_check(path, nil, &findings, nil) == invalid)
    }

    @Test func structuresOfLaterVersionsAreTaken() {
        struct Later {
            var options = vhdresync_options()
            var more: UInt64 = 0
        }
        let texts = CTexts()
        for (more, code) in [(0, VHDRESYNC_FILE_NOT_FOUND), (1, VHDRESYNC_NOT_SUPPORTED)] {
            var later = Later()
            later.options.struct_size = UInt32(MemoryLayout<Later>.size)
            later.more = UInt64(more)
            let answer = withUnsafeBytes(of: &later) { bytes in
                let options = bytes.baseAddress?.assumingMemoryBound(
                    to: vhdresync_options.self)
                return vhdresync_resynchronize(
                    texts.pointer("/nowhere/p"), texts.pointer("/nowhere/r"), options, nil, nil,
                    nil)
            }
            #expect(answer == code)
        }
    }

    @Test func laterStructuresAreFilledInAsFarAsTheyAreKnown() throws {
        struct Later {
            var progress = vhdresync_progress()
            var more: UInt64 = 7
            var notThere: UInt64 = 7
        }
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let job = JobHandle.resynchronize(pair.primary, pair.replica).value
        defer { _ = job.free() }
        #expect(job.wait().code == VHDRESYNC_COMPLETED)
        var later = Later()
        let size = UInt32(MemoryLayout<vhdresync_progress>.size + 8)
        later.progress.struct_size = size
        let code = withUnsafeMutableBytes(of: &later) { bytes in
            vhdresync_job_progress(
                job.pointer, bytes.baseAddress?.assumingMemoryBound(to: vhdresync_progress.self))
        }
        #expect(code == VHDRESYNC_COMPLETED)
        #expect(later.progress.struct_size == size && later.progress.virtual_size == 4 << 20)
        #expect(later.more == 0 && later.notThere == 7)
    }

    // MARK: Options

    @Test func valuesThatMakeNoSenseAreRefused() {
        let cases: [(String, (inout vhdresync_options, CTexts) -> Void)] = [
            ("block size", { o, _ in o.block_size = 4095 }),
            ("block size", { o, _ in o.block_size = 32 << 20 }),
            ("jobs", { o, _ in o.worker_count = 257 }),
            ("compare", { o, _ in o.compare = 2 }),
            ("write_method", { o, _ in o.write_method = 3 }),
            ("hash_provider", { o, _ in o.hash_provider = 2 }),
            ("cache_use", { o, _ in o.cache_use = 2 }),
            ("primary_format", { o, _ in o.primary_format = 3 }),
            ("replica_format", { o, _ in o.replica_format = .max }),
            ("interval of progress", { o, _ in o.progress_interval_ms = 9 }),
            ("time limit", { o, _ in o.timeout_ms = .max }),
            ("bytes in a second", { o, _ in o.bytes_per_second = 1023 }),
            ("bytes in a second", { o, _ in o.bytes_per_second = .max }),
            ("idle timeout", { o, _ in o.idle_timeout_ms = 999 }),
            ("called again", { o, _ in o.retry_count = 1_000_001 }),
            ("parent_folder_count", { o, _ in o.parent_folder_count = .max }),
            ("parent_folders", { o, _ in o.parent_folder_count = 1 }),
            (
                "parent_folders[1]",
                { o, texts in
                    o.parent_folder_count = 2
                    o.parent_folders = texts.list(["a", nil])
                }
            ),
            ("journal_folder", { o, texts in o.journal_folder = texts.pointer("") }),
            ("remote_shell", { o, texts in o.remote_shell = texts.pointer("ssh 'a") }),
            ("remote_command", { o, texts in o.remote_command = texts.pointer(" ") }),
            ("parent of the replica", { o, t in o.parent_of_replica = t.pointer("a") }),
            (
                "in place",
                { o, texts in
                    o.write_method = VHDRESYNC_WRITE_IN_PLACE
                    o.journal_folder = texts.pointer("/tmp")
                }
            ),
            ("dry run", { o, _ in o.flags = VHDRESYNC_DRY_RUN | VHDRESYNC_VERIFY }),
        ]
        for (word, change) in cases {
            let started = JobHandle.resynchronize("p", "r", Options(change))
            #expect(started.code == invalid, "\(word)")
            #expect(started.error.contains(word), "\(word): \(started.error)")
        }
        let flags = JobHandle.resynchronize("p", "r", .flags(0x8000_0040))
        #expect(flags.code == VHDRESYNC_NOT_SUPPORTED)
        #expect(flags.error == "the flags 0x80000040 are not known here")
    }

    @Test func textsThatAreNotUTF8AreRefused() {
        let texts = CTexts()
        let wrong = texts.pointer(bytes: [0x2F, 0xFF, 0x61])
        let right = texts.pointer("r")
        let names = [(wrong, right, "primary"), (right, wrong, "replica")]
        for (primary, replica, name) in names {
            let started = JobHandle.start { handle in
                vhdresync_resynchronize_start(primary, replica, nil, nil, nil, handle)
            }
            #expect(started.code == invalid && started.error == "\(name) is not UTF-8")
        }
        let options = Options { values, texts in
            values.journal_folder = texts.pointer(bytes: [0xC0, 0x80])
        }
        let started = JobHandle.resynchronize("p", "r", options)
        #expect(started.code == invalid && started.error == "journal_folder is not UTF-8")
    }

    // MARK: Other hosts

    @Test func whatTwoHostsCannotDoIsRefused() {
        let cases: [(String, String, String, (inout vhdresync_options, CTexts) -> Void)] = [
            ("h:p", "k:r", "both h:p and k:r are on other hosts", { _, _ in }),
            ("p", "h:", "has no path", { _, _ in }),
            ("p", "h:r", "digests", { o, _ in o.compare = VHDRESYNC_COMPARE_BYTES }),
            ("p", "h:r", "journal", { o, _ in o.write_method = VHDRESYNC_WRITE_IN_PLACE }),
            (
                "p", "h:r", "its folder is named there",
                { o, t in o.journal_folder = t.pointer("j") }
            ),
            ("p", "vhdresync://h/r", "certificate is missing", { _, _ in }),
            (
                "vhdresync://h/p", "r", "authorities is missing",
                { o, t in
                    o.certificate = t.pointer("c")
                    o.key = t.pointer("k")
                }
            ),
        ]
        for (primary, replica, word, change) in cases {
            let started = JobHandle.resynchronize(primary, replica, Options(change))
            #expect(started.code == invalid, "\(word)")
            #expect(started.error.contains(word), "\(word): \(started.error)")
        }
        let texts = CTexts()
        let recovery = JobHandle.start {
            vhdresync_recover_start(texts.pointer("h:r"), nil, nil, nil, $0)
        }
        #expect(recovery.code == VHDRESYNC_NOT_SUPPORTED)
    }

    // MARK: Errors

    @Test func theTextIsThatOfTheLastCallOfTheThread() throws {
        let missing = try TemporaryFolder().file("no-other-test-has-it")
        #expect(ImageHandle.open(missing).code == VHDRESYNC_FILE_NOT_FOUND)
        #expect(Interface.lastError.contains(missing))
        // What returns no code is no call.
        _ = Interface.codeName(0)
        vhdresync_text_free(nil)
        let other = Background { () -> [String] in
            let before = Interface.lastError
            _ = JobHandle.resynchronize("p", nil)
            return [before, Interface.lastError]
        }
        let texts = try other.value()
        #expect(!texts[0].contains(missing))
        #expect(texts[1] == "replica is missing: a null pointer")
        #expect(Interface.lastError.contains(missing))
        #expect(vhdresync_job_free(nil) == VHDRESYNC_COMPLETED)
        #expect(Interface.lastError == "")
    }
}
