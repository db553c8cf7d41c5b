import Resync
import Testing

@testable import VHDResyncCommand

@Suite struct OptionValuesTests {
    @Test func readsBlockSizes() throws {
        let cases = [
            ("4096", 4096), ("4K", 4096), ("4k", 4096), ("64K", 65536), ("65536", 65536),
            ("1M", 1 << 20), ("1024K", 1 << 20), ("16m", 16 << 20), ("16777216", 16 << 20),
        ]
        for (text, size) in cases {
            #expect(try OptionValues.blockSize(text) == size, "\(text)")
        }
        let refused = [
            "", "K", "0", "1", "2048", "2K", "5000", "12K", "32M", "1G", "-4096", "+4096", "4 K",
            "4KiB", "0x1000", "4.0K", "9223372036854775807G", "99999999999999999999", "64Ｋ",
        ]
        for text in refused {
            #expect(throws: UsageError.self, "\(text)") { try OptionValues.blockSize(text) }
        }
    }

    @Test func readsTimeouts() throws {
        let cases: [(String, Duration)] = [
            ("1", .seconds(1)), ("1.5", .milliseconds(1500)), ("0.25", .milliseconds(250)),
            (".5s", .milliseconds(500)), ("90s", .seconds(90)), ("2m", .seconds(120)),
            ("1.5h", .seconds(5400)), ("8784h", .seconds(8784 * 3600)),
        ]
        for (text, duration) in cases {
            #expect(try OptionValues.timeout(text) == duration, "\(text)")
        }
        let refused = [
            "", "s", "0", "0.0h", "-1", "+1", "1e3", "inf", "nan", "0x10", "1..5", ".", "1d",
            "1 s", "8785h", "1m30s", "1,5",
        ]
        for text in refused {
            #expect(throws: UsageError.self, "\(text)") { try OptionValues.timeout(text) }
        }
    }

    @Test func readsJobCounts() throws {
        #expect(try OptionValues.jobs("1") == 1)
        #expect(try OptionValues.jobs("256") == 256)
        for text in ["", "0", "257", "-1", "+1", "1.0", "two", "99999999999999999999"] {
            #expect(throws: UsageError.self, "\(text)") { try OptionValues.jobs(text) }
        }
        #expect(ResyncOptions.workerCounts.contains(ResyncOptions.processorCount))
    }

    @Test func readsWords() throws {
        #expect(try OptionValues.comparison("hash") == .hash)
        #expect(try OptionValues.comparison("bytes") == .bytes)
        #expect(try OptionValues.progress("none") == .none)
        for text in ["", "HASH", "hash "] {
            #expect(throws: UsageError.self) { try OptionValues.comparison(text) }
            #expect(throws: UsageError.self) { try OptionValues.progress(text) }
        }
    }
}
