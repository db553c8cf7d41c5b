import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication
@testable import Resync

@Suite struct ResultObjectTests {
    private var report: DiskReport {
        var report = DiskReport(primary: "/p/a.vhdx", replica: "b.vhdx", blockSize: 65536)
        report.counts.virtualSize = 64 << 40
        report.counts.blocksTotal = 1 << 30
        report.counts.blocksSkipped = 1
        report.counts.blocksCompared = 2
        report.counts.blocksDiffering = 3
        report.counts.bytesRead = 4
        report.counts.bytesHashed = 5
        report.counts.bytesWritten = 6
        report.counts.blocksHeld = 7
        report.counts.bytesCompared = 8
        report.counts.bytesRecorded = 9
        report.counts.bytesApplied = 10
        report.counts.bytesVerified = 11
        report.recovery = .finished(journal: "b.vhdx.resync")
        report.output = DiskReport.OutputFile(path: "d", byteCount: 12)
        let bytes = (0..<32).map(UInt8.init)
        report.rootDigest = BlockDigest(decoding: bytes.rawSpan, at: 0)
        report.isVerified = true
        return report
    }

    @Test func hasExactlyTheDocumentedKeys() throws {
        let job = ConcreteJob()
        job.start()
        job.complete()
        for disk in [report, DiskReport(primary: "a", replica: nil, blockSize: 4096)] {
            let text = JSONText.object(ResultObject(.completed, job, disks: [disk]))
            let object = try JSONKeys.object(text)
            #expect(Set(object.keys) == JSONKeys.result)
            let job = try #require(object["job"] as? [String: Any])
            #expect(Set(job.keys) == JSONKeys.job)
            let disks = try #require(object["disks"] as? [[String: Any]])
            #expect(disks.map { Set($0.keys) } == [JSONKeys.disk])
        }
    }

    @Test func carriesTheReport() throws {
        let job = ConcreteJob()
        job.start()
        job.complete()
        let text = JSONText.object(ResultObject(.completed, job, disks: [report]))
        let object = try JSONKeys.object(text)
        #expect(object["returnValue"] as? Int == 0)
        #expect(object["returnName"] as? String == "Completed with No Error")
        let jobObject = try #require(object["job"] as? [String: Any])
        #expect(jobObject["instanceID"] as? String == job.properties.instanceID)
        #expect(jobObject["jobState"] as? Int == 7)
        #expect(jobObject["percentComplete"] as? Int == 100)
        #expect(jobObject["errorDescription"] is NSNull)
        let disk = try #require((object["disks"] as? [[String: Any]])?.first)
        #expect(disk["primary"] as? String == "/p/a.vhdx")
        #expect(disk["replica"] as? String == "b.vhdx")
        #expect(disk["virtualSize"] as? Int == 64 << 40)
        let numbers = [
            "blocksSkipped", "blocksCompared", "blocksDiffering", "bytesRead", "bytesHashed",
            "bytesWritten", "bytesSent", "bytesReceived", "blocksHeld",
        ].map { disk[$0] as? Int }
        #expect(numbers == [1, 2, 3, 4, 5, 6, 0, 0, 7])
        let phases = try #require(disk["phases"] as? [String: [String: Int]])
        #expect(
            phases == [
                "comparing": ["bytes": 8], "receiving": ["bytes": 9], "applying": ["bytes": 10],
                "verifying": ["bytes": 11],
            ])
        let recovery = try #require(disk["recovery"] as? [String: String])
        #expect(recovery == ["outcome": "finished", "journal": "b.vhdx.resync"])
        let output = try #require(disk["output"] as? [String: Any])
        #expect(Set(output.keys) == JSONKeys.output)
        #expect(output["bytes"] as? Int == 12)
        let digest = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        #expect(disk["rootDigest"] as? String == digest)
        #expect(disk["verified"] as? Bool == true)
        #expect(text.contains("\"/p/a.vhdx\""))
    }

    @Test func outcomesOfARecoveryHaveNames() {
        func recovery(_ outcome: ReplicaRecovery.Outcome) -> ResultObject.Recovery {
            ResultObject.Recovery(outcome)
        }
        #expect(recovery(.nothingToDo).outcome == "nothingToDo")
        #expect(recovery(.nothingToDo).journal == Nullable(nil))
        #expect(recovery(.unfinishedJournal("j")).outcome == "unfinishedJournal")
        #expect(recovery(.unfinishedJournal("j")).journal == Nullable("j"))
        // Nothing stands in the place of the primary where there is no journal.
        let disk = DiskReport(primary: "", replica: "r", blockSize: 4096)
        #expect(ResultObject.Disk(disk).primary == Nullable(nil))
    }

    @Test func unknownValuesAreNull() throws {
        let job = ConcreteJob()
        job.fail(.fileNotFound, "no such file")
        let disk = DiskReport(primary: "a", replica: nil, blockSize: 4096)
        let object = try JSONKeys.object(
            JSONText.object(ResultObject(.fileNotFound, job, disks: [disk])))
        #expect(object["returnValue"] as? Int == 32779)
        let jobObject = try #require(object["job"] as? [String: Any])
        #expect(jobObject["jobState"] as? Int == 10)
        #expect(jobObject["errorCode"] as? Int == 32779)
        #expect(jobObject["errorDescription"] as? String == "no such file")
        let first = try #require((object["disks"] as? [[String: Any]])?.first)
        #expect(first["replica"] is NSNull)
        #expect(first["rootDigest"] is NSNull)
        #expect(first["recovery"] is NSNull)
        #expect(first["output"] is NSNull)
        #expect(first["verified"] as? Bool == false)
    }
}
