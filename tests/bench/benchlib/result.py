# SPDX-License-Identifier: GPL-2.0-only
"""What one run measured, by variable, and where it ran."""

import json
import os
import platform
import subprocess
import time

from . import stats
from .tool import ROOT


def processor():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.machine()


def revision():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip()


class Result:
    def __init__(self, others, quick):
        self.variables = {}
        self.data = {
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "kernel": platform.release(), "processor": processor(), "cpus": os.cpu_count(),
            "driftwatch": revision(), "disturbed": others, "quick": quick,
            "problems": [], "variables": self.variables, "series": {},
        }

    def set(self, name, figure, unit=None, limit=None, base=0.0, least=None,
            resolution=None):
        """Note a figure (or a plain number), judged if there is a limit. None: not measured."""
        if figure is None:
            return
        if not isinstance(figure, stats.Figure):
            figure = stats.Figure(figure, 0.0)
        entry = figure.json()
        if unit:
            entry["unit"] = unit
        if limit is not None:
            entry.update(goal=f"<= {limit}", verdict=stats.at_most(figure, limit, base, resolution))
        if least is not None:
            entry.update(goal=f">= {least}", verdict=stats.at_least(figure, least))
        self.variables[name] = entry

    def point(self, series, n, **values):
        """A point of a picture: values by how many there are of something."""
        entry = {"n": n, **{name: stats.finite(value) for name, value in values.items()}}
        self.data["series"].setdefault(series, []).append(entry)

    def problem(self, text):
        """A part that could not be measured, and why."""
        self.data["problems"].append(text)

    def finish(self, seconds):
        self.data["seconds"] = round(seconds)

    def save(self, build):
        directory = os.path.join(build, "bench")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "result.json"), "w", encoding="utf-8") as f:
            json.dump(self.data, f, indent=1)
            f.write("\n")


def load(build):
    with open(os.path.join(build, "bench", "result.json"), encoding="utf-8") as f:
        return json.load(f)
