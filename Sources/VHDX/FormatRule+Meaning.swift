extension FormatRule {
    /// What it means for who wants to use an image that it breaks this rule.
    func meaning(of error: VHDXError) -> String {
        switch (self, error) {
        case (_, .unsupported(let what, _)), (_, .limitExceeded(let what, _)): what
        case (.itemMissing, .missing(let structure, _)):
            "the image has no usable \(structure.rawValue), which it must have"
        case (.regionMissing, .missing(let structure, _)):
            "the image has no usable region for the \(structure.rawValue), so that its content "
                + "cannot be found"
        case (_, .unfinishedApply(_, let mark)): "the image is half-written: \(mark)"
        case (.parentDamaged, _): "its parent cannot be used: \(error)"
        case (_, .parentNotFound), (_, .parentMismatch), (_, .parentOutsideFolders),
            (_, .parentLoop), (_, .parentSectorSize):
            "\(error)"
        case (.headerCurrent, .ambiguous), (.regionTableCurrent, .ambiguous):
            "both copies are valid and differ, so that nothing says which one counts"
        case (_, .truncated(_, _, _, let fileSize)):
            "the file was cut, or never written so far: it ends at \(fileSize), before this does"
        case (.headerCurrent, _), (.regionTableCurrent, _):
            "neither copy is valid"
        default: meaning
        }
    }

    /// What it means where that does not depend on what exactly is wrong.
    private var meaning: String {
        switch self {
        case .fileIdentifier: "the file does not begin as VHDX, so that no software takes it for it"
        case .headerSignature, .regionTableSignature: "this copy was overwritten"
        case .headerChecksum, .regionTableChecksum: "this copy is damaged or was written in part"
        case .headerVersion: "this copy is of an unknown version of the format"
        case .logOffset: "no log can lie there, so that its changes cannot be found"
        case .logLength: "no log can have this length, so that its changes cannot be found"
        case .logVersion: "the log must be replayed, and is of an unknown version"
        case .logOverlap: "the log and something else claim the same bytes of the file"
        case .logEntries: "the log must be replayed and has no whole entry: changes are lost"
        case .regionTableCount: "more regions are listed than there can be"
        case .regionOffset: "no region can lie there"
        case .regionLength: "no region can have this length"
        case .regionDuplicate: "the region is listed twice"
        case .regionOverlap: "the region and something else claim the same bytes of the file"
        case .metadataSignature: "the metadata were overwritten: the size of the disk is not known"
        case .metadataCount: "more metadata items are listed than there can be"
        case .itemOffset: "the metadata item cannot lie there"
        case .itemLength: "the metadata item cannot have this length"
        case .itemFlags: "the metadata item cannot be marked so"
        case .itemDuplicate: "a metadata item is listed twice"
        case .itemOverlap: "two metadata items claim the same bytes of the file"
        case .blockSize: "payload blocks cannot have this size, so that none can be found"
        case .fileParameterFlags: "the image is of a kind that is not defined"
        case .virtualSize: "the disk cannot have this size"
        case .logicalSectorSize, .physicalSectorSize: "sectors cannot have this size"
        case .tableLength: "the table has no room for all blocks of the disk"
        case .tableReserved: "bits that must be zero are set, so that the entry cannot be trusted"
        case .tableState: "the state is one that it cannot have, so that its content is not known"
        case .bitmapState: "a sector bitmap cannot have this state in this image"
        case .bitmapMissing:
            "blocks of its chunk are in part here and in part in the parent, and nothing says which"
        case .parentLocator: "the locator cannot be read, so that the parent cannot be found"
        case .applyMark: "the image is half-written, and the mark that says so cannot be read"
        case .tableOffset: "it cannot lie there, so that its content is lost"
        case .blockOverlap: "it and something else claim the same bytes of the file"
        default: "it has a value that the format forbids"
        }
    }
}
