#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark; scripts/bench builds what it needs and calls it."""

import argparse
import json
import os
import signal
import sys
import time

from benchlib import foreign, result, sections, svg, table
from benchlib.tool import BUILD


def parse():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="What watching costs: driftwatch beside an empty program on the same hook "
        "and beside other tools,\nall measured in turns within one run. Prints one table; "
        "build/bench/ has the numbers and pictures.")
    parser.add_argument("--quick", action="store_true",
                        help="a few rounds of everything: whether it runs, not what it costs")
    parser.add_argument("--force", action="store_true",
                        help="start though others trace this machine; the result says so")
    parser.add_argument("--only", metavar="PART,...", default=",".join(sections.NAMES),
                        help="of " + ", ".join(sections.NAMES))
    parser.add_argument("--works", metavar="NAME,...",
                        help="of the part micro: only these operations")
    parser.add_argument("--seconds", type=float, metavar="N", help="for the measurements of each part")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    parser.add_argument("--readme", action="store_true",
                        help="measure nothing: put the last result's table into README.md")
    return parser.parse_args()


def refuse(others):
    print("scripts/bench: others trace this machine, which makes every base dearer:",
          file=sys.stderr)
    for line in others:
        print(f"  {line}", file=sys.stderr)
    print("Stop them, or give --force to measure all the same; the result then says "
          "\"disturbed\".", file=sys.stderr)
    return 1


def main():
    options = parse()
    if options.readme:
        return table.write_readme(result.load(BUILD))
    if os.geteuid() != 0:
        print("scripts/bench loads BPF programs: run it as root", file=sys.stderr)
        return 4
    others = foreign.watchers()
    if others and not options.force:
        return refuse(others)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = result.Result(others, options.quick)
    start = time.monotonic()
    sections.run(run, options)
    run.finish(time.monotonic() - start)
    run.save(BUILD)
    svg.write(run.data, os.path.join(BUILD, "bench"))
    print(json.dumps(run.data, indent=1) if options.output == "json" else table.text(run.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
