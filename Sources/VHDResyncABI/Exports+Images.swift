public import CVHDResync
internal import Replication
internal import Resync
internal import VHDX

private let images = HandleTable<OpenImage>(of: "image")

@c @implementation
public func vhdresync_image_open(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vhdresync_options>?,
    _ image: UnsafeMutablePointer<OpaquePointer?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        guard let image = unsafe image else {
            throw .invalid("the place for the image is missing: a null pointer")
        }
        // Safe: the caller passes the place of a handle.
        unsafe image.pointee = nil
        let path = try unsafe CText.required(path, "path")
        let options = try unsafe CallOptions(options)
        let opened = try OpenImage(at: path, parents: options.job.resync.parents)
        unsafe image.pointee = images.insert(opened)
        return .completed
    }
}

@c @implementation
public func vhdresync_image_describe(
    _ image: OpaquePointer?, _ description: UnsafeMutablePointer<vhdresync_image_description>?
) -> UInt32 {
    answer { () throws(CodedError) in
        let value = try unsafe images.object(for: image).description
        try unsafe CStructure.give(value, to: description, "the description")
        return .completed
    }
}

@c @implementation
public func vhdresync_image_read(
    _ image: OpaquePointer?, _ offset: UInt64, _ buffer: UnsafeMutableRawPointer?, _ count: UInt64
) -> UInt32 {
    answer { () throws(CodedError) in
        let image = try unsafe images.object(for: image)
        guard let size = Int(exactly: count), unsafe count == 0 || buffer != nil else {
            throw .invalid("there is no buffer of \(count) bytes")
        }
        // Safe: the caller says that so many bytes are there.
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: size)
        var span = unsafe bytes.mutableBytes
        try image.read(into: &span, at: offset)
        return .completed
    }
}

@c @implementation
public func vhdresync_image_close(_ image: OpaquePointer?) -> UInt32 {
    answer { () throws(CodedError) in
        if unsafe image != nil { try unsafe images.remove(image) }
        return .completed
    }
}

@c @implementation
public func vhdresync_info(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vhdresync_options>?,
    _ info: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        guard let info = unsafe info else {
            throw .invalid("the place for the text is missing: a null pointer")
        }
        // Safe: the caller passes the place of a pointer.
        unsafe info.pointee = nil
        let path = try unsafe CText.required(path, "path")
        let parents = try unsafe CallOptions(options).job.resync.parents
        let description = try onEngine { () throws(ResyncError) in
            try FileDescription(ofFileAt: path, parents: parents)
        }
        try unsafe CText.give(description.json, to: info)
        return .completed
    }
}

@c @implementation
public func vhdresync_check(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<vhdresync_options>?,
    _ findings: UnsafeMutablePointer<vhdresync_findings>?,
    _ report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> UInt32 {
    answer { () throws(CodedError) in
        // Safe: the caller passes the place of a pointer.
        unsafe report?.pointee = nil
        try unsafe CStructure.check(findings, "the findings")
        let path = try unsafe CText.required(path, "path")
        let options = try unsafe CallOptions(options)
        let checks = try onImage { () throws(VHDXError) -> [ImageCheck] in
            guard options.checksParents else { return [try ImageCheck(ofImageAt: path)] }
            return try ImageCheck.chain(ofImageAt: path, parents: options.job.resync.parents)
        }
        let code = ReturnCode(checks)
        if unsafe findings != nil {
            try unsafe CStructure.give(vhdresync_findings(checks), to: findings, "the findings")
        }
        try unsafe CText.give(JSONText.object(CheckObject(checks, code)), to: report)
        guard code == .completed else { throw CodedError(code, worstFinding(in: checks)) }
        return code
    }
}

extension vhdresync_findings {
    init(_ checks: [ImageCheck]) {
        func count(_ severity: Finding.Severity) -> UInt64 {
            checks.reduce(0) { $0 + $1.count(of: severity) }
        }
        self.init()
        image_count = UInt32(checks.count)
        error_count = count(.error)
        warning_count = count(.warning)
        notice_count = count(.notice)
    }
}

/// The first error, in words.
private func worstFinding(in checks: [ImageCheck]) -> String {
    for check in checks {
        guard let error = check.findings.first(where: { $0.severity == .error }) else { continue }
        return "\(check.path): \(error.structure.rawValue): \(error.message)"
    }
    return ""
}
