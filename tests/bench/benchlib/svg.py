# SPDX-License-Identifier: GPL-2.0-only
"""Pictures of the result, written by hand: bars and lines, no library."""

import math
import os
from xml.sax.saxutils import escape

WIDTH, LEFT, BAR, GAP = 760, 250, 18, 8
OURS, FLOOR, OTHERS, INK, GRID = "#1b6ca8", "#8a8f98", "#c9743a", "#1a1a1a", "#dddddd"

COSTS = [
    ("empty program, fs tier's hook", "micro.layer.floor_fs", FLOOR),
    ("driftwatch, fs tier", "micro.layer.ours_fs", OURS),
    ("empty program on sys_exit", "micro.layer.floor_syscall", FLOOR),
    ("driftwatch, syscall tier", "micro.layer.ours_syscall", OURS),
    ("general syscall sensor (stand-in)", "micro.layer.sensor", OTHERS),
    ("inotifywait -m -r", "peer.inotifywait.layer", OTHERS),
    ("fatrace -f W", "peer.fatrace.layer", OTHERS),
    ("bpftrace, map by cgroup and fd", "peer.bpftrace.layer", OTHERS),
    ("perf trace", "peer.perf.layer", OTHERS),
    ("strace -f", "peer.strace.layer", OTHERS),
]


def document(height, parts, title):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *parts, "</svg>", ""])


def text(x, y, words, anchor="start", size=12, weight="normal"):
    """With a white rim, for where it lies on a line."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}" stroke="#ffffff" stroke-width="3" paint-order="stroke">'
            f'{escape(words)}</text>')


def line(x1, y1, x2, y2, color=GRID):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def cost_per_write(data):
    """What each adds to a write, in percent of the bare one, on a logarithmic scale."""
    v = data["variables"]
    rows = [(label, (v[name]["value"] - 1) * 100, (v[name]["spread"] or 0) * 100, color)
            for label, name, color in COSTS if name in v]
    if not rows:
        return None
    low, room = 1.0, WIDTH - LEFT - 130
    high = 10 ** math.ceil(math.log10(max(10, *(value for _, value, _, _ in rows))))

    def x(value):
        return LEFT + room * math.log10(max(value, low) / low) / math.log10(high / low)

    top = 54
    bottom = top + len(rows) * (BAR + GAP)
    parts = [text(12, 22, "What watching adds to a 1-byte write to a file of a layer",
                  size=15, weight="bold"),
             text(12, 40, f"percent of the bare write, logarithmic; Linux {data['kernel']}, "
                  f"{data['when'][:10]}")]
    step = low
    while step <= high:
        parts += [line(x(step), top - 4, x(step), bottom),
                  text(x(step), bottom + 14, f"{step:,.0f} %", "middle", 11)]
        step *= 10
    for n, (label, value, spread, color) in enumerate(rows):
        y = top + n * (BAR + GAP)
        parts += [text(LEFT - 8, y + 13, label, "end"),
                  f'<rect x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" '
                  f'height="{BAR}" fill="{color}"/>',
                  text(max(x(value), LEFT) + 6, y + 13, f"{value:+.1f} % ±{spread:.1f}")]
    return document(bottom + 26, parts, "Cost per write")


def decades(values):
    """The powers of ten around the values that are above 0."""
    above = [v for v in values if v > 0] or [1]
    low = math.floor(math.log10(min(above)))
    return low, max(math.ceil(math.log10(max(above))), low + 1)


def short(number):
    """1k for 1,000, so that ticks do not touch."""
    for unit, size in (("M", 10**6), ("k", 1000)):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


class Even:
    """An axis from 0 on, with a few round numbers on it."""

    def __init__(self, values):
        most = max([*values, 0]) or 1
        step = 10 ** math.floor(math.log10(most))
        step = next(step * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if most / (step * part) <= 5)
        self.high = math.ceil(most / step) * step
        self.ticks = [step * i for i in range(round(self.high / step) + 1)]

    def place(self, value):
        return min(max(value, 0) / self.high, 1)


class Powers:
    """A logarithmic axis; what is not above 0 lies at its beginning."""

    def __init__(self, values):
        self.low, self.high = decades(values)
        self.ticks = [10.0**power for power in range(self.low, self.high + 1)]

    def place(self, value):
        at = math.log10(value) if value > 0 else self.low
        return (max(at, self.low) - self.low) / (self.high - self.low)


def axis_of_numbers(points):
    """Numbers that differ a hundredfold and more need a logarithmic axis."""
    numbers = [p["n"] for p in points]
    spread = min(numbers) > 0 and max(numbers) >= 100 * min(numbers)
    return (Powers if spread else Even)(numbers)


class Panel:
    """Lines over how many there are; keys: (name in the points, label, colour)."""

    def __init__(self, left, top, width, height):
        self.left, self.top, self.width, self.height = left, top, width, height

    def x(self, part):
        return self.left + self.width * part

    def y(self, part):
        return self.top + self.height * (1 - part)

    def frame(self, title, unit, keys, axes):
        parts = [text(self.left, self.top - 26, title, weight="bold"),
                 text(self.left - 6, self.top - 10, unit, "end", 11)]
        for tick in axes[1].ticks:
            y = self.y(axes[1].place(tick))
            parts += [line(self.left, y, self.left + self.width, y),
                      text(self.left - 6, y + 4, short(tick), "end", 11)]
        for tick in axes[0].ticks:
            x = self.x(axes[0].place(tick))
            parts += [line(x, self.top + self.height, x, self.top + self.height + 4),
                      text(x, self.top + self.height + 17, short(tick), "middle", 11)]
        for number, (_, label, color) in enumerate(keys):
            left = self.left + number * 105
            parts += [f'<rect x="{left}" y="{self.top - 19}" width="9" height="9" fill="{color}"/>',
                      text(left + 13, self.top - 10, label, size=11)]
        return parts

    def draw(self, title, points, unit, keys, value_axis=Even):
        axes = (axis_of_numbers(points), value_axis([p[key] for p in points for key, _, _ in keys]))
        parts = self.frame(title, unit, keys, axes)
        if isinstance(axes[0], Powers) and isinstance(axes[1], Powers):
            parts.append(self.as_the_number(axes))
        for key, _, color in keys:
            xy = [(self.x(axes[0].place(p["n"])), self.y(axes[1].place(p[key]))) for p in points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
            parts += [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
                      *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in xy)]
        return parts

    def as_the_number(self, axes):
        """What grows as the number does is parallel to this line."""
        rise = min(axes[0].high - axes[0].low, axes[1].high - axes[1].low)
        x = self.x(axes[0].place(10.0 ** (axes[0].high - rise)))
        y = self.y(axes[1].place(10.0 ** (axes[1].low + rise)))
        return (f'<line x1="{x:.1f}" y1="{self.y(0):.1f}" x2="{self.x(1):.1f}" y2="{y:.1f}" '
                f'stroke="{FLOOR}" stroke-dasharray="5 4"/>')


MEMORY = [("rss_mib", "RSS", OURS), ("anonymous_mib", "anonymous", OTHERS),
          ("maps_mib", "kernel's maps", FLOOR)]


def agent_cost(data):
    """Memory and the CPU time of a scrape, over containers and over drifted files."""
    series = data["series"]
    if not all(series.get(name) for name in ("containers", "files")):
        return None
    parts = [text(12, 22, "What the agent takes", size=15, weight="bold"),
             text(12, 40, f"Linux {data['kernel']}, {data['when'][:10]}")]
    for column, name in enumerate(("containers", "files")):
        left = 60 + column * 375
        what = "containers" if name == "containers" else "drifted files"
        parts += Panel(left, 100, 300, 150).draw(f"memory, by {what}", series[name], "MiB", MEMORY)
        parts += Panel(left, 330, 300, 120).draw(f"CPU of a scrape, by {what}", series[name], "ms",
                                                 [("scrape_ms", "one scrape", OURS)])
    return document(480, parts, "The agent's cost")


def write(data, directory):
    """cost.svg and agent.svg, each only where its figures were measured."""
    for name, picture in (("cost.svg", cost_per_write(data)), ("agent.svg", agent_cost(data))):
        if picture:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                f.write(picture)
