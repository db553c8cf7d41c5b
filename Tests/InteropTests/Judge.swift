internal import BlockIO
internal import Storage
internal import TestSupport
internal import VHDX

/// A reader of images, asked what a few bytes of a disk are.
enum Judge: String, CaseIterable {
    case ours, qemu, libvhdi, dissect

    /// What a reader makes of a range.
    enum Finding: Equatable {
        /// All its bytes have this value.
        case value(UInt8)
        /// Its bytes have several values.
        case mixed
        /// The reader opens the disk, or this range of it, not at all.
        case refused
    }

    /// What this reader finds in the ranges; one refusal where it refuses the disk or any of them.
    ///
    /// - Throws: ``ProgramFailure`` where it was not the reader that failed.
    func findings(
        in image: String, parents: [String] = [], at ranges: [Range<UInt64>]
    ) throws -> [Finding] {
        switch self {
        case .ours: try readingOurselves(image, ranges)
        case .qemu: try readingByQEMU(image, ranges)
        case .libvhdi: try reading(by: .libvhdi, image, parents, ranges)
        case .dissect: try reading(by: .dissect, image, parents, ranges)
        }
    }

    private func reading(
        by reader: OtherReader, _ image: String, _ parents: [String], _ ranges: [Range<UInt64>]
    ) throws -> [Finding] {
        guard try reader.refusal(of: image, parents: parents, ranges: ranges) == nil else {
            return [.refused]
        }
        return try reader.read(image, parents: parents, ranges: ranges).values
            .map { $0.map(Finding.value) ?? .mixed }
    }

    private func readingOurselves(_ image: String, _ ranges: [Range<UInt64>]) throws -> [Finding] {
        do throws(VHDXError) {
            let reader = try ImageReader(openingImageAt: image)
            var findings: [Finding] = []
            for range in ranges {
                var bytes = [UInt8](repeating: 0, count: Int(range.byteCount))
                try bytes.withMutableRawSpan { (span) throws(VHDXError) in
                    try reader.read(into: &span, at: range.lowerBound)
                }
                findings.append(Self.finding(of: bytes))
            }
            return findings
        } catch {
            return [.refused]
        }
    }

    private func readingByQEMU(_ image: String, _ ranges: [Range<UInt64>]) throws -> [Finding] {
        var findings: [Finding] = []
        for range in ranges {
            let command = "read -v \(range.lowerBound) \(range.byteCount)"
            let outcome = try QEMU.io([command], on: image, isReadOnly: true)
            guard outcome.isSuccess else { return [.refused] }
            // Lines of an offset with a colon, two blanks, sixteen bytes, two blanks, and text.
            let bytes = outcome.output.split(separator: "\n").flatMap { line in
                guard let start = line.firstRange(of: ":  ")?.upperBound else { return [UInt8]() }
                return line[start...].prefix(47).split(separator: " ")
                    .compactMap { UInt8($0, radix: 16) }
            }
            guard bytes.count == range.count else { throw ProgramFailure.failed(outcome) }
            findings.append(Self.finding(of: bytes))
        }
        return findings
    }

    private static func finding(of bytes: [UInt8]) -> Finding {
        Set(bytes).count == 1 ? .value(bytes[0]) : .mixed
    }
}
