import CSystem
import Foundation
import Storage
import Testing

@Suite("Locks on files")
struct FileLockTests {
    @Test("Readers share a file")
    func readers() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        let first = try DiskFile(opening: path, for: .reading)
        let second = try DiskFile(opening: path, for: .reading)
        try first.lock(for: .reading)
        try second.lock(for: .reading)
        // A second time by the same owner changes nothing.
        try second.lock(for: .reading)
        _ = try first.byteCount()
    }

    @Test("A writer excludes readers and writers, and is excluded by them")
    func writers() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        for held in [.reading, .writing] as [DiskFile.Access] {
            for wanted in [.reading, .writing] as [DiskFile.Access] {
                guard held == .writing || wanted == .writing else { continue }
                let first = try DiskFile(opening: path, for: .writing)
                let second = try DiskFile(opening: path, for: .writing)
                try first.lock(for: held)
                #expect(throws: FileError.locked(path: path), "\(held), then \(wanted)") {
                    try second.lock(for: wanted)
                }
                _ = try first.byteCount()
            }
        }
    }

    @Test("A lock ends with its file, and with no other object for the same file")
    func lifetime() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        let waiting = try DiskFile(opening: path, for: .writing)
        do {
            let holder = try DiskFile(opening: path, for: .writing)
            try holder.lock(for: .writing)
            // Locks of the process, unlike those of the open file, would end here.
            do { _ = try DiskFile(opening: path, for: .reading).byteCount() }
            #expect(throws: FileError.locked(path: path)) { try waiting.lock(for: .writing) }
            _ = try holder.byteCount()
        }
        try waiting.lock(for: .writing)
    }

    @Test("The descriptor is closed when another program starts in this process")
    func inheritance() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [1])
        let file = try DiskFile(opening: path, for: .writing)
        let created = try DiskFile(creating: directory.path(of: "created"))
        for descriptor in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            let link = "/proc/self/fd/\(descriptor)"
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
            guard let number = Int32(descriptor), target?.hasPrefix(directory.path) == true else {
                continue
            }
            // Linux writes the flag of the descriptor among those of the file: 02000000, octal.
            let info = try String(contentsOfFile: "/proc/self/fdinfo/\(number)", encoding: .utf8)
            let flags = info.split(separator: "\n").first { $0.hasPrefix("flags:") }
            let value = flags.flatMap { Int($0.dropFirst(6).filter(\.isNumber), radix: 8) }
            #expect((value ?? 0) & 0o2_000_000 != 0, "\(target ?? "")")
        }
        _ = (file.name, created.name)
    }

    private static let qemuIO = ["/usr/bin/qemu-io", "/usr/local/bin/qemu-io"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// Holds the image open in QEMU while the body runs.
    private func whileQEMU(
        has path: String, arguments: [String], _ body: () throws -> Void
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.qemuIO))
        process.arguments = arguments + ["-f", "raw", path]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        // QEMU answers a command only once the image is open and its locks are taken.
        try input.fileHandleForWriting.write(contentsOf: Data("length\n".utf8))
        var answer = ""
        while !answer.contains("1 MiB") {
            let data = output.fileHandleForReading.availableData
            try #require(!data.isEmpty, "qemu-io did not open the image: \(answer)")
            answer += String(decoding: data, as: UTF8.self)
        }
        defer {
            try? input.fileHandleForWriting.close()
            process.waitUntilExit()
        }
        try body()
    }

    @Test("A reader leaves free only the bytes by which QEMU announces itself")
    func bytesOfAReader() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path(of: "disk")
        _ = try DiskFile(creating: path)
        let reader = try DiskFile(opening: path, for: .reading)
        try reader.lock(for: .reading)
        // Safe: the path ends with a zero.
        let other = unsafe open(path, O_RDWR | O_CLOEXEC)
        try #require(other >= 0)
        defer { close(other) }
        let free = Set<UInt64>(101...163).union(200...263).subtracting([201, 203])
        for byte in (0...300 as ClosedRange<UInt64>) {
            let isFree = csystem_lock(other, 1, byte, 1) == 0
            #expect(isFree == free.contains(byte), "byte \(byte)")
        }
        #expect(csystem_lock(other, 1, 1 << 40, 1) != 0)
        withExtendedLifetime(reader) {}
    }

    @Test("We and a QEMU that reads share; our writer is refused", .enabled(if: qemuIO != nil))
    func qemuReads() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [UInt8](repeating: 0, count: 1 << 20))
        try whileQEMU(has: path, arguments: ["-r"]) {
            let file = try DiskFile(opening: path, for: .writing)
            #expect(throws: FileError.locked(path: path)) { try file.lock(for: .writing) }
            let reader = try DiskFile(opening: path, for: .reading)
            try reader.lock(for: .reading)
        }
    }

    @Test("A QEMU that writes keeps us out, as reader and as writer", .enabled(if: qemuIO != nil))
    func qemuWrites() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [UInt8](repeating: 0, count: 1 << 20))
        try whileQEMU(has: path, arguments: []) {
            for access in [.reading, .writing] as [DiskFile.Access] {
                let file = try DiskFile(opening: path, for: .writing)
                #expect(throws: FileError.locked(path: path), "\(access)") {
                    try file.lock(for: access)
                }
            }
        }
    }

    /// Whether QEMU can open the image, and do something with it.
    private func qemuOpens(_ path: String, _ arguments: [String]) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.qemuIO))
        process.arguments = arguments + ["-f", "raw", path]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    @Test("QEMU honours our locks", .enabled(if: qemuIO != nil))
    func qemuHonours() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.makeFile("disk", [UInt8](repeating: 0, count: 1 << 20))
        do {
            let reader = try DiskFile(opening: path, for: .reading)
            try reader.lock(for: .reading)
            #expect(try qemuOpens(path, ["-r", "-c", "read 0 512"]))
            #expect(try !qemuOpens(path, ["-c", "write 0 512"]))
            _ = try reader.byteCount()
        }
        do {
            let writer = try DiskFile(opening: path, for: .writing)
            try writer.lock(for: .writing)
            #expect(try !qemuOpens(path, ["-r", "-c", "read 0 512"]))
            #expect(try !qemuOpens(path, ["-c", "write 0 512"]))
            _ = try writer.byteCount()
        }
        #expect(try qemuOpens(path, ["-c", "write 0 512"]))
    }
}
