internal import Replication
internal import Storage
internal import Synchronization

/// Objects that C knows by a number in the form of a pointer.
///
/// No number is used twice, in this table or another, so one that means nothing is found out,
/// whatever the caller did with it. Nothing is ever read at the address that it would be.
final class HandleTable<Object: Sendable>: Sendable {
    private let kind: String
    private let objects = Lock<[UInt: Object]>([:])

    /// - Parameter kind: What the objects are, for messages: "job".
    init(of kind: String) {
        self.kind = kind
    }

    /// The handle of an object, which the table holds from now on.
    func insert(_ object: Object) -> OpaquePointer? {
        let number = HandleNumber.next()
        objects.withLock { $0[number] = object }
        // Safe: nobody reads what would be there.
        return unsafe OpaquePointer(bitPattern: number)
    }

    func object(for handle: OpaquePointer?) throws(CodedError) -> Object {
        let number = UInt(bitPattern: handle)
        guard let object = objects.withLock({ $0[number] }) else { throw unknown(number) }
        return object
    }

    /// Forgets an object: its handle means nothing any more.
    ///
    /// - Throws: ``CodedError`` too where another thread was faster.
    func remove(_ handle: OpaquePointer?) throws(CodedError) {
        let number = UInt(bitPattern: handle)
        let object = objects.withLock { $0.removeValue(forKey: number) }
        guard object != nil else { throw unknown(number) }
    }

    private func unknown(_ number: UInt) -> CodedError {
        number == 0
            ? .invalid("the \(kind) is missing: a null pointer")
            : .invalid("there is no such \(kind), or it was given back")
    }
}

/// The numbers of all tables.
private enum HandleNumber {
    private static let last = Atomic<UInt>(0)

    static func next() -> UInt {
        last.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
