"""A result as tables, for a terminal and for docs/performance.md: for `bench`."""

import points
from measuring import GIB, MIB

# Title, key, and how a value is shown.
COLUMNS = [
    ("runs", "runs", str),
    ("wall s", "wallSeconds", lambda value: f"{value:.2f}"),
    ("CPU s", "cpuSeconds", lambda value: f"{value:.2f}"),
    ("peak MiB", "peakBytes", lambda value: f"{value / MIB:.1f}"),
    ("calls", "systemCalls", lambda value: f"{value:,}"),
    ("flushes", "flushes", lambda value: f"{value}"),
    ("read MiB", "bytesRead", lambda value: f"{value / MIB:,.1f}"),
    ("hashed MiB", "bytesHashed", lambda value: f"{value / MIB:,.1f}"),
    ("written MiB", "bytesWritten", lambda value: f"{value / MIB:,.2f}"),
    ("sent MiB", "bytesSent", lambda value: f"{value / MIB:,.2f}"),
    ("of OpenSSL", "ratioToOpenSSL", lambda value: f"{value:.2f}"),
]
# What the kernel counted stands in for what a peer does not say.
STAND_INS = {"bytesRead": "callBytesRead", "bytesWritten": "dirtiedBytes"}
TEXT_COLUMNS = 2


def cells(rows):
    """All rows under their titles."""
    lines = [["pair", "program", *(title for title, _, _ in COLUMNS)]]
    for row in rows:
        line = [row["pair"], row["program"]]
        for _, key, show in COLUMNS:
            value = row.get(key, row.get(STAND_INS.get(key)))
            line.append("" if value is None else show(value))
        lines.append(line)
    return lines


def aligned(lines, text_column_count=TEXT_COLUMNS):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < text_column_count else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def markdown(lines, text_column_count=TEXT_COLUMNS):
    rule = ["---" if column < text_column_count else "--:" for column in range(len(lines[0]))]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def page(result):
    """The measured part of docs/performance.md."""
    machine = result["machine"]
    programs = ", ".join(f"{name} {text}" for name, text in machine["versions"].items())
    parts = [
        "![Seconds for each pair, vhdresync and others](performance.svg)",
        f"Medians of up to {result['runs']} runs on {machine['cores']} cores of {machine['processor']},"
        f" {machine['memoryBytes'] / GIB:.0f} GiB of memory, {machine['system']}, Linux"
        f" {machine['kernel']}, {machine['fileSystem']}.\nPrograms: {programs}.",
    ]
    if result["openSSLBytesPerSecond"]:
        parts[-1] += (
            f"\nOpenSSL hashed {result['openSSLBytesPerSecond'] / 1e9:.2f} GB/s on all cores"
            f" ({min(result['openSSLBytesPerSecondOfEachRun']) / 1e9:.2f} to"
            f" {max(result['openSSLBytesPerSecondOfEachRun']) / 1e9:.2f})."
        )
    parts.append("### What is wanted, and what was measured")
    parts.append(markdown(points.lines(result["points"])))
    parts.append("### Every run")
    parts.append(markdown(cells(emphasized(result["rows"]))))
    if result["notes"]:
        parts.append("\n".join(f"- {note}" for note in result["notes"]))
    return "\n\n".join(parts)


def emphasized(rows):
    return [
        {**row, "program": f"**{row['program']}**" if row["ours"] else f"`{row['program']}`"}
        for row in rows
    ]


BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def insert(text, measured):
    """The page with what was measured between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}"
