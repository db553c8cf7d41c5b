import Glibc
import Replication
import Resync
import Storage
import Testing
import Transport

@testable import VHDResyncCommand

/// What is said of a run over two hosts.
@Suite struct RemoteSentenceTests {
    private func text(
        _ error: ResyncError, _ role: Role = .replica, received: UInt64 = 100, retries: Int = 0,
        isDryRun: Bool = false
    ) -> String {
        var disk = DiskReport(primary: "p.vhdx", replica: "h:r.vhdx", blockSize: 65536)
        disk.counts.bytesReceived = received
        var options = ResyncOptions(workerCount: 1)
        options.isDryRun = isDryRun
        let sentence = ErrorSentence(
            error: error, disk: disk, state: role == .primary ? ReplicaState() : nil, verb: .resync,
            options: options, remote: RemoteSide(host: "h", role: role, retryCount: retries))
        return sentence.text
    }

    private func failure(_ condition: ReplicaCondition, _ text: String) -> ResyncError {
        .peer(name: "h", failure: PeerFailure(code: 32768, condition: condition, text: text))
    }

    private let broken = ResyncError.connection(.ended(peer: "h"))
    private let kept =
        "h finishes what it has begun to write, and keeps what it has received: the same command "
        + "goes on from there"

    @Test func brokenConnections() {
        let broke = "the connection with h broke off"
        let retry = "'--retry N' calls again, up to N times"
        #expect(text(broken) == "\(broke); \(retry); \(kept)")
        #expect(text(broken, retries: 2) == "\(broke); \(kept)")
        // Where nobody has answered, nothing is kept.
        #expect(text(broken, received: 0) == "\(broke); \(retry)")
        #expect(text(broken, isDryRun: true) == "\(broke); \(retry)")
        #expect(text(broken, .primary) == "\(broke); \(retry)")
        #expect(text(.stopped(.cancelled)) == "stopped on request; \(kept)")
        #expect(
            text(.connection(.refused(peer: "h", reason: "why")), received: 0)
                == "no trust between this side and h: why")
        #expect(
            text(.connection(.programMissing(command: "s", errno: ENOENT)), received: 0)
                == "cannot start s: No such file or directory; '--rsh' says which program reaches "
                + "other hosts")
        #expect(
            text(.unknownOutcome(peer: "h"))
                == "the connection with h broke while it was finishing the replica; run the same "
                + "command again: it finds out, and finishes what is not finished; the replica is "
                + "as it was, or reads as the primary, or refuses to open until a run has finished "
                + "it")
    }

    @Test func whatTheOtherSideSays() {
        #expect(text(failure(.untouched, "no\u{1B}[2Jdisk")) == "h: no\\u{1b}[2Jdisk")
        #expect(
            text(failure(.halfWritten, "cannot write r"))
                == "h: cannot write r; the replica on h is half-written until a run has finished it"
        )
        #expect(
            text(failure(.halfWritten, "x; the replica is half-written"))
                == "h: x; the replica is half-written")
        #expect(
            text(failure(.written, "x")) == "h: x; the replica on h was written before that")
        #expect(text(failure(.halfWritten, "cannot read p"), .primary) == "h: cannot read p")
        #expect(
            text(.protocolViolation("no greeting"), received: 0)
                == "h: the other side does not keep to the protocol: no greeting; 'vhdresync "
                + "--version' tells on both hosts whether they have the same")
        #expect(
            text(.unsupportedProtocol(oldest: 2, newest: 3), received: 0)
                .hasPrefix("h: the other side speaks versions 2 to 3 of the protocol"))
    }

    @Test func whatAnotherHostIsTold() {
        var state = ReplicaState()
        state.journal = .unfinished(path: "r.resync", isContinuable: true)
        var sentence = ErrorSentence(
            error: .file(.system(.write, path: "/j", at: 0, errno: ENOSPC)),
            disk: DiskReport(primary: "", replica: "r", blockSize: 65536), state: state,
            verb: .resync, options: ResyncOptions(workerCount: 1), isServed: true)
        // Ways that only the agent's own command line has.
        #expect(!sentence.text.contains("--in-place"))
        #expect(!sentence.text.contains("--journal-dir"))
        #expect(sentence.text.contains("; free space there; the replica is as it was, and what "))
        sentence.error = .differentSizes(primary: 2, replica: 1)
        #expect(sentence.text.contains("'--grow' makes the replica as large"))
    }
}
