#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 1800
"""Many files, many containers: what is bounded says what it lacks, nothing else waits.

The containers are those of driftlib.fleet, the truth is what the test itself wrote.
"""

import os
import re
import subprocess
import time

from driftlib import loop, process
from driftlib.agent import Agent
from driftlib.fleet import Fleet
from driftlib.suite import FULL, Suite, check, check_equal, equal_within, eventually

MAP_BYTES = 64 * 10**6  # of all maps, with 1,000 containers
PROGRESS = re.compile(r"(\d+) entries listed")
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
        options = ["-O", "^has_journal", "-N", "600000" if FULL else "80000"]
        # Of its own: others' fsync must not count.
        self.directory = loop.mount(s, "ext4", 1024, options=options)
        self.fleet = Fleet(os.path.join(self.directory, "fleet"))
        s.defer(lambda: self.fleet.close())  # the one of then

    def begin_anew(self):
        """None of the containers of earlier tests is there any more."""
        self.fleet.close()
        self.fleet = Fleet(os.path.join(self.directory, "anew"))

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
    write_files(late, [f"f{i}" for i in range(250)])
    equal_within(lambda: drift(agent, late)[0], lambda: 250, 3)
    unlisted = int(drift(agent, late)[1])
    check(unlisted > 100, f"{unlisted} of 250 are not listed, of 300 in room for 200")
    equal_within(lambda: drift(agent, full), lambda: (50, 0), 1)
    check_equal(check_lacks(agent, late, unlisted), 250 - unlisted, "listed")
    m = agent.metrics()
    check(m.value("driftwatch_ledger_entries") >= 200, "room was left")
    check_equal(m.value("driftwatch_ledger_capacity"), 200, "capacity")
    agent.stop()


@suite.test
def a_scrape_answers_and_tells_progress_while_a_large_layer_is_read(env):
    (c,) = env.fleet.add()
    count = 400000 if FULL else 40000
    for i in range(count):
        if i % 1000 == 0:
            os.mkdir(f"{c.merged}/d{i // 1000}")
        os.mknod(f"{c.merged}/d{i // 1000}/f{i}")
    agent = Agent(env.suite, "--no-pin", "--max-files=1000000", "--max-files-total=1000000",
                  env.fleet.runtime_root(), name="large", start=False)
    agent.launch()
    slow_down(env, agent)
    eventually(lambda: answers(agent), 30, "the agent answers")
    seen = []
    while (progress := entries_listed(agent)) is not None:
        healthy, m, row = agent.get("/healthz")[0], agent.metrics(), agent.find(c.id)
        if row["complete"] or entries_listed(agent) is None:
            break  # it became ready in between; that it was not before, .seen tells
        seen.append(progress)
        check_equal(healthy, 200, "healthz while reading")
        check_equal(m.of(c.id, "driftwatch_container_complete"), 0, "complete while reading")
        check_equal((row["complete"], "reading" in row["incomplete_reasons"]), (False, True), "ps")
    check(seen and seen == sorted(seen) and seen[0] < count,
          f"entries while reading: {seen}")
    check_equal(drift(agent, c), (count + count // 1000, 0), "then")
    agent.stop()


def only_in_full(test):
    """test_tree_bounds.c has the short form."""
    return suite.test(test) if FULL else test


@only_in_full
def more_changes_than_can_be_verified_at_once_are_marked_until_they_are(env):
    """On a machine that needs a while for each look: marked, then exact, without a rescan."""
    (c,) = env.fleet.add()
    count = 20000
    for i in range(count):
        os.mkdir(f"{c.merged}/d{i}")  # of added files not all are watched
    agent = env.agent(name="dirty")
    equal_within(lambda: drift(agent, c), lambda: (count, 0), 20)
    slow_down(env, agent, "statx", 200)
    for i in range(count):
        os.chmod(f"{c.merged}/d{i}", 0o700)
    eventually(lambda: not agent.find(c.id)["complete"], 20, "marked")
    eventually(lambda: agent.find(c.id)["complete"], 120, "healed")
    check_equal({f["mode"] for f in agent.files(c.id)["files"]}, {"0700"}, "modes")
    rescans = [line for line in agent.get("/metrics")[2].decode().splitlines()
               if line.startswith("driftwatch_ledger_rescans_total{") and not line.endswith(" 0")]
    check_equal(rescans, [], "all of it was read again")
    agent.stop()


@suite.test
def many_containers_are_exact_and_at_rest_open_nothing(env):
    many = 1000 if FULL else 60
    env.begin_anew()
    env.fleet.add(many)
    start = time.monotonic()
    agent = env.agent(name="many")
    print(f"# {many} containers: ready after {time.monotonic() - start:.2f} s, "
          f"{agent.cpu_times()[0]:.2f} s of CPU, {takes(agent)}", flush=True)
    check_equal(added(env, agent), {c.id: 0 for c in env.fleet.members}, "added before")
    if FULL:
        print(f"# at rest: {share_of_cpu(agent, 60):.3f} % of a CPU, {takes(agent)}", flush=True)
    for c in env.fleet.members:
        write_files(c, ["late"])
    equal_within(lambda: added(env, agent), lambda: {c.id: 1 for c in env.fleet.members}, 1,
                 "added", agent.kept_waiting)
    print(f"# each with a new file: {takes(agent)}", flush=True)
    check(agent.metrics().value("driftwatch_map_memory_bytes") <= MAP_BYTES, "maps are too large")
    # Not while processes are young (they may yet exec), nor in one of the rare full looks.
    eventually(lambda: count_theirs(env, opened(agent, 2)) < many, 30,
               f"fewer than {many} files of {many} containers at rest are opened in 2 s")
    agent.stop()


def added(env, agent):
    """{container: added files} of the fleet."""
    ours = {c.id for c in env.fleet.members}
    return {row["id"]: row["drift"]["added"] for row in agent.ps() if row["id"] in ours}


def takes(agent):
    """What it takes of memory, its own and the kernel's."""
    m = agent.metrics()
    own, maps = (m.value(f"{name}_memory_bytes") / 2**20
                 for name in ("process_resident", "driftwatch_map"))
    return f"{own:.1f} MiB of its own, {maps:.1f} MiB of maps"


def share_of_cpu(agent, seconds):
    """Percent, of one."""
    before = agent.cpu_times()[0]
    time.sleep(seconds)  # that long is what is measured
    return (agent.cpu_times()[0] - before) / seconds * 100


def slow_down(env, agent, call="getdents64", microseconds=20000):
    """Each directory takes the agent a while to read, as on a cold disk."""
    slow = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
         f"inject={call}:delay_enter={microseconds}", "-p", str(agent.daemon.pid)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env.suite.defer(slow.wait)
    env.suite.defer(slow.terminate)


def entries_listed(agent):
    """What /readyz says of the first scans; None when they are over."""
    status, _, body = agent.get("/readyz")
    return int(PROGRESS.search(body.decode()).group(1)) if status == 503 else None


def answers(agent):
    try:
        return agent.get("/healthz")
    except OSError:
        return None


def opened(agent, seconds):
    """Lines about the files that the agent opens in so many of its periods."""
    log = os.path.join(agent.dir, "opened")
    process.run(["timeout", str(seconds), "strace", "-f", "-qq", "-e", "trace=openat,openat2",
                 "-o", log, "-p", str(agent.daemon.pid)])
    with open(log, encoding="utf-8", errors="replace") as f:
        return f.readlines()


def count_theirs(env, lines):
    """How many are of our containers' processes and cgroups."""
    names = [f'"/proc/{c.pid}/' for c in env.fleet.members] + [env.fleet.cgroup]
    return sum(any(name in line for name in names) for line in lines)


if __name__ == "__main__":
    suite.main(Environment)
