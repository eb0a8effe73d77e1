#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Bytes and calls, in metrics and per file, are the sums of what the kernel answered.

Two agents watch the same containers: one with the file-system tier, one with the
system-call tier. A call counts when it returned more than 0.
"""

import os

from driftlib.agent import Agent
from driftlib.docker import Docker
from driftlib.suite import Suite, check, check_equal, equal_within

TIERS = ("fs", "syscall")

# (workload, repetitions); the file-system tier cannot tell apart the calls of these:
LOADS = [("write", 3000), ("tiny", 5000), ("pages", 500), ("vector", 300), ("unfaulted", 5),
         ("half", 20), ("from_map", 10), ("direct", 50), ("limit", 50), ("writers", 1000),
         ("sendfile", 50), ("splice", 50), ("range", 50), ("aio", 50), ("uring", 50)]
CALLS_ARE_A_FLOOR = {"fs": {"splice", "aio"}, "syscall": set()}

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        self.agents = {tier: Agent(s, "--tier", tier, name=f"agent-{tier}") for tier in TIERS}

    def sees(self, tier, what):
        return self.agents[tier].metrics().value("driftwatch_tier_sees", what=what) == 1

    def totals(self, tier, container, target="layer"):
        m = self.agents[tier].metrics()
        return tuple(m.of(container.id, f"driftwatch_container_{name}_total", target=target)
                     for name in ("write_calls", "written_bytes"))


@suite.test
def the_self_test_at_start_passed_and_left_nothing(env):
    for tier in TIERS:
        scrape = env.agents[tier].metrics()
        check_equal(scrape.value("driftwatch_self_test", result="passed"), 1, tier)
        check_equal(scrape.value("driftwatch_self_test", result="failed"), 0, tier)
        left = [name for name in os.listdir(env.agents[tier].state_dir) if "self-test" in name]
        check_equal(left, [], f"{tier}: in the state directory")


def check_calls(tier, kind, got, truth, what):
    if kind in CALLS_ARE_A_FLOOR[tier]:
        check(got <= truth, f"{what}: {got} calls, more than {truth}")
    else:
        check_equal(got, truth, f"{what}: calls")


def check_load(env, tier, kind, count):
    container = env.docker.run()
    path = f"/img/{kind}"
    calls, written = container.control.load(kind, path, count)
    check(calls > 0 and written > 0, "the workload wrote nothing")
    got = env.totals(tier, container)
    check_equal(got[1], written, "bytes of the container")
    check_calls(tier, kind, got[0], calls, "container")
    entry = env.agents[tier].file(container.id, path)
    check_equal(entry["written_bytes"], written, "bytes of the file")
    check_calls(tier, kind, entry["write_calls"], calls, "file")
    stat = os.stat(container.driver_data()["UpperDir"] + path)
    check_equal(entry["size"], stat.st_size, "size of the file")
    container.remove()


def add(tier, kind, count):
    def test(env):
        check_load(env, tier, kind, count)

    test.__name__ = f"{tier}_{kind}"
    suite.test(test)


for one_tier in TIERS:
    for one_kind, repetitions in LOADS:
        add(one_tier, one_kind, repetitions)


@suite.test
def appending_to_an_image_file_charges_one_byte_and_reports_the_copy_up_apart(env):
    container = env.docker.run()
    size = os.stat(container.driver_data()["MergedDir"] + "/bin/busybox").st_size
    check_equal(container.control.load("tiny", "/bin/busybox", 1), (1, 1), "the workload")
    for tier in TIERS:
        check_equal(env.totals(tier, container), (1, 1), f"{tier}: calls and bytes")
        copied = env.agents[tier].metrics().of(
            container.id, "driftwatch_container_copied_up_bytes_total")
        if env.sees(tier, "copy_up_bytes"):
            check_equal(copied, size, f"{tier}: copied up bytes")
        else:
            check(copied is None, f"{tier}: a counter that the tier cannot see is there")


@suite.test
def nothing_written_is_nothing_counted(env):
    container = env.docker.run()
    for op in ("read", "failed", "write0", "open_rdwr_nowrite", "chmod", "mkdir"):
        container.control.ask(f"op {op}")
    for tier in TIERS:
        check_equal(env.totals(tier, container), (0, 0), f"{tier}: calls and bytes")


@suite.test
def volumes_and_tmpfs_are_counted_by_target_where_the_tier_sees_them(env):
    container = env.docker.run()
    truth = {"volume": container.control.load("write", "/vol/file", 500),
             "tmpfs": container.control.load("write", "/dev/shm/file", 300)}
    for tier in TIERS:
        check_equal(env.totals(tier, container), (0, 0), f"{tier}: layer")
        for target, expected in truth.items():
            if env.sees(tier, f"{target}_writes"):
                check_equal(env.totals(tier, container, target), expected, f"{tier}: {target}")
            else:
                check_equal(env.totals(tier, container, target), (None, None),
                            f"{tier}: {target}, which it cannot see")
    check(env.sees("syscall", "tmpfs_writes"), "the syscall tier should see tmpfs")


@suite.test
def every_counter_is_there_at_zero_from_the_start(env):
    container = env.docker.run(["/bin/sleep", "100"])
    for tier in TIERS:
        check_equal(env.totals(tier, container), (0, 0), f"{tier}: calls and bytes")
        m = env.agents[tier].metrics()
        for name in ("new_executable_runs_total", "events_lost_total", "file_events_total"):
            found = m.find(f"driftwatch_container_{name}", container_id=container.id[:12])
            check(found, f"{tier}: no {name}")


@suite.test
def runs_of_executables_of_the_layer_are_counted(env):
    container = env.docker.run()
    container.control.ask("sh cp /bin/busybox /img/true && /img/true && /img/true && /bin/true")
    for agent in env.agents.values():
        equal_within(lambda a=agent: a.metrics().of(
            container.id, "driftwatch_container_new_executable_runs_total"), lambda: 2, 1, "runs")


suite.main(Environment)
