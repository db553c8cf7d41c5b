/// Which release this is. `vhdresync.h` has the same text.
package enum ProductVersion {
    package static let text = "0.1.0"
}
