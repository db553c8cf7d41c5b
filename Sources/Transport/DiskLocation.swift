/// Where a disk is: on this machine, or on another one, reached over ssh or over TLS.
public enum DiskLocation: Equatable, Sendable {
    case local(String)
    case ssh(user: String?, host: String, path: String)
    /// A path without a slash in front starts from the folder that the other side serves.
    case tls(host: String, port: UInt16, path: String)

    /// The port of the other side where none is given.
    public static let defaultPort: UInt16 = 7443
}

extension DiskLocation {
    /// Reads a place as rsync does: a colon in front of the first slash makes it one on another
    /// host, `[user@]host:path`; with `vhdresync://` in front it is `host[:port]/path`, where `%`
    /// and two digits stand for a byte. All else is a path here; `./a:b` is one too.
    ///
    /// - Throws: ``TransportError/invalidAddress(_:)``.
    public init(parsing text: String) throws(TransportError) {
        self = try Self.parse(text, needsPath: true)
    }

    /// Reads a place in which disks are in the same way. One on another host may be without a path:
    /// `host:` and `vhdresync://host`, with an empty one then.
    ///
    /// - Throws: ``TransportError/invalidAddress(_:)``.
    public init(parsingFolder text: String) throws(TransportError) {
        self = try Self.parse(text, needsPath: false)
    }

    private static func parse(
        _ text: String, needsPath: Bool
    ) throws(TransportError) -> DiskLocation {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty else { throw .invalidAddress("the path of a disk is empty") }
        if String(decoding: bytes.prefix(Self.scheme.count), as: UTF8.self).lowercased()
            == String(decoding: Self.scheme, as: UTF8.self)
        {
            let rest = bytes.dropFirst(Self.scheme.count)
            return try LocationText(text: text, needsPath: needsPath, rest: rest).tls()
        }
        if bytes.prefix(while: { $0 != .slash }).contains(.colon) {
            return try LocationText(text: text, needsPath: needsPath, rest: bytes[...]).ssh()
        }
        guard !bytes.contains(0) else {
            throw .invalidAddress("the path \(text) holds a null character")
        }
        return .local(text)
    }

    private static let scheme = Array("vhdresync://".utf8)
}

extension DiskLocation: CustomStringConvertible {
    /// A text that reads as this place.
    public var description: String {
        switch self {
        case .local(let path):
            path
        case .ssh(let user, let host, let path):
            (user.map { $0 + "@" } ?? "") + Self.bracketed(host) + ":" + path
        case .tls(let host, let port, let path):
            "vhdresync://" + Self.bracketed(host) + (port == Self.defaultPort ? "" : ":\(port)")
                + "/" + path.replacing("%", with: "%25")
        }
    }

    private static func bracketed(_ host: String) -> String {
        host.utf8.contains(.colon) ? "[\(host)]" : host
    }
}

/// A place on another host, as it is taken apart.
private struct LocationText {
    let text: String
    let needsPath: Bool
    let rest: ArraySlice<UInt8>

    func ssh() throws(TransportError) -> DiskLocation {
        var rest = rest
        var user: ArraySlice<UInt8>?
        let head = rest.prefix { $0 != .slash }
        // An address in brackets holds colons itself, and may have a user in front.
        let beforeBracket = head.prefix { $0 != .openBracket && $0 != .colon }
        let hasBracket =
            head.dropFirst(beforeBracket.count).first == .openBracket
            && (beforeBracket.isEmpty || beforeBracket.last == .at)
        let userEnd = hasBracket ? beforeBracket : head.prefix { $0 != .colon }
        if let at = userEnd.lastIndex(of: .at) {
            user = rest[..<at]
            rest = rest[(at + 1)...]
        }
        let host: ArraySlice<UInt8>
        if hasBracket {
            host = try takeBrackets(&rest)
        } else {
            host = rest.prefix { $0 != .colon }
            rest = rest.dropFirst(host.count)
        }
        guard rest.first == .colon else {
            throw invalid("has no colon between its host and its path")
        }
        let path = rest.dropFirst()
        if path.first == .colon {
            throw invalid("has two colons: there are no modules here, as rsync has them")
        }
        if let user, user.isEmpty || user.first == .hyphen {
            throw invalid("has a user that is empty or starts with a hyphen")
        }
        try check(host: host)
        try check(path: path)
        if let user, hasControls(user) { throw invalid("holds a control character") }
        return .ssh(
            user: user.map { String(decoding: $0, as: UTF8.self) },
            host: String(decoding: host, as: UTF8.self), path: String(decoding: path, as: UTF8.self)
        )
    }

    func tls() throws(TransportError) -> DiskLocation {
        var rest = rest
        let host: ArraySlice<UInt8>
        if rest.first == .openBracket {
            host = try takeBrackets(&rest)
        } else {
            host = rest.prefix { $0 != .slash && $0 != .colon }
            rest = rest.dropFirst(host.count)
            try check(host: host)
            guard HostText.isName(host) else {
                throw invalid("has a host that is no name: letters, digits, hyphens and dots")
            }
        }
        var port = DiskLocation.defaultPort
        if rest.first == .colon {
            let digits = rest.dropFirst().prefix { $0 != .slash }
            guard let number = HostText.port(digits), number > 0 else {
                throw invalid("has a port that is no number from 1 to 65535")
            }
            port = number
            rest = rest.dropFirst(1 + digits.count)
        }
        guard rest.isEmpty || rest.first == .slash else {
            throw invalid("goes on after its host with neither a port nor a path")
        }
        let path = try decodePercents(rest.dropFirst())
        try check(path: path)
        guard let path = String(validating: path, as: UTF8.self) else {
            throw invalid("has a path that is not UTF-8")
        }
        return .tls(host: String(decoding: host, as: UTF8.self), port: port, path: path)
    }

    /// The address in brackets at the start, without them.
    private func takeBrackets(
        _ rest: inout ArraySlice<UInt8>
    ) throws(TransportError) -> ArraySlice<UInt8> {
        let host = rest.dropFirst().prefix { $0 != .closeBracket }
        guard rest.dropFirst(1 + host.count).first == .closeBracket, HostText.isIPv6(host) else {
            throw invalid("has no IPv6 address in its brackets")
        }
        rest = rest.dropFirst(host.count + 2)
        return host
    }

    private func decodePercents(_ bytes: ArraySlice<UInt8>) throws(TransportError) -> [UInt8] {
        var decoded: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            let digits = rest.prefix(2).map { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count == 2, let high = digits[0], let low = digits[1] else {
                throw invalid("has a percent sign without two hexadecimal digits")
            }
            decoded.append(UInt8(high << 4 | low))
            rest = rest.dropFirst(2)
        }
        return decoded
    }

    /// A program that is handed a host which starts like an option takes it for one.
    private func check(host: ArraySlice<UInt8>) throws(TransportError) {
        if host.isEmpty { throw invalid("has no host") }
        if host.first == .hyphen { throw invalid("has a host that starts with a hyphen") }
        if hasControls(host) { throw invalid("holds a control character") }
    }

    private func check(path: some Collection<UInt8>) throws(TransportError) {
        if path.isEmpty && needsPath { throw invalid("has no path") }
        if hasControls(path) { throw invalid("holds a control character") }
    }

    private func hasControls(_ bytes: some Sequence<UInt8>) -> Bool {
        bytes.contains { $0 < 0x20 || $0 == 0x7F }
    }

    private func invalid(_ reason: String) -> TransportError {
        .invalidAddress("\(text) \(reason)")
    }
}

extension UInt8 {
    fileprivate static let slash = UInt8(ascii: "/")
    fileprivate static let colon = UInt8(ascii: ":")
    fileprivate static let at = UInt8(ascii: "@")
    fileprivate static let hyphen = UInt8(ascii: "-")
    fileprivate static let openBracket = UInt8(ascii: "[")
    fileprivate static let closeBracket = UInt8(ascii: "]")
}
