import Foundation
import Storage
import TestSupport
import Testing

@testable import Replication

@Suite("Figures of a replication service")
struct ServiceMetricsTests {
    private func value(_ name: String, _ machine: String, _ text: String) -> String? {
        let start = "vhdresync_\(name){machine=\"\(machine)\","
        let line = text.split(separator: "\n").first { $0.hasPrefix(start) }
        return line?.split(separator: " ").last.map(String.init)
    }

    @Test("They say what the store and the queue say, also after a restart")
    func figures() throws {
        let trial = try ServiceTrial((1...3).map { Inventory.machine($0) }, limit: 1)
        trial.call(1)
        trial.wait(seconds: 4)
        trial.end(1)
        trial.call(2)
        trial.end(2, ServiceTrial.network)
        let job = try #require(trial.call(3).job)
        job.report(JobFigures(bytesCompared: 7, bytesDiffering: 6, bytesSent: 5), share: 0.5)
        trial.call(2)
        let text = try trial.service.metrics().text
        for name in ServiceMetrics.names { #expect(text.contains("# TYPE vhdresync_\(name) ")) }
        #expect(value("replication_state", "vm1", text) == "3")
        #expect(value("replication_health", "vm2", text) == "3")
        #expect(value("resynchronizations_total", "vm1", text) == "1")
        #expect(value("resynchronization_network_failures_total", "vm2", text) == "1")
        #expect(value("sent_bytes_total", "vm1", text) == "5")
        #expect(value("resynchronization_seconds_total", "vm1", text) == "4.0")
        #expect(value("last_result_code", "vm2", text) == "32777")
        #expect(value("last_success_timestamp_seconds", "vm1", text) == "1800000004.0")
        #expect(value("last_result_code", "vm3", text) == nil)
        #expect(value("job_percent_complete", "vm3", text) == "50")
        #expect(value("job_compared_bytes", "vm3", text) == "7")
        #expect(value("job_state", "vm2", text) == "2")
        #expect(text.contains("\nvhdresync_transfers_running 1\n"))
        #expect(text.contains("\nvhdresync_transfers_waiting 1\n"))
        #expect(text.contains("\nvhdresync_transfers_limit 1\n"))
        #expect(text.contains("\nvhdresync_store_refusing 0\n"))
        try trial.restart()
        let after = try trial.service.metrics().text
        #expect(value("sent_bytes_total", "vm1", after) == "5")
    }

    @Test("Names are written as the format has them")
    func names() throws {
        var machine = Inventory.machine(1)
        machine.elementName = "a \"b\" \\ ä"
        let text = try ServiceTrial([machine]).service.metrics().text
        #expect(text.contains(#"{machine="a \"b\" \\ ä",relationship="Microsoft:"#))
    }

    @Test("The file is replaced when something happens, and what is wrong with it is told once")
    func file() throws {
        let folder = try TemporaryFolder()
        let text = Lock("one")
        let failures = Lock<[String]>([])
        let file = MetricsFile(
            folder.file("metrics.prom"), text: { () throws(StoreError) in text.withLock { $0 } },
            failed: { words in failures.withLock { $0.append(words) } })
        text.withLock { $0 = "two\n" }
        file.change()
        file.finish()
        let read = try String(contentsOfFile: folder.file("metrics.prom"), encoding: .utf8)
        #expect(read == "two\n")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names == ["metrics.prom"])
        let missing = MetricsFile(
            folder.file("missing/metrics.prom"), text: { () throws(StoreError) in "" },
            failed: { words in failures.withLock { $0.append(words) } })
        missing.finish()
        missing.finish()
        #expect(failures.withLock { $0.count } == 1)
    }
}
