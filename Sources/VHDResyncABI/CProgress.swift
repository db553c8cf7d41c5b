internal import CVHDResync
internal import Replication
internal import Resync

extension vhdresync_progress {
    init(_ progress: BackgroundJob.Progress) {
        let (sample, rates) = (progress.sample, progress.rates)
        let counts = sample.counts
        self.init()
        struct_size = UInt32(MemoryLayout<Self>.size)
        job_state = UInt32(progress.state.rawValue)
        phase = UInt32(sample.phase.rawValue)
        percent_complete = UInt32(sample.percentComplete)
        is_stopping = sample.isStopping ? 1 : 0
        block_size = UInt32(clamping: sample.blockSize)
        elapsed_ms = Self.rounded(sample.elapsedSeconds * 1000)
        virtual_size = counts.virtualSize
        bytes_done = counts.bytesDone
        bytes_to_do = counts.bytesToDo
        blocks_total = counts.blocksTotal
        blocks_skipped = counts.blocksSkipped
        blocks_compared = counts.blocksCompared
        blocks_differing = counts.blocksDiffering
        bytes_compared = counts.bytesCompared
        // A short last block counts as a whole. Both counts come from a disk of 64 TiB at most.
        bytes_differing = counts.blocksDiffering &* UInt64(clamping: sample.blockSize)
        bytes_read = counts.bytesRead
        bytes_written = counts.bytesWritten
        bytes_sent = counts.bytesSent
        bytes_received = counts.bytesReceived
        bytes_done_per_second = Self.rounded(rates.bytesDonePerSecond)
        bytes_read_per_second = Self.rounded(rates.bytesReadPerSecond)
        bytes_written_per_second = Self.rounded(rates.bytesWrittenPerSecond)
        bytes_sent_per_second = Self.rounded(rates.bytesSentPerSecond)
        eta_seconds = Self.rounded(rates.secondsLeft)
    }

    private static func rounded(_ value: Double?) -> UInt64 {
        value.flatMap { UInt64(exactly: $0.rounded(.up)) } ?? VHDRESYNC_UNKNOWN
    }
}

extension vhdresync_progress {
    /// As far as a job of a service says it.
    init(_ job: ConcreteJob.Properties) {
        self.init()
        struct_size = UInt32(MemoryLayout<Self>.size)
        job_state = UInt32(job.jobState.rawValue)
        percent_complete = UInt32(job.percentComplete)
        is_stopping = job.jobState == .shuttingDown ? 1 : 0
        elapsed_ms = Self.rounded(job.elapsedTime / .milliseconds(1))
        bytes_compared = job.figures.bytesCompared
        bytes_differing = job.figures.bytesDiffering
        bytes_sent = job.figures.bytesSent
        bytes_done_per_second = Self.rounded(job.bytesComparedPerSecond)
        bytes_read_per_second = VHDRESYNC_UNKNOWN
        bytes_written_per_second = VHDRESYNC_UNKNOWN
        bytes_sent_per_second = Self.rounded(job.bytesSentPerSecond)
        eta_seconds = Self.rounded(job.timeLeft.map { $0 / .seconds(1) })
    }
}
