/// The keys of one kind of object in an inventory's file.
package protocol InventoryKey: CaseIterable, Hashable, Sendable, RawRepresentable<String> {}

enum RootKey: String, InventoryKey {
    /// For editors, which find there what may be written. Not read here.
    case schema = "$schema"
    case version
    case service
    case defaultSettings
    case machines
}

enum ServiceKey: String, InventoryKey {
    case maximumActiveTransfers
    case maximumActiveTransfersPerHost
    case hookCommand
    case logFormat
    case metricsFile
}

enum MachineKey: String, InventoryKey {
    case name
    case elementName
    case replicationMode
    case disks
    case primaryRelationship
    case extendedRelationship
}

enum DiskKey: String, InventoryKey {
    case name
    case path
    case replica
    case extendedReplica
}

enum RelationshipKey: String, InventoryKey {
    case recoveryConnectionPoint
    case settings
}

enum SettingsKey: String, InventoryKey {
    case blockSize
    case bandwidthLimit
    case retryCount
    case idleTimeoutSeconds
    case journalFolder
    case certificates
    case remoteShell
    case remoteCommand
    case autoResynchronize

    /// What a setting is for where it is not for every place; nil where it is.
    var purpose: Purpose? {
        switch self {
        case .blockSize, .autoResynchronize: nil
        case .bandwidthLimit, .retryCount, .idleTimeoutSeconds: .otherHosts
        case .certificates: .tls
        case .remoteShell, .remoteCommand: .ssh
        case .journalFolder: .thisHost
        }
    }

    /// Places that a setting is for.
    enum Purpose: Equatable {
        case thisHost, otherHosts, ssh, tls

        func includes(_ point: RecoveryConnectionPoint) -> Bool {
            switch (self, point) {
            case (.thisHost, .folder), (.otherHosts, .ssh), (.otherHosts, .tls), (.ssh, .ssh),
                (.tls, .tls):
                true
            case (.thisHost, _), (.otherHosts, _), (.ssh, _), (.tls, _): false
            }
        }

        /// What a setting that is not for a place lacks there.
        var reason: String {
            switch self {
            case .thisHost: "the journal of a replica on another host stands there"
            case .otherHosts: "it is for another host, and this is a folder here"
            case .ssh: "it is for a host that is reached over ssh, user@host:"
            case .tls: "it is for a host that is reached over TLS, vhdresync://host/"
            }
        }
    }
}

enum CertificatesKey: String, InventoryKey {
    case certificate
    case key
    case authorities
}

enum AutoResynchronizeKey: String, InventoryKey {
    case enabled
    case intervalStart
    case intervalEnd
}

extension InventoryKey {
    /// The key that somebody may have meant: the nearest one, where it is near.
    static func nearest(to text: String) -> Self? {
        guard text.utf8.count <= 64 else { return nil }
        let known = allCases.map { (key: $0, distance: text.distance(to: $0.rawValue)) }
        guard let best = known.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(1, best.key.rawValue.count / 3) ? best.key : nil
    }
}

extension String {
    /// How many characters have to be put in, left out or exchanged to make another text of this
    /// one, whatever their case (Levenshtein).
    fileprivate func distance(to other: String) -> Int {
        let other = Array(other.lowercased())
        var row = Array(0...other.count)
        for (line, character) in lowercased().enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in other.indices {
                let exchanged = diagonal + (character == other[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = Swift.min(exchanged, row[column] + 1, diagonal + 1)
            }
        }
        return row[other.count]
    }
}
