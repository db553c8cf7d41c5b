import Foundation
import Testing

@testable import Replication

@Suite("docs/operation.md")
struct OperationDocumentationTests {
    private func document() throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: "docs/operation.md"), encoding: .utf8)
    }

    @Test("Every event and every figure is listed, and every limit as it is")
    func eventsAndFigures() throws {
        let text = try document()
        for kind in ServiceEvent.Kind.allCases { #expect(text.contains("`\(kind.rawValue)`")) }
        for name in ServiceMetrics.names { #expect(text.contains("`\(name)`"), "\(name)") }
        #expect(text.contains("\(EventLog.waitingLineLimit) lines wait"))
        #expect(text.contains("with \(Int(JobHook.timeLimitSeconds)) seconds for each"))
        #expect(text.contains("\(JobHook.waitingLimit)\nruns may wait"))
        #expect(text.contains("every \(Int(MetricsFile.interval)) seconds"))
    }
}
