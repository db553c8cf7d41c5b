"""Short digests, by docs/protocol.md alone: LEVEL SALT X, the latter two as hexadecimal bytes."""

import hashlib
import struct
import sys


def short(level, salt, content):
    """The first eight bytes of the SHA-256 of tag, salt, level and content."""
    head = b"vhdresync short1" + salt + struct.pack("<Q", level)
    return hashlib.sha256(head + content).digest()[:8]


if __name__ == "__main__":
    level, salt, content = sys.argv[1:]
    print(short(int(level), bytes.fromhex(salt), bytes.fromhex(content)).hex())
