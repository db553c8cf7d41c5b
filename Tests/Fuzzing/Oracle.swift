internal import Storage
internal import TestSupport
internal import VHDX

/// What must hold for any file that is opened as an image.
struct Oracle {
    var reach: Reach

    /// Reads the image, then writes to a copy of it.
    ///
    /// - Throws: ``Violation``.
    mutating func judge(_ original: Case) throws {
        let parents: Parents
        do {
            parents = try Parents(original.contents.dropFirst())
        } catch let error as VHDXError {
            // What is refused by itself is judged where it is the image.
            return reach.refused(error, by: "reader of the parent")
        }
        try judge(original.contents[0], parents, original.operations)
        guard parents.areUnchanged else { throw Violation("a parent was changed") }
    }

    private mutating func judge(
        _ content: Content, _ parents: Parents, _ generator: SeededGenerator
    ) throws {
        let file = FuzzFile(content)
        var operations = generator
        let reading: Reading
        do {
            let reader = try ImageReader(file, parent: parents.nearest)
            try checkEffort(of: file, reader.geometry)
            reading = try Reading(of: reader, parents, &operations)
            guard try reader.headerIsUnchanged() else {
                throw Violation("the header changed while nobody wrote")
            }
        } catch let error as VHDXError {
            reach.refused(error)
            try checkUnchanged(file)
            if case .noValidLogEntry = error {
                guard !RawLog(content, RawImage(content)).isValid else {
                    throw Violation("a valid log was refused")
                }
            }
            try compareCheck(of: content, refusedAs: error)
            return try checkRefusal(of: content, parents, as: error)
        }
        reach.opened(reading.info)
        try checkUnchanged(file)
        guard !RawImage(content).hasTwoHeaders else {
            throw Violation("an image opens that has two headers of one number")
        }
        try compareCheck(of: content, refusedAs: nil)
        try write(content, parents, reading, &operations)
    }

    /// A check finds an error if and only if nothing opens the image by itself.
    private func compareCheck(of content: Content, refusedAs error: VHDXError?) throws {
        let file = FuzzFile(content)
        let check: ImageCheck
        do {
            check = try ImageCheck(file)
        } catch {
            throw Violation("the check ended with: \(error)")
        }
        try checkUnchanged(file)
        let isRefused =
            switch error {
            case nil, .parentMismatch, .parentSectorSize,
                .unsupported("a differencing image, which needs its parent", _):
                false
            default: true
            }
        guard (check.worst == .error) == isRefused else {
            let errors = check.findings.filter { $0.severity == .error }.map(\.message)
            let refusal = error.map { "\($0)" } ?? "nothing"
            throw Violation("the check finds \(errors), the reader refuses: \(refusal)")
        }
    }

    private func checkUnchanged(_ file: FuzzFile) throws {
        guard file.changeCount == 0 else { throw Violation("a reader changed the file") }
    }

    /// To open an image takes a few passes over its log and one over its table.
    private func checkEffort(of file: FuzzFile, _ geometry: Geometry) throws {
        let log = min(RawImage(file.content).log.byteCount, FileLayout.longestLog)
        let limit = 12 * log + 8 * geometry.entryCount + 4 * .mebibyte
        guard file.bytesRead <= limit else {
            throw Violation("to open the image, \(file.bytesRead) bytes were read")
        }
    }

    /// What cannot be read cannot be opened for writing either, and stays as it is.
    private func checkRefusal(
        of content: Content, _ parents: Parents, as expected: VHDXError
    ) throws {
        let file = FuzzFile(content)
        do {
            let writer = try ImageWriter(file, parent: parents.nearest)
            writer.abandon()
        } catch {
            // A writer looks for a log before it looks for the parent.
            if case .unsupported("an image without a log, for writing", _) = error { return }
            guard error == expected else {
                throw Violation("the reader refused: \(expected); the writer: \(error)")
            }
            guard file.changeCount == 0 else {
                throw Violation("a writer that refused changed the file: \(error)")
            }
            return
        }
        throw Violation("the writer opened what the reader refused: \(expected)")
    }

    // MARK: Writing

    private mutating func write(
        _ content: Content, _ parents: Parents, _ reading: Reading,
        _ operations: inout SeededGenerator
    ) throws {
        let file = FuzzFile(content)
        do {
            let writer = try ImageWriter(file, parent: parents.nearest)
            let opened = file.content
            let layout = try checkOpened(content, opened, parents, reading)
            var scenario = WriteScenario(
                reading: reading, parents: parents, layout: layout, opened: opened,
                generator: operations)
            try scenario.run(writer, on: file)
            reach.count(scenario.steps)
        } catch let error as VHDXError {
            try checkWriteRefusal(error, content, file, reading)
        }
    }

    /// Some readable images cannot be written; then nothing of them changes.
    private mutating func checkWriteRefusal(
        _ error: VHDXError, _ content: Content, _ file: FuzzFile, _ reading: Reading
    ) throws {
        switch error {
        case .unsupported("an image without a log, for writing", _), .sequenceNumberExhausted:
            reach.refused(error, by: "writer")
        default:
            throw Violation("the reader opened what the writer refused: \(error)")
        }
        guard file.changeCount == 0 else {
            throw Violation("a writer that refused changed the file: \(error)")
        }
    }

    /// A clean image is not touched by opening it; a dirty one reads afterwards as it did before.
    private func checkOpened(
        _ content: Content, _ opened: Content, _ parents: Parents, _ reading: Reading
    ) throws -> FileLayout {
        if !reading.info.logIsDirty {
            guard opened.byteCount == content.byteCount,
                opened.differingPages(from: content).isEmpty
            else { throw Violation("opening a clean image for writing changed it") }
        } else {
            try checkReplay(content, opened)
            let replayed = FuzzFile(opened)
            let reader = try parents.reopen(replayed, "after replay")
            var info = reader.info
            guard !info.logIsDirty else { throw Violation("the log is dirty after its replay") }
            info.logIsDirty = true
            info.fileWriteGUID = reading.info.fileWriteGUID
            info.headerSequenceNumber = reading.info.headerSequenceNumber
            guard info == reading.info else {
                throw Violation("replay on disk gives \(info), in memory \(reading.info)")
            }
            try reading.compare(with: reader, "after replay")
        }
        let layout = FileLayout(opened)
        try layout.check(opened, against: reading)
        return layout
    }
}

extension Oracle {
    /// Replay leaves what the specification says, and changes nothing else but the headers.
    private func checkReplay(_ content: Content, _ opened: Content) throws {
        let log = RawLog(content, RawImage(content))
        guard log.isValid, log.flushedFileOffset <= content.byteCount else {
            throw Violation("a log was replayed that is not valid")
        }
        let expected = log.replayed()
        let headers = RawImage.headerPositions.map { $0 / Content.pageSize }
        let page = expected.differingPages(from: opened).first { !headers.contains($0) }
        if let page {
            throw Violation("replay left other bytes at \(page * Content.pageSize)")
        }
        guard expected.byteCount == opened.byteCount else {
            throw Violation("replay left \(opened.byteCount) bytes, not \(expected.byteCount)")
        }
    }
}

/// What an image builds on, open for reading.
struct Parents {
    private var files: [FuzzFile] = []
    private(set) var nearest: ImageParent<FuzzFile>?
    /// What the nearest parent builds on.
    private var next: ImageParent<FuzzFile>?

    /// Opens them, the nearest first in the list.
    init(_ contents: ArraySlice<Content>) throws {
        for content in contents.reversed() {
            let file = FuzzFile(content)
            files.append(file)
            next = nearest
            nearest = ImageParent(try ImageReader(file, parent: next))
        }
    }

    var areUnchanged: Bool { files.allSatisfy { $0.changeCount == 0 } }

    /// What the parent holds in some ranges of the disk.
    func disk(_ windows: [Range<UInt64>]) throws -> Content {
        guard let file = files.last else { return Content() }
        return try Reading.disk(windows, try ImageReader(file, parent: next))
    }

    /// Opens an image that must open.
    func reopen(_ file: FuzzFile, _ occasion: String) throws -> ImageReader<FuzzFile> {
        do {
            return try ImageReader(file, parent: nearest)
        } catch {
            throw Violation("\(occasion) the image does not open: \(error)")
        }
    }
}
