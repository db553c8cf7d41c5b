#!/usr/bin/env python3
"""Reads a VHDX disk through a library that others wrote, and says what it holds.

    read_disk.py LIBRARY [--range START:COUNT]... [--at-once] IMAGE [PARENT]...

LIBRARY is libvhdi or dissect. PARENT names the parent of IMAGE, then the parent of that; dissect
takes none and follows the parent locator instead. Prints one JSON object: the size of the disk in
bytes, the version of the library, the parent's name if the library tells it, and of each range, or
of the whole disk where no range is given, the SHA-256 and the value of all its bytes if they are
equal. Reads piece by piece within each mebibyte, or with --at-once each range in one call.
Ends with status 3 and the library's words on standard error where the library gives up.
"""

import argparse
import hashlib
import importlib.metadata
import json
import sys

PIECE = 1 << 20


class LibVHDI:
    def __init__(self, paths):
        import pyvhdi

        self.version = pyvhdi.get_version()
        self.files = []
        for path in paths:
            file = pyvhdi.file()
            file.open(path)
            self.files.append(file)
        for child, parent in zip(self.files, self.files[1:]):
            child.set_parent(parent)
        self.size = self.files[0].get_media_size()
        self.parent_name = self.files[0].get_parent_filename()

    def read(self, offset, count):
        return self.files[0].read_buffer_at_offset(count, offset)


class Dissect:
    def __init__(self, paths):
        from pathlib import Path

        from dissect.hypervisor.disk.vhdx import VHDX

        if len(paths) > 1:
            raise ValueError("dissect finds the parents itself")
        self.version = importlib.metadata.version("dissect.hypervisor")
        self.disk = VHDX(Path(paths[0]))
        self.size = self.disk.size
        self.parent_name = None

    def read(self, offset, count):
        self.disk.seek(offset)
        return self.disk.read(count)


def content(disk, start, count, piece):
    """The SHA-256 of a range, and the value that all its bytes have, or None."""
    sha256, values = hashlib.sha256(), set()
    position, end = start, start + count
    while position < end:
        stop = end if piece is None else min(end, (position // piece + 1) * piece)
        piece_read = disk.read(position, stop - position)
        if len(piece_read) != stop - position:
            raise EOFError(f"{len(piece_read)} of {stop - position} bytes at {position}")
        sha256.update(piece_read)
        if len(values) < 2:
            # To look at each byte of a piece by itself takes ten times as long as all else.
            first = piece_read[:1]
            is_uniform = piece_read == first * len(piece_read)
            values.update(first if is_uniform else piece_read)
        position = stop
    return sha256.hexdigest(), values.pop() if len(values) == 1 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["libvhdi", "dissect"])
    parser.add_argument("--range", action="append", default=[])
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("image", nargs="+")
    options = parser.parse_args()
    ranges = [tuple(map(int, text.split(":"))) for text in options.range]
    try:
        disk = {"libvhdi": LibVHDI, "dissect": Dissect}[options.library](options.image)
        piece = None if options.at_once else PIECE
        found = [content(disk, *it, piece) for it in ranges or [(0, disk.size)]]
    except ImportError:
        raise
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)
    reading = {"size": disk.size, "version": disk.version, "parentName": disk.parent_name}
    reading["digests"], reading["values"] = zip(*found)
    print(json.dumps(reading))


main()
