internal import Storage
public import VHDX

// The adapters between the format and what the engine reads and writes.

extension ImageReader: BlockSource where File: ~Copyable {
    public var virtualSize: UInt64 { geometry.virtualSize }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        try contents(in: range).map(Extent.init)
    }
}

extension ImageWriter: BlockSource, BlockTarget where File: ~Copyable {
    public var virtualSize: UInt64 { geometry.virtualSize }

    public func extents(in range: Range<UInt64>) throws(VHDXError) -> [Extent] {
        try contents(in: range).map(Extent.init)
    }
}

extension Extent {
    fileprivate init(_ contents: ContentRange) {
        self.init(range: contents.range, state: contents.isZero ? .zero : .data)
    }
}
