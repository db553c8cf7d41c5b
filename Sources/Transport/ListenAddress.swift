/// Where to wait for connections: a host of this machine, and a port.
public struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    /// A name or an address, without brackets; empty for all addresses of the machine.
    public var host: String
    /// The port; 0 for one that the system chooses.
    public var port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads "10.0.0.1:7443", "[::]:7443", "name:7443", or ":7443" for all addresses.
    ///
    /// - Throws: ``TransportError/invalidAddress(_:)``.
    public init(parsing text: String) throws(TransportError) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else {
            throw .invalidAddress("\(text) has no port, as in \(text):7443")
        }
        var host = bytes[..<colon]
        guard let port = HostText.port(bytes[(colon + 1)...]) else {
            throw .invalidAddress("\(text) does not end with a port from 0 to 65535")
        }
        if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
            host = host.dropFirst().dropLast()
            guard HostText.isIPv6(host) else {
                throw .invalidAddress("\(text) has no IPv6 address in its brackets")
            }
        } else if host.contains(UInt8(ascii: ":")) {
            throw .invalidAddress("\(text) has an IPv6 address that is not in brackets")
        } else if !host.isEmpty, !HostText.isName(host) {
            throw .invalidAddress("\(text) does not start with the name of a host")
        }
        self.host = String(decoding: host, as: UTF8.self)
        self.port = port
    }

    public var description: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

/// What names of hosts are made of.
enum HostText {
    /// Letters, digits, hyphens, dots and underscores, and no hyphen at the start, since programs
    /// take that for an option.
    static func isName(_ bytes: some Collection<UInt8>) -> Bool {
        !bytes.isEmpty && bytes.first != UInt8(ascii: "-") && bytes.count <= 255
            && bytes.allSatisfy { isLetterOrDigit($0) || "-._".utf8.contains($0) }
    }

    /// The characters of an IPv6 address, with a zone after a percent sign or without one.
    static func isIPv6(_ bytes: some Collection<UInt8>) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self)
        return bytes.contains(UInt8(ascii: ":")) && bytes.count <= 64
            && bytes.allSatisfy { isLetterOrDigit($0) || ":.%-_".utf8.contains($0) }
            && SocketAddress.isLiteral(text)
    }

    /// A decimal number of 1 to 5 digits that fits.
    static func port(_ bytes: some Collection<UInt8>) -> UInt16? {
        let isDecimal = bytes.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard (1...5).contains(bytes.count), isDecimal else { return nil }
        return UInt16(String(decoding: bytes, as: UTF8.self))
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            false
        }
    }
}
