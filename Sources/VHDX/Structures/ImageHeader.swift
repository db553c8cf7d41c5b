internal import Storage

/// The structure that says which state of the file counts, [MS-VHDX] 2.2.2. It is stored twice.
///
///     offset  size  field
///          0     4  signature        "head"
///          4     4  checksum         CRC-32C of the 4096 bytes, with this field as zero
///          8     8  sequence number  the valid copy with the larger one is current
///         16    16  file write GUID  new before a writer first changes anything in the file
///         32    16  data write GUID  new before a writer first changes what a guest would see
///         48    16  log GUID         which log entries count; zero: none, the log is empty
///         64     2  log version      0
///         66     2  version          1
///         68     4  log length       bytes, a multiple of 1 MiB
///         72     8  log offset       bytes, a multiple of 1 MiB and at least 1 MiB
struct ImageHeader: Equatable, Sendable {
    /// The size in bytes.
    static let byteCount = 4096
    static let signature: UInt32 = 0x6461_6568
    static let checksumOffset = 4

    var sequenceNumber: UInt64
    var fileWriteGUID: GUID
    var dataWriteGUID: GUID
    var logGUID: GUID
    var logVersion: UInt16
    var logLength: UInt32
    var logOffset: UInt64

    /// The bytes of the file that the log occupies.
    ///
    /// - Precondition: ``checkLog(of:fileSize:at:)`` passed.
    var logRange: Range<UInt64> { logOffset..<logOffset + UInt64(logLength) }
}

extension ImageHeader {
    /// Decodes and checks the copy that was read from `position` in the file.
    init(decoding bytes: RawSpan, of path: String, at position: UInt64) throws(VHDXError) {
        precondition(bytes.byteCount == Self.byteCount)
        guard bytes.load(UInt32.self, at: 0) == Self.signature else {
            throw .wrongSignature(.header, path: path, at: position)
        }
        let stored = bytes.load(UInt32.self, at: Self.checksumOffset)
        let computed = CRC32C.checksum(of: bytes, withoutFieldAt: Self.checksumOffset)
        guard stored == computed else {
            throw .wrongChecksum(
                .header, path: path, at: position, stored: stored, computed: computed)
        }
        let version = bytes.load(UInt16.self, at: 66)
        guard version == 1 else {
            throw .invalidField(
                .header, field: "version", value: UInt64(version), path: path, at: position)
        }
        sequenceNumber = bytes.load(UInt64.self, at: 8)
        fileWriteGUID = GUID(decoding: bytes, at: 16)
        dataWriteGUID = GUID(decoding: bytes, at: 32)
        logGUID = GUID(decoding: bytes, at: 48)
        logVersion = bytes.load(UInt16.self, at: 64)
        logLength = bytes.load(UInt32.self, at: 68)
        logOffset = bytes.load(UInt64.self, at: 72)
    }

    /// Encodes the header with its checksum.
    func encode(into bytes: inout MutableRawSpan) {
        precondition(bytes.byteCount == Self.byteCount)
        bytes.clear()
        bytes.store(Self.signature, at: 0)
        bytes.store(sequenceNumber, at: 8)
        fileWriteGUID.encode(into: &bytes, at: 16)
        dataWriteGUID.encode(into: &bytes, at: 32)
        logGUID.encode(into: &bytes, at: 48)
        bytes.store(logVersion, at: 64)
        bytes.store(UInt16(1), at: 66)
        bytes.store(logLength, at: 68)
        bytes.store(logOffset, at: 72)
        let checksum = CRC32C.checksum(of: bytes.bytes, withoutFieldAt: Self.checksumOffset)
        bytes.store(checksum, at: Self.checksumOffset)
    }

    /// Real logs have 1 MiB, a few 16 or more. The limit bounds what replay has to remember.
    static let maximumLogLength: UInt32 = 256 << 20

    /// Checks where the log lies. Only the current header must pass.
    func checkLog(of path: String, fileSize: UInt64, at position: UInt64) throws(VHDXError) {
        try logErrors(of: path, fileSize: fileSize, at: position).throwFirst()
    }

    /// What is wrong with where the log lies and with how it is used.
    func logErrors(of path: String, fileSize: UInt64, at position: UInt64) -> [VHDXError] {
        func invalid(_ field: String, _ value: UInt64) -> VHDXError {
            .invalidField(.header, field: field, value: value, path: path, at: position)
        }
        var errors: [VHDXError] = []
        if !logOffset.isMultiple(of: .mebibyte) || logOffset < .mebibyte {
            errors.append(invalid("log offset", logOffset))
        }
        if !logLength.isMultiple(of: UInt32(UInt64.mebibyte)) || logLength > Self.maximumLogLength {
            errors.append(invalid("log length", UInt64(logLength)))
        }
        let (end, overflows) = logOffset.addingReportingOverflow(UInt64(logLength))
        if errors.isEmpty, overflows || end > fileSize {
            errors.append(.truncated(.log, path: path, at: logOffset, fileSize: fileSize))
        }
        if logGUID != .zero {
            if logVersion != 0 { errors.append(invalid("log version", UInt64(logVersion))) }
            if logLength == 0 { errors.append(invalid("log length", 0)) }
        }
        return errors
    }
}
