#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Answers come from memory: what the agent reads of a layer, as strace sees it.

Nothing while nobody writes, however often it is asked; after a change no more than the
paths that changed.
"""

import os
import signal
import subprocess

from driftlib import truth
from driftlib.agent import Agent
from driftlib.runc import Runc
from driftlib.suite import Suite, check, check_equal, equal_within, eventually

FILES = 100
LOOKS = 3  # stats of a path that changed, at most
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.container = Runc(s).start(f"dwst{os.getpid()}")
        self.root = f"{self.container.directory}/rootfs"
        os.mkdir(f"{self.root}/many")
        for i in range(FILES):
            with open(f"{self.root}/many/{i}", "w", encoding="ascii") as f:
                f.write("x")
        self.agent = Agent(s, "--no-pin", "--verify-interval", "0")
        self.same()

    def same(self):
        equal_within(lambda: self.agent.diff(self.container.id),
                     lambda: truth.diff(self.container.upper, self.container.lowers), 2, "diff")


class Watched:
    """The file system calls of the agent while the block runs, with the paths of descriptors."""

    def __init__(self, env):
        self.log = os.path.join(env.agent.dir, "calls")
        self.pid = env.agent.daemon.pid
        self.upper = env.container.upper
        self.lines = []

    def __enter__(self):
        self.strace = subprocess.Popen(
            ["strace", "-f", "-y", "-e", "trace=%file,%desc", "-o", self.log, "-p",
             str(self.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.strace.stderr.readline()  # "Process N attached"
        return self

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGINT)
        self.strace.wait()
        with open(self.log, encoding="utf-8", errors="replace") as f:
            self.lines = [line for line in f if self.upper in line]

    def count(self, *calls):
        """How many of these calls went to the upper layer."""
        return sum(any(f" {call}(" in line for call in calls) for line in self.lines)


@suite.test
def a_layer_at_rest_is_not_read_however_often_it_is_asked_for(env):
    want = env.agent.diff(env.container.id)
    check(f"A /many/{FILES - 1}" in want, "the files are not listed")
    with Watched(env) as watched:
        for _ in range(10):
            check_equal(env.agent.diff(env.container.id), want, "diff")
            env.agent.files(env.container.id, "--all")
            env.agent.ps()
            env.agent.metrics()
    check_equal(watched.lines, [], "calls to the upper layer")


@suite.test
def after_a_change_only_what_changed_is_looked_at(env):
    with Watched(env) as watched:
        for i in range(FILES):
            os.chmod(f"{env.root}/many/{i}", 0o600)
        eventually(lambda: all(f["mode"] == "0600" for f in files_of(env)), 5, "modes are seen")
        env.same()
    stats = watched.count("statx", "newfstatat")
    check(FILES <= stats <= LOOKS * FILES, f"{stats} stats for {FILES} files")
    check_equal(watched.count("getdents64"), 0, "directories read though no name changed")


@suite.test
def a_new_name_costs_its_directory_and_not_its_neighbours(env):
    with Watched(env) as watched:
        with open(f"{env.root}/many/new", "w", encoding="ascii") as f:
            f.write("x")
        env.same()
    check("A /many/new" in env.agent.diff(env.container.id), "the new file is not listed")
    stats = watched.count("statx", "newfstatat")
    check(stats <= 4 * LOOKS, f"{stats} stats for one file among {FILES}")


def files_of(env):
    return [f for f in env.agent.files(env.container.id)["files"] if f["path"].startswith("/many/")]


suite.main(Environment)
