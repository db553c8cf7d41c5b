// swift-tools-version: 6.2

import PackageDescription

// Where `make install` has put the library, as `pkg-config --variable=swift_package vhdresync` says; or
// the checkout that this example is in.
let library = Context.environment["VHDRESYNC_PACKAGE"] ?? "../../.."

let package = Package(
    name: "resync",
    dependencies: [.package(name: "vhdresync", path: library)],
    targets: [
        .executableTarget(
            name: "resync", dependencies: [.product(name: "Resync", package: "vhdresync")])
    ]
)
