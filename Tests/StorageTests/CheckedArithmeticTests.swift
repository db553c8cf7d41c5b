import Storage
import Testing

@Suite("Checked arithmetic")
struct CheckedArithmeticTests {
    @Test("A sum that fits is the sum; another throws")
    func adding() throws {
        #expect(try (UInt64.max - 5).adding(5) == .max)
        #expect(try UInt64(0).adding(0) == 0)
        #expect(throws: ArithmeticOverflow.self) { try (UInt64.max - 5).adding(6) }
        #expect(throws: ArithmeticOverflow.self) { try UInt64.max.adding(.max) }
    }

    @Test("Rounding up ends at the last multiple that fits")
    func roundingUp() {
        #expect(UInt64(0).roundedUp(toMultipleOf: .mebibyte) == 0)
        #expect(UInt64(1).roundedUp(toMultipleOf: .mebibyte) == 1 << 20)
        #expect(UInt64(1 << 20).roundedUp(toMultipleOf: .mebibyte) == 1 << 20)
        #expect(UInt64(1 << 20 | 1).roundedUp(toMultipleOf: .mebibyte) == 2 << 20)
        let last = UInt64.max - 0xF_FFFF
        #expect(last.roundedUp(toMultipleOf: .mebibyte) == last)
        #expect((last + 1).roundedUp(toMultipleOf: .mebibyte) == nil)
        #expect(UInt64.max.roundedUp(toMultipleOf: 2) == nil)
        #expect(UInt64.max.roundedUp(toMultipleOf: 1) == .max)
    }

    @Test("Rounding down keeps what is a multiple")
    func roundingDown() {
        #expect(UInt64(4095).roundedDown(toMultipleOf: 4096) == 0)
        #expect(UInt64(4096).roundedDown(toMultipleOf: 4096) == 4096)
        #expect(UInt64.max.roundedDown(toMultipleOf: 4096) == UInt64.max - 4095)
    }

    @Test("Division rounds up and does not overflow")
    func dividing() {
        #expect(UInt64(0).dividedRoundingUp(by: 7) == 0)
        #expect(UInt64(7).dividedRoundingUp(by: 7) == 1)
        #expect(UInt64(8).dividedRoundingUp(by: 7) == 2)
        #expect(UInt64.max.dividedRoundingUp(by: 2) == 1 << 63)
        #expect(UInt64.max.dividedRoundingUp(by: 1) == .max)
    }

    @Test("A range at an untrusted offset throws where its end does not fit")
    func ranges() throws {
        let range = try Range<UInt64>(at: .max - 1, count: 1)
        #expect(range.upperBound == .max)
        #expect(range.byteCount == 1)
        #expect(try Range<UInt64>(at: 0, count: .max).byteCount == .max)
        #expect(throws: ArithmeticOverflow.self) { try Range<UInt64>(at: .max, count: 1) }
    }

    @Test("Rounding to what is no power of two traps")
    func traps() async {
        await #expect(processExitsWith: .failure) {
            _ = UInt64(5).roundedUp(toMultipleOf: 3)
        }
        await #expect(processExitsWith: .failure) {
            _ = UInt64(5).roundedDown(toMultipleOf: 0)
        }
    }
}
