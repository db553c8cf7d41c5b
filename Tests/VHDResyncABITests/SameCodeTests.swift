import CVHDResync
import Foundation
import Replication
import Resync
import TestSupport
import Testing

/// A return code is the same number in Swift, in C, in the program's result and in its exit status.
@Suite struct SameCodeTests {
    private struct Case {
        var primary: String
        var replica: String
        var code: UInt32
        var isDryRun = true
    }

    private func expect(_ run: Case) async throws {
        let inC = resynchronize(
            run.primary, run.replica, .flags(run.isDryRun ? VHDRESYNC_DRY_RUN : 0))
        #expect(inC.code == run.code, "\(inC.error)")

        var options = JobOptions()
        options.resync.isDryRun = run.isDryRun
        let job = try BackgroundJob(
            .resynchronize(primary: run.primary, replica: run.replica), options: options)
        job.start()
        let ending = await job.ending()
        #expect(ending.code.rawValue == run.code)
        #expect(ending.errorDescription ?? "" == inC.error)

        let program = try Program.run(
            ["--json", run.primary, run.replica] + (run.isDryRun ? ["--dry-run"] : []))
        #expect(program.status == ending.code.exitStatus)
        for text in [program.output, ending.result.json, inC.value ?? ""] {
            let object = try JSONKeys.object(text)
            #expect(object["returnValue"] as? UInt32 == run.code)
            #expect(object["returnName"] as? String == ending.code.name)
        }
    }

    @Test func everyWayGivesTheSameCode() async throws {
        let pair = try DiskPair(dataByteCount: 1 << 20, virtualSize: 4 << 20)
        let larger = try DiskPair(dataByteCount: 1 << 20, virtualSize: 8 << 20)
        let (text, damaged) = (pair.folder.file("text"), pair.folder.file("damaged"))
        try Data("not an image, but long enough".utf8).write(to: URL(filePath: text))
        // Both headers are overwritten.
        var bytes = try DiskPair.bytes(of: pair.primary)
        bytes.replaceSubrange(65536..<196_608, with: Data(count: 131_072))
        try bytes.write(to: URL(filePath: damaged))

        for run in [
            Case(primary: pair.primary, replica: pair.replica, code: VHDRESYNC_COMPLETED),
            Case(primary: damaged, replica: pair.replica, code: VHDRESYNC_FAILED),
            Case(primary: pair.primary, replica: pair.primary, code: VHDRESYNC_INVALID_PARAMETER),
            Case(primary: pair.primary, replica: larger.replica, code: VHDRESYNC_INVALID_STATE),
            Case(primary: text, replica: pair.replica, code: VHDRESYNC_INCORRECT_DATA_TYPE),
            Case(primary: pair.primary, replica: text + "x", code: VHDRESYNC_FILE_NOT_FOUND),
        ] {
            try await expect(run)
        }
        // Who reads an image keeps others from writing to it.
        let image = ImageHandle.open(pair.replica).value
        try await expect(
            Case(
                primary: pair.primary, replica: pair.replica, code: VHDRESYNC_SYSTEM_IN_USE,
                isDryRun: false))
        #expect(vhdresync_image_close(image.pointer) == VHDRESYNC_COMPLETED)
    }
}
