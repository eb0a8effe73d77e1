# SPDX-License-Identifier: GPL-2.0-only
"""What the agent itself takes: the real one, beside real containers."""

import gzip
import itertools
import json
import os
import subprocess
import sys
import threading
import time

from . import stats
from .tool import BUILD, ROOT, Tool

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
os.environ.setdefault("DRIFTWATCH", os.path.join(BUILD, "driftwatch"))

# pylint: disable=wrong-import-position
from driftlib.agent import Agent  # noqa: E402
from driftlib.runc import Runc  # noqa: E402
from driftlib.suite import Suite, eventually  # noqa: E402

CONTAINERS = 100
FILES = 100000
MIB = 2**20


def say(text):
    print(f"bench: agent: {text}", file=sys.stderr, flush=True)


# --- what /proc says of the agent

def cpu_seconds(pid):
    """CPU time of all its threads, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def resident(pid):
    """(anonymous, file) bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        fields = dict(line.split(":", 1) for line in f)
    return tuple(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))


def map_bytes(pid):
    """Kernel memory of the BPF maps it holds, each once."""
    maps = {}
    for info in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{info}", encoding="ascii") as f:
                fields = dict(line.split(":", 1) for line in f if ":" in line)
        except OSError:
            continue
        if "map_id" in fields:
            maps[fields["map_id"]] = int(fields["memlock"])
    return sum(maps.values())


class World:
    """A file system of our own with a suite in it: agents, containers, and their end."""

    def __init__(self, stage, quick):
        self.stage, self.quick = stage, quick
        base = stage.path("fs", "suite")
        os.makedirs(base, exist_ok=True)
        # what lies there is not removed file by file: the file system goes as a whole
        self.environment = dict(os.environ)
        os.environ.update(TMPDIR=base, DRIFTWATCH_KEEP="1")
        self.suite = Suite("test_bench.py")
        self.runc = Runc(self.suite)
        self.containers = []
        self.agents = 0

    def agent(self, *options, start=True):
        self.agents += 1
        return Agent(self.suite, "--runtime-root", f"runc={self.runc.root}", *options,
                     name=f"agent{self.agents}", start=start)

    def ready_after(self, agent):
        """Seconds from the start of an agent that is not running to its being ready."""
        start = time.monotonic()
        agent.launch()
        while not agent.ready():
            time.sleep(0.002)
        return time.monotonic() - start

    def start_containers(self, count):
        for n in range(len(self.containers), count):
            self.containers.append(self.runc.start(f"bench{os.getpid()}x{n}"))

    def close(self):
        self.suite.close()
        os.environ.clear()
        os.environ.update(self.environment)


def settled(pid, seconds=20):
    """The same, once what a burst took has been given back."""
    deadline = time.monotonic() + seconds
    now = resident(pid)
    while time.monotonic() < deadline:
        time.sleep(2.5)
        before, now = now, resident(pid)
        if before == now:
            break
    return now


def set_memory(run, name, pid, limit_mib):
    anonymous, file = settled(pid)
    run.set(f"agent.rss_{name}", (anonymous + file) / MIB, unit="MiB", limit=limit_mib)
    run.set(f"agent.rss_{name}_anonymous", anonymous / MIB, unit="MiB")
    run.set(f"agent.rss_{name}_file", file / MIB, unit="MiB")


def idle_cpu(pid, seconds):
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - start)


def idle_row(run, world):
    agent = world.agent()
    quiet(agent.daemon.pid)
    set_memory(run, "idle", agent.daemon.pid, 8)
    run.set("agent.maps_idle", map_bytes(agent.daemon.pid) / MIB, unit="MiB", limit=24)
    agent.stop()


def scrape(agent):
    status, _, body = agent.get("/metrics", {"Accept-Encoding": "gzip"})
    if status != 200:
        raise RuntimeError(f"/metrics answers {status}")
    return body


def scrape_cpu_ms(agent, count):
    """CPU time of each of so many scrapes."""
    pid, spent = agent.daemon.pid, []
    for _ in range(count):
        before = cpu_seconds(pid)
        scrape(agent)
        spent.append((cpu_seconds(pid) - before) * 1000)
    return spent


def scrape_rows(run, agent, count):
    body = scrape(agent)
    run.set("agent.scrape_ms", stats.figure(scrape_cpu_ms(agent, count)), unit="ms of CPU", limit=10)
    run.set("agent.scrape_gzip", len(body) / 1000, unit="kB", limit=55)
    run.set("agent.scrape_text", len(gzip.decompress(body)) / 1000, unit="kB")


class Arrivals:
    """A tail that is read as its lines come: when the first of each path did."""

    def __init__(self, agent):
        self.tail = subprocess.Popen(
            [os.environ["DRIFTWATCH"], "tail", "--socket", agent.socket, "-o", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.at = {}
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.tail.stdout:
            now = time.monotonic()
            path = json.loads(line).get("path") or json.loads(line).get("file", {}).get("path")
            self.at.setdefault(path, now)

    def connected(self, directory):
        # each time another file: what came before the client did is not told again
        tries = itertools.count()
        eventually(lambda: self.at or touch(os.path.join(directory, f"try{next(tries)}")) in self.at,
                   20, "tail shows something")

    def latencies(self, began):
        """Milliseconds, of {path: when it was written}."""
        eventually(lambda: all(path in self.at for path in began), 5, "every line has come")
        return [(self.at[path] - start) * 1000 for path, start in began.items()]

    def close(self):
        self.tail.terminate()
        self.tail.wait()
        self.reader.join()


def write_small(directory, number):
    """The path as tail has it and when the call was made; DIRECTORY is called tail."""
    start = time.monotonic()
    with open(os.path.join(directory, f"f{number}"), "wb") as f:
        f.write(b"x")
    return f"/tail/f{number}", start


def latency_rows(run, agent, container, count):
    """From before the call that writes to the arrival of its line at the reader."""
    directory = os.path.join(container.directory, "rootfs", "tail")
    os.mkdir(directory)
    arrivals, began = Arrivals(agent), {}
    arrivals.connected(directory)
    for n in range(count):
        path, start = write_small(directory, n)
        began[path] = start
        time.sleep(0.02)
    took = arrivals.latencies(began)
    arrivals.close()
    run.set("agent.latency_median", stats.figure(took), unit="ms", limit=20)
    run.set("agent.latency_p99", stats.quantile(took, 0.99), unit="ms", limit=150)


def touch(path):
    with open(path, "ab") as f:
        f.write(b"x")
    return "/tail/" + os.path.basename(path)


def sample(run, series, count, agent, scrapes=5):
    """A point of the pictures: what the agent takes with so many containers or files."""
    pid = agent.daemon.pid
    quiet(pid)
    anonymous, file = resident(pid)
    cpu = scrape_cpu_ms(agent, scrapes)
    run.point(series, count, rss_mib=(anonymous + file) / MIB, anonymous_mib=anonymous / MIB,
              maps_mib=map_bytes(pid) / MIB, scrape_ms=stats.median(cpu))


def many_containers(run, world):
    count = 6 if world.quick else CONTAINERS
    say(f"{count} containers are started")
    agent = world.agent()
    for share in (0.1, 0.3, 0.6, 1):
        world.start_containers(int(count * share) or 1)
        sample(run, "containers", len(world.containers), agent)
    agent.stop()
    took = []
    for _ in range(3):
        took.append(world.ready_after(agent))
        agent.stop()
    run.set("agent.start_100", stats.median(took), unit="s", limit=1)
    agent.start()
    pid = agent.daemon.pid
    quiet(pid)
    set_memory(run, "100", pid, 12)
    run.set("agent.maps_100", map_bytes(pid) / MIB, unit="MiB")
    scrape_rows(run, agent, 5 if world.quick else 30)
    latency_rows(run, agent, world.containers[0], 20 if world.quick else 200)
    quiet(pid)
    run.set("agent.idle_cpu", idle_cpu(pid, 2 if world.quick else 10) * 100, unit="% of a CPU",
            limit=0.1)
    agent.stop()


def many_files(run, world):
    """100,000 drifted files, half of them written to at full speed."""
    count = 1000 if world.quick else FILES
    world.start_containers(1)
    container = world.containers[0]
    layer = os.path.join(container.directory, "rootfs", "many")
    os.mkdir(layer)
    agent = world.agent()
    say(f"{count} files drift")
    sample(run, "files", 0, agent)
    made = 0
    for until in (count // 100, count // 10, count // 2):
        os.mkdir(os.path.join(layer, f"step{until}"))
        fill(os.path.join(layer, f"step{until}"), until - made)
        made = until
        sample(run, "files", made, agent)
    worker = Tool("work", 0, layer, world.stage.host, world.stage.volume, "/dev/shm", count - made)
    try:
        sample(run, "files", count, agent)
        pid = agent.daemon.pid
        set_memory(run, "100000_files", pid, 40)
        for work, name in (("layer64", "cpu_hot"), ("layer_many", "cpu_many")):
            before = cpu_seconds(pid)
            done = worker.ask(work, 500 if world.quick else 4000)
            quiet(pid)
            spent = (cpu_seconds(pid) - before) * 1000
            run.set(f"agent.{name}", spent / done["operations"] * 1e6,
                    unit="ms per million writes", limit=10)
        run.set("agent.maps_files", map_bytes(pid) / MIB, unit="MiB", limit=24)
    finally:
        worker.close()
    agent.stop()


def fill(directory, count):
    subprocess.run([os.path.join(BUILD, "bench", "fill"), directory, str(count)], check=True)


def quiet(pid, seconds=60):
    """Wait until the agent has nothing more to do."""
    deadline = time.monotonic() + seconds
    while idle_cpu(pid, 0.5) > 0.02 and time.monotonic() < deadline:
        pass


def run(result, stage, quick):
    """Each part beside containers of its own: what one has written is not in the next."""
    for part in (idle_row, many_files, many_containers):
        say(part.__name__)
        world = World(stage, quick)
        try:
            part(result, world)
        except Exception as e:  # the others are worth having
            result.problem(f"{part.__name__}: {e}")
        finally:
            world.close()
