/// The mark of a half-written image.
extension ImageBuilder {
    package static let applyMark = "3A6BE8B1-7002-487B-97C8-A92F205C5D24"
    package static let streamID = "0d15ea5e-0000-4000-8000-0000000000a1"

    /// A mark that may break any rule.
    package struct Mark: Sendable {
        package var version: UInt32 = 1
        package var streamID = ImageBuilder.streamID
        package var journalPath = Array("/a.vhdx.resync".utf8)
        /// The length of the path in the item, where it is another.
        package var pathByteCount: UInt32?
        package var flags: UInt32 = 4
        /// From the start of the metadata region.
        package var offset: UInt32 = 65536 + 8192

        /// A mark as it is written.
        package init() {}

        /// The item as it stands in the metadata region.
        package var encoded: [UInt8] {
            ImageBuilder.bytes(version)
                + ImageBuilder.bytes(pathByteCount ?? UInt32(journalPath.count))
                + ImageBuilder.bytes(ofGUID: streamID) + journalPath
        }
    }

    /// Marks the image as half-written.
    package mutating func addMark(_ mark: Mark = Mark()) {
        metadataItems.append(
            MetadataItem(
                identifier: Self.applyMark, offset: mark.offset, flags: mark.flags,
                content: mark.encoded))
    }
}
