"""A result as bars, in SVG: for `bench`."""

from html import escape

from measuring import GIB

# Pairs that are drawn.
PAIRS = [
    "identical",
    "identical, cold",
    "1 % changed",
    "4 KiB scattered",
    "20 % changed",
    "20 % changed, compressible",
    "empty replica",
    "fragmented",
    "mostly zeros, half the disk",
]
WIDTH, NAME_WIDTH, BAR_WIDTH = 880, 312, 480
LINE, BAR, GAP, TOP = 22, 15, 36, 96
# What takes longer than so many times our longest bar is drawn shorter, with a break.
LONGEST = 4
# Colours of both themes: the page behind, text, second text, our bars, those of others.
LIGHT = {
    "page": "#ffffff",
    "text": "#1f2328",
    "faint": "#59636e",
    "ours": "#0969da",
    "peer": "#b6bfc9",
}
DARK = {
    "page": "#0d1117",
    "text": "#f0f6fc",
    "faint": "#9198a1",
    "ours": "#4493f8",
    "peer": "#545d68",
}


def style(colours):
    return (
        f".page{{fill:{colours['page']}}}.text{{fill:{colours['text']}}}.faint{{fill:{colours['faint']}}}"
        f".ours{{fill:{colours['ours']}}}.peer{{fill:{colours['peer']}}}"
    )


def groups(rows):
    """The rows of each pair that is drawn, in the order of their times."""
    for pair in PAIRS:
        found = sorted(
            (row for row in rows if row["pair"] == pair), key=lambda row: row["wallSeconds"]
        )
        if any(row["ours"] for row in found):
            yield pair, found


def draw(result):
    """Bars of wall time for each pair, each pair to a scale of its own."""
    body, y = [], TOP
    for pair, rows in groups(result["rows"]):
        ours = max(row["wallSeconds"] for row in rows if row["ours"])
        longest = min(LONGEST * ours, max(row["wallSeconds"] for row in rows))
        body.append(f'<text class="text title" x="16" y="{y}">{escape(pair)}</text>')
        y += 12
        for row in rows:
            body.append(bar(row, y, longest))
            y += LINE
        y += GAP
    height = y - GAP // 2
    machine = result["machine"]
    size, data = (f"{result[key] / GIB:g} GiB" for key in ("baseSize", "baseData"))
    title = f"Seconds for a disk of {size} with {data} of data"
    heading = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; medians of"
        f" {result['runs']} runs. Shorter is better."
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
            f' height="{height}" role="img" aria-label="Wall time of vhdresync and of other programs">',
            "<style>text{font:13px system-ui,'DejaVu Sans',sans-serif}.title{font-weight:600}"
            ".heading{font-size:17px;font-weight:600}.small{font-size:12px}.own{font-weight:600}"
            f"{style(LIGHT)}@media(prefers-color-scheme:dark){{{style(DARK)}}}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}"/>',
            f'<text class="text heading" x="16" y="28">{title}</text>',
            f'<text class="faint small" x="16" y="48">{escape(heading)}</text>',
            '<text class="faint small" x="16" y="64">Each group has a scale of its own; a bar with a break'
            " is longer than there is room.</text>",
            *body,
            "</svg>\n",
        ]
    )


def bar(row, y, longest):
    """One line: name, bar, seconds."""
    width = max(2, BAR_WIDTH * min(1, row["wallSeconds"] / longest))
    x, bottom = NAME_WIDTH + BAR_WIDTH - 34, y + BAR
    is_cut = row["wallSeconds"] > longest
    cut = f'<path class="page" d="M{x} {bottom}l6 -{BAR}h6l-6 {BAR}z"/>' if is_cut else ""
    middle = y + BAR - 3
    kind, weight = ("ours", " own") if row["ours"] else ("peer", "")
    return (
        f'<text class="text{weight}" x="{NAME_WIDTH - 8}" y="{middle}" text-anchor="end">'
        f"{escape(row['program'])}</text>"
        f'<rect class="{kind}" x="{NAME_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>{cut}'
        f'<text class="text{weight}" x="{NAME_WIDTH + width + 6:.1f}" y="{middle}">'
        f"{row['wallSeconds']:.2f} s</text>"
    )
