internal import Storage

/// The state of a payload block, [MS-VHDX] 2.5.1.1.
enum PayloadBlockState: UInt64, Sendable {
    /// Never written: reads as zeros here, from the parent in a differencing image.
    case notPresent = 0
    /// May hold anything; zeros here, and stays so.
    case undefined = 1
    case zero = 2
    /// Trimmed; zeros here, and stays so.
    case unmapped = 3
    case fullyPresent = 6
    /// Some sectors here, some in the parent. Differencing images only.
    case partiallyPresent = 7
}

/// One entry of the block allocation table, [MS-VHDX] 2.5.1.
///
///     bits    field
///     0-2     state
///     3-19    reserved, 0
///     20-63   file offset in MiB
struct BATEntry: Equatable, Sendable, BitwiseCopyable {
    static let byteCount = 8
    private static let stateMask: UInt64 = 7
    private static let reservedMask: UInt64 = 0xF_FFF8

    var rawValue: UInt64

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// - Precondition: the offset is a multiple of 1 MiB.
    init(state: PayloadBlockState, fileOffset: UInt64 = 0) {
        precondition(fileOffset.isMultiple(of: .mebibyte))
        rawValue = state.rawValue | fileOffset
    }

    var stateBits: UInt64 { rawValue & Self.stateMask }

    /// nil for the reserved states 4 and 5.
    var state: PayloadBlockState? { PayloadBlockState(rawValue: stateBits) }

    /// In bytes. Without meaning in the states not present and zero.
    var fileOffset: UInt64 { rawValue & ~(Self.stateMask | Self.reservedMask) }

    /// Whether the entry of a sector bitmap block, [MS-VHDX] 2.5.1.2, says that it is present.
    var isPresentBitmap: Bool { stateBits == PayloadBlockState.fullyPresent.rawValue }

    /// Whether the file has content for it, or it says what it must not: without either, and without a
    /// parent, the block reads as zeros.
    var mayHoldContent: Bool { stateBits > PayloadBlockState.unmapped.rawValue }

    var reservedBits: UInt64 { rawValue & Self.reservedMask }
}
