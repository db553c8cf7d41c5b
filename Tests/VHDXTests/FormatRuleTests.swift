import Storage
import TestSupport
import Testing

@testable import VHDX

/// The rules of the format, each with images that break it and with those that just keep it. What the
/// other suites of this module say about whole ranges of values, this one says by example, in the
/// order of the table in docs/testing.md.
@Suite("Rules of the format")
struct FormatRuleTests {
    /// More calls than the dearest of these images needs, and far fewer than a walk through a
    /// length or a count that a hostile file names.
    private static let mostReads = 6_000
    private static let mostBytes: UInt64 = 32 << 20

    @Test("Every image is opened or refused as its rule says, and a refused one stays as it is")
    func everyRule() throws {
        for rule in RuleExample.all {
            switch rule.outcome {
            case .accepted: try expectAccepted(rule)
            case .refused(let error): try expectRefused(rule, error)
            case .readOnly(let error): try expectReadOnly(rule, error)
            }
        }
    }

    @Test("Each rule has an image")
    func everyNumber() {
        let numbers = Set(RuleExample.all.map(\.number))
        // 26 is no image but what happens to one, below.
        #expect(numbers.union([26]).isSuperset(of: 1...20))
        #expect(numbers.isSuperset(of: [25, 27, 28]))
        #expect(Set(RuleExample.all.map(\.description)).count == RuleExample.all.count)
    }

    @Test("26: a file that shrinks while it is open is an error of that read, and of later ones")
    func shrinkingFile() throws {
        var builder = ImageBuilder(virtualSize: 8 << 20)
        builder.addAllBlocks()
        let file = builder.build()
        let reader = try ImageReader(file)
        file.content.resize(to: 6 << 20)
        #expect(try reader.bytes(at: 0, count: 512) == [UInt8](0, 512))
        for offset: UInt64 in [2 << 20, 7 << 20, (2 << 20) - 256] {
            #expect(throws: VHDXError.self, "\(offset)") {
                try reader.bytes(at: offset, count: 512)
            }
        }
        #expect(file.counts.changes == 0)
        let size = file.content.byteCount
        let refused = VHDXError.truncated(.payloadBlock, path: path, at: 6 << 20, fileSize: size)
        #expect(refusal(of: file) == refused)
    }

    // MARK: Judging

    private func parent(of rule: RuleExample) throws -> ImageParent<MemoryFile>? {
        rule.hasParent ? try RuleExample.parent() : nil
    }

    private func expectRefused(_ rule: RuleExample, _ error: VHDXError) throws {
        let file = rule.build()
        #expect(try refusalByReader(file, rule) == error, "\(rule), reader")
        let before = file.content
        do {
            _ = try ImageWriter(file, parent: parent(of: rule)).geometry
            Issue.record("\(rule): opened for writing")
        } catch let writerError as VHDXError {
            #expect(writerError == error, "\(rule), writer")
        }
        expectUntouched(file, before, rule)
    }

    private func expectReadOnly(_ rule: RuleExample, _ error: VHDXError) throws {
        let file = rule.build()
        #expect(try refusalByReader(file, rule) == nil, "\(rule), reader")
        let before = file.content
        #expect(throws: error, "\(rule), writer") {
            let writer = try ImageWriter(file, parent: parent(of: rule))
            do {
                try writer.fill(1, count: 512, at: 0)
            } catch {
                writer.abandon()
                throw error
            }
            try writer.close()
        }
        expectUntouched(file, before, rule)
    }

    private func expectAccepted(_ rule: RuleExample) throws {
        let file = rule.build()
        #expect(try refusalByReader(file, rule) == nil, "\(rule), reader")
        do {
            let parent = try parent(of: rule)
            let reader = try ImageReader(file, parent: parent)
            let blockSize = reader.geometry.blockSize
            let first = try (0..<min(reader.geometry.payloadBlockCount, 8)).map { block in
                try reader.bytes(at: block * blockSize, count: 512)
            }
            let writer = try ImageWriter(file, parent: parent)
            try writer.fill(7, count: 512, at: 2 * blockSize)
            try writer.close()
            let again = try ImageReader(file, parent: parent)
            for (block, bytes) in first.enumerated() {
                let found = try again.bytes(at: UInt64(block) * blockSize, count: 512)
                #expect(found == (block == 2 ? [UInt8](7, 512) : bytes), "\(rule), block \(block)")
            }
        } catch {
            Issue.record("\(rule): \(error)")
        }
    }

    /// What stops a reader, which neither changes the file nor takes long.
    private func refusalByReader(_ file: MemoryFile, _ rule: RuleExample) throws -> VHDXError? {
        let parent = try parent(of: rule)
        let before = file.content
        file.resetCounts()
        let error = readingRefusal(of: file, parent: parent)
        expectUntouched(file, before, rule)
        #expect(file.counts.reads <= Self.mostReads, "\(rule)")
        #expect(file.counts.bytesRead <= Self.mostBytes, "\(rule)")
        return error
    }

    private func expectUntouched(_ file: MemoryFile, _ before: SparseBytes, _ rule: RuleExample) {
        #expect(file.content.byteCount == before.byteCount, "\(rule): size")
        #expect(file.content == before, "\(rule): bytes")
        #expect(file.counts.changes == 0, "\(rule): calls that change the file")
    }
}
