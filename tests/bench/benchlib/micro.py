# SPDX-License-Identifier: GPL-2.0-only
"""One operation at a time: each variant between two bare runs, a few milliseconds each.

Where the kernel puts a program's code decides which of the kernel's own code it displaces
from the caches: the same program costs a write 6.5 % at one place and 11 % at another. So
the programs are loaded anew for every round, each time at another place.
"""

import random
import sys
import time

from . import stats
from .tool import Tool

WORK_CPU, OTHER_CPU = 0, 1
BLOCK_MS = 8
FILES = 100000

# With many files in turn, one is steady when it comes round while it is still known. That
# takes all of them a good part of a second, so these blocks are long, and not in every round.
MANY = "layer_many"
HOST = "host"
MANY_MS, MANY_BARE_MS = 800, 100
MANY_EVERY = 6

PAGE = 4096  # places beyond one page differ no further
PLACE_SECONDS = 3

# what is switched on, by which monitor
VARIANTS = {
    "floor_fs": ("floor", "write_end"),
    "floor_syscall": ("floor", "sys_exit"),
    "ours_fs": ("fs", "ours"),
    "ours_syscall": ("syscall", "ours"),
    "sensor": ("floor", "sensor"),
}
WORKS = "getppid read stat layer append layer4k layer64 layer_many host volume tmpfs create".split()


class Bench:
    """The worker, the monitors, and every pair measured so far."""

    def __init__(self, stage, files=FILES, log=None, variants=VARIANTS):
        self.monitors, self.pairs, self.missed = {}, {}, {}
        self.random = random.Random(1)
        self.stage, self.log = stage, log
        self.worker = Tool("work", WORK_CPU, stage.layer, stage.host, stage.volume, "/dev/shm",
                           files, log=log, before=stage.enter)
        self.names = sorted({VARIANTS[v][0] for v in variants})
        self.load()

    def load(self):
        """Load the monitors' programs, each at another place than before."""
        self.unload()
        for name in self.names:
            more = () if name == "floor" else (OTHER_CPU, *self.stage.monitor_arguments())
            self.monitors[name] = Tool("monitor", self.random.randrange(PAGE), name, *more,
                                       log=self.log)
        for monitor in self.monitors.values():
            monitor.ask("settle")
        self.loaded = time.monotonic()

    def load_at_times(self):
        """For what is shorter than loading: one place serves for a few of it."""
        if time.monotonic() - self.loaded > PLACE_SECONDS:
            self.load()

    def unload(self):
        """missed: what the monitor says that it missed, over all loads."""
        for name in list(self.monitors):
            monitor = self.monitors.pop(name)
            try:
                health = monitor.ask("health")
                missed = health["sensor_lost" if name == "floor" else "runs_missed"]
                self.missed[name] = self.missed.get(name, 0) + missed
            finally:
                monitor.close()

    def close(self):
        try:
            self.unload()
        finally:
            self.worker.close()

    def switch(self, variant, on):
        monitor, name = VARIANTS[variant]
        self.monitors[monitor].ask("on" if on else "off", name)

    def settle(self, variant):
        """Let the engine see what there is; its CPU time so far, in nanoseconds."""
        return self.monitors[VARIANTS[variant][0]].ask("settle")["cpu_ns"]

    @staticmethod
    def length(work, ms, variant):
        if work != MANY or ms < BLOCK_MS:
            return ms
        return MANY_MS if variant.startswith("ours") else MANY_BARE_MS

    def work(self, work, ms):
        """What is the host's is done outside the container."""
        if work != HOST:
            return self.worker.ask(work, ms)
        self.stage.leave(self.worker.pid)
        try:
            return self.worker.ask(work, ms)
        finally:
            self.stage.enter(self.worker.pid)

    def block(self, works, ms=BLOCK_MS, variant=""):
        """p10 by work."""
        done = {}
        for work in works:
            answer = self.work(work, self.length(work, ms, variant))
            if answer["failed"]:
                raise RuntimeError(f"{answer['failed']} operations of {work} failed")
            done[work] = answer["p10"]
        return done

    def add(self, variant, before, with_it, after):
        for work, value in with_it.items():
            bare = (before[work] + after[work]) / 2
            self.pairs.setdefault((work, variant), []).append((bare, value))

    def round(self, variants, works, ms=BLOCK_MS):
        order = list(variants)
        self.random.shuffle(order)
        works = list(works)
        self.random.shuffle(works)
        before = self.block(works, ms)
        for variant in order:
            self.switch(variant, True)
            try:
                with_it = self.block(works, ms, variant)
            finally:
                self.switch(variant, False)
            after = self.block(works, ms)
            self.add(variant, before, with_it, after)
            before = after

    # --- figures of what was measured

    def bare_ns(self, work):
        return stats.median([bare for (w, _), pairs in self.pairs.items() if w == work
                             for bare, _ in pairs])

    def values(self, work, variant):
        return self.pairs.get((work, variant), [])

    def over_bare(self, work, variant):
        """With the variant / without: 1.05 is 5 % more."""
        pairs = self.values(work, variant)
        return stats.ratio([v for _, v in pairs], [b for b, _ in pairs])

    def added(self, work, variant):
        """What the variant adds to one operation, as a part of its own bare cost."""
        return [(value - bare) / bare for bare, value in self.values(work, variant)]

    def added_over(self, work, variant, other):
        """What the variant adds / what the other adds."""
        return stats.quotient_of_medians(self.added(work, variant), self.added(work, other))


def run(bench, variants, works, seconds, ms=BLOCK_MS, rounds=10000):
    """Rounds until the time is used up. Says how it goes."""
    end = time.monotonic() + seconds
    for number in range(rounds):
        if number:  # it comes loaded
            bench.load()
        now = [w for w in works if w != MANY or number % MANY_EVERY == 0]
        bench.round(variants, now or works, ms)
        if time.monotonic() > end:
            break
        if number % 10 == 9:
            print(f"  round {number + 1}", file=sys.stderr)
