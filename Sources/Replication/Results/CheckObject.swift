package import VHDX

/// What `check --json` prints of a file that it could read. README.md documents the keys; they keep
/// their names, and all are always there.
package struct CheckObject: Encodable, Equatable {
    /// One image of a chain.
    struct Image: Encodable, Equatable {
        var path: String
        /// Nil where nothing was found.
        var worst: Nullable<String>
        var counts: Counts
        var unchecked: [String]
        var findings: [FindingObject]

        init(_ check: ImageCheck) {
            path = check.path
            worst = Nullable(check.worst?.rawValue)
            counts = Counts(
                error: check.count(of: .error), warning: check.count(of: .warning),
                notice: check.count(of: .notice))
            unchecked = check.unchecked.map(\.rawValue)
            findings = check.findings.map(FindingObject.init)
        }
    }

    struct Counts: Encodable, Equatable {
        var error: UInt64
        var warning: UInt64
        var notice: UInt64
    }

    struct FindingObject: Encodable, Equatable {
        var severity: String
        var rule: String
        var section: String
        var structure: String
        var offset: Nullable<UInt64>
        var value: Nullable<UInt64>
        var message: String
        var more: UInt64

        init(_ finding: Finding) {
            severity = finding.severity.rawValue
            rule = finding.rule.rawValue
            section = finding.rule.section
            structure = finding.structure.rawValue
            offset = Nullable(finding.fileOffset)
            value = Nullable(finding.value)
            message = finding.message
            more = finding.more
        }
    }

    var returnValue: UInt32
    var returnName: String
    var check: Image
    /// With `--chain`: from the image's own parent on.
    var parents: [Image]

    package init(_ checks: [ImageCheck], _ code: ReturnCode) {
        returnValue = code.rawValue
        returnName = code.name
        check = Image(checks[0])
        parents = checks.dropFirst().map(Image.init)
    }
}
