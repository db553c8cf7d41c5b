public import FoundationEssentials

/// When a resynchronization is to begin: the parameter `StartTime` of
/// `Msvm_ReplicationService.Resynchronize`.
public enum StartTime: Equatable, Sendable {
    /// Nothing was said, or a time that has passed.
    case now
    case at(Date)

    /// How far ahead a start may lie: what the cmdlets of Hyper-V allow.
    public static let longestDelay = Duration.seconds(7 * 24 * 3600)

    /// Of the `datetime`, or of none. One without an offset is what clocks in the zone show, which
    /// is the server's.
    ///
    /// - Throws: ``StartTimeError``.
    public init(_ text: String?, now: Date, zone: TimeZone) throws(StartTimeError) {
        guard let text else {
            self = .now
            return
        }
        let dateTime: CIMDateTime
        do throws(CIMDateTimeError) {
            dateTime = try CIMDateTime(parsing: text)
        } catch {
            throw .malformed(error)
        }
        switch dateTime {
        case .timestamp(let timestamp): try self.init(timestamp, now: now, zone: zone)
        case .interval: throw .interval
        }
    }

    private init(
        _ timestamp: CIMTimestamp, now: Date, zone: TimeZone
    ) throws(StartTimeError) {
        guard let date = timestamp.date(inZoneOfServer: zone) else { throw .incomplete }
        guard date > now else {
            self = .now
            return
        }
        let latest = now.addingTimeInterval(TimeInterval(Self.longestDelay.components.seconds))
        guard date <= latest else { throw .tooFarAhead(date, latest: latest) }
        self = .at(date)
    }
}

/// Why a `StartTime` is refused.
public enum StartTimeError: Error, Equatable {
    case malformed(CIMDateTimeError)
    /// An interval, where a point in time is asked for.
    case interval
    /// Asterisks stand for more than microseconds and offset.
    case incomplete
    case tooFarAhead(Date, latest: Date)
}

extension StartTimeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let error): "\(error)"
        case .interval: "a start time is a point in time, not an interval"
        case .incomplete:
            "a start time has asterisks for microseconds and offset alone"
        case .tooFarAhead(let date, let latest):
            "\(CIMTimestamp(date)) is more than 7 days ahead, after \(CIMTimestamp(latest))"
        }
    }
}

extension ReturnCode {
    /// The code of a call with such a `StartTime`: of another form, 32776; with another value,
    /// 32773.
    public init(_ error: StartTimeError) {
        switch error {
        case .malformed(let error): self.init(error)
        case .interval, .incomplete: self = .incorrectDataType
        case .tooFarAhead: self = .invalidParameter
        }
    }
}
