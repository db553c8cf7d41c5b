internal import TestSupport
internal import Testing

struct RealImagesTests {
    @Test("The real images that are here hold the content that images.json promises")
    func content() throws {
        try RealImages.forEach(
            for: "content as QEMU reads it",
            where: { $0.readableByQEMU && !$0.dirtyLog && $0.virtualSize <= 1 << 30 },
            { image, path in
                let digest = try QEMU.contentSHA256(of: path)
                #expect(digest == image.contentSHA256, "\(image)")
            })
    }

    @Test("A program that does not end is killed, one that is not there is named")
    func failingPrograms() throws {
        #expect(throws: ProgramFailure.self) {
            try ExternalProgram.run("sleep", ["60"], timeoutSeconds: 0)
        }
        #expect(throws: ProgramFailure.self) {
            try ExternalProgram.run("no-such-program", [])
        }
        let outcome = try ExternalProgram.run("sh", ["-c", "echo a; echo b >&2; exit 3"])
        #expect(outcome.status == 3)
        #expect(outcome.output == "a\n")
        #expect(outcome.errorOutput == "b\n")
        #expect(try ExternalProgram.run("sh", ["-c", "kill -9 $$"]).status == 128 + 9)
    }

    @Test("Two images of different sizes are not the same")
    func compare() throws {
        let folder = try TemporaryFolder()
        let (short, long) = (folder.file("short.raw"), folder.file("long.raw"))
        for (path, size) in [(short, "1M"), (long, "2M")] {
            try QEMU.img(["create", "-q", "-f", "raw", path, size]).requireSuccess()
        }
        #expect(try QEMU.compare(short, short, formats: ("raw", "raw")))
        #expect(try !QEMU.compare(short, long, formats: ("raw", "raw")))
        try QEMU.io(["write -P 1 0 512"], on: short, format: "raw").requireSuccess()
        #expect(try QEMU.contentSHA256(of: short, format: "raw").count == 64)
        #expect(try QEMU.io(["read -P 2 0 512"], on: short, format: "raw").isSuccess == false)
    }
}
