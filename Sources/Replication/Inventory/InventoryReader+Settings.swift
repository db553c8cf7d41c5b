internal import Transport

extension InventoryReader {
    mutating func service(_ field: InventoryField?) -> Inventory.ServiceSettings {
        var service = Inventory.ServiceSettings()
        guard let field, let members = members(of: field, ServiceKey.self) else { return service }
        let limits = Inventory.ServiceSettings.activeTransfers
        if let field = members[.maximumActiveTransfers], let count = integer(field, limits) {
            service.maximumActiveTransfers = count
            service.maximumActiveTransfersPerHost = count
        }
        if let field = members[.maximumActiveTransfersPerHost],
            let count = integer(field, 1...service.maximumActiveTransfers)
        {
            service.maximumActiveTransfersPerHost = count
        }
        if let field = members[.hookCommand], let words = command(field, mustBePath: true) {
            service.hookCommand = words
        }
        let formats = LogFormat.allCases.map { ($0.rawValue, $0) }
        if let field = members[.logFormat], let format = choice(field, formats) {
            service.logFormat = format
        }
        service.metricsFile = members[.metricsFile].flatMap { path($0, .file) }
        return service
    }

    /// Settings of a relationship over those of all; without a place, those of all.
    mutating func settings(
        _ field: InventoryField?, over defaults: Inventory.ReplicationSettings,
        at point: RecoveryConnectionPoint? = nil
    ) -> Inventory.ReplicationSettings {
        var settings = defaults
        guard let field, let members = members(of: field, SettingsKey.self) else { return settings }
        if let field = members[.blockSize], let size = blockSize(field) {
            settings.blockSize = size
        }
        readConnection(members, into: &settings)
        if let field = members[.journalFolder], let folder = path(field, .folder) {
            settings.journalFolder = folder
        }
        if let field = members[.autoResynchronize] {
            settings.autoResynchronize = autoResynchronize(field, over: defaults.autoResynchronize)
        }
        if let point {
            for key in SettingsKey.allCases {
                guard let field = members[key], let purpose = key.purpose,
                    !purpose.includes(point)
                else { continue }
                note("means nothing to this relationship: \(purpose.reason)", at: field)
            }
        }
        return settings
    }

    private mutating func readConnection(
        _ members: InventoryMembers<SettingsKey>, into settings: inout Inventory.ReplicationSettings
    ) {
        if let field = members[.bandwidthLimit],
            let rate = byteCount(
                field, 1024...Int.max, meaning: "bytes in a second like \"20M\", at least 1K")
        {
            settings.bandwidthLimit = UInt64(rate)
        }
        if let field = members[.retryCount], let count = integer(field, 0...1_000_000) {
            settings.retryCount = count
        }
        if let field = members[.idleTimeoutSeconds], let seconds = integer(field, 1...86400) {
            settings.idleTimeoutSeconds = seconds
        }
        if let field = members[.certificates], let certificates = certificates(field) {
            settings.certificates = certificates
        }
        if let field = members[.remoteShell], let words = command(field, mustBePath: false) {
            settings.remoteShell = words
        }
        if let field = members[.remoteCommand], let words = command(field, mustBePath: false) {
            settings.remoteCommand = words
        }
    }

    private mutating func certificates(_ field: InventoryField) -> TLSConfiguration? {
        guard let members = members(of: field, CertificatesKey.self) else { return nil }
        let certificate = required(.certificate, in: members).flatMap { path($0, .file) }
        let key = required(.key, in: members).flatMap { path($0, .file) }
        let authorities = required(.authorities, in: members).flatMap { path($0, .file) }
        guard let certificate, let key, let authorities else { return nil }
        return TLSConfiguration(certificatePath: certificate, keyPath: key, caPath: authorities)
    }

    private mutating func autoResynchronize(
        _ field: InventoryField, over defaults: AutoResynchronizeWindow
    ) -> AutoResynchronizeWindow {
        guard let members = members(of: field, AutoResynchronizeKey.self) else { return defaults }
        let isEnabled = members[.enabled].flatMap { boolean($0) }
        let start = members[.intervalStart].flatMap { timeOfDay($0) }
        let end = members[.intervalEnd].flatMap { timeOfDay($0) }
        do throws(AutoResynchronizeWindowError) {
            return try AutoResynchronizeWindow(
                isEnabled: isEnabled ?? defaults.isEnabled, start: start ?? defaults.start,
                end: end ?? defaults.end)
        } catch {
            note("\(error)", at: field)
            return defaults
        }
    }
}
