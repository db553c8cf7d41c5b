import Testing
import Transport

struct LocationTests {
    @Test("A place is read by rsync's rules, and written as it was")
    func places() throws {
        let cases: [(String, DiskLocation)] = [
            ("a.vhdx", .local("a.vhdx")), ("/a:b", .local("/a:b")), ("./a:b", .local("./a:b")),
            ("-a", .local("-a")), ("a/b:c", .local("a/b:c")), ("[x]", .local("[x]")),
            ("vhdresync:/", .ssh(user: nil, host: "vhdresync", path: "/")),
            ("host:a", .ssh(user: nil, host: "host", path: "a")),
            ("host:/a:b", .ssh(user: nil, host: "host", path: "/a:b")),
            ("host:~/a b", .ssh(user: nil, host: "host", path: "~/a b")),
            ("u@host:/ü", .ssh(user: "u", host: "host", path: "/ü")),
            ("u@d@host:p", .ssh(user: "u@d", host: "host", path: "p")),
            ("host:p@[q", .ssh(user: nil, host: "host", path: "p@[q")),
            ("[::1]:/p", .ssh(user: nil, host: "::1", path: "/p")),
            ("user@[::1]:p", .ssh(user: "user", host: "::1", path: "p")),
            ("[fe80::1%eth0]:p", .ssh(user: nil, host: "fe80::1%eth0", path: "p")),
            ("vhdresync://h/p", .tls(host: "h", port: 7443, path: "p")),
            ("vhdresync://h:1/p/q", .tls(host: "h", port: 1, path: "p/q")),
            ("vhdresync://h//p", .tls(host: "h", port: 7443, path: "/p")),
            ("vhdresync://[::1]:8000/p", .tls(host: "::1", port: 8000, path: "p")),
            ("vhdresync://10.0.0.1/a:b@c", .tls(host: "10.0.0.1", port: 7443, path: "a:b@c")),
            ("vhdresync://h/100%25", .tls(host: "h", port: 7443, path: "100%")),
        ]
        for (text, location) in cases {
            #expect(try DiskLocation(parsing: text) == location, "\(text)")
            #expect("\(location)" == text)
        }
    }

    @Test("Other ways to write a place over TLS")
    func otherWays() throws {
        let place = DiskLocation.tls(host: "h", port: 7443, path: "a ü")
        for text in ["VHDresync://h/a ü", "vhdresync://h:7443/a%20%C3%bc"] {
            #expect(try DiskLocation(parsing: text) == place, "\(text)")
        }
    }

    @Test("A place for disks needs no path on another host")
    func folders() throws {
        let cases: [(String, DiskLocation)] = [
            ("/srv", .local("/srv")), ("srv", .local("srv")),
            ("u@host:", .ssh(user: "u", host: "host", path: "")),
            ("[::1]:", .ssh(user: nil, host: "::1", path: "")),
            ("host:/srv/", .ssh(user: nil, host: "host", path: "/srv/")),
            ("vhdresync://h", .tls(host: "h", port: 7443, path: "")),
            ("vhdresync://h:1/", .tls(host: "h", port: 1, path: "")),
            ("vhdresync://h/a%20b", .tls(host: "h", port: 7443, path: "a b")),
        ]
        for (text, location) in cases {
            #expect(try DiskLocation(parsingFolder: text) == location, "\(text)")
        }
        for text in [
            "", ":", "@host:", "-h:", "vhdresync://", "vhdresync://:1", "h::", "h:\u{1}", "a\0",
        ] {
            #expect(throws: TransportError.self, "\(text.debugDescription)") {
                try DiskLocation(parsingFolder: text)
            }
        }
    }

    @Test("What is no place is said to be none")
    func noPlaces() {
        let texts = [
            "", ":a", "@host:a", "host:", "-oProxyCommand=x:a", "u@-x:a", "-u@host:a", "u@:a",
            "host::module", "[::1]", "[::1:/p", "[::1]x:/p", "[name]:p", "[]:p", "u@[::1]:",
            "ho\nst:a", "host:a\u{1B}[2J", "u\t@host:a", "host:a\u{7F}",
            "vhdresync://", "vhdresync:///p", "vhdresync://h", "vhdresync://h/", "vhdresync://-h/p",
            "vhdresync://h:/p", "vhdresync://h:0/p", "vhdresync://h:65536/p", "vhdresync://h:+1/p",
            "vhdresync://h:999999999999999999999/p", "vhdresync://u@h/p", "vhdresync://h o/p",
            "vhdresync://h/%", "vhdresync://h/%4", "vhdresync://h/%zz", "vhdresync://h/%00",
            "vhdresync://h/%0a", "vhdresync://h/%ff", "vhdresync://[::1/p", "vhdresync://[::1]x/p",
            "vhdresync://::1/p", "a\0b", "vhdresync://[h]/p",
        ]
        for text in texts where text != "[::1]" {
            let error = #expect(throws: TransportError.self, "\(text.debugDescription)") {
                try DiskLocation(parsing: text)
            }
            guard case .invalidAddress(let reason) = error else { continue }
            #expect(!reason.isEmpty && !"\(TransportError.invalidAddress(reason))".contains("\n"))
        }
    }

    @Test("Random texts never trap, and what is read is read again the same")
    func random() throws {
        let alphabet = Array("ab:/@[]%-.1\u{301}\n\0 é")
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            let prefix = Bool.random(using: &generator) ? "vhdresync://" : ""
            let text =
                prefix
                + String(
                    (0..<Int.random(in: 0..<12)).map { _ in
                        alphabet.randomElement(using: &generator) ?? "a"
                    })
            guard let location = try? DiskLocation(parsing: text) else { continue }
            #expect(
                try DiskLocation(parsing: "\(location)") == location, "\(text.debugDescription)")
            _ = try? ListenAddress(parsing: text)
        }
    }

    @Test("An address to listen on")
    func listenAddresses() throws {
        let cases: [(String, String, UInt16)] = [
            ("0.0.0.0:7443", "0.0.0.0", 7443), ("[::]:7443", "::", 7443), ("host:1", "host", 1),
            (":7443", "", 7443), ("127.0.0.1:0", "127.0.0.1", 0),
        ]
        for (text, host, port) in cases {
            let address = try ListenAddress(parsing: text)
            #expect(address == ListenAddress(host: host, port: port), "\(text)")
            #expect("\(address)" == text)
        }
        for text in [
            "", "host", "host:", "host:x", "::1:7443", "[::1]", "[x]:1", "h:70000", "-h:1", "a b:1",
        ] {
            #expect(throws: TransportError.self, "\(text)") { try ListenAddress(parsing: text) }
        }
    }
}
