internal import Dispatch

/// Runs two bodies at the same time, the second in a thread of its own, and returns when both have
/// ended. Either may wait for the other.
func concurrently(_ first: () -> Void, _ second: @Sendable () -> Void) {
    withoutActuallyEscaping(second) { second in
        let group = DispatchGroup()
        DispatchQueue(label: "vhdresync").async(group: group, execute: second)
        first()
        group.wait()
    }
}
