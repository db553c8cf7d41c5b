"""The parts of the matrix, by name: for `bench`.

Each makes the disks that it alone needs, lets the programs run in turns, and takes its disks
away.
"""

import ctypes
import hashlib
import shutil

import counts
import peers
import points
from disks import (
    LARGEST_DATA,
    LARGEST_SIZE,
    SPARSE_BLOCK,
    SPARSE_CHANGED,
    SPARSE_DATA,
    SPREAD_DATA,
    Replica,
    copy,
    create,
    make,
    make_full,
    make_sparse_pair,
    write,
)
from measuring import (
    BLOCK,
    CORES,
    FOLDER,
    GIB,
    KIB,
    MIB,
    chill,
    measure_program,
    memory_available,
    run,
)
from race import Contestant, Pair

BLOCK_SIZES = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB]
# Allocated on one disk, in GiB.
SIZES = [1, 2, 4, 8, 16]
OPENSSL = ("--hash-provider", "openssl")
# What is slow runs less often.
SOME, FEW = 3, 2

PRIMARY, SAME, REPLICA = (FOLDER / f"{name}.vhdx" for name in ("primary", "same", "replica"))


class Base:
    """The disks that most parts share, half of them data, made when a part first needs them."""

    def __init__(self, size):
        self.size, self.data = size, size // 2
        self.changed_counts = None

    def make(self):
        if self.changed_counts is None:
            print(f"making disks of {self.size // MIB} MiB, half of it data", flush=True)
            self.changed_counts = make("base", self.size)
            copy(PRIMARY, SAME)

    def replica(self, name):
        """The replica, which reads as `name`.vhdx does, with its number of changed blocks."""
        self.make()
        replica = Replica(PRIMARY, FOLDER / f"{name}.vhdx", REPLICA)
        return replica, self.changed_counts.get(name)


def remove(*names):
    for name in names:
        for file in FOLDER.glob(name):
            file.unlink()


# MARK: Pairs with the same layout


def identical(bench, base):
    base.make()
    pair = Pair("identical", PRIMARY, SAME)
    expected = counts.identical(base.data)
    contestants = [
        bench.ours("vhdresync", PRIMARY, SAME, expected=expected),
        bench.ours("vhdresync --hash-provider openssl", PRIMARY, SAME, *OPENSSL, expected=expected),
        Contestant("cmp", peers.cmp(PRIMARY, SAME)),
        Contestant("qemu-img compare", peers.qemu_compare(PRIMARY, SAME)),
        *synchronizers(bench, PRIMARY, SAME),
    ]
    bench.race(pair, contestants, beside_openssl=True)


def synchronizers(bench, primary, replica, prepare=lambda: None, slow=False):
    """Those that make two files equal, whatever they hold; nobody has asked them to flush."""
    found = [Contestant("rsync", peers.rsync(primary, replica), prepare=prepare)]
    if bench.has("bdsync"):
        for name, options in (("bdsync", ()), ("bdsync, SHA-256, 64 KiB", peers.BDSYNC_ALIKE)):
            command = peers.bdsync(primary, replica, *options)
            found.append(Contestant(name, command, prepare=prepare, most_runs=FEW))
    if bench.has("blocksync-fast"):
        found.append(
            Contestant("blocksync-fast", peers.blocksync_fast(primary, replica), prepare=prepare)
        )
    if bench.has("diskrsync"):
        command = peers.diskrsync(primary, replica)
        found.append(Contestant("diskrsync", command, prepare=prepare, most_runs=FEW))
    if slow and bench.has("rdiff"):
        command = peers.rdiff(primary, replica)
        found.append(Contestant("rdiff", command, prepare=prepare, most_runs=1, traced=False))
    return found


def rebase(primary, replica, prepare):
    command = peers.qemu_rebase(primary, replica)

    def before():
        peers.clear()
        prepare()

    return Contestant("qemu-img rebase + commit", command, prepare=before)


def changed(bench, base):
    replica, count = base.replica("changed")
    pair = Pair("1 % changed", PRIMARY, REPLICA, becomes_equal=True)
    ways = {
        (): counts.changed(base.data, count),
        ("--in-place",): counts.changed_in_place(base.data, count),
    }
    for way, expected in list(ways.items()):
        ways["--compare", "bytes", *way] = counts.bytes_compared(
            expected, count * BLOCK, is_journaled=not way
        )
    contestants = [
        bench.ours(
            " ".join(["vhdresync", *way]),
            *(PRIMARY, REPLICA, *way),
            prepare=replica.restore,
            expected=expected,
        )
        for way, expected in ways.items()
    ]
    contestants.append(rebase(PRIMARY, REPLICA, replica.restore))
    contestants += synchronizers(bench, PRIMARY, REPLICA, replica.restore, slow=True)
    bench.race(pair, contestants, beside_openssl=True)
    peers.clear()


def changed20(bench, base):
    replica, count = base.replica("changed20")
    much_changed(bench, "20 % changed", replica, counts_of(base, count))
    remove("changed20.vhdx")


def compressible(bench, base):
    count = make("compressible", base.size)["changed20"]
    primary, stale = (FOLDER / f"compressible-{name}.vhdx" for name in ("primary", "changed20"))
    replica = Replica(primary, stale, REPLICA)
    much_changed(bench, "20 % changed, compressible", replica, counts_of(base, count))
    remove("compressible-*.vhdx")


def counts_of(base, count):
    return counts.changed(base.data, count), counts.changed_in_place(base.data, count)


def much_changed(bench, name, replica, expected):
    primary = replica.primary
    ours = [
        bench.ours(
            " ".join(["vhdresync", *way]),
            *(primary, REPLICA, *way),
            prepare=replica.restore,
            expected=expected_so,
        )
        for way, expected_so in zip(((), ("--in-place",)), expected)
    ]
    others = [
        rebase(primary, REPLICA, replica.restore),
        *synchronizers(bench, primary, REPLICA, replica.restore),
    ]
    for contestant in others:
        contestant.most_runs = min(contestant.most_runs, FEW)
        # The part `changed` has shown who flushes.
        contestant.traced = False
    pair = Pair(name, primary, REPLICA, becomes_equal=True)
    bench.race(pair, [*ours, *others], most_runs=SOME)
    peers.clear()


def scattered(bench, base):
    base.make()
    count = make("scattered", base.size)["scattered"]
    replica, _ = base.replica("scattered")
    pair = Pair("4 KiB scattered", PRIMARY, REPLICA, becomes_equal=True)
    contestants = [
        bench.ours(
            "vhdresync",
            *(PRIMARY, REPLICA),
            prepare=replica.restore,
            expected=counts.changed(base.data, count),
        ),
        bench.ours(
            "vhdresync --block-size 4K",
            *(PRIMARY, REPLICA, "--block-size", "4K"),
            prepare=replica.restore,
            expected=counts.changed(base.data, count, 4 * KIB),
        ),
        rebase(PRIMARY, REPLICA, replica.restore),
        *synchronizers(bench, PRIMARY, REPLICA, replica.restore),
    ]
    for contestant in contestants:
        contestant.traced = contestant.ours
    bench.race(pair, contestants)
    peers.clear()
    remove("scattered.vhdx")


def blocksizes(bench, base):
    base.make()
    contestants = [
        bench.ours(
            f"vhdresync --block-size {size // KIB}K",
            *(PRIMARY, SAME, "--block-size", size),
            expected=counts.identical(base.data),
        )
        for size in BLOCK_SIZES
    ]
    bench.race(Pair("identical, block sizes", PRIMARY, SAME), contestants)
    replica, _ = base.replica("changed")
    contestants = [
        bench.ours(
            f"vhdresync --block-size {size // KIB}K",
            *(PRIMARY, REPLICA, "--block-size", size),
            prepare=replica.restore,
            expected={"verified": True},
        )
        for size in BLOCK_SIZES
    ]
    pair = Pair("1 % changed, block sizes", PRIMARY, REPLICA, becomes_equal=True)
    bench.race(pair, contestants)


def jobs(bench, base):
    base.make()
    expected = counts.identical(base.data)
    threads = [count for count in (1, 2, 4, 8, 16, 32, 64, 128) if count < CORES] + [CORES]
    contestants = [
        bench.ours(f"vhdresync --jobs {count}", PRIMARY, SAME, "--jobs", count, expected=expected)
        for count in threads
    ]
    bench.race(Pair("identical, threads", PRIMARY, SAME), contestants)


def side(bench, base):
    """One side, as its host hashes it where the other one is elsewhere."""
    base.make()
    output = FOLDER / "side.map"
    expected = counts.mapped(base.data)
    contestants = [
        bench.ours(
            " ".join(["vhdresync map", *options]),
            *("map", PRIMARY, "-o", output, *options),
            expected=expected,
        )
        for options in ((), OPENSSL)
    ]
    bench.race(Pair("one side alone", PRIMARY, None), contestants, beside_openssl=True)
    remove("side.map")


def cold(bench, base):
    """The files on the disk and not in the page cache; the programs themselves are in it."""
    base.make()
    if not chill(PRIMARY, SAME):
        bench.note(
            "cold: without root the two files alone leave the page cache, not where they lie"
        )

    def prepare():
        chill(PRIMARY, SAME)
        run(bench.program, "--version")
        run("dd", "--version")

    pair = Pair("identical, cold", PRIMARY, SAME, is_warm=False)
    expected = counts.identical(base.data)
    contestants = [
        bench.ours("vhdresync", PRIMARY, SAME, prepare=prepare, expected=expected, traced=False),
        Contestant(
            "dd bs=8M of both", peers.read_both(PRIMARY, SAME), prepare=prepare, traced=False
        ),
    ]
    bench.race(pair, contestants)


def remote(bench, base):
    """The replica's side is a process of this machine behind a pipe, as ssh would start it."""
    replica, count = base.replica("changed")
    shell = FOLDER / "shell"
    # In place of ssh: the host's name is the first word.
    shell.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    shell.chmod(0o755)
    reaching = ("--rsh", shell, "--remote-command", bench.program)
    for name, file, differing, prepare in (
        ("identical", SAME, 0, lambda: None),
        ("1 % changed", REPLICA, count, replica.restore),
    ):
        contestant = bench.ours(
            "vhdresync",
            *(PRIMARY, f"host:{file}", *reaching),
            prepare=prepare,
            expected=counts.remote(base.data, differing),
        )
        pair = Pair(f"{name}, over a pipe", PRIMARY, file, becomes_equal=differing > 0)
        bench.race(pair, [contestant])
    shell.unlink()


def offline(bench, base):
    """The same difference as a file."""
    replica, count = base.replica("changed")
    disk_map, delta = FOLDER / "offline.map", FOLDER / "offline.delta"
    _, mapped = measure_program(bench.program, "map", REPLICA, "-o", disk_map)
    measure_program(bench.program, "diff", PRIMARY, disk_map, "-o", delta)
    _, report = measure_program(bench.program, "apply", delta, REPLICA)
    bench.checks.equal("delta, blocksDiffering", report["blocksDiffering"], count)
    run("qemu-img", "compare", "-q", PRIMARY, REPLICA)
    map_size, delta_size = disk_map.stat().st_size, delta.stat().st_size
    compressed = count * lz4_size(hashlib.shake_128(b"changed").digest(BLOCK))
    # A digest has 32 bytes, an absent block and one of zeros next to none.
    bench.checks.at_most("map, size", map_size, 40 * mapped["blocksTotal"] + 64 * KIB)
    bench.checks.at_most("delta, size", delta_size, counts.AROUND_CONTENT * compressed)
    bench.note(
        f"map: {map_size / mapped['blocksTotal']:.1f} bytes a block; "
        f"delta: {delta_size / compressed:.4f} of the LZ4 size of the changed blocks"
    )
    remove("offline.*")


def lz4_size(block):
    """How long liblz4 makes a block. All blocks of the pair are alike: they do not shrink."""
    library = ctypes.CDLL("liblz4.so.1")
    room = ctypes.create_string_buffer(2 * len(block))
    return library.LZ4_compress_default(block, room, len(block), len(room))


# MARK: Pairs with another layout


def created(bench, base):
    base.make()

    def prepare():
        REPLICA.unlink(missing_ok=True)

    # Where a file system tells the device what is gone, a file that was removed keeps it busy.
    pair = Pair("empty replica", PRIMARY, REPLICA, becomes_equal=True, seconds_of_rest=5)
    contestants = [
        bench.ours(
            "vhdresync --create",
            *("--create", PRIMARY, REPLICA),
            prepare=prepare,
            expected=counts.created(base.data),
        ),
        Contestant(
            "qemu-img convert, flushed", peers.qemu_convert(PRIMARY, REPLICA), prepare=prepare
        ),
    ]
    bench.race(pair, contestants)


def fragmented(bench, base):
    make("fragmented", base.size)
    two_images(bench, "fragmented", counts.fragmented(base.data, MIB))


def zeros(bench, base):
    make("zeros", base.data)
    # All that the primary stores is read; where the replica has holes, nothing is.
    two_images(bench, "zeros", {"blocksDiffering": 0, "bytesRead": (2 * base.data,)})


def two_images(bench, name, expected):
    """Two images that read the same and store it in other ways."""
    primary, replica = (FOLDER / f"{name}-{side}.vhdx" for side in ("primary", "replica"))
    title = {"zeros": "mostly zeros, half the disk"}.get(name, name)
    contestants = [
        bench.ours("vhdresync", primary, replica, expected=expected),
        Contestant("qemu-img compare", peers.qemu_compare(primary, replica)),
    ]
    bench.race(Pair(title, primary, replica), contestants)
    remove(f"{name}-*.vhdx")


# MARK: Large disks


def sparse(bench, base):
    count = make_sparse_pair()
    primary, stale, replica = (
        FOLDER / f"sparse-{name}.vhdx" for name in ("primary", "changed", "replica")
    )
    expected = {
        "blocksDiffering": count,
        "verified": True,
        # Data touches at most two payload blocks at each of its places.
        "bytesRead": (2 * (2 * len(SPARSE_DATA) * SPARSE_BLOCK + len(SPARSE_CHANGED) * BLOCK),),
        "flushes": (counts.JOURNALED_FLUSHES,),
        "systemCalls": (2 * counts.CALLS_TO_START,),
        "peakBytes": (counts.PEAK,),
    }
    ours = bench.ours(
        "vhdresync",
        *(primary, replica),
        prepare=lambda: copy(stale, replica),
        expected=expected,
    )
    bench.race(Pair("2 TiB sparse", primary, replica), [ours])
    remove("sparse-*.vhdx")


def walk(bench, base):
    """The 2 TiB in a program that looks at all of the absent space: two minutes."""
    make_sparse_pair()
    primary, same = FOLDER / "sparse-primary.vhdx", FOLDER / "sparse-replica.vhdx"
    copy(primary, same)
    compare = peers.qemu_compare(primary, same)
    contestant = Contestant("qemu-img compare", compare, most_runs=1, traced=False)
    bench.race(Pair("2 TiB sparse", primary, same), [contestant])
    remove("sparse-*.vhdx")


def largest(bench, base):
    """64 TiB: in payload blocks of 1 and of 256 MiB, and with 100 MiB all over it."""
    primary, replica = FOLDER / "largest-primary.vhdx", FOLDER / "largest-replica.vhdx"
    places = LARGEST_DATA if bench.arguments.short else SPREAD_DATA
    create(primary, LARGEST_SIZE, MIB)
    write(primary, *((0x31 + index, at, MIB) for index, at in enumerate(places)))
    title = f"64 TiB with {len(places)} MiB"

    def empty():
        replica.unlink(missing_ok=True)
        create(replica, LARGEST_SIZE, 256 * MIB)

    # Each piece touches two payload blocks of 1 MiB at most; what was written is read back.
    limits = {
        "verified": True,
        "bytesRead": (3 * 2 * len(places) * MIB,),
        "peakBytes": (counts.LARGEST_PEAK,),
        "systemCalls": (counts.LARGEST_CALLS,),
    }
    block_count = len(places) * MIB // BLOCK
    ours = bench.ours(
        "vhdresync",
        *(primary, replica),
        prepare=empty,
        expected={**limits, "blocksDiffering": block_count},
    )
    bench.race(Pair(f"{title}, nothing in the replica", primary, replica), [ours])
    expected = {**limits, "blocksDiffering": 0, "bytesWritten": 0, "flushes": 0}
    again = bench.ours("vhdresync", primary, replica, expected=expected)
    bench.race(Pair(f"{title}, identical", primary, replica), [again])
    remove("largest-*.vhdx")


def sizes(bench, base):
    """Time for each GiB that is allocated: of one side, and of both where memory holds them."""
    remove("same.vhdx", "replica.vhdx", "primary.vhdx", "changed*.vhdx")
    base.changed_counts = None
    make("seed", GIB)
    output = FOLDER / "size.map"
    same = FOLDER / "full-same.vhdx"
    for gibibytes in SIZES:
        # A file has to stay in the page cache until the next run.
        room = (min(memory_available(), shutil.disk_usage(FOLDER).free) - GIB) // GIB
        if gibibytes > room:
            bench.note(f"{gibibytes} GiB allocated: page cache or disk have room for {room} GiB")
            continue
        image = make_full(gibibytes)
        data = gibibytes * GIB
        alone = bench.ours(
            "vhdresync map", "map", image, "-o", output, expected=counts.mapped(data), traced=False
        )
        bench.race(Pair(f"{gibibytes} GiB allocated", image, None), [alone])
        if not points.was_cached(bench.rows[-1]):
            bench.note(f"{gibibytes} GiB allocated: the system did not keep it in the page cache")
        if 2 * gibibytes > room:
            bench.note(f"{gibibytes} GiB allocated: one side alone, there is room for {room} GiB")
        else:
            copy(image, same)
            expected = counts.identical(data)
            both = bench.ours("vhdresync", image, same, expected=expected, traced=False)
            bench.race(Pair(f"{gibibytes} GiB allocated", image, same), [both])
        remove("full-*.vhdx", "size.map")
    remove("seed.raw")


PARTS = {
    "identical": identical,
    "changed": changed,
    "changed20": changed20,
    "compressible": compressible,
    "scattered": scattered,
    "offline": offline,
    "remote": remote,
    "create": created,
    "fragmented": fragmented,
    "zeros": zeros,
    "blocksizes": blocksizes,
    "jobs": jobs,
    "side": side,
    "cold": cold,
    "sparse": sparse,
    "largest": largest,
    "sizes": sizes,
    "walk": walk,
}
# These run only where they are named.
ASKED_FOR = {"walk"}
# What the short run has: every kind of count, on disks that are made in a second.
SHORT = ["identical", "changed", "side", "offline", "remote", "create", "sparse", "largest"]
