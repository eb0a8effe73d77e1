#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3000
"""Random sequences by several processes at once: at every docker pause the lists are equal.

Images of 1, 3 and 120 layers, with whiteouts and opaque directories below. By
default about half a minute; DRIFTWATCH_TEST_FULL=1 takes some twenty.
"""

import os
import random
import time

from driftlib.agent import Agent
from driftlib.docker import Docker
from driftlib.suite import FULL, Failure, Suite, check, check_equal, equal_within

SEED = int(os.environ.get("DRIFTWATCH_TEST_SEED", random.randrange(1 << 30)))
SECONDS = 400 if FULL else 6
WITHIN = 1.0

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        print(f"# seed {SEED}", flush=True)
        self.docker = Docker(s)
        for layers in (1, 3, 120):
            self.docker.ops_image(layers)
        self.agent = Agent(s)


def compare(env, container, what):
    equal_within(lambda: env.agent.diff(container.id), container.diff, WITHIN, what,
                 env.agent.kept_waiting)


def completeness(env, containers):
    m = env.agent.metrics()
    return [m.of(c.id, "driftwatch_container_complete") for c in containers]


def sequences(env, layers):
    """New container after new container, each compared after every sequence."""
    end, seed, compared = time.monotonic() + SECONDS, SEED, 0
    while time.monotonic() < end or compared < 4:
        container = env.docker.run(layers=layers)
        for processes in (1, 2, 4):
            seed += 1
            container.control.ask(f"random {seed} 300 {processes}")
            compare(env, container, f"seed {seed} by {processes} processes, {layers} layers")
            compared += 1
        check(container.diff(), "the sequence changed nothing")
        container.remove()


@suite.test
def sequences_on_one_layer(env):
    sequences(env, 1)


@suite.test
def sequences_on_three_layers(env):
    sequences(env, 3)


@suite.test
def sequences_on_120_layers(env):
    sequences(env, 120)


@suite.test
def several_writers_in_three_containers_compared_while_paused(env):
    containers = [env.docker.run(layers=n) for n in (1, 3, 3)]
    end, seed, rounds, wrong = time.monotonic() + SECONDS, SEED, 0, []
    for c in containers:
        c.control.ask(f"start random {seed} 100000000 2")
    while time.monotonic() < end:
        for c in containers:
            rounds += 1
            c.pause()
            try:
                compare(env, c, f"round {rounds}")
            except Failure as e:
                wrong.append(str(e))
            c.unpause()
    check(not wrong, f"{len(wrong)} of {rounds} comparisons differ; the first: {wrong[:1]}")
    for c in containers:
        c.pause()  # what it writes while asked may rightly be marked as not there yet
    equal_within(lambda: completeness(env, containers), lambda: [1] * len(containers), WITHIN,
                 "complete", env.agent.kept_waiting)
    for c in containers:
        c.unpause()
        c.remove()


@suite.test
def no_verification_found_a_mismatch(env):
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_ledger_mismatch_total"), 0, "mismatches")


suite.main(Environment)
