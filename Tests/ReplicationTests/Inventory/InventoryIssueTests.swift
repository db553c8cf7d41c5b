import Foundation
import TestSupport
import Testing

@testable import Replication

/// Each rule of the inventory, broken: the exact line, column, way and sentence.
@Suite("Mistakes in the inventory")
struct InventoryIssueTests {
    private struct Change {
        var old: String
        var new: String
        var issues: [String]

        init(_ old: String, _ new: String, _ issues: String...) {
            (self.old, self.new, self.issues) = (old, new, issues)
        }
    }

    private func expect(_ changes: [Change]) throws {
        for change in changes {
            let trial = try InventoryTrial.small.replacing(change.old, with: change.new)
            #expect(trial.issues == change.issues, "\(change.new)")
        }
    }

    @Test("What the changes start from is right")
    func start() {
        #expect(InventoryTrial.small.issues == [])
    }

    @Test("Text that is no JSON, and keys that stand twice")
    func syntax() throws {
        try expect([
            Change(
                "\"files\",", "\"files\"",
                "20:7: machines[1]: a comma or '}' is wanted here, not \"\"\""),
            Change(
                "\"version\": 1,", "\"version\": 1, \"version\": 1,",
                "2:17: version: the key stands twice in its object, first in line 2"),
            Change(
                "\"elementName\": \"mail\",", "\"name\": 1, \"elementName\": \"\",",
                "9:7: machines[0].name: the key stands twice in its object, first in line 8",
                "9:33: machines[0].elementName: the text is empty"),
        ])
        #expect(InventoryTrial(text: "").issues == ["1:1: the file ends here too early"])
        #expect(InventoryTrial(text: "7").issues == ["1:1: an object is wanted here, not a number"])
        #expect(
            InventoryTrial(text: "{}").issues == [
                "1:1: version: missing", "1:1: machines: missing",
            ])
    }

    @Test("Keys: unknown, missing, of another kind")
    func keys() throws {
        try expect([
            Change(
                "\"elementName\"", "\"elementname\"",
                "7:5: machines[0].elementName: missing",
                "9:7: machines[0].elementname: an unknown key; is \"elementName\" meant?"),
            Change(
                "\"machines\": [", "\"colour\": {\"a\": 1}, \"machines\": [",
                "6:3: colour: an unknown key"),
            Change(
                "\"data\",", "\"data\", \"repilca\": \"x\",",
                "13:27: machines[0].disks[1].repilca: an unknown key; is \"replica\" meant?"),
            Change("\"version\": 1,", "", "1:1: version: missing"),
            Change(
                "\"version\": 1", "\"version\": 2",
                "2:14: version: version 2 is not supported: this program knows version 1"),
            Change(
                "\"version\": 1", "\"version\": 0",
                "2:14: version: must be a whole number from 1 to 9223372036854775807, not 0"),
            Change("\"name\": \"system\", ", "", "12:9: machines[0].disks[0].name: missing"),
            Change(
                "\"name\": \"system\"", "\"name\": [\"system\"]",
                "12:19: machines[0].disks[0].name: a text is wanted here, not a list"),
            Change(
                "{ \"recoveryConnectionPoint\": \"/replicas\" }", "\"/replicas\"",
                "15:30: machines[0].primaryRelationship: an object is wanted here, not a text"),
            Change(
                "{ \"recoveryConnectionPoint\": \"/replicas\" }", "null",
                "15:30: machines[0].primaryRelationship: an object is wanted here, not null"),
            Change(
                "\"disks\": [\n        { \"name\": \"system\", \"path\": \"/vm/c.vhdx\", "
                    + "\"extendedReplica\": \"c.vhdx\" }\n      ]", "\"disks\": []",
                "21:16: machines[1].disks: the list is empty"),
            Change(
                "\"machines\": [", "\"service\": [], \"machines\": [",
                "6:14: service: an object is wanted here, not a list"),
            Change(
                "\"key\": \"/c.key\", ", "",
                "4:21: defaultSettings.certificates.key: missing",
                "25:36: machines[1].extendedRelationship.recoveryConnectionPoint: vhdresync:// is "
                    + "reached with certificates: certificates is missing, here in settings or in "
                    + "defaultSettings"),
        ])
    }

    @Test("Machines: GUIDs, names, modes")
    func machines() throws {
        try expect([
            Change(
                "\"{00000000-0000-0000-0000-00000000000b}\"",
                "\"00000000-0000-0000-0000-00000000000a\"",
                "18:15: machines[1].name: the same GUID as machines[0].name in line 8"),
            Change(
                "0000-00000000000A\"", "0000-00000000000\"",
                "8:15: machines[0].name: must be the GUID of a machine, not "
                    + "\"00000000-0000-0000-0000-00000000000\""),
            Change(
                "000A\"", "0000\"",
                "8:15: machines[0].name: must be the GUID of a machine, not "
                    + "\"00000000-0000-0000-0000-000000000000\""),
            Change(
                "\"files\"", "\"mail\"",
                "19:22: machines[1].elementName: the same name as machines[0].elementName in line 9"
            ),
            Change(
                "\"files\"", "\"00000000-0000-0000-0000-00000000000C\"",
                "19:22: machines[1].elementName: a GUID is no name for people"),
            Change(
                "\"files\"", "\"fi\\u001bles\"",
                "19:22: machines[1].elementName: the text holds control characters"),
            Change(
                "\"files\"", "\"\(String(repeating: "ü", count: 128))\"",
                "19:22: machines[1].elementName: the text has 256 bytes, more than 255"),
            Change(
                "\"replicationMode\": \"replica\"", "\"replicationMode\": \"extended\"",
                "20:26: machines[1].replicationMode: must be \"primary\" or \"replica\", not "
                    + "\"extended\""),
            Change(
                "\"replicationMode\": \"replica\"", "\"replicationMode\": 2",
                "20:26: machines[1].replicationMode: a text is wanted here, not a number"),
        ])
    }

    @Test("Relationships: which side has which")
    func relationships() throws {
        let points = "recoveryConnectionPoint"
        try expect([
            Change(
                "\"replicationMode\": \"primary\"", "\"replicationMode\": \"replica\"",
                "12:62: machines[0].disks[0].replica: a replica has none: the disk here is the replica",
                "13:60: machines[0].disks[1].replica: a replica has none: the disk here is the replica",
                "15:30: machines[0].primaryRelationship: a replica has none: it belongs to the inventory "
                    + "of the primary's host"),
            Change(
                "\"replicationMode\": \"replica\"", "\"replicationMode\": \"primary\"",
                "17:5: machines[1].primaryRelationship: missing",
                "22:9: machines[1].disks[0].replica: missing",
                "24:31: machines[1].extendedRelationship: a primary has none: it belongs to the machine "
                    + "that is the replica"),
            Change(
                "\"primaryRelationship\": { \"\(points)\": \"/replicas\" }",
                "\"primaryRelationship\": {}",
                "15:30: machines[0].primaryRelationship.\(points): missing"),
            Change(
                ", \"extendedReplica\": \"c.vhdx\"", "",
                "22:9: machines[1].disks[0].extendedReplica: missing"),
            Change(
                "\"replica\": \"b.vhdx\"", "\"replica\": \"b.vhdx\", \"extendedReplica\": \"x\"",
                "13:89: machines[0].disks[1].extendedReplica: the machine has no extendedRelationship"
            ),
            Change(
                "\"/replicas\"", "\"replicas\"",
                "15:59: machines[0].primaryRelationship.\(points): the folder must be an absolute path, "
                    + "not \"replicas\""),
            Change(
                "\"/replicas\"", "\"/replicas/../vm\"",
                "15:59: machines[0].primaryRelationship.\(points): the path leads upwards, "
                    + "\"/replicas/../vm\""),
            Change(
                "\"/replicas\"", "\"host:replicas\"",
                "15:59: machines[0].primaryRelationship.\(points): the folder must be an absolute path, "
                    + "not \"replicas\""),
            Change(
                "\"vhdresync://far.example/\"", "\"vhdresync://far.example:0/\"",
                "25:36: machines[1].extendedRelationship.\(points): vhdresync://far.example:0/ has a "
                    + "port that is no number from 1 to 65535"),
            Change(
                "\"vhdresync://far.example/\", \"settings\": {}",
                "\"vhdresync://far.example/\", \"settings\": { \"idleTimeoutSeconds\": 10 }",
                "25:36: machines[1].extendedRelationship.\(points): for vhdresync:// idleTimeoutSeconds "
                    + "must be 20 at least, not 10"),
        ])
    }

    @Test("Paths: relative ones, those that lead upwards, names of journals")
    func paths() throws {
        let disk = "machines[0].disks[0]"
        let within =
            "must be a path within the folder of recoveryConnectionPoint, without a slash in front"
        try expect([
            Change(
                "\"/vm/a.vhdx\"", "\"vm/a.vhdx\"",
                "12:37: \(disk).path: must be an absolute path, not \"vm/a.vhdx\""),
            Change(
                "\"/vm/a.vhdx\"", "\"/vm/../a.vhdx\"",
                "12:37: \(disk).path: the path leads upwards, \"/vm/../a.vhdx\""),
            Change(
                "\"/vm/a.vhdx\"", "\"/vm/a/\"",
                "12:37: \(disk).path: must be the path of a file, not \"/vm/a/\""),
            Change(
                "\"/vm/a.vhdx\"", "\"/\"",
                "12:37: \(disk).path: must be the path of a file, not \"/\""),
            Change(
                "\"/vm/a.vhdx\"", "\"/vm/a\\u0000\"",
                "12:37: \(disk).path: the text holds control characters"),
            Change(
                "\"/vm/a.vhdx\"", "\"/\(String(repeating: "a", count: 4095))\"",
                "12:37: \(disk).path: the text has 4096 bytes, more than 4095"),
            Change(
                "\"/vm/a.vhdx\"", "\"/vm/a.vhdx.resync\"",
                "12:37: \(disk).path: the name is that of a journal, \"/vm/a.vhdx.resync\""),
            Change(
                "\"a.vhdx\"", "\"/replicas/a.vhdx\"",
                "12:62: \(disk).replica: \(within), not \"/replicas/a.vhdx\""),
            Change(
                "\"a.vhdx\"", "\"../a.vhdx\"",
                "12:62: \(disk).replica: the path leads upwards, \"../a.vhdx\""),
            Change(
                "\"a.vhdx\"", "\"a.resync-clone\"",
                "12:62: \(disk).replica: the name is that of a journal, \"a.resync-clone\""),
            Change(
                "\"/replicas\"", "\"host:\"",
                "12:62: \(disk).replica: must be an absolute path, since recoveryConnectionPoint names no "
                    + "folder, not \"a.vhdx\"",
                "13:60: machines[0].disks[1].replica: must be an absolute path, since "
                    + "recoveryConnectionPoint names no folder, not \"b.vhdx\""),
            Change(
                "\"/c.key\"", "\"c.key\"",
                "4:55: defaultSettings.certificates.key: must be an absolute path, not \"c.key\"",
                "25:36: machines[1].extendedRelationship.recoveryConnectionPoint: vhdresync:// is "
                    + "reached with certificates: certificates is missing, here in settings or in "
                    + "defaultSettings"),
        ])
    }

    @Test("One disk, one name or one place for two")
    func duplicates() throws {
        let second = "machines[0].disks[1]"
        try expect([
            Change(
                "\"data\"", "\"system\"",
                "13:19: \(second).name: the same name as machines[0].disks[0].name in line 12"),
            Change(
                "\"/vm/b.vhdx\"", "\"/vm/./a.vhdx\"",
                "13:35: \(second).path: the same disk as machines[0].disks[0].path in line 12"),
            Change(
                "\"/vm/c.vhdx\"", "\"//vm/a.vhdx\"",
                "22:37: machines[1].disks[0].path: the same disk as machines[0].disks[0].path in line 12"
            ),
            Change(
                "\"b.vhdx\"", "\"./a.vhdx\"",
                "13:60: \(second).replica: the same file as machines[0].disks[0].replica in line 12"
            ),
            Change(
                "\"/replicas\"", "\"/vm\"",
                "12:62: machines[0].disks[0].replica: the replica is the disk of a machine, "
                    + "machines[0].disks[0].path in line 12",
                "13:60: \(second).replica: the replica is the disk of a machine, \(second).path in line 13"
            ),
            // To Unicode these are one name, and to a file system two.
            Change(
                "\"b.vhdx\"", "\"\u{E9}\", \"path\": \"/vm/e\u{301}\"",
                "13:65: \(second).path: the key stands twice in its object, first in line 13"),
        ])
        let twoNames = try InventoryTrial.small.replacing("\"a.vhdx\"", with: "\"\u{E9}\"")
            .replacing("\"b.vhdx\"", with: "\"e\u{301}\"")
        #expect(twoNames.issues == [])
    }

    @Test("A replica may be the disk of a replica, and of nobody else")
    func chains() throws {
        let chain = try InventoryTrial.small.replacing("/vm/c.vhdx", with: "/replicas/a.vhdx")
        #expect(chain.issues == [])
        let back = try chain.replacing("vhdresync://far.example/", with: "/vm")
            .replacing("\"extendedReplica\": \"c.vhdx\"", with: "\"extendedReplica\": \"b.vhdx\"")
        let extended = "machines[1].disks[0].extendedReplica"
        #expect(
            back.issues == [
                "22:76: \(extended): the replica is the disk of a machine, machines[0].disks[1].path in "
                    + "line 13"
            ])
        let circle = try chain.replacing("vhdresync://far.example/", with: "/replicas")
            .replacing("\"extendedReplica\": \"c.vhdx\"", with: "\"extendedReplica\": \"a.vhdx\"")
        #expect(
            circle.issues == [
                "22:76: \(extended): the same file as machines[0].disks[0].replica in line 12",
                "22:76: \(extended): the replica is the disk of a machine, machines[1].disks[0].path in "
                    + "line 22",
            ])
    }
}
