import Foundation
import TestSupport
import Testing

/// What is installed, where, and what it needs.
@Suite struct InstallTests {
    private let names = [
        "bin/vhdresync", "include/vhdresync.h", "lib/libvhdresync_c.so", "lib/libvhdresync_c.so.0",
        "lib/libvhdresync_c.so.0.1.0", "lib/pkgconfig/vhdresync.pc", "share/man/man1/vhdresync.1",
    ]

    private func dynamicSection(_ copy: InstalledCopy) throws -> String {
        try ExternalProgram.run(
            "readelf", ["--wide", "--dynamic", copy.prefix + "/lib/libvhdresync_c.so"]
        ).requireSuccess().output
    }

    @Test func installsWhatItSaysAndTakesItAway() throws {
        let copy = try InstalledCopy()
        let package = copy.files.filter { $0.hasPrefix("share/vhdresync/") }
        let others = copy.files.filter { !$0.hasPrefix("share/vhdresync/") }
        #expect(others == names)
        #expect(package.first == "share/vhdresync/Package.swift")
        #expect(package.dropFirst().allSatisfy { $0.hasPrefix("share/vhdresync/Sources/") })
        let program = try ExternalProgram.run(copy.prefix + "/bin/vhdresync", ["--version"])
        #expect(program.output == "vhdresync 0.1.0\n")
        let mine = copy.path + "/lib/other"
        try Data().write(to: URL(filePath: mine))
        try copy.uninstall()
        #expect(copy.files == ["lib/other"])
    }

    @Test func isStagedForAPackage() throws {
        let copy = try InstalledCopy(isStaged: true)
        #expect(Set(copy.files).isSuperset(of: names.map { "usr/" + $0 }))
        #expect(copy.files.allSatisfy { $0.hasPrefix("usr/") })
        // What is staged knows where it will be.
        let text = try String(
            contentsOfFile: copy.prefix + "/lib/pkgconfig/vhdresync.pc", encoding: .utf8)
        #expect(text.contains("prefix=/usr\n") && text.contains("Version: 0.1.0\n"))
        try copy.uninstall()
        #expect(copy.files.isEmpty)
    }

    @Test func linksLeadToTheLibraryByItsName() throws {
        let copy = try InstalledCopy.shared.get()
        #expect(try dynamicSection(copy).contains("Library soname: [libvhdresync_c.so.0]"))
        for (link, target) in [
            ("libvhdresync_c.so", "libvhdresync_c.so.0"),
            ("libvhdresync_c.so.0", "libvhdresync_c.so.0.1.0"),
        ] {
            let found = try FileManager.default.destinationOfSymbolicLink(
                atPath: "\(copy.prefix)/lib/\(link)")
            #expect(found == target)
        }
        #expect(try copy.configuration(["--modversion"]) == ["0.1.0"])
        #expect(
            try copy.configuration(["--variable=swift_package"])
                == ["\(copy.prefix)/share/vhdresync"])
        #expect(
            try copy.configuration(["--cflags", "--libs"]) == [
                "-I\(copy.prefix)/include", "-L\(copy.prefix)/lib", "-lvhdresync_c",
            ])
    }

    /// A caller has no Swift, and another Swift in its process is another one.
    @Test func theLibraryNeedsNoSwiftAndShowsNone() throws {
        let copy = try InstalledCopy.shared.get()
        let library = copy.prefix + "/lib/libvhdresync_c.so"
        let needed = try dynamicSection(copy).matches(of: #/Shared library: \[(.*?)\.so/#)
            .map { String($0.1) }
        let known: Set = [
            "libc", "libm", "libstdc++", "libgcc_s", "ld-linux-x86-64", "libssl", "libcrypto",
            "liblz4", "libsqlite3",
        ]
        #expect(!needed.isEmpty && Set(needed).isSubset(of: known), "\(needed)")
        let links = try ExternalProgram.run("ldd", ["-r", library]).requireSuccess()
        #expect(!(links.output + links.errorOutput).contains("undefined"))

        let header = try String(
            contentsOfFile: copy.prefix + "/include/vhdresync.h", encoding: .utf8)
        let declared = header.matches(of: #/\n(?:uint32_t|void|const char \*) ?(vhdresync_\w+)\(/#)
            .map { String($0.1) }
        let symbols = try ExternalProgram.run("nm", ["--dynamic", "--defined-only", library])
            .requireSuccess().output.split(separator: "\n")
            .map { String($0.split(separator: " ")[2]) }
        #expect(declared.count == 27)
        #expect(Set(symbols) == Set(declared))
    }
}
