"""The programs that people use for the same end, and how `bench` calls them.

None is needed: what is not in PATH is left out, and said once.
"""

import shlex
import shutil

from measuring import FOLDER

# Which programs take part, and where people find those that Debian does not have.
PEERS = {
    "cmp": "Debian: diffutils",
    "dd": "Debian: coreutils",
    "qemu-img": "Debian: qemu-utils",
    "rsync": "Debian: rsync",
    "bdsync": "github.com/rolffokkens/bdsync",
    "blocksync-fast": "github.com/nethappen/blocksync-fast",
    "diskrsync": "github.com/dop251/diskrsync",
    "rdiff": "Debian: rdiff",
}

OVERLAY = FOLDER / "overlay.qcow2"
# Same names for what bdsync and rdiff write between their steps.
STEP, SECOND_STEP, NEW = (FOLDER / f"peer.{name}" for name in ("step", "second", "new"))


def found():
    """Names of the peers that are here."""
    return [name for name in PEERS if shutil.which(name)]


def missing():
    """A line for each that is not."""
    return [
        f"{name} is not in PATH and left out ({PEERS[name]})"
        for name in PEERS
        if shutil.which(name) is None
    ]


def shell(*lines):
    """Commands one after the other; the first that fails is the last."""
    return ["sh", "-c", "set -e\n" + "\n".join(lines)]


def words(*arguments):
    return shlex.join(str(argument) for argument in arguments)


# MARK: Comparing


def cmp(primary, replica):
    return ["cmp", primary, replica]


def qemu_compare(primary, replica):
    return ["qemu-img", "compare", "-q", primary, replica]


def read_both(primary, replica):
    """Nothing but reading, one file after the other."""
    return shell(
        *(
            words("dd", f"if={file}", "of=/dev/null", "bs=8M", "status=none")
            for file in (primary, replica)
        )
    )


# MARK: Making equal


def rsync(primary, replica):
    # Without --ignore-times it would believe size and time and read nothing.
    return ["rsync", "--inplace", "--no-whole-file", "--ignore-times", primary, replica]


def bdsync(primary, replica, *options):
    """The difference in a file, and then into the replica."""
    difference = words("bdsync", *options, "bdsync --server", primary, replica)
    return shell(
        f"{difference} > {words(STEP)}", f"{words('bdsync', f'--patch={replica}')} < {words(STEP)}"
    )


# As vhdresync compares: the same digest of blocks of the same size.
BDSYNC_ALIKE = ("--hash=sha256", "--blocksize=65536")


def blocksync_fast(primary, replica):
    return ["blocksync-fast", "-s", primary, "-d", replica, "--silent"]


def diskrsync(primary, replica):
    return ["diskrsync", "--no-compress", primary, replica]


def rdiff(primary, replica):
    """Signature, delta and patch, which makes a new file: it takes the replica's place."""
    return shell(
        words("rdiff", "--force", "signature", replica, STEP),
        words("rdiff", "--force", "delta", STEP, primary, SECOND_STEP),
        words("rdiff", "--force", "patch", replica, SECOND_STEP, NEW),
        words("mv", "-f", NEW, replica),
    )


def qemu_rebase(primary, replica):
    """What differs goes to an overlay of the primary, when that is put on the replica, and from
    there into the replica."""
    return shell(
        words("qemu-img", "create", "-q", "-f", "qcow2", "-F", "vhdx", "-b", primary, OVERLAY),
        words("qemu-img", "rebase", "-F", "vhdx", "-b", replica, OVERLAY),
        words("qemu-img", "commit", "-q", OVERLAY),
    )


def qemu_convert(primary, replica):
    """A new replica, as durable as vhdresync leaves it: file and folder are flushed."""
    return shell(
        words(
            "qemu-img",
            "convert",
            "-f",
            "vhdx",
            "-O",
            "vhdx",
            "-o",
            "block_size=8M",
            primary,
            replica,
        ),
        words("sync", replica, replica.parent),
    )


def clear():
    """Takes away what they leave."""
    for file in (OVERLAY, STEP, SECOND_STEP, NEW):
        file.unlink(missing_ok=True)
