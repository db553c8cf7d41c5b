public import Storage

/// A structure of the format, as errors name it.
public enum Structure: String, Equatable, Sendable {
    /// The file as a whole.
    case file
    case fileIdentifier = "file identifier"
    case header
    case log
    case logEntry = "log entry"
    case regionTable = "region table"
    case metadataTable = "metadata table"
    case fileParameters = "file parameters"
    case virtualDiskSize = "virtual disk size"
    case virtualDiskID = "virtual disk ID"
    case logicalSectorSize = "logical sector size"
    case physicalSectorSize = "physical sector size"
    case metadataItem = "metadata item"
    case blockAllocationTable = "block allocation table"
    case payloadBlock = "payload block"
    case sectorBitmap = "sector bitmap"
    case parentLocator = "parent locator"
    case applyMark = "apply mark"
}

/// A reason why a VHDX file cannot be used.
public enum VHDXError: Error, Equatable {
    case file(FileError)
    /// The file is not VHDX: it does not start with the signature of one.
    case notVHDX(path: String)
    /// The file ends before this structure does.
    case truncated(Structure, path: String, at: UInt64, fileSize: UInt64)
    /// A structure does not start with its signature: an overwritten one.
    case wrongSignature(Structure, path: String, at: UInt64)
    case wrongChecksum(Structure, path: String, at: UInt64, stored: UInt32, computed: UInt32)
    /// A field holds a value that [MS-VHDX] forbids, or that no real file has.
    case invalidField(Structure, field: String, value: UInt64, path: String, at: UInt64)
    /// Neither copy of a structure that is stored twice is valid. The error is that of the first.
    indirect case noValidCopy(Structure, VHDXError)
    /// Both copies of a structure are valid and differ, and nothing tells which one counts.
    case ambiguous(Structure, path: String, at: UInt64)
    /// A structure that every image must have is absent.
    case missing(Structure, path: String)
    /// Two things claim the same bytes of the file.
    case overlap(Structure, path: String, at: UInt64)
    /// The log says that it must be replayed and holds nothing that can be.
    case noValidLogEntry(path: String, at: UInt64)
    /// The header's sequence number cannot be raised any more.
    case sequenceNumberExhausted(path: String)
    /// None of the places where the parent of a differencing image may be holds it.
    case parentNotFound(path: String, names: [String])
    /// The file found as parent is not in the state that the image builds on.
    case parentMismatch(path: String, parent: String, expected: GUID, found: GUID)
    /// The parent lies outside the folders in which one may be looked for.
    case parentOutsideFolders(path: String, name: String)
    /// The parent is the image itself or one that builds on it.
    case parentLoop(path: String, parent: String)
    /// Parent and image have other logical sectors.
    case parentSectorSize(path: String, parent: String, expected: UInt64, found: UInt64)
    /// A differencing image builds on this one, and a change here would make it useless.
    case hasChild(path: String, child: String)
    /// The image is half-written, and reads as no disk that ever was.
    case unfinishedApply(path: String, mark: ApplyMark)
    /// The image is valid and uses something that this package does not implement.
    case unsupported(String, path: String)
    /// A limit of this package, which bounds its memory, would be passed.
    case limitExceeded(String, path: String)
    case outOfMemory(OutOfMemory)
    /// A new image was asked for that the format does not allow.
    case invalidGeometry(String)
}

extension VHDXError: CustomStringConvertible {
    /// One clause for a person, without a capital or a full stop.
    public var description: String {
        switch self {
        case .file(let error):
            return "\(error)"
        case .notVHDX(let path):
            return "\(path) is not a VHDX file: it does not start with 'vhdxfile'"
        case .truncated(let structure, let path, let offset, let size):
            return "\(path) is truncated: the \(structure.rawValue) at byte \(offset) "
                + "reaches past the end of the file at \(size)"
        case .wrongSignature(let structure, let path, let offset):
            return "\(path) is damaged: no \(structure.rawValue) at byte \(offset)"
        case .wrongChecksum(let structure, let path, let offset, let stored, let computed):
            return "\(path) is damaged: the \(structure.rawValue) at byte \(offset) has checksum "
                + "\(Self.hex(UInt64(stored))), computed \(Self.hex(UInt64(computed)))"
        case .invalidField(let structure, let field, let value, let path, let offset):
            return "\(path) is damaged: the \(structure.rawValue) at byte \(offset) has "
                + "\(field) \(Self.hex(value))"
        case .noValidCopy(let structure, let first):
            return "no valid copy of the \(structure.rawValue): \(first)"
        case .ambiguous(let structure, let path, let offset):
            return "\(path) is damaged: both copies of the \(structure.rawValue) are valid and "
                + "differ, the first at byte \(offset)"
        case .missing(let structure, let path):
            return "\(path) is damaged: it has no \(structure.rawValue)"
        case .overlap(let structure, let path, let offset):
            return "\(path) is damaged: the \(structure.rawValue) at byte \(offset) overlaps "
                + "another structure"
        case .noValidLogEntry(let path, let offset):
            return "\(path) is damaged: its log at byte \(offset) must be replayed and has no "
                + "valid entry"
        case .sequenceNumberExhausted(let path):
            return "cannot write to \(path): the sequence number of its header is at its end"
        case .parentNotFound(let path, let names):
            return "cannot find the parent of \(path): no \(names.joined(separator: ", no "))"
        case .parentMismatch(let path, let parent, let expected, let found):
            return "\(parent) is not the parent that \(path) builds on: its DataWriteGuid is "
                + "\(found), expected \(expected)"
        case .parentOutsideFolders(let path, let name):
            return "the parent of \(path), \(name), lies outside the folders in which it may be "
                + "looked for"
        case .parentLoop(let path, let parent):
            return "\(path) is damaged: its parent \(parent) builds on itself"
        case .parentSectorSize(let path, let parent, let expected, let found):
            return "\(parent) cannot be the parent of \(path): its logical sectors have \(found) "
                + "bytes, not \(expected)"
        case .hasChild(let path, let child):
            return "\(child) builds on \(path), and would be useless after a change to it"
        case .unfinishedApply(let path, let mark):
            return "\(path) is half-written: \(mark)"
        case .unsupported(let what, let path):
            return "\(path) is not supported: \(what)"
        case .limitExceeded(let what, let path):
            return "cannot use \(path): \(what)"
        case .outOfMemory(let error):
            return "no memory for a buffer of \(error.byteCount) bytes"
        case .invalidGeometry(let what):
            return "no image can have that shape: \(what)"
        }
    }

    private static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
}

/// Runs calls on a file, with their errors as this module's.
func onFile<Result: ~Copyable>(
    _ body: () throws(FileError) -> Result
) throws(VHDXError) -> Result {
    do throws(FileError) {
        return try body()
    } catch {
        throw .file(error)
    }
}
