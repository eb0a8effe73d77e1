#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""table.py DIR FILE KERNEL...: what each tier saw on each kernel, into a Markdown FILE.

DIR/KERNEL/results is what the VMs left. The table takes the place of what stands in FILE
between the lines "<!-- scripts/vmtest --table -->" and "<!-- end of the table -->"; rows of
kernels and tiers that were not run stay as they are.
"""

import os
import re
import sys

from judge import CALLS_ARE_A_FLOOR, NEEDS_SIGHT, Judge
from report import read

TIERS = ["vfs-fexit", "vfs-kprobe", "fs", "syscall"]
BEGIN, END = "<!-- scripts/vmtest --table -->\n", "<!-- end of the table -->\n"
EXACT, FLOOR, UNSEEN, WRONG = "=", "≈", "–", "✗"

# Columns: the workloads of tests/vm/workload that each is about.
LOADS = {
    "writes": ["write", "tiny", "pages", "vector", "unfaulted", "half", "from_map", "limit",
               "writers"],
    "sendfile": ["sendfile"],
    "splice": ["splice"],
    "copy_file_range": ["range"],
    "AIO": ["aio"],
    "io_uring": ["uring"],
    "O_DIRECT": ["direct"],
    "passed descriptor": ["passed"],
}
PLACES = {"volume_writes": "volume", "tmpfs_writes": "tmpfs", "other_writes": "other"}
NAMES = ["create", "unlink", "rename", "link", "attr", "truncate", "exec"]


def mark(judge, verdicts, kinds):
    for kind in kinds:
        if not judge.report.sees(NEEDS_SIGHT.get(kind, "layer_writes")):
            return UNSEEN
        if verdicts.get(kind, "not run"):
            return WRONG
    return FLOOR if set(kinds) & CALLS_ARE_A_FLOOR.get(judge.tier, set()) else EXACT


def seen(judge, words):
    return ", ".join(shown for word, shown in words.items() if judge.report.sees(word))


def row(results, kernel, tier):
    judge = Judge(results, kernel, tier)
    judge.judge()
    release = re.match(r"\d+\.\d+", read(results, "kernel"))
    cells = [release[0] if release else kernel, tier]
    if kernel.endswith("-arm64"):
        cells[0] += " arm64"
    if not judge.report:
        return cells + ["0"] + [UNSEEN] * (len(LOADS) + 3)
    verdicts = {name.split(" ", 2)[-1]: why for name, why in judge.said}
    cells.append(str(len(judge.report.programs())))
    cells += [mark(judge, verdicts, kinds) for kinds in LOADS.values()]
    lists = [why for name, why in verdicts.items()
             if name.startswith("list of") or name.endswith(" operations")]
    cells.append(WRONG if any(lists) else EXACT)
    cells.append(seen(judge, PLACES))
    cells.append(seen(judge, {name: name for name in NAMES}))
    return cells


def new_rows(directory, kernels):
    for kernel in kernels:
        results = os.path.join(directory, kernel, "results")
        for tier in TIERS:
            if os.path.exists(os.path.join(results, tier)):
                yield row(results, kernel, tier)


def old_rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def order(cells):
    """By architecture, version, tier."""
    release, _, arch = cells[0].partition(" ")
    return arch, [int(n) for n in release.split(".")], TIERS.index(cells[1])


def table(rows):
    header = ["kernel", "tier", "programs", *LOADS, "list", "other places", "told by a hook"]
    lines = [header, ["---"] * len(header)]
    lines += sorted({tuple(cells[:2]): cells for cells in rows}.values(), key=order)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main(directory, path, *kernels):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    rows = [*old_rows(old), *new_rows(directory, kernels)]
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")


main(*sys.argv[1:])
