internal import Storage

extension ImageBuilder {
    /// An entry of the log, [MS-VHDX] 2.3.1, that may break any rule.
    package struct LogEntry: Sendable {
        /// What an entry changes.
        package enum Descriptor: Sendable {
            /// A page of 4 KiB.
            case data(at: UInt64, [UInt8])
            case zero(at: UInt64, count: UInt64)
        }

        /// Where the entry starts, from the start of the log.
        package var position: UInt64
        package var sequenceNumber: UInt64
        /// Where the oldest entry that is still needed starts, from the start of the log.
        package var tail: UInt32
        package var logGUID: String
        package var descriptors: [Descriptor]
        package var flushedFileOffset: UInt64
        package var lastFileOffset: UInt64
        /// The number in the data sectors and descriptors, where it is another than the entry's.
        package var dataSequenceNumber: UInt64?

        /// An entry that needs only itself where no tail is given.
        package init(
            at position: UInt64, sequenceNumber: UInt64, tail: UInt32? = nil, logGUID: String,
            flushedFileOffset: UInt64, lastFileOffset: UInt64, _ descriptors: [Descriptor]
        ) {
            self.position = position
            self.sequenceNumber = sequenceNumber
            self.tail = tail ?? UInt32(truncatingIfNeeded: position)
            self.logGUID = logGUID
            self.flushedFileOffset = flushedFileOffset
            self.lastFileOffset = lastFileOffset
            self.descriptors = descriptors
        }

        /// The entry as it stands in the log, with its checksum.
        package var encoded: [UInt8] {
            typealias Builder = ImageBuilder
            let sectorCount = (descriptors.count + 2 + 127) / 128
            var sectors: [UInt8] = []
            var body: [UInt8] = []
            let sequence = dataSequenceNumber ?? sequenceNumber
            for descriptor in descriptors {
                switch descriptor {
                case .data(let offset, let page):
                    precondition(page.count == 4096)
                    body += Array("desc".utf8) + page.suffix(4) + page.prefix(8)
                    body += Builder.bytes(offset) + Builder.bytes(sequence)
                    sectors += Array("data".utf8) + Builder.bytes(UInt32(sequence >> 32))
                    sectors += page[8..<4092]
                    sectors += Builder.bytes(UInt32(truncatingIfNeeded: sequence))
                case .zero(let offset, let count):
                    body += Array("zero".utf8) + [0, 0, 0, 0] + Builder.bytes(count)
                    body += Builder.bytes(offset) + Builder.bytes(sequence)
                }
            }
            let byteCount = sectorCount * 4096 + sectors.count
            var bytes = Array("loge".utf8) + [0, 0, 0, 0]
            bytes += Builder.bytes(UInt32(byteCount)) + Builder.bytes(tail)
            bytes += Builder.bytes(sequenceNumber)
            bytes += Builder.bytes(UInt32(descriptors.count)) + [0, 0, 0, 0]
            bytes += Builder.bytes(ofGUID: logGUID)
            bytes += Builder.bytes(flushedFileOffset) + Builder.bytes(lastFileOffset)
            bytes += body
            bytes += [UInt8](repeating: 0, count: sectorCount * 4096 - bytes.count)
            return Builder.withChecksum(bytes + sectors)
        }

        /// Writes the entry into the circular log.
        func put(into file: MemoryFile, _ header: Header) {
            let bytes = encoded
            let length = UInt64(header.logLength)
            for start in stride(from: 0, to: bytes.count, by: 4096) {
                let position = (position + UInt64(start)) % length
                file.put(Array(bytes[start..<(start + 4096)]), at: header.logOffset + position)
            }
        }
    }

    /// Sets the log GUID of both headers and adds entries that carry it.
    package mutating func useLog(_ guid: String, _ entries: [LogEntry]) {
        for slot in headers.indices { headers[slot]?.logGUID = guid }
        logEntries += entries
    }
}

// MARK: Damage

extension MemoryFile {
    /// Overwrites bytes without counting a call.
    package func put(_ bytes: [UInt8], at offset: UInt64) {
        content.write(bytes.rawSpan, at: offset)
    }

    /// Overwrites an integer, little-endian.
    package func put(_ value: some FixedWidthInteger, at offset: UInt64) {
        put(ImageBuilder.bytes(value), at: offset)
    }

    /// The bytes that lie there, without counting a call; zeros past the end.
    package func peek(at offset: UInt64, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let content = content
        bytes.withMutableRawSpan { _ = content.read(into: &$0, at: offset) }
        return bytes
    }

    /// A little-endian integer that lies there.
    package func peek<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type, at offset: UInt64
    ) -> T {
        peek(at: offset, count: T.bitWidth / 8).rawSpan.load(T.self, at: 0)
    }

    /// Inverts some bits of one byte.
    package func damage(at offset: UInt64, bits: UInt8 = 0xFF) {
        put(peek(at: offset, count: 1).map { $0 ^ bits }, at: offset)
    }

    /// Changes a field of headers, and puts their checksums right again.
    package func patchHeaders(
        _ value: some FixedWidthInteger, at field: Int, slots: [Int] = [0, 1]
    ) {
        for slot in slots { patch(value, at: field, in: UInt64(slot + 1) << 16, count: 4096) }
    }

    /// Changes a field of region tables, and puts their checksums right again.
    package func patchRegionTables(
        _ value: some FixedWidthInteger, at field: Int, copies: [Int] = [0, 1]
    ) {
        for copy in copies { patch(value, at: field, in: UInt64(copy + 3) << 16, count: 65536) }
    }

    /// Changes a field of a structure that has its checksum at offset 4, and puts that right again.
    package func patch(
        _ value: some FixedWidthInteger, at field: Int, in structure: UInt64, count: Int
    ) {
        var bytes = peek(at: structure, count: count)
        let stored = ImageBuilder.bytes(value)
        bytes.replaceSubrange(field..<(field + stored.count), with: stored)
        put(ImageBuilder.withChecksum(bytes), at: structure)
    }
}
