/// Paths taken apart by their bytes: a slash is one in front of a combining mark too, with which
/// Swift's characters would make it something else.
public enum PathText {
    private static let slash = UInt8(ascii: "/")

    /// The names in a path, between any of these separators; empty ones are left out.
    public static func components(
        of path: String, separators: [UInt8] = [UInt8(ascii: "/")]
    ) -> [String] {
        path.utf8.split { separators.contains($0) }.map { String(Substring($0)) }
    }

    /// The last name in a path; the path where it has none.
    public static func name(of path: String) -> String {
        components(of: path).last ?? path
    }

    /// What stands in front of the last name: `.` for a name alone.
    public static func folder(of path: String) -> String {
        guard let end = path.utf8.lastIndex(of: slash) else { return "." }
        return end == path.utf8.startIndex ? "/" : String(path[..<end])
    }
}
