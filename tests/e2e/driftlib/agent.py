# SPDX-License-Identifier: GPL-2.0-only
"""The product under test: an agent of our own and the commands that ask it."""

import http.client
import itertools
import json
import os
import signal
import subprocess

from . import process
from .docker import UnixConnection, path_of
from .metrics import Metrics
from .process import Daemon
from .suite import Failure, check_equal, eventually

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PROGRAM = os.environ.get("DRIFTWATCH", os.path.join(ROOT, "build", "driftwatch"))


class Agent:
    """An agent with its own socket, port and state; stopped with the suite."""

    def __init__(self, suite, *options, name="agent", start=True, expect_mismatches=False,
                 environment=None):
        self.dir = suite.dir(name)
        self.socket = os.path.join(self.dir, "a.sock")
        self.state_dir = os.path.join(self.dir, "state")
        self.port = process.free_port()
        self.options = list(options)
        self.environment = {**os.environ, **(environment or {})}
        self.daemon = None
        suite.defer(self.close)
        if not expect_mismatches:
            suite.at_end("no_ledger_of_the_suite_was_wrong", self.check_ledgers)
        if start:
            self.start()

    def command(self):
        return [PROGRAM, "agent", "--socket", self.socket, "--state-dir", self.state_dir,
                "--web.listen-address", f"127.0.0.1:{self.port}", *self.options]

    def launch(self):
        """Start without waiting."""
        self.daemon = Daemon(self.command(), os.path.join(self.dir, "log"),
                             env=self.environment)

    def start(self, timeout=180):
        self.launch()
        eventually(self.ready, timeout, "the agent is ready")

    def ready(self):
        if not self.daemon.running():
            raise RuntimeError(f"the agent ended with {self.daemon.process.returncode}: "
                               + self.daemon.tail())
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def cpu_times(self):
        """Seconds it ran, and seconds it would have if others had not had the processors."""
        with open(f"/proc/{self.daemon.pid}/schedstat", encoding="ascii") as f:
            return [int(ns) / 1e9 for ns in f.read().split()[:2]]

    def kept_waiting(self):
        return self.cpu_times()[1]

    def stop(self):
        """SIGTERM; returns the exit status."""
        return self.daemon.stop()

    def kill(self):
        """SIGKILL, as the kernel's memory killer would."""
        self.daemon.stop(signal.SIGKILL)

    def check_ledgers(self):
        """After a verification of all containers: no ledger was ever found to be wrong."""
        if not self.daemon or not self.daemon.running():
            return
        done = self.client("verify", timeout=300)
        found = done.stdout.decode(errors="replace").strip()
        check_equal(done.returncode, 0, f"exit of verify: {found[-600:]}"
                    f"{done.stderr.decode(errors='replace')[-300:]}")
        check_equal(self.metrics().value("driftwatch_ledger_mismatch_total"), 0, "mismatches")

    def close(self):
        if not self.daemon:
            return
        died = not self.daemon.running() and self.daemon.process.returncode not in (0, -9)
        self.daemon.stop()
        if died:
            print(f"the agent had died with {self.daemon.process.returncode}:\n"
                  + self.daemon.tail(30))
        pins = self.options.index("--pin-dir") if "--pin-dir" in self.options else None
        where = ["--state-dir", self.state_dir] if pins is None else self.options[pins:pins + 2]
        process.run([PROGRAM, "agent", "--unpin", *where])

    def get(self, path, headers=None, tcp=True):
        """(status, headers, body) of one request."""
        if tcp:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        else:
            connection = UnixConnection(self.socket, timeout=20)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def client(self, *arguments, timeout=30, **options):
        """A finished client command."""
        return process.run([PROGRAM, *arguments, "--socket", self.socket], timeout, **options)

    def output(self, *arguments, **options):
        """stdout of a client command that must succeed."""
        done = self.client(*arguments, **options)
        if done.returncode:
            raise Failure(f"driftwatch {' '.join(arguments)}: exit {done.returncode}: "
                          f"{done.stderr.decode(errors='replace').strip()[-400:]}")
        return done.stdout

    def diff_bytes(self, ref, *options):
        """Lines of driftwatch diff as bytes, in its own order."""
        return self.output("diff", ref, "-0", *options).split(b"\0")[:-1]

    def diff(self, ref, *options):
        """The same as text, as docker's JSON would show it."""
        lines = [line.decode(errors="replace") for line in self.diff_bytes(ref, *options)]
        return sorted(lines, key=path_of)

    def files(self, ref, *options):
        return json.loads(self.output("files", ref, "-o", "json", *options))

    def file(self, ref, path, *options):
        """The one entry of a path; Failure when it is not listed once."""
        found = [f for f in self.files(ref, *options)["files"] if f["path"] == path]
        if len(found) != 1:
            raise Failure(f"{path} is listed {len(found)} times")
        return found[0]

    def ps(self, *options):
        return json.loads(self.output("ps", "-o", "json", *options))["containers"]

    def find(self, identifier, *options):
        """ps's entry of a container by its full id, None when there is none."""
        for entry in self.ps(*options):
            container = entry.get("container", entry)
            if container.get("id") == identifier:
                return entry
        return None

    def metrics(self):
        """One scrape over TCP."""
        status, _, body = self.get("/metrics")
        if status != 200:
            raise Failure(f"/metrics answers {status}")
        return Metrics(body.decode())

    def tail(self, *options):
        return Tail(self, *options)


class Tail:
    """A running `driftwatch tail -o json`; .events grows as lines come."""

    def __init__(self, agent, *options):
        self.events, self.rest, self.numbers = [], b"", itertools.count()
        self.process = subprocess.Popen(
            [PROGRAM, "tail", "--socket", agent.socket, "-o", "json", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self):
        """Take in what has come. Returns all events so far."""
        while True:
            chunk = self.process.stdout.read(65536)
            if not chunk:
                return self.events
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            self.events += [json.loads(line) for line in lines]

    def wait_for(self, wanted, timeout=5, what="the event"):
        """The first event for which wanted(event) holds."""
        return eventually(lambda: next((e for e in self.read() if wanted(e)), None), timeout, what)

    def connected(self, container, directory="/img", timeout=10):
        """Until it shows what happens; leaves empty files and events of DIRECTORY/probe*."""
        def probe():
            container.control.ask(f"sh : > {directory}/probe{next(self.numbers)}")
            return any(f"{directory}/probe" in (e.get("file", {}).get("path") or "")
                       for e in self.read())
        eventually(probe, timeout, "tail shows events")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
