internal import Storage

/// What a file is, by how it starts.
public enum FileKind: Equatable, Sendable {
    case digestMap
    /// A delta, or the journal of a replica.
    case delta
    /// An image, a raw disk, or a file that cannot be read.
    case other

    public init(ofFileAt path: String) {
        self = .other
        do throws(FileError) {
            guard !DiskFile.isDevice(path) else { return }
            let file = try DiskFile(opening: path, for: .reading)
            if try DigestMap.isDigestMap(file) {
                self = .digestMap
            } else if try DeltaStream.isDelta(file) {
                self = .delta
            }
        } catch {
            // Whoever opens it next says what is wrong.
        }
    }
}
