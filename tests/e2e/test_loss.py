#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Every structure is filled on purpose: the loss is seen, counted by reason, marked for
the containers it hit alone, and healed.

The agent has little room, and is stopped while a container works, so that nobody
empties what fills up. The truth is docker diff and the layer's directory.
"""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import time

from driftlib import loop, process
from driftlib.agent import PROGRAM, Agent, Tail
from driftlib.docker import Docker
from driftlib.suite import FULL, Suite, check, check_equal, equal_within, eventually

PINS = f"/sys/fs/bpf/dw-loss-{os.getpid()}"
FEW = 20  # a container's start loses fewer than that, and the agent may tell of it later
SMALL = ["--ring-bytes", "4096", "--max-counted", "64", "--max-watched", "4096"]
ROOM = 32  # files tried until one finds room, while other people's containers take some
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        # Containers of others must not fill what is filled here, nor make room in it.
        self.agent = Agent(s, "--pin-dir", PINS, *SMALL,
                           environment={"DRIFTWATCH_ONLY_BELOW": self.docker.data_root})
        s.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", PINS])

    def same(self, container, timeout=10):
        """How soon is the matter of other tests."""
        equal_within(lambda: self.agent.diff(container.id), container.diff, timeout, "diff")

    def run(self):
        """A container that the agent has read; its own start may have filled a ring."""
        container = self.docker.run()
        self.same(container)
        return container

    def right_or_marked(self, container):
        """An answer that is not whole says so."""
        done = self.agent.client("diff", container.id, "-0")
        lines = [line.decode() for line in done.stdout.split(b"\0")[:-1]]
        if b"may lack" not in done.stderr:
            check_equal(sorted(lines), sorted(container.diff()), "an answer without a mark")

    @contextlib.contextmanager
    def frozen(self):
        """Nobody reads what the kernel side reports."""
        os.kill(self.agent.daemon.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.agent.daemon.pid, signal.SIGCONT)

    def number(self, container, name, **labels):
        return self.agent.metrics().of(container.id, f"driftwatch_container_{name}", **labels)

    def lost(self, container, reason):
        return self.number(container, "events_lost_total", reason=reason)

    def rescans(self, container, reason):
        return self.agent.metrics().of(container.id, "driftwatch_ledger_rescans_total",
                                       reason=reason)

    def totals(self, container):
        return tuple(self.number(container, f"{name}_total", target="layer")
                     for name in ("write_calls", "written_bytes"))

    def check_totals(self, container, expected):
        """Counted exactly; if not, where the rest went is as much of the answer."""
        got = self.totals(container)
        elsewhere = {} if got == expected else {
            "other": self.number(container, "write_calls_total", target="other"),
            "copied_up": self.number(container, "copied_up_bytes_total"),
            "missed": [line for line in self.agent.get("/metrics")[2].decode().splitlines()
                       if "miss" in line and not line.endswith(" 0")]}
        check_equal(got, expected, f"calls and bytes {elsewhere or ''}")

    def healed(self, container, timeout):
        eventually(lambda: self.agent.files(container.id)["complete"], timeout,
                   lambda: f"whole again: {self.reasons(container)}")

    def reasons(self, container):
        return self.agent.files(container.id)["incomplete_reasons"]


def shell_loop(count, command):
    return f"i=0; while [ $i -lt {count} ]; do {command}; i=$((i+1)); done"


@suite.test
def full_rings_mark_whom_they_hit_and_the_next_answer_is_right(env):
    loud, quiet = env.run(), env.run()
    reasons = ("ring_full", "dirty_full")
    loud.control.ask("sh " + shell_loop(300, "mkdir /img/ed/$i"))
    env.same(loud)
    tail = Tail(env.agent)
    tail.connected(loud)
    with env.frozen():
        loud.control.ask("sh " + shell_loop(300, "echo x > /img/ed/$i/new"))
    env.right_or_marked(loud)
    env.same(loud)
    for reason in reasons:
        eventually(lambda r=reason: env.lost(loud, r) > FEW, 5, f"{reason} is counted")
        tail.wait_for(lambda e, r=reason: e["type"] == "lost" and e.get("reason") == r and
                      e["container"]["id"] == loud.id, what=f"tail tells of {reason}")
        check(env.lost(quiet, reason) < FEW, f"{reason} of a container that did nothing")
    tail.close()
    env.healed(loud, 5)
    env.check_totals(loud, (300, 600))
    check_equal([env.rescans(loud, r) for r in reasons], [0, 0],
                "whole layers read for what the marks tell")


@suite.test
def a_full_table_of_files_keeps_totals_and_the_list_exact(env):
    c, quiet = env.run(), env.run()
    with env.frozen():
        c.control.ask("sh " + shell_loop(900, "echo x > /img/ed/f$i"))
    env.same(c)
    env.check_totals(c, (900, 1800))
    eventually(lambda: env.lost(c, "files_full") > FEW, 5, "files_full is counted")
    check(env.lost(quiet, "files_full") < FEW, "of a container that did nothing")
    counts = [f["write_calls"] for f in env.agent.files(c.id)["files"]
              if f["path"].startswith("/img/ed/f")]
    check(max(counts) <= 1, "a file is counted twice")
    # The last file of a CPU may be read before the full table refuses it: listed, and lost.
    both = sum(counts) + env.lost(c, "files_full")
    check(900 <= both < 900 + FEW + os.cpu_count(), f"{both} listed and lost of 900")
    env.healed(c, 5)
    check(any(is_counted_exactly(env, c, f"/img/after{i}") for i in range(ROOM)),
          "no file is counted though there is room")


def is_counted_exactly(env, c, path):
    """A file that is written to now; one that gets no cell has no counts at all."""
    before, done = env.lost(c, "files_full"), c.control.load("write", path, 40)
    entry = env.agent.file(c.id, path)
    got = (entry["write_calls"], entry["written_bytes"])
    if got != done:
        eventually(lambda: env.lost(c, "files_full") > before, 5, f"{path}: {got}, not {done}")
    return got == done


@suite.test
def what_cannot_be_watched_is_scanned_and_marked_while_it_lasts(env):
    quiet, wide = env.run(), env.run()
    quiet.control.ask("op creat")  # its directory is watched from here on
    env.same(quiet)
    upper = wide.driver_data()["MergedDir"] + "/img/ed"
    for i in range(4300):
        os.mkdir(f"{upper}/{i}")
    eventually(lambda: "watch_full" in env.reasons(wide), 10, "marked")
    check(env.lost(wide, "watch_full") > 0, "watch_full is not counted")
    check_equal(env.lost(quiet, "watch_full"), 0, "watch_full of who was watched before")
    for i in range(0, 4300, 50):
        with open(f"{upper}/{i}/file", "w", encoding="ascii"):
            pass
    env.same(wide, 12)
    check(env.agent.files(wide.id)["as_of"], "nothing tells as of when")
    quiet.control.ask("sh echo x > /img/d/other")
    env.same(quiet, 2)
    check(env.agent.files(quiet.id)["complete"], "another container is marked")
    shutil.rmtree(upper, ignore_errors=True)
    env.same(wide, 12)
    env.healed(wide, 15)


def map_of_pins(name):
    version, = os.listdir(PINS)
    return f"{PINS}/{version}/map_{name}"


@contextlib.contextmanager
def full_table_of_roots(env):
    """Directories of a file system that is not there take all the room."""
    keys = [struct.pack("=QII", ino, 0xfffffff, 0).hex(" ") for ino in range(10000)]  # the last fail

    def batch(what, value=""):
        path = os.path.join(env.suite.tmp, "batch")
        with open(path, "w", encoding="ascii") as f:
            for key in keys:
                print("map", what, "pinned", map_of_pins("roots"), "key hex", key, value, file=f)
        return process.run(["bpftool", "batch", "file", path])

    root = "value hex " + 4 * "00 " + "03 " + 11 * "00 "
    check(batch("update", root).returncode, "it is not full")
    try:
        yield
    finally:
        batch("delete")


@suite.test
def roots_there_is_no_room_for_are_marked_and_told_when_there_is(env):
    quiet = env.run()
    with full_table_of_roots(env):
        c = env.docker.run()
        eventually(lambda: env.lost(c, "roots_full"), 5, "roots_full is counted")
        check("roots_full" in env.reasons(c), "not marked")
        c.control.ask("op creat_write")
        env.same(c)
        check_equal(env.lost(quiet, "roots_full"), 0, "of a container that was known before")
        check(env.agent.files(quiet.id)["complete"], "another container is marked")
        check("roots_full" in env.reasons(c), "the mark does not last")
    env.healed(c, 5)
    before, done = env.totals(c), c.control.load("write", "/img/after", 40)
    equal_within(lambda: tuple(now - then for now, then in zip(env.totals(c), before)),
                 lambda: done, 2, "calls and bytes from then on")


@suite.test
def a_layer_that_cannot_be_read_is_marked_and_read_when_it_can(env):
    c = env.docker.run()
    c.control.ask("op creat")
    upper = c.driver_data()["UpperDir"]
    os.rename(upper, upper + ".away")
    agent = Agent(env.suite, name="blind")
    check("walk_failed" in agent.files(c.id)["incomplete_reasons"], "not marked")
    os.rename(upper + ".away", upper)
    eventually(lambda: agent.files(c.id)["complete"], 5, "read again")
    check_equal(agent.diff(c.id), c.diff(), "diff")
    done = c.control.load("write", "/img/after", 40)
    equal_within(lambda: counts_of(agent, c, "/img/after"), lambda: (done, done), 2,
                 "total and file from then on")
    check_equal(agent.metrics().of(c.id, "driftwatch_container_events_lost_total",
                                   reason="walk_failed"), 1, "walk_failed is counted once")
    check_equal(agent.stop(), 0, "exit")


@suite.test
def a_path_too_long_for_a_record_is_counted_and_its_file_is_listed(env):
    agent, c, quiet = Agent(env.suite, name="roomy"), env.docker.run(), env.docker.run()

    def lost(container):
        return agent.metrics().of(container.id, "driftwatch_container_events_lost_total",
                                  reason="path_too_long")

    equal_within(lambda: agent.diff(c.id), c.diff, 5, "diff")
    c.control.ask("op longpath")
    eventually(lambda: lost(c), 10, "path_too_long is counted")
    check_equal(lost(quiet), 0, "of a container that did nothing")
    eventually(lambda: agent.files(c.id)["complete"], 5, "whole again")
    deep = "/img/d" + 60 * ("/" + 100 * "n") + "/deep"
    check_equal(agent.file(c.id, deep)["written_bytes"], 10, "bytes")
    check_equal(agent.stop(), 0, "exit")


def offset_in_control(control, member):
    """Where the programs' own types say that it is."""
    types = json.loads(process.checked(["bpftool", "-j", "btf", "dump", "map", "pinned", control,
                                        "value"]))["types"]
    members = next(t["members"] for t in types if t.get("name") == "dw_control")
    return next(m["bits_offset"] for m in members if m["name"] == member) // 8


def skip_a_run():
    """The kernel's count of runs that found no room, one higher."""
    control = map_of_pins("control")
    key = ["key", "0", "0", "0", "0"]
    shown = json.loads(process.checked(["bpftool", "-j", "map", "lookup", "pinned", control, *key]))
    value = bytearray(int(byte, 16) for byte in shown["value"])
    at = offset_in_control(control, "lost_runs")
    lost, = struct.unpack_from("=Q", value, at)
    struct.pack_into("=Q", value, at, lost + 1)
    process.checked(["bpftool", "map", "update", "pinned", control, *key, "value",
                     *[str(b) for b in value]])


def read_again(env, container, looks):
    looks.append(time.monotonic())
    return env.rescans(container, "program_miss") == 1


@suite.test
def skipped_runs_make_every_layer_be_read_once_in_ten_seconds(env):
    one, two = env.run(), env.run()
    first = (env.rescans(one, "program_miss"), env.rescans(two, "program_miss"))
    check_equal(first, (0, 0), "rescans before")
    looks = [time.monotonic()]
    skip_a_run()
    for c in (one, two):
        eventually(lambda c=c: read_again(env, c, looks if c is one else []), 15, "read again")
        check_equal(env.lost(c, "program_miss"), 1, "counted")
        env.healed(c, 5)
    if not FULL:
        return
    skip_a_run()
    eventually(lambda: "program_miss" in env.reasons(one), 3, "marked until it is read")
    skip_a_run()
    eventually(lambda: env.lost(one, "program_miss") == 3, 3, "counted")
    eventually(lambda: env.rescans(one, "program_miss") == 2, 15, "read again")
    since = looks[-2]  # the last look that saw no rescan
    check(time.monotonic() - since >= 10, "read again at once")
    env.healed(one, 5)
    env.same(one)


# --- numbers that are used again ---

def numbers(container):
    """(s_dev of the overlay, inode of the file) as the kernel side sees them."""
    data = container.driver_data()
    return os.stat(data["MergedDir"]).st_dev, os.stat(data["UpperDir"] + "/img/f").st_ino


@suite.test
def numbers_used_again_charge_nobody_with_an_earlier_containers_files(env):
    directory = loop.mount(env.suite, "ext4", 200, options=["-O", "^has_journal"])
    docker = Docker(env.suite, data_root=f"{directory}/docker", name="d-loop",
                    options=["--storage-driver", "overlay2"])
    agents = [Agent(env.suite, "--tier", tier, name=f"reuse-{tier}") for tier in ("fs", "syscall")]
    seen_dev, seen_ino, reused = set(), set(), [0, 0]
    for n in range(8 if FULL else 4):
        c = docker.run()
        truth = c.control.load("write", "/img/f", 10 + 7 * n)
        for agent in agents:
            equal_within(lambda a=agent: counts_of(a, c, "/img/f"), lambda: (truth, truth), 10,
                         f"{agent.options[1]}, round {n}: total and file")
        dev, ino = numbers(c)
        reused = [reused[0] + (dev in seen_dev), reused[1] + (ino in seen_ino)]
        seen_dev.add(dev)
        seen_ino.add(ino)
        equal_within(lambda: agents[0].diff(c.id), c.diff, 2, "diff")
        c.remove()
    check(all(reused), f"no number was used again: {reused}")
    for agent in agents:
        check_equal(agent.stop(), 0, "exit")


def only_in_full(test):
    """test_bpf_places.c has the short form."""
    return suite.test(test) if FULL else test


def inodes_of(directory, *containers):
    """Of the files that are mounted into them, and of their layers' directories."""
    paths = [c.driver_data()[key] for c in containers for key in ("UpperDir", "WorkDir")]
    for c in containers:
        paths += [entry.path for entry in os.scandir(f"{directory}/docker/containers/{c.id}")]
    return {os.stat(path).st_ino for path in paths}


@only_in_full
def files_with_the_numbers_of_a_container_that_went_unnoticed_count_where_they_are(env):
    """The agent stands still while containers are removed and others get their inodes."""
    directory = loop.mount(env.suite, "ext4", 200, name="small")
    docker = Docker(env.suite, data_root=f"{directory}/docker", name="d-small",
                    options=["--storage-driver", "overlay2"])
    agent = Agent(env.suite, "--tier", "fs", name="still")
    gone, loud = [docker.run() for _ in range(3)], docker.run()
    equal_within(lambda: agent.diff(loud.id), loud.diff, 10, "diff")
    numbers_gone = inodes_of(directory, *gone)
    os.kill(agent.daemon.pid, signal.SIGSTOP)
    for c in gone:
        c.remove()
    loud.control.ask("sh " + shell_loop(300, "mkdir /img/ed/$i; echo x > /img/ed/$i/new"))
    os.kill(agent.daemon.pid, signal.SIGCONT)
    upper = loud.driver_data()["UpperDir"]
    reused = [p for n in range(300) for p in (f"{upper}/img/ed/{n}", f"{upper}/img/ed/{n}/new")
              if os.stat(p).st_ino in numbers_gone]
    check(reused, "no number was used again")
    equal_within(lambda: tuple(agent.metrics().of(loud.id, f"driftwatch_container_{x}_total",
                                                  target="layer")
                               for x in ("write_calls", "written_bytes")),
                 lambda: (300, 600), 5, f"totals, {len(reused)} numbers used again")
    check_equal(agent.stop(), 0, "exit")


def counts_of(agent, container, path):
    m, entry = agent.metrics(), agent.file(container.id, path)
    total = tuple(m.of(container.id, f"driftwatch_container_{x}_total", target="layer")
                  for x in ("write_calls", "written_bytes"))
    return total, (entry["write_calls"], entry["written_bytes"])


# --- containers older than the agent ---

@suite.test
def a_layer_that_changes_during_its_first_scan_is_whole_after_it(env):
    c = env.docker.run()
    c.control.ask("op creat")
    wide = c.driver_data()["MergedDir"] + "/wide"
    for i in range(100):
        os.makedirs(f"{wide}/{i}")
        for j in range(50):
            os.mknod(f"{wide}/{i}/{j}")
    agent = Agent(env.suite, name="late", start=False)
    c.control.send("random 77 1500 2")
    agent.launch()
    c.control.answer()
    eventually(agent.ready, 60, "the agent is ready")
    equal_within(lambda: agent.diff(c.id), c.diff, 5, "diff")
    check(agent.files(c.id)["complete"], "not complete")
    shown = agent.file(c.id, "/wide/0/0")["first_change"]
    made = os.stat(c.driver_data()["UpperDir"] + "/wide/0/0").st_ctime
    check(abs(seconds(shown) - made) < 0.1, f"{shown} is not the layer's time {made}")
    check_equal(agent.stop(), 0, "exit")


def seconds(text):
    """Of an RFC 3339 time."""
    return float(subprocess.check_output(["date", "-d", text, "+%s.%N"]))


suite.main(Environment)
