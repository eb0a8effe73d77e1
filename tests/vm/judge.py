#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""judge.py DIR KERNEL TIERS: compare what a VM's containers did with what was counted.

DIR/results is what tests/vm/guest left. Prints "ok NAME" and "not ok NAME: why".
"""

import json
import os
import re
import stat
import sys

# Kinds of writes whose calls the file-system tier cannot tell apart: a lower bound.
CALLS_ARE_A_FLOOR = {"fs": {"splice", "aio"}}
# Kinds of writes that take a hook of their own, by their word in driftwatch_tier_sees.
NEEDS_SIGHT = {"direct": "direct_io", "uring": "io_uring"}
BEST_TIER = "vfs-fexit"
# What a tier may say that it does not see: tracepoints of direct writes came with 6.6;
# that of io_uring's completions has the request since 5.15.
MAY_BE_BLIND = {
    ("6.1", "fs"): {"direct_io"},
    ("5.10", "fs"): {"direct_io"},
    ("5.10", "vfs-fexit"): {"io_uring"},
    ("5.10", "vfs-kprobe"): {"io_uring"},
    ("5.10", "syscall"): {"io_uring"},
}


def read(*parts):
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def tail(text, lines=5):
    return " | ".join(text.strip().splitlines()[-lines:])


class Report:
    """What `driftwatch run --metrics -o json` printed: the list, then a scrape."""

    def __init__(self, text):
        answer, _, self.scrape = text.partition("\n")
        self.container = json.loads(answer)
        self.files = {f["path"]: f for f in self.container["files"]}
        self.complete = self.container["complete"]

    def metric(self, name, **labels):
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        values = [line.rsplit(" ", 1)[1] for line in self.scrape.splitlines()
                  if re.match(name + r"[{ ]", line) and all(w in line for w in wanted)]
        return float(values[0]) if values else None

    def sees(self, what):
        return self.metric("driftwatch_tier_sees", what=what) == 1

    def _by_program(self, what):
        found = re.findall(rf'driftwatch_program_{what}_total\{{program="(.*?)"\}} (\d+)',
                           self.scrape)
        return {name: int(count) for name, count in found}

    def programs(self):
        """{program: runs} of what is attached."""
        runs = self._by_program("runs")
        return {name: runs.get(name, 0) for name in self._by_program("missed")}

    def missed(self):
        return [name for name, count in self._by_program("missed").items() if count]

    def tier(self):
        return re.search(r'driftwatch_build_info\{.*tier="(.*?)"', self.scrape)[1]


def changes_in_layer(upper, container):
    """{path: change} by the upper directory alone."""
    changes = {}
    for line in upper.splitlines():
        mode, device, _, path = line.split(" ", 3)
        path = path[1:]
        if not path:
            continue
        in_image = os.path.lexists(container + path)
        if stat.S_ISCHR(int(mode, 16)) and device == "0:0":
            if in_image:
                changes[path] = "deleted"
        else:
            changes[path] = "modified" if in_image else "added"
    return changes


class Judge:
    def __init__(self, directory, kernel):
        self.results = os.path.join(directory, "results")
        self.container = os.path.join(os.path.dirname(directory), "root-amd64", "container")
        self.kernel = kernel
        self.version = kernel.partition("-")[0]
        self.failed = False

    def say(self, name, why=None):
        self.failed |= bool(why)
        print(f"not ok {self.kernel} {name}: {why}" if why else f"ok {self.kernel} {name}")

    def loads(self, tier, report):
        sums = [0, 0]
        for line in read(self.results, tier, "loads").splitlines():
            kind, *numbers = line.split(" ")
            if len(numbers) != 2 or not numbers[0].isdigit() or numbers[1] == "0":
                self.say(f"{tier} {kind}", f"the workload failed: {line}")
                continue
            truth = [int(n) for n in numbers]
            sight = NEEDS_SIGHT.get(kind, "layer_writes")
            if not report.sees(sight) and sight in MAY_BE_BLIND.get((self.version, tier), ()):
                print(f"ok {self.kernel} {tier} {kind} # not seen, and said so")
                continue
            sums = [a + b for a, b in zip(sums, truth)]
            entry = report.files.get(f"/img/{kind}")
            self.say(f"{tier} {kind}", self.compare(tier, kind, truth, entry))
        self.totals(tier, report, sums)

    @staticmethod
    def compare(tier, kind, truth, entry):
        if not entry:
            return "its file is not in the list"
        got = [entry["write_calls"], entry["written_bytes"]]
        if kind in CALLS_ARE_A_FLOOR.get(tier, ()) and 0 < got[0] <= truth[0]:
            got[0] = truth[0]
        if got != truth:
            return f"counted {got[0]} calls, {got[1]} bytes; they were {truth[0]}, {truth[1]}"
        return None

    def totals(self, tier, report, loads):
        """The container's totals are the sums over its files, and not below the loads."""
        files = report.files.values()
        listed = [sum(f[key] for f in files) for key in ("write_calls", "written_bytes")]
        got = [int(report.metric(f"driftwatch_container_{name}_total", target="layer") or 0)
               for name in ("write_calls", "written_bytes")]
        why = None
        if got != listed:
            why = f"counted {got[0]} calls, {got[1]} bytes; its files {listed[0]}, {listed[1]}"
        elif got[1] < loads[1]:
            why = f"counted {got[1]} bytes, less than the {loads[1]} of the loads"
        self.say(f"{tier} totals", why)

    def operations(self, tier):
        failed = [line for line in read(self.results, tier, "operations").splitlines()
                  if not line.endswith(" OK")]
        self.say(f"{tier} operations", "the workload failed: " + "; ".join(failed)
                 if failed else None)

    def list(self, tier, report):
        truth = changes_in_layer(read(self.results, tier, "upper"), self.container)
        listed = {path: f["change"] for path, f in report.files.items()
                  if f["target"] == "layer"}
        wrong = [f"{path}: {listed.get(path, 'not listed')}, in the layer "
                 f"{truth.get(path, 'unchanged')}"
                 for path in sorted(set(truth) | set(listed))
                 if truth.get(path) != listed.get(path)]
        self.say(f"{tier} list of {len(truth)} changes", "; ".join(wrong[:5]))
        self.say(f"{tier} list is complete", None if report.complete else
                 f"incomplete: {report.container['incomplete_reasons']}")

    def tier(self, tier):
        log = read(self.results, tier, "log")
        try:
            report = Report(read(self.results, tier, "report"))
        except json.JSONDecodeError:
            status = read(self.results, tier, "status").strip() or "none"
            return self.say(tier, f"no report (exit status {status}): {tail(log)}")
        programs = report.programs()
        events = report.metric("driftwatch_ringbuf_events_received_total") or 0
        print(f"# kernel {read(self.results, 'kernel').strip()}, tier {report.tier()}: "
              f"{len(programs)} programs attached, {events:.0f} events seen")
        for line in re.findall(r".*(?:failed to load|refused).*", log):
            print(f"#   {line}")
        print("#   runs: " + ", ".join(f"{n} {r}" for n, r in programs.items() if r))
        wanted = BEST_TIER if tier == "auto" else tier
        self.say(f"{tier} is the tier", None if report.tier() == wanted else report.tier())
        self.say(f"{tier} sees events", None if events else "0 events")
        self.say(f"{tier} missed no run", ", ".join(report.missed()))
        self.loads(tier, report)
        self.operations(tier)
        self.list(tier, report)
        return None


def main(directory, kernel, tiers):
    judge = Judge(directory, kernel)
    if not read(judge.results, "ended"):
        judge.say("boot", f"the VM did not come to its end: "
                          f"{tail(read(directory, 'console'), 20)}")
    for tier in tiers.split(","):
        judge.tier(tier)
    return judge.failed


sys.exit(main(*sys.argv[1:]))
