internal import Synchronization

/// A number that threads share without a lock.
///
/// It stands on the heap. An atomic value inside a structure would be a part of the memory of an enum
/// that the structure is the payload of, and whoever asks for the enum's case reads that memory.
public final class SharedCount: Sendable {
    private let value: Atomic<UInt64>

    public init(_ value: UInt64 = 0) {
        self.value = Atomic(value)
    }

    public var current: UInt64 { value.load(ordering: .acquiring) }

    public func set(_ new: UInt64) {
        value.store(new, ordering: .releasing)
    }

    /// Adds, and gives the sum.
    @discardableResult
    public func add(_ count: UInt64) -> UInt64 {
        value.add(count, ordering: .acquiringAndReleasing).newValue
    }
}
