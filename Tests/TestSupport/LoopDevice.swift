internal import Foundation

/// A block device over a sparse file, for root. It ends with its owner.
package struct LoopDevice: ~Copyable {
    /// The device's name, `/dev/loop7` for example.
    package let path: String
    private let folder: TemporaryFolder

    /// Why there can be none here; nil where there can.
    package static let refusal: String? = {
        do {
            _ = try LoopDevice(byteCount: 1 << 20).path
            return nil
        } catch {
            return "no loop device can be made here: \(error)"
        }
    }()

    /// A device of zeros.
    package init(byteCount: UInt64) throws {
        let folder = try TemporaryFolder()
        let file = folder.file("device")
        try ExternalProgram.run("truncate", ["-s", "\(byteCount)", file]).requireSuccess()
        let made = try ExternalProgram.run("losetup", ["--find", "--show", file])
        path = try made.requireSuccess().output.trimmingCharacters(in: .whitespacesAndNewlines)
        self.folder = folder
    }

    deinit {
        _ = try? ExternalProgram.run("losetup", ["--detach", path])
    }
}
