internal import VHDX

/// Two images that are as large as images may be, and empty: comparing them takes some seconds, and
/// reads nothing but their long tables. A test can act meanwhile.
package struct LongPair {
    package let folder: TemporaryFolder
    package let primary: String
    package let replica: String

    package init() throws {
        folder = try TemporaryFolder()
        primary = folder.file("primary.vhdx")
        replica = folder.file("replica.vhdx")
        var specification = ImageSpecification(virtualSize: 64 << 40)
        specification.blockSize = 4 << 20
        for path in [primary, replica] { try ImageCreation.create(specification, at: path) }
    }
}
