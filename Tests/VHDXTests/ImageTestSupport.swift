import Glibc
import Storage
import TestSupport
import Testing

@testable import VHDX

/// The name of every image in memory.
let path = "/memory/disk.vhdx"

/// What stops a reader and a writer from opening the image; nil where nothing does.
///
/// Both must say the same, and an image that is refused must not change.
func refusal(
    of file: MemoryFile, sourceLocation: SourceLocation = #_sourceLocation
) -> VHDXError? {
    let before = file.content
    let readerError = readingRefusal(of: file)
    #expect(file.content == before, "the reader wrote", sourceLocation: sourceLocation)
    do {
        _ = try ImageWriter(file).geometry
        #expect(readerError == nil, "only the reader refuses", sourceLocation: sourceLocation)
    } catch {
        #expect(readerError == error, sourceLocation: sourceLocation)
        #expect(file.content == before, "the writer wrote", sourceLocation: sourceLocation)
    }
    let disagreement = disagreement(of: ImageCheck.findings(in: file), with: readerError)
    #expect(disagreement == nil, sourceLocation: sourceLocation)
    return readerError
}

extension ImageCheck {
    /// What a check finds; nil where it cannot read the file.
    static func findings(in file: MemoryFile) -> [Finding]? {
        (try? ImageCheck(file))?.findings
    }
}

/// In what a check and a reader differ: the check finds an error if and only if the reader refuses,
/// and that error is among those it finds.
func disagreement(of findings: [Finding]?, with refusal: VHDXError?) -> String? {
    guard let findings else { return "the check throws, the reader says \(describe(refusal))" }
    let errors = findings.filter { $0.severity == .error }
    // A check by itself does not miss the parent that a reader needs.
    let refusal = refusal == readingWithoutParent ? nil : refusal
    guard let refusal else { return errors.isEmpty ? nil : "only the check refuses: \(errors)" }
    if errors.isEmpty { return "only the reader refuses: \(refusal)" }
    if findings.contains(where: { $0.rule == .fieldValue }) { return "a rule without a name" }
    // It does not say where.
    if case .unsupported = refusal { return nil }
    let place = refusal.place
    let isThere = errors.contains {
        $0.structure == place.structure && $0.fileOffset == place.fileOffset
            && $0.value == place.value
    }
    return isThere ? nil : "\(refusal) is not among \(errors)"
}

private let readingWithoutParent = VHDXError.unsupported(
    "a differencing image, which needs its parent", path: path)

private func describe(_ error: VHDXError?) -> String { error.map { "\($0)" } ?? "nothing" }

/// What stops a reader from opening the image; nil where nothing does.
func readingRefusal(
    of file: MemoryFile, parent: ImageParent<MemoryFile>? = nil
) -> VHDXError? {
    do throws(VHDXError) {
        _ = try ImageReader(file, parent: parent).geometry
        return nil
    } catch {
        return error
    }
}

extension ImageReader where File: ~Copyable {
    /// Content of the disk.
    func bytes(at offset: UInt64, count: Int) throws(VHDXError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withMutableRawSpan { (span) throws(VHDXError) in
            try read(into: &span, at: offset)
        }
        return bytes
    }
}

extension ImageWriter where File: ~Copyable {
    /// Content of the disk.
    func bytes(at offset: UInt64, count: Int) throws(VHDXError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withMutableRawSpan { (span) throws(VHDXError) in
            try read(into: &span, at: offset)
        }
        return bytes
    }

    /// Writes the same byte many times.
    func fill(_ value: UInt8, count: Int, at offset: UInt64) throws(VHDXError) {
        let bytes = [UInt8](repeating: value, count: count)
        try write(bytes.rawSpan, at: offset)
    }
}

/// Content of the disk in an image.
func content(of file: MemoryFile, at offset: UInt64, count: Int) throws(VHDXError) -> [UInt8] {
    try ImageReader(file).bytes(at: offset, count: count)
}

/// The description of an image.
func info(of file: MemoryFile) throws(VHDXError) -> ImageInfo {
    try ImageReader(file).info
}

extension Array<UInt8> {
    /// So many bytes of one value.
    init(_ value: UInt8, _ count: Int) {
        self.init(repeating: value, count: count)
    }

    /// Whether the bytes are the same; fast also in a debug build.
    func isSame(as other: [UInt8]) -> Bool {
        guard count == other.count else { return false }
        // Safe: both buffers have that many bytes.
        return unsafe withUnsafeBytes { first in
            unsafe other.withUnsafeBytes { second in
                guard let start = first.baseAddress, let otherStart = second.baseAddress else {
                    return true
                }
                return unsafe memcmp(start, otherStart, first.count) == 0
            }
        }
    }

    /// Whether every byte is this one; fast also in a debug build.
    func consists(of value: UInt8) -> Bool {
        guard count > 1 else { return allSatisfy { $0 == value } }
        guard self[0] == value else { return false }
        // Safe: each byte is compared with the next; both ranges lie in the buffer.
        return unsafe withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return true }
            return unsafe memcmp(start, start + 1, bytes.count - 1) == 0
        }
    }
}
