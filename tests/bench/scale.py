#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""How the cost grows: a write, and the agent, against containers, files and writers.

Each point is measured between two bare runs without any agent. Where something grows
faster than what it is drawn over, the table says so.
"""

import argparse
import json
import math
import os
import sys
import time

from benchlib import foreign, result, stats, svg
from benchlib.agent_rows import MIB, cpu_seconds, fill, idle_cpu, map_bytes, quiet, resident, scrape
from benchlib.stage import Stage
from benchlib.tool import BUILD, Tool

from driftlib.agent import Agent
from driftlib.fleet import Fleet
from driftlib.suite import Suite, eventually

POINTS = {"containers": (1, 10, 100, 1000, 4000), "files": (1, 100, 10000, 100000, 1000000),
          "threads": (1, 2, 4, 8)}
QUICK = {"containers": (1, 20), "files": (1, 1000), "threads": (1, 2)}
HELD = 8000  # files one process writes to; past that, each thousandth or so stands for the rest
IDLE = 5  # seconds of looking at an agent with nothing to do
IDLE_MANY = 60  # with many containers: what comes every 30 s is in it twice
MANY = 1000
MARGIN = 1.15  # growth with this power of the number is still called linear


class Bench:
    def __init__(self, stage, options):
        os.environ["TMPDIR"] = stage.path("fs")
        self.stage, self.quick, self.rounds = stage, options.quick, options.rounds
        self.suite = Suite("test_scale_bench.py")
        self.fleet = Fleet(self.suite.dir("fleet"))
        self.suite.defer(self.fleet.close)
        self.result = result.Result(foreign.watchers(), options.quick)

    def agent(self, name, *options):
        agent = Agent(self.suite, "--no-pin", "--max-containers=4200",
                      "--max-series=1000000", self.fleet.runtime_root(),
                      *options, name=name, start=False)
        return agent

    def writer(self, paths):
        log = os.path.join(self.suite.tmp, "list")
        with open(log, "w", encoding="ascii") as f:
            f.writelines(path + "\n" for path in paths)
        return Tool("scale_write", log)

    def start(self, agent):
        """Seconds until it is ready."""
        begin = time.monotonic()
        agent.launch()
        eventually(agent.ready, 300, "the agent is ready")
        return time.monotonic() - begin

    def pairs(self, writer, threads, agent):
        """[(bare, with the agent)] in ns; the agent runs when this is over."""
        ms, found, before = 50 if self.quick else 300, [], None
        for number in range(self.rounds):
            if before is None:
                before = writer.ask(threads, ms)["p10"]
            took = self.start(agent)
            quiet(agent.daemon.pid, 20)
            value = writer.ask(threads, ms)["p10"]
            if number + 1 < self.rounds:
                agent.stop()
            after = writer.ask(threads, ms)["p10"] if number + 1 < self.rounds else before
            found.append(((before + after) / 2, value))
            before = after
        return found, took

    def point(self, series, n, agent, pairs, took, **more):
        print(f"bench-scale: {n:,} {series}", file=sys.stderr, flush=True)
        pid = agent.daemon.pid
        quiet(pid, 20)
        anonymous, file = resident(pid)
        before, body = cpu_seconds(pid), b""
        for _ in range(5):
            body = scrape(agent)
        spent = (cpu_seconds(pid) - before) * 200
        figure = stats.ratio([v for _, v in pairs], [b for b, _ in pairs])
        self.result.point(
            series, n, bare_ns=stats.median([b for b, _ in pairs]),
            added_percent=(figure.value - 1) * 100, start_seconds=took,
            rss_mib=(anonymous + file) / MIB, anonymous_mib=anonymous / MIB,
            maps_mib=map_bytes(pid) / MIB, scrape_ms=spent, scrape_kb=len(body) / 1000,
            idle_percent=idle_cpu(pid, self.idle_seconds(series, n)) * 100, **more)

    def idle_seconds(self, series, n):
        if self.quick:
            return 1
        return IDLE_MANY if series == "containers" and n >= MANY else IDLE

    def exact(self, agent, members, writer, threads):
        """Whether all calls of another run are in the totals: 1 or 0."""
        def counted():
            m = agent.metrics()
            return sum(m.of(c.id, "driftwatch_container_write_calls_total", target="layer") or 0
                       for c in members)
        before = counted()
        done = writer.ask(threads, 50)["operations"]
        return int(counted() - before == done)


def containers(b):
    for n in (QUICK if b.quick else POINTS)["containers"]:
        b.fleet.add(n - len(b.fleet.members))
        writer = b.writer(f"{c.merged}/hot" for c in b.fleet.members)
        agent = b.agent(f"c{n}")
        pairs, took = b.pairs(writer, 1, agent)
        b.point("containers", n, agent, pairs, took,
                exact=b.exact(agent, b.fleet.members, writer, 1))
        agent.stop()
        writer.close()


def files(b):
    """With room for all of them; then with the limits as they are."""
    (c,) = b.fleet.add()
    made = 0
    for n in (QUICK if b.quick else POINTS)["files"]:
        directory = f"{c.merged}/to{n}"
        os.mkdir(directory)
        fill(directory, n - made)
        made = n
        step = max(1, n // HELD)
        names = sorted(os.path.join(d, f) for d, _, fs in os.walk(f"{c.upper}") for f in fs)
        writer = b.writer(c.merged + name.removeprefix(c.upper) for name in names[::step])
        agent = b.agent(f"f{n}", f"--max-files={2 * n + 5000}", f"--max-files-total={3 * n + 50000}")
        pairs, took = b.pairs(writer, 1, agent)
        b.point("files", n, agent, pairs, took, exact=b.exact(agent, [c], writer, 1))
        agent.stop()
        bound = max(1, n // 2)
        agent = b.agent(f"b{n}", f"--max-files={bound}")
        b.start(agent)
        m = agent.metrics()
        b.result.point("bounded", n, max_files=bound,
                       added=m.of(c.id, "driftwatch_container_drift_files", change="added"),
                       unlisted=m.of(c.id, "driftwatch_container_unlisted_files"),
                       anonymous_mib=resident(agent.daemon.pid)[0] / MIB,
                       exact=b.exact(agent, [c], writer, 1))
        agent.stop()
        writer.close()


def threads(b):
    (c,) = b.fleet.add()
    for n in (QUICK if b.quick else POINTS)["threads"]:
        writer = b.writer(f"{c.merged}/t{i}" for i in range(n))
        agent = b.agent(f"t{n}")
        pairs, took = b.pairs(writer, n, agent)
        b.point("threads", n, agent, pairs, took, exact=b.exact(agent, [c], writer, n))
        agent.stop()
        writer.close()


def growth(points, key):
    """The power of the number that the last step of a series grows with; None: too small."""
    if len(points) < 2 or points[0]["n"] == points[-1]["n"]:
        return None
    (n1, y1), (n2, y2) = ((p["n"], p[key]) for p in (points[-2], points[-1]))
    return math.log(y2 / y1) / math.log(n2 / n1) if y1 > 0 and y2 > 0 else None


GROWING = ("anonymous_mib", "maps_mib", "scrape_ms", "scrape_kb", "start_seconds",
           "idle_percent")


def judge(run):
    for series in ("containers", "files"):
        for key in GROWING:
            power = growth(run.data["series"].get(series, []), key)
            if power is not None:
                run.set(f"{series}.{key}.power", power, limit=MARGIN)
    broken = [f"{name} {p['n']}" for name, points in run.data["series"].items() for p in points
              if not p.get("exact", 1)]
    run.set("counts.wrong", len(broken), limit=0)
    for where in broken:
        run.problem(f"counts are not exact: {where}")


def growths(variables):
    """One line a series: with which power of the number each cost grows in its last step."""
    out = []
    for series in ("containers", "files"):
        powers = [(name.split(".")[1], v["value"]) for name, v in variables.items()
                  if name.startswith(series + ".") and name.endswith(".power")]
        if powers:
            out.append(f"growth with {series} (1: linear): "
                       + ", ".join(f"{key} {value:.2f}" for key, value in powers))
    return out


COLUMNS = (("n", "{:,}"), ("added_percent", "{:+.1f} %"), ("bare_ns", "{:.0f} ns"),
           ("anonymous_mib", "{:.1f}"), ("rss_mib", "{:.1f}"), ("maps_mib", "{:.1f}"),
           ("scrape_ms", "{:.2f}"), ("scrape_kb", "{:.1f}"), ("idle_percent", "{:.2f} %"),
           ("start_seconds", "{:.2f}"), ("exact", "{}"))


def text(data):
    out = [f"driftwatch {data['driftwatch']}, Linux {data['kernel']}, {data['processor']}, "
           f"{data['when']}", ""]
    head = ["", "a write", "bare", "anon MiB", "RSS MiB", "maps MiB", "scrape ms", "gzip kB",
            "idle CPU", "start s", "exact"]
    for series in ("containers", "files", "threads"):
        rows = [[form.format(p[key]) for key, form in COLUMNS]
                for p in data["series"].get(series, [])]
        out += lines([[series, *head[1:]], *rows])
    rows = [[f"{p['n']:,}", f"{p['max_files']:,}", f"{p['added']:.0f}", f"{p['unlisted']:.0f}",
             f"{p['anonymous_mib']:.1f}", str(p["exact"])] for p in data["series"].get("bounded", [])]
    out += lines([["past --max-files", "limit", "counted", "unlisted", "anon MiB", "exact"], *rows])
    out += growths(data["variables"])
    for name, v in data["variables"].items():
        if v.get("verdict") == stats.MISS:
            out.append(f"MISS {name}: {v['value']}, goal {v['goal']}")
    return "\n".join(out + [f"problem: {p}" for p in data["problems"]])


def lines(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(w) for cell, w in zip(row, widths)) for row in rows] + [""]


ROWS = (("added to a write", "%", [("added_percent", "one byte", svg.OURS)], svg.Even),
        ("memory", "MiB", svg.MEMORY, svg.Powers),
        ("CPU of a scrape", "ms", [("scrape_ms", "one scrape", svg.OURS)], svg.Powers),
        ("start, with a first complete ledger", "s", [("start_seconds", "start", svg.OURS)],
         svg.Powers))
HEIGHT, STEP, TOP = 120, 200, 100


def column(data, number, series):
    points = [{**p, "added_percent": max(p["added_percent"], 0)} for p in data["series"][series]]
    parts = []
    for row, (title, unit, keys, axis) in enumerate(ROWS):
        panel = svg.Panel(60 + number * 375, TOP + row * STEP, 300, HEIGHT)
        parts += panel.draw(f"{title}, by {series}", points, unit, keys, axis)
    return parts


def last_row(data):
    """Writers at once; and what becomes of names when there is room for half of them."""
    left, right = (svg.Panel(60 + n * 375, TOP + len(ROWS) * STEP, 300, HEIGHT) for n in (0, 1))
    parts, series = [], data["series"]
    if series.get("threads"):
        parts += left.draw("added to a write, by writer threads", series["threads"], "%",
                           [("added_percent", "one byte", svg.OURS)])
    if series.get("bounded"):
        parts += right.draw("files, with room for half of them", series["bounded"], "",
                            [("added", "counted", svg.OURS),
                             ("unlisted", "without a name", svg.OTHERS)],
                            svg.Powers)
    return parts


def picture(data):
    parts = [svg.text(12, 22, "How the cost grows", size=15, weight="bold"),
             svg.text(12, 40, f"Linux {data['kernel']}, {data['when'][:10]}; dashed: what grows as "
                      "the number does has this slope")]
    for number, series in enumerate(s for s in ("containers", "files") if data["series"].get(s)):
        parts += column(data, number, series)
    return svg.document(TOP + len(ROWS) * STEP + HEIGHT + 40, parts + last_row(data),
                        "How the cost grows")


def save(data):
    directory = os.path.join(BUILD, "bench")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "scale.json"), "w", encoding="utf-8") as f:
        json.dump(data, f, indent=1)
    with open(os.path.join(directory, "scale.svg"), "w", encoding="utf-8") as f:
        f.write(picture(data))


def parse():
    parser = argparse.ArgumentParser(prog="scripts/bench-scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small points of each series")
    parser.add_argument("--rounds", type=int, metavar="N", default=5,
                        help="how often each point is measured with and without an agent")
    parser.add_argument("--only", default="containers,files,threads", help="series to measure")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    options = parser.parse_args()
    options.rounds = 1 if options.quick else options.rounds
    return options


def main():
    options, start = parse(), time.monotonic()
    stage = Stage()
    try:
        b = Bench(stage, options)
        for part in (threads, files, containers):
            if part.__name__ not in options.only.split(","):
                continue
            try:
                part(b)
            except Exception as e:  # pylint: disable=broad-except  # the others are worth having
                b.result.problem(f"{part.__name__}: {e}")
            save(b.result.data)
    finally:
        b.suite.close()
        stage.close()
    judge(b.result)
    b.result.finish(time.monotonic() - start)
    save(b.result.data)
    print(json.dumps(b.result.data, indent=1) if options.output == "json" else text(b.result.data))
    return 1 if b.result.data["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
