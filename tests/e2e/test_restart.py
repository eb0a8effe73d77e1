#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
"""The agent is killed and started again while containers write: nothing is lost.

Pinned programs go on counting in the gap; the list is healed by what they marked.
"""

import os
import random
import signal
import time

from driftlib import process
from driftlib.agent import PROGRAM, Agent
from driftlib.docker import Docker
from driftlib.suite import FULL, Failure, Suite, check, check_equal, equal_within, eventually

PINS = f"/sys/fs/bpf/dw-test-{os.getpid()}"
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        self.agent = Agent(s, "--pin-dir", PINS)
        s.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", PINS])

    def same(self, container, timeout=2):
        equal_within(lambda: self.agent.diff(container.id), container.diff, timeout, "diff")

    def totals(self, container):
        return layer_totals(self.agent, container)


def layer_totals(agent, container):
    m = agent.metrics()
    return tuple(m.of(container.id, f"driftwatch_container_{name}_total", target="layer")
                 for name in ("write_calls", "written_bytes"))


def first_shown(agent, container):
    """Totals as the first scrape shows them that shows any."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found = layer_totals(agent, container)
            if None not in found:
                return found
        except OSError:  # it does not listen yet
            time.sleep(0.001)
    raise Failure("no totals are shown")


def parse(answer):
    check(answer.startswith("OK"), answer)
    return tuple(int(word) for word in answer.split()[1:])


@suite.test
def killed_under_load_and_restarted_totals_and_list_are_exact(env):
    loaded, random = env.docker.run(), env.docker.run()
    env.same(loaded)
    loaded.control.send("load tiny /img/load 1500000")
    random.control.send("random 42 3000 2")
    eventually(lambda: (env.totals(loaded)[0] or 0) > 1000, 10, "the load is counted")
    env.agent.kill()
    born = env.docker.run()
    born.control.ask("op creat_write")
    many = born.driver_data()["MergedDir"] + "/img/ed"
    for i in range(5000):  # it takes a while to read
        os.mknod(f"{many}/{i}")
    short = env.docker.run(["/bin/ops", "op", "creat_write"])
    short.wait()
    env.agent.launch()
    check_equal(first_shown(env.agent, born), (1, 100), "first totals of one born in the gap")
    eventually(env.agent.ready, 60, "the agent is ready")
    truth = parse(loaded.control.answer())
    random.control.answer()
    for c in (loaded, random, born, short):
        env.same(c, 5)
    check_equal(env.totals(loaded), truth, "totals over the gap")
    # What ended in the gap took its super block along: its list is exact, its counters are not.
    for c in (loaded, random, born, short):
        check(env.agent.files(c.id)["complete"], "not complete")


@suite.test
def kills_at_random_moments_lose_nothing_and_totals_never_fall(env):
    c, seed = env.docker.run(), random.randrange(1 << 30)
    env.same(c)
    c.control.send(f"load tiny /img/load {30000000 if FULL else 4000000}")
    dice, before = random.Random(seed), (0, 0)
    for kill in range(20 if FULL else 3):
        time.sleep(dice.random() * 0.5)  # the moment is what is tried
        env.agent.kill()
        env.agent.start()
        now = env.totals(c)
        check(now >= before, f"seed {seed}, kill {kill}: totals fell from {before} to {now}")
        before = now
    truth = parse(c.control.answer(timeout=900))  # it is for the kills, and shares with others
    check(before <= truth, f"seed {seed}: totals {before} ran ahead of {truth}")
    c.control.ask("op rmtree_recreate")
    env.same(c, 5)
    check_equal(env.totals(c), truth, f"seed {seed}: totals")


@suite.test
def what_was_counted_for_nobody_stays_counted_after_two_kills(env):
    pins = PINS + "-calls"
    agent = Agent(env.suite, "--tier", "syscall", "--pin-dir", pins, name="calls")
    env.suite.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    agent.kill()
    born = env.docker.run()
    truth = born.control.load("tiny", "/img/born", 500)
    for _ in range(2):
        agent.start()
        equal_within(lambda: layer_totals(agent, born), lambda: truth, 3,
                     "totals of a container born in the gap")
        agent.kill()
    born.remove()
    agent.start()
    check(agent.find(born.id) is None, "a container removed in the gap is listed")
    check_equal(agent.stop(), 0, "exit")


@suite.test
def a_writer_in_the_gap_is_named(env):
    c = env.docker.run()
    c.control.ask("sh mkdir -m 777 /img/open")
    env.same(c)
    env.agent.kill()
    c.control.ask("op creat_write")
    check_equal(c.exec("/bin/sh", "-c", "echo $$ > /img/open/who", user="1234:99"), 0, "exec")
    env.agent.start()
    writer = env.agent.file(c.id, "/img/d/new")["first_writer"]
    check_equal((writer["comm"], writer["executable"], writer["uid"]), ("ops", "/bin/ops", 0),
                "writer")
    check(writer["pid"] > 0, "no pid")
    writer = env.agent.file(c.id, "/img/open/who")["first_writer"]
    check_equal((writer["comm"], writer["executable"], writer["uid"], writer["pid"],
                 str(writer["vpid"])),
                ("sh", "/bin/busybox", 1234, c.exec_pid,
                 read(f"{upper_of(c)}/img/open/who").strip()), "writer by exec")


@suite.test
def sigterm_detaches_and_unpins(env):
    check(os.path.isdir(PINS) and os.listdir(PINS), "nothing was pinned")
    check_equal(env.agent.stop(), 0, "exit")
    check(not os.path.exists(PINS), f"{PINS} is still there")
    env.agent.start()


@suite.test
def a_stop_and_start_keeps_the_list_exact(env):
    c = env.docker.run()
    c.control.ask("random 9 400 2")
    check_equal(env.agent.stop(), 0, "exit")
    c.control.ask("random 10 400 2")
    env.agent.start()
    env.same(c)


FILL_RING = "i=0; while [ $i -lt 200 ]; do : > /img/ed/f$i; i=$((i+1)); done"


def once(agent, container):
    """What must not be told twice: losses of the ring, runs of new executables; the bytes."""
    m = agent.metrics()
    return (m.of(container.id, "driftwatch_container_events_lost_total", reason="ring_full"),
            m.of(container.id, "driftwatch_container_new_executable_runs_total"),
            layer_totals(agent, container)[1])


@suite.test
def keep_pins_counts_through_an_upgrade_and_unpin_cleans_up(env):
    pins = PINS + "-kept"
    agent = Agent(env.suite, "--pin-dir", pins, "--keep-pins", "--ring-bytes", "4096",
                  name="keeper")
    c = env.docker.run()
    equal_within(lambda: agent.diff(c.id), c.diff, 10, "diff")
    os.kill(agent.daemon.pid, signal.SIGSTOP)
    c.control.ask(f"sh cp /bin/busybox /img/true && /img/true && /img/true && {FILL_RING}")
    os.kill(agent.daemon.pid, signal.SIGCONT)
    eventually(lambda: agent.files(c.id)["complete"] and once(agent, c)[0], 15, "lost, and healed")
    before = once(agent, c)
    check_equal(before[1], 2, "runs of a new executable")
    check_equal(agent.stop(), 0, "exit")
    check(os.path.isdir(pins), "the pins went")
    c.control.ask("op creat_write")
    agent.start()
    check_equal(layer_totals(agent, c)[1] - before[2], 100, "bytes written while no agent ran")
    check_equal(once(agent, c)[:2], before[:2], "what was lost, and runs")
    check_equal(gaps(agent, c), 0, "gaps declared")
    agent.stop()
    done = process.run([PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    check_equal(done.returncode, 0, f"exit of --unpin ({done.stderr.decode()[:200]})")
    check(not os.path.exists(pins), f"{pins} is still there")


@suite.test
def a_flush_that_was_lost_with_the_agent_is_marked_and_totals_are_exact(env):
    pins = PINS + "-flush"
    agent = Agent(env.suite, "--pin-dir", pins, "--keep-pins", "--max-counted", "64", name="flush")
    env.suite.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    c = env.docker.run()
    equal_within(lambda: agent.diff(c.id), c.diff, 10, "diff")
    check_equal(agent.stop(), 0, "exit")
    ledger = os.path.join(agent.state_dir, "ledger.ndjson")
    before = read(ledger)
    agent.start()
    c.control.ask("sh i=0; while [ $i -lt 200 ]; do echo x > /img/ed/f$i; i=$((i+1)); done")
    eventually(lambda: read(ledger) != before, 20, "what was moved out of the full table is saved")
    agent.kill()
    with open(ledger, "w", encoding="ascii") as f:
        f.write(before)  # as if it had been killed before that
    agent.start()
    check_equal(gaps(agent, c), 1, "gaps declared")
    check_equal(layer_totals(agent, c), (200, 400), "totals")
    equal_within(lambda: agent.diff(c.id), c.diff, 10, "diff")
    counts = [f["write_calls"] for f in agent.files(c.id)["files"]
              if f["path"].startswith("/img/ed/f")]
    check(sum(counts) < 200 and max(counts) <= 1, f"a flush was not lost: {sum(counts)} counted")
    eventually(lambda: agent.files(c.id)["complete"], 10, "complete")
    agent.stop()


@suite.test
def without_pins_the_gap_is_healed_by_a_scan(env):
    agent = Agent(env.suite, "--no-pin", name="unpinned")
    c = env.docker.run()
    c.control.ask("op creat")
    agent.kill()
    c.control.ask("op rmtree_recreate")
    agent.start()
    equal_within(lambda: agent.diff(c.id), c.diff, 2, "diff")
    eventually(lambda: agent.files(c.id)["complete"], 3, "complete after its scan")
    check_equal(gaps(agent, c), 1, "gaps declared")
    done = c.control.load("write", "/img/counted", 40)
    equal_within(lambda: layer_totals(agent, c), lambda: done, 3, "totals")
    check_equal(agent.stop(), 0, "exit")
    agent.start()
    check_equal(gaps(agent, c), 2, "gaps declared")
    check_equal(layer_totals(agent, c), (0, 0), "totals, from now on")
    check_equal(agent.file(c.id, "/img/counted")["write_calls"], 0, "its file's, too")
    check_equal(agent.stop(), 0, "exit")


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def upper_of(container):
    return container.driver_data()["UpperDir"]


def gaps(agent, container):
    return agent.metrics().of(container.id, "driftwatch_container_events_lost_total",
                              reason="gap")


def log_of(agent):
    with open(agent.daemon.log, encoding="utf-8", errors="replace") as f:
        return f.read()


@suite.test
def damaged_state_is_set_aside_and_pins_that_lack_a_program_are_given_up(env):
    pins = PINS + "-damaged"
    agent = Agent(env.suite, "--pin-dir", pins, name="damaged")
    env.suite.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    c = env.docker.run()
    c.control.ask("op creat_write")
    equal_within(lambda: layer_totals(agent, c), lambda: (1, 100), 3, "totals")
    agent.kill()
    for name in ("slots.ndjson", "ledger.ndjson"):
        with open(os.path.join(agent.state_dir, name), "wb") as f:
            f.write(b'{"schema":"driftwatch.slots/0"}\n{"id":')
    agent.start()
    for name in ("slots.ndjson", "ledger.ndjson"):
        check(os.path.exists(os.path.join(agent.state_dir, name + ".bad")), f"{name}.bad")
        check(f"{name}.bad" in log_of(agent), f"the log does not tell of {name}")
    equal_within(lambda: agent.diff(c.id), c.diff, 2, "diff")
    c.control.ask("op append")
    equal_within(lambda: layer_totals(agent, c), lambda: (1, 50), 3, "totals, from now on")
    agent.kill()
    with open(os.path.join(agent.state_dir, "ledger.ndjson"), "wb") as f:
        f.truncate(600 << 20)
    version, = os.listdir(pins)
    os.unlink(f"{pins}/{version}/link_on_mark_inode_dirty")
    c.control.ask("op rmtree_recreate")
    agent.start()
    check("not attached any more" in log_of(agent), "the log does not tell")
    check("too large to be a saved ledger" in log_of(agent), "the log does not tell of its size")
    equal_within(lambda: agent.diff(c.id), c.diff, 2, "diff")
    check_equal(gaps(agent, c), 1, "gaps declared")
    check_equal(agent.stop(), 0, "exit")


@suite.test
def pins_of_another_version_are_refused_with_the_way_out(env):
    pins = PINS + "-other"
    os.makedirs(f"{pins}/abi-1")
    agent = Agent(env.suite, "--pin-dir", pins, name="other", start=False)
    agent.launch()
    check_equal(agent.daemon.process.wait(20), 1, "exit")
    check("--unpin" in log_of(agent), log_of(agent)[-300:])
    done = process.run([PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    check_equal(done.returncode, 0, "exit of --unpin")
    agent.start()
    check_equal(agent.stop(), 0, "exit")


@suite.test
def two_agents_do_not_take_each_others_pins(env):
    one = Agent(env.suite, name="one")
    two = Agent(env.suite, name="two")
    c = env.docker.run()
    c.control.ask("op creat_write")
    equal_within(lambda: one.diff(c.id), c.diff, 2, "the first's diff")
    check_equal(two.stop(), 0, "exit of the second")
    c.control.ask("op append")
    equal_within(lambda: one.diff(c.id), c.diff, 2, "the first's diff after the second ended")
    m = one.metrics()
    check_equal(m.of(c.id, "driftwatch_container_written_bytes_total", target="layer"), 150,
                "the first's bytes")
    one.stop()


suite.main(Environment)
