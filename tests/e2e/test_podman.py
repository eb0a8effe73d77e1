#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""podman as root. Its own diff follows other rules: it is asked for what both agree on."""

import os

from driftlib import truth
from driftlib.agent import Agent
from driftlib.podman import Podman
from driftlib.suite import Skip, Suite, check, check_equal, equal_within, eventually

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.podman = Podman(s)
        self.early = self.podman.start(name="early")
        self.early.control.ask("op rmtree_recreate")
        self.agent = Agent(s)

    def layers(self, container):
        data = container.inspect()["GraphDriver"]["Data"]
        return data["UpperDir"], data["LowerDir"].split(":")

    def same(self, container, timeout=1):
        layers = self.layers(container)
        equal_within(lambda: self.agent.diff(container.id), lambda: truth.diff(*layers), timeout,
                     "diff")


@suite.test
def a_container_older_than_the_agent(env):
    env.same(env.early)
    env.early.control.ask("op creat")
    env.same(env.early)


@suite.test
def a_container_started_after_the_agent(env):
    c = env.podman.start(name="web")
    c.control.ask("op file_to_dir")
    c.control.ask("op creat_write")
    env.same(c)
    entry = env.agent.find(c.id)
    check(entry, "ps does not list it")
    check_equal((entry["name"], entry["runtime"]), ("web", "podman"), "identity")
    check("dw/ops1:1" in str(entry["image"]), f"image: {entry['image']}")


@suite.test
def plain_changes_equal_podmans_own_diff(env):
    c = env.podman.start()
    for op in ("creat_write", "append", "unlink_image", "mkdir", "rename_cross"):
        c.control.try_(f"op {op}")
    theirs = [line for line in c.diff() if line.startswith(("A", "D"))]
    ours = [line for line in env.agent.diff(c.id, "--no-runtime") if line.startswith(("A", "D"))]
    check_equal(ours, theirs, "added and deleted")


@suite.test
def a_first_act_write_is_exact(env):
    c = env.podman.start("/bin/ops", "op", "creat_write")
    c.wait()
    env.same(c)
    check_equal(env.agent.diff(c.id, "--no-runtime"),
                ["C /img", "C /img/d", "A /img/d/new"], "diff")
    m = env.agent.metrics()
    check_equal(m.of(c.id, "driftwatch_container_written_bytes_total", target="layer"), 100,
                "bytes")
    writer = env.agent.file(c.id, "/img/d/new")["first_writer"]
    check_equal((writer["comm"], writer["executable"]), ("ops", "/bin/ops"), "writer")


@suite.test
def what_podman_put_into_the_layer_is_of_class_runtime(env):
    c = env.podman.start()
    env.same(c)
    files = env.agent.files(c.id)["files"]
    check(files, "podman's stubs are not listed")
    others = [f["path"] for f in files if f["class"] != "runtime" and not f["implied"]]
    check_equal(others, [], "paths not of class runtime")


@suite.test
def exec_and_restart(env):
    c = env.podman.start(name="again")
    c.exec("/bin/ops", "op", "creat")
    env.same(c)
    c.stop()
    env.same(c)
    c.restart()
    c.control.ask("op creat_root")
    env.same(c)
    check("A /newroot" in env.agent.diff(c.id), "the write after the restart is missing")
    check_equal(env.agent.find(c.id)["state"], "running", "state")


@suite.test
def removal_by_rm_keeps_what_it_wrote(env):
    c = env.podman.start("/bin/ops", "op", "creat_write", rm=True)
    c.gone()
    equal_within(lambda: env.agent.diff(c.id, "--no-runtime"),
                 lambda: ["C /img", "C /img/d", "A /img/d/new"], 2, "diff")
    d = env.podman.start()
    d.control.ask("op creat")
    env.same(d)
    d.remove()
    check("A /img/d/new" in env.agent.diff(d.id), "the list went with the container")
    eventually(lambda: not env.agent.find(d.id), 10, "ps without -a forgets it")


@suite.test
def random_sequences(env):
    c = env.podman.start()
    for seed in range(6):
        c.control.ask(f"random {seed} 300 2")
        env.same(c)


@suite.test
def what_fuse_overlayfs_writes_is_the_layer_of_its_container(env):
    program = "/usr/bin/fuse-overlayfs"
    if not os.path.exists(program):
        raise Skip("no fuse-overlayfs")
    podman = Podman(env.suite, name="fuse", mount_program=program)
    c = podman.start()
    with open(f"/proc/{c.inspect()['State']['Pid']}/mountinfo", encoding="utf-8") as f:
        check("fuse.fuse-overlayfs" in f.readline(), "its root is no fuse-overlayfs")
    env.same(c, timeout=5)  # before it is known, what the daemon writes is the host's
    calls, written = c.control.load("write", "/img/written", 100)
    check(calls == 100, "the workload wrote something else")
    c.control.ask("op unlink_image")
    env.same(c, timeout=5)
    # The daemon writes it, in calls of its own.
    check_equal(env.agent.metrics().of(c.id, "driftwatch_container_written_bytes_total",
                                       target="layer"), written, "bytes of the layer")


suite.main(Environment)
