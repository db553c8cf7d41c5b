#!/usr/bin/env python3
"""Makes a replica read as its primary, from Python with nothing but ctypes.

The job runs in threads of the library. This program looks at it now and then, and asks it to stop when
somebody has pressed Ctrl-C.

    python3 resync.py PRIMARY REPLICA
"""

import ctypes
import json
import sys
from ctypes import POINTER, byref, c_char_p, c_uint32, c_uint64, c_void_p, sizeof

COMPLETED = 0
JOB_STARTED = 4096
FOREVER = 2**64 - 1
VERIFY = 0x10


class Options(ctypes.Structure):
    """vhdresync_options. Zeros are the defaults."""

    _fields_ = (
        [
            (name, c_uint32)
            for name in (
                "struct_size", "flags", "block_size", "worker_count", "compare", "write_method",
                "primary_format", "replica_format", "retry_count", "progress_interval_ms",
            )
        ]
        + [(name, c_uint64) for name in ("timeout_ms", "bytes_per_second", "idle_timeout_ms")]
        + [
            ("journal_folder", c_char_p),
            ("parent_of_replica", c_char_p),
            ("parent_folders", POINTER(c_char_p)),
            ("parent_folder_count", c_uint64),
        ]
        + [
            (name, c_char_p)
            for name in ("remote_shell", "remote_command", "certificate", "key", "authorities")
        ]
    )


class Progress(ctypes.Structure):
    """vhdresync_progress."""

    _fields_ = [
        (name, c_uint32)
        for name in (
            "struct_size", "job_state", "phase", "percent_complete", "is_stopping", "block_size",
        )
    ] + [
        (name, c_uint64)
        for name in (
            "elapsed_ms", "virtual_size", "bytes_done", "bytes_to_do", "blocks_total",
            "blocks_skipped", "blocks_compared", "blocks_differing", "bytes_compared",
            "bytes_differing", "bytes_read", "bytes_written", "bytes_sent", "bytes_received",
            "bytes_done_per_second", "bytes_read_per_second", "bytes_written_per_second",
            "bytes_sent_per_second", "eta_seconds",
        )
    ]


library = ctypes.CDLL("libvhdresync_c.so.0")
library.vhdresync_last_error.restype = c_char_p
library.vhdresync_code_name.restype = c_char_p
library.vhdresync_code_name.argtypes = [c_uint32]
library.vhdresync_text_free.restype = None
library.vhdresync_text_free.argtypes = [c_void_p]
for function, argument_types in {
    # No callback here: a null pointer in its place.
    "vhdresync_resynchronize_start": [
        c_char_p, c_char_p, POINTER(Options), c_void_p, c_void_p, POINTER(c_void_p),
    ],
    "vhdresync_job_progress": [c_void_p, POINTER(Progress)],
    "vhdresync_job_wait": [c_void_p, c_uint64],
    "vhdresync_job_cancel": [c_void_p],
    "vhdresync_job_result": [c_void_p, POINTER(c_void_p)],
    "vhdresync_job_free": [c_void_p],
}.items():
    getattr(library, function).restype = c_uint32
    getattr(library, function).argtypes = argument_types


def show(job):
    progress = Progress(struct_size=sizeof(Progress))
    library.vhdresync_job_progress(job, byref(progress))
    print(
        f"{progress.percent_complete:3} %, {progress.blocks_differing} blocks differ",
        file=sys.stderr, flush=True,
    )


def result(job):
    """The result as a dictionary. Its text is the caller's, and is given back."""
    text = c_void_p()
    library.vhdresync_job_result(job, byref(text))
    try:
        return json.loads(ctypes.cast(text, c_char_p).value)
    finally:
        library.vhdresync_text_free(text)


def resynchronize(primary, replica):
    options = Options(struct_size=sizeof(Options), flags=VERIFY)
    job = c_void_p()
    code = library.vhdresync_resynchronize_start(
        primary.encode(), replica.encode(), byref(options), None, None, byref(job)
    )
    if code == JOB_STARTED:
        while True:
            try:
                code = library.vhdresync_job_wait(job, 200)
                show(job)
                if code != JOB_STARTED:
                    break
            except KeyboardInterrupt:
                library.vhdresync_job_cancel(job)
        # Waiting for a job that is over gives its error again.
        code = library.vhdresync_job_wait(job, FOREVER)
    if code != COMPLETED:
        name = library.vhdresync_code_name(code).decode()
        print(f"resync: {name} ({code}): {library.vhdresync_last_error().decode()}", file=sys.stderr)
    if job:
        print(json.dumps(result(job), indent=2))
        library.vhdresync_job_free(job)
    # As the program does it: a process has 8 bits for its status.
    return 0 if code == COMPLETED else code - 32767


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: resync.py PRIMARY REPLICA")
    sys.exit(resynchronize(sys.argv[1], sys.argv[2]))
