#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""runc alone, with a root overlay that was mounted by hand."""

import os

from driftlib import truth
from driftlib.agent import Agent
from driftlib.runc import Runc
from driftlib.suite import Suite, check, check_equal, equal_within

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.runc = Runc(s)
        self.unique = f"dwrc{os.getpid()}"
        self.early = self.runc.start(self.unique + "early")
        self.early.control.ask("op rmtree_recreate")
        self.agent = Agent(s)

    def same(self, container, timeout=1):
        equal_within(lambda: self.agent.diff(container.id),
                     lambda: truth.diff(container.upper, container.lowers), timeout, "diff")


@suite.test
def a_container_older_than_the_agent(env):
    env.same(env.early)
    env.early.control.ask("op creat")
    env.same(env.early)


@suite.test
def a_container_started_after_the_agent_its_exec_and_restart(env):
    c = env.runc.start(env.unique + "later")
    c.control.ask("op file_to_dir")
    env.same(c)
    check_equal(env.agent.find(c.id)["runtime"], "runc", "runtime")
    c.exec("/bin/ops", "op", "creat_write")
    env.same(c)
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_container_written_bytes_total", container=c.id,
                        container_id=c.id[:12], target="layer"), 100, "bytes")
    c.stop()
    c.start()
    c.control.ask("op creat_root")
    env.same(c)


@suite.test
def removal_keeps_the_list(env):
    c = env.runc.start(env.unique + "gone")
    c.control.ask("op creat_write")
    env.same(c)
    c.stop()
    check("A /img/d/new" in env.agent.diff(c.id), "the list went with the container")


suite.main(Environment)
