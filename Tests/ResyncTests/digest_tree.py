#!/usr/bin/env python3
"""The digest tree of docs/digest-tree.md and the map of docs/digest-map.md, from the documents
alone: nothing here is shared with the Swift sources.

    digest_tree.py root VIRTUAL-SIZE BLOCK-SIZE PATTERN     prints the root digest of a disk
    digest_tree.py map FILE                                 checks a map, prints its root digest

PATTERN says what the blocks hold: "zeros"; "full", where byte j of block i is
(7·i + 13·j + 1) mod 251; or "every:N", where block i is full if N divides i and zeros otherwise.
"""

import hashlib
import struct
import sys

FAN_OUT = 64


def sha256(content):
    return hashlib.sha256(content).digest()


def node(level, children):
    return sha256(b"vhdresync node 1" + struct.pack("<Q", level) + b"".join(children))


def root_of_top(virtual_size, block_size, top):
    return sha256(b"vhdresync root 1" + struct.pack("<QI", virtual_size, block_size) + top)


def root(virtual_size, block_size, leaves):
    """The root digest of a list of leaves: every level written out, then the one above it."""
    digests, level = leaves, 0
    while level == 0 or len(digests) > 1:
        level += 1
        groups = range(0, max(len(digests), 1), FAN_OUT)
        digests = [node(level, digests[i : i + FAN_OUT]) for i in groups]
    return root_of_top(virtual_size, block_size, digests[0])


def root_of_zeros(virtual_size, block_size):
    """The same for a disk of zeros, without a list of its leaves.

    All nodes of a level but the last are equal, so a level is a count, a digest, and a last one.
    """
    count = max(-(-virtual_size // block_size), 0)
    whole = sha256(bytes(block_size))
    last = sha256(bytes(virtual_size % block_size)) if virtual_size % block_size else whole
    level = 0
    while level == 0 or count > 1:
        level += 1
        if count == 0:
            last = node(level, [])
        else:
            in_last = count % FAN_OUT or FAN_OUT
            last = node(level, [whole] * (in_last - 1) + [last])
        whole = node(level, [whole] * FAN_OUT)
        count = max(-(-count // FAN_OUT), 1)
    return root_of_top(virtual_size, block_size, last)


def block(index, size):
    return bytes((7 * index + 13 * j + 1) % 251 for j in range(size))


def leaves(virtual_size, block_size, pattern):
    period = 1 if pattern == "full" else int(pattern.removeprefix("every:"))
    for index, start in enumerate(range(0, virtual_size, block_size)):
        size = min(block_size, virtual_size - start)
        yield sha256(block(index, size) if index % period == 0 else bytes(size))


def root_of_pattern(virtual_size, block_size, pattern):
    if pattern == "zeros":
        return root_of_zeros(virtual_size, block_size)
    return root(virtual_size, block_size, list(leaves(virtual_size, block_size, pattern)))


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check_record(record):
    stored = struct.unpack_from("<I", record, 4)[0]
    assert stored == crc32c(record[:4] + bytes(4) + record[8:]), "checksum of a record"


def root_of_map(content):
    """The root digest of a map, computed from its digests; every rule of the format is asserted."""
    assert content[:16] == b"vhdresyncmap\r\n\x1a\n", "magic"
    version, block_size, virtual_size = struct.unpack_from("<IIQ", content, 16)
    assert version in (1, 2), "version"
    end = 64 if version == 1 else 96
    reserved, checksum = struct.unpack_from("<II", content, end)
    assert reserved == 0 and checksum == crc32c(content[: end + 4]), "header"
    block_count = -(-virtual_size // block_size)

    leaves, position = [], end + 8
    while True:
        kind, _, count = struct.unpack_from("<IIQ", content, position)
        if kind == 3:
            break
        assert 0 < count <= block_count - len(leaves), "count"
        end = position + 16 + (32 * count if kind == 2 else 0)
        check_record(content[position:end])
        if kind == 1:
            leaves += [sha256(bytes(block_size))] * count
            if len(leaves) == block_count and virtual_size % block_size:
                leaves[-1] = sha256(bytes(virtual_size % block_size))
        else:
            assert kind == 2 and count <= 4096, "record"
            leaves += [content[start : start + 32] for start in range(position + 16, end, 32)]
        position = end

    check_record(content[position : position + 48])
    assert count == len(leaves) == block_count, "block count"
    assert content[position + 48 :] == sha256(content[: position + 48]), "SHA-256 of the file"
    computed = root(virtual_size, block_size, leaves)
    assert content[position + 16 : position + 48] == computed, "root digest"
    return computed


if __name__ == "__main__":
    if sys.argv[1:2] == ["root"] and len(sys.argv) == 5:
        print(root_of_pattern(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).hex())
    elif sys.argv[1:2] == ["map"] and len(sys.argv) == 3:
        with open(sys.argv[2], "rb") as file:
            print(root_of_map(file.read()).hex())
    else:
        sys.exit(__doc__)
