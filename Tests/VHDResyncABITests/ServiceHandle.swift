import CVHDResync
import TestSupport

/// A service of C. Whoever starts one stops it.
struct ServiceHandle {
    let pointer: OpaquePointer?

    static func start(
        _ configuration: String, _ state: String
    ) -> Interface.Answer<ServiceHandle?> {
        var pointer: OpaquePointer?
        let code = vhdresync_service_start(configuration, state, nil, &pointer)
        let error = Interface.lastError
        return Interface.Answer(
            code: code, value: pointer.map { ServiceHandle(pointer: $0) }, error: error)
    }

    static func start(
        _ machine: ServiceMachine, _ state: String
    ) -> Interface.Answer<ServiceHandle?> {
        start(machine.configuration, machine.state(state))
    }

    func resynchronize(
        _ machine: String, _ startTime: String? = nil
    ) -> Interface.Answer<String?> {
        Interface.text { vhdresync_service_resynchronize(pointer, machine, startTime, $0) }
    }

    func wait(
        for job: String, milliseconds: UInt64 = VHDRESYNC_FOREVER,
        _ recorder: ProgressRecorder? = nil
    ) -> Interface.Answer<Void> {
        Interface.answer {
            vhdresync_service_job_wait(
                pointer, job, milliseconds, recorder == nil ? nil : ProgressRecorder.callback,
                recorder?.context)
        }
    }

    func wait(for job: String, _ recorder: ProgressRecorder) -> Interface.Answer<Void> {
        wait(for: job, milliseconds: VHDRESYNC_FOREVER, recorder)
    }

    func request(_ request: String) -> Interface.Answer<String?> {
        Interface.text { vhdresync_service_request(pointer, request, $0) }
    }

    func reload(_ configuration: String) -> Interface.Answer<Void> {
        Interface.answer { vhdresync_service_reload(pointer, configuration) }
    }

    func stop() -> Interface.Answer<Void> {
        Interface.answer { vhdresync_service_stop(pointer) }
    }
}
