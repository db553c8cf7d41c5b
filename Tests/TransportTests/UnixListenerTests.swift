import Foundation
import Glibc
import Storage
import TestSupport
import Testing
import Transport

@Suite("Sockets with paths")
struct UnixListenerTests {
    private let folder: TemporaryFolder
    private var path: String { folder.file("a.sock") }

    init() throws {
        folder = try TemporaryFolder()
    }

    private func connect() throws(TransportError) -> DescriptorConnection {
        try DescriptorConnection.connect(toPath: path, timeoutSeconds: 10)
    }

    @Test("It is for its user alone, and knows who has connected")
    func client() throws {
        let listener = try UnixListener(path: path)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        let accepted = Background { try listener.accept() }
        let connection = try connect()
        let client = try #require(try accepted.value())
        #expect(client.user == .current)
        #expect(client.user?.number == geteuid())
        try connection.send([1, 2, 3].rawSpan)
        var buffer = [UInt8](repeating: 0, count: 8)
        var count = 0
        try buffer.withMutableRawSpan { (bytes) throws(TransportError) in
            count = try client.connection.receive(into: &bytes, timeoutSeconds: 10)
        }
        #expect(Array(buffer[..<count]) == [1, 2, 3])
        listener.stop()
    }

    @Test("A stop wakes who waits for clients, and removes the socket")
    func stop() throws {
        let listener = try UnixListener(path: path)
        let waiting = Background { try listener.accept() == nil }
        listener.stop()
        #expect(try waiting.value())
        #expect(!FileManager.default.fileExists(atPath: path))
        let error = #expect(throws: TransportError.self) { try connect() }
        #expect(error == .unreachable(peer: path, errno: ENOENT))
        #expect(error?.isNobodyListening == true)
    }

    @Test("The socket of a listener that is no more is replaced, one that is alive is not")
    func stale() throws {
        // As a kill leaves it: the file without anybody behind it.
        let script = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
        try ExternalProgram.run("python3", ["-c", script, path]).requireSuccess()
        let dead = #expect(throws: TransportError.self) { try connect() }
        #expect(dead?.isNobodyListening == true)
        let listener = try UnixListener(path: path)
        _ = try connect()
        #expect(throws: TransportError.occupied(path: path)) { try UnixListener(path: path) }
        _ = try connect()
        listener.stop()
    }

    @Test("What is no socket stays")
    func otherFile() throws {
        try Data("mine".utf8).write(to: URL(filePath: path))
        #expect(throws: TransportError.inTheWay(path: path)) { try UnixListener(path: path) }
        #expect(try Data(contentsOf: URL(filePath: path)) == Data("mine".utf8))
    }

    @Test("A stop leaves the socket of another one alone")
    func replaced() throws {
        let first = try UnixListener(path: path)
        try FileManager.default.removeItem(atPath: path)
        let second = try UnixListener(path: path)
        first.stop()
        #expect(FileManager.default.fileExists(atPath: path))
        _ = try connect()
        second.stop()
    }

    @Test("A path has 107 bytes at most, and says so")
    func longPaths() throws {
        let room = 107 - folder.path.utf8.count - 1
        let longest = folder.file(String(repeating: "x", count: room))
        let listener = try UnixListener(path: longest)
        _ = try DescriptorConnection.connect(toPath: longest, timeoutSeconds: 10)
        listener.stop()
        let sentence = "the path of a socket has 107 bytes at most, and this one 108: \(longest)x"
        for path in [longest + "x"] {
            #expect(throws: TransportError.invalidAddress(sentence)) {
                try UnixListener(path: path)
            }
            #expect(throws: TransportError.invalidAddress(sentence)) {
                try DescriptorConnection.connect(toPath: path, timeoutSeconds: 10)
            }
        }
        #expect(throws: TransportError.self) { try UnixListener(path: "") }
        #expect(throws: TransportError.self) { try UnixListener(path: "a\0b") }
    }

    @Test("A user has a name, or else a number")
    func users() {
        #expect(SystemUser.root.name == "root")
        #expect(SystemUser(number: 3_999_999_999).name == "3999999999")
    }
}
