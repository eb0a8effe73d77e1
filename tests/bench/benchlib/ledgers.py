# SPDX-License-Identifier: GPL-2.0-only
"""Big layers: a first ledger of a million entries, and diff beside docker diff."""

import json
import os
import statistics
import subprocess
import time

from . import stats
from .agent_rows import MIB, World, fill, resident, say
from .tool import BUILD

from driftlib import image
from driftlib.docker import Docker
from driftlib.suite import eventually

ENTRIES = 1000000
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


def cold_row(run, world, bound):
    """Nothing of the layer is in memory; and it is asked all the time."""
    agent = world.agent("--max-files", bound, "--max-files-total", bound, start=False)
    subprocess.run(["sync"], check=True)
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    start = time.monotonic()
    took = asked_while_reading(agent)
    run.set("ledger.million_cold_seconds", time.monotonic() - start, unit="s")
    run.set("ledger.million_scrape_ms", max(took, default=0), unit="ms at most, while reading")
    agent.stop()


def first_ledger(run, world):
    """The layer is filled while no agent runs, and is in the page cache for that reason."""
    count = 10000 if world.quick else ENTRIES
    world.start_containers(1)
    container = world.containers[0]
    directory = os.path.join(container.upper, "million")
    os.mkdir(directory)
    say(f"a layer of {count} entries is made")
    fill(directory, count // 10)
    entry_row(run, "100000", container.upper)
    fill(directory, count)
    entry_row(run, "million", container.upper)
    bound = str(count + 100000)
    agent = world.agent("--max-files", bound, "--max-files-total", bound, start=False)
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
    cold_row(run, world, bound)


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
