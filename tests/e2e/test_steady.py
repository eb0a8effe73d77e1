#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Answers come from memory: what the agent reads of a layer, as strace sees it.

Nothing while nobody writes, however often it is asked; after a change no more than the
paths that changed.
"""

import mmap
import os
import signal
import subprocess

from driftlib import process, truth
from driftlib.agent import Agent
from driftlib.runc import Runc
from driftlib.suite import Suite, check, check_equal, equal_within, eventually

FILES = 100
OWN_MARKS = 8192  # added files of a layer whose writes the agent hears of
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


def at_rest(env):
    """Nothing left to be written back: that changes inodes too."""
    process.checked(["sync", "-f", env.container.upper])
    env.agent.files(env.container.id)


@suite.test
def a_layer_at_rest_is_not_read_however_often_it_is_asked_for(env):
    at_rest(env)
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


def wrong_sizes(env):
    """Of the files in /crowd those that are shown otherwise than they are: (shown, true)."""
    shown = {os.path.basename(f["path"]): f["size"]
             for f in env.agent.files(env.container.id)["files"]
             if f["path"].startswith("/crowd/")}
    with os.scandir(f"{env.container.upper}/crowd") as entries:
        true = {e.name: e.stat().st_size for e in entries}
    return {name: (shown.get(name), true.get(name)) for name in shown.keys() | true.keys()
            if shown.get(name) != true.get(name)}


def upper_bytes(env):
    return sum(os.lstat(os.path.join(directory, name)).st_size
               for directory, _, names in os.walk(env.container.upper) for name in names)


def write_in_every_way(env, names):
    """Each of the files by another way, inside and from outside."""
    for i, name in enumerate(names):
        way, inside = i % 5, f"{env.root}/crowd/{name}"
        with open(inside if way < 4 else f"{env.container.upper}/crowd/{name}", "r+b") as f:
            if way == 0:
                f.seek(0, os.SEEK_END)
                f.write(b"appended")
            elif way == 1:
                f.truncate(0)
            elif way == 2:
                os.posix_fallocate(f.fileno(), 0, 5000 + i)
            elif way == 3:
                os.ftruncate(f.fileno(), 4096)
                with mmap.mmap(f.fileno(), 4096) as m:
                    m[0:4] = b"mmap"
            else:
                f.write(b"straight into the layer")


@suite.test
def sizes_of_files_that_nobody_listens_to_are_true_when_they_are_shown(env):
    os.mkdir(f"{env.root}/crowd")
    for i in range(OWN_MARKS):
        os.mknod(f"{env.root}/crowd/own{i}")
    check_equal(wrong_sizes(env), {}, "sizes of the first")
    names = [f"shared{i}" for i in range(400)]
    for name in names:
        os.mknod(f"{env.root}/crowd/{name}")
    check_equal(wrong_sizes(env), {}, "sizes of what was just made")
    some = names[::2]
    with Watched(env) as watched:
        write_in_every_way(env, some)
        check_equal(wrong_sizes(env), {}, "sizes of what was just written")
    stats = watched.count("statx", "newfstatat")
    check(len(some) <= stats <= LOOKS * len(some), f"{stats} stats for {len(some)} files")
    write_in_every_way(env, names[1::2])
    bytes_metric = "driftwatch_container_drift_bytes"
    # A scrape does not wait for all of a burst; the next one has the rest.
    equal_within(lambda: env.agent.metrics().value(bytes_metric,
                                                   container_id=env.container.id[:12]),
                 lambda: upper_bytes(env), 5, bytes_metric)
    at_rest(env)
    with Watched(env) as watched:
        for _ in range(3):
            env.agent.files(env.container.id)
            env.agent.metrics()
    check_equal(watched.lines, [], "calls to the upper layer")


def files_of(env):
    return [f for f in env.agent.files(env.container.id)["files"] if f["path"].startswith("/many/")]


suite.main(Environment)
