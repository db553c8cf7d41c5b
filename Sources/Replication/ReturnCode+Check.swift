public import VHDX

extension ReturnCode {
    /// The code of images that were checked: that of the worst error found. Warnings and notices are
    /// a success.
    public init(_ checks: [ImageCheck]) {
        let errors = checks.flatMap(\.findings).filter { $0.severity == .error }
        let codes = Set(errors.map { ReturnCode(errorOf: $0.rule) })
        let worst: [ReturnCode] = [
            .incorrectDataType, .failed, .outOfMemory, .notSupported, .accessDenied,
            .invalidState, .fileNotFound,
        ]
        self = worst.first(where: codes.contains) ?? .completed
    }

    /// The code of an image that cannot be used for breaking this rule. No default: a rule that is
    /// added does not compile until someone has chosen its code.
    private init(errorOf rule: FormatRule) {
        switch rule {
        case .fileIdentifier:
            self = .incorrectDataType
        case .regionUnknown, .itemUnknown:
            self = .notSupported
        case .logLimit:
            self = .outOfMemory
        case .parentNotFound:
            self = .fileNotFound
        case .parentMismatch, .unfinishedApply:
            self = .invalidState
        case .parentOutside:
            self = .accessDenied
        case .headerCut, .headerSignature, .headerChecksum, .headerVersion, .headerReserved,
            .headerCurrent, .headerSequence, .headerExhausted, .logOffset, .logLength,
            .logVersion, .logCut, .logOverlap, .logEntries, .logAbsent, .logDirty,
            .regionTableCut, .regionTableSignature, .regionTableChecksum, .regionTableCount,
            .regionTableReserved, .regionTableCurrent, .regionOffset, .regionLength, .regionCut,
            .regionDuplicate, .regionOverlap, .regionMissing, .regionNotRequired,
            .metadataSignature, .metadataCount, .metadataReserved, .itemOffset, .itemLength,
            .itemFlags, .itemDuplicate, .itemOverlap, .itemMissing, .blockSize,
            .fileParameterFlags, .virtualSize, .logicalSectorSize, .physicalSectorSize,
            .parentLocator, .fixedUnallocated, .applyMark,
            .tableLength, .tableReserved, .tableState,
            .bitmapState, .bitmapMissing, .parentLoop, .parentSectorSize, .parentDamaged,
            .tableOffset, .blockCut, .blockOverlap, .unusedOffset,
            .retainedOffset, .strayEntries, .blockOrder, .shortLastBlock, .fileSize,
            .unusedSpace, .fieldValue:
            self = .failed
        }
    }
}
