# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a run, each with its share of the time."""

import signal
import sys
import time
import traceback

from . import agent_rows, exact, ledgers, macro, micro, peers
from .stage import Stage

LIMIT_SECONDS = 700  # of a whole run
PART_SECONDS = 300   # after which a part is given up, its measurements apart: something hangs
# part, seconds of its measurements in a whole run; macro has what is left, so it is last
SECONDS = {"micro": 160, "peers": 70, "exact": 12, "agent": 0, "ledger": 0, "diff": 0,
           "macro": 40}
MACRO_AROUND = 25    # seconds for setting macro up and for taking it down
NAMES = list(SECONDS)
QUICK = 0.04

# --- goals of single operations, as parts of the bare cost

FS_LIMITS = {"getppid": 1.02, "read": 1.02, "stat": 1.02, "layer": 1.10, "layer64": 1.10,
             "layer_many": 1.20, "host": 1.07, "volume": 1.07}
SYSCALL_LIMITS = {"layer": 1.25}
# what ours adds / what an empty program on sys_exit adds
SYSCALL_OVER_EMPTY = {"layer": 2.0, "layer64": 2.0, "host": 2.0, "volume": 2.0, "getppid": 1.1,
                      "read": 1.1, "stat": 1.1}
SENSOR_LEAST = 2.5


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def report_micro(run, bench, works):
    for work in works:
        run.set(f"micro.{work}.bare_ns", bench.bare_ns(work), unit="ns")
        for variant in micro.VARIANTS:
            limits = {"ours_fs": FS_LIMITS, "ours_syscall": SYSCALL_LIMITS}.get(variant, {})
            run.set(f"micro.{work}.{variant}", bench.over_bare(work, variant),
                    limit=limits.get(work), base=1, unit="of bare")
        run.set(f"micro.{work}.ours_syscall.over_empty",
                bench.added_over(work, "ours_syscall", "floor_syscall"),
                limit=SYSCALL_OVER_EMPTY.get(work), unit="of the empty program")
    for tier in ("fs", "syscall") if "layer" in works else ():
        run.set(f"peer.sensor.ours_{tier}", bench.added_over("layer", "sensor", f"ours_{tier}"),
                least=SENSOR_LEAST, unit="times ours")


def run_micro(run, options, stage, seconds):
    works = options.works.split(",") if options.works else micro.WORKS
    files = 1000 if options.quick else micro.FILES
    if "layer_many" not in works:
        files = 0
    say(f"single operations: {files} files are made")
    bench = micro.Bench(stage, files=files)
    try:
        say(f"single operations: {seconds:.0f} s of rounds")
        micro.run(bench, micro.VARIANTS, works, seconds)
        report_micro(run, bench, works)
        bench.unload()
        run.set("micro.sensor_lost", bench.missed["floor"], unit="records of the stand-in", limit=0)
        for tier in ("fs", "syscall"):
            run.set(f"micro.missed_{tier}", bench.missed[tier], limit=0)
    finally:
        bench.close()


def run_peers(run, options, stage, seconds):
    bench = micro.Bench(stage, files=0)
    try:
        for name, why in peers.run(bench, stage, seconds).items():
            run.problem(f"{name}: {why}")
        peers.report(run, bench)
    finally:
        bench.close()


def run_exact(run, options, stage, seconds):
    bench = micro.Bench(stage, files=0)
    try:
        for variant in ("ours_fs", "ours_syscall"):
            exact.measure(run, bench, stage, variant, seconds / 2)
    finally:
        bench.close()


def run_agent(run, options, stage, seconds):
    agent_rows.run(run, stage, options.quick)


def run_ledger(run, options, stage, seconds):
    ledgers.run(run, stage, options.quick, ledgers.first_ledger)


def run_diff(run, options, stage, seconds):
    ledgers.run(run, stage, options.quick, ledgers.beside_docker)


def run_macro(run, options, stage, seconds):
    bench = micro.Bench(stage, files=0, variants=["ours_fs"])
    try:
        say(f"whole jobs: {seconds:.0f} s")
        macro.report(run, macro.run(bench, stage, ["ours_fs"], seconds,
                                    0.1 if options.quick else 1, run.problem))
    finally:
        bench.close()


RUN = {"micro": run_micro, "peers": run_peers, "exact": run_exact, "agent": run_agent,
       "ledger": run_ledger, "diff": run_diff, "macro": run_macro}


def seconds_for(name, options, started):
    if options.seconds:
        return options.seconds
    if options.quick:
        return SECONDS[name] * QUICK
    if name == "macro":
        return max(SECONDS[name], LIMIT_SECONDS - MACRO_AROUND - (time.monotonic() - started))
    return SECONDS[name]


def give_up(*_):
    raise TimeoutError("given up: it hangs")


def limit_for(name, seconds):
    if name == "macro":
        return max(PART_SECONDS // 2, int(seconds) + MACRO_AROUND)
    return max(PART_SECONDS, int(seconds) * 2)


def run(result, options):
    """Every part that was asked for; one that fails is noted, and the others run."""
    parts = options.only.split(",")
    unknown = [name for name in parts if name not in RUN]
    if unknown:
        raise SystemExit(f"scripts/bench: no part {unknown[0]}")
    started = time.monotonic()
    signal.signal(signal.SIGALRM, give_up)
    for name in parts:
        start = time.monotonic()
        stage = None
        seconds = seconds_for(name, options, started)
        signal.alarm(limit_for(name, seconds))
        try:
            stage = Stage()
            RUN[name](result, options, stage, seconds)
        except Exception as e:  # the other parts are worth having
            traceback.print_exc()
            result.problem(f"{name}: {e}")
        finally:
            signal.alarm(0)
            if stage:
                stage.close()
        say(f"{name} took {time.monotonic() - start:.0f} s")
