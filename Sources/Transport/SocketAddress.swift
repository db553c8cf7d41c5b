internal import Dispatch
internal import Glibc
internal import Storage

/// An address of a TCP socket, of either family.
struct SocketAddress: Sendable {
    private var storage: sockaddr_storage
    private var byteCount: socklen_t

    /// The loopback and other literal addresses stand in brackets: "10.0.0.2:7443", "[::1]:7443".
    var text: String {
        let (host, port) = names
        return host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    var port: UInt16 { UInt16(names.port) ?? 0 }

    /// AF_INET or AF_INET6.
    var family: Int32 { Int32(storage.ss_family) }

    private var names: (host: String, port: String) {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let flags = NI_NUMERICHOST | NI_NUMERICSERV
        // Safe: the call reads the address and writes texts that end with a zero into the arrays.
        let status = unsafe withPointer { address, byteCount in
            unsafe getnameinfo(
                address, byteCount, &host, socklen_t(host.count), &port, socklen_t(port.count),
                flags)
        }
        guard status == 0 else { return ("unknown", "0") }
        var name = Self.text(host)
        // An IPv4 client of a socket for both families.
        if name.hasPrefix("::ffff:"), name.contains(".") { name.removeFirst(7) }
        return (name, Self.text(port))
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Lends the address in the form that the system's calls take.
    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        // Safe: the storage has room for an address of any family, and the layout's start is one.
        unsafe withUnsafePointer(to: storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, byteCount)
            }
        }
    }

    /// The address that a call fills in.
    init?(filledInBy call: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Bool) {
        storage = sockaddr_storage()
        byteCount = socklen_t(MemoryLayout<sockaddr_storage>.size)
        // Safe: the call writes at most the size that it is told.
        let isFilled = unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe call(address, &byteCount)
            }
        }
        guard isFilled else { return nil }
    }

    private init?(_ info: UnsafeMutablePointer<addrinfo>) {
        // Safe: the address has the size that stands beside it, which is compared with the room.
        let source = unsafe UnsafeRawBufferPointer(
            start: info.pointee.ai_addr, count: Int(info.pointee.ai_addrlen))
        guard source.count <= MemoryLayout<sockaddr_storage>.size else { return nil }
        storage = sockaddr_storage()
        byteCount = socklen_t(source.count)
        unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyMemory(from: source) }
    }
}

// MARK: - Names

extension SocketAddress {
    /// The addresses of a host, in the order in which they are to be tried.
    ///
    /// The system's search cannot be stopped. Where it takes too long it goes on in a thread of its
    /// own, and its result is dropped.
    static func addresses(
        ofHost host: String, port: UInt16, until deadline: MonotonicTime
    ) throws(TransportError) -> [SocketAddress] {
        let found = ConditionLock<Found?>(nil)
        DispatchQueue(label: "vhdresync.resolver").async {
            let result = search(host, port, flags: 0)
            found.withLock { $0 = result }
        }
        let result = found.withLock(when: { $0 != nil }, orAt: deadline.nanoseconds) { $0 }
        guard let result else {
            throw .unknownHost(host: host, reason: "no answer in time")
        }
        return try result.get(host)
    }

    /// The addresses to listen on, of which one will do; all of the machine's where the host is
    /// empty.
    static func addresses(
        toListenOn address: ListenAddress
    ) throws(TransportError) -> [SocketAddress] {
        guard address.host.isEmpty else {
            return try search(address.host, address.port, flags: Int32(AI_PASSIVE))
                .get(address.host)
        }
        // A socket for IPv6 serves IPv4 as well. A kernel may have no IPv6.
        return try search("::", address.port, flags: Int32(AI_PASSIVE)).get("::")
            + search("0.0.0.0", address.port, flags: Int32(AI_PASSIVE)).get("0.0.0.0")
    }

    private enum Found: Sendable {
        case addresses([SocketAddress])
        case failure(status: Int32, errno: Int32)

        func get(_ host: String) throws(TransportError) -> [SocketAddress] {
            switch self {
            case .addresses(let addresses) where !addresses.isEmpty:
                return addresses
            case .addresses:
                throw .unknownHost(host: host, reason: "it has no address")
            case .failure(EAI_SYSTEM, let errno):
                throw .unknownHost(host: host, reason: String(describingErrno: errno))
            case .failure(EAI_MEMORY, _):
                throw .outOfMemory
            case .failure(let status, _):
                // Safe: the call returns a static text that ends with a zero.
                let reason = unsafe String(cString: gai_strerror(status))
                throw .unknownHost(host: host, reason: reason)
            }
        }
    }

    private static func search(_ host: String, _ port: UInt16, flags: Int32) -> Found {
        // Safe: the texts end with a zero, and the list is freed once, after it was copied.
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else { return .failure(status: status, errno: errno) }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = unsafe list
        while let info = unsafe next {
            if let address = unsafe SocketAddress(info) { addresses.append(address) }
            unsafe next = info.pointee.ai_next
        }
        return .addresses(addresses)
    }

    /// Whether a host is an IPv4 or IPv6 address and no name.
    static func isLiteral(_ host: String) -> Bool {
        var room: [16 of UInt8] = .init(repeating: 0)
        var span = room.mutableSpan
        let name = host.prefix { $0 != "%" }
        // Safe: there is room for an address of either family.
        return unsafe span.withUnsafeMutableBufferPointer { room in
            unsafe inet_pton(AF_INET, host, room.baseAddress) == 1
                || inet_pton(AF_INET6, String(name), room.baseAddress) == 1
        }
    }
}
