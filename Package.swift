// swift-tools-version: 6.2

import PackageDescription

/// The rules every Swift target is compiled under.
let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Targets stand bottom-up: a module imports only modules that stand before it.
// RepositoryTests checks the imports in the sources against this order.
let package = Package(
    name: "vhdresync",
    products: [
        .executable(name: "vhdresync", targets: ["vhdresync"]),
        .library(
            name: "Resync", targets: ["Replication", "Resync", "BlockIO", "VHDX", "Storage"]),
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
            dependencies: ["Resync", "BlockIO", "VHDX", "Transport", "Storage"],
            swiftSettings: rules
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
            dependencies: ["TestSupport", "Resync", "VHDX", "Transport", "Storage"],
            path: "Tests/Fuzzing",
            exclude: ["corpus"],
            swiftSettings: rules
        ),
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
                "TestSupport", "Resync", "BlockIO", "VHDX", "Storage", "vhdresync",
            ],
            exclude: ["changing_calls.c", "read_disk.py", "requirements.txt"],
            swiftSettings: rules
        ),
        .testTarget(name: "RepositoryTests", dependencies: ["TestSupport"], swiftSettings: rules),
    ]
)
