/// What a finding is about: a rule of [MS-VHDX], or something that it allows and that is odd.
///
/// The raw value is the identifier that people and scripts see. It never changes.
public enum FormatRule: String, CaseIterable, Sendable {
    // The file and its header section.
    case fileIdentifier = "file-identifier"
    case headerCut = "header-cut"
    case headerSignature = "header-signature"
    case headerChecksum = "header-checksum"
    case headerVersion = "header-version"
    case headerReserved = "header-reserved"
    case headerCurrent = "header-current"
    case headerSequence = "header-sequence"
    case headerExhausted = "header-exhausted"

    // The log.
    case logOffset = "log-offset"
    case logLength = "log-length"
    case logVersion = "log-version"
    case logCut = "log-cut"
    case logOverlap = "log-overlap"
    case logEntries = "log-entries"
    case logLimit = "log-limit"
    case logAbsent = "log-absent"
    case logDirty = "log-dirty"

    // Regions.
    case regionTableCut = "region-table-cut"
    case regionTableSignature = "region-table-signature"
    case regionTableChecksum = "region-table-checksum"
    case regionTableCount = "region-table-count"
    case regionTableReserved = "region-table-reserved"
    case regionTableCurrent = "region-table-current"
    case regionOffset = "region-offset"
    case regionLength = "region-length"
    case regionCut = "region-cut"
    case regionDuplicate = "region-duplicate"
    case regionOverlap = "region-overlap"
    case regionMissing = "region-missing"
    case regionUnknown = "region-unknown"
    case regionNotRequired = "region-not-required"

    // Metadata.
    case metadataSignature = "metadata-signature"
    case metadataCount = "metadata-count"
    case metadataReserved = "metadata-reserved"
    case itemOffset = "item-offset"
    case itemLength = "item-length"
    case itemFlags = "item-flags"
    case itemDuplicate = "item-duplicate"
    case itemOverlap = "item-overlap"
    case itemMissing = "item-missing"
    case itemUnknown = "item-unknown"
    case blockSize = "block-size"
    case fileParameterFlags = "file-parameter-flags"
    case virtualSize = "virtual-size"
    case logicalSectorSize = "logical-sector-size"
    case physicalSectorSize = "physical-sector-size"
    case parentLocator = "parent-locator"
    case fixedUnallocated = "fixed-unallocated"
    case unfinishedApply = "unfinished-apply"
    case applyMark = "apply-mark"

    // The block allocation table and the blocks.
    case tableLength = "bat-length"
    case tableReserved = "bat-reserved"
    case tableState = "bat-state"
    case bitmapState = "bat-bitmap-state"
    case bitmapMissing = "bat-bitmap-missing"
    case tableOffset = "bat-offset"
    case blockCut = "block-cut"
    case blockOverlap = "block-overlap"
    case unusedOffset = "bat-unused-offset"
    case retainedOffset = "bat-retained-offset"
    case strayEntries = "bat-stray"
    case blockOrder = "block-order"
    case shortLastBlock = "short-last-block"

    // The chain.
    case parentNotFound = "parent-not-found"
    case parentMismatch = "parent-mismatch"
    case parentOutside = "parent-outside"
    case parentLoop = "parent-loop"
    case parentSectorSize = "parent-sector-size"
    case parentDamaged = "parent-damaged"

    // The file as a whole.
    case fileSize = "file-size"
    case unusedSpace = "unused-space"
    /// A value that is wrong in no way that has a name here.
    case fieldValue = "field-value"

    /// Where [MS-VHDX] states the rule.
    public var section: String {
        switch self {
        case .fileIdentifier: "2.2.1"
        case .headerCut, .headerSignature, .headerChecksum, .headerVersion, .headerReserved,
            .headerCurrent, .headerSequence, .headerExhausted, .logOffset, .logLength,
            .logVersion, .logAbsent:
            "2.2.2"
        case .logCut, .logOverlap: "2.3"
        case .logEntries, .logLimit, .logDirty: "2.3.3"
        case .regionTableCut, .regionTableCurrent: "2.2.3"
        case .regionTableSignature, .regionTableChecksum, .regionTableCount,
            .regionTableReserved:
            "2.2.3.1"
        case .regionOffset, .regionLength, .regionCut, .regionDuplicate, .regionOverlap,
            .regionMissing, .regionUnknown, .regionNotRequired:
            "2.2.3.2"
        case .metadataSignature, .metadataCount, .metadataReserved: "2.6.1.1"
        case .itemOffset, .itemLength, .itemFlags, .itemDuplicate, .itemOverlap,
            .unfinishedApply, .applyMark:
            "2.6.1.2"
        case .itemMissing, .itemUnknown: "2.6.2"
        case .blockSize, .fileParameterFlags, .fixedUnallocated: "2.6.2.1"
        case .virtualSize: "2.6.2.2"
        case .logicalSectorSize: "2.6.2.4"
        case .physicalSectorSize: "2.6.2.5"
        case .parentLocator: "2.6.2.6"
        case .tableLength, .strayEntries: "2.5"
        case .tableReserved, .tableOffset: "2.5.1"
        case .tableState, .unusedOffset, .retainedOffset: "2.5.1.1"
        case .bitmapState, .bitmapMissing: "2.5.1.2"
        case .blockCut, .blockOverlap, .blockOrder, .shortLastBlock: "2.4"
        case .parentNotFound, .parentMismatch, .parentOutside, .parentLoop, .parentSectorSize,
            .parentDamaged:
            "2.6.2.6.3"
        case .fileSize, .unusedSpace, .fieldValue: "2.1"
        }
    }
}

extension FormatRule {
    /// The rule that an image with this error breaks.
    init(_ error: VHDXError) {
        switch error {
        case .notVHDX: self = .fileIdentifier
        case .truncated(let structure, _, _, _): self = Self.truncated(structure)
        case .wrongSignature(let structure, _, _): self = Self.signature(structure)
        case .wrongChecksum(.regionTable, _, _, _, _): self = .regionTableChecksum
        case .wrongChecksum: self = .headerChecksum
        case .invalidField(.parentLocator, _, _, _, _): self = .parentLocator
        case .invalidField(.applyMark, _, _, _, _): self = .applyMark
        case .invalidField(let structure, let field, _, _, _):
            self = Self.fields[Field(structure, field)] ?? .fieldValue
        case .noValidCopy(let structure, _), .ambiguous(let structure, _, _):
            self = structure == .header ? .headerCurrent : .regionTableCurrent
        case .missing(.metadataTable, _), .missing(.blockAllocationTable, _):
            self = .regionMissing
        case .missing: self = .itemMissing
        case .overlap(let structure, _, _): self = Self.overlap(structure)
        case .noValidLogEntry: self = .logEntries
        case .sequenceNumberExhausted: self = .headerExhausted
        case .limitExceeded: self = .logLimit
        case .parentNotFound: self = .parentNotFound
        case .parentMismatch: self = .parentMismatch
        case .parentOutsideFolders: self = .parentOutside
        case .parentLoop: self = .parentLoop
        case .parentSectorSize: self = .parentSectorSize
        case .unfinishedApply: self = .unfinishedApply
        case .file, .hasChild, .unsupported, .outOfMemory, .invalidGeometry: self = .fieldValue
        }
    }

    private static func truncated(_ structure: Structure) -> FormatRule {
        switch structure {
        case .file, .fileIdentifier: .fileIdentifier
        case .header: .headerCut
        case .log, .logEntry: .logCut
        case .regionTable: .regionTableCut
        case .payloadBlock, .sectorBitmap: .blockCut
        case .metadataTable, .fileParameters, .virtualDiskSize, .virtualDiskID,
            .logicalSectorSize, .physicalSectorSize, .metadataItem, .parentLocator,
            .applyMark, .blockAllocationTable:
            .regionCut
        }
    }

    private static func signature(_ structure: Structure) -> FormatRule {
        switch structure {
        case .regionTable: .regionTableSignature
        case .metadataTable: .metadataSignature
        default: .headerSignature
        }
    }

    private static func overlap(_ structure: Structure) -> FormatRule {
        switch structure {
        case .log: .logOverlap
        case .regionTable: .regionOverlap
        case .metadataTable: .itemDuplicate
        case .metadataItem: .itemOverlap
        default: .blockOverlap
        }
    }

    private struct Field: Hashable {
        var structure: Structure
        var name: String

        init(_ structure: Structure, _ name: String) {
            self.structure = structure
            self.name = name
        }
    }

    private static let fields: [Field: FormatRule] = [
        Field(.header, "version"): .headerVersion,
        Field(.header, "log offset"): .logOffset,
        Field(.header, "log length"): .logLength,
        Field(.header, "log version"): .logVersion,
        Field(.regionTable, "entry count"): .regionTableCount,
        Field(.regionTable, "file offset"): .regionOffset,
        Field(.regionTable, "length"): .regionLength,
        Field(.metadataTable, "entry count"): .metadataCount,
        Field(.metadataTable, "user entry count"): .metadataCount,
        Field(.metadataTable, "item offset"): .itemOffset,
        Field(.metadataTable, "item length"): .itemLength,
        Field(.metadataTable, "item flags"): .itemFlags,
        Field(.fileParameters, "length"): .itemLength,
        Field(.virtualDiskSize, "length"): .itemLength,
        Field(.virtualDiskID, "length"): .itemLength,
        Field(.logicalSectorSize, "length"): .itemLength,
        Field(.physicalSectorSize, "length"): .itemLength,
        Field(.fileParameters, "flags"): .fileParameterFlags,
        Field(.fileParameters, "block size"): .blockSize,
        Field(.virtualDiskSize, "size"): .virtualSize,
        Field(.logicalSectorSize, "size"): .logicalSectorSize,
        Field(.physicalSectorSize, "size"): .physicalSectorSize,
        Field(.blockAllocationTable, "region length"): .tableLength,
        Field(.blockAllocationTable, "reserved bits"): .tableReserved,
        Field(.blockAllocationTable, "state"): .tableState,
        Field(.blockAllocationTable, "sector bitmap state"): .bitmapState,
        Field(.blockAllocationTable, "sector bitmap state of a partially present block"):
            .bitmapMissing,
        Field(.blockAllocationTable, "file offset"): .tableOffset,
    ]
}
