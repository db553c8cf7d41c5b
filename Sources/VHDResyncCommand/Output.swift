internal import Glibc
internal import Replication
internal import Resync
internal import Storage

/// Results to standard output, errors to standard error.
enum Output {
    /// Writes a result for people. Each line of it stands in the text.
    ///
    /// - Returns: the code, or that of a result which could not be written.
    static func text(_ text: String, _ code: ReturnCode) -> ReturnCode {
        let errno = StandardStream.output.write(text)
        // Whoever closed the pipe has read enough.
        guard errno != 0, errno != EPIPE else { return code }
        error("cannot write to standard output: \(String(describingErrno: errno))")
        return code == .completed ? .failed : code
    }

    /// Writes a result for programs.
    ///
    /// - Returns: as ``text(_:_:)``.
    static func json(_ object: some Encodable, _ code: ReturnCode) -> ReturnCode {
        text(JSONText.object(object) + "\n", code)
    }

    /// Writes the result of a job that did not complete.
    ///
    /// - Returns: the code.
    static func failure(
        _ code: ReturnCode, _ job: ConcreteJob, _ sentence: String, disks: [DiskReport],
        wantsJSON: Bool
    ) -> ReturnCode {
        error(sentence)
        guard wantsJSON else { return code }
        return json(ResultObject(code, job, disks: disks), code)
    }

    /// Writes one sentence for people.
    static func error(_ sentence: String) {
        StandardStream.error.write("vhdresync: \(sentence.printable)\n")
    }
}
