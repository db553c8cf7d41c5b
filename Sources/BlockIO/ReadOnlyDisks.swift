public import Storage
public import VHDX

/// A disk of zeros: what a disk that does not exist yet would read as.
public struct ZeroDisk: BlockSource {
    public let virtualSize: UInt64

    public init(virtualSize: UInt64) {
        self.virtualSize = virtualSize
    }

    public func extents(in range: Range<UInt64>) -> [Extent] {
        range.isEmpty ? [] : [Extent(range: range, state: .zero)]
    }

    public func nextData(from offset: UInt64) -> UInt64 { virtualSize }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) {
        buffer.clear()
    }
}

/// A disk as it would read with another size: cut, or with zeros behind its end.
public struct ResizedDisk<Source: BlockSource & ~Copyable>: ~Copyable, BlockSource {
    public let virtualSize: UInt64
    private let source: Source

    public init(_ source: consuming Source, virtualSize: UInt64) {
        self.virtualSize = virtualSize
        self.source = source
    }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        let kept = range.clamped(to: 0..<source.virtualSize)
        var extents = kept.isEmpty ? [] : try source.extents(in: kept)
        let start = max(range.lowerBound, source.virtualSize)
        if start < range.upperBound {
            extents.append(Extent(range: start..<range.upperBound, state: .zero))
        }
        return extents
    }

    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        let size = source.virtualSize
        guard offset < size else { return max(offset, virtualSize) }
        let next = try source.nextData(from: offset)
        return next < size ? min(next, virtualSize) : virtualSize
    }

    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        let kept = range.clamped(to: 0..<source.virtualSize)
        return kept.isEmpty ? [] : try source.storedRanges(in: kept)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        let size = source.virtualSize
        let count = offset < size ? Int(min(UInt64(buffer.byteCount), size - offset)) : 0
        var new = buffer.part(count..<buffer.byteCount)
        new.clear()
        guard count > 0 else { return }
        var kept = buffer.part(0..<count)
        try source.read(into: &kept, at: offset)
    }

    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        range.upperBound <= source.virtualSize ? try source.mappedBytes(in: range) : nil
    }
}

/// A disk in the place of a target that must not be written to.
public struct ReadOnlyTarget<Source: BlockSource & ~Copyable>: ~Copyable, BlockTarget {
    private let source: Source

    public init(_ source: consuming Source) {
        self.source = source
    }

    public var virtualSize: UInt64 { source.virtualSize }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        try source.extents(in: range)
    }

    public func nextData(from offset: UInt64) throws(VHDXError) -> UInt64 {
        try source.nextData(from: offset)
    }

    public func storedRanges(in range: Range<UInt64>) throws(VHDXError) -> [StoredRange] {
        try source.storedRanges(in: range)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VHDXError) {
        try source.read(into: &buffer, at: offset)
    }

    public func mappedBytes(in range: Range<UInt64>) throws(VHDXError) -> MappedBytes? {
        try source.mappedBytes(in: range)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) {
        preconditionFailure("a comparison does not write")
    }

    public func writeZeros(_ range: Range<UInt64>) {
        preconditionFailure("a comparison does not write")
    }

    public func commitIfBatchIsFull() {}

    public func commit() {}
}
