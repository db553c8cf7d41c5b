internal import Resync

/// The disk that is being done, and the request to stop, which is for it and for those that follow.
struct CurrentDisk: Sendable {
    /// Among the disks, from 0 on.
    private(set) var index = 0
    private(set) var monitor = ResyncMonitor()
    private(set) var traffic: TrafficWatch?
    private(set) var stopReason: StopReason?

    /// Another disk is next.
    ///
    /// - Returns: for who does it. It has been asked to stop where somebody has asked for that before.
    mutating func begin(_ index: Int, _ traffic: TrafficWatch?) -> ResyncMonitor {
        let monitor = ResyncMonitor()
        (self.index, self.monitor, self.traffic) = (index, monitor, traffic)
        // Nobody waits for it yet.
        if let stopReason { monitor.requestStop(stopReason) }
        return monitor
    }

    /// The first reason stays.
    ///
    /// - Returns: what is to be asked to stop, without the lock under which this value is.
    mutating func noteStop(_ reason: StopReason) -> ResyncMonitor {
        stopReason = stopReason ?? reason
        return monitor
    }
}
