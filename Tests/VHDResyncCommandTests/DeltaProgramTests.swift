import Foundation
import Glibc
import Replication
import TestSupport
import Testing
import VHDX

/// The built program with maps and deltas: a resynchronization that is carried from one machine to
/// another, and what `info` says of the files.
@Suite struct DeltaProgramTests {
    private func disk(_ ending: Program.Ending) throws -> [String: Any] {
        let object = try JSONKeys.object(ending.output)
        return try #require((object["disks"] as? [[String: Any]])?.first)
    }

    /// A pair with the replica's map and the delta that belongs to it.
    private struct Carried {
        let pair: DiskPair
        let map: String
        let delta: String

        init(_ options: [String] = []) throws {
            pair = try DiskPair(dataByteCount: 4 << 20)
            map = pair.folder.file("replica.map")
            delta = pair.folder.file("replica.delta")
            #expect(try Program.run(["map", pair.replica, "-o", map, "-q"] + options).status == 0)
            #expect(try Program.run(["diff", pair.primary, map, "-o", delta, "-q"]).status == 0)
        }
    }

    @Test func carriesAResynchronizationOnAStick() throws {
        let carried = try Carried()
        let pair = carried.pair
        let ending = try Program.run(["apply", carried.delta, pair.replica, "--json", "-q"])
        #expect(ending.status == 0, "\(ending.error)")
        let disk = try disk(ending)
        #expect(Set(disk.keys) == JSONKeys.disk)
        #expect(disk["primary"] as? String == carried.delta)
        #expect(disk["blocksDiffering"] as? Int == 48)
        #expect(disk["bytesWritten"] as? Int == 3 << 20)
        #expect(disk["verified"] as? Bool == true)
        let phases = try #require(disk["phases"] as? [String: [String: Int]])
        #expect(phases["comparing"] == ["bytes": 6 << 30])
        #expect(phases["applying"] == ["bytes": 3 << 20])
        #expect((phases["receiving"]?["bytes"] ?? 0) > 0)
        #expect(try pair.replicaIsCurrent())
        #expect(!FileManager.default.fileExists(atPath: pair.journal))

        let before = try DiskPair.bytes(of: pair.replica)
        let again = try Program.run(["apply", carried.delta, pair.replica])
        #expect(again.status == 0)
        #expect(again.output.hasPrefix("\(pair.replica) reads as \(carried.delta) says already\n"))
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func diffNamesTheDeltaAndItsSize() throws {
        let pair = try DiskPair(dataByteCount: 4 << 20)
        let delta = pair.folder.file("d")
        let ending = try Program.run(["diff", pair.primary, pair.replica, "-o", delta])
        #expect(ending.status == 0)
        let size = try DiskPair.bytes(of: delta).count
        #expect(ending.output.contains("  file:      \(delta), "), "\(ending.output)")
        let json = try Program.run([
            "diff", pair.primary, pair.replica, "-o", delta, "--json", "-q",
        ])
        let output = try #require(try disk(json)["output"] as? [String: Any])
        #expect(Set(output.keys) == JSONKeys.output)
        #expect(output["path"] as? String == delta)
        #expect(abs((output["bytes"] as? Int ?? 0) - size) < 64)
        #expect(try Program.run(["apply", delta, pair.replica]).status == 0)
        #expect(try pair.replicaIsCurrent())
    }

    @Test func aDeltaIsForOneDiskInOneState() throws {
        let carried = try Carried()
        let pair = carried.pair
        try QEMU.io(["write -P 7 1G 64k"], on: pair.replica).requireSuccess()
        let before = try DiskPair.bytes(of: pair.replica)
        let changed = try Program.run(["apply", carried.delta, pair.replica])
        #expect(changed.status == ReturnCode.invalidState.exitStatus)
        #expect(changed.error.contains(" does not apply to \(pair.replica): it builds on a disk "))
        #expect(changed.error.contains("; make a delta for it as it is: from its map, "))
        #expect(changed.error.hasSuffix("; the replica is as it was\n"))
        #expect(try DiskPair.bytes(of: pair.replica) == before)

        let smaller = pair.folder.file("small.vhdx")
        try ImageCreation.create(ImageSpecification(virtualSize: 5 << 30), at: smaller)
        let other = try Program.run(["apply", carried.delta, smaller])
        #expect(other.status == ReturnCode.invalidState.exitStatus)
        #expect(other.error.contains("the virtual sizes differ"))
        #expect(!other.error.contains("--grow"))
    }

    @Test func aDeltaInPlaceOfTheOneThatWasProvenIsRefused() throws {
        let carried = try Carried()
        let pair = carried.pair
        let before = try DiskPair.bytes(of: pair.replica)
        let other = try Carried()
        let running = try Program.Running(
            ["apply", carried.delta, pair.replica], launcher: SlowRun.launcher)
        while running.isRunning, !running.hasOpen(carried.delta) { usleep(1000) }
        try FileManager.default.moveItem(atPath: carried.delta, toPath: carried.delta + ".old")
        try FileManager.default.moveItem(atPath: other.delta, toPath: carried.delta)
        let ending = try running.wait()
        #expect(ending.status == ReturnCode.invalidState.exitStatus)
        #expect(
            ending.error.hasSuffix(
                "\(carried.delta) was changed while the replica was being read; the replica is as "
                    + "it was\n"), "\(ending.error)")
        #expect(try DiskPair.bytes(of: pair.replica) == before)
        #expect(!FileManager.default.fileExists(atPath: pair.journal))
    }

    @Test func damageAndOtherFilesAreRefused() throws {
        let carried = try Carried()
        let pair = carried.pair
        let before = try DiskPair.bytes(of: pair.replica)
        let whole = try DiskPair.bytes(of: carried.delta)
        var damaged = whole
        damaged[damaged.count / 2] ^= 1
        var later = whole
        later[16] = 9
        let cases: [(Data, ReturnCode, String, ReturnCode?)] = [
            (damaged, .failed, "is damaged: ", .failed),
            (later, .notSupported, "is not supported: delta of version 9", .notSupported),
            // Of an unfinished one something can be said.
            (whole.dropLast(200), .invalidState, "is incomplete", nil),
            (Data("no delta".utf8), .incorrectDataType, "is not a delta", .incorrectDataType),
        ]
        for (bytes, code, sentence, infoCode) in cases {
            try bytes.write(to: URL(filePath: carried.delta))
            let ending = try Program.run(["apply", carried.delta, pair.replica])
            #expect(ending.status == code.exitStatus, "\(ending.error)")
            #expect(ending.error.contains(sentence), "\(ending.error)")
            let info = try Program.run(["info", carried.delta, "--json"])
            #expect(info.status == (infoCode ?? .completed).exitStatus, "\(info.error)")
            guard infoCode == nil else { continue }
            let delta = try #require(try JSONKeys.object(info.output)["delta"] as? [String: Any])
            #expect(delta["isComplete"] as? Bool == false)
        }
        #expect(try DiskPair.bytes(of: pair.replica) == before)
    }

    @Test func infoUnderstandsWhatTheProgramMakes() throws {
        let carried = try Carried(["--block-size", "128K"])
        let mapText = try Program.run(["info", carried.map])
        #expect(mapText.status == 0)
        #expect(mapText.output.contains("kind:            digest map, version "))
        #expect(mapText.output.contains("blocks:          49152, 49144 of them zero\n"))
        let mapObject = try JSONKeys.object(
            try Program.run(["info", carried.map, "--json"]).output)
        #expect(Set(mapObject.keys) == ["returnValue", "returnName", "map"])
        let map = try #require(mapObject["map"] as? [String: Any])
        #expect(Set(map.keys) == JSONKeys.map)
        #expect(map["blockSize"] as? Int == 128 << 10)

        let text = try Program.run(["info", carried.delta])
        #expect(text.status == 0)
        #expect(text.output.contains("kind:             delta, version 1\n"), "\(text.output)")
        #expect(text.output.contains("state:            complete\n"))
        #expect(text.output.contains("blocks with data: 24\n"))
        let object = try JSONKeys.object(try Program.run(["info", carried.delta, "--json"]).output)
        #expect(Set(object.keys) == ["returnValue", "returnName", "delta"])
        let delta = try #require(object["delta"] as? [String: Any])
        #expect(Set(delta.keys) == JSONKeys.delta)
        #expect(delta["kind"] as? String == "delta")
        #expect(delta["isComplete"] as? Bool == true)
        #expect(delta["dataBlocks"] as? Int == 24)
        #expect(delta["usableBytes"] as? Int == (delta["fileSize"] as? Int ?? 0) - 144)
        for key in ["base", "source", "result"] {
            let state = try #require(delta[key] as? [String: Any])
            #expect(Set(state.keys) == JSONKeys.deltaState)
        }
        #expect(
            (delta["base"] as? [String: Any])?["rootDigest"] as? String
                == map["rootDigest"] as? String)

        // A map that is damaged is none.
        var bytes = try DiskPair.bytes(of: carried.map)
        bytes[80] ^= 1
        try bytes.write(to: URL(filePath: carried.map))
        let damaged = try Program.run(["info", carried.map])
        #expect(damaged.status == ReturnCode.failed.exitStatus)
        #expect(damaged.error.contains("\(carried.map) is damaged: "))
    }
}
