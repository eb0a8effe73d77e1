#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
"""Every operation of operations.tsv, each in a fresh container: driftwatch diff is docker diff.

The table drives: a row that the program in the container does not know fails.
"""

import collections
import os
from concurrent.futures import ThreadPoolExecutor

from driftlib import image, process
from driftlib.agent import Agent
from driftlib.docker import Docker
from driftlib.operations import refusal, rows, version_of
from driftlib.suite import Failure, Suite, check, check_equal, equal_within

WITHIN = 1.0  # seconds from the end of the operation to an equal list

KERNEL = version_of(os.uname().release)

RAW_BADNAME = b"A /img/d/new\nline \xff\""

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        self.agent = Agent(s)
        self.pool = ThreadPoolExecutor(2)
        self.coming = collections.deque(self.pool.submit(self.docker.run) for _ in range(2))
        s.defer(self.pool.shutdown)

    def container(self):
        """A fresh one; the next is started meanwhile."""
        self.coming.append(self.pool.submit(self.docker.run))
        return self.coming.popleft().result()


def check_row(env, name, result, expected):
    container = env.container()
    try:
        answer = container.control.try_(f"op {name}")
        check("no such operation" not in answer, "the row has no test")
        refused = refusal(name, KERNEL)
        if refused:
            check(refused in answer, f"a kernel without it says {refused}, not {answer}")
            result, expected = "ERR", container.diff()
        check_equal(answer.split()[0], result.split()[0], f"the operation itself ({answer})")
        equal_within(lambda: env.agent.diff(container.id), lambda: expected, WITHIN, "diff")
        check_equal(docker_answer(container, name, expected), expected, "docker diff")
        if name == "badname":
            check(RAW_BADNAME in env.agent.diff_bytes(container.id), "the name is not given raw")
    finally:
        env.pool.submit(container.remove)


def docker_answer(container, name, expected):
    """Where docker diff itself fails (paths beyond PATH_MAX) the operation is the truth."""
    try:
        return container.diff()
    except Failure:
        check(name == "longpath", "docker diff failed")
        return expected


def add(row):
    def test(env):
        check_row(env, *row)

    test.__name__ = row[0]
    suite.test(test)


@suite.test
def every_operation_of_the_program_is_a_row(env):
    listed = process.checked([image.build_ops(env.suite.tmp), "list"]).split()
    check_equal(sorted(listed), sorted(name for name, *_ in rows()), "operations")


for one in rows():
    add(one)
suite.main(Environment)
