import FoundationEssentials
import Glibc
import Replication
import Resync
import Testing
import VHDX

@testable import Storage

@Suite struct ReturnCodeTests {
    /// Code, name and exit status as `docs/return-codes.md` lists them.
    private struct DocumentedCode: Equatable {
        var code: UInt32
        var name: String
        var exitStatus: Int32
    }

    @Test func documentationListsEveryCode() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appending(path: "docs/return-codes.md"), encoding: .utf8)
        let documented = text.split(separator: "\n").compactMap { line -> DocumentedCode? in
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard cells.count == 4, let code = UInt32(cells[0]), let status = Int32(cells[2])
            else { return nil }
            return DocumentedCode(code: code, name: cells[1], exitStatus: status)
        }
        let actual = ReturnCode.allCases.map { code in
            DocumentedCode(code: code.rawValue, name: code.name, exitStatus: code.exitStatus)
        }
        #expect(documented == actual)
        #expect(actual.count == 14)
    }

    @Test func exitStatusIsTheCodeLess32767() {
        for code in ReturnCode.allCases where code.rawValue > 4096 {
            #expect(code.exitStatus == Int32(code.rawValue) - 32767)
        }
        #expect(ReturnCode.completed.exitStatus == 0)
        #expect(ReturnCode.jobStarted.exitStatus == 0)
    }

    @Test func mapsFileErrors() {
        let cases: [(FileError, ReturnCode)] = [
            (.unexpectedEnd(path: "a", at: 0), .failed),
            (.locked(path: "a"), .systemInUse),
            (.notARegularFile(path: "a"), .incorrectDataType),
            (.alreadyExists(path: "a"), .invalidState),
            (.system(.open, path: "a", at: nil, errno: EACCES), .accessDenied),
            (.system(.open, path: "a", at: nil, errno: EPERM), .accessDenied),
            (.system(.open, path: "a", at: nil, errno: EROFS), .accessDenied),
            (.system(.open, path: "a", at: nil, errno: ENOENT), .fileNotFound),
            (.system(.open, path: "a", at: nil, errno: ENOTDIR), .fileNotFound),
            (.system(.read, path: "a", at: 0, errno: ENOMEM), .outOfMemory),
            (.system(.write, path: "a", at: 0, errno: ENOSPC), .failed),
            (.system(.read, path: "a", at: 0, errno: EIO), .failed),
        ]
        for (error, code) in cases {
            #expect(ReturnCode(error) == code, "\(error)")
            #expect(ReturnCode(VHDXError.file(error)) == code, "\(error)")
            #expect(ReturnCode(ResyncError.file(error)) == code, "\(error)")
        }
    }

    @Test func mapsImageErrors() {
        let cases: [(VHDXError, ReturnCode)] = [
            (.notVHDX(path: "a"), .incorrectDataType),
            (.truncated(.header, path: "a", at: 0, fileSize: 0), .failed),
            (.wrongSignature(.header, path: "a", at: 0), .failed),
            (.wrongChecksum(.header, path: "a", at: 0, stored: 0, computed: 1), .failed),
            (.invalidField(.header, field: "f", value: 0, path: "a", at: 0), .failed),
            (.noValidCopy(.header, .wrongSignature(.header, path: "a", at: 0)), .failed),
            (.ambiguous(.header, path: "a", at: 0), .failed),
            (.missing(.blockAllocationTable, path: "a"), .failed),
            (.overlap(.payloadBlock, path: "a", at: 0), .failed),
            (.noValidLogEntry(path: "a", at: 0), .failed),
            (.sequenceNumberExhausted(path: "a"), .failed),
            (.unsupported("differencing image", path: "a"), .notSupported),
            (
                .unfinishedApply(
                    path: "a", mark: ApplyMark(streamID: .zero, journalPath: "")),
                .invalidState
            ),
            (.limitExceeded("too large", path: "a"), .outOfMemory),
            (.outOfMemory(OutOfMemory(byteCount: 1)), .outOfMemory),
            (.invalidGeometry("no size"), .invalidParameter),
        ]
        for (error, code) in cases {
            #expect(ReturnCode(error) == code, "\(error)")
            #expect(ReturnCode(ResyncError.disk(.primary, error)) == code, "\(error)")
            #expect(ReturnCode(ResyncError.disk(.replica, error)) == code, "\(error)")
        }
    }

    @Test func mapsErrorsOfTheService() {
        let file = FileError.system(.open, path: "a", at: nil, errno: EROFS)
        let id = ReplicationRelationshipID(machineID: .zero, kind: .primary)
        let answer = SQLiteError.Answer(code: 1, text: "t")
        let cases: [(StoreError, ReturnCode)] = [
            (.file(file), .accessDenied), (.inUse(folder: "a"), .systemInUse),
            (.damaged(path: "a", reason: "r"), .failed), (.foreign(path: "a"), .incorrectDataType),
            (.laterVersion(path: "a", version: 2, known: 1), .notSupported),
            (.database(path: "a", .busy(answer)), .systemInUse),
            (.database(path: "a", .full(answer)), .failed),
            (.database(path: "a", .readOnly(answer)), .accessDenied),
            (.database(path: "a", .outOfMemory), .outOfMemory),
            (.database(path: "a", .unexpectedValue(column: "c", value: "v")), .failed),
            (.unknownRelationship(id), .systemNotAvailable), (.unknownJob("j"), .invalidParameter),
            (.resynchronizing(id, job: "j"), .systemInUse), (.unfinishedJob("j"), .invalidState),
            (.closed(folder: "a"), .systemNotAvailable),
        ]
        for (error, code) in cases {
            #expect(ReturnCode(error) == code, "\(error)")
        }
        #expect(ReturnCode(InventoryError.file(file)) == .accessDenied)
        #expect(ReturnCode(InventoryError.invalid([], more: 0)) == .invalidParameter)
    }

    @Test func mapsErrorsOfTheEngine() {
        let digest = BlockDigest(decoding: [UInt8](repeating: 0, count: 32).rawSpan, at: 0)
        let cases: [(ResyncError, ReturnCode)] = [
            (.notADigestMap(path: "a"), .incorrectDataType),
            (.damagedDigestMap(path: "a", what: "w", at: 0), .failed),
            (.unsupportedDigestMap(path: "a", version: 9), .notSupported),
            (.notADelta(path: "a"), .incorrectDataType),
            (.damagedDelta(path: "a", what: "w", at: 0), .failed),
            (.unsupportedDelta(path: "a", version: 9), .notSupported),
            (.incompleteDelta(path: "a"), .invalidState),
            (.invalidOption("o"), .invalidParameter),
            (.sameFile(primary: "a", replica: "b"), .invalidParameter),
            (.differentSizes(primary: 1, replica: 2), .invalidState),
            (.primaryChanged(path: "a"), .invalidState),
            (.proofFailed(primary: digest, replica: digest), .failed),
            (.contentDiffersAfterWriting(at: 0), .failed),
            (.outOfMemory(OutOfMemory(byteCount: 1)), .outOfMemory),
            (.stopped(.cancelled), .failed),
            (.stopped(.timeout), .timeout),
        ]
        for (error, code) in cases {
            #expect(ReturnCode(error) == code, "\(error)")
        }
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
