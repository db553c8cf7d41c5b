internal import CSystem

/// How many processors this process may keep busy.
public enum ProcessorCount {
    /// By the thread's affinity (sched_getaffinity(2)), and by the quota of the process's control groups
    /// (`cpu.max` of cgroup v2), rounded up. At least 1.
    public static var allowed: Int {
        let affinity = Int(csystem_affinity_count())
        return max(1, min(affinity > 0 ? affinity : 1, quota(ofGroupsIn: "/sys/fs/cgroup") ?? .max))
    }

    /// The smallest quota of the process's group and of those that it lies in; nil where none has one.
    static func quota(ofGroupsIn root: String) -> Int? {
        // The groups of cgroup v2 are one tree, which has the number 0.
        guard let groups = text(of: "/proc/self/cgroup"),
            let own = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
        else { return nil }
        var path = own.dropFirst("0::".count)
        var smallest: Int?
        while true {
            if let text = text(of: "\(root)\(path)/cpu.max"), let quota = quota(text) {
                smallest = min(smallest ?? .max, quota)
            }
            guard let end = path.lastIndex(of: "/") else { return smallest }
            path = path[..<end]
        }
    }

    /// Processors, of "QUOTA PERIOD" in microseconds; nil for "max" and for what is neither.
    static func quota(_ text: String) -> Int? {
        let numbers = text.split(whereSeparator: \.isWhitespace).map { Int($0) }
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], quota > 0,
            period > 0
        else { return nil }
        return quota / period + (quota.isMultiple(of: period) ? 0 : 1)
    }

    /// What a small file of the system says; nil where it is not there.
    private static func text(of path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        // Safe: the path ends with a zero, and no more is written than there is room for.
        let count = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe csystem_read_text(path, buffer.baseAddress, buffer.count)
        }
        guard count >= 0 else { return nil }
        let text = bytes.prefix(Int(count)).map(UInt8.init(bitPattern:))
        return String(decoding: text, as: UTF8.self)
    }
}
