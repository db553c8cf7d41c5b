public import CVHDResync
internal import Glibc
internal import Replication
internal import Transport

private let services = HandleTable<ReplicationHost>(of: "service")

// MARK: The service

@c @implementation
public func vhdresync_service_start(
    _ configuration: UnsafePointer<CChar>?, _ state_folder: UnsafePointer<CChar>?,
    _ socket: UnsafePointer<CChar>?, _ service: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        guard let service = unsafe service else {
            throw .invalid("the place for the service is missing: a null pointer")
        }
        // Safe: the caller passes the place of a handle.
        unsafe service.pointee = nil
        let host = try ReplicationHost(
            configuration: try unsafe CText.required(configuration, "configuration"),
            stateFolder: try unsafe CText.required(state_folder, "state_folder"),
            socketPath: try unsafe CText.optional(socket, "socket"))
        host.start()
        unsafe service.pointee = services.insert(host)
        return .completed
    }
}

@c @implementation
public func vhdresync_service_reload(
    _ service: OpaquePointer?, _ configuration: UnsafePointer<CChar>?
) -> UInt32 {
    answer { () throws(CodedError) in
        let host = try unsafe services.object(for: service)
        try host.reload(try unsafe CText.required(configuration, "configuration"))
        return .completed
    }
}

@c @implementation
public func vhdresync_service_stop(_ service: OpaquePointer?) -> UInt32 {
    answer { () throws(CodedError) in
        guard unsafe service != nil else { return .completed }
        let host = try unsafe services.object(for: service)
        try unsafe services.remove(service)
        host.stop()
        try host.wait()
        return .completed
    }
}

// MARK: Its jobs

@c @implementation
public func vhdresync_service_resynchronize(
    _ service: OpaquePointer?, _ computer_system: UnsafePointer<CChar>?,
    _ start_time: UnsafePointer<CChar>?,
    _ job_id: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        // Safe: the caller passes the place of a pointer.
        unsafe job_id?.pointee = nil
        let host = try unsafe services.object(for: service)
        let method = host.service.resynchronize(
            computerSystem: try unsafe CText.required(computer_system, "computer_system"),
            startTime: try unsafe CText.optional(start_time, "start_time"),
            owner: SystemUser.current.name)
        guard let job = method.job else {
            throw CodedError(method.returnValue, method.reason ?? method.returnValue.name)
        }
        try unsafe CText.give(job.properties.instanceID, to: job_id)
        return method.returnValue
    }
}

@c @implementation
public func vhdresync_service_job_wait(
    _ service: OpaquePointer?, _ job_id: UnsafePointer<CChar>?, _ timeout_ms: UInt64,
    _ progress: vhdresync_progress_callback?, _ context: UnsafeMutableRawPointer?
) -> UInt32 {
    answer { () throws(CodedError) in
        let host = try unsafe services.object(for: service)
        let id = try unsafe CText.required(job_id, "job_id")
        let job = try host.wait(
            for: id, milliseconds: timeout_ms,
            progress: unsafe ProgressCallback(progress, context))
        guard job.jobState.isFinal else { return .jobStarted }
        guard let code = ReturnCode(rawValue: UInt32(job.errorCode)), code != .completed else {
            return .completed
        }
        throw CodedError(code, job.errorDescription ?? code.name)
    }
}

@c @implementation
public func vhdresync_service_request(
    _ service: OpaquePointer?, _ request: UnsafePointer<CChar>?,
    _ answer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    VHDResyncABI.answer { () throws(CodedError) in
        // Safe: the caller passes the place of a pointer.
        unsafe answer?.pointee = nil
        let host = try unsafe services.object(for: service)
        let text = try unsafe CText.required(request, "request")
        let found = host.answer(to: text, from: SystemUser.current.name)
        try unsafe CText.give(JSONText.line(found), to: answer)
        guard let code = ReturnCode(rawValue: found.returnValue) else { return .completed }
        guard code == .completed || code == .jobStarted else {
            throw CodedError(code, found.sentence)
        }
        return code
    }
}

extension ReplicationHost {
    /// How often it is looked how far a job is.
    private static let millisecondsBetweenLooks = 100.0

    /// Waits for the end of a job on this thread.
    ///
    /// - Returns: what it is then.
    fileprivate func wait(
        for id: String, milliseconds: UInt64, progress: ProgressCallback?
    ) throws(CodedError) -> ConcreteJob.Properties {
        let start = ContinuousClock.now
        while true {
            let job = try service.jobRecord(id).properties
            let isCancelled = progress.map { $0.call(vhdresync_progress(job)) != 0 } ?? false
            if isCancelled { _ = service.job(id)?.requestStateChange(.terminate) }
            let left = Double(milliseconds) - (ContinuousClock.now - start) / .milliseconds(1)
            if job.jobState.isFinal || left <= 0 { return job }
            _ = usleep(UInt32(min(left, Self.millisecondsBetweenLooks) * 1000))
        }
    }
}
