"""The images of the project, each with the writes that fill it."""

from make_images.finish import (
    fail_the_bat_write,
    leave_wrapped_log,
    make_4096_byte_sectors,
    make_ext4,
)
from make_images.image import CHUNK, GIB, KIB, MIB, TIB, Image, Write

IMAGES = [
    Image("empty-3G", 3 * GIB, 1 * MIB, about="No block is allocated."),
    Image(
        "dynamic-1M",
        64 * MIB,
        1 * MIB,
        [
            Write(63 * MIB, 1 * MIB, 0x11),
            Write(5 * MIB + 512, 4 * KIB),
            Write(0, 64 * KIB),
            # Across the edge of two payload blocks.
            Write(30 * MIB - 8 * KIB, 16 * KIB),
            # Zeros that were written: allocated, and all zero.
            Write(40 * MIB, 1 * MIB, 0),
        ],
        about=(
            "Blocks lie in the file in another order than on the disk; a write crosses the edge of "
            "two blocks; one allocated block holds zeros only."
        ),
    ),
    Image(
        "dynamic-2M",
        96 * MIB,
        2 * MIB,
        [Write(94 * MIB, 2 * MIB, 0x22), Write(2 * MIB, 16 * KIB), Write(50 * MIB - 512, 1024)],
    ),
    Image(
        "dynamic-8M",
        256 * MIB,
        8 * MIB,
        [Write(248 * MIB, 8 * MIB, 0x33), Write(0, 16 * KIB), Write(128 * MIB - 4096, 8192)],
        create_options=",block_state_zero=off",
        about="Absent blocks are NOT_PRESENT (0); in the other images they are ZERO (2).",
    ),
    Image(
        "dynamic-32M",
        512 * MIB,
        32 * MIB,
        [Write(511 * MIB, 1 * MIB, 0x44), Write(64 * MIB - 4096, 8192), Write(0, 4096)],
    ),
    Image(
        "dynamic-256M",
        1 * GIB,
        256 * MIB,
        [Write(1 * GIB - 16 * KIB, 16 * KIB), Write(256 * MIB - 4096, 4096)],
        about="The largest payload block.",
    ),
    Image(
        "partial-last-block",
        100 * MIB + 3 * 512,
        8 * MIB,
        [Write(100 * MIB + 1024, 512), Write(96 * MIB, 64 * KIB, 0x55), Write(8 * MIB, 4096)],
        about=(
            "The disk ends in the third sector of its last payload block, and that sector holds "
            "data."
        ),
    ),
    Image(
        "past-4G-1M",
        9 * GIB,
        1 * MIB,
        [
            Write(9 * GIB - 16 * KIB, 16 * KIB),
            Write(2 * CHUNK, 64 * KIB, 0x66),
            Write(2 * CHUNK - 4096, 4096),
            Write(CHUNK, 4096),
            Write(CHUNK - 64 * KIB, 64 * KIB, 0x67),
            Write(0, 4096),
        ],
        about=(
            "Data on both sides of each chunk edge and at the end of the disk: the BAT has sector- "
            "bitmap entries between."
        ),
    ),
    Image(
        "past-4G-32M",
        5 * GIB,
        32 * MIB,
        [Write(CHUNK - 4096, 8192), Write(5 * GIB - 512, 512), Write(0, 64 * KIB, 0x77)],
        about="A write across the edge of two chunks of 128 blocks, and data in the last sector.",
    ),
    Image(
        "past-2T-32M",
        2 * TIB + 3 * GIB,
        32 * MIB,
        [
            Write(2 * TIB + 3 * GIB - 16 * KIB, 16 * KIB),
            Write(2 * TIB - 4096, 8192),
            Write(1 * TIB + 12345 * 512, 512),
            Write(0, 16 * KIB),
        ],
        about="Data at the start, in the middle, across 2 TiB, and at the end.",
    ),
    Image(
        "past-2T-1M",
        2 * TIB + 1 * GIB + 512,
        1 * MIB,
        [
            Write(2 * TIB + 1 * GIB, 512),
            Write(2 * TIB - 4096, 8192),
            Write(1 * TIB, 1 * MIB, 0x99),
            Write(0, 512),
        ],
        about="A BAT of 17 MiB; the last payload block is one sector long and holds data.",
    ),
    Image(
        "fixed-present",
        16 * MIB,
        1 * MIB,
        [Write(0, 4096), Write(7 * MIB - 4096, 8192), Write(15 * MIB, 1 * MIB, 0x88)],
        subformat="fixed",
        create_options=",block_state_zero=off",
        about="Every block is FULLY_PRESENT.",
    ),
    Image(
        "fixed-zero",
        16 * MIB,
        1 * MIB,
        [Write(3 * MIB, 4096), Write(16 * MIB - 512, 512)],
        subformat="fixed",
        about=(
            "QEMU marks every block of a fixed image as ZERO unless told not to, and allocates a "
            "second time on a write."
        ),
    ),
    Image(
        "ext4-32M",
        32 * MIB,
        8 * MIB,
        finish=make_ext4,
        about=(
            "A file system with 44 files, which make-images writes beside it and names to debugfs "
            "on its standard input. E2FSPROGS_FAKE_TIME is 1700000000, so that all times are the "
            "same on every run."
        ),
    ),
    Image(
        "sectors-4096",
        64 * MIB,
        2 * MIB,
        [Write(64 * MIB - 4096, 4096), Write(6 * MIB - 4096, 8192), Write(0, 64 * KIB, 0xAA)],
        finish=make_4096_byte_sectors,
        sector=4096,
        about=(
            "QEMU makes the image with 512-byte sectors; then both sector sizes in the metadata "
            "are set to 4096."
        ),
    ),
    Image(
        "dirty-log",
        16 * MIB,
        1 * MIB,
        [Write(0, 64 * KIB, 0xBB), Write(3 * MIB, 4096)],
        finish=fail_the_bat_write,
        dirty=True,
        about=(
            "The last command fails: an I/O error is injected where QEMU writes the BAT page in "
            "place, after the log entry is durable. One log entry with one data descriptor."
        ),
    ),
    # The last write is what the log takes away again; the two before it are what it brings.
    Image(
        "dirty-log-wrapped",
        1 * GIB,
        1 * MIB,
        [
            Write(0, 4096),
            Write(100 * MIB, 4096),
            Write(511 * MIB, 64 * KIB, 0xCC),
            Write(700 * MIB, 4096),
        ],
        finish=leave_wrapped_log,
        dirty=True,
        about=(
            "After the commands the BAT lacks two blocks and has one too many; the log, which "
            "make-images writes, puts it right. Three entries (an empty one, one page, two pages "
            "and a zero descriptor), the last across the end of the log; two valid entries of an "
            "older session before them."
        ),
    ),
]
