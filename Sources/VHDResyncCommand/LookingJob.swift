internal import Replication
internal import VHDX

/// A job that looks at an image and changes nothing: what `info` and `check` have in common.
enum LookingJob {
    /// Runs the body, which writes the result; what keeps an image from being read is written as
    /// the error of a job.
    static func run(
        _ invocation: Invocation, _ body: () throws(VHDXError) -> ReturnCode
    ) -> ReturnCode {
        let job = ConcreteJob()
        job.start()
        do throws(VHDXError) {
            return try body()
        } catch {
            let code = ReturnCode(error)
            job.fail(code, "\(error)")
            return Output.failure(
                code, job, "\(error)", disks: [], wantsJSON: invocation.wantsJSON)
        }
    }
}
