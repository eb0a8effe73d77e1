#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""judge.py DIR KERNEL RUNS: compare what a VM's containers did with what was counted.

DIR/results is what tests/vm/guest left of each of RUNS: TIER, or TIER:PROGRAMS:WORKLOAD
where the programs were left out on purpose and the run must not be found right.
Prints "ok NAME" and "not ok NAME: why".
"""

import json
import os
import sys

from report import Report, read, read_bytes, tail

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from driftlib import operations, truth  # pylint: disable=wrong-import-position

# Kinds of writes whose calls the file-system tier cannot tell apart: a lower bound.
CALLS_ARE_A_FLOOR = {"fs": {"splice", "aio"}}
# Kinds of writes that take a hook of their own, by their word in driftwatch_tier_sees.
NEEDS_SIGHT = {"direct": "direct_io", "uring": "io_uring"}
# What a tier cannot see: direct writes come by iomap_iter() since 5.15.
BLIND = {((5, 10), "fs", "direct")}
# What docker mounts, and is not here.
NOT_HERE = {"etc_hosts"}
ONLY_ON_X86 = {"int80", "int80_creat", "x32", "i386_program"}
# Kernels that run a program to its end before another task may run it on the same processor:
# later ones skip such runs, which must be said.
NEVER_MISSES = (6, 12)
# Tiers that a kernel refuses, and what is said then: before 6.4 there are no trampolines on arm64.
REFUSED = {("6.1-arm64", "vfs-fexit"): "tier vfs-fexit: the kernel refuses fexit programs"}
# Tiers that see whole calls to layers, in whatever way: their totals are the same.
SEES_ALL_CALLS = ("vfs-fexit", "vfs-kprobe", "syscall")
# Calls and bytes of operations that one of these does not see: before 5.18 nothing tells what a
# request of io_uring has spliced.
UNSEEN = {((5, 10), "syscall"): (1, 400)}
# Events told by a hook where the tier says that it sees the other; elsewhere they are derived,
# if told apart. (A file of the image is not unlinked below the VFS: a whiteout hides it.)
TOLD_BY_HOOK = {"create": "create", "truncate": "truncate", "rename": "rename", "link": "link",
                "unlink": "link", "rmdir": "link", "chmod": "attr", "chown": "attr",
                "xattr": "attr"}


class Judge:
    """The verdicts on one run."""

    def __init__(self, results, kernel, run):
        self.tier, _, rest = run.partition(":")
        self.left_out, _, self.workload = rest.partition(":")
        self.results = results
        self.directory = os.path.join(results, run.replace(":", "."))
        self.kernel = kernel
        self.version = operations.version_of(read(results, "kernel"))
        self.foreign = ONLY_ON_X86 if kernel.endswith("-arm64") else set()
        self.report = None
        self.said = []

    def say(self, name, why=None):
        self.said.append((f"{self.kernel} {self.tier} {name}".rstrip(), why))

    def judge(self):
        try:
            self.report = Report(self.directory)
        except json.JSONDecodeError:
            if self.refusal():
                self.say("is refused, and says so",
                         None if self.refusal() in read(self.directory, "log") else "not a word")
                return
            status = read(self.directory, "status").strip() or "none"
            self.say("", f"no report (exit status {status}): "
                         f"{tail(read(self.directory, 'log'))}")
            return
        self.hooks()
        self.loads()
        self.list()
        if self.workload != "loads":
            self.operations()
            self.told()

    def refusal(self):
        return REFUSED.get((self.kernel, self.tier))

    def hooks(self):
        report = self.report
        self.say("is the tier", None if report.tier() == self.tier else report.tier())
        self.say("sees events", None if self.events_seen() else "0 events")
        missed = ", ".join(f"{n} {c}" for n, c in report.missed().items())
        if missed and self.version > NEVER_MISSES:
            told = report.metric("driftwatch_ledger_rescans_total", reason="program_miss")
            self.say(f"missed runs, said so and read again # {missed}",
                     None if "program_miss" in report.log and told else "not a word of it")
        else:
            self.say("missed no run", missed)

    def events_seen(self):
        return int(self.report.metric("driftwatch_ringbuf_events_received_total") or 0)

    def has_told_misses(self):
        return self.version > NEVER_MISSES and self.report.missed()

    def loads(self):
        sums = [0, 0]
        lines = read(self.directory, "loads").splitlines()
        if "passed 1 10" not in lines:
            self.say("passed", f"the descriptor did not get there: {read(self.directory, 'take')}")
        for line in lines:
            kind, *numbers = line.split(" ")
            if len(numbers) != 2 or not numbers[0].isdigit() or numbers[1] == "0":
                self.say(kind, f"the workload failed: {line}")
                continue
            calls, size = (int(n) for n in numbers)
            if not self.report.sees(NEEDS_SIGHT.get(kind, "layer_writes")):
                why = None if (self.version, self.tier, kind) in BLIND else "not seen"
                self.say(f"{kind} # not seen, and said so" if not why else kind, why)
                continue
            sums = [sums[0] + calls, sums[1] + size]
            self.say(kind, self.compare(kind, calls, size))
        self.totals(sums)

    def compare(self, kind, calls, size):
        entry = self.report.files.get(f"/img/{kind}")
        if not entry:
            return "its file is not in the list"
        got = entry["write_calls"]
        if kind in CALLS_ARE_A_FLOOR.get(self.tier, ()) and 0 < got <= calls:
            got = calls
        if self.has_told_misses() and got <= calls and entry["written_bytes"] <= size:
            return None
        if (got, entry["written_bytes"]) != (calls, size):
            return (f"counted {entry['write_calls']} calls, {entry['written_bytes']} bytes; "
                    f"they were {calls}, {size}")
        return None

    def counted(self):
        """The container's calls and bytes."""
        return [int(self.report.metric(f"driftwatch_container_{name}_total", target="layer") or 0)
                for name in ("write_calls", "written_bytes")]

    def totals(self, loads):
        """
        The container's totals are the sums over its files; with the operations, which remove
        some, not below these, nor below the loads (and then see same_totals()).
        """
        files = self.report.files.values()
        listed = [sum(f[key] for f in files if f["target"] == "layer")
                  for key in ("write_calls", "written_bytes")]
        got = self.counted()
        why = None
        if got != listed and (self.workload == "loads" or got < listed):
            why = f"counted {got[0]} calls, {got[1]} bytes; its files {listed[0]}, {listed[1]}"
        elif got[1] < loads[1] and not self.has_told_misses():
            why = f"counted {got[1]} bytes, less than the {loads[1]} of the loads"
        self.say("totals", why)

    def results_of_operations(self):
        lines = read(self.directory, "operations").splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def operations(self):
        """Each did what it does everywhere; its result is the table's, unless the kernel is old."""
        results = self.results_of_operations()
        listed = self.report.diff()
        wrong, refused = [], []
        for name, result, lines in operations.rows():
            got = results.get(name, "not run")
            if name in NOT_HERE | self.foreign:
                continue
            refusal = operations.refusal(name, self.version)
            if refusal:
                refused.append(name)
                result, lines = "ERR", []
            if got.split()[0] != result.split()[0] or (refusal or "") not in got:
                wrong.append(f"{name}: {got}")
            expected = {moved(line, name) for line in lines}
            under = f"/table/{name}/"
            found = {line for line in listed if line[2:].startswith(under)}
            if found != {line for line in expected if line[2:].startswith(under)}:
                wrong.append(f"{name}: {sorted(found)}")
        self.say(f"{len(results)} operations", "; ".join(wrong[:5]))
        if refused:
            self.say(f"kernel has no {', '.join(refused)}, and says so")

    def list(self):
        """The list is docker's diff of the layer."""
        old, new = (truth.DumpedView(read_bytes(directory, name)) for directory, name in
                    ((self.results, "image"), (self.directory, "layer")))
        lines, listed = set(truth.compare(old, new)), self.report.diff()
        wrong = [f"listed {line}" for line in listed - lines]
        wrong += [f"not listed {line}" for line in lines - listed]
        self.say(f"list of {len(lines)} changes", "; ".join(sorted(wrong)[:5])
                 if lines else "no change")
        self.say("list is complete", ", ".join(self.report.container["incomplete_reasons"]))

    def told(self):
        """What happened was told as it happened, by whom; and by a hook where there is one."""
        events = list(self.report.events())
        results = self.results_of_operations()
        for name, (op, path) in operations.TOLD.items():
            if results.get(name) == "OK":
                there = moved(f"  {path}", name)[2:]
                old = moved("  /img/f", name)[2:] if op == "rename" else ""
                of_path = [e for e in events if e.path == there]
                self.say(f"tells of {name}", self.told_wrong(op, old, of_path))

    def told_wrong(self, op, old_path, events):
        fitting = events
        if (self.version, self.tier, op) == ((5, 10), "vfs-fexit", "rmdir"):
            op = None  # its compiler split vfs_rmdir(): system calls do not get to the hook
        if op in TOLD_BY_HOOK and self.report.sees(TOLD_BY_HOOK[op]):
            fitting = [e for e in events if e.op == op and not e.is_derived
                       and e.old_path == old_path]
        if not fitting:
            return f"no {op} {old_path} there, but {events}"
        if not any(e.writer.startswith(("ops", "iou-")) for e in fitting):
            return f"by {[e.writer for e in fitting]}"
        return None

    def print(self):
        if self.report:
            events = self.events_seen()
            release = read(self.results, "kernel").strip()
            print(f"# kernel {release}, tier {self.report.tier()}: "
                  f"{len(self.report.programs())} programs attached, {events} events seen")
            runs = self.report.by_program("runs_total")
            print("#   runs: " + ", ".join(f"{n} {r}" for n, r in runs.items() if r))
            lengths = self.report.by_program("instructions")
            print("#   instructions: " + ", ".join(f"{n} {c}" for n, c in lengths.items()))
            print("#   runs missed (recursion_misses, nmissed): "
                  f"{sum(self.report.missed().values())}")
        for name, why in self.said:
            print(f"not ok {name}: {why}" if why else f"ok {name}")

    def wrong(self):
        return [f"{name}: {why}" for name, why in self.said if why]


def moved(line, name):
    """A line of the table, where tests/vm/workload has the operation's tree."""
    letter, path = line[:2], line[2:]
    if path == "/img" or path.startswith("/img/"):
        path = f"/table/{name}" + path[len("/img"):]
    return letter + path


def same_totals(kernel, judges):
    """Tiers that see every call by hooks of their own counted the same, operations included."""
    totals = {}
    for judge in judges:
        if judge.report and judge.tier in SEES_ALL_CALLS and not judge.has_told_misses():
            unseen = UNSEEN.get((judge.version, judge.tier), (0, 0))
            totals[judge.tier] = tuple(got + n for got, n in zip(judge.counted(), unseen))
    if len(totals) < 2:
        return True
    is_same = len(set(totals.values())) == 1
    print(f"{'ok' if is_same else 'not ok'} {kernel} totals of {', '.join(totals)} are the same: "
          f"{totals}")
    return is_same


def judge_run(judge):
    judge.judge()
    if not judge.left_out:
        judge.print()
        return bool(judge.wrong())
    if judge.refusal():
        return False
    kernel = judge.kernel
    name = f"{kernel} {judge.tier} without {judge.left_out} is found wrong"
    if not judge.report or not judge.wrong():
        print(f"not ok {name}: {judge.wrong() or 'nothing was'}")
        return True
    print(f"ok {name} # {judge.wrong()[0][:100]}")
    return False


def main(directory, kernel, runs):
    results = os.path.join(directory, "results")
    failed = False
    if not read(results, "ended"):
        failed = True
        print(f"not ok {kernel} boot: the VM did not come to its end: "
              f"{tail(read(directory, 'console'), 40)}")
    judges = [Judge(results, kernel, run) for run in runs.split(",")]
    for judge in judges:
        failed |= judge_run(judge)
    return failed or not same_totals(kernel, [j for j in judges if not j.left_out])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
