#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""runc alone, with a root overlay that was mounted by hand."""

import os

from driftlib import process, truth
from driftlib.agent import Agent
from driftlib.runc import Runc
from driftlib.suite import Failure, Suite, check, check_equal, equal_within, eventually

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


# Not those that end as they began but for a time that nobody can set: without an image to
# compare with, whatever was touched is listed.
PLAIN = """write ftruncate creat_write creat_unlink mkdir_rmdir mmap_store unlink_image unlink_recreate
 chmod chown rename rename_over file_to_dir otmpfile_link uring_write_sqpoll punch""".split()


@suite.test
def a_plain_directory_is_compared_with_what_it_was_when_the_container_was_made(env):
    wrong = []
    for op in PLAIN:
        c = env.runc.start(f"{env.unique}{op}", plain=True)
        root, before = f"{c.directory}/rootfs", f"{c.directory}/before"
        process.checked(["cp", "-a", root, before])
        eventually(lambda c=c: env.agent.find(c.id), 5, "ps lists it")
        mounted = set(env.agent.diff(c.id))
        c.control.try_(f"op {op}")
        try:
            equal_within(lambda c=c, m=mounted: sorted(set(env.agent.diff(c.id)) - m),
                         lambda r=root, b=before: sorted(
                             truth.compare(truth.MountedView(b), truth.MountedView(r))), 1, op)
        except Failure as e:
            wrong.append(str(e))
        check("plain directory" in env.agent.find(c.id)["limits"], "not marked")
        c.stop()
    check(not wrong, f"{len(wrong)} operations differ: {wrong[:3]}")


@suite.test
def writes_into_a_plain_directory_count_as_the_layers(env):
    c = env.runc.start(env.unique + "plainbytes", plain=True)
    eventually(lambda: env.agent.find(c.id), 5, "ps lists it")
    calls, written = c.control.load("write", "/img/plain", 20)
    files = env.agent.files(c.id)["files"]
    entry = next(f for f in files if f["path"] == "/img/plain")
    check_equal((entry["write_calls"], entry["written_bytes"]), (calls, written), "calls, bytes")
    check_equal(entry["first_writer"]["comm"], "ops", "writer")
    done = env.agent.client("verify", c.id)
    check_equal((done.returncode, done.stdout.decode()),
                (1, f"{c.id}: unknown: there is no image to compare it with\n"), "verify")


suite.main(Environment)
