internal import Replication
internal import Resync
internal import Storage
internal import Transport

/// The values of options, from text. Each is nil, or an error, for a text of the wrong form.
enum OptionValues {
    /// A power of two from 4 KiB to 16 MiB: bytes, or a number with K, M or G.
    static func blockSize(_ text: String) throws(UsageError) -> Int {
        let range = ResyncOptions.blockSizes
        guard let size = Int(byteCountText: text), range.contains(size), size.nonzeroBitCount == 1
        else {
            throw .invalid("the block size must be a power of two from 4K to 16M, not '\(text)'")
        }
        return size
    }

    static func jobs(_ text: String) throws(UsageError) -> Int {
        let range = ResyncOptions.workerCounts
        guard let count = digits(text), range.contains(count) else {
            throw .invalid("the number of jobs must be 1 to \(range.upperBound), not '\(text)'")
        }
        return count
    }

    static func comparison(_ text: String) throws(UsageError) -> Comparison {
        guard let comparison = Comparison(rawValue: text) else {
            throw .invalid("disks are compared by 'hash' or 'bytes', not by '\(text)'")
        }
        return comparison
    }

    static func hashProvider(_ text: String) throws(UsageError) -> HashProvider {
        guard let provider = HashProvider(rawValue: text) else {
            throw .invalid("digests are computed by 'auto' or 'openssl', not by '\(text)'")
        }
        return provider
    }

    static func cacheUse(_ text: String) throws(UsageError) -> CacheUse {
        guard let use = CacheUse(rawValue: text) else {
            throw .invalid("the page cache is left by 'keep' or 'drop', not by '\(text)'")
        }
        return use
    }

    static func format(_ text: String) throws(UsageError) -> DiskFormat {
        guard let format = DiskFormat(rawValue: text) else {
            throw .invalid("a disk's format is 'auto', 'vhdx' or 'raw', not '\(text)'")
        }
        return format
    }

    /// How a journal is applied.
    static func applyMethod(_ text: String) throws(UsageError) -> WriteMethod {
        switch text {
        case "replica": .journal
        case "clone": .clone
        default: throw .invalid("changes are applied to the 'replica' or a 'clone', not '\(text)'")
        }
    }

    static func progress(_ text: String) throws(UsageError) -> ProgressChoice {
        guard let choice = ProgressChoice(rawValue: text) else {
            throw .invalid("progress is 'auto', 'plain', 'json' or 'none', not '\(text)'")
        }
        return choice
    }

    /// Seconds, or a number with s, m or h; with a fraction if need be.
    static func timeout(_ text: String) throws(UsageError) -> Duration {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        var number = text[...]
        var unit = 1.0
        if let last = number.last, let known = units[last] {
            unit = known
            number.removeLast()
        }
        // Double itself would also accept "inf", "nan" and hexadecimal digits.
        let isPlain = number.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard isPlain, let value = Double(number), value > 0,
            value * unit <= Double(JobOptions.longestTimeout.components.seconds)
        else {
            throw .invalid("the timeout must be a time like 90, 1.5h, 30m or 10s, not '\(text)'")
        }
        return .seconds(value * unit)
    }

    /// Bytes in a second, at least 1 KiB; 2M are two megabytes as for a block size.
    static func rate(_ text: String) throws(UsageError) -> UInt64 {
        guard let rate = Int(byteCountText: text), rate >= 1024 else {
            throw .invalid(
                "the bandwidth limit must be bytes in a second like 500K or 20M, at least 1K, not "
                    + "'\(text)'")
        }
        return UInt64(rate)
    }

    static func retryCount(_ text: String) throws(UsageError) -> Int {
        guard let count = digits(text), count <= 1_000_000 else {
            throw .invalid("the number of retries must be 0 to 1000000, not '\(text)'")
        }
        return count
    }

    /// Seconds without a sign of life.
    static func idleTimeout(_ text: String) throws(UsageError) -> Double {
        let seconds: Double
        do throws(UsageError) {
            seconds = try timeout(text).seconds
        } catch {
            seconds = 0
        }
        guard (1...86400).contains(seconds) else {
            throw .invalid("the idle timeout must be 1 second to 24h, not '\(text)'")
        }
        return seconds
    }

    static func address(_ text: String) throws(UsageError) -> ListenAddress {
        do throws(TransportError) {
            return try ListenAddress(parsing: text)
        } catch {
            throw .invalid("\(error)")
        }
    }

    static func logFormat(_ text: String) throws(UsageError) -> LogFormat {
        guard let format = LogFormat(rawValue: text) else {
            throw .invalid("the format of the log must be 'text' or 'json', not '\(text)'")
        }
        return format
    }

    static func limit(
        _ text: String, _ option: Option, _ range: ClosedRange<Int>
    ) throws(UsageError) -> Int {
        guard let count = digits(text), range.contains(count) else {
            throw .invalid(
                "'--\(option.name)' must be \(range.lowerBound) to \(range.upperBound), not "
                    + "'\(text)'")
        }
        return count
    }

    /// A program with its first arguments.
    static func command(_ text: String, _ option: Option) throws(UsageError) -> [String] {
        guard let words = CommandWords.split(text) else {
            throw .invalid("a quote in the command of '--\(option.name)' does not end: \(text)")
        }
        guard let program = words.first, !program.isEmpty else {
            throw .invalid("the option '--\(option.name)' needs a command")
        }
        return words
    }

    /// A decimal number without a sign.
    private static func digits(_ text: some StringProtocol) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
