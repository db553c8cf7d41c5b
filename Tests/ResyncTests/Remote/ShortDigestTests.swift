import Storage
import TestSupport
import Testing

@testable import Resync

@Suite("Short digests")
struct ShortDigestTests {
    private static func hex(_ digest: ShortDigest) -> String { hex(fields(digest)) }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }

    private static func fields(_ digest: ShortDigest) -> [UInt8] {
        var fields = FieldWriter()
        fields.append(digest.value)
        return fields.bytes
    }

    @Test("They are what docs/protocol.md says, by a second reading of it")
    func vector() throws {
        let saltBytes: [UInt8] = [
            0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
            0xEE, 0xFF,
        ]
        let salt = GUID(decoding: saltBytes.rawSpan, at: 0)
        let leaves = [1, 2].map { byte in
            BlockDigest(decoding: [UInt8](repeating: byte, count: 32).rawSpan, at: 0)
        }
        let zeros = try ZeroDigests(virtualSize: 1 << 20, blockSize: 65536)
        var digester = try ShortDigester(salt: salt, zeros: zeros)
        let block = digester.digest(ofBlock: leaves[0])
        let node = digester.digest(ofNode: leaves[...])
        let range = digester.digest(ofRange: [node])
        let page = try documentation("protocol.md")
        for (level, digest, content) in [
            (0, block, leaves[0].bytes), (1, node, leaves.flatMap(\.bytes)),
            (2, range, Self.fields(node)),
        ] {
            let found = try runReference(
                [String(level), Self.hex(saltBytes), Self.hex(content)],
                script: "../short_digest.py")
            #expect(found == Self.hex(digest))
            #expect(page.contains("`\(found)`"))
        }
    }

    @Test("A node of zeros is one of zero blocks, at the end of the disk as well")
    func zeroNodes() throws {
        let zeros = try ZeroDigests(virtualSize: 100 * 4096 + 1, blockSize: 4096)
        var digester = try ShortDigester(salt: .random(), zeros: zeros)
        for blocks in [0..<64, 0..<64, 64..<101, 37..<101] as [Range<UInt64>] {
            let leaves = blocks.map { zeros.digest(ofBlock: $0) }
            let naive = digester.digest(ofNode: leaves[...])
            #expect(digester.digest(ofZeroNode: blocks) == naive)
        }
    }

    @Test("The page has the limits of all messages")
    func documentedLimits() throws {
        let page = try documentation("protocol.md").split(separator: "## Messages")[1]
        for kind in Message.Kind.allCases {
            let row = page.split(separator: "\n").first { $0.hasPrefix("| \(kind.rawValue) | ") }
            let limit = Message.maximumByteCount(kind)
            #expect(row?.hasSuffix(" | \(limit) |") == true, "\(kind) \(limit)")
        }
    }
}
