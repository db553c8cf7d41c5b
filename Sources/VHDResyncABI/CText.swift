internal import Glibc
internal import Replication

/// Where a text for the caller goes; the caller may want none.
typealias TextResult = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// Texts to and from C.
enum CText {
    /// The text at a pointer, or nil for a null pointer.
    static func optional(
        _ pointer: UnsafePointer<CChar>?, _ name: String
    ) throws(CodedError) -> String? {
        guard let pointer = unsafe pointer else { return nil }
        // Safe: the caller passes a text that ends with a zero.
        guard let text = unsafe String(validatingCString: pointer) else {
            throw .invalid("\(name) is not UTF-8")
        }
        guard !text.isEmpty else { throw .invalid("\(name) is empty") }
        return text
    }

    static func required(
        _ pointer: UnsafePointer<CChar>?, _ name: String
    ) throws(CodedError) -> String {
        guard let text = try unsafe optional(pointer, name) else {
            throw .invalid("\(name) is missing: a null pointer")
        }
        return text
    }

    /// Gives the caller a copy.
    static func give(_ text: String, to result: TextResult?) throws(CodedError) {
        guard let result = unsafe result else { return }
        // Safe: the caller passes the place of a pointer.
        guard let copy = unsafe strdup(text) else {
            throw CodedError(.outOfMemory, "no memory for a text of \(text.utf8.count) bytes")
        }
        unsafe result.pointee = copy
    }
}
