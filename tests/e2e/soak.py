#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""soak.py - random operations for minutes or hours, with kills of everything that can die.

	tests/e2e/soak.py [--minutes N] [--containers N] [--seed N] [--pace SECONDS]

Containers of 1, 3 and 120 layers are written by several processes each, killed, removed
and replaced; the agent is killed and started again, dockerd too. At checkpoints a
container is paused and its list compared with docker diff's, its counts with what its
calls returned; `driftwatch verify` is asked in between. Ends with what was done and
found: 0 when nothing differed, 1 when something did.
"""

import argparse
import collections
import os
import random
import signal
import sys
import time

from driftlib import process
from driftlib.agent import PROGRAM, Agent
from driftlib.docker import Docker
from driftlib.suite import Failure, Suite, eventually

BURSTS = ("random {seed} 300 2", "random {seed} 2000 3", "race renames {seed} 3000",
          "race capabilities {seed} 2000", "race reuse {seed} 3000")
SETTLED = 5  # seconds: what differs longer at a pause is wrong; how long it took is reported


class Soak:
    def __init__(self, suite, options):
        self.random = random.Random(options.seed)
        self.pace = options.pace
        self.done = collections.Counter()
        self.wrong, self.slowest, self.memory = [], 0.0, []
        self.docker = Docker(suite, options=["--live-restore"])
        self.pins = f"/sys/fs/bpf/dw-soak-{os.getpid()}"
        self.agent = Agent(suite, "--pin-dir", self.pins)
        suite.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", self.pins])
        self.can_verify = process.run([PROGRAM, "help", "verify"]).returncode == 0
        self.containers = [self.new(n) for n in range(options.containers)]
        self.counted = self.docker.run()
        self.truth = [0, 0]
        self.rescans = self.verifications = self.mismatches = 0

    def new(self, number):
        return self.docker.run(layers=(1, 3, 120)[number % 3])

    def burst(self):
        """Left running: the next action meets it."""
        kind = self.random.choice(BURSTS).format(seed=self.random.randrange(1 << 30))
        self.random.choice(self.containers).control.ask("start " + kind)

    def count(self):
        calls, written = self.counted.control.load(
            self.random.choice(("write", "pages", "vector", "uring", "range")),
            f"/img/load{self.random.randrange(5)}", self.random.randrange(1, 300))
        self.truth[0] += calls
        self.truth[1] += written

    def checkpoint(self):
        container = self.random.choice(self.containers)
        container.pause()
        try:
            self.compare(container)
        finally:
            container.unpause()

    def compare(self, container):
        expected, begun = container.diff(), time.monotonic()
        try:
            eventually(lambda: self.agent.diff(container.id) == expected, SETTLED)
        except Failure:
            got = self.agent.diff(container.id)
            self.note(f"{container.id[:12]}: missing {[x for x in expected if x not in got][:5]}, "
                      f"too much {[x for x in got if x not in expected][:5]}")
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.weigh()

    def compare_counts(self):
        def totals():
            m = self.agent.metrics()
            return [m.of(self.counted.id, f"driftwatch_container_{x}_total", target="layer")
                    for x in ("write_calls", "written_bytes")]
        if totals() != self.truth:
            self.note(f"counted {totals()}, the calls returned {self.truth}")

    def note(self, what):
        self.wrong.append(what)
        print(f"! {what}", flush=True)

    def weigh(self):
        """The agent's own memory, without files it has mapped."""
        with open(f"/proc/{self.agent.daemon.pid}/status", encoding="ascii") as f:
            self.memory += [int(line.split()[1]) / 1024 for line in f if line.startswith("RssAnon")]

    def end_of_life(self):
        """What the agent says of itself is lost with it."""
        self.weigh()
        m = self.agent.metrics()
        self.rescans += sum(v for _, v in m.find("driftwatch_ledger_rescans_total"))
        self.verifications += m.value("driftwatch_ledger_verifications_total") or 0
        self.mismatches += m.value("driftwatch_ledger_mismatch_total") or 0

    def kill_agent(self):
        self.end_of_life()
        self.agent.kill()
        self.burst()
        self.count()
        self.agent.start()

    def stop_agent(self):
        self.end_of_life()
        self.agent.stop()
        self.burst()
        self.agent.start()
        self.truth = [0, 0]  # unpinned: counted anew, in a container of its own
        self.counted.remove()
        self.counted = self.docker.run()

    def restart_dockerd(self):
        self.docker.daemon.stop(self.random.choice((signal.SIGKILL, signal.SIGTERM)))
        self.burst()
        eventually(self.dockerd_starts, 300, "dockerd starts")

    def dockerd_starts(self):
        """On a busy machine its containerd may be too slow for it."""
        try:
            self.docker.start()
            return True
        except (Failure, RuntimeError):
            self.docker.daemon.stop(signal.SIGKILL)
            return False

    def kill_container(self):
        container = self.random.choice(self.containers)
        container.kill()
        container.wait()
        self.compare(container)
        container.start()

    def replace_container(self):
        number = self.random.randrange(len(self.containers))
        self.containers[number].remove()
        self.containers[number] = self.new(self.random.randrange(3))

    def verify(self):
        """Of a container that rests: a busy one changes between the two looks."""
        container = self.random.choice(self.containers)
        container.pause()
        try:
            result = self.agent.client("verify", container.id, timeout=120)
        finally:
            container.unpause()
        if result.returncode:
            self.note(f"verify: exit {result.returncode}: {result.stdout.decode()[-300:]}"
                      f"{result.stderr.decode()[-300:]}")

    def run(self, end):
        actions = {self.burst: 30, self.count: 10, self.checkpoint: 30, self.compare_counts: 10,
                   self.verify: 5 * self.can_verify, self.kill_container: 5, self.replace_container: 5,
                   self.kill_agent: 4, self.stop_agent: 1, self.restart_dockerd: 1}
        while time.monotonic() < end:
            action = self.random.choices(list(actions), actions.values())[0]
            action()
            self.done[action.__name__] += 1
            time.sleep(self.pace)
        for container in self.containers:
            container.control.ask("wait")
            self.compare(container)
        self.compare_counts()
        self.end_of_life()

    def report(self):
        for name, count in sorted(self.done.items()):
            print(f"{name.replace('_', ' '):20}{count:8}")
        for name, value in (("rescans", self.rescans), ("verifications", self.verifications),
                            ("their mismatches", self.mismatches), ("differences", len(self.wrong))):
            print(f"{name:20}{value:8.0f}")
        print(f"{'slowest equality':20}{self.slowest:8.2f} s")
        print(f"{'agent, at most':20}{max(self.memory):8.1f} MiB")
        print(f"{'agent, at the end':20}{self.memory[-1]:8.1f} MiB", flush=True)
        return bool(self.wrong or self.mismatches)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--containers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--pace", type=float, default=0.2, help="seconds between two actions")
    return parser.parse_args()


def main():
    options = arguments()
    print(f"seed {options.seed}, {options.minutes} minutes", flush=True)
    suite = Suite("soak")
    try:
        soak = Soak(suite, options)
        soak.run(time.monotonic() + options.minutes * 60)
        return 1 if soak.report() else 0
    finally:
        suite.close()


sys.exit(main())
