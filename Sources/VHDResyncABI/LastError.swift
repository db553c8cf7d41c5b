internal import Glibc

/// The text of the last failure, one for each thread.
enum LastError {
    /// Where each thread keeps a copy of its own, which ends with it.
    private static let key: pthread_key_t? = {
        var key = pthread_key_t()
        // Safe: the call fills in the key, and what is kept under it is memory of `strdup`.
        return unsafe pthread_key_create(&key, { unsafe free($0) }) == 0 ? key : nil
    }()

    static var text: String {
        get {
            // Safe: what is there is a text that ends with a zero.
            unsafe String(cString: pointer)
        }
        set {
            guard let key else { return }
            // Safe: what this thread kept before is its own.
            let former = unsafe pthread_getspecific(key)
            let copy = unsafe newValue.isEmpty ? nil : strdup(newValue)
            unsafe pthread_setspecific(key, copy)
            unsafe free(former)
        }
    }

    /// The text as it stands in memory, until it is set again; never nil.
    static var pointer: UnsafePointer<CChar> {
        // Safe: under the key is a text that ends with a zero, or nothing.
        guard let key, let text = unsafe pthread_getspecific(key) else {
            return unsafe StaticText.empty.pointer
        }
        return unsafe UnsafePointer(text.assumingMemoryBound(to: CChar.self))
    }
}

/// A text that stays where it is until the process ends.
@safe struct StaticText: @unchecked Sendable {
    let pointer: UnsafePointer<CChar>

    static let empty = StaticText("")

    /// Makes a copy, which is never given back: to be called a limited number of times.
    init(_ text: String) {
        // Safe: the copy ends with a zero, and nobody changes it.
        guard let copy = unsafe strdup(text) else {
            preconditionFailure("no memory for the text '\(text)'")
        }
        unsafe pointer = UnsafePointer(copy)
    }
}
