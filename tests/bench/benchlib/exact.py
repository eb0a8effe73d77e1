# SPDX-License-Identifier: GPL-2.0-only
"""Whether counts are lost at full speed: the kernel's answers to the workload are the truth."""

import json
import os
import subprocess

from .tool import BUILD


def counted(monitor):
    health = monitor.ask("health")
    return health["layer_calls"], health["layer_bytes"], health["runs_missed"]


def storm(stage, tasks, cpu, seconds):
    """Writes by so many tasks; (calls, bytes) by what the calls returned."""
    done = subprocess.run([os.path.join(BUILD, "bench", "storm"), stage.layer, str(tasks),
                           str(cpu), str(seconds)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True, preexec_fn=free)
    answer = json.loads(done.stdout)
    return answer["calls"], answer["bytes"]


def free():
    os.sched_setaffinity(0, range(os.cpu_count()))


def measure(run, bench, stage, variant, seconds):
    """All processors at once, then eight tasks on one."""
    monitor = bench.monitors[variant.removeprefix("ours_")]
    calls = bytes_ = 0
    before = counted(monitor)
    bench.switch(variant, True)
    try:
        for tasks, cpu in ((4 * os.cpu_count(), -1), (8, 0)):
            more = storm(stage, tasks, cpu, seconds / 2)
            calls, bytes_ = calls + more[0], bytes_ + more[1]
        bench.settle(variant)
    finally:
        bench.switch(variant, False)
    after = counted(monitor)
    lost_calls = calls - (after[0] - before[0])
    lost_bytes = bytes_ - (after[1] - before[1])
    run.set(f"exact.{variant}.calls", calls, unit="calls written")
    run.set(f"exact.{variant}.lost_calls", abs(lost_calls), limit=0)
    run.set(f"exact.{variant}.lost_bytes", abs(lost_bytes), limit=0)
    run.set(f"exact.{variant}.missed_runs", after[2], limit=0)
