internal import Storage

/// The way from the top of a JSON text to a value in it: `machines[1].disks[0].replica`.
struct FieldPath: Hashable, Sendable {
    enum Step: Hashable, Sendable {
        case key(String)
        case index(Int)
    }

    var steps: [Step] = []

    func appending(_ step: Step) -> FieldPath {
        FieldPath(steps: steps + [step])
    }
}

extension FieldPath: CustomStringConvertible {
    /// Keys that are no names stand in brackets and quotes. Empty for the top.
    var description: String {
        var text = ""
        for step in steps {
            switch step {
            case .index(let index): text += "[\(index)]"
            case .key(let key) where Self.isName(key): text += text.isEmpty ? key : "." + key
            case .key(let key): text += "[\(key.quoted)]"
            }
        }
        return text
    }

    private static func isName(_ key: String) -> Bool {
        (1...64).contains(key.utf8.count)
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"):
                    true
                default:
                    false
                }
            }
    }
}

extension String {
    /// The text in quotes, for a message: without control characters, and not all of it where it is
    /// long.
    var quoted: String {
        let limit = 80
        let isLong = unicodeScalars.count > limit
        let start = isLong ? String(unicodeScalars.prefix(limit)) + "…" : self
        return "\"\(start.printable)\""
    }
}
