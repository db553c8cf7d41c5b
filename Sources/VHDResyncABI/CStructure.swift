internal import CVHDResync
internal import Replication

/// A structure of the interface. Its first field is its size as the caller knows it.
protocol SizedStructure {
    /// All zeros.
    init()
    var struct_size: UInt32 { get set }
    /// Its size in the first version that had it. It stays when fields are added.
    static var firstByteCount: Int { get }
}

extension vhdresync_options: @unsafe SizedStructure {
    static let firstByteCount = 136
}
extension vhdresync_progress: SizedStructure {
    static let firstByteCount = 176
}
extension vhdresync_image_description: SizedStructure {
    static let firstByteCount = 120
}
extension vhdresync_findings: SizedStructure {
    static let firstByteCount = 32
}

/// Structures to and from callers that were compiled against another version.
enum CStructure {
    /// A size beyond this was never set.
    private static let sizeLimit = 65536

    /// What the caller passes; all zeros for a null pointer.
    static func copy<Structure: SizedStructure>(
        _ pointer: UnsafePointer<Structure>?, _ name: String
    ) throws(CodedError) -> Structure {
        var copy = Structure()
        guard let pointer = unsafe pointer else { return copy }
        let size = try unsafe size(of: pointer, name)
        // Safe: the caller says that so many bytes are there, and no more are copied than fit.
        let bytes = unsafe UnsafeRawBufferPointer(start: pointer, count: size)
        let known = MemoryLayout<Structure>.size
        unsafe withUnsafeMutableBytes(of: &copy) { copy in
            unsafe copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(known)))
        }
        guard unsafe bytes.dropFirst(known).allSatisfy({ $0 == 0 }) else {
            throw CodedError(
                .notSupported, "\(name) hold something that this version does not know")
        }
        return copy
    }

    /// Checks the size of a structure that is to be filled in later; a null pointer is none.
    static func check<Structure: SizedStructure>(
        _ pointer: UnsafeMutablePointer<Structure>?, _ name: String
    ) throws(CodedError) {
        guard let pointer = unsafe pointer else { return }
        _ = try unsafe size(of: pointer, name)
    }

    /// Fills in as much of the caller's structure as it has room for.
    static func give<Structure: SizedStructure>(
        _ value: Structure, to pointer: UnsafeMutablePointer<Structure>?, _ name: String
    ) throws(CodedError) {
        guard let pointer = unsafe pointer else {
            throw .invalid("\(name) is missing: a null pointer")
        }
        let size = try unsafe size(of: pointer, name)
        var value = value
        value.struct_size = UInt32(size)
        // Safe: the caller says that so many bytes are there, and no more are written. Fields of a
        // later version become zero.
        let target = unsafe UnsafeMutableRawBufferPointer(start: pointer, count: size)
        unsafe withUnsafeBytes(of: value) { bytes in
            let count = min(bytes.count, size)
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
            for index in count..<size { unsafe target[index] = 0 }
        }
    }

    /// The size that the caller says, which holds the fields of the first version at least.
    private static func size<Structure: SizedStructure>(
        of pointer: UnsafePointer<Structure>, _ name: String
    ) throws(CodedError) -> Int {
        // Safe: the caller passes a structure, whose first field is there in every version.
        let size = unsafe Int(
            UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
        guard (Structure.firstByteCount...sizeLimit).contains(size) else {
            throw .invalid(
                "struct_size of \(name) is \(size): it is to be set to sizeof, here "
                    + "\(MemoryLayout<Structure>.size)")
        }
        return size
    }
}
