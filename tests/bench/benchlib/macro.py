# SPDX-License-Identifier: GPL-2.0-only
"""Whole jobs in the layer, watched and bare in turns, the engine's own CPU time included.

A job is repeated, every time on a layer as it was before, until it is resolved on which side
of its goals it is or the time is used up. The jobs share the time: whose pairs took least so
far has the next, so a short one is resolved early and leaves the rest to the others; and one
that misses its goal whatever the spread gets a third of what one gets that may pass.
"""

import os
import resource
import shutil
import subprocess
import tarfile
import time

from . import stats
from .micro import WORK_CPU

SPREAD = 0.02
WALL, CPU = 1.03, 1.10  # of bare: the goals
MISSED_SHARE = 1 / 3
FILES = 10000
PACKAGE_FILES = 400
SOURCES = 4


class Job:
    """prepare() once, then run() and undo() over and over."""

    name = ""

    def __init__(self, bench, stage, scale=1.0):
        self.bench, self.stage, self.scale = bench, stage, scale
        self.dir = os.path.join(stage.layer, self.name)
        self.material = stage.path("material-" + self.name)
        os.mkdir(self.material)
        os.mkdir(self.dir)
        self.prepare()

    def prepare(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def undo(self):
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)

    def run(self):
        """(wall, CPU) seconds, and how many times the job was done."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        subprocess.run(self.command(), check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, preexec_fn=self.enter)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = sum(getattr(after, f) - getattr(before, f) for f in ("ru_utime", "ru_stime"))
        return wall, cpu, 1

    def enter(self):
        self.stage.enter()
        os.sched_setaffinity(0, [WORK_CPU])  # else who moves between processors is the spread


class Create(Job):
    """create, write, close, unlink, as often as it goes within a moment."""

    name = "create"

    def prepare(self):
        pass

    def undo(self):
        pass

    def run(self):
        done = self.bench.worker.ask("create", int(400 * self.scale))
        return done["wall_ns"] / 1e9, done["cpu_ns"] / 1e9, done["operations"]


class Tar(Job):
    name = "tar"

    def prepare(self):
        path = os.path.join(self.material, "files.tar")
        with tarfile.open(path, "w") as tar:
            for n in range(int(FILES * self.scale)):
                info = tarfile.TarInfo(f"d{n // 100}/f{n}")
                info.size = 200 + n * 37 % 3000
                with open("/dev/zero", "rb") as zero:
                    tar.addfile(info, zero)

    def command(self):
        return ["tar", "-x", "-f", os.path.join(self.material, "files.tar"), "-C", self.dir]


class Dpkg(Job):
    name = "dpkg"

    def prepare(self):
        tree = os.path.join(self.material, "tree")
        os.makedirs(os.path.join(tree, "DEBIAN"))
        with open(os.path.join(tree, "DEBIAN", "control"), "w", encoding="ascii") as f:
            f.write("Package: driftwatch-bench\nVersion: 1\nArchitecture: all\n"
                    "Maintainer: nobody <nobody@localhost>\nDescription: files to unpack\n")
        for n in range(int(PACKAGE_FILES * self.scale)):
            directory = os.path.join(tree, "usr", "share", f"bench{n // 50}")
            os.makedirs(directory, exist_ok=True)
            with open(os.path.join(directory, f"f{n}"), "wb") as f:
                f.write(b"%d" % n * 900)
        self.package = os.path.join(self.material, "bench.deb")
        subprocess.run(["dpkg-deb", "-b", "--root-owner-group", "-Zgzip", tree, self.package],
                       check=True, stdout=subprocess.DEVNULL)
        self.make_root()

    def make_root(self):
        for name in "info updates triggers".split():
            os.makedirs(os.path.join(self.dir, "var/lib/dpkg", name))
        for name in "status available".split():
            with open(os.path.join(self.dir, "var/lib/dpkg", name), "wb"):
                pass

    def undo(self):
        super().undo()
        self.make_root()

    def command(self):
        return ["dpkg", f"--root={self.dir}", "--log=/dev/null", "--force-not-root", "-i",
                self.package]


class Compile(Job):
    name = "compile"

    def prepare(self):
        for n in range(SOURCES):
            with open(os.path.join(self.material, f"s{n}.c"), "w", encoding="ascii") as f:
                f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
                for i in range(int(25 * self.scale)):
                    f.write(f"int f{i}_{n}(const char *s, int k)\n{{\n\tchar b[64];\n"
                            f"\tfor (int i = 0; i < k; i++)\n\t\tif (s[i] == {i} % 100)\n"
                            f"\t\t\tk += snprintf(b, sizeof(b), \"%d\", i) + atoi(s + i);\n"
                            "\treturn k + (int)strlen(b);\n}\n")

    def command(self):
        return ["sh", "-c", f"cd {self.dir} && for f in {self.material}/*.c; do "
                "TMPDIR=. gcc -O1 -c $f || exit 1; done"]


JOBS = [Create, Tar, Dpkg, Compile]


def is_clear(values, goal):
    """Narrow enough, and with the goal outside of the interval: more pairs change nothing."""
    width = stats.half_width(values)
    return width <= SPREAD and width <= abs(stats.median(values) - goal)


class Watched:
    """The pairs of one job: each is bare and watched, who comes first alternates."""

    def __init__(self, bench, job, variant):
        self.bench, self.job, self.variant = bench, job, variant
        self.wall, self.cpu, self.bare_wall = [], [], []
        self.spent = 0.0

    def once(self, watched):
        spent = 0
        if watched:
            self.bench.switch(self.variant, True)
            self.job.undo()  # what the bare job did, nobody was told of
            spent = self.bench.settle(self.variant)
        try:
            wall, cpu, times = self.job.run()
            if watched:
                cpu += (self.bench.settle(self.variant) - spent) / 1e9
            self.job.undo()
        finally:
            if watched:
                self.bench.settle(self.variant)
                self.bench.switch(self.variant, False)
        return wall / times, cpu / times

    def pair(self):
        self.bench.load_at_times()
        done, start = {}, time.monotonic()
        for watched in (True, False) if len(self.wall) % 2 else (False, True):
            done[watched] = self.once(watched)
        self.spent += time.monotonic() - start
        self.wall.append(done[True][0] / done[False][0])
        self.cpu.append(done[True][1] / done[False][1])
        self.bare_wall.append(done[False][0])

    def judged(self):
        return ("wall", self.wall, WALL), ("cpu", self.cpu, CPU)

    def is_resolved(self):
        return all(is_clear(values, goal) for _, values, goal in self.judged())

    def is_missed(self):
        """Beyond a goal with all of its interval: further pairs only tell by how much."""
        return any(values and stats.median(values) - stats.half_width(values) > goal
                   for _, values, goal in self.judged())

    def claim(self):
        """Who has the smallest is next."""
        return self.spent / (MISSED_SHARE if self.is_missed() else 1)

    def seconds_of_pair(self):
        return self.spent / len(self.wall) if self.wall else 0


def share(all_of, seconds):
    """Pairs of all jobs until each is resolved, or a further pair would take too long."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        waiting = [w for w in all_of if not w.is_resolved() and w.seconds_of_pair() < left]
        if left <= 0 or not waiting:
            return
        min(waiting, key=Watched.claim).pair()


def run(bench, stage, variants, seconds, scale=1.0, problem=print):
    """{(job, variant): Watched}; what hangs is given up, and what was measured stays."""
    all_of = {(j.name, v): Watched(bench, j, v) for j in (J(bench, stage, scale) for J in JOBS)
              for v in variants}
    start = time.monotonic()
    try:
        for watched in all_of.values():
            watched.once(False)  # warms the caches, and is not counted
        share(all_of.values(), seconds - (time.monotonic() - start))
    except TimeoutError as e:
        problem(f"macro: {e}")
    return all_of


def report(result, all_of):
    for (name, variant), w in all_of.items():
        if not w.wall:
            continue
        for what, values, limit in w.judged():
            result.set(f"macro.{name}.{variant}.{what}", stats.figure(values), unit="of bare",
                       limit=limit, base=1, resolution=SPREAD)
        result.set(f"macro.{name}.bare_seconds", stats.median(w.bare_wall), unit="s")
