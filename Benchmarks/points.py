"""What is wanted of the figures, beside what was measured: for `bench`. Nothing depends on it."""

from measuring import MIB


class Rows:
    """The rows of a result, by pair and program."""

    def __init__(self, rows):
        self.rows = {(row["pair"], row["program"]): row for row in rows}

    def value(self, pair, program, key="wallSeconds"):
        return self.rows.get((pair, program), {}).get(key)

    def ratio(self, first, second):
        """Of two times; None where one of them was not measured."""
        one, other = self.value(*first), self.value(*second)
        return None if one is None or other is None else one / other


def was_cached(row):
    """Whether the files of a run were in the page cache, but for one part in a hundred."""
    return row is not None and row["deviceBytesRead"] <= row["bytesRead"] / 100


def points(rows):
    """A list of what is wanted: number, sentence, measured value, bound, and whether it is met."""
    rows = Rows(rows)
    found = []

    def point(number, text, measured, relation, bound, unit=""):
        if measured is None:
            met = None
        elif relation == ">=":
            met = measured >= bound
        elif relation == "<":
            met = measured < bound
        else:
            met = measured <= bound
        found.append(
            {
                "number": number,
                "text": text,
                "measured": measured,
                "wanted": f"{relation} {bound:g}{unit}",
                "unit": unit,
                "met": met,
            }
        )

    ours, openssl = "vhdresync", "vhdresync --hash-provider openssl"
    against_openssl(rows, point, ours, openssl)
    against_peers(rows, point, ours)
    memory_and_size(rows, point, ours)
    return sorted(found, key=lambda entry: entry["number"])


def against_openssl(rows, point, ours, openssl):
    key = "ratioToOpenSSL"
    point(
        1,
        "identical, bytes read a second over OpenSSL's speed",
        rows.value("identical", ours, key),
        ">=",
        1.8,
    )
    point(1, "the same, hashed by OpenSSL", rows.value("identical", openssl, key), ">=", 1.4)
    alone = "one side alone"
    point(
        3,
        "one side alone, bytes a second over OpenSSL's speed",
        rows.value(alone, "vhdresync map", key),
        ">=",
        1.4,
    )
    name = "vhdresync map --hash-provider openssl"
    point(3, "the same, hashed by OpenSSL", rows.value(alone, name, key), ">=", 0.93)


def against_peers(rows, point, ours):
    pair = "1 % changed"
    for peer in ("rsync", "bdsync", "bdsync, SHA-256, 64 KiB"):
        ratio = rows.ratio((pair, ours), (pair, peer))
        point(2, f"1 % changed, through the journal, over {peer}", ratio, "<", 1)
    qemu = "qemu-img rebase + commit"
    ratio = rows.ratio((pair, ours), (pair, qemu))
    point(2, f"1 % changed, through the journal, over {qemu}", ratio, "<=", 1.3)
    in_place = "vhdresync --compare bytes --in-place"
    ratio = rows.ratio((pair, in_place), (pair, qemu))
    point(2, f"1 % changed, --compare bytes --in-place, over {qemu}", ratio, "<", 1)
    ratio = rows.ratio((pair, ours), ("identical", ours))
    point(4, "1 % changed, through the journal, over identical", ratio, "<=", 1.25)
    empty = "empty replica"
    ratio = rows.ratio((empty, "vhdresync --create"), (empty, "qemu-img convert, flushed"))
    point(5, "--create over qemu-img convert and a flush", ratio, "<=", 1)
    point(
        7,
        "identical, cold: the larger of dd and of the warm run, over the time",
        cold(rows, ours),
        ">=",
        0.9,
    )


def cold(rows, ours):
    times = [
        rows.value("identical, cold", ours),
        rows.value("identical, cold", "dd bs=8M of both"),
        rows.value("identical", ours),
    ]
    return None if None in times else max(times[1:]) / times[0]


def memory_and_size(rows, point, ours):
    for pair, name in (
        ("identical", "identical"),
        ("1 % changed", "1 % changed"),
        ("2 TiB sparse", "2 TiB"),
    ):
        peak = rows.value(pair, ours, "peakBytes")
        point(6, f"peak memory, {name}", None if peak is None else peak / MIB, "<=", 64, " MiB")
    for program, name in (("vhdresync", "both sides"), ("vhdresync map", "one side")):
        by_size = {
            size: rows.value(f"{size} GiB allocated", program)
            for size in (1, 2, 4, 8, 16)
            if was_cached(rows.rows.get((f"{size} GiB allocated", program)))
        }
        each = {size: time / size for size, time in by_size.items() if time is not None}
        spread = max(each.values()) / min(each.values()) if len(each) > 1 else None
        sizes = f"{min(each)} to {max(each)}" if each else "1 to 16"
        text = f"time for each allocated GiB, {name}, {sizes} GiB, largest over smallest"
        point(8, text, spread, "<=", 1.1)
    for turn in ("nothing in the replica", "identical"):
        time = rows.value(f"64 TiB with 100 MiB, {turn}", ours)
        point(8, f"64 TiB with 100 MiB, {turn}", time, "<", 2, " s")


def lines(found):
    """The list as cells."""
    marks = {True: "yes", False: "no", None: "-"}
    return [["", "point", "measured", "wanted", "met"]] + [
        [
            str(entry["number"]),
            entry["text"],
            "not measured"
            if entry["measured"] is None
            else f"{entry['measured']:.2f}{entry['unit']}",
            entry["wanted"],
            marks[entry["met"]],
        ]
        for entry in found
    ]
