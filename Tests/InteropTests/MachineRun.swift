internal import Dispatch
internal import Foundation
internal import Replication
internal import Storage
internal import TestSupport
internal import Testing

/// A machine in a folder, whose disks `machinerunner` makes new together, and which is looked at after it was
/// stopped.
struct StoppedMachine {
    let folder: String
    let pairs: MachinePairs
    private let programs: TemporaryFolder

    private static let name = "564D5B2A-0C5E-4B8F-9C7B-0D9A3E1F2A01"

    /// What was found after a stop, before anything was made of it.
    enum Standing: Hashable {
        /// Nothing was decided, and all disks are to the byte what they were.
        case old
        /// It was decided, and none, some or all disks are new.
        case decided, mixed, new
        /// It was decided and carried out.
        case finished
    }

    init(in folder: String) throws {
        self.folder = folder
        pairs = try MachinePairs(in: folder + "/disks")
        programs = try TemporaryFolder()
        let disks = (0..<pairs.count).map { index in
            #"{ "name": "d\#(index)", "path": "\#(pairs.primary(index))", "#
                + #""replica": "\#(index)-replica.vhdx" }"#
        }
        let text = """
            { "version": 1, "machines": [ { "name": "\(Self.name)", "elementName": "vm",
              "replicationMode": "primary", "disks": [ \(disks.joined(separator: ",\n")) ],
              "primaryRelationship": { "recoveryConnectionPoint": "\(folder)/disks" } } ] }
            """
        try Data(text.utf8).write(to: URL(filePath: inventory))
    }

    private var inventory: String { programs.file("inventory.json") }
    var state: String { folder + "/state" }

    /// The machine as it was before everything, durably, and no service has known it.
    func reset() throws {
        try pairs.reset()
        try? FileManager.default.removeItem(atPath: state)
        sync()
    }

    func start(_ environment: [String: String] = [:]) throws -> MachineRun {
        try MachineRun([inventory, state, "vm"], environment)
    }

    private var openDecision: OpenDecision? {
        get throws {
            guard FileManager.default.fileExists(atPath: state) else { return nil }
            let id = ReplicationRelationshipID(
                machineID: GUID(Self.name) ?? .zero, kind: .primary)
            return try StateStore(opening: state).read { (content) throws(StoreError) in
                try content.openDecision(of: id)
            }
        }
    }

    /// Looks at what a stop has left, and has another run go on. What is wrong is an issue.
    ///
    /// `hasDecided` says that the run has said so, `hasEnded` that it has come to its end.
    func standing(_ run: MachineRun.Report, _ label: String) throws -> Standing {
        let decision = try openDecision
        let new = try (0..<pairs.count).map { try pairs.isNew($0) }
        let standing: Standing
        if decision != nil {
            let areOld = try pairs.areOld
            standing = areOld ? .decided : new.allSatisfy(\.self) ? .new : .mixed
        } else if new.allSatisfy(\.self) {
            standing = .finished
        } else {
            standing = .old
            #expect(try pairs.areOld, "\(label): undecided, and changed")
            #expect(!run.hasDecided, "\(label): forgotten")
        }
        // What was decided is carried out without the primaries.
        let isAlone = decision != nil
        for index in 0..<pairs.count where isAlone {
            try FileManager.default.moveItem(
                atPath: pairs.primary(index), toPath: pairs.primary(index) + ".away")
        }
        let second = try start().report()
        for index in 0..<pairs.count where isAlone {
            try FileManager.default.moveItem(
                atPath: pairs.primary(index) + ".away", toPath: pairs.primary(index))
        }
        // A service whose job was over when it was stopped has nothing more to do.
        let isRefused = standing == .finished && second.isRefused
        #expect(second.isCompleted || isRefused, "\(label): \(second.lines)")
        #expect(try pairs.areNew, "\(label): not all new after a restart")
        #expect(!pairs.hasJournals, "\(label): a journal is left")
        #expect(try openDecision == nil, "\(label): a decision is left")
        return standing
    }
}

/// `machinerunner` under way, with its output in a pipe.
final class MachineRun {
    struct Report {
        var lines: [String]
        var hasDecided: Bool { lines.contains { $0.hasPrefix("decided") } }
        var isCompleted: Bool { lines.last?.hasPrefix("ended completed") == true }
        var isRefused: Bool { lines.last == "refused" }
    }

    private let program: SpeakingProgram

    init(_ arguments: [String], _ environment: [String: String]) throws {
        program = try SpeakingProgram("machinerunner", arguments, environment: environment)
    }

    /// Waits until it has said a word, or has ended.
    func wait(for word: String) {
        program.wait { $0.contains(word) }
    }

    /// What it has said by now.
    var reportSoFar: Report { Self.report(program.textSoFar) }

    func kill() { program.kill() }

    /// What it had said at its end, for which this waits.
    func report() -> Report { Self.report(program.text()) }

    private static func report(_ text: String) -> Report {
        Report(lines: text.split(separator: "\n").map(String.init))
    }
}
