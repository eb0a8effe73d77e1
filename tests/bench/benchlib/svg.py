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
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{escape(words)}</text>')


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
                  text(x(step), bottom + 14, f"{step:g} %", "middle", 11)]
        step *= 10
    for n, (label, value, spread, color) in enumerate(rows):
        y = top + n * (BAR + GAP)
        parts += [text(LEFT - 8, y + 13, label, "end"),
                  f'<rect x="{LEFT}" y="{y}" width="{max(x(value) - LEFT, 1):.1f}" '
                  f'height="{BAR}" fill="{color}"/>',
                  text(max(x(value), LEFT) + 6, y + 13, f"{value:+.1f} % ±{spread:.1f}")]
    return document(bottom + 26, parts, "Cost per write")


def panel(left, top, width, height, title, points, unit, keys):
    """Lines over how many there are; keys: (name in the points, label, colour)."""
    most = max(p["n"] for p in points) or 1
    high = max(p[key] for p in points for key, _, _ in keys) * 1.15 or 1
    parts = [text(left, top - 26, title, weight="bold")]
    for tick in range(5):
        y = top + height - height * tick / 4
        parts += [line(left, y, left + width, y),
                  text(left - 6, y + 4, f"{high * tick / 4:.3g}", "end", 11)]
    parts.append(text(left - 6, top - 10, unit, "end", 11))
    for tick in range(3):
        parts.append(text(left + width * tick / 2, top + height + 16, f"{most * tick // 2:,}",
                          "middle", 11))
    for number, (key, label, color) in enumerate(keys):
        xy = [(left + width * p["n"] / most, top + height - height * p[key] / high)
              for p in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in xy)
        parts += [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
                  *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in xy),
                  f'<rect x="{left + number * 105}" y="{top - 19}" width="9" height="9" '
                  f'fill="{color}"/>', text(left + number * 105 + 13, top - 10, label, size=11)]
    return parts


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
        parts += panel(left, 100, 300, 150, f"memory, by {what}", series[name], "MiB", MEMORY)
        parts += panel(left, 330, 300, 120, f"CPU of a scrape, by {what}", series[name], "ms",
                       [("scrape_ms", "one scrape", OURS)])
    return document(480, parts, "The agent's cost")


def write(data, directory):
    """cost.svg and agent.svg, each only where its figures were measured."""
    for name, picture in (("cost.svg", cost_per_write(data)), ("agent.svg", agent_cost(data))):
        if picture:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                f.write(picture)
