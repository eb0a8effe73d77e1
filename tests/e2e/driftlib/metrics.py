# SPDX-License-Identifier: GPL-2.0-only
"""Prometheus text, read by rules of our own so that a wrong escape is noticed."""

import re

SAMPLE = re.compile(
    r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9eE+.\-]+|NaN|[+-]Inf)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
UNESCAPE = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def unescape(text):
    return re.sub(r'\\["\\n]', lambda m: UNESCAPE[m.group()], text)


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        if not match:
            raise ValueError(f"malformed labels: {text}")
        labels[match.group(1)] = unescape(match.group(2))
        at = match.end()
    return labels


class Metrics:
    def __init__(self, text):
        self.samples, self.types = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._sample(line)

    def _sample(self, line):
        match = SAMPLE.match(line)
        if not match:
            raise ValueError(f"not a sample: {line}")
        key = match.group(1), frozenset(parse_labels(match.group(2) or "").items())
        if key in self.samples:
            raise ValueError(f"twice: {line}")
        self.samples[key] = float(match.group(3))

    def find(self, name, **labels):
        """[(labels, value)] of the samples that have these labels at least."""
        wanted = labels.items()
        return [(dict(key[1]), value) for key, value in self.samples.items()
                if key[0] == name and wanted <= dict(key[1]).items()]

    def value(self, name, **labels):
        """The one sample's value; None when absent."""
        found = self.find(name, **labels)
        if len(found) > 1:
            raise ValueError(f"{name} {labels}: {len(found)} samples")
        return found[0][1] if found else None

    def of(self, container_id, name, **labels):
        """Same, of one container by its full id."""
        return self.value(name, container_id=container_id[:12], **labels)

    def counters(self):
        """{(name, labels): value} of all counters."""
        return {key: value for key, value in self.samples.items()
                if self.types.get(key[0]) == "counter"}
