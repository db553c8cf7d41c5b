internal import CVHDResync
internal import Replication
internal import Resync
internal import Storage
internal import VHDX

/// What a call may be told beside its disks.
struct CallOptions: Sendable {
    var job = JobOptions()
    var checksParents = false

    /// More folders than that are a number that was never set.
    static let parentFolderLimit: UInt64 = 1024
}

extension CallOptions {
    /// Reads a structure of this version, or of an earlier or a later one.
    init(_ pointer: UnsafePointer<vhdresync_options>?) throws(CodedError) {
        let options = try unsafe CStructure.copy(pointer, "options")
        try set(flags: unsafe options.flags)
        try unsafe setNumbers(options)
        try unsafe setPaths(options)
        try unsafe setRemote(options)
        try job.check()
    }

    private mutating func set(flags: UInt32) throws(CodedError) {
        var rest = flags
        func take(_ flag: UInt32) -> Bool {
            defer { rest &= ~flag }
            return rest & flag != 0
        }
        job.resync.isDryRun = take(VHDRESYNC_DRY_RUN)
        job.resync.createsReplica = take(VHDRESYNC_CREATE)
        job.resync.growsReplica = take(VHDRESYNC_GROW)
        job.resync.breaksChildren = take(VHDRESYNC_FORCE)
        job.resync.verifiesWholeReplica = take(VHDRESYNC_VERIFY)
        checksParents = take(VHDRESYNC_CHECK_PARENTS)
        guard rest == 0 else {
            throw CodedError(
                .notSupported, "the flags 0x\(String(rest, radix: 16)) are not known here")
        }
    }

    private mutating func setNumbers(_ options: vhdresync_options) throws(CodedError) {
        if unsafe options.block_size != 0 { job.resync.blockSize = unsafe Int(options.block_size) }
        if unsafe options.worker_count != 0 {
            job.resync.workerCount = unsafe Int(options.worker_count)
        }
        job.resync.comparison = try unsafe choice(
            options.compare, "compare",
            [VHDRESYNC_COMPARE_HASH: .hash, VHDRESYNC_COMPARE_BYTES: .bytes])
        job.resync.writeMethod = try unsafe choice(
            options.write_method, "write_method",
            [
                VHDRESYNC_WRITE_JOURNAL: .journal, VHDRESYNC_WRITE_CLONE: .clone,
                VHDRESYNC_WRITE_IN_PLACE: .inPlace,
            ])
        job.resync.hashProvider = try unsafe choice(
            options.hash_provider, "hash_provider",
            [VHDRESYNC_HASH_AUTO: .automatic, VHDRESYNC_HASH_OPENSSL: .openssl])
        job.resync.cacheUse = try unsafe choice(
            options.cache_use, "cache_use",
            [VHDRESYNC_CACHE_KEEP: .keep, VHDRESYNC_CACHE_DROP: .drop])
        let formats: [UInt32: DiskFormat] = [
            VHDRESYNC_FORMAT_AUTO: .automatic, VHDRESYNC_FORMAT_VHDX: .vhdx,
            VHDRESYNC_FORMAT_RAW: .raw,
        ]
        job.resync.primaryFormat = try unsafe choice(
            options.primary_format, "primary_format", formats)
        job.resync.replicaFormat = try unsafe choice(
            options.replica_format, "replica_format", formats)
        let interval = unsafe options.progress_interval_ms
        if interval != 0 { job.progressInterval = .milliseconds(interval) }
        let timeout = unsafe options.timeout_ms
        if timeout != 0 { job.timeout = .milliseconds(Int64(clamping: timeout)) }
    }

    private mutating func setPaths(_ options: vhdresync_options) throws(CodedError) {
        job.resync.journalFolder = try unsafe CText.optional(
            options.journal_folder, "journal_folder")
        job.resync.parentOfNewReplica = try unsafe CText.optional(
            options.parent_of_replica, "parent_of_replica")
        let count = unsafe options.parent_folder_count
        guard count <= Self.parentFolderLimit else {
            throw .invalid("parent_folder_count must be \(Self.parentFolderLimit) at most")
        }
        guard count > 0 else { return }
        guard let folders = unsafe options.parent_folders else {
            throw .invalid("parent_folders is missing: a null pointer")
        }
        for index in 0..<Int(count) {
            // Safe: the caller says that there are so many.
            let folder = try unsafe CText.required(folders[index], "parent_folders[\(index)]")
            job.resync.parents.folders.append(folder)
        }
    }

    private mutating func setRemote(_ options: vhdresync_options) throws(CodedError) {
        job.remote.retryCount = unsafe Int(options.retry_count)
        let rate = unsafe options.bytes_per_second
        if rate != 0 { job.remote.bytesPerSecond = rate }
        let idle = unsafe options.idle_timeout_ms
        if idle != 0 { job.remote.idleTimeoutSeconds = Double(idle) / 1000 }
        if let words = try unsafe command(options.remote_shell, "remote_shell") {
            job.remote.shell = words
        }
        if let words = try unsafe command(options.remote_command, "remote_command") {
            job.remote.command = words
        }
        job.remote.certificate = try unsafe CText.optional(options.certificate, "certificate") ?? ""
        job.remote.key = try unsafe CText.optional(options.key, "key") ?? ""
        job.remote.authorities = try unsafe CText.optional(options.authorities, "authorities") ?? ""
    }

    private func command(
        _ pointer: UnsafePointer<CChar>?, _ name: String
    ) throws(CodedError) -> [String]? {
        guard let text = try unsafe CText.optional(pointer, name) else { return nil }
        guard let words = CommandWords.split(text) else {
            throw .invalid("a quote in \(name) does not end: \(text)")
        }
        guard let program = words.first, !program.isEmpty else {
            throw .invalid("\(name) names no program")
        }
        return words
    }

    private func choice<Value>(
        _ number: UInt32, _ name: String, _ values: [UInt32: Value]
    ) throws(CodedError) -> Value {
        guard let value = values[number] else { throw .invalid("\(name) may not be \(number)") }
        return value
    }
}
