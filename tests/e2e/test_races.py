#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3600
"""What is hardest to follow, provoked over and over; compared at every docker pause.

Directories that change places during a re-read, capabilities of files that are already
in the layer, names and inodes that become something else, one directory of 20,000 names
under constant change, paths that docker diff cannot read, containers that live no longer
than their first writes. By default a minute; DRIFTWATCH_TEST_FULL=1 takes 20 of them
and repeats the races on xfs.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from driftlib import loop, truth
from driftlib.agent import Agent
from driftlib.docker import Docker, path_of
from driftlib.suite import FULL, Failure, Skip, Suite, check, check_equal, equal_within, eventually

SEED = int(os.environ.get("DRIFTWATCH_TEST_SEED", random.randrange(1 << 30)))
ROUNDS = 400 if FULL else 8
FOREVER = 1000000000
NAMES = 20000
CHANGES = 4000
WITHIN = 1.0

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        print(f"# seed {SEED}", flush=True)
        self.suite = s
        self.dockers = {"ext4": Docker(s)}
        self.docker = self.dockers["ext4"]
        self.docker.ops_image()
        self.docker.ops_image(3)
        self.agent = Agent(s)

    def on(self, fs):
        if fs not in self.dockers:
            directory = loop.mount(self.suite, fs, 500)
            self.dockers[fs] = Docker(self.suite, data_root=f"{directory}/docker", name=f"d-{fs}",
                                      options=["--storage-driver", "overlay2"])
        return self.dockers[fs]

    def same(self, container, what="diff", expected=None, within=WITHIN):
        equal_within(lambda: self.agent.diff(container.id), expected or container.diff, within,
                     what, self.agent.kept_waiting)


def docker_diff(container):
    return container.diff()


def race(env, kind, fs="ext4", expected=docker_diff, fill=0, rounds=ROUNDS):
    container = env.on(fs).run(layers=3)
    if fill:
        container.control.ask(f"race fill 0 {fill}")
    container.control.ask(f"start race {kind} {SEED} {FOREVER}")
    truths = set()
    for number in range(rounds):
        container.pause()
        answer = expected(container)
        env.same(container, f"{kind}, pause {number}", lambda a=answer: a)
        container.unpause()
        truths.add("\n".join(answer))
    wanted = min(rounds / 2, 40)  # some races know no more than a hundred
    check(len(truths) > wanted, f"only {len(truths)} different lists in {rounds} pauses")
    container.kill()
    env.same(container, "after its end", lambda: expected(container))
    check(env.agent.files(container.id)["complete"], "not complete")
    container.remove()


@suite.test
def directories_that_change_places_while_they_are_read(env):
    race(env, "renames")


@suite.test
def capabilities_of_files_already_in_the_layer(env):
    race(env, "capabilities")


@suite.test
def names_and_inodes_that_become_something_else(env):
    race(env, "reuse")


def layer_truth(container):
    """The layer itself: docker diff fails on such paths, and a killed one has no process."""
    data = container.driver_data()
    return truth.diff(data["UpperDir"], data["LowerDir"].split(":"))


@suite.test
def paths_beyond_what_a_call_takes(env):
    race(env, "deep", expected=layer_truth)


if FULL:
    @suite.test
    def directories_that_change_places_on_xfs(env):
        race(env, "renames", "xfs")

    @suite.test
    def capabilities_of_files_on_xfs(env):
        race(env, "capabilities", "xfs")

    @suite.test
    def names_and_inodes_on_xfs(env):
        race(env, "reuse", "xfs")


    @suite.test
    def one_directory_of_very_many_names_that_never_rests(env):
        race(env, "crowd", fill=NAMES, rounds=60)

    @suite.test
    def twenty_thousand_paths_that_become_dirty_at_once(env):
        """Exact within a second and 100 us for each beyond 10,000, and marked until then."""
        container = env.docker.run(layers=3)
        directory = container.driver_data()["MergedDir"] + "/img/ed"
        for n in range(NAMES):
            os.mkdir(f"{directory}/{n}")
        env.same(container, within=10)
        before = container.diff()
        os.kill(env.agent.daemon.pid, signal.SIGSTOP)  # or it follows as they come
        for n in range(NAMES):
            with open(f"{directory}/{n}/new", "wb"):
                pass
        before_cpu, since = env.agent.cpu_times(), time.monotonic()
        os.kill(env.agent.daemon.pid, signal.SIGCONT)
        wanted = sorted(before + [f"A /img/ed/{n}/new" for n in range(NAMES)])
        took = until_exact(env.agent, container, since)
        ran, kept_waiting = (b - a for a, b in zip(before_cpu, env.agent.cpu_times()))
        print(f"# {NAMES} dirty directories: exact after {took:.2f} s, {ran:.2f} s of CPU and "
              f"{kept_waiting:.2f} s of waiting for it", flush=True)
        env.same(container, expected=lambda: sorted(wanted, key=path_of))
        check_equal(sorted(container.diff()), wanted, "docker diff")
        limit = WITHIN + (NAMES - 10000) * 100e-6
        took -= kept_waiting
        check(took < limit, f"{took:.2f} s until it was exact, not {limit} s")
        container.remove()


def until_exact(agent, container, since):
    """Seconds from SINCE until all that is there is counted; until then it is marked."""
    while time.monotonic() < since + 60:
        asked = time.monotonic() - since
        row = agent.find(container.id)
        if row["drift"]["added"] == 2 * NAMES:
            return time.monotonic() - since
        check(asked < WITHIN or not row["complete"],
              f"after {asked:.2f} s {row['drift']} is said to be all")
        time.sleep(0.05)
    raise Failure("not all is counted after a minute")


class CallCounter:
    """strace of the agent: how often it lists a layer's directories and looks at its files."""

    def __init__(self, agent, directory):
        if not shutil.which("strace"):
            raise Skip("no strace")
        self.path = os.path.join(directory, "strace")
        self.process = subprocess.Popen(
            ["strace", "-f", "-y", "-s", "4096", "-e", "trace=getdents64,newfstatat,statx",
             "-o", self.path, "-p", str(agent.daemon.pid)], stderr=subprocess.PIPE)
        self.process.stderr.readline()  # it says when it is attached

    def stop(self, upper):
        """(lists, looks) of what lies in the directory upper."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        with open(self.path, encoding="utf-8", errors="replace") as f:
            lines = [line for line in f if f"<{upper}" in line]
        lists = sum("getdents64(" in line for line in lines)
        return lists, len(lines) - lists


@suite.test
def one_directory_of_very_many_names_is_not_read_for_every_change(env):
    container = env.docker.run()
    container.control.ask(f"race fill 0 {NAMES}")
    env.same(container, within=WITHIN + NAMES * 100e-6)
    counter = CallCounter(env.agent, env.suite.tmp)
    container.control.ask(f"race crowd {SEED} {CHANGES}")
    env.same(container, within=30)  # strace takes its time
    lists, looks = counter.stop(container.driver_data()["UpperDir"])
    print(f"# {CHANGES} changes, {NAMES} names: {lists} lists, {looks} looks", flush=True)
    check(lists and looks, "nothing was counted")
    # A reading takes twenty calls or more. One for each change would be 80,000.
    check(lists < CHANGES / 2, f"{lists} getdents for {CHANGES} changes")
    check(looks < 3 * CHANGES, f"{looks} stats for {CHANGES} changes")


@suite.test
def containers_that_live_no_longer_than_their_writes(env):
    def live(number):
        container = env.docker.run(["/bin/ops", "random", str(SEED + number), "60", "2"])
        container.wait()
        return container

    wrong = []
    with ThreadPoolExecutor(2) as pool:
        for container in pool.map(live, range(600 if FULL else 16)):
            if env.agent.diff(container.id) != container.diff():
                wrong.append(container.id[:12])
            container.remove()
    check(not wrong, f"{len(wrong)} lists are wrong, such as {wrong[:3]}")


@suite.test
def killed_in_the_middle_of_its_changes(env):
    for number in range(100 if FULL else 6):
        container = env.docker.run(layers=1 + 2 * (number % 2))
        container.control.ask(f"start random {SEED + number} {FOREVER} 3")
        eventually(lambda c=container: env.agent.diff(c.id), 30, "it changes something")
        container.kill()
        container.wait()
        env.same(container, f"kill {number}")
        container.start()
        container.control.ask(f"random {SEED - number} 50 1")
        env.same(container, f"life after kill {number}")
        container.remove()


@suite.test
def removed_in_the_middle_of_its_changes(env):
    """What a removed container's list says at the last does not change while docker deletes."""
    for number in range(100 if FULL else 4):
        container = env.docker.run()
        container.control.ask(f"random {SEED + number} 200 2")
        env.same(container)
        container.pause()
        last = container.diff()
        container.unpause()
        container.remove()
        equal_within(lambda c=container: env.agent.diff(c.id), lambda: last, WITHIN,
                     f"removal {number}")


@suite.test
def removed_with_their_end(env):
    """As with docker run --rm: nobody asks between the last write and the removal."""
    def run(count, **host):
        script = f"i=0; while [ $i -lt {count} ]; do echo > /f$i; i=$((i+1)); done"
        return env.docker.run(["/bin/busybox", "sh", "-c", script], host=host)

    for count in 1, 50, 1000:
        kept = run(count)
        kept.wait()
        expected = kept.diff()
        check_equal(len(expected), count, "files")
        kept.remove()
        for number in range(20 if FULL else 3):
            container = run(count, AutoRemove=True)
            eventually(lambda c=container: not c.exists(), 30, "it is removed")
            env.docker.containers.remove(container)
            equal_within(lambda c=container: env.agent.diff(c.id), lambda: expected, WITHIN,
                         f"{count} files, removal {number}")


@suite.test
def no_verification_found_a_mismatch(env):
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_ledger_mismatch_total"), 0, "mismatches")


suite.main(Environment)
