# SPDX-License-Identifier: GPL-2.0-only
"""Talking to `ops serve`, the first process of a test container, over a socket in /vol."""

import os
import socket

from .suite import Failure


class Control:
    """Make before the container starts; the container sees the directory as /vol."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(directory, "ctl.sock"))
        self.listener.listen(4)
        self.connection = self.stream = None

    def connect(self, timeout=30):
        """Wait for the container's first process."""
        if self.stream:
            self.stream.close()
            self.connection.close()
        self.listener.settimeout(timeout)
        try:
            self.connection, _ = self.listener.accept()
        except TimeoutError:
            raise Failure("the container's process did not connect") from None
        self.stream = self.connection.makefile("rw", encoding="utf-8", newline="\n")

    def send(self, line):
        self.stream.write(line + "\n")
        self.stream.flush()

    def answer(self, timeout=120):
        self.connection.settimeout(timeout)
        line = self.stream.readline()
        if not line:
            raise Failure("the container's process went away")
        return line.strip()

    def try_(self, line):
        """The whole answer: 'OK …' or 'ERR reason'."""
        if not self.stream:
            self.connect()
        self.send(line)
        return self.answer()

    def ask(self, line):
        """The answer without its OK; Failure when it is an error."""
        answer = self.try_(line)
        if not answer.startswith("OK"):
            raise Failure(f"{line}: {answer}")
        return answer[2:].strip()

    def load(self, kind, path, count):
        """Perform a workload; returns the calls and bytes that the kernel answered."""
        calls, written = self.ask(f"load {kind} {path} {count}").split()
        return int(calls), int(written)

    def close(self):
        for thing in (self.stream, self.connection, self.listener):
            try:
                if thing:
                    thing.close()
            except OSError:
                pass
