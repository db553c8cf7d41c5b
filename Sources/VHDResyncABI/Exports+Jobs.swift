public import CVHDResync
internal import Replication

private let jobs = HandleTable<RunningJob>(of: "job")

/// Where a handle for the caller goes.
private typealias HandleResult = UnsafeMutablePointer<OpaquePointer?>

// MARK: The main job

@c @implementation
public func vhdresync_resynchronize(
    _ primary: UnsafePointer<CChar>?, _ replica: UnsafePointer<CChar>?,
    _ options: UnsafePointer<vhdresync_options>?, _ progress: vhdresync_progress_callback?,
    _ context: UnsafeMutableRawPointer?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        // Safe: pointers of the caller, which the header says what they must be.
        unsafe result?.pointee = nil
        let task = try unsafe resynchronization(primary, replica)
        let job = try unsafe job(task, options, ProgressCallback(progress, context))
        job.start()
        guard let ending = job.job.wait() else {
            preconditionFailure("a wait without a limit ended before the job")
        }
        do throws(CodedError) {
            try unsafe CText.give(ending.result.json, to: result)
        } catch {
            // How the job ended says more than that there is no text about it.
            guard ending.code != .completed else { throw error }
        }
        return try code(of: ending)
    }
}

@c @implementation
public func vhdresync_resynchronize_start(
    _ primary: UnsafePointer<CChar>?, _ replica: UnsafePointer<CChar>?,
    _ options: UnsafePointer<vhdresync_options>?, _ progress: vhdresync_progress_callback?,
    _ context: UnsafeMutableRawPointer?, _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe start(options, ProgressCallback(progress, context), job) {
        () throws(CodedError) in try unsafe resynchronization(primary, replica)
    }
}

private func resynchronization(
    _ primary: UnsafePointer<CChar>?, _ replica: UnsafePointer<CChar>?
) throws(CodedError) -> JobTask {
    .resynchronize(
        primary: try unsafe CText.required(primary, "primary"),
        replica: try unsafe CText.required(replica, "replica"))
}

// MARK: The other verbs

@c @implementation
public func vhdresync_recover_start(
    _ replica: UnsafePointer<CChar>?, _ options: UnsafePointer<vhdresync_options>?,
    _ progress: vhdresync_progress_callback?, _ context: UnsafeMutableRawPointer?,
    _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe start(options, ProgressCallback(progress, context), job) {
        () throws(CodedError) in
        .recover(replica: try unsafe CText.required(replica, "replica"))
    }
}

@c @implementation
public func vhdresync_map_start(
    _ disk: UnsafePointer<CChar>?, _ map: UnsafePointer<CChar>?,
    _ options: UnsafePointer<vhdresync_options>?, _ progress: vhdresync_progress_callback?,
    _ context: UnsafeMutableRawPointer?, _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe start(options, ProgressCallback(progress, context), job) {
        () throws(CodedError) in
        .map(
            disk: try unsafe CText.required(disk, "disk"),
            output: try unsafe CText.required(map, "map"))
    }
}

@c @implementation
public func vhdresync_diff_start(
    _ primary: UnsafePointer<CChar>?, _ replica_or_map: UnsafePointer<CChar>?,
    _ delta: UnsafePointer<CChar>?, _ options: UnsafePointer<vhdresync_options>?,
    _ progress: vhdresync_progress_callback?, _ context: UnsafeMutableRawPointer?,
    _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe start(options, ProgressCallback(progress, context), job) {
        () throws(CodedError) in
        .diff(
            primary: try unsafe CText.required(primary, "primary"),
            replicaOrMap: try unsafe CText.required(replica_or_map, "replica_or_map"),
            output: try unsafe CText.optional(delta, "delta"))
    }
}

@c @implementation
public func vhdresync_apply_start(
    _ delta: UnsafePointer<CChar>?, _ replica: UnsafePointer<CChar>?,
    _ options: UnsafePointer<vhdresync_options>?, _ progress: vhdresync_progress_callback?,
    _ context: UnsafeMutableRawPointer?, _ job: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    unsafe start(options, ProgressCallback(progress, context), job) {
        () throws(CodedError) in
        .apply(
            delta: try unsafe CText.required(delta, "delta"),
            replica: try unsafe CText.required(replica, "replica"))
    }
}

// MARK: A job that was started

@c @implementation
public func vhdresync_job_progress(
    _ job: OpaquePointer?, _ progress: UnsafeMutablePointer<vhdresync_progress>?
) -> UInt32 {
    answer { () throws(CodedError) in
        let progressNow = try unsafe vhdresync_progress(jobs.object(for: job).job.progress)
        try unsafe CStructure.give(progressNow, to: progress, "the progress")
        return .completed
    }
}

@c @implementation
public func vhdresync_job_wait(_ job: OpaquePointer?, _ timeout_ms: UInt64) -> UInt32 {
    answer { () throws(CodedError) in
        let job = try unsafe jobs.object(for: job)
        if timeout_ms > 0 { try checkMayWait(for: job) }
        guard let ending = job.job.wait(milliseconds: timeout_ms) else { return .jobStarted }
        return try code(of: ending)
    }
}

@c @implementation
public func vhdresync_job_cancel(_ job: OpaquePointer?) -> UInt32 {
    answer { () throws(CodedError) in
        try unsafe jobs.object(for: job).job.cancel()
        return .completed
    }
}

@c @implementation
public func vhdresync_job_result(
    _ job: OpaquePointer?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        guard let result = unsafe result else {
            throw .invalid("the place for the result is missing: a null pointer")
        }
        // Safe: the caller passes the place of a pointer.
        unsafe result.pointee = nil
        guard let ending = try unsafe jobs.object(for: job).job.wait(milliseconds: 0) else {
            return .jobStarted
        }
        try unsafe CText.give(ending.result.json, to: result)
        return .completed
    }
}

@c @implementation
public func vhdresync_job_free(_ job: OpaquePointer?) -> UInt32 {
    answer { () throws(CodedError) in
        guard unsafe job != nil else { return .completed }
        let running = try unsafe jobs.object(for: job)
        try checkMayWait(for: running)
        try unsafe jobs.remove(job)
        running.job.cancel()
        _ = running.job.wait()
        return .completed
    }
}

// MARK: What they have in common

private func job(
    _ task: JobTask, _ options: UnsafePointer<vhdresync_options>?, _ callback: ProgressCallback?
) throws(CodedError) -> RunningJob {
    let options = try unsafe CallOptions(options).job
    return RunningJob(job: try BackgroundJob(task, options: options), callback: callback)
}

private func start(
    _ options: UnsafePointer<vhdresync_options>?, _ callback: ProgressCallback?,
    _ handle: HandleResult?, _ task: () throws(CodedError) -> JobTask
) -> UInt32 {
    answer { () throws(CodedError) in
        guard let handle = unsafe handle else {
            throw .invalid("the place for the job is missing: a null pointer")
        }
        // Safe: the caller passes the place of a handle.
        unsafe handle.pointee = nil
        let job = try unsafe job(task(), options, callback)
        unsafe handle.pointee = jobs.insert(job)
        job.start()
        return .jobStarted
    }
}

private func code(of ending: BackgroundJob.Ending) throws(CodedError) -> ReturnCode {
    if let text = ending.errorDescription { throw CodedError(ending.code, text) }
    return ending.code
}

/// A job does not end before its callback does.
private func checkMayWait(for job: RunningJob) throws(CodedError) {
    guard !job.isInCallback else {
        throw CodedError(.invalidState, "a callback cannot wait for the job that has called it")
    }
}
