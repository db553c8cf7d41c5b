"""What is done to an image beyond writing through QEMU."""

import os
import shutil
import struct
import subprocess

from make_images.image import KIB, MIB, Write, commands_run, make, note, run, with_sbin

# The format, as far as these images are changed behind QEMU's back. [MS-VHDX] 2.2 and 2.3.

HEADER_OFFSETS = (64 * KIB, 128 * KIB)
HEADER_SIZE = 4096
# Where QEMU puts the regions of every image it makes.
LOG_OFFSET, BAT_OFFSET, METADATA_OFFSET = 1 * MIB, 2 * MIB, 3 * MIB
LOG_SIZE = 1 * MIB
SECTOR = 4096


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def crc_table():
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        yield value


CRC_TABLE = list(crc_table())


def with_crc(structure):
    """The structure, whose checksum field at byte 4 is zero, with the checksum in it."""
    return structure[:4] + struct.pack("<I", crc32c(structure)) + structure[8:]


def make_4096_byte_sectors(path, image):
    """Sets both sector sizes to 4096, which QEMU can neither make nor read.

    The BAT stays right as long as the disk has no more blocks than a chunk of 512-byte sectors.
    """
    assert image.size // image.block <= (1 << 23) * 512 // image.block
    items = {
        bytes.fromhex("1dbf4181 6fa9 0947 ba47 f233a8faab5f".replace(" ", "")),
        bytes.fromhex("c748a3cd 5d44 7144 9cc9 e9885251c556".replace(" ", "")),
    }
    with open(path, "r+b") as file:
        file.seek(METADATA_OFFSET)
        table = file.read(64 * KIB)
        assert table.startswith(b"metadata")
        changed = 0
        for index in range(struct.unpack_from("<H", table, 10)[0]):
            identifier, offset = struct.unpack_from("<16sI", table, 32 + 32 * index)
            if identifier in items:
                file.seek(METADATA_OFFSET + offset)
                file.write(struct.pack("<I", 4096))
                changed += 1
        assert changed == 2


def fail_the_bat_write(path, image):
    """Writes with an I/O error where QEMU writes the BAT in place, after the log entry is durable.

    What is left is a file whose log must be replayed: the entry holds the only right BAT page.
    """
    late = late_write(image)
    options = (
        "driver=vhdx,file.driver=blkdebug,file.image.driver=file"
        f",file.image.filename={path},file.inject-error.0.event=none,file.inject-error.0.errno=5"
        f",file.inject-error.0.iotype=write,file.inject-error.0.sector={BAT_OFFSET // 512}"
    )
    write = f"write -P {late.pattern} {late.offset} {late.count}"
    command = ["qemu-io", "--image-opts", options, "-c", write]
    note(command, path.parent)
    result = subprocess.run(command, capture_output=True, text=True)
    assert "Input/output error" in result.stdout + result.stderr, result
    image.writes = image.writes + [late]


def late_write(image):
    """The write that only the log knows of: the fifth block from the end."""
    return Write(image.size - 5 * image.block, 64 * KIB, 0x5A)


def leave_wrapped_log(path, image):
    """Undoes parts of the BAT and writes them into a log of three entries that wraps.

    Before the replay the BAT lacks two blocks and has one that is to go. The log holds, oldest
    first, two stale entries of another session, an empty entry, an entry with the BAT page that
    has one of the two blocks, and an entry across the end of the log with the page that has both
    and a zero descriptor for the page of the block that is to go.
    """
    log_guid = bytes(range(0x40, 0x50))
    stale_guid = bytes(range(0x70, 0x80))
    with open(path, "r+b") as file:
        file.seek(0, os.SEEK_END)
        file_size = file.tell()
        file.seek(BAT_OFFSET)
        pages = [file.read(SECTOR), file.read(SECTOR)]
        first, second = (write.offset // image.block for write in image.writes[1:3])
        removed = image.writes[-1].offset // image.block
        assert first < 512 and second < 512 and removed >= 512

        none = clear_entries(pages[0], [first, second])
        half = clear_entries(pages[0], [second])
        file.seek(BAT_OFFSET)
        file.write(none)

        position = LOG_SIZE - 5 * SECTOR
        log = bytearray(LOG_SIZE)
        place(
            log,
            position - 4 * SECTOR,
            log_entry(stale_guid, 900, position - 4 * SECTOR, file_size, [(BAT_OFFSET, none)]),
        )
        place(
            log,
            position - 2 * SECTOR,
            log_entry(stale_guid, 901, position - 4 * SECTOR, file_size, [(BAT_OFFSET, none)]),
        )
        empty = log_entry(log_guid, 100, position, file_size, [])
        place(log, position, empty)
        tail = position + len(empty)
        half_entry = log_entry(log_guid, 101, tail, file_size, [(BAT_OFFSET, half)])
        place(log, tail, half_entry)
        # Two sectors remain before the end; the second data sector of this entry lies at the start.
        last = log_entry(
            log_guid,
            102,
            tail,
            file_size,
            [(BAT_OFFSET, pages[0]), (BAT_OFFSET + 2 * SECTOR, bytes(SECTOR))],
            zeros=[(BAT_OFFSET + SECTOR, SECTOR)],
        )
        place(log, tail + len(half_entry), last)
        assert tail + len(half_entry) < LOG_SIZE < tail + len(half_entry) + len(last)
        file.seek(LOG_OFFSET)
        file.write(log)

        for offset in HEADER_OFFSETS:
            file.seek(offset)
            header = bytearray(file.read(HEADER_SIZE))
            header[4:8] = bytes(4)
            header[48:64] = log_guid
            file.seek(offset)
            file.write(with_crc(bytes(header)))
    image.writes = image.writes[:-1]


def clear_entries(page, blocks):
    page = bytearray(page)
    for block in blocks:
        page[8 * block : 8 * block + 8] = bytes(8)
    return bytes(page)


def place(log, position, entry):
    for index, byte in enumerate(entry):
        log[(position + index) % len(log)] = byte


def log_entry(guid, sequence, tail, file_size, pages, zeros=()):
    """One log entry, [MS-VHDX] 2.3.1: the descriptors, then a sector for each page."""
    descriptors = b""
    for offset, page in pages:
        descriptors += struct.pack("<4s4s8sQQ", b"desc", page[-4:], page[:8], offset, sequence)
    for offset, count in zeros:
        descriptors += struct.pack("<4sIQQQ", b"zero", 0, count, offset, sequence)
    count = len(pages) + len(zeros)
    descriptor_sectors = max(1, -(-(count + 2) // 128))
    length = SECTOR * (descriptor_sectors + len(pages))
    head = struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, sequence, count, 0, guid, file_size, file_size
    )
    entry = (head + descriptors).ljust(SECTOR * descriptor_sectors, b"\0")
    for _, page in pages:
        entry += struct.pack("<4sI", b"data", sequence >> 32)
        entry += page[8:-4] + struct.pack("<I", sequence & 0xFFFFFFFF)
    return with_crc(entry)


def make_ext4(path, image):
    """An ext4 file system with files in it, made without mounting and the same on every run."""
    raw = path.with_suffix(".raw")
    with open(raw, "wb") as file:
        file.truncate(image.size)
    environment = {**with_sbin(), "E2FSPROGS_FAKE_TIME": "1700000000"}
    commands_run.clear()
    make(
        path.parent,
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-O",
        "^has_journal",
        "-U",
        "6a0e5f0e-0d3c-4a3b-9f5a-2a1d9f1c0001",
        "-E",
        "hash_seed=6a0e5f0e-0d3c-4a3b-9f5a-2a1d9f1c0002,lazy_itable_init=0,root_owner=0:0",
        raw,
        env=environment,
    )
    files = path.with_suffix(".files")
    files.mkdir(exist_ok=True)
    commands = ["mkdir /texts", "mkdir /noise"]
    for number in range(40):
        text = files / f"text-{number}"
        text.write_text("".join(f"file {number}, line {line}\n" for line in range(40 * number)))
        commands.append(f"write {text} /texts/{number}.txt")
    for number in range(4):
        noise = files / f"noise-{number}"
        noise.write_bytes(Write(number, 3000 + 4096 * number).content(image.name))
        commands.append(f"write {noise} /noise/{number}")
    make(
        path.parent,
        "debugfs",
        "-w",
        "-f",
        "-",
        raw,
        input="\n".join(commands) + "\n",
        env=environment,
    )
    run("e2fsck", "-fn", raw, env=environment)
    path.unlink()
    make(
        path.parent,
        "qemu-img",
        "convert",
        "-f",
        "raw",
        "-O",
        "vhdx",
        "-o",
        f"block_size={image.block}",
        raw,
        path,
    )
    shutil.rmtree(files)
