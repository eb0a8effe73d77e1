#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A kernel without some of the hooks: the agent goes on with the others, and says once in its
log, by doctor and by driftwatch_tier_sees what is left in the dark.

No kernel at hand lacks them, so they are left out (DRIFTWATCH_SKIP_HOOKS); the machines of
scripts/vmtest run on kernels that lack others.
"""

import json
import re

from driftlib.agent import Agent
from driftlib.suite import Suite, check, check_equal

# A program that is left out, what only it sees, and what doctor says is lost with it.
LEFT_OUT = {
    "on_ext4_allocate_inode": ("create", "creations are told from the layer"),
    "on_ext4_truncate": ("truncate", "truncations are told from the layer"),
    "on_exec": ("exec", "executions of files of a layer are not reported"),
}
# What tier fs never sees.
NEVER = {"tmpfs_writes", "rename", "link", "attr", "mmap_pages"}

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.whole = Agent(s, "--tier", "fs", name="whole")
        self.short = Agent(s, "--tier", "fs", name="short",
                           environment={"DRIFTWATCH_SKIP_HOOKS": ",".join(LEFT_OUT)})


def unseen_by_metric(agent):
    lines = agent.get("/metrics")[2].decode().splitlines()
    return set(re.findall(r'driftwatch_tier_sees\{what="(\w+)"\} 0$', "\n".join(lines), re.M))


def unseen_by_log(agent):
    with open(agent.daemon.log, encoding="utf-8") as f:
        said = re.findall(r"tier fs does not see: (.*?) \(driftwatch doctor", f.read())
    check_equal(len(said), 1, "times it is said")
    return set(said[0].split(", "))


@suite.test
def what_a_tier_never_sees_is_said_where_nothing_is_missing(env):
    check(NEVER <= unseen_by_metric(env.whole), unseen_by_metric(env.whole))
    check(not unseen_by_metric(env.whole) & {sight for sight, _ in LEFT_OUT.values()},
          "what is there is not seen")


@suite.test
def what_hooks_would_have_seen_is_said_once_in_the_log_and_by_the_metric(env):
    expected = unseen_by_metric(env.whole) | {sight for sight, _ in LEFT_OUT.values()}
    check_equal(unseen_by_metric(env.short), expected, "driftwatch_tier_sees")
    check_equal(unseen_by_log(env.short), expected, "log")
    check_equal(unseen_by_log(env.whole), unseen_by_metric(env.whole), "log, nothing left out")


@suite.test
def doctor_names_each_hook_and_what_is_lost_with_it(env):
    report = json.loads(env.short.client("doctor", "-o", "json").stdout)
    found = " ".join(finding["what"] for finding in report["findings"])
    for sight, lost in LEFT_OUT.values():
        check(lost in found, f"{lost}: not in {found}")
        check_equal(report["sees"][sight], False, sight)
    names = [hook["name"] for hook in report["hooks"]
             if "DRIFTWATCH_SKIP_HOOKS" in (hook["why_not"] or "")]
    check_equal(len(names), len(LEFT_OUT), f"hooks that are told to be left out: {names}")
    whole = json.loads(env.whole.client("doctor", "-o", "json").stdout)
    check("creations are told" not in json.dumps(whole["findings"]), "nothing was left out")


suite.main(Environment)
