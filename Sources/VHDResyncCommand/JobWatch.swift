internal import Glibc
internal import Replication
internal import Storage

/// Shows how far a job of a service is until it is over: `vm resync --wait` and `job watch`.
struct JobWatch {
    let invocation: Invocation
    let job: String
    let client: ControlClient

    /// Watches, and writes the result.
    func run() -> ReturnCode {
        let style = ProgressStyle(
            invocation.progress, isQuiet: invocation.isQuiet,
            isTerminal: StandardStream.error.isTerminal)
        let printer = Lock(JobProgress(style: style))
        let isInterrupted = Lock(false)
        let signals = StopSignals(
            status: ReturnCode.failed.exitStatus,
            first: {
                isInterrupted.withLock { $0 = true }
                client.close()
            },
            second: { if style == .bar { StandardStream.error.write(ProgressPrinter.erasing) } })
        let answer: ControlAnswer
        do throws(CodedError) {
            answer = try withExtendedLifetime(signals) { () throws(CodedError) in
                try lastAnswer(printer)
            }
            clear(printer)
        } catch {
            clear(printer)
            guard !isInterrupted.withLock({ $0 }) else { return endInterrupted() }
            return end(ControlAnswer(error))
        }
        return end(answer)
    }

    private func lastAnswer(
        _ printer: Lock<JobProgress>
    ) throws(CodedError) -> ControlAnswer {
        var answer = try client.answer(to: .watchJob(job))
        while answer.isLast == false {
            if let job = answer.job {
                let columns = StandardStream.error.columns
                let text = printer.withLock { $0.text(for: job, columns: columns) }
                if let text { StandardStream.error.write(text) }
            }
            answer = try client.nextAnswer()
        }
        return answer
    }

    private func clear(_ printer: Lock<JobProgress>) {
        if let text = printer.withLock({ $0.end() }) { StandardStream.error.write(text) }
    }

    // MARK: The end

    private func endInterrupted() -> ReturnCode {
        let sentence =
            "it is not watched any more, and job \(job) goes on: 'vhdresync job watch \(job)' watches it "
            + "again"
        return end(ControlAnswer(CodedError(.failed, sentence)))
    }

    private func end(_ answer: ControlAnswer) -> ReturnCode {
        guard let job = answer.job, answer.reason.value == nil else {
            Output.error(answer.sentence)
            return invocation.wantsJSON ? Output.json(answer, answer.code) : answer.code
        }
        let code = ReturnCode(rawValue: UInt32(job.errorCode)) ?? .failed
        if code != .completed {
            Output.error(
                "\(job.elementName): \(job.errorDescription.value ?? job.jobStateName)")
        }
        if invocation.wantsJSON { return Output.json(answer.ended(code), code) }
        if invocation.isQuiet || code != .completed { return code }
        return Output.text(ControlText.ending(of: job), code)
    }
}

/// Turns what a service says of a job into what is to be written for it: a value, which knows no clock
/// and no terminal.
struct JobProgress {
    let style: ProgressStyle
    private var last: JobObject?
    private var hasBar = false

    init(style: ProgressStyle) {
        self.style = style
    }

    /// What to write now, or nil.
    mutating func text(for job: JobObject, columns: Int) -> String? {
        switch style {
        case .none:
            return nil
        case .bar:
            hasBar = true
            let line = Self.words(of: job).joined(separator: "  ")
            return "\r" + String(line.prefix(max(columns - 1, 1))) + "\u{1B}[K"
        case .plain:
            guard isLineDue(job) else { return nil }
            last = job
            return "vhdresync: " + Self.words(of: job).joined(separator: ", ") + "\n"
        case .json:
            return JSONText.line(job) + "\n"
        }
    }

    /// What to write when it is over: a terminal is left as it was.
    mutating func end() -> String? {
        hasBar ? ProgressPrinter.erasing : nil
    }

    /// One for each thing that the job does, and for so many percent, as for a run.
    private func isLineDue(_ job: JobObject) -> Bool {
        guard let last, last.jobState == job.jobState, last.jobStatus == job.jobStatus else {
            return true
        }
        let seconds = job.elapsedSeconds - last.elapsedSeconds
        let percent = job.percentComplete - min(last.percentComplete, job.percentComplete)
        return seconds >= ProgressPrinter.plainSeconds && percent >= ProgressPrinter.plainPercent
            || seconds >= ProgressPrinter.plainLongestSeconds
    }

    private static func words(of job: JobObject) -> [String] {
        var words = ["\(job.jobStatus) \(job.percentComplete)%".printable]
        if job.jobState == JobState.new.rawValue {
            words = [ControlText.waiting(job)]
        }
        if job.bytesCompared > 0 { words.append("\(ByteText.size(job.bytesCompared)) compared") }
        if job.bytesDiffering > 0 { words.append("\(ByteText.size(job.bytesDiffering)) differ") }
        if job.bytesSent > 0 { words.append("\(ByteText.size(job.bytesSent)) sent") }
        if let rate = job.bytesComparedPerSecond.value {
            words.append(ByteText.rate(bytesPerSecond: Double(rate)))
        }
        if let seconds = job.etaSeconds.value {
            words.append("ETA \(DurationText.clock(seconds: Double(seconds)))")
        }
        return words
    }
}
