#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Many files, many containers: what is bounded says what it lacks, nothing else waits.

The containers are those of driftlib.fleet, the truth is what the test itself wrote.
"""

import os

from driftlib.agent import Agent
from driftlib.fleet import Fleet
from driftlib.suite import Suite, check, check_equal, equal_within

suite = Suite(__file__)


def write_files(container, names, directory=""):
    """In the container's root."""
    base = os.path.join(container.merged, directory)
    os.makedirs(base, exist_ok=True)
    for name in names:
        with open(os.path.join(base, name), "w", encoding="ascii") as f:
            f.write("x")


class Environment:
    def __init__(self, s):
        self.suite = s
        self.fleet = Fleet(s.dir("fleet"))
        s.defer(self.fleet.close)

    def agent(self, *options, name):
        return Agent(self.suite, "--no-pin", self.fleet.runtime_root(), *options, name=name)


def drift(agent, container):
    """(added, unlisted) as ps and the metrics have it: both must agree."""
    m = agent.metrics()
    row = agent.find(container.id)
    added = m.of(container.id, "driftwatch_container_drift_files", change="added")
    unlisted = m.of(container.id, "driftwatch_container_unlisted_files")
    check_equal((row["drift"]["added"], row["unlisted"]), (added, unlisted), "ps and metrics")
    return added, unlisted


def check_lacks(agent, container, unlisted):
    """files and diff say so, and list the rest."""
    answer = agent.files(container.id)
    check_equal((answer["complete"], answer["incomplete_reasons"], answer["unlisted"]),
                (False, ["unlisted"], unlisted), "files")
    done = agent.client("files", container.id)
    check(f"{unlisted} added files are counted but not listed" in done.stderr.decode(),
          f"no word of it: {done.stderr.decode()}")
    done = agent.client("diff", container.id)
    check("may lack something" in done.stderr.decode(), f"diff says {done.stderr.decode()}")
    return len(answer["files"])


@suite.test
def past_max_files_counts_are_exact_and_the_list_says_what_it_lacks(env):
    agent = env.agent("--max-files=40", name="few")
    (c,) = env.fleet.add()
    write_files(c, [f"f{i}" for i in range(30)])
    equal_within(lambda: drift(agent, c), lambda: (30, 0), 3)
    write_files(c, [f"g{i}" for i in range(70)])
    equal_within(lambda: drift(agent, c), lambda: (100, 61), 3)  # the root has its place too
    check_equal(check_lacks(agent, c, 61), 39, "listed")
    for i in range(20):
        os.unlink(f"{c.merged}/g{i}")
    equal_within(lambda: drift(agent, c)[0], lambda: 80, 3)
    agent.stop()


@suite.test
def past_max_files_total_the_last_container_lacks_names(env):
    full, late = env.fleet.add(2)
    write_files(full, [f"f{i}" for i in range(50)])
    agent = env.agent("--max-files-total=200", name="total")
    held = int(agent.metrics().value("driftwatch_ledger_entries"))
    room = 200 - held
    write_files(late, [f"f{i}" for i in range(250)])
    equal_within(lambda: drift(agent, late), lambda: (250, 250 - room), 3)
    equal_within(lambda: drift(agent, full), lambda: (50, 0), 1)
    check_equal(check_lacks(agent, late, 250 - room), room, "listed")
    m = agent.metrics()
    check_equal((m.value("driftwatch_ledger_entries"), m.value("driftwatch_ledger_capacity")),
                (200, 200), "metrics")
    agent.stop()


if __name__ == "__main__":
    suite.main(Environment)
