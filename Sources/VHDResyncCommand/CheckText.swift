internal import Storage
internal import VHDX

/// What a check found, in words: a line for each finding, the worst first, and a verdict.
enum CheckText {
    static func text(_ checks: [ImageCheck]) -> String {
        checks.map { check in
            let severities = Finding.Severity.allCases.sorted(by: >)
            let lines = severities.flatMap { severity in
                check.findings.filter { $0.severity == severity }.map(line)
            }
            let unchecked = check.unchecked.map(\.rawValue).joined(separator: ", ")
            return lines.joined()
                + (unchecked.isEmpty ? "" : "not checked for that: \(unchecked)\n")
                + "\(check.path.printable): \(verdict(check))\n"
        }.joined(separator: "\n")
    }

    /// "error: bat-state (2.5.1.1): block allocation table at byte 3145728, 0x4: ..., and 5 more".
    static func line(_ finding: Finding) -> String {
        let place = finding.fileOffset.map { " at byte \($0)" } ?? ""
        let value = field(finding).map { ", 0x" + String($0, radix: 16) } ?? ""
        let more = finding.more > 0 ? "; and \(finding.more) more" : ""
        return "\(finding.severity.rawValue): \(finding.rule.rawValue) (\(finding.rule.section)): "
            + "\(finding.structure.rawValue)\(place)\(value): \(finding.message.printable)\(more)\n"
    }

    /// The value, where it is what stands in a field. The message says the other ones.
    private static func field(_ finding: Finding) -> UInt64? {
        switch finding.rule {
        case .unusedSpace, .fileSize, .shortLastBlock, .blockOrder, .strayEntries,
            .fixedUnallocated, .logDirty, .blockCut, .regionCut, .logCut, .headerCut,
            .regionTableCut:
            nil
        default: finding.value
        }
    }

    private static func verdict(_ check: ImageCheck) -> String {
        guard let worst = check.worst else { return "nothing to report" }
        let counts = Finding.Severity.allCases.sorted(by: >).compactMap { severity -> String? in
            let count = check.count(of: severity)
            guard count > 0 else { return nil }
            return "\(count) \(severity.rawValue)\(count == 1 ? "" : "s")"
        }.joined(separator: ", ")
        let meaning =
            switch worst {
            case .error: "no software may use it as it is"
            case .warning: "it can be used, and what is damaged or unfinished is covered"
            case .notice: "it is as the format has it"
            }
        return "\(counts): \(meaning)"
    }
}
