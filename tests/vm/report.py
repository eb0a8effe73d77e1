# SPDX-License-Identifier: GPL-2.0-only
"""What `driftwatch run --metrics -o json` left in a directory of a VM's results."""

import json
import os
import re
from typing import NamedTuple

# 23:56:26.709  run-b7a9ed93  MOD  ~chmod  /img/f  0600 0:0 29.2Ki  by ops[153] (uid 0)
EVENT = re.compile(r"^\d\d:\d\d:\d\d\.\d+  run-\w+  ...  (~?)(\w+)  (?:\[\w+\] )?"
                   r"(?:(/.*?) -> )?(/.*?)  .*?by (\S+)\[\d+\]")


class Event(NamedTuple):
    """One line of what happened."""
    is_derived: bool
    op: str
    old_path: str
    path: str
    writer: str


def read(*parts):
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def read_bytes(*parts):
    try:
        with open(os.path.join(*parts), "rb") as f:
            return f.read()
    except FileNotFoundError:
        return b""


def tail(text, lines=5):
    return " | ".join(text.strip().splitlines()[-lines:])


class Report:
    """The list, then a scrape; on stderr what happened."""

    def __init__(self, directory):
        answer, _, self.scrape = read(directory, "report").partition("\n")
        self.container = json.loads(answer)
        self.files = {f["path"]: f for f in self.container["files"]}
        self.complete = self.container["complete"]
        self.log = read(directory, "log")

    def metric(self, name, **labels):
        wanted = [f'{k}="{v}"' for k, v in labels.items()]
        values = [line.rsplit(" ", 1)[1] for line in self.scrape.splitlines()
                  if re.match(name + r"[{ ]", line) and all(w in line for w in wanted)]
        return float(values[0]) if values else None

    def sees(self, what):
        return self.metric("driftwatch_tier_sees", what=what) == 1

    def sights(self):
        """{word: whether the tier says that it sees this}"""
        return {what: value == "1" for what, value in re.findall(
            r'driftwatch_tier_sees\{what="(.*?)"\} (\d)', self.scrape)}

    def by_program(self, what):
        found = re.findall(rf'driftwatch_program_{what}\{{program="(.*?)"\}} (\d+)', self.scrape)
        return {name: int(count) for name, count in found}

    def programs(self):
        """Names of what is attached."""
        return list(self.by_program("missed_total"))

    def missed(self):
        return {n: count for n, count in self.by_program("missed_total").items() if count}

    def tier(self):
        return re.search(r'driftwatch_build_info\{.*tier="(.*?)"', self.scrape)[1]

    def diff(self):
        """docker diff's lines, by the list."""
        return {f"{f['change'][0].upper()} {f['path']}".replace("M ", "C ", 1)
                for f in self.files.values() if f["target"] == "layer"}

    def events(self):
        for line in self.log.splitlines():
            match = EVENT.match(line)
            if match:
                yield Event(bool(match[1]), match[2], match[3] or "", match[4], match[5])
