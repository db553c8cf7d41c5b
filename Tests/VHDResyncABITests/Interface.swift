import CVHDResync
import Glibc
import Storage

/// The functions of `vhdresync.h` with the types of Swift. Nothing is checked or added here: a nil is
/// a null pointer to the function.
enum Interface {
    /// What a call has returned, and what came back through a pointer.
    struct Answer<Value> {
        var code: UInt32
        var value: Value
        /// What the thread knows of the call's failure.
        var error: String
    }

    static var version: String { String(cString: vhdresync_version()) }

    static var lastError: String { String(cString: vhdresync_last_error()) }

    static func codeName(_ code: UInt32) -> String {
        String(cString: vhdresync_code_name(code))
    }

    /// A call without anything that comes back but its code.
    static func answer(_ body: () -> UInt32) -> Answer<Void> {
        let code = body()
        return Answer(code: code, value: (), error: lastError)
    }

    /// A call with a text that comes back: it is freed here.
    static func text(
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> UInt32
    ) -> Answer<String?> {
        // Safe: the call replaces the pointer, which is never followed.
        var text: UnsafeMutablePointer<CChar>? = UnsafeMutablePointer(bitPattern: 16)
        let code = body(&text)
        let error = lastError
        defer { vhdresync_text_free(text) }
        return Answer(code: code, value: text.map { String(cString: $0) }, error: error)
    }
}

/// Texts in memory for C, until this object ends.
final class CTexts {
    private var pointers: [UnsafeMutablePointer<CChar>] = []
    private var lists: [UnsafeMutablePointer<UnsafePointer<CChar>?>] = []

    deinit {
        for pointer in pointers { free(pointer) }
        for list in lists { list.deallocate() }
    }

    func pointer(_ text: String?) -> UnsafePointer<CChar>? {
        guard let text, let copy = strdup(text) else { return nil }
        pointers.append(copy)
        return UnsafePointer(copy)
    }

    func pointer(bytes: [UInt8]) -> UnsafePointer<CChar>? {
        let copy = strdup("\(String(repeating: " ", count: bytes.count))")
        guard let copy = copy else { return nil }
        for (index, byte) in bytes.enumerated() { copy[index] = CChar(bitPattern: byte) }
        pointers.append(copy)
        return UnsafePointer(copy)
    }

    func list(_ texts: [String?]) -> UnsafePointer<UnsafePointer<CChar>?>? {
        let list = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: texts.count)
        list.initialize(repeating: nil, count: texts.count)
        for (index, text) in texts.enumerated() { list[index] = pointer(text) }
        lists.append(list)
        return UnsafePointer(list)
    }
}

/// Options for C, with the texts that they point to.
struct Options {
    let texts = CTexts()
    var values = vhdresync_options()

    /// The options of this version; the body may say more, also what is wrong.
    init(_ change: (inout vhdresync_options, CTexts) -> Void = { _, _ in }) {
        values.struct_size = UInt32(MemoryLayout<vhdresync_options>.size)
        change(&values, texts)
    }

    /// With these flags, and progress as often as it may be.
    static func flags(_ flags: UInt32) -> Options {
        Options { values, _ in
            values.flags = flags
            values.progress_interval_ms = 10
        }
    }
}

/// What a progress callback was told, and what it is to say.
final class ProgressRecorder: Sendable {
    private let calls = Lock<[vhdresync_progress]>([])
    private let reply: @Sendable (vhdresync_progress) -> Int32

    init(_ reply: @escaping @Sendable (vhdresync_progress) -> Int32 = { _ in 0 }) {
        self.reply = reply
    }

    var all: [vhdresync_progress] { calls.withLock { $0 } }

    /// For the parameter `context`. The object must live as long as the job.
    var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static let callback: vhdresync_progress_callback = { progress, context in
        guard let progress = progress, let context = context else { return 1 }
        // Safe: the context is the recorder, which lives.
        let recorder = Unmanaged<ProgressRecorder>.fromOpaque(context)
            .takeUnretainedValue()
        let copy = progress.pointee
        recorder.calls.withLock { $0.append(copy) }
        return recorder.reply(copy)
    }
}

/// A job that was started, or was not.
struct JobHandle: @unchecked Sendable {
    let pointer: OpaquePointer?

    /// Starts a job; `start` gets the place of the handle.
    static func start(
        _ start: (UnsafeMutablePointer<OpaquePointer?>) -> UInt32
    ) -> Interface.Answer<JobHandle> {
        // Safe: the call replaces the handle, which is never followed.
        var handle = OpaquePointer(bitPattern: 16)
        let code = start(&handle)
        return Interface.Answer(
            code: code, value: JobHandle(pointer: handle), error: Interface.lastError)
    }

    static func resynchronize(
        _ primary: String?, _ replica: String?, _ options: Options? = nil,
        _ recorder: ProgressRecorder? = nil
    ) -> Interface.Answer<JobHandle> {
        let texts = CTexts()
        return Self.start { handle in
            withOptions(options) { options in
                vhdresync_resynchronize_start(
                    texts.pointer(primary), texts.pointer(replica), options,
                    recorder == nil ? nil : ProgressRecorder.callback, recorder?.context, handle)
            }
        }
    }

    func wait(milliseconds: UInt64 = VHDRESYNC_FOREVER) -> Interface.Answer<Void> {
        Interface.answer { vhdresync_job_wait(pointer, milliseconds) }
    }

    func cancel() -> UInt32 { vhdresync_job_cancel(pointer) }

    func free() -> Interface.Answer<Void> {
        Interface.answer { vhdresync_job_free(pointer) }
    }

    var result: Interface.Answer<String?> {
        Interface.text { vhdresync_job_result(pointer, $0) }
    }

    var progress: Interface.Answer<vhdresync_progress> {
        var progress = vhdresync_progress()
        progress.struct_size = UInt32(MemoryLayout<vhdresync_progress>.size)
        let code = vhdresync_job_progress(pointer, &progress)
        return Interface.Answer(code: code, value: progress, error: Interface.lastError)
    }
}

/// Passes options, or a null pointer for none.
func withOptions(
    _ options: Options?, _ body: (UnsafePointer<vhdresync_options>?) -> UInt32
) -> UInt32 {
    guard let options else { return body(nil) }
    return withUnsafePointer(to: options.values) { body($0) }
}

/// The blocking call.
func resynchronize(
    _ primary: String?, _ replica: String?, _ options: Options? = nil,
    _ recorder: ProgressRecorder? = nil
) -> Interface.Answer<String?> {
    let texts = CTexts()
    return Interface.text { result in
        withOptions(options) { options in
            vhdresync_resynchronize(
                texts.pointer(primary), texts.pointer(replica), options,
                recorder == nil ? nil : ProgressRecorder.callback, recorder?.context, result)
        }
    }
}
