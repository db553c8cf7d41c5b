extension BackgroundJob {
    /// How far a job is at one instant.
    public struct Progress: Sendable {
        public var state: JobState
        public var sample: ProgressSample
        /// Over the last seconds.
        public var rates: RateEstimator

        init(
            _ sample: ProgressSample, _ rates: RateEstimator, _ properties: ConcreteJob.Properties
        ) {
            state = properties.jobState
            self.sample = sample
            self.rates = rates
            // Of the job, which has completed where it is 100.
            self.sample.percentComplete = properties.percentComplete
            if state.isFinal { self.sample.isStopping = false }
        }
    }
}
