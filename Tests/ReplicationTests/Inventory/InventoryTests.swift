import Foundation
import Storage
import TestSupport
import Testing
import Transport

@testable import Replication

@Suite("The inventory")
struct InventoryTests {
    @Test("The example of the documentation is read as it says")
    func documentedExample() throws {
        let trial = try InventoryTrial.documented()
        #expect(trial.issues == [])
        let inventory = try trial.inventory()
        #expect(inventory.service.maximumActiveTransfers == 4)
        #expect(inventory.service.maximumActiveTransfersPerHost == 2)
        #expect(
            inventory.service.hookCommand == ["/etc/vhdresync/hook", "--notify", "ops@example.com"])
        #expect(inventory.service.logFormat == .json)
        #expect(
            inventory.machines.map(\.elementName) == ["mail", "files", "wiki", "wiki on the NAS"])
        #expect(inventory.machines.map(\.replicationMode.rawValue) == [1, 1, 1, 2])

        let mail = try #require(inventory.machine(called: "mail")?.primaryRelationship)
        #expect(mail.id.description == "Microsoft:564D5B2A-0C5E-4B8F-9C7B-0D9A3E1F2A01\\HVR\\0")
        #expect(
            mail.replicas
                == ["mail/system.vhdx", "mail/store.vhdx"].map {
                    .tls(host: "backup.example", port: 7443, path: $0)
                })
        #expect(mail.settings.bandwidthLimit == 10 << 20)
        #expect(mail.settings.blockSize == 65536)
        #expect(mail.settings.retryCount == 5)
        #expect(mail.settings.idleTimeoutSeconds == 60)
        #expect(mail.settings.certificates?.keyPath == "/etc/vhdresync/primary.example.key")

        let files = try #require(inventory.machine(called: "files")?.relationship)
        #expect(files.recoveryConnectionPoint.host == "second.example")
        #expect(
            files.replicas == [
                .ssh(user: "vhdresync", host: "second.example", path: "/srv/replicas/files.vhdx")
            ])
        #expect(files.settings.remoteShell.first == "ssh" && files.settings.remoteShell.count == 5)
        #expect(!files.settings.autoResynchronize.isEnabled)
        #expect(files.settings.autoResynchronize.start.duration == .seconds(66600))

        let wiki = try #require(inventory.machine(called: "wiki")?.relationship)
        #expect(wiki.replicas == [.local("/mnt/nas/replicas/wiki.vhdx")])
        #expect(wiki.recoveryConnectionPoint.host == nil)
        #expect(wiki.settings.bandwidthLimit == 20 << 20)

        let last = try #require(
            inventory.machine(called: "{564d5b2a-0c5e-4b8f-9c7b-0d9a3e1f2a04}")?.relationship)
        #expect(last.id.kind == .extended && last.id.description.hasSuffix("\\HVR\\1"))
        #expect(
            last.replicas == [
                .ssh(user: nil, host: "third.example", path: "/srv/replicas/wiki.vhdx")
            ])
        #expect(last.settings.autoResynchronize == .always)
        #expect(inventory.machine(called: "nobody") == nil)
    }

    @Test("What nobody says is as documented")
    func defaults() throws {
        let inventory = try InventoryTrial(text: #"{"machines":[],"version":1}"#).inventory()
        #expect(inventory == Inventory())
        #expect(inventory.service.maximumActiveTransfers == 3)
        let settings = Inventory.ReplicationSettings()
        #expect(settings.autoResynchronize == .unlessSaid)
        #expect(
            try InventoryTrial.small.inventory().machines[0].primaryRelationship?.settings.blockSize
                == 65536)
    }

    @Test("Places and paths there are put together as they would be on the command line")
    func places() throws {
        let cases: [(String, String, String)] = [
            ("/r", "a/b.vhdx", "/r/a/b.vhdx"), ("/r/", "a.vhdx", "/r/a.vhdx"),
            ("/", "a.vhdx", "/a.vhdx"), ("host:/r", "a.vhdx", "host:/r/a.vhdx"),
            ("me@host:", "/r/a.vhdx", "me@host:/r/a.vhdx"),
            ("[::1]:/r/", "a.vhdx", "[::1]:/r/a.vhdx"),
            ("vhdresync://h", "a.vhdx", "vhdresync://h/a.vhdx"),
            ("vhdresync://h/", "a.vhdx", "vhdresync://h/a.vhdx"),
            ("vhdresync://h:1/vm%20s", "100%.vhdx", "vhdresync://h:1/vm s/100%25.vhdx"),
        ]
        for (point, path, location) in cases {
            let place = try RecoveryConnectionPoint(parsing: point).location(of: path)
            #expect(place == (try DiskLocation(parsing: location)), "\(point) \(path)")
        }
    }

    @Test("Times of day")
    func timesOfDay() {
        #expect(CIMInterval(timeOfDay: "00:00")?.duration == .zero)
        #expect(CIMInterval(timeOfDay: "23:59:59")?.duration == .seconds(86399))
        for text in [
            "", "1:00", "24:00", "12:60", "12:00:60", "12", "12:00:00:00", "+1:00", "12:0 ",
            "１２:00",
        ] {
            #expect(CIMInterval(timeOfDay: text) == nil, "\(text)")
        }
    }

    @Test("A file is read; one that is none, or not there, is its own error")
    func files() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("inventory.json")
        try InventoryTrial.small.text.write(toFile: path, atomically: false, encoding: .utf8)
        #expect(try Inventory(contentsOf: path) == InventoryTrial.small.inventory())

        let missing = #expect(throws: InventoryError.self) {
            try Inventory(contentsOf: folder.file("none"))
        }
        #expect(missing.map(ReturnCode.init) == .fileNotFound)
        let notAFile = #expect(throws: InventoryError.self) {
            try Inventory(contentsOf: folder.path)
        }
        #expect(notAFile.map(ReturnCode.init) == .incorrectDataType)

        try "{\"version\": 1,\n \"machines\" []}".write(
            toFile: path, atomically: false, encoding: .utf8)
        let invalid = #expect(throws: InventoryError.self) { try Inventory(contentsOf: path) }
        #expect(invalid.map(ReturnCode.init) == .invalidParameter)
        #expect(
            "\(invalid, default: "")" == "\(path):2:13: machines: a colon is wanted here, not \"[\""
        )

        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: UInt64(JSONReader.lengthLimit) + 1)
        try handle.close()
        let long = #expect(throws: InventoryError.self) { try Inventory(contentsOf: path) }
        #expect("\(long, default: "")".hasSuffix(": more than 4194304 bytes"))
    }
}
