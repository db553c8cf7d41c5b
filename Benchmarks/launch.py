"""Runs one command and writes what it cost: for `measuring.py`, in a process of its own.

    launch.py COST OUTPUT ERROR COMMAND [ARGUMENT]...

The kernel counts the memory of who starts a command to that of the command, and this process is
small: that of the benchmark would hide what vhdresync takes. Nothing is imported that is not
needed.
"""

import os
import posix
import sys
from time import perf_counter


def bytes_of_calls():
    """What this process and those that it has waited for have read and written by calls."""
    with open("/proc/self/io") as file:
        return [int(file.readline().split()[1]) for _ in ("rchar", "wchar")]


def own_peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    cost, output, error, *command = sys.argv[1:]
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, descriptor, path, create, 0o644)
        for descriptor, path in ((1, output), (2, error))
    ]
    before = bytes_of_calls()
    start = perf_counter()
    process = posix.posix_spawnp(command[0], command, os.environ, file_actions=files)
    _, status, usage = os.wait4(process, 0)
    wall = perf_counter() - start
    read, written = (now - then for now, then in zip(bytes_of_calls(), before))
    # JSON, written by hand.
    entries = {
        "status": os.waitstatus_to_exitcode(status),
        "wallSeconds": wall,
        "cpuSeconds": usage.ru_utime + usage.ru_stime,
        "peakBytes": usage.ru_maxrss * 1024,
        "smallestVisiblePeakBytes": own_peak() * 1024,
        "callBytesRead": read,
        "callBytesWritten": written,
        # In units of 512 bytes. Other work on the same file system can add to it.
        "dirtiedBytes": usage.ru_oublock * 512,
        "deviceBytesRead": usage.ru_inblock * 512,
    }
    with open(cost, "w") as file:
        file.write("{" + ", ".join(f'"{key}": {value}' for key, value in entries.items()) + "}")


main()
