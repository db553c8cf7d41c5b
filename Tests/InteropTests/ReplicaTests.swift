internal import TestSupport
internal import Testing

/// Point 2 and 3 of what the main job must show: each image as primary, and replicas made in every
/// way, by us and by QEMU.
struct ReplicaTests {
    @Test(
        "Every replica of a committed image becomes identical",
        arguments: TestImage.committed)
    func committedImage(_ image: TestImage) throws {
        let folder = try TemporaryFolder()
        let path = try image.unpack(in: folder)
        try ReplicaOfImage(image, unpackedAt: path, in: folder).tryEveryWay()
    }

    @Test("Every replica of a real image that is here becomes identical")
    func realImages() throws {
        try RealImages.forEach(
            for: "resynchronized in every way",
            { image, path in
                let folder = try TemporaryFolder()
                try ReplicaOfImage(image, unpackedAt: path, in: folder).tryEveryWay()
            })
    }
}
