internal import CVHDResync
internal import Glibc
internal import Replication

// Each function converts its arguments, makes one call, and converts what comes back. What it does
// for its callers, vhdresync.h says; the compiler holds its signature against that.

@c @implementation
public func vhdresync_version() -> UnsafePointer<CChar>? {
    unsafe LibraryTexts.version.pointer
}

@c @implementation
public func vhdresync_code_name(_ code: UInt32) -> UnsafePointer<CChar>? {
    unsafe (LibraryTexts.names[code] ?? LibraryTexts.unknownName).pointer
}

@c @implementation
public func vhdresync_last_error() -> UnsafePointer<CChar>? {
    unsafe LastError.pointer
}

@c @implementation
public func vhdresync_text_free(_ text: UnsafeMutablePointer<CChar>?) {
    // Safe: the caller gives back what `strdup` made for it, once.
    unsafe free(text)
}

private enum LibraryTexts {
    static let version = StaticText(ProductVersion.text)
    static let unknownName = StaticText("Unknown code")
    static let names = Dictionary(
        uniqueKeysWithValues: ReturnCode.allCases.map { ($0.rawValue, StaticText($0.name)) })
}
