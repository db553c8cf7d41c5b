// swift-tools-version: 6.2

import Foundation
import PackageDescription

/// The rules that the tests of the C interface are compiled under: nothing in them is memory-safe.
let rulesForCallers: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// The rules every other Swift target is compiled under.
let rules = rulesForCallers + [.strictMemorySafety()]

/// How `libvhdresync_c.so` is linked. Flags of this kind keep a target out of packages that depend on
/// this one, so they stand with a target of their own, which only that library has.
let sharedLibraryLinking: [LinkerSetting] = [
    .unsafeFlags([
        // The system's linker would list hidden symbols, too.
        "-use-ld=lld",
        // The Swift libraries inside it: callers have none.
        "-static-stdlib", "-lswiftSynchronization", "-l_FoundationCShims",
        "-l_FoundationCollections",
        "-Xlinker", "-soname", "-Xlinker", "libvhdresync_c.so.0",
        "-Xlinker",
        "--version-script=\(Context.packageDirectory)/Sources/VHDResyncSharedLibrary/exports.map",
        // Its threads may run until the process ends.
        "-Xlinker", "-z", "-Xlinker", "nodelete",
    ])
]

// Targets stand bottom-up: a module imports only modules that stand before it.
// RepositoryTests checks the imports in the sources against this order.
let package = Package(
    name: "vhdresync",
    products: [
        .executable(name: "vhdresync", targets: ["vhdresync"]),
        .library(
            name: "Resync", targets: ["Replication", "Resync", "BlockIO", "VHDX", "Storage"]),
        // Not "vhdresync": of an executable and a dynamic library of one name only the first is
        // built.
        .library(name: "vhdresync_c", type: .dynamic, targets: ["VHDResyncSharedLibrary"]),
    ],
    targets: [
        .target(
            name: "CSystem",
            cSettings: [.define("_GNU_SOURCE")]
        ),
        .target(name: "CSHA256"),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(
            name: "Storage",
            dependencies: ["CSystem"],
            swiftSettings: rules + [.enableExperimentalFeature("Lifetimes")]
        ),
        .target(
            name: "Transport",
            dependencies: ["Storage", "COpenSSL", "CSystem"],
            swiftSettings: rules
        ),
        .target(name: "VHDX", dependencies: ["Storage"], swiftSettings: rules),
        .target(name: "BlockIO", dependencies: ["VHDX", "Storage"], swiftSettings: rules),
        .target(
            name: "Resync",
            dependencies: [
                "BlockIO", "VHDX", "Transport", "Storage", "CLZ4", "COpenSSL", "CSHA256", "CSystem",
            ],
            swiftSettings: rules
        ),
        .target(
            name: "Replication",
            dependencies: ["Resync", "BlockIO", "VHDX", "Transport", "Storage", "CSQLite"],
            swiftSettings: rules
        ),
        // The header as a module. A target of Swift cannot have one of its own.
        .systemLibrary(name: "CVHDResync", path: "Sources/VHDResyncABI/include"),
        .target(
            name: "VHDResyncABI",
            dependencies: [
                "CVHDResync", "Replication", "Resync", "VHDX", "Storage",
            ],
            exclude: ["include"],
            swiftSettings: rules
        ),
        .target(
            name: "VHDResyncSharedLibrary",
            dependencies: ["VHDResyncABI"],
            exclude: ["exports.map", "vhdresync.pc.in"],
            swiftSettings: rules,
            linkerSettings: sharedLibraryLinking
        ),
        .target(
            name: "VHDResyncCommand",
            dependencies: [
                "Replication", "Resync", "BlockIO", "VHDX", "Transport", "Storage", "CSystem",
            ],
            swiftSettings: rules
        ),
        .executableTarget(
            name: "vhdresync", dependencies: ["VHDResyncCommand"], swiftSettings: rules),

        .target(
            name: "TestSupport",
            dependencies: ["BlockIO", "VHDX", "Transport", "Storage"],
            path: "Tests/TestSupport",
            swiftSettings: rules
        ),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "TestSupport", "Replication", "Resync", "VHDX", "Transport", "Storage",
            ],
            path: "Tests/Fuzzing",
            exclude: ["corpus"],
            swiftSettings: rules
        ),
        .executableTarget(
            name: "storewriter", dependencies: ["Replication", "Resync", "Storage"],
            path: "Tests/StoreWriter", swiftSettings: rules),
        .executableTarget(
            name: "machinerunner", dependencies: ["Replication", "Storage"],
            path: "Tests/MachineRunner", swiftSettings: rules),
        .testTarget(
            name: "StorageTests", dependencies: ["TestSupport", "Storage", "CSystem"],
            swiftSettings: rules),
        .testTarget(
            name: "TransportTests",
            dependencies: ["TestSupport", "Transport", "Storage", "CSystem"],
            swiftSettings: rules
        ),
        .testTarget(
            name: "VHDXTests", dependencies: ["TestSupport", "VHDX", "Storage"],
            swiftSettings: rules),
        .testTarget(
            name: "BlockIOTests", dependencies: ["TestSupport", "BlockIO", "VHDX", "Storage"],
            swiftSettings: rules),
        .testTarget(
            name: "ResyncTests",
            dependencies: [
                "TestSupport", "Resync", "BlockIO", "VHDX", "Transport", "Storage", "CSHA256",
            ],
            exclude: ["delta_stream.py", "digest_tree.py", "short_digest.py"],
            swiftSettings: rules
        ),
        .testTarget(
            name: "ReplicationTests",
            dependencies: [
                "TestSupport", "Replication", "Resync", "VHDX", "Transport", "Storage",
            ],
            swiftSettings: rules
        ),
        .testTarget(
            name: "VHDResyncABITests",
            dependencies: [
                "TestSupport", "VHDResyncABI", "CVHDResync", "Replication", "Resync", "Storage",
                "vhdresync",
            ],
            swiftSettings: rulesForCallers
        ),
        .testTarget(
            name: "VHDResyncCommandTests",
            dependencies: [
                "TestSupport", "VHDResyncCommand", "Replication", "Resync", "VHDX", "Transport",
                "Storage", "CSystem", "vhdresync",
            ],
            swiftSettings: rules
        ),
        .testTarget(
            name: "InteropTests",
            dependencies: [
                "TestSupport", "Replication", "Resync", "BlockIO", "VHDX", "Storage", "vhdresync",
                "storewriter", "machinerunner",
            ],
            exclude: ["changing_calls.c", "read_disk.py", "requirements.txt"],
            swiftSettings: rules
        ),
        // What is installed, and what is built on it. It is linked by no test.
        .testTarget(
            name: "EmbeddingTests", dependencies: ["TestSupport", "vhdresync"],
            swiftSettings: rules),
        .testTarget(name: "RepositoryTests", dependencies: ["TestSupport"], swiftSettings: rules),
    ]
)

// What a sanitizer is built into runs the tests of the libraries alone (`.ci/run`), and nothing else is
// built for it.
if Context.environment["VHDRESYNC_SANITIZED"] != nil {
    let others: Set = [
        "VHDResyncSharedLibrary", "fuzz", "storewriter", "machinerunner", "TransportTests",
        "VHDResyncCommandTests", "InteropTests", "EmbeddingTests", "RepositoryTests",
    ]
    package.products.removeAll { $0.name == "vhdresync_c" }
    package.targets.removeAll { others.contains($0.name) }
}

// `make install` puts the library alone into a folder, for programs in Swift.
let folder = Context.packageDirectory
if !FileManager.default.fileExists(atPath: "\(folder)/Tests") {
    package.products.removeAll { $0.name != "Resync" }
    package.targets.removeAll { target in
        !FileManager.default.fileExists(atPath: "\(folder)/Sources/\(target.name)")
    }
}
