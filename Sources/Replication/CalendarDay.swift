/// A day of the Gregorian calendar, which is also used for the time before there was one.
///
/// The arithmetic is safe for all years of four digits and some thousand around them.
struct CalendarDay: Equatable, Sendable {
    var year: Int
    /// 1 to 12.
    var month: Int
    /// 1 to ``count(ofMonth:in:)``.
    var day: Int

    /// Days in 400 years, after which the calendar repeats itself.
    private static let daysInCycle = 146_097
    /// Days from 1 March of the year 0 to 1 January 1970.
    private static let daysBefore1970 = 719_468

    /// Days of a month. Of a month whose year is unknown, the most that it may have; of an unknown
    /// month, 31.
    static func count(ofMonth month: Int?, in year: Int?) -> Int {
        switch month {
        case 2: year.map(isLeap) ?? true ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func isLeap(_ year: Int) -> Bool {
        year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
    }

    /// Counts days from 1 January 1970.
    var daysSince1970: Int {
        // In a year that begins in March the leap day is the last, and months have 153 days in
        // five.
        let yearFromMarch = month > 2 ? year : year - 1
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let cycle = yearFromMarch.flooredQuotient(400)
        let yearOfCycle = yearFromMarch - cycle * 400
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
        return cycle * Self.daysInCycle + dayOfCycle - Self.daysBefore1970
    }

    init(year: Int, month: Int, day: Int) {
        (self.year, self.month, self.day) = (year, month, day)
    }

    init(daysSince1970: Int) {
        let days = daysSince1970 + Self.daysBefore1970
        let cycle = days.flooredQuotient(Self.daysInCycle)
        let dayOfCycle = days - cycle * Self.daysInCycle
        let leapDays = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
        let yearOfCycle = (dayOfCycle - leapDays) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0)
    }
}

extension BinaryInteger {
    /// The quotient that is rounded down, where `/` rounds toward zero.
    ///
    /// - Precondition: the divisor is positive.
    func flooredQuotient(_ divisor: Self) -> Self {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
