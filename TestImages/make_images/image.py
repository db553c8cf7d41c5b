"""What an image is made of, and the commands that make it."""

import hashlib
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

CHUNK = 4 * GIB
"""With 512-byte sectors a chunk of the BAT covers 4 GiB, whatever the payload block size."""

NOISE = None
"""As the pattern of a write: incompressible bytes that depend on image and offset alone."""


@dataclass
class Write:
    """A range of the disk, filled with one byte value, or with noise."""

    offset: int
    count: int
    pattern: int | None = NOISE

    def content(self, image):
        if self.pattern is not NOISE:
            return bytes([self.pattern]) * self.count
        return hashlib.shake_128(f"{image}@{self.offset}".encode()).digest(self.count)


@dataclass
class Image:
    name: str
    size: int
    block: int
    writes: list = field(default_factory=list)
    subformat: str = "dynamic"
    create_options: str = ""
    # Made after the writes: (the image's path, its Image) -> None.
    finish: object = None
    sector: int = 512
    dirty: bool = False
    # What README.md says of it beyond the numbers.
    about: str = ""

    @property
    def file(self):
        return self.name + ".vhdx"

    def create(self, folder):
        options = f"subformat={self.subformat},block_size={self.block}{self.create_options}"
        make(
            folder,
            "qemu-img",
            "create",
            "-q",
            "-f",
            "vhdx",
            "-o",
            options,
            folder / self.file,
            self.size,
        )
        write_with_qemu(folder / self.file, self.name, self.writes)
        if self.finish:
            self.finish(folder / self.file, self)


# The commands that made the image now being made, for README.md.
commands_run = []


def note(command, folder=None):
    """Remembers a command as a person would type it in the folder of the images."""
    command = [
        os.path.relpath(argument, folder) if os.path.isabs(argument) else argument
        for argument in command
    ]
    commands_run.append(shlex.join(command).replace(f"{folder}/", ""))


def run(*command, **options):
    command = [str(argument) for argument in command]
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if result.returncode != 0:
        sys.exit(
            f"make-images: {' '.join(command)} ended with {result.returncode}\n{result.stdout}"
        )
    return result.stdout


def make(folder, *command, **options):
    """Runs a command that README.md is to show."""
    note([str(argument) for argument in command], folder)
    return run(*command, **options)


def write_with_qemu(path, seed_name, writes):
    """One qemu-io for all the writes, in their order: the blocks lie in the file in that order."""
    commands = []
    noise_files = []
    for write in writes:
        if write.pattern is NOISE:
            noise = path.with_name(f"{path.stem}.{write.offset}.noise")
            noise.write_bytes(write.content(seed_name))
            noise_files.append(noise)
            commands += ["-c", f"write -q -s {noise} {write.offset} {write.count}"]
        else:
            commands += ["-c", f"write -q -P {write.pattern} {write.offset} {write.count}"]
    if commands:
        output = make(path.parent, "qemu-io", "-f", "vhdx", *commands, path)
        if output.strip():
            sys.exit(f"make-images: qemu-io says of {path}: {output}")
    for noise in noise_files:
        noise.unlink()


def with_sbin():
    return {**os.environ, "PATH": os.environ["PATH"] + ":/sbin:/usr/sbin"}
