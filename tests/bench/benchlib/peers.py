# SPDX-License-Identifier: GPL-2.0-only
"""Other tools that see writes, each started anew for every block that is measured.

Not among them: audit (once enabled, every later task of this kernel carries an audit
context until reboot, so it would spoil what is measured after it), and what needs a kernel
module or kernel headers (sysdig, bcc).
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from . import micro, stats

READY_SECONDS = 20

# what is written, by cgroup and descriptor; says "seen" once it has counted something
BPFTRACE = """
tracepoint:syscalls:sys_enter_pwrite64 { @fd[tid] = args->fd; }
tracepoint:syscalls:sys_exit_pwrite64 /args->ret > 0/ {
    @bytes[cgroup, @fd[tid]] = sum(args->ret); @seen = 1;
}
interval:ms:50 /@seen/ { printf("seen\\n"); @seen = 0; }
"""


class Peer:
    """One tool. least: how many times dearer than ours it should be."""

    name, title, least = "", "", None

    def command(self, bench, stage):
        raise NotImplementedError

    def is_ready(self, process, bench):
        """Called until it is true, with some writes in between."""
        raise NotImplementedError

    def available(self, bench, stage):
        return shutil.which(self.command(bench, stage)[0]) is not None

    def start(self, bench, stage):
        process = subprocess.Popen(
            self.command(bench, stage), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=self._hear_interrupts)
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
        process.text = b""
        deadline = time.monotonic() + READY_SECONDS
        try:
            while not self.is_ready(process, bench):
                self._read(process)
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not start: "
                                       + process.text.decode(errors="replace")[-300:])
                bench.block(["layer"], 1)
                time.sleep(0.005)
        except BaseException:
            self.stop(process)
            raise
        self._swallow(process)
        return process

    @staticmethod
    def _hear_interrupts():
        """A benchmark in a shell's background was told to ignore them, and so would the tool."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    @staticmethod
    def _read(process):
        for pipe in (process.stdout, process.stderr):
            process.text += pipe.read(65536) or b""

    @staticmethod
    def _swallow(process):
        """What it prints from here on is read and thrown away, as a shell's >/dev/null."""
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), True)
        process.cats = [subprocess.Popen(["cat"], stdin=pipe, stdout=subprocess.DEVNULL)
                        for pipe in (process.stdout, process.stderr)]

    @staticmethod
    def stop(process):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            pipe.close()
        for cat in getattr(process, "cats", ()):
            cat.wait()


class Bpftrace(Peer):
    name, title, least = "bpftrace", "bpftrace, a map by cgroup and fd", 5

    def command(self, bench, stage):
        return ["bpftrace", "-e", BPFTRACE]

    def is_ready(self, process, bench):
        return b"seen" in process.text


class Inotify(Peer):
    name, title, least = "inotifywait", "inotifywait -m -r", 3

    def command(self, bench, stage):
        return ["inotifywait", "-m", "-r", "-e", "create,modify,delete,move,attrib", stage.layer]

    def is_ready(self, process, bench):
        return b"Watches established" in process.text


class Fatrace(Peer):
    name, title = "fatrace", "fatrace -f W, every mount"

    def command(self, bench, stage):
        return ["fatrace", "-f", "W"]

    def is_ready(self, process, bench):
        return b"hot" in process.text or b": W" in process.text


class Strace(Peer):
    name, title, least = "strace", "strace -f", 100

    def command(self, bench, stage):
        return ["strace", "-f", "-o", "/dev/null", "-p", str(bench.worker.pid)]

    def is_ready(self, process, bench):
        with open(f"/proc/{bench.worker.pid}/status", encoding="ascii") as f:
            return f"TracerPid:\t{process.pid}\n" in f.read()


class PerfTrace(Peer):
    name, title = "perf", "perf trace, the write calls"

    def command(self, bench, stage):
        return ["perf", "trace", "-e", "pwrite64", "-p", str(bench.worker.pid)]

    def is_ready(self, process, bench):
        return b"pwrite64(" in process.text


PEERS = [Bpftrace(), Inotify(), Fatrace(), Strace(), PerfTrace()]
WORKS = ["layer", "getppid"]
OURS = ("ours_fs", "ours_syscall")


def measure_one(bench, stage, peer, works, ms):
    """bare, peer, bare; then ours in the same minute."""
    before = bench.block(works, ms)
    process = peer.start(bench, stage)
    try:
        with_it = bench.block(works, ms)
    finally:
        peer.stop(process)
    after = bench.block(works, ms)
    bench.add(peer.name, before, with_it, after)


def run(bench, stage, seconds, rounds=1000, ms=20):
    """Rounds of every peer and ours until the time is used up. Returns {name: why not}."""
    missing, peers = {}, []
    for peer in PEERS:
        if peer.available(bench, stage):
            peers.append(peer)
        else:
            missing[peer.name] = "not installed"
    end = time.monotonic() + seconds
    for number in range(rounds):
        if number:  # it comes loaded
            bench.load()
        bench.random.shuffle(peers)
        for peer in list(peers):
            try:
                measure_one(bench, stage, peer, WORKS, ms)
            except (RuntimeError, OSError) as e:
                missing[peer.name] = str(e)
                peers.remove(peer)
            bench.round(OURS, WORKS, ms)
        if time.monotonic() > end and number >= 1:
            break
        print(f"  peers: round {number + 1}", file=sys.stderr)
    return missing


def report(result, bench):
    for peer in PEERS:
        for work in WORKS:
            result.set(f"peer.{peer.name}.{work}", bench.over_bare(work, peer.name),
                       unit="of bare")
        for tier in ("fs", "syscall"):
            result.set(f"peer.{peer.name}.ours_{tier}",
                       bench.added_over("layer", peer.name, f"ours_{tier}"),
                       least=peer.least, unit="times ours")
