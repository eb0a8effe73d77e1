#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
"""The benchmark's arithmetic and its table; with --full, that the whole of it runs."""

import json
import math
import os
import random
import subprocess
import sys
import time
import xml.dom.minidom

from driftlib.agent import ROOT
from driftlib.suite import FULL, Skip, Suite, check, check_equal

sys.path.insert(0, os.path.join(ROOT, "tests", "bench"))

# pylint: disable=wrong-import-position
from benchlib import foreign, macro, sections, stats, svg, table  # noqa: E402

suite = Suite(__file__)


def result(**variables):
    data = {"when": "2026-11-22T00:00:00Z", "kernel": "6.18", "processor": "a processor",
            "cpus": 2, "driftwatch": "abc", "disturbed": [], "quick": False, "problems": [],
            "series": {}, "variables": variables}
    return data


@suite.test
def the_median_and_its_interval_are_those_of_order_statistics(_):
    check_equal(stats.median([3, 1, 2]), 2, "median of 3")
    check_equal(stats.median([4, 1, 2, 3]), 2.5, "median of 4")
    check_equal(stats.quantile(range(11), 0.1), 1, "10th percentile")
    # from tables of the sign test: 95 % leaves out 0, 1, 2, 5 and 39 values at either end
    for n, rank in ((5, 0), (6, 1), (9, 2), (20, 6), (100, 40)):
        check_equal(stats.rank_below(n), rank, f"rank for {n}")
    check(math.isinf(stats.half_width([1, 2, 3, 4, 5])), "five values have no interval")
    check_equal(stats.half_width([1, 2, 3, 4, 5, 6]), 2.5, "six values span all")


@suite.test
def the_interval_holds_the_truth_nineteen_times_of_twenty(_):
    dice, held = random.Random(7), 0
    for _round in range(1000):
        values = sorted(dice.expovariate(1) for _ in range(41))
        rank = stats.rank_below(41)
        held += values[rank - 1] <= math.log(2) <= values[41 - rank]
    check(930 <= held <= 990, f"{held} of 1000")


@suite.test
def a_quotient_of_medians_knows_when_its_divisor_may_be_zero(_):
    ours, theirs = [0.09, 0.10, 0.11] * 10, [0.49, 0.5, 0.51] * 10
    figure = stats.quotient_of_medians(theirs, ours)
    check(abs(figure.value - 5) < 1e-9 and figure.spread < 0.5, f"{figure.value}")
    nothing = stats.quotient_of_medians(theirs, [-0.01, 0.0, 0.012] * 10)
    check(math.isinf(nothing.spread), "resolved though the divisor may be zero")
    check_equal(stats.at_least(nothing, 5), stats.UNRESOLVED, "verdict")


class Job(macro.Watched):
    """A pair takes so long; its ratios scatter so much above what it costs."""

    def __init__(self, took, scatter, wall=1.0):
        super().__init__(None, None, "")
        self.took, self.scatter, self.cost = took, scatter, wall

    def pair(self):
        time.sleep(self.took)
        self.spent += self.took
        self.wall.append(self.cost + self.scatter * (len(self.wall) % 2))
        self.cpu.append(1.0)


@suite.test
def a_job_that_is_resolved_leaves_its_time_to_the_others(_):
    short, long, never = Job(0.001, 0.01), Job(0.02, 0.01), Job(0.01, 1)
    start = time.monotonic()
    macro.share([short, long, never], 0.5)
    check(time.monotonic() - start < 2, "ends when the time is used up")
    check(short.is_resolved() and long.is_resolved(), "two can be resolved")
    check_equal(len(short.wall), 6, "pairs of what is resolved: as few as have an interval")
    check(len(never.wall) > 12, f"{len(never.wall)} pairs of the other")


@suite.test
def a_job_whose_interval_holds_its_goal_has_further_pairs(_):
    near = Job(0.001, 0.024, wall=1.02)
    macro.share([near], 0.2)
    check(stats.half_width(near.wall) <= macro.SPREAD, "narrow, yet on both sides of 1.03")
    check(len(near.wall) > 50, f"only {len(near.wall)} pairs")


@suite.test
def a_job_that_may_pass_gets_more_time_than_one_that_cannot(_):
    may, cannot = Job(0.002, 1), Job(0.002, 1, wall=2)
    macro.share([may, cannot], 0.6)
    check(cannot.is_missed() and not may.is_missed(), "who can pass")
    check(2 < may.spent / cannot.spent < 4, f"{may.spent} s and {cannot.spent} s")


@suite.test
def the_whole_benchmark_stays_within_twelve_minutes(_):
    for used in (0, 300, 500):
        class Options:
            seconds, quick = 0, False

        seconds = sections.seconds_for("macro", Options, time.monotonic() - used)
        check(used + sections.limit_for("macro", seconds) <= 720, f"after {used} s: {seconds}")


@suite.test
def a_goal_is_passed_missed_or_not_resolved(_):
    def verdict(value, spread, **more):
        return stats.at_most(stats.Figure(value, spread), 1.10, base=1, **more)

    check_equal(verdict(1.05, 0.02), stats.PASS, "well within")
    check_equal(verdict(1.20, 0.02), stats.MISS, "well beyond")
    check_equal(verdict(1.09, 0.04), stats.PASS, "within, the interval a little beyond")
    check_equal(verdict(1.09, 0.08), stats.UNRESOLVED, "within, by chance perhaps")
    check_equal(verdict(1.11, 0.08), stats.UNRESOLVED, "beyond, by chance perhaps")
    check_equal(verdict(1.01, 0.03, resolution=0.02), stats.UNRESOLVED, "too wide to count")
    check_equal(stats.at_most(None, 1), stats.UNRESOLVED, "not measured")
    check_equal(stats.at_least(stats.Figure(6, 0.5), 5), stats.PASS, "enough")
    check_equal(stats.at_least(stats.Figure(4, 0.5), 5), stats.MISS, "too little")
    check_equal(stats.at_least(stats.Figure(5.5, 3), 5), stats.UNRESOLVED, "too wide")


@suite.test
def the_table_shows_the_worst_verdict_of_a_row(_):
    def entry(value, verdict):
        return {"value": value, "spread": 0.0, "pairs": 9, "goal": "", "verdict": verdict}

    rows = table.rows(result(**{
        "agent.latency_median": entry(6, "pass"), "agent.latency_p99": entry(200, "MISS"),
        "agent.idle_cpu": entry(0.01, "pass")}))
    check_equal(len(rows), 1, "rows")
    check_equal(rows[0][-1], "MISS", "verdict")
    check("6; 200; 0.01" in rows[0][2], rows[0][2])


@suite.test
def pictures_are_well_formed(_):
    point = {"n": 1, "rss_mib": 20.0, "anonymous_mib": 6.0, "maps_mib": 15.0, "scrape_ms": 2.0}
    data = result(**{"micro.layer.ours_fs": {"value": 1.08, "spread": 0.01},
                     "peer.strace.layer": {"value": 25.0, "spread": None}})
    data["kernel"] = "<6.18 & more>"
    data["series"] = {"containers": [point, dict(point, n=100)], "files": [dict(point, n=0)]}
    svg.write(data, suite.tmp)
    for name in ("cost.svg", "agent.svg"):
        xml.dom.minidom.parse(os.path.join(suite.tmp, name))


@suite.test
def readme_has_its_place_for_the_table(_):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    check_equal((text.count(table.BEGIN), text.count(table.END)), (1, 1), "markers")


@suite.test
def somebody_elses_tracing_is_named(_):
    program = subprocess.Popen(
        [os.path.join(ROOT, "build", "driftwatch"), "agent", "--no-pin", "--socket",
         os.path.join(suite.tmp, "s"), "--state-dir", os.path.join(suite.tmp, "state"),
         "--web.listen-address", "none"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    suite.defer(program.kill)
    while b"watching" not in program.stderr.readline():
        check(program.poll() is None, "the agent ended")
    named = foreign.watchers()
    program.terminate()
    program.wait(20)
    check(any(f"driftwatch[{program.pid}]" in line for line in named), f"only {named}")


@suite.test
def a_quick_run_measures_everything(_):
    if not FULL:
        raise Skip("takes minutes; scripts/test --full does it")
    done = subprocess.run([os.path.join(ROOT, "scripts", "bench"), "--quick", "--force", "-o",
                           "json"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    check_equal(done.returncode, 0, "exit status")
    data = json.loads(done.stdout)
    check_equal(data["problems"], [], "problems")
    check_equal(data["variables"]["exact.ours_fs.lost_calls"]["value"], 0, "lost calls")
    missing = [n for n in ("micro.layer.ours_syscall", "peer.strace.ours_fs", "agent.rss_100",
                           "ledger.docker_diff", "macro.compile.ours_fs.wall")
               if n not in data["variables"]]
    check_equal(missing, [], "not measured")


suite.main()
