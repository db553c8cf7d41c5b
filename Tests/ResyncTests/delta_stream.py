#!/usr/bin/env python3
"""The delta stream of docs/delta-stream.md, from the document alone: nothing here is shared with
the Swift sources.

    delta_stream.py FILE      checks a finished stream by every rule and prints what it says

Each record is a line: "zeros FIRST COUNT", or "data FIRST COUNT SHA-256" with the digest of the
content of the whole run. A last line says "trailer BASE-ROOT RESULT-ROOT". Where the records cover
the whole disk, the root digest that they make must be the result root.
"""

import struct
import sys

from digest_tree import crc32c, root, sha256


def lz4_block(block):
    """The content of an LZ4 block: literals and matches in turn, literals at the end."""

    def length(position, start):
        total = start
        while start == 15:
            total += block[position]
            position += 1
            if block[position - 1] != 255:
                break
        return total, position

    content, position = bytearray(), 0
    while True:
        token = block[position]
        count, position = length(position + 1, token >> 4)
        assert position + count <= len(block), "literals"
        content += block[position : position + count]
        position += count
        if position == len(block):
            return bytes(content)
        (distance,) = struct.unpack_from("<H", block, position)
        count, position = length(position + 2, token & 15)
        assert 0 < distance <= len(content), "distance"
        for _ in range(count + 4):
            content.append(content[-distance])


def check_sum(record, count):
    (stored,) = struct.unpack_from("<I", record, 4)
    assert stored == crc32c(record[:4] + bytes(4) + record[8:count]), "checksum of a record"


def content_of_data(record, byte_count, block_size):
    """The content of a record of data, whose blocks hold so many bytes."""
    count, length = struct.unpack_from("<II", record, 16)
    payload = record[24 + 32 * count :]
    assert len(payload) == length <= byte_count, "payload"
    content = payload if length == byte_count else lz4_block(payload)
    assert len(content) == byte_count, "length of the content"
    for index in range(count):
        digest = sha256(content[index * block_size : (index + 1) * block_size])
        assert digest == record[24 + 32 * index : 56 + 32 * index], "digest of a block"
    return content


def check(stream):
    assert stream[:16] == b"vhdresyncdlt\r\n\x1a\n", "magic"
    version, block_size, virtual_size = struct.unpack_from("<IIQ", stream, 16)
    flags, checksum = struct.unpack_from("<II", stream, 192)
    assert version == 1 and flags in (0, 1) and checksum == crc32c(stream[:196]), "header"
    assert block_size in [2**n for n in range(12, 25)] and virtual_size < 2**63, "geometry"
    block_count = -(-virtual_size // block_size)

    lines, leaves, position, end, counts = [], [], 200, 0, [0, 0, 0]
    while True:
        kind, _, first, count = struct.unpack_from("<IIQQ", stream, position)
        if kind == 3:
            break
        assert kind in (1, 2), "kind"
        byte_count = 24
        if kind == 2:
            count, length = count & 0xFFFFFFFF, count >> 32
            byte_count += 32 * count + length
        record = stream[position : position + byte_count]
        check_sum(record, byte_count)
        assert end <= first and 0 < count <= block_count - first, "blocks"
        end = first + count
        content_bytes = min(end * block_size, virtual_size) - first * block_size
        if kind == 1:
            lines.append(f"zeros {first} {count}")
            if end <= 1 << 16:
                sizes = [min(block_size, virtual_size - i * block_size) for i in range(first, end)]
                leaves += [sha256(bytes(size)) for size in sizes]
        else:
            assert content_bytes <= max(2**20, block_size), "length of a record"
            content = content_of_data(record, content_bytes, block_size)
            leaves += [record[24 + 32 * i : 56 + 32 * i] for i in range(count)]
            lines.append(f"data {first} {count} {sha256(content).hex()}")
        counts = [counts[0] + 1, counts[1] + count * (kind == 2), counts[2] + count * (kind == 1)]
        position += byte_count

    trailer = stream[position:]
    assert len(trailer) == 144, "length of the trailer"
    check_sum(trailer, 112)
    assert list(struct.unpack_from("<QQQ", trailer, 8)) == counts, "counts"
    assert trailer[32:48] == stream[32:48], "stream ID of the trailer"
    assert flags == 1 or trailer[48:112] == bytes(64), "root digests"
    assert trailer[112:] == sha256(stream[:-32]), "SHA-256 of the stream"
    if flags == 1 and len(leaves) == block_count:
        assert trailer[80:112] == root(virtual_size, block_size, leaves), "result root"
    return lines + [f"trailer {trailer[48:80].hex()} {trailer[80:112].hex()}"]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        print("\n".join(check(file.read())))
