#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""containerd's own containers, made by ctr, from a containerd with its own directories."""

import subprocess

from driftlib import truth
from driftlib.agent import Agent
from driftlib.containerd import Containerd
from driftlib.suite import Suite, check, check_equal, equal_within

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.containerd = Containerd(s)
        self.containerd.load()
        self.early = self.start("early")
        self.early.control.ask("op rmtree_recreate")
        self.agent = Agent(s)

    def start(self, name, *command):
        container = self.containerd.start(name, *command)
        container.layers = layers_of_snapshot(self.containerd, name)
        return container

    def same(self, container, timeout=1):
        equal_within(lambda: self.agent.diff(container.id),
                     lambda: truth.diff(*container.layers), timeout, "diff")


def layers_of_snapshot(containerd, name):
    """(upper, lowers) from the mount command that ctr prints."""
    mount = subprocess.run(["ctr", "-a", containerd.address, "snapshots", "mounts", "/x", name],
                           capture_output=True, check=True, text=True).stdout.split()
    options = dict(o.split("=", 1) for o in mount[mount.index("-o") + 1].split(",") if "=" in o)
    return options["upperdir"], options["lowerdir"].split(":")


@suite.test
def a_container_older_than_the_agent(env):
    env.same(env.early)
    env.early.control.ask("op creat")
    env.same(env.early)


@suite.test
def a_container_started_after_the_agent(env):
    c = env.start("later")
    c.control.ask("op file_to_dir")
    env.same(c)
    entry = env.agent.find("later")
    check(entry, "ps does not list it by its id")
    check_equal(entry["runtime"], "containerd", "runtime")


@suite.test
def a_first_act_write_is_exact(env):
    c = env.start("first", "/bin/ops", "op", "creat_write")
    c.ended()
    env.same(c)
    check_equal(env.agent.diff("first", "--no-runtime"),
                ["C /img", "C /img/d", "A /img/d/new"], "diff")
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_container_written_bytes_total", container_id="first",
                        target="layer"), 100, "bytes")


@suite.test
def exec_restart_and_removal(env):
    c = env.start("lives")
    c.exec("/bin/ops", "op", "creat")
    env.same(c)
    c.stop()
    env.same(c)
    c.restart()
    c.control.ask("op creat_root")
    env.same(c)
    last = env.agent.diff("lives")
    c.remove()
    check_equal(env.agent.diff("lives"), last, "diff after the removal")


@suite.test
def random_sequences(env):
    c = env.start("random")
    for seed in range(6):
        c.control.ask(f"random {seed} 300 2")
        env.same(c)


suite.main(Environment)
