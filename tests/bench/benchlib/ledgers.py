# SPDX-License-Identifier: GPL-2.0-only
"""Big layers: a first ledger of a million entries, and diff beside docker diff."""

import json
import os
import statistics
import subprocess
import time

from . import stats
from .agent_rows import MIB, Arrivals, World, fill, resident, say, write_small
from .tool import BUILD

from driftlib import image
from driftlib.docker import Docker
from driftlib.fleet import Fleet
from driftlib.suite import eventually

ENTRIES = 1000000
LOWERS = 3  # of the image; each has every directory, so that each name is looked up in all
IMAGE_FILES = 100000
DRIFTED = 100


def entry_row(run, name, upper):
    """What malloc hands out for a listed file, its name apart."""
    done = subprocess.run([os.path.join(BUILD, "bench", "entry"), upper], check=True,
                          stdout=subprocess.PIPE)
    run.set(f"ledger.entry_bytes_{name}", json.loads(done.stdout)["bytes_beyond_name"],
            unit="bytes beyond the name", limit=200)


def asked_while_reading(agent):
    """
    Milliseconds that each question took until the agent was ready. Not the first: it waits
    for the programs to be loaded, before anything is read.
    """
    took = []
    agent.launch()
    while not agent.ready():
        start = time.monotonic()
        try:
            agent.get("/metrics")
        except OSError:
            continue  # it does not listen yet
        took.append((time.monotonic() - start) * 1000)
    return took[1:]


def cold_row(run, agent):
    """Nothing of the layer is in memory; and it is asked all the time."""
    subprocess.run(["sync"], check=True)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    start = time.monotonic()
    took = asked_while_reading(agent)
    run.set("ledger.million_cold_seconds", time.monotonic() - start, unit="s")
    run.set("ledger.million_scrape_ms", max(took, default=0), unit="ms at most, while reading")
    agent.stop()


def answers(agent):
    try:
        return agent.get("/healthz")
    except OSError:
        return None


def tail_rows(run, agent, container):
    """What is written in another container arrives while the large layer is read."""
    directory = os.path.join(container.merged, "tail")
    os.makedirs(directory)
    agent.launch()
    eventually(lambda: answers(agent), 30, "the agent answers")
    arrivals, began, number = Arrivals(agent), {}, 0
    arrivals.connected(directory)
    while not agent.ready():
        path, start = write_small(directory, number)
        began[path] = start
        number += 1
        time.sleep(0.01)
    took = arrivals.latencies(began)
    arrivals.close()
    agent.stop()
    if not took:
        raise RuntimeError("the layer was read before anything was written")
    run.set("ledger.million_tail_median", stats.figure(took), unit="ms, while reading")
    run.set("ledger.million_tail_p99", stats.quantile(took, 0.99), unit="ms, while reading",
            limit=150)


def large_fleet(run, world, count):
    """A container with a layer of so many entries on an image of LOWERS layers; and one more."""
    fleet = Fleet(world.suite.dir("fleet"), layers=LOWERS)
    world.suite.defer(fleet.close)
    for number, lower in enumerate(fleet.lowers):
        for directory in range(count // 1000 or 1):
            os.makedirs(f"{lower}/million/{directory}")
            with open(f"{lower}/million/{directory}/of{number}", "wb"):
                pass
    large, other = fleet.add(2)
    directory = os.path.join(large.upper, "million")
    os.mkdir(directory)
    say(f"a layer of {count} entries is made")
    fill(directory, count // 10)
    entry_row(run, "100000", large.upper)
    fill(directory, count)
    entry_row(run, "million", large.upper)
    return fleet, large, other


def first_ledger(run, world):
    """The layer is filled while no agent runs, and is in the page cache for that reason."""
    count = ENTRIES // 10 if world.quick else ENTRIES
    fleet, container, other = large_fleet(run, world, count)
    bound = str(count + 100000)
    agent = world.agent("--max-files", bound, "--max-files-total", bound, fleet.runtime_root(),
                        start=False)
    took = world.ready_after(agent)
    listed = len(agent.diff_bytes(container.id))
    if listed < count:
        raise RuntimeError(f"{listed} of {count} entries are listed")
    run.set("ledger.million_seconds", took, unit="s", limit=10)
    anonymous, file = resident(agent.daemon.pid)
    run.set("ledger.million_rss", (anonymous + file) / MIB, unit="MiB")
    start = time.monotonic()
    found = json.loads(agent.client("verify", "-o", "json", container.id,
                                      timeout=120).stdout)["containers"][0]
    run.set("ledger.million_verify_seconds", time.monotonic() - start, unit="s")
    run.set("ledger.million_mismatches", found["mismatches"], limit=0)
    agent.stop()
    tail_rows(run, agent, other)
    cold_row(run, agent)


def big_image(world, count):
    path = os.path.join(world.suite.tmp, "image-big.tar")
    layer = image.Layer()
    for directory in ("big", *(f"big/{n}" for n in range(count // 1000 + 1))):
        layer.dir(directory)
    for n in range(count):
        layer.file(f"big/{n // 1000}/{n}", b"%d" % n)
    base = image.base_layer(image.build_ops(world.suite.tmp))
    image.write_archive(path, "dw/big:1", [base, layer.data()])
    return path


def timed(function):
    start = time.monotonic()
    function()
    return time.monotonic() - start


def beside_docker(run, world):
    count = 2000 if world.quick else IMAGE_FILES
    say(f"an image of {count} files is made and loaded")
    docker = Docker(world.suite)
    docker.load(big_image(world, count))
    container = docker.run(Image="dw/big:1")
    agent = world.agent("--runtime-root", f"docker={docker.data_root}")
    merged = f"/proc/{container.pid()}/root/big"
    for n in range(DRIFTED):
        with open(f"{merged}/0/{n}", "ab") as f:
            f.write(b"drift")
    eventually(lambda: agent.diff(container.id) == container.diff(), 10,
               "diff is what docker diff says")
    ours, theirs = [], []
    end = time.monotonic() + 20
    while len(ours) < 6 or (len(ours) < 15 and time.monotonic() < end):
        theirs.append(timed(lambda: subprocess.run(
            ["docker", "-H", f"unix://{docker.socket}", "diff", container.id], check=True,
            stdout=subprocess.DEVNULL)))
        ours.append(timed(lambda: agent.diff_bytes(container.id)))
    run.set("ledger.docker_diff", stats.ratio(theirs, ours), least=50, unit="times ours")
    run.set("ledger.diff_ms", statistics.median(ours) * 1000, unit="ms")
    run.set("ledger.docker_diff_ms", statistics.median(theirs) * 1000, unit="ms")
    agent.stop()


def run(result, stage, quick, part):
    """part: first_ledger or beside_docker."""
    world = World(stage, quick)
    try:
        say(part.__name__)
        part(result, world)
    finally:
        world.close()
