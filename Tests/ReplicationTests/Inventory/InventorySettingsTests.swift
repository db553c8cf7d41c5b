import Foundation
import TestSupport
import Testing

@testable import Replication

@Suite("Settings of the inventory")
struct InventorySettingsTests {
    private func trial(service: String) throws -> InventoryTrial {
        try InventoryTrial.small.replacing(
            "\"machines\": [", with: "\"service\": {\(service)}, \"machines\": [")
    }

    private func trial(settings: String) throws -> InventoryTrial {
        try InventoryTrial.small.replacing("\"settings\": {}", with: "\"settings\": {\(settings)}")
    }

    private func settings(_ text: String) throws -> Inventory.ReplicationSettings {
        let machine = try trial(settings: text).inventory().machines[1]
        return try #require(machine.relationship).settings
    }

    @Test("Numbers of bytes, as numbers and as texts")
    func byteCounts() throws {
        #expect(try settings(#""blockSize": "1m""#).blockSize == 1 << 20)
        #expect(try settings(#""blockSize": 4096"#).blockSize == 4096)
        #expect(try settings(#""bandwidthLimit": "1G""#).bandwidthLimit == 1 << 30)
        #expect(try settings(#""bandwidthLimit": 1024"#).bandwidthLimit == 1024)
        let place = "25:90: machines[1].extendedRelationship.settings.blockSize: "
        let wrong: [(String, String)] = [
            ("2048", "2048"), ("5000", "5000"), ("33554432", "33554432"), ("65536.0", "65536.0"),
            ("-65536", "-65536"), ("1e9999", "1e9999"), ("\"64KB\"", "\"64KB\""),
            ("\"5000\"", "5000"), ("\"\"", "\"\""), ("\"K\"", "\"K\""),
            ("\"9999999999G\"", "\"9999999999G\""),
        ]
        for (value, shown) in wrong {
            let issues = try trial(settings: "\"blockSize\": \(value)").issues
            #expect(
                issues == [place + "must be a power of two from 4K to 16M, not \(shown)"],
                "\(value)")
        }
        #expect(
            try trial(settings: "\"blockSize\": true").issues
                == [place + "a number, or a text like \"64K\" is wanted here, not true"])
        #expect(
            try trial(settings: "\"bandwidthLimit\": 1023").issues == [
                "25:95: machines[1].extendedRelationship.settings.bandwidthLimit: must be bytes in a second "
                    + "like \"20M\", at least 1K, not 1023"
            ])
    }

    @Test("Whole numbers have their ranges")
    func ranges() throws {
        #expect(try settings(#""retryCount": 1000000"#).retryCount == 1_000_000)
        #expect(try settings(#""idleTimeoutSeconds": 86400"#).idleTimeoutSeconds == 86400)
        for text in [
            "\"retryCount\": -1", "\"retryCount\": 1000001", "\"retryCount\": 1.5",
            "\"retryCount\": 99999999999999999999", "\"idleTimeoutSeconds\": 0",
            "\"idleTimeoutSeconds\": 86401", "\"idleTimeoutSeconds\": \"60\"",
        ] {
            #expect(try trial(settings: text).issues.count == 1, "\(text)")
        }
        for text in ["0", "17", "null", "\"3\""] {
            #expect(
                try trial(service: "\"maximumActiveTransfers\": \(text)").issues.count == 1,
                "\(text)")
        }
        let limits = "\"maximumActiveTransfers\": 2, \"maximumActiveTransfersPerHost\": "
        #expect(try trial(service: limits + "2").issues == [])
        #expect(
            try trial(service: limits + "3").issues == [
                "6:77: service.maximumActiveTransfersPerHost: must be a whole number from 1 to 2, not 3"
            ])
        #expect(
            try trial(service: "\"maximumActiveTransfers\": 7").inventory().service
                .maximumActiveTransfersPerHost == 7)
    }

    @Test("The service's own paths and words")
    func service() throws {
        let cases: [(String, String)] = [
            ("\"hookCommand\": [\"hook\"]", "[0]: must be an absolute path, not \"hook\""),
            ("\"hookCommand\": []", ": the list is empty"),
            ("\"hookCommand\": \"/hook\"", ": a list is wanted here, not a text"),
            ("\"hookCommand\": [\"/hook\", \"\"]", "[1]: the text is empty"),
            ("\"logFormat\": \"xml\"", ": must be \"text\" or \"json\", not \"xml\""),
            ("\"metricsFile\": \"m.prom\"", ": must be an absolute path, not \"m.prom\""),
            ("\"metricsFile\": \"/m/\"", ": must be the path of a file, not \"/m/\""),
        ]
        for (text, end) in cases {
            let issues = try trial(service: text).issues
            #expect(issues.count == 1 && issues[0].hasSuffix(end), "\(issues)")
        }
        let words = try trial(service: "\"hookCommand\": [\"/a b\", \"-x\"]").inventory().service
        #expect(words.hookCommand == ["/a b", "-x"])
    }

    @Test("The interval of a day")
    func interval() throws {
        let settings = try settings(
            #""autoResynchronize": {"enabled": true, "intervalStart": "01:02:03"}"#)
        #expect(settings.autoResynchronize.isEnabled)
        #expect(settings.autoResynchronize.start.duration == .seconds(3723))
        #expect(settings.autoResynchronize.end == AutoResynchronizeWindow.unlessSaid.end)
        let place = "machines[1].extendedRelationship.settings.autoResynchronize"
        let cases: [(String, String)] = [
            (
                "{\"intervalEnd\": \"6:00\"}",
                ".intervalEnd: must be a time of day like \"18:30\" or "
                    + "\"18:30:15\", not \"6:00\""
            ),
            ("{\"enabled\": 1}", ".enabled: true or false is wanted here, not a number"),
            ("{\"enable\": true}", ".enable: an unknown key; is \"enabled\" meant?"),
        ]
        for (text, end) in cases {
            let issues = try trial(settings: "\"autoResynchronize\": \(text)").issues
            #expect(issues.count == 1 && issues[0].hasSuffix(place + end), "\(issues)")
        }
    }

    @Test("An interval is that of all relationships, key by key, and may end at its start")
    func inheritedInterval() throws {
        let trial = try InventoryTrial.small
            .replacing(
                "\"defaultSettings\": {",
                with: "\"defaultSettings\": {\"autoResynchronize\": {\"enabled\": true, "
                    + "\"intervalStart\": \"01:00\", \"intervalEnd\": \"02:00\"},"
            )
            .replacing(
                "\"settings\": {}",
                with: "\"settings\": {\"autoResynchronize\": {\"intervalEnd\": \"01:00\"}}")
        let windows = try trial.inventory().machines.compactMap(\.relationship)
            .map(\.settings.autoResynchronize)
        #expect(windows.map(\.isEnabled) == [true, true])
        #expect(windows.map(\.start.duration) == [.seconds(3600), .seconds(3600)])
        #expect(windows.map(\.end.duration) == [.seconds(7200), .seconds(3600)])
    }

    @Test("Settings that are not for a place are a mistake there, and none among the defaults")
    func purposes() throws {
        let values: [SettingsKey: String] = [
            .blockSize: "4096", .bandwidthLimit: "4096", .retryCount: "1",
            .idleTimeoutSeconds: "60",
            .journalFolder: "\"/j\"", .remoteShell: "[\"ssh\"]", .remoteCommand: "[\"vhdresync\"]",
            .autoResynchronize: "{}",
            .certificates: "{\"certificate\": \"/c\", \"key\": \"/k\", \"authorities\": \"/a\"}",
        ]
        let wrong: [(point: String, keys: Set<SettingsKey>)] = [
            (
                "/replicas",
                [
                    .bandwidthLimit, .retryCount, .idleTimeoutSeconds, .certificates, .remoteShell,
                    .remoteCommand,
                ]
            ),
            ("host:/r", [.certificates, .journalFolder]),
            ("vhdresync://h", [.remoteShell, .remoteCommand, .journalFolder]),
        ]
        for (point, keys) in wrong {
            for key in SettingsKey.allCases {
                let value = try #require(values[key])
                let trial = try InventoryTrial.small.replacing(
                    "\"/replicas\"",
                    with: "\"\(point)\", \"settings\": {\"\(key.rawValue)\": \(value)}")
                let issues = trial.issues
                #expect(issues.count == (keys.contains(key) ? 1 : 0), "\(point) \(key): \(issues)")
                for issue in issues {
                    #expect(issue.contains("\(key.rawValue): means nothing to this relationship: "))
                }
            }
        }
        let all = SettingsKey.allCases.map { "\"\($0.rawValue)\": \(values[$0] ?? "")" }
        let defaults = try InventoryTrial.small.replacing(
            "\"certificates\": { \"certificate\": \"/c.pem\", \"key\": \"/c.key\", \"authorities\": \"/ca\" }",
            with: all.joined(separator: ", "))
        #expect(defaults.issues == [])
    }

    @Test("Everything that is wrong is told, up to a limit")
    func limit() {
        func unknown(_ count: Int) -> InventoryTrial {
            let keys = (0..<count).map { "\"key\($0)\": 0" }.joined(separator: ",\n")
            return InventoryTrial(text: "{\"version\": 1, \"machines\": [],\n\(keys)}")
        }
        let limit = InventoryReader.issueLimit
        let all = unknown(limit).refusal
        #expect(all.more == 0)
        #expect(all.issues.map(\.position.line) == Array(2...(limit + 1)))
        let more = unknown(5000).refusal
        #expect(more.more == 5000 - limit)
        #expect(more.issues == all.issues)
        let text = InventoryError.invalid(more.issues, more: more.more).description
        #expect(text.hasSuffix("\nand 4950 more"))
    }

    @Test("A message does not steer a terminal")
    func control() throws {
        let file = "a\u{1B}.json"
        let error = #expect(throws: InventoryError.self) {
            try Inventory(parsing: Array("{\"\\u001b[2J\": \"\u{9B}\"}".utf8), file: file)
        }
        #expect("\(error, default: "")".hasPrefix("a\\u{1b}.json:1:1: version: missing\n"))
        #expect(
            !"\(error, default: "")".unicodeScalars.contains {
                $0.value == 0x1B || $0.value == 0x9B
            })
    }
}
