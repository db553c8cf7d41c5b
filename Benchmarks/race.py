"""Programs that run in turns on the same files: for `bench`."""

import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from measuring import count_calls, measure, measure_program, openssl_speed, run, warm

# What a report of vhdresync counts.
REPORTED = [
    "blocksDiffering",
    "bytesRead",
    "bytesHashed",
    "bytesWritten",
    "bytesSent",
    "bytesReceived",
    "verified",
]


@dataclass
class Contestant:
    """One program with its options, and how often and on what it runs."""

    name: str
    command: list
    # Whether it is vhdresync, which says itself what it has done.
    ours: bool = False
    # Makes the files what they have to be before each run.
    prepare: Callable = lambda: None
    # The counts of `counts.py` that it is held against.
    expected: dict = field(default_factory=dict)
    # Fewer runs than the others, for who takes long.
    most_runs: int = 1000
    # Whether strace counts its system calls.
    traced: bool = True


@dataclass
class Pair:
    """Two files that contestants compare or make equal."""

    name: str
    primary: Path
    replica: Path
    # Whether the replica has to read as the primary when a contestant is done.
    becomes_equal: bool = False
    # Whether the files are in the page cache when a run begins.
    is_warm: bool = True
    # How long the disk rests before each run that is timed.
    seconds_of_rest: int = 0


class Bench:
    """What all parts share: options, rows, counts."""

    def __init__(self, arguments, peers, checks):
        self.arguments, self.peers, self.checks = arguments, peers, checks
        self.program, self.runs = arguments.program, arguments.runs
        self.rows, self.speeds, self.notes = [], [], []

    def ours(self, name, *options, **more):
        """vhdresync; its name is followed by the options that make it differ."""
        return Contestant(name, [self.program, *options], ours=True, **more)

    def has(self, peer):
        return peer in self.peers

    def note(self, text):
        print(f"  {text}", flush=True)
        self.notes.append(text)

    def race(self, pair, contestants, beside_openssl=False, most_runs=1000):
        """Runs all in turns, each round beginning with another, and adds a row for each.

        The short run has no peers: its times mean nothing.
        """
        if self.arguments.short:
            contestants = [contestant for contestant in contestants if contestant.ours]
            beside_openssl = False
        costs = {contestant.name: [] for contestant in contestants}
        speeds = []
        for turn in range(min(self.runs, most_runs)):
            if beside_openssl:
                speeds.append(openssl_speed(self.arguments.openssl_seconds))
            start = turn % len(contestants)
            for contestant in contestants[start:] + contestants[:start]:
                if turn < contestant.most_runs:
                    costs[contestant.name].append(self.time(pair, contestant, turn == 0))
        self.speeds += speeds
        for contestant in contestants:
            row = self.row(pair, contestant, costs[contestant.name])
            if speeds and contestant.ours and "bytes" not in contestant.command:
                row["openSSLBytesPerSecond"] = statistics.median(speeds)
                rate = row["bytesRead"] / row["wallSeconds"]
                row["ratioToOpenSSL"] = rate / row["openSSLBytesPerSecond"]
            print(f"  {contestant.name}: {row['wallSeconds']:.2f} s", flush=True)

    def time(self, pair, contestant, is_first):
        """One run, whose result is proven where it is the first one."""
        contestant.prepare()
        # What others have left unwritten would be part of the next flush.
        os.sync()
        if not self.arguments.short:
            time.sleep(pair.seconds_of_rest)
        if pair.is_warm:
            warm(*(file for file in (pair.primary, pair.replica) if file and file.exists()))
        if contestant.ours:
            cost, report = measure_program(*contestant.command)
            cost.update({key: report[key] for key in REPORTED})
            self.hold(pair, contestant, cost)
        else:
            cost, _ = measure(*contestant.command)
        if is_first and pair.becomes_equal:
            run("qemu-img", "compare", "-q", pair.primary, pair.replica)
        return cost

    def hold(self, pair, contestant, counted):
        what = f"{pair.name}, {contestant.name}"
        self.checks.hold(what, counted, contestant.expected)

    def row(self, pair, contestant, costs):
        """Medians of the runs, and the largest peak; counts of one more run, under strace."""
        row = {
            "pair": pair.name,
            "program": contestant.name,
            "ours": contestant.ours,
            "runs": len(costs),
        }
        for key in costs[0]:
            choose = max if key == "peakBytes" else statistics.median
            row[key] = choose(cost[key] for cost in costs)
        row["wallSecondsOfEachRun"] = [cost["wallSeconds"] for cost in costs]
        if contestant.traced:
            contestant.prepare()
            command = contestant.command
            if contestant.ours:
                command = [*command, "--json", "--quiet"]
            counts, _ = count_calls(*command, flushes_alone=not contestant.ours)
            row.update(counts)
            if contestant.ours:
                self.hold(pair, contestant, counts)
        self.rows.append(row)
        return row
