internal import Transport

/// The names of disks and maps among the arguments.
enum Operand {
    /// The path of a file on this machine.
    ///
    /// A colon before the first slash is kept for disks on other machines: `host:path` and
    /// `vhdresync://host/path`. `./a:b` is the file `a:b`.
    static func localPath(_ text: String) throws(UsageError) -> String {
        guard !text.isEmpty else { throw .invalid("the name of a file is empty") }
        let untilSlash = text.prefix { $0 != "/" }
        guard !untilSlash.contains(":") else {
            let what =
                "'\(text)' names a disk on another host, and only a resynchronization works over "
                + "two hosts"
            throw .notSupported(
                text.hasPrefix("vhdresync://") ? what : "\(what); './\(text)' is a file here")
        }
        return text
    }

    /// A disk of the main job, on this machine or on another one.
    static func location(_ text: String) throws(UsageError) -> DiskLocation {
        guard !text.isEmpty else { throw .invalid("the name of a file is empty") }
        do throws(TransportError) {
            return try DiskLocation(parsing: text)
        } catch {
            throw .invalid("\(error)")
        }
    }
}
