internal import CVHDResync
internal import Replication
internal import Storage
internal import VHDX

/// An image that a caller has open for reading.
final class OpenImage: Sendable {
    private let reader: ImageReader<DiskFile>

    init(at path: String, parents: ParentSearch) throws(CodedError) {
        do throws(VHDXError) {
            reader = try ImageReader(openingImageAt: path, parents: parents)
        } catch {
            throw CodedError(error)
        }
    }

    /// Fills the buffer with content of the disk.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(CodedError) {
        let size = reader.geometry.virtualSize
        guard offset <= size, UInt64(buffer.byteCount) <= size - offset else {
            throw .invalid(
                "\(buffer.byteCount) bytes at \(offset) do not lie on a disk of \(size) bytes")
        }
        do throws(VHDXError) {
            try reader.read(into: &buffer, at: offset)
        } catch {
            throw CodedError(error)
        }
    }

    var description: vhdresync_image_description { vhdresync_image_description(reader.info) }
}

extension vhdresync_image_description {
    init(_ info: ImageInfo) {
        self.init()
        kind =
            switch info.kind {
            case .fixed: VHDRESYNC_KIND_FIXED
            case .dynamic: VHDRESYNC_KIND_DYNAMIC
            case .differencing: VHDRESYNC_KIND_DIFFERENCING
            }
        virtual_size = info.virtualSize
        file_size = info.fileSize
        payload_block_size = UInt32(info.payloadBlockSize)
        logical_sector_size = UInt32(info.logicalSectorSize)
        physical_sector_size = UInt32(info.physicalSectorSize)
        log_is_dirty = info.logIsDirty ? 1 : 0
        Self.put("\(info.virtualDiskID)", into: &virtual_disk_id)
        Self.put("\(info.dataWriteGUID)", into: &data_write_guid)
    }

    /// A text with a zero behind it: a GUID has 36 characters, and there is room for 40 bytes.
    private static func put<Field>(_ text: String, into field: inout Field) {
        // Safe: no more is written than the field holds, and its last byte stays zero.
        unsafe withUnsafeMutableBytes(of: &field) { bytes in
            unsafe bytes.copyBytes(from: text.utf8.prefix(bytes.count - 1))
        }
    }
}
