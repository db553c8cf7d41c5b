internal import CSystem
internal import Glibc
internal import Storage

/// A program that carries the stream with its standard input and output: ssh, mostly.
///
/// Its standard error is this process's. It belongs to the same process group, so that ssh can ask
/// for passwords on the terminal; therefore Ctrl-C reaches it as well, and a stop that this process
/// would do in order may find the stream broken off. Signals that this process ignores, SIGPIPE and
/// SIGCHLD apart, it ignores too; none is blocked.
public final class ProgramConnection: Connection {
    public let peerName: String
    /// The program's name, for messages.
    private let command: String
    private let leadsGroup: Bool
    private let descriptors: StreamDescriptors
    private let sendTimeout: Lock<Double>
    private let child: Lock<Child>

    private struct Child {
        let process: Int32
        /// Once it is set, the process's number may be another one's.
        var status: Int32?
    }

    /// How long the program gets to end by itself, and then after SIGTERM.
    private static let patienceSeconds = 1.0
    /// How long an ended stream waits for the program's status.
    private static let statusPatienceSeconds = 2.0

    /// Starts a program with its arguments, which no shell takes apart. It is looked up in PATH
    /// unless its name holds a slash.
    ///
    /// - Parameters:
    ///   - command: The program and its arguments.
    ///   - peerName: What to call the other side in a message.
    ///   - leadsGroup: Whether it gets a process group of its own, all of which is ended with it; it cannot
    ///     ask anything on the terminal then.
    ///   - sendTimeoutSeconds: How long it may take nothing of what is sent.
    /// - Throws: ``TransportError/programMissing(command:errno:)``, or a failure of the system.
    public init(
        command: [String], peerName: String, leadsGroup: Bool = false,
        sendTimeoutSeconds: Double = defaultSendTimeoutSeconds
    ) throws(TransportError) {
        precondition(!command.isEmpty, "no program")
        let name = command[0]
        var (input, output): ([2 of Int32], [2 of Int32]) = ([-1, -1], [-1, -1])
        defer {
            if input[0] >= 0 { _ = Glibc.close(input[0]) }
            if output[1] >= 0 { _ = Glibc.close(output[1]) }
        }
        try Self.makePipe(&input, for: name)
        do throws(TransportError) {
            try Self.makePipe(&output, for: name)
        } catch {
            _ = Glibc.close(input[1])
            throw error
        }
        // From here on this owns the ends that stay.
        descriptors = StreamDescriptors(
            reading: output[0], writing: input[1], peerName: peerName)
        self.peerName = peerName
        self.command = name
        self.leadsGroup = leadsGroup
        sendTimeout = Lock(sendTimeoutSeconds)
        let process = try Self.start(
            command, input: input[0], output: output[1], leadsGroup: leadsGroup)
        child = Lock(Child(process: process))
    }

    deinit {
        close()
    }

    private static func makePipe(
        _ ends: inout [2 of Int32], for command: String
    ) throws(TransportError) {
        var (reading, writing): (Int32, Int32) = (-1, -1)
        // Safe: the call fills in two numbers.
        let status = unsafe csystem_pipe(&reading, &writing)
        guard status == 0 else {
            throw .system(operation: "make a pipe for", peer: command, errno: status)
        }
        ends = [reading, writing]
    }

    private static func start(
        _ command: [String], input: Int32, output: Int32, leadsGroup: Bool
    ) throws(TransportError) -> Int32 {
        // Safe, to the end: each argument is a copy that ends with a zero, and the list ends with
        // a null; both live until the call returns, which keeps neither.
        var arguments = unsafe command.map { unsafe strdup($0) }
        defer { unsafe arguments.forEach { unsafe free($0) } }
        guard unsafe arguments.allSatisfy({ unsafe $0 != nil }) else { throw .outOfMemory }
        unsafe arguments.append(nil)
        var process: Int32 = 0
        let status = unsafe csystem_spawn(
            arguments, input, output, leadsGroup ? 1 : 0, &process)
        guard status == 0 else { throw .programMissing(command: command[0], errno: status) }
        return process
    }

    /// How long the other side may take nothing of what is sent.
    public var sendTimeoutSeconds: Double {
        get { sendTimeout.withLock { $0 } }
        set { sendTimeout.withLock { $0 = newValue } }
    }

    public func send(_ bytes: RawSpan) throws(TransportError) {
        do throws(TransportError) {
            try descriptors.send(bytes, timeoutSeconds: sendTimeoutSeconds)
        } catch {
            guard case .ended = error else { throw error }
            try requireSuccess()
            throw error
        }
    }

    /// - Throws: ``TransportError/programFailed(command:status:)`` at the end of the stream where
    ///   the program ended with another status than 0: 255 from ssh itself, 127 where the host does
    ///   not know the command.
    public func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        let count = try descriptors.receive(into: &buffer, timeoutSeconds: timeoutSeconds)
        if count == 0 { try requireSuccess() }
        return count
    }

    /// Ends what the program reads; what it writes can still be received.
    public func endSending() {
        descriptors.endWriting()
    }

    /// Waits for the program as well: what it has not passed on yet is lost when it is ended.
    public func finish(timeoutSeconds: Double) {
        descriptors.finish(timeoutSeconds: timeoutSeconds, mode: .ended)
        end()
    }

    /// Ends the streams, which ends most programs; then sends SIGTERM, then SIGKILL.
    public func close() {
        descriptors.close()
        end()
    }

    private func requireSuccess() throws(TransportError) {
        guard let status = status(withinSeconds: Self.statusPatienceSeconds), status != 0 else {
            return
        }
        guard !descriptors.isClosed else { throw .closed }
        throw .programFailed(command: command, status: status)
    }

    private func end() {
        if status(withinSeconds: Self.patienceSeconds) != nil { return }
        signal(SIGTERM)
        if status(withinSeconds: Self.patienceSeconds) != nil { return }
        signal(SIGKILL)
        _ = status(withinSeconds: .infinity)
    }

    private func signal(_ number: Int32) {
        child.withLock { child in
            guard child.status == nil else { return }
            _ = kill(leadsGroup ? -child.process : child.process, number)
        }
    }

    /// The program's status once it has ended, or nil where it still runs after so long.
    private func status(withinSeconds seconds: Double) -> Int32? {
        let deadline = MonotonicTime.now.advanced(bySeconds: seconds)
        var pauseMilliseconds: Int32 = 1
        while true {
            if let status = child.withLock({ Self.status(of: &$0) }) { return status }
            guard deadline > .now else { return nil }
            _ = poll(nil, 0, min(pauseMilliseconds, deadline.remainingMilliseconds))
            pauseMilliseconds = min(pauseMilliseconds * 2, 20)
        }
    }

    private static func status(of child: inout Child) -> Int32? {
        if let status = child.status { return status }
        var status: Int32 = 0
        // Safe: the call fills in a number.
        switch unsafe csystem_ended(child.process, &status) {
        case 0: return nil
        case 1: break
        // Somebody else has taken the status, or nobody is to have it: it is unknown.
        default: status = 0
        }
        child.status = status
        return status
    }
}
