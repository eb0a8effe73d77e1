# SPDX-License-Identifier: GPL-2.0-only
"""The one table, as text and as the README has it."""

import os
import re

from .stats import MISS, PASS, UNRESOLVED
from .tool import ROOT

HEAD = ["what", "empty, fs", "ours, fs", "empty, syscall", "ours, syscall", "goal", "result"]


class Variables:
    def __init__(self, data):
        self.all = data["variables"]

    def get(self, name):
        return self.all.get(name)

    def percent(self, name):
        """A ratio to the bare cost as "+8.1 ±0.4 %"."""
        entry = self.get(name)
        if not entry:
            return "-"
        return f"{(entry['value'] - 1) * 100:+.1f}{spread(entry, 100)} %"

    def times(self, name):
        entry = self.get(name)
        if not entry or entry["value"] is None:
            return "-"
        return f"{number(entry['value'])}{spread(entry, 1)} x"

    def verdict(self, *names):
        """Of all of them: the worst."""
        verdicts = [self.get(n)["verdict"] for n in names if self.get(n) and
                    "verdict" in self.get(n)]
        for one in (MISS, UNRESOLVED, PASS):
            if one in verdicts:
                return one
        return "-"


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def spread(entry, scale):
    if entry["spread"] is None:
        return " ±?"
    return f" ±{number(entry['spread'] * scale)}" if entry["spread"] else ""


MICRO = [
    ("getppid", "getppid(), which writes nothing", "2 %; 1.1 x empty"),
    ("stat", "stat() of a layer's file", "2 %; 1.1 x empty"),
    ("layer", "write of 1 byte to a layer's file", "10 %; 25 %, 2 x empty"),
    ("layer64", "the same, 64 files in turn", "10 %; 2 x empty"),
    ("layer_many", "the same, 100,000 files in turn", "20 %"),
    ("host", "the same, host's file, not watched", "7 %; 2 x empty"),
    ("volume", "the same, a volume's file", "7 %"),
    ("append", "append of 1 byte to a layer's file", ""),
]


def micro_rows(v):
    for work, what, goal in MICRO:
        if not v.get(f"micro.{work}.bare_ns"):
            continue
        name = f"micro.{work}"
        over = v.get(f"{name}.ours_syscall.over_empty") or {}
        syscall = v.percent(f"{name}.ours_syscall")
        if "verdict" in over:
            syscall += f", {v.times(f'{name}.ours_syscall.over_empty')}"
        yield [what, v.percent(f"{name}.floor_fs"), v.percent(f"{name}.ours_fs"),
               v.percent(f"{name}.floor_syscall"), syscall, goal,
               results(v, [f"{name}.ours_fs"],
                       [f"{name}.ours_syscall", f"{name}.ours_syscall.over_empty"])]


def results(v, fs, syscall):
    """"pass" or "pass; MISS" of the two tiers."""
    both = [x for x in (v.verdict(*fs), v.verdict(*syscall)) if x != "-"]
    return "; ".join(both) if len(set(both)) > 1 else "".join(both[:1])


PEERS = [("sensor", "a general syscall sensor (ours, a stand-in)", 2.5)]


def peer_rows(v):
    for peer, what, least in PEERS:
        fs, syscall = f"peer.{peer}.ours_fs", f"peer.{peer}.ours_syscall"
        if not v.get(fs):
            continue
        yield [what + " adds", "", v.times(fs), "", v.times(syscall), f"{least} x ours",
               results(v, [fs], [syscall])]


def rows(data):
    v = Variables(data)
    return [*micro_rows(v), *peer_rows(v)]


def headline(data):
    lines = [f"driftwatch {data['driftwatch']}, {data['when']}: Linux {data['kernel']}, "
             f"{data['cpus']} x {data['processor']}"]
    notes = []
    if data["quick"]:
        notes.append("QUICK: too few rounds to mean anything")
    if data["disturbed"]:
        notes.append("DISTURBED by other tracing programs: the floor and ours are understated")
    return lines + notes


def text(data):
    table = [HEAD, *rows(data)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    lines = headline(data)
    for row in table:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:-1], widths[1:-1])]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    lines += [f"not measured: {problem}" for problem in data["problems"]]
    return "\n".join(lines)


# --- README

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def markdown(data):
    lines = ["", *headline(data), "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(data)]
    return "\n".join([*lines, ""])


def write_readme(data):
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as f:
        old = f.read()
    new, count = re.subn(f"{BEGIN}.*?{END}", lambda _: BEGIN + markdown(data) + END, old,
                         flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"README.md has no place for the table ({BEGIN} … {END})")
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)
    return 0
