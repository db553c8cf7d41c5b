import Resync
import Storage
import Testing

@testable import Replication

/// How far a job with several disks is, and what crosses its connections.
@Suite struct JobProgressTests {
    @Test func progressCoversAllDisks() {
        let progress = JobProgress(diskCount: 4)
        #expect(progress.sample(elapsed: .zero).percentComplete == 0)
        _ = progress.begin(2, nil)
        let sample = progress.sample(elapsed: .zero)
        #expect(sample.percentComplete == 50)
        #expect(sample.activity == "3/4 opening")
        progress.requestStop(.timeout)
        progress.requestStop(.cancelled)
        // A disk that has not begun does not begin.
        #expect(progress.begin(3, nil).stopReason == .timeout)
    }

    @Test func trafficIsSeenFromThePrimary() {
        for (role, sent, received) in [
            (Role.replica, 30, 4), (.primary, 4, 30),
        ] as [(Role, UInt64, UInt64)] {
            let crossed = Crossed()
            let watch = TrafficWatch(
                RemoteSide(host: "h", role: role, traffic: { (crossed.sent, crossed.received) }))
            crossed.add(30, 4)
            var counts = ResyncCounts()
            watch.note(in: &counts)
            #expect((counts.bytesSent, counts.bytesReceived) == (sent, received))
        }
    }
}

/// What has crossed a connection.
private final class Crossed: Sendable {
    private let bytes = Lock<(sent: UInt64, received: UInt64)>((1000, 2000))

    var sent: UInt64 { bytes.withLock { $0.sent } }
    var received: UInt64 { bytes.withLock { $0.received } }

    func add(_ sent: UInt64, _ received: UInt64) {
        bytes.withLock { bytes in
            bytes.sent += sent
            bytes.received += received
        }
    }
}
