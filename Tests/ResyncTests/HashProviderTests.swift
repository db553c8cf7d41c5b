import CSHA256
import Storage
import Testing

@testable import Resync

@Suite("Hash providers")
struct HashProviderTests {
    /// The kernel itself, also where it is not used because it was compiled without optimization.
    @Test(
        "Two messages at a time have the digests that OpenSSL computes, of each length and alignment",
        .enabled(if: csha256_has_pair() == 1, "this processor has no SHA instructions"))
    func agreesWithOpenSSL() throws {
        var generator = SplitMix64(seed: 3)
        var context = try SHA256Context(.openssl)
        let bytes = generator.bytes(count: 1 << 17)
        let lengths = Array(0...300) + [4095, 4096, 4097, 65535, 65536]
        for (index, length) in lengths.enumerated() {
            for offset in 0..<16 {
                let first = bytes.rawSpan.extracting(offset..<offset + length)
                let start = bytes.count - length - (index + offset) % 17
                let second = bytes.rawSpan.extracting(start..<start + length)
                let pair = HashProvider.digests(of: first, and: second)
                #expect(pair.first == context.digest(of: first), "\(length) bytes at \(offset)")
                #expect(pair.second == context.digest(of: second), "\(length) bytes at \(start)")
            }
        }
    }

    @Test(
        "A processor with SHA instructions uses them two messages at a time in a release build",
        .enabled(if: csha256_has_pair() == 1, "this processor has no SHA instructions"))
    func isUsed() {
        #expect(HashProvider.automatic.hashesPairs == (csha256_is_optimized() == 1))
        #expect(!HashProvider.openssl.hashesPairs)
    }

    @Test(
        "Any number of blocks, the last one short, on both sides: each digest in its place",
        arguments: HashProvider.allCases)
    func places(provider: HashProvider) throws {
        var generator = SplitMix64(seed: 4)
        var context = try SHA256Context(.openssl)
        let ofPrimary = generator.bytes(count: 5 * 4096)
        let ofReplica = generator.bytes(count: 5 * 4096)
        let places = (0..<5).map { $0 * 4096..<($0 + 1) * 4096 - ($0 == 4 ? 100 : 0) }
        for (primaryCount, replicaCount) in (0...5).flatMap({ one in (0...5).map { (one, $0) } }) {
            var worker = try Worker(byteCount: 5 * 4096, recordedBlockSize: nil, provider)
            var primary = worker.primary.mutableBytes
            primary.copy(ofPrimary.rawSpan)
            var replica = worker.replica.mutableBytes
            replica.copy(ofReplica.rawSpan)

            let digests = worker.digests(
                ofPrimary: Array(places.suffix(primaryCount)),
                ofReplica: Array(places.prefix(replicaCount)))
            let expectedOfPrimary = places.suffix(primaryCount).map {
                context.digest(of: ofPrimary.rawSpan.extracting($0))
            }
            let expectedOfReplica = places.prefix(replicaCount).map {
                context.digest(of: ofReplica.rawSpan.extracting($0))
            }
            #expect(digests.primary == expectedOfPrimary)
            #expect(digests.replica == expectedOfReplica)
        }
    }
}
