internal import Replication
internal import Resync
internal import VHDX

/// A job that looks at a file and changes nothing: what `info` and `check` have in common.
enum LookingJob {
    /// Runs the body, which writes the result; what keeps a file from being read is written as the
    /// error of a job.
    static func run(
        _ invocation: Invocation, _ body: () throws(ResyncError) -> ReturnCode
    ) -> ReturnCode {
        let job = ConcreteJob()
        job.start()
        do throws(ResyncError) {
            return try body()
        } catch {
            let code = ReturnCode(error)
            job.fail(code, "\(error)")
            return Output.failure(
                code, job, "\(error)", disks: [], wantsJSON: invocation.wantsJSON)
        }
    }

    /// Runs calls on an image, with their errors as those of a job.
    static func onImage<Result>(
        _ body: () throws(VHDXError) -> Result
    ) throws(ResyncError) -> Result {
        do throws(VHDXError) {
            return try body()
        } catch {
            throw .disk(.primary, error)
        }
    }
}
