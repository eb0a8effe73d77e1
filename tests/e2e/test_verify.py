#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""driftwatch verify and the background audit: what is wrong is found, and only that.

One entry is made wrong on purpose in two ways that no event tells of: the kernel's watch
of one file is taken away before it changes, and the image is changed beneath a container.
"""

import glob
import json
import os
import struct

from driftlib import process, truth
from driftlib.agent import PROGRAM, Agent
from driftlib.runc import Runc
from driftlib.suite import Suite, check, check_equal, equal_within, eventually

PINS = f"/sys/fs/bpf/dw-verify-{os.getpid()}"
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.runc = Runc(s)
        self.unique = f"dwvf{os.getpid()}"
        self.agent = Agent(s, "--pin-dir", PINS, "--verify-interval", "0", expect_mismatches=True)
        s.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", PINS])

    def start(self, name):
        container = self.runc.start(self.unique + name)
        self.same(container)
        return container

    def same(self, container):
        equal_within(lambda: self.agent.diff(container.id),
                     lambda: truth.diff(container.upper, container.lowers), 2, "diff")

    def counts(self, agent=None):
        m = (agent or self.agent).metrics()
        return tuple(int(m.value(f"driftwatch_ledger_{name}_total"))
                     for name in ("verifications", "mismatch"))


def verify(agent, *references, code=0):
    """The containers that `verify -o json` tells of."""
    done = agent.client("verify", "-o", "json", *references, timeout=60)
    check_equal(done.returncode, code, f"exit of verify ({done.stderr.decode()[-300:]})")
    return json.loads(done.stdout)["containers"]


def take_watch(path):
    """Take the inode of path out of the kernel's index, as if the watch had been lost."""
    st = os.stat(path)
    (pin,) = glob.glob(f"{PINS}/*/map_watched")
    dev = os.major(st.st_dev) << 20 | os.minor(st.st_dev)
    key = struct.pack("=QII", st.st_ino, dev, 0)
    process.checked(["bpftool", "map", "delete", "pinned", pin, "key", "hex",
                     *(f"{b:02x}" for b in key)])


@suite.test
def a_ledger_that_is_exact_is_found_equal(env):
    c = env.start("equal")
    c.control.ask("random 7 300 2")
    env.same(c)
    before = env.counts()
    found = verify(env.agent, c.id)
    check_equal([(f["id"], f["verdict"], f["mismatches"]) for f in found],
                [(c.id, "equal", 0)], "found")
    check_equal(found[0]["lines"], len(truth.diff(c.upper, c.lowers)), "lines")
    check_equal(env.counts(), (before[0] + 1, before[1]), "verifications and mismatches")
    text = env.agent.output("verify", c.id).decode()
    check(f"{c.id}: equal of {found[0]['lines']} lines" in text, text)


@suite.test
def one_wrong_entry_is_found_counted_once_and_healed(env):
    c = env.start("unheard")
    c.control.ask("op append")
    env.same(c)
    take_watch(f"{c.upper}/img/f")
    c.exec("/bin/busybox", "touch", "-d", "@1735787045", "/img/f")
    c.exec("/bin/busybox", "truncate", "-s", "10000", "/img/f")
    c.exec("/bin/busybox", "touch", "-d", "@1735787045", "/img/f")
    check("C /img/f" in env.agent.diff(c.id), "an event came all the same")
    before = env.counts()
    found = verify(env.agent, c.id, code=3)[0]
    check_equal(found["verdict"], "mismatch", "verdict")
    check_equal(found["listed"], [{"path": "/img/f", "ledger": "modified", "layer": None}],
                "mismatches")
    check_equal(env.counts(), (before[0] + 1, before[1] + 1), "verifications and mismatches")
    check("/img/f: the ledger says modified, the layer no line" in env.agent.daemon.tail(),
          "the log says nothing")
    env.same(c)
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_ledger_rescans_total", container_id=c.id[:12],
                        reason="audit"), 1, "rescans")
    eventually(lambda: env.agent.files(c.id)["complete"], 5, "complete again")
    check_equal(verify(env.agent, c.id)[0]["verdict"], "equal", "verdict afterwards")
    # Its watch is back.
    c.control.ask("op append")
    env.same(c)


@suite.test
def an_image_changed_beneath_a_container_is_found_by_the_clock(env):
    c = env.start("image")
    c.exec("/bin/busybox", "chmod", "644", "/img/f2")
    eventually(lambda: any(f["path"] == "/img/f2" for f in env.agent.files(c.id, "--all")["files"]),
               5, "copied up, equal")
    agent = Agent(env.suite, "--verify-interval", "2s", name="clock", expect_mismatches=True)
    eventually(lambda: env.counts(agent)[0] >= 2, 60, "verified by the clock")
    check_equal(env.counts(agent)[1], 0, "mismatches")
    lower = os.path.join(env.runc.lower, "img/f2")
    os.chmod(lower, 0o600)
    try:
        eventually(lambda: "C /img/f2" in agent.diff(c.id), 60, "found and healed")
        done = env.counts(agent)
        eventually(lambda: env.counts(agent)[0] > done[0] + 1, 60, "verified again")
        # Each container on this image that holds the file says so, once.
        check_equal(env.counts(agent)[1], done[1], "mismatches once it is healed")
        check(done[1] >= 1, "no mismatch was counted")
    finally:
        os.chmod(lower, 0o644)
        agent.stop()


@suite.test
def a_container_at_work_gives_no_false_mismatch(env):
    c = env.start("busy")
    c.control.send("random 11 20000 2")
    for _ in range(3):
        found = verify(env.agent, c.id)[0]
        check(found["verdict"] in ("equal", "unsettled"), found)
    c.control.answer()
    env.same(c)
    check_equal(verify(env.agent, c.id)[0]["verdict"], "equal", "verdict at rest")


@suite.test
def all_are_verified_by_default(env):
    one, other = env.start("one"), env.start("other")
    found = {f["id"]: f["verdict"] for f in verify(env.agent)}
    check_equal([found.get(c.id) for c in (one, other)], ["equal", "equal"], "verdicts")


@suite.test
def what_cannot_be_verified_is_an_error_by_name_only(env):
    check_equal(env.agent.client("verify", "no-such-container").returncode, 1, "exit")
    c = env.start("gone")
    c.stop()
    process.run(["umount", "-l", f"{c.directory}/rootfs"])
    process.run(["rm", "-rf", c.directory])
    eventually(lambda: env.agent.client("verify", c.id).returncode == 1, 10,
               "a layer that is gone is an error")
    verify(env.agent)


@suite.test
def without_an_agent_it_is_verified_too(env):
    c = env.start("alone")
    c.control.ask("op rmtree_recreate")
    done = process.run([PROGRAM, "verify", c.id, "-o", "json"])
    check_equal(done.returncode, 0, f"exit ({done.stderr.decode()[-300:]})")
    check_equal(json.loads(done.stdout)["containers"][0]["verdict"], "equal", "verdict")


suite.main(Environment)
