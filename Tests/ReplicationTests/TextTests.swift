import Testing

@testable import Replication

@Suite struct ByteTextTests {
    @Test func writesSizesInBinaryUnits() {
        let cases: [(UInt64, String)] = [
            (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (65536, "64.0 KiB"), (1_048_524, "1023.9 KiB"), (1_048_525, "1.0 MiB"),
            (1 << 20, "1.0 MiB"), (4 << 30, "4.0 GiB"), (64 << 40, "64.0 TiB"),
            (1 << 50, "1.0 PiB"), (1 << 60, "1.0 EiB"), (.max, "16.0 EiB"),
        ]
        for (size, text) in cases {
            #expect(ByteText.size(size) == text, "\(size)")
        }
    }

    @Test func writesSharesInTheUnitOfTheWhole() {
        let cases: [(UInt64, UInt64, String)] = [
            (0, 512, "0 of 512 B"), (512 << 20, 4 << 30, "0.5 of 4.0 GiB"),
            (0, 4 << 30, "0.0 of 4.0 GiB"), (4 << 30, 4 << 30, "4.0 of 4.0 GiB"),
            (524_288, 1_048_525, "0.5 of 1.0 MiB"),
        ]
        for (part, whole, text) in cases {
            #expect(ByteText.share(part, of: whole) == text, "\(part) of \(whole)")
        }
    }

    @Test func writesRates() {
        #expect(ByteText.rate(bytesPerSecond: 3.1 * 0x1p30) == "3.1 GiB/s")
        for odd in [-1, .nan, .infinity] {
            #expect(ByteText.rate(bytesPerSecond: odd) == "0 B/s")
        }
        #expect(ByteText.rate(bytesPerSecond: 1e30) == "8.0 EiB/s")
        #expect(ByteText.blocks(1) == "1 block")
        #expect(ByteText.blocks(0) == "0 blocks")
    }
}

@Suite struct DurationSecondsTests {
    @Test func roundsToMilliseconds() {
        #expect(Duration.microseconds(1_234_567).roundedSeconds == 1.235)
        #expect(Duration.milliseconds(1500).seconds == 1.5)
    }
}
