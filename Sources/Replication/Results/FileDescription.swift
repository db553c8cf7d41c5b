package import Resync
package import VHDX

/// What a file is and holds: an image, or one of the files that are made here.
package enum FileDescription {
    case image(ImageDescription)
    case map(DigestMapDescription)
    case delta(DeltaDescription)

    package init(ofFileAt path: String, parents: ParentSearch) throws(ResyncError) {
        switch FileKind(ofFileAt: path) {
        case .digestMap:
            self = .map(try DigestMapDescription(ofMapAt: path))
        case .delta:
            self = .delta(try DeltaDescription(ofDeltaAt: path))
        case .other:
            do throws(VHDXError) {
                self = .image(try ImageDescription(ofImageAt: path, parents: parents))
            } catch {
                throw .disk(.primary, error)
            }
        }
    }

    /// What `info --json` prints.
    package var json: String {
        switch self {
        case .image(let image): JSONText.object(InfoObject(image))
        case .map(let map): JSONText.object(DigestMapObject(map))
        case .delta(let delta): JSONText.object(DeltaObject(delta))
        }
    }
}
