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
    ("getppid", "a call that writes nothing: getppid()", "2 %; 1.1 x empty"),
    ("layer", "1-byte write to a file of a layer", "10 %; 25 %, 2 x empty"),
    ("layer64", "1-byte writes to 64 files in turn", "10 %; 2 x empty"),
    ("layer_many", "1-byte writes to 100,000 files in turn", "20 %"),
    ("host", "1-byte write by the host to its ext4", "7 %; 2 x empty"),
    ("volume", "1-byte write by a container to its volume", "7 %; 2 x empty"),
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


PEERS = [
    ("bpftrace", "bpftrace, a map by cgroup and fd", "5 x"),
    ("sensor", "general syscall sensor (our stand-in)", "2.5 x"),
    ("inotifywait", "inotifywait -m -r", "3 x"),
    ("strace", "strace -f", "100 x"),
    ("fatrace", "fatrace -f W", ""),
]


def peer_rows(v):
    for peer, what, goal in PEERS:
        fs, syscall = f"peer.{peer}.ours_fs", f"peer.{peer}.ours_syscall"
        if not v.get(fs):
            continue
        adds = v.percent(f"peer.{peer}.layer" if peer != "sensor" else "micro.layer.sensor")
        yield [f"{what}: its cost / ours", adds, v.times(fs), "", v.times(syscall),
               goal and f"{goal} ours", results(v, [fs], [syscall])]


MACRO = [
    ("create", "create + write + close + unlink"),
    ("tar", "tar -x of 10,000 small files"),
    ("dpkg", "dpkg -i of 400 files"),
    ("compile", "a compile of 4 C files"),
]


def macro_rows(v):
    for job, what in MACRO:
        wall, cpu = f"macro.{job}.ours_fs.wall", f"macro.{job}.ours_fs.cpu"
        if v.get(wall):
            yield [f"{what}: wall, CPU", "", f"{v.percent(wall)}, {v.percent(cpu)}", "", "",
                   "3 %, 10 %", v.verdict(wall, cpu)]


def agent_row(v, what, names, template, goal):
    """Values of the agent: template has a place for each name."""
    if not any(v.get(name) for name in names):
        return []
    values = [number_of(v.get(name)) if v.get(name) else "-" for name in names]
    return [[what, "", template.format(*values), "", "", goal, v.verdict(*names)]]


def number_of(entry):
    value = entry["value"]
    text = f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    return text + (f" ±{entry['spread']:.2g}" if entry["spread"] else "")


def exact_rows(v):
    fs, syscall = "exact.ours_fs", "exact.ours_syscall"
    names = [f"{tier}.{what}" for tier in (fs, syscall)
             for what in ("lost_calls", "lost_bytes", "missed_runs")]
    if not all(v.get(name) for name in names):
        return []
    cells = [f"{v.get(f'{tier}.lost_calls')['value']:.0f} of "
             f"{v.get(f'{tier}.calls')['value'] / 1e6:.1f} M" for tier in (fs, syscall)]
    return [["counts lost: all processors, 8 tasks on one", "", cells[0], "", cells[1], "0",
             v.verdict(*names)]]


def agent_rows(v):
    return [
        *agent_row(v, "agent: CPU ms per million writes, 64 files; many",
                   ["agent.cpu_hot", "agent.cpu_many"], "{}; {}", "10"),
        *agent_row(v, "agent: RSS MiB (file), idle; 100 containers; 100,000 files",
                   [f"agent.rss_{state}{part}" for state in ("idle", "100", "100000_files")
                    for part in ("", "_file")], "{} ({}); {} ({}); {} ({})", "8; 12; 40"),
        *agent_row(v, "agent: kernel memory of its maps, MiB", ["agent.maps_files"], "{}", "24"),
        *agent_row(v, "agent: scrape of 100 containers, CPU ms; kB gzip",
                   ["agent.scrape_ms", "agent.scrape_gzip"], "{}; {}", "10; 55"),
        *agent_row(v, "agent: write to tail ms, median; p99; idle CPU %",
                   ["agent.latency_median", "agent.latency_p99", "agent.idle_cpu"],
                   "{}; {}; {}", "20; 150; 0.1"),
        *agent_row(v, "agent: start s, 100 containers; 1,000,000 entries",
                   ["agent.start_100", "ledger.million_seconds"], "{}; {}", "1; 10"),
        *agent_row(v, "agent: a listed file's bytes beyond its name, 100,000; 1,000,000",
                   ["ledger.entry_bytes_100000", "ledger.entry_bytes_million"], "{}; {}", "200"),
        *agent_row(v, "agent: cold start s, 1,000,000 entries; longest scrape meanwhile, ms",
                   ["ledger.million_cold_seconds", "ledger.million_scrape_ms"], "{}; {}", "-"),
        *agent_row(v, "agent: write to tail ms while such a layer is read, median; p99",
                   ["ledger.million_tail_median", "ledger.million_tail_p99"], "{}; {}", "-; 150"),
        *agent_row(v, "docker diff / driftwatch diff, image of 100,000 files", ["ledger.docker_diff"],
                   "{} x", "50 x"),
    ]


def rows(data):
    v = Variables(data)
    return [*micro_rows(v), *peer_rows(v), *macro_rows(v), *exact_rows(v), *agent_rows(v)]


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


SHORT = [0, 2, 4, 5, 6]  # columns: what, ours in both tiers, goal, result
LEFT_OUT = ("1-byte writes to 64", "1-byte write by a container", "fatrace", "agent: kernel",
            "agent: scrape")


def markdown(data):
    """The short form: what ours costs, without the empty programs."""
    def line(row):
        return "| " + " | ".join(row[i] for i in SHORT) + " |"

    chosen = [row for row in rows(data) if not row[0].startswith(LEFT_OUT)]
    return "\n".join(["", *headline(data), "", line(HEAD), "|---" * len(SHORT) + "|",
                      *map(line, chosen), ""])


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
