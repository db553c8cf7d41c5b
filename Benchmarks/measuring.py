"""Runs commands and says what they cost: for `bench` and `link`."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDER = CHECKOUT / ".build" / "benchmarks"

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
BLOCK = 64 * KIB
CORES = os.cpu_count()

# What makes written bytes durable, and what only asks the kernel to begin with it.
FLUSHES = ["fsync", "fdatasync", "sync", "syncfs", "msync"]
WRITEBACK = "sync_file_range"


def run(*command):
    """Runs a command that must succeed, and returns what it printed."""
    command = [str(argument) for argument in command]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} ended with {result.returncode}\n{result.stdout}")
    return result.stdout


def measure(*command):
    """Runs a command and returns what it cost and its standard output.

    Processor time, memory and bytes are those of the command and of every process that it has
    waited for. A peak below `smallestVisiblePeakBytes` cannot be seen.
    """
    command = [str(argument) for argument in command]
    cost_path, output, error = (FOLDER / f"{name}.txt" for name in ("cost", "output", "error"))
    launcher = [sys.executable, "-I", "-S", Path(__file__).with_name("launch.py")]
    run(*launcher, cost_path, output, error, *command)
    cost = json.loads(cost_path.read_text())
    text = output.read_text()
    if (status := cost.pop("status")) != 0:
        text += error.read_text()
        sys.exit(f"bench: {' '.join(command)} ended with {status}\n{text}")
    return cost, text


def measure_program(program, *arguments):
    """One run of vhdresync: what it cost, and the report on its disk."""
    cost, output = measure(program, *arguments, "--json", "--quiet")
    result = json.loads(output)
    if result["returnValue"] != 0:
        sys.exit(f"bench: vhdresync returned {result['returnValue']}\n{output}")
    return cost, result["disks"][0]


def count_calls(*command, flushes_alone=False):
    """Runs a command under strace: its system calls, its flushes, and what it printed.

    With `flushes_alone` the kernel stops the command at flushes and nowhere else, which costs
    little.
    """
    table = FOLDER / "calls.txt"
    selected = (
        ["--seccomp-bpf", "-e", "trace=" + ",".join([*FLUSHES, WRITEBACK])] if flushes_alone else []
    )
    output = run("strace", "-f", "-qq", "-c", "-o", table, *selected, *command)
    calls = {}
    for line in table.read_text().splitlines():
        words = line.split()
        # Share, seconds, microseconds a call, calls, errors where there are any, name.
        if len(words) in (5, 6) and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    counts = {
        "flushes": sum(calls.get(name, 0) for name in FLUSHES),
        "writebacks": calls.get(WRITEBACK, 0),
    }
    if not flushes_alone:
        counts["systemCalls"] = sum(calls.values())
        counts["systemCallsByName"] = dict(sorted(calls.items(), key=lambda call: -call[1]))
    return counts, output


def openssl_speed(seconds):
    """Bytes per second that OpenSSL hashes with SHA-256 in blocks of 64 KiB on all cores."""
    output = run(
        "openssl", "speed", "-seconds", seconds, "-evp", "sha256", "-bytes", BLOCK, "-multi", CORES
    )
    found = re.findall(r"^sha-?256\s+([0-9.]+)k\s*$", output, re.MULTILINE | re.IGNORECASE)
    if not found:
        sys.exit(f"bench: openssl speed printed no rate\n{output}")
    return float(found[-1]) * 1000


# MARK: The page cache


def warm(*files):
    """Reads files that are not in the page cache as a whole."""
    for file in files:
        if resident(file) < os.stat(file).st_blocks * 512:
            run("cp", file, "/dev/null")


def chill(*files):
    """Takes files out of the page cache; True where all else went with them, as root can do."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        return True
    except OSError:
        for file in files:
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
        return False


def resident(file):
    """Bytes of a file that are in the page cache; 0 where nobody can say."""
    if shutil.which("fincore") is None:
        return 0
    return int(run("fincore", "--bytes", "--noheadings", "--output", "RES", file))


def memory_available():
    with open("/proc/meminfo") as file:
        return int(re.search(r"MemAvailable:\s*(\d+) kB", file.read())[1]) * KIB


# MARK: The machine


def machine(program, peers):
    """Where this runs, and the version of every program that takes part."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    with open("/proc/meminfo") as file:
        memory = int(re.search(r"MemTotal:\s*(\d+) kB", file.read())[1]) * KIB
    versions = {
        "vhdresync": version(program, "--version"),
        "openssl": version("openssl", "version"),
        "strace": version("strace", "--version"),
        "Python": platform.python_version(),
    }
    versions.update({peer: version(peer, "--version") for peer in peers})
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": CORES,
        "memoryBytes": memory,
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "kernel": platform.release(),
        "fileSystem": run("findmnt", "-n", "-o", "FSTYPE", "-T", FOLDER).strip(),
        "versions": versions,
    }


def version(*command):
    """The version that a program tells, if it does."""
    result = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    found = re.search(r"\d+(\.\d+)+[\w.-]*", result.stdout) if result.returncode == 0 else None
    return found[0] if found else "unknown"
