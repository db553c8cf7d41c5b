public import Storage
public import VHDX

/// A disk that can be brought up to date, and that can say of itself that it is half-written.
///
/// The mark and the GUIDs are those of an image. A disk without structures of its own has none: it
/// ignores what is set, and its identity is zero.
public protocol ReplicaTarget: BlockTarget, ~Copyable {
    /// The identity of the disk; ``GUID/zero`` where it has none.
    var virtualDiskID: GUID { get }

    /// The identity of this state of the content; ``GUID/zero`` where it has none.
    var dataWriteGUID: GUID { get }

    /// Whether the disk can bear a mark.
    var isMarkable: Bool { get }

    /// The mark that it bears.
    var mark: ApplyMark? { get }

    /// Names the state that the first change makes. Without it, the name is random.
    ///
    /// - Precondition: nothing was changed since the disk was opened.
    func chooseDataWriteGUID(_ guid: GUID)

    /// Checks, and changes nothing, that the disk can bear a mark like this.
    func checkRoom(for mark: ApplyMark) throws(VHDXError)

    /// Makes the disk one that refuses to open, durably, before it returns. Not while a write is under
    /// way.
    func setMark(_ mark: ApplyMark) throws(VHDXError)

    /// Makes everything that was written durable, and then the disk one that opens. Not while a
    /// write is under way.
    func removeMark() throws(VHDXError)

    /// Makes everything that was written durable, and ends. A mark stays.
    consuming func close() throws(VHDXError)

    /// Ends after an error. A mark stays.
    consuming func abandon()
}

extension ImageWriter: ReplicaTarget where File: ~Copyable {
    public var isMarkable: Bool { true }
}
