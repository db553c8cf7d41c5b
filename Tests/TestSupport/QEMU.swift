internal import Foundation

/// QEMU's programs for disk images, the other opinion on every image that QEMU can read.
public enum QEMU {
    /// Runs `qemu-img` with these arguments.
    public static func img(
        _ arguments: [String], timeoutSeconds: Int = 300
    ) throws -> ProgramOutcome {
        try ExternalProgram.run("qemu-img", arguments, timeoutSeconds: timeoutSeconds)
    }

    /// Runs `qemu-io` with commands, one after the other, on an image; its status is 1 if one fails.
    public static func io(
        _ commands: [String], on image: String, format: String = "vhdx", isReadOnly: Bool = false
    ) throws -> ProgramOutcome {
        let options = isReadOnly ? ["-r", "-f", format] : ["-f", format]
        return try ExternalProgram.run(
            "qemu-io", options + commands.flatMap { ["-c", $0] } + [image])
    }

    /// Whether two images read the same and are of the same size.
    ///
    /// - Throws: ``ProgramFailure`` where QEMU can say neither yes nor no.
    public static func compare(
        _ first: String, _ second: String,
        formats: (first: String, second: String) = ("vhdx", "vhdx")
    ) throws -> Bool {
        let outcome = try img(
            ["compare", "-f", formats.first, "-F", formats.second, first, second])
        if outcome.status == 1 { return false }
        try outcome.requireSuccess()
        // QEMU takes a longer disk that ends in zeros for an equal one, with a warning.
        return !(outcome.output + outcome.errorOutput).contains("size mismatch")
    }

    /// The SHA-256 over the whole virtual disk as QEMU reads it, in lower-case hexadecimal.
    ///
    /// Writes the disk out as a sparse raw file first, so it is nothing for disks of terabytes.
    public static func contentSHA256(of image: String, format: String = "vhdx") throws -> String {
        let folder = try TemporaryFolder()
        let raw = folder.file("content.raw")
        try img(["convert", "-f", format, "-O", "raw", image, raw]).requireSuccess()
        let outcome = try ExternalProgram.run("sha256sum", ["--binary", raw]).requireSuccess()
        return String(outcome.output.prefix(64))
    }
}
