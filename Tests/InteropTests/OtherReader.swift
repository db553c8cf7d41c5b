internal import Foundation
internal import TestSupport
internal import VHDX

/// A library that others wrote, which reads VHDX through `read_disk.py`.
enum OtherReader: String, CaseIterable {
    /// Joachim Metz's, as Debian ships it.
    case libvhdi
    /// Fox-IT's `dissect.hypervisor`, from the Python package index.
    case dissect

    /// What a library says of a disk.
    struct Reading: Decodable {
        /// Bytes of the disk.
        var size: UInt64
        /// Which release of the library read it.
        var version: String
        /// SHA-256 in lower-case hexadecimal: of each range, or of the whole disk.
        var digests: [String]
        /// Of each range the value that all its bytes have, or nil where they differ.
        var values: [UInt8?]
        /// What the library says that the parent's file is called.
        var parentName: String?
    }

    private static let interpreter = TestImage.folder + "/../.build/oracles/bin/python"
    private static let script = TestImage.folder + "/../Tests/InteropTests/read_disk.py"
    /// The script's status where the library gave up.
    private static let refusal: Int32 = 3

    /// Reads some ranges, or the whole disk where none are given; with `atOnce` each in one call, else
    /// none crosses a multiple of 1 MiB.
    ///
    /// The parents are the parent, its parent, and so on. dissect is not told: it finds them itself.
    ///
    /// - Throws: ``ProgramFailure``, also where the library refuses.
    func read(
        _ image: String, parents: [String] = [], ranges: [Range<UInt64>] = [], atOnce: Bool = false
    ) throws -> Reading {
        let outcome = try run(image, parents, ranges, atOnce).requireSuccess()
        return try JSONDecoder().decode(Reading.self, from: Data(outcome.output.utf8))
    }

    /// The library's words where it gives up on the disk, nil where it reads it.
    ///
    /// - Throws: ``ProgramFailure`` where it was not the library that failed.
    func refusal(
        of image: String, parents: [String] = [], ranges: [Range<UInt64>] = [], atOnce: Bool = false
    ) throws -> String? {
        let outcome = try run(image, parents, ranges, atOnce)
        if outcome.status == Self.refusal { return outcome.errorOutput }
        try outcome.requireSuccess()
        return nil
    }

    /// Whether no image above the lowest has a block that this library misreads: libvhdi takes the parent
    /// for zeros, and the file for a bitmap.
    func canRead(_ images: [String]) throws -> Bool {
        guard self == .libvhdi else { return true }
        return try images.dropLast().allSatisfy { image in
            let info = try ImageInfo(ofImageAt: image)
            let states = info.blockStates
            let chunkSize = UInt64(info.logicalSectorSize) << 23
            return states.zero + states.unmapped + states.undefined == 0
                && states.partiallyPresent > 0 && info.virtualSize <= chunkSize
        }
    }

    private func run(
        _ image: String, _ parents: [String], _ ranges: [Range<UInt64>], _ atOnce: Bool
    ) throws -> ProgramOutcome {
        guard FileManager.default.isExecutableFile(atPath: Self.interpreter) else {
            throw ProgramFailure.notFound(rawValue)
        }
        var arguments = [Self.script, rawValue] + (atOnce ? ["--at-once"] : [])
        for range in ranges {
            arguments += ["--range", "\(range.lowerBound):\(range.upperBound - range.lowerBound)"]
        }
        arguments.append(image)
        if self == .libvhdi { arguments += parents }
        return try ExternalProgram.run(Self.interpreter, arguments)
    }
}
