internal import CSystem
internal import Glibc
internal import Storage

/// The descriptors of a stream, owned: a number is given back to the system only when no thread
/// uses it any more, since another file would get it.
///
/// Nothing here blocks but `poll(2)`, and that ends at once when another thread closes the stream.
///
/// A write to a pipe that nobody reads raises SIGPIPE, which by default ends the process. Sockets
/// are written to with `MSG_NOSIGNAL`; for pipes the signal is kept from the writing thread and
/// taken away again, so that the process may do with SIGPIPE what it wants.
final class StreamDescriptors: Sendable {
    enum Direction: Sendable {
        case reading, writing
    }

    /// Why a wait ended.
    enum Readiness {
        case ready, timedOut, closed
    }

    let peerName: String
    private let reading: Int32
    private let writing: Int32
    private let readsSocket: Bool
    private let writesSocket: Bool
    /// Readable once the stream is closed.
    private let wake: Int32
    private let use: Lock<Use>

    private struct Use {
        var readerCount = 0
        var writerCount = 0
        var isClosed = false
        var endsWriting = false
        var holdsReading = true
        var holdsWriting = true
        /// Flags to put back, since other processes may share the open file: a terminal, say.
        var readingFlags: Int32?
        var writingFlags: Int32?
    }

    /// Takes the descriptors over; both may be one.
    init(reading: Int32, writing: Int32, peerName: String) {
        self.peerName = peerName
        self.reading = reading
        self.writing = writing
        readsSocket = Self.isSocket(reading)
        writesSocket = writing == reading ? readsSocket : Self.isSocket(writing)
        wake = csystem_event()
        var use = Use()
        if !readsSocket { use.readingFlags = Self.makeNonBlocking(reading) }
        if !writesSocket, writing != reading { use.writingFlags = Self.makeNonBlocking(writing) }
        self.use = Lock(use)
    }

    deinit {
        use.withLock { use in
            use.isClosed = true
            release(&use)
        }
        if wake >= 0 { _ = Glibc.close(wake) }
    }

    private static func isSocket(_ descriptor: Int32) -> Bool {
        var status = stat()
        // Safe: the call fills in the structure.
        return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
    }

    /// The flags from before, where they were others.
    private static func makeNonBlocking(_ descriptor: Int32) -> Int32? {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, flags & O_NONBLOCK == 0 else { return nil }
        return fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 ? flags : nil
    }
}

// MARK: - Use and end

extension StreamDescriptors {
    /// Holds a descriptor open until ``leave(_:)``.
    func enter(_ direction: Direction) throws(TransportError) -> Int32 {
        guard wake >= 0 else { throw .system(operation: "poll", peer: peerName, errno: -wake) }
        return try use.withLock { use throws(TransportError) in
            guard !use.isClosed else { throw .closed }
            switch direction {
            case .reading:
                use.readerCount += 1
                return reading
            case .writing:
                guard !use.endsWriting else { throw .closed }
                use.writerCount += 1
                return writing
            }
        }
    }

    func leave(_ direction: Direction) {
        use.withLock { use in
            switch direction {
            case .reading: use.readerCount -= 1
            case .writing: use.writerCount -= 1
            }
            release(&use)
        }
    }

    var isClosed: Bool { use.withLock(\.isClosed) }

    /// Tells the other side that nothing more comes.
    func endWriting() {
        use.withLock { use in
            guard !use.endsWriting, use.holdsWriting else { return }
            use.endsWriting = true
            if writesSocket { _ = shutdown(writing, Int32(SHUT_WR)) }
            release(&use)
        }
    }

    /// Ends both directions and wakes who waits.
    func close() {
        use.withLock { use in
            guard !use.isClosed else { return }
            use.isClosed = true
            if readsSocket { _ = shutdown(reading, Int32(SHUT_RDWR)) }
            if writesSocket, writing != reading { _ = shutdown(writing, Int32(SHUT_RDWR)) }
            if wake >= 0 { csystem_raise_event(wake) }
            release(&use)
        }
    }

    /// Gives back what has ended and is not in use.
    private func release(_ use: inout Use) {
        let isShared = reading == writing
        let isRead = use.readerCount > 0 || isShared && use.writerCount > 0
        if use.holdsReading, use.isClosed, !isRead {
            use.holdsReading = false
            if isShared { use.holdsWriting = false }
            Self.giveBack(reading, flags: use.readingFlags)
        }
        let hasEnded = use.isClosed || use.endsWriting
        if !isShared, use.holdsWriting, hasEnded, use.writerCount == 0 {
            use.holdsWriting = false
            Self.giveBack(writing, flags: use.writingFlags)
        }
    }

    private static func giveBack(_ descriptor: Int32, flags: Int32?) {
        if let flags { _ = fcntl(descriptor, F_SETFL, flags) }
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
    }
}

// MARK: - Bytes

extension StreamDescriptors {
    /// Waits until a descriptor that was entered can be read or written, or has failed.
    func wait(
        for direction: Direction, on descriptor: Int32, until deadline: MonotonicTime?
    ) throws(TransportError) -> Readiness {
        while true {
            let events = Int16(direction == .reading ? POLLIN : POLLOUT)
            var requests: [2 of pollfd] = [
                pollfd(fd: descriptor, events: events, revents: 0),
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
            ]
            var span = requests.mutableSpan
            // Safe: two requests are passed, and two are said to be.
            let count = unsafe span.withUnsafeMutableBufferPointer { requests in
                unsafe poll(requests.baseAddress, 2, deadline?.remainingMilliseconds ?? -1)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(operation: "wait for", peer: peerName, errno: errno)
            }
            if requests[1].revents != 0 { return .closed }
            if count > 0 { return .ready }
            if let deadline, deadline <= .now { return .timedOut }
        }
    }

    /// Sends all bytes, and waits for the other side to take some for so long at most.
    func send(_ bytes: RawSpan, timeoutSeconds: Double) throws(TransportError) {
        let descriptor = try enter(.writing)
        defer { leave(.writing) }
        var done = 0
        var deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        while done < bytes.byteCount {
            let count = write(bytes.extracting(done..<bytes.byteCount), to: descriptor)
            if count > 0 {
                done += count
                deadline = .now.advanced(bySeconds: timeoutSeconds)
                continue
            }
            if count < 0, errno == EINTR { continue }
            guard count == 0 || errno == EAGAIN else {
                let error = errno
                throw isClosed ? .closed : .lost("send to", peerName, error)
            }
            switch try wait(for: .writing, on: descriptor, until: deadline) {
            case .ready: break
            case .timedOut: throw .timedOut(peer: peerName, seconds: timeoutSeconds)
            case .closed: throw .closed
            }
        }
    }

    private func write(_ bytes: RawSpan, to descriptor: Int32) -> Int {
        // Safe: the calls read the bytes of the span.
        unsafe bytes.withUnsafeBytes { bytes in
            if writesSocket {
                let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
                return unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
            }
            let held = csystem_hold_broken_pipes()
            defer { csystem_release_broken_pipes(held) }
            return unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        }
    }

    /// Waits for bytes; 0 at an orderly end.
    func receive(
        into buffer: inout MutableRawSpan, timeoutSeconds: Double?
    ) throws(TransportError) -> Int {
        precondition(buffer.byteCount > 0, "no room for a byte: 0 would look like the end")
        let descriptor = try enter(.reading)
        defer { leave(.reading) }
        let deadline = timeoutSeconds.map { MonotonicTime.now.advanced(bySeconds: $0) }
        while true {
            let count = read(into: &buffer, from: descriptor)
            if count > 0 { return count }
            let error = count < 0 ? errno : 0
            if error == EINTR { continue }
            guard error == EAGAIN else {
                // The end of this side looks to the call like the end of the other.
                guard !isClosed else { throw .closed }
                guard error == 0 else { throw .lost("receive from", peerName, error) }
                return 0
            }
            switch try wait(for: .reading, on: descriptor, until: deadline) {
            case .ready: break
            case .timedOut: throw .timedOut(peer: peerName, seconds: timeoutSeconds ?? 0)
            case .closed: throw .closed
            }
        }
    }

    private func read(into buffer: inout MutableRawSpan, from descriptor: Int32) -> Int {
        // Safe: the calls write at most the size of the span.
        unsafe buffer.withUnsafeMutableBytes { bytes in
            if readsSocket {
                let flags = Int32(MSG_DONTWAIT)
                return unsafe recv(descriptor, bytes.baseAddress, bytes.count, flags)
            }
            return unsafe Glibc.read(descriptor, bytes.baseAddress, bytes.count)
        }
    }
}

// MARK: - Orderly end

extension StreamDescriptors {
    /// Whether ``finish(timeoutSeconds:waitsForEnd:)`` waits for the other side to end as well.
    enum FinishMode {
        /// Until the other side's system has everything.
        case delivered
        /// Until the other side has ended: what carries the stream may still hold some of it.
        case ended
    }

    /// Ends the sending, throws away what comes, and closes once nothing can be lost any more.
    ///
    /// A socket that is closed while it holds bytes that nobody read is reset, and then the other
    /// side may not get what was sent last. So these bytes are read.
    func finish(timeoutSeconds: Double, mode: FinishMode) {
        let deadline = MonotonicTime.now.advanced(bySeconds: timeoutSeconds)
        endWriting()
        drain(until: deadline, mode: mode)
        close()
    }

    private func drain(until deadline: MonotonicTime, mode: FinishMode) {
        guard let descriptor = try? enter(.reading) else { return }
        defer { leave(.reading) }
        var waste = [UInt8](repeating: 0, count: 65_536)
        while true {
            var count = 0
            waste.withMutableRawSpan { count = read(into: &$0, from: descriptor) }
            // A peer that never ceases to send must not hold this side.
            if count > 0, deadline > .now { continue }
            guard count < 0, errno == EAGAIN || errno == EINTR, deadline > .now else { return }
            if mode == .delivered, csystem_unconfirmed_byte_count(descriptor) == 0 { return }
            // Nothing tells when the other side's system has confirmed: look again now and then.
            let next = mode == .ended ? deadline : min(deadline, .now.advanced(bySeconds: 0.01))
            let readiness = try? wait(for: .reading, on: descriptor, until: next)
            guard let readiness, readiness != .closed else { return }
        }
    }
}
