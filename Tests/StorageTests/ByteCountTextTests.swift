import Storage
import Testing

struct ByteCountTextTests {
    @Test("Digits, and K, M or G behind them")
    func texts() {
        let cases: [(String, Int?)] = [
            ("0", 0), ("4096", 4096), ("64K", 65536), ("64k", 65536), ("1M", 1 << 20),
            ("2g", 2 << 30),
            ("8589934591G", 8_589_934_591 << 30), ("8589934592G", nil),
            ("9223372036854775807", .max),
            ("9223372036854775808", nil), ("", nil), ("K", nil), ("-1", nil), ("+1", nil),
            ("1.5M", nil),
            ("1T", nil), ("1KB", nil), (" 1", nil), ("1 K", nil), ("0x10", nil), ("\u{661}", nil),
            ("1\u{212A}", nil),
        ]
        for (text, count) in cases {
            #expect(Int(byteCountText: text) == count, "\(text)")
        }
    }
}
