extension CIMInterval {
    /// The time of day that a text like `18:30` or `18:30:15` says; nil for any other text.
    init?(timeOfDay text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count) else { return nil }
        var seconds = 0
        for (part, limit) in zip(parts, [24, 60, 60]) {
            let isDecimal = part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard part.count == 2, isDecimal, let number = Int(String(Substring(part))),
                number < limit
            else { return nil }
            seconds = seconds * 60 + number
        }
        self.init(.seconds(parts.count == 3 ? seconds : seconds * 60))
    }
}
