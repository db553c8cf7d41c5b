#!/usr/bin/env python3
"""The disks of the benchmarks: for `bench` and `link`.

    disks.py MAKER SIZE

Makes disks of SIZE bytes in .build/benchmarks, in a process of its own, so that nothing of them
stays in memory. Prints a JSON object of what `bench` has to know about them.
"""

import hashlib
import json
import os
import random
import sys

from measuring import BLOCK, FOLDER, GIB, KIB, MIB, TIB, run, warm

# Data and holes alternate in runs of this length.
RUN = 64 * MIB
# What is written at once.
PIECE = 16 * MIB
PAYLOAD = 8 * MIB
SMALL_CHANGE = 4 * KIB

SPARSE_SIZE = 2 * TIB
SPARSE_BLOCK = 32 * MIB
# Where the sparse disk holds data: at both ends, in the middle, and across each edge of interest.
SPARSE_DATA = [0, 4 * GIB - MIB // 2, TIB, SPARSE_SIZE - MIB]
# Pieces of it that the replica lacks.
SPARSE_CHANGED = [0, TIB + 5 * BLOCK, SPARSE_SIZE - BLOCK]
# The largest disk there is, in the smallest and in the largest payload blocks.
LARGEST_SIZE = 64 * TIB
LARGEST_DATA = [0, 4 * GIB - MIB // 2, 32 * TIB, LARGEST_SIZE - MIB]
# The same disk with data all over it: 100 pieces of 1 MiB.
SPREAD_DATA = [index * (LARGEST_SIZE // 100) // MIB * MIB for index in range(100)]


# MARK: What disks hold


def incompressible(seed, count):
    return hashlib.shake_128(seed.encode()).digest(count)


def compressible(seed, count):
    """Every 4 KiB twice: LZ4 makes it half as long."""
    half = incompressible(seed, count // 2)
    return b"".join(half[at : at + 4 * KIB] * 2 for at in range(0, len(half), 4 * KIB))


def fill(raw, size, seed, content=incompressible):
    """Makes a raw disk, half of it data."""
    with open(raw, "wb") as file:
        file.truncate(size)
        for start in range(0, size, 2 * RUN):
            for offset in range(start, min(start + RUN, size), PIECE):
                file.seek(offset)
                file.write(content(f"{seed}@{offset}", PIECE))


def blocks_with_data(size):
    return [
        offset
        for start in range(0, size, 2 * RUN)
        for offset in range(start, min(start + RUN, size), BLOCK)
    ]


def change(raw, offsets, seed, count=BLOCK, content=incompressible):
    """Writes other bytes at these offsets, and returns what was there."""
    before = {}
    with open(raw, "r+b") as file:
        for offset in sorted(offsets):
            file.seek(offset)
            before[offset] = file.read(count)
            file.seek(offset)
            file.write(content(f"{seed}, changed@{offset}", count))
    return before


def put_back(raw, before):
    with open(raw, "r+b") as file:
        for offset, content in before.items():
            file.seek(offset)
            file.write(content)


# MARK: Images


def convert(raw, image, block_size=PAYLOAD, *options):
    run(
        *("qemu-img", "convert", *options, "-f", "raw", "-O", "vhdx"),
        *("-o", f"block_size={block_size}", raw, image),
    )


def create(image, size, block_size):
    options = f"block_size={block_size}"
    run("qemu-img", "create", "-q", "-f", "vhdx", "-o", options, image, size)


def write(image, *pieces):
    """Writes pieces, each a value, an offset and a number of bytes, and flushes nothing."""
    commands = [f"write -q -P {value} {offset} {count}" for value, offset, count in pieces]
    run(
        "qemu-io",
        "-t",
        "unsafe",
        "-f",
        "vhdx",
        *(word for line in commands for word in ("-c", line)),
        image,
    )


def flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def copy(source, target):
    """A fresh copy, on the disk and in the page cache."""
    target.unlink(missing_ok=True)
    run("cp", "--sparse=always", source, target)
    flush(target)


class Replica:
    """A copy of an image that runs change, and that becomes what it was again.

    Only what differs between the two images of a pair is written again, with all before the
    first payload block: both have been made by one program, so each block lies at the same place
    in both.
    """

    # More than headers, log, metadata and table take.
    HEAD = 16 * MIB

    def __init__(self, primary, stale, path):
        self.primary, self.stale, self.path = primary, stale, path
        self.ranges = [[0, self.HEAD]]
        text = run(sys.executable, __file__, "differences", str(primary), str(stale))
        self.ranges += json.loads(text)
        copy(stale, path)

    def restore(self):
        with open(self.stale, "rb") as source, open(self.path, "r+b") as target:
            target.truncate(os.stat(self.stale).st_size)
            for start, count in self.ranges:
                # The calls work on the files alone, so this process holds nothing.
                done = 0
                while done < count:
                    copied = os.copy_file_range(
                        *(source.fileno(), target.fileno(), count - done),
                        *(start + done, start + done),
                    )
                    if copied == 0:
                        break
                    done += copied
            os.fsync(target.fileno())
        warm(self.primary, self.path)


def differences(first, second):
    """Ranges of a multiple of 4 KiB in which two files differ."""
    found = []
    with open(first, "rb") as one, open(second, "rb") as other:
        offset = 0
        while left := one.read(MIB):
            right = other.read(MIB)
            if left != right:
                for at in range(0, MIB, 4 * KIB):
                    if left[at : at + 4 * KIB] != right[at : at + 4 * KIB]:
                        found.append([offset + at, 4 * KIB])
            offset += MIB
    joined = []
    for start, count in found:
        if joined and sum(joined[-1]) == start:
            joined[-1][1] += count
        else:
            joined.append([start, count])
    return joined


# MARK: Makers


def make_pair(size, seed="vhdresync"):
    """primary.vhdx and changed.vhdx of this size, half of it data; the number of changed blocks."""
    return make_base(size, seed, shares=(100,))["changed"]


def make_base(size, seed="vhdresync", shares=(100, 5), prefix="", content=incompressible):
    """primary.vhdx, and beside it with one block in so many changed: changed.vhdx is one in 100,
    changed20.vhdx one in 5. Returns how many those are."""
    raw = FOLDER / "disk.raw"
    fill(raw, size, seed, content)
    convert(raw, FOLDER / f"{prefix}primary.vhdx")
    with_data = blocks_with_data(size)
    chooser = random.Random(seed)
    counts = {}
    for share in shares:
        name = {100: "changed", 5: "changed20"}[share]
        chosen = chooser.sample(with_data, len(with_data) // share)
        before = change(raw, chosen, seed, content=content)
        convert(raw, FOLDER / f"{prefix}{name}.vhdx")
        put_back(raw, before)
        counts[name] = len(chosen)
    raw.unlink()
    return counts


def make_compressible(size):
    """The same with bytes that LZ4 makes half as long."""
    return make_base(size, "text", (5,), "compressible-", compressible)


def make_scattered(size):
    """scattered.vhdx: 4 KiB changed in each 1 % of the blocks of primary.vhdx, which is there."""
    raw, seed = FOLDER / "disk.raw", "vhdresync"
    fill(raw, size, seed)
    with_data = blocks_with_data(size)
    chooser = random.Random("scattered")
    chosen = chooser.sample(with_data, len(with_data) // 100)
    inside = [at + chooser.randrange(BLOCK // SMALL_CHANGE) * SMALL_CHANGE for at in chosen]
    change(raw, inside, seed, SMALL_CHANGE)
    convert(raw, FOLDER / "scattered.vhdx")
    raw.unlink()
    return {"scattered": len(chosen)}


def make_fragmented(size):
    """Two images with one content in payload blocks of 1 MiB, in other random orders in each file.

    QEMU takes the next place in the file for each block that is written to: a sector of each is
    written in random order, and then all of the content.
    """
    raw = FOLDER / "disk.raw"
    fill(raw, size, "fragmented")
    places = [at for at in range(0, size, MIB) if at % (2 * RUN) < RUN]
    for name in ("primary", "replica"):
        image = FOLDER / f"fragmented-{name}.vhdx"
        create(image, size, MIB)
        random.Random(name).shuffle(places)
        for start in range(0, len(places), 512):
            write(image, *((1, at, 512) for at in places[start : start + 512]))
        # The image reads as zero but for those sectors, which all are in what is written now.
        into = ("-n", "--target-is-zero", "-f", "raw", "-O", "vhdx")
        run("qemu-img", "convert", *into, raw, image)
        flush(image)
    raw.unlink()
    return {}


def make_zeros(size):
    """A disk with 64 KiB of data in each MiB: the primary stores the zeros, the replica's file has
    holes there."""
    raw = FOLDER / "disk.raw"
    with open(raw, "wb") as file:
        file.truncate(size)
        for offset in range(0, size, MIB):
            file.seek(offset)
            file.write(incompressible(f"zeros@{offset}", BLOCK))
    convert(raw, FOLDER / "zeros-primary.vhdx", PAYLOAD, "-S", "0")
    convert(raw, FOLDER / "zeros-replica.vhdx")
    for name in ("primary", "replica"):
        flush(FOLDER / f"zeros-{name}.vhdx")
    raw.unlink()
    return {}


def make_seed(size):
    """seed.raw, of which disks with much data are made: it is their content several times over."""
    with open(FOLDER / "seed.raw", "wb") as file:
        for offset in range(0, size, PIECE):
            file.write(incompressible(f"seed@{offset}", PIECE))
    return {}


def make_full(gibibytes):
    """A disk that is full of data, from seed.raw, which has 1 GiB."""
    image = FOLDER / f"full-{gibibytes}.vhdx"
    sources = [FOLDER / "seed.raw"] * gibibytes
    run(
        *("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", f"block_size={PAYLOAD}"),
        *(*sources, image),
    )
    flush(image)
    return image


def make_sparse_pair():
    """sparse-primary.vhdx and sparse-changed.vhdx; the number of changed blocks."""
    primary, changed = FOLDER / "sparse-primary.vhdx", FOLDER / "sparse-changed.vhdx"
    create(primary, SPARSE_SIZE, SPARSE_BLOCK)
    write(primary, *((0x21 + index, at, MIB) for index, at in enumerate(SPARSE_DATA)))
    copy(primary, changed)
    write(changed, *((238, at, BLOCK) for at in SPARSE_CHANGED))
    return len(SPARSE_CHANGED)


def make(name, size):
    """Makes disks in a process of its own, and returns what has to be known of them."""
    return json.loads(run(sys.executable, __file__, name, size))


MAKERS = {
    "base": make_base,
    "compressible": make_compressible,
    "scattered": make_scattered,
    "fragmented": make_fragmented,
    "zeros": make_zeros,
    "seed": make_seed,
}

if __name__ == "__main__":
    if sys.argv[1] == "differences":
        print(json.dumps(differences(*sys.argv[2:4])))
    else:
        print(json.dumps(MAKERS[sys.argv[1]](int(sys.argv[2]))))
