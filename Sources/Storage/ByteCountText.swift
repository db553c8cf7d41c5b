extension Int {
    /// A number of bytes as people write it: decimal digits, and K, M or G, in either case, for so
    /// many powers of 1024. Nil for any other text, and for a number that does not fit.
    public init?(byteCountText text: String) {
        let shifts: [UInt8: Int] = [
            UInt8(ascii: "k"): 10, UInt8(ascii: "m"): 20, UInt8(ascii: "g"): 30,
        ]
        // The bit that tells a capital letter from a small one.
        let shift = text.utf8.last.flatMap { shifts[$0 | 0x20] }
        let digits = shift == nil ? text[...] : text.dropLast()
        let isDecimal = digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isDecimal, let number = Int(digits) else { return nil }
        let (product, overflows) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        guard !overflows else { return nil }
        self = product
    }
}
