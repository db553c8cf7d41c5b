import Foundation
import Resync
import Storage
import Testing

@Suite("SHA-256")
struct SHA256Tests {
    /// FIPS 180-2 B.1 to B.3, and the digests that hashlib gives for zeros.
    private static let vectors: [(bytes: [UInt8], digest: String)] = [
        ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
        (
            [UInt8](repeating: 0, count: 65536),
            "de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31"
        ),
    ]

    @Test("Known answers, each from one context, twice")
    func knownAnswers() throws {
        var context = try SHA256Context()
        for (bytes, digest) in Self.vectors + Self.vectors {
            let computed = context.digest(of: bytes.rawSpan)
            #expect("\(computed)" == digest)
        }
    }

    @Test("A stream in pieces of any size has the digest of the whole")
    func streams() throws {
        var generator = SplitMix64(seed: 1)
        var context = try SHA256Context()
        for round in 0..<200 {
            let bytes = generator.bytes(count: Int.random(in: 0...5000, using: &generator))
            let whole = context.digest(of: bytes.rawSpan)
            var position = 0
            while position < bytes.count {
                let count = min(Int.random(in: 0...700, using: &generator), bytes.count - position)
                context.update(bytes.rawSpan.extracting(position..<(position + count)))
                position += count
            }
            #expect(context.finalize() == whole, "round \(round)")
        }
    }

    @Test("A digest forgets a stream that was not finished, and a finished stream leaves nothing")
    func startsAnew() throws {
        var context = try SHA256Context()
        let bytes = Array("abc".utf8)
        context.update(bytes.rawSpan)
        #expect("\(context.digest(of: bytes.rawSpan))" == Self.vectors[1].digest)
        #expect("\(context.finalize())" == Self.vectors[0].digest)
        context.update(bytes.rawSpan)
        #expect("\(context.finalize())" == Self.vectors[1].digest)
        #expect("\(context.finalize())" == Self.vectors[0].digest)
    }

    @Test("Agrees with the openssl command on random content")
    func agreesWithCommand() throws {
        var generator = SplitMix64(seed: 2)
        var context = try SHA256Context()
        for count in [1, 55, 56, 63, 64, 65, 4096, 65535, 65536, 1 << 20] {
            let bytes = generator.bytes(count: count)
            let file = FileManager.default.temporaryDirectory
                .appendingPathComponent("vhdresync-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            try Data(bytes).write(to: file)
            let output = try run("openssl", ["dgst", "-sha256", "-r", file.path])
            let digest = "\(context.digest(of: bytes.rawSpan))"
            #expect(output.hasPrefix(digest + " "), "\(count) bytes")
        }
    }

    @Test("Each thread's context is its own")
    func threads() throws {
        DispatchQueue.concurrentPerform(iterations: 8) { worker in
            guard var context = try? SHA256Context() else { return }
            var generator = SplitMix64(seed: UInt64(worker))
            for _ in 0..<50 {
                let bytes = generator.bytes(count: 4096)
                let first = context.digest(of: bytes.rawSpan)
                #expect(context.digest(of: bytes.rawSpan) == first)
            }
            let abc = Array("abc".utf8)
            #expect("\(context.digest(of: abc.rawSpan))" == Self.vectors[1].digest)
        }
    }
}
