# SPDX-License-Identifier: GPL-2.0-only
"""Processes and mounts the tests start, and making sure that none is left."""

import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Daemon:
    """A program that runs until stopped; its output goes to a file."""

    def __init__(self, command, log, **options):
        self.log = log
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=_die_with_parent, **options)
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM, timeout=20):
        """Signal, wait, kill if need be. Returns the exit status."""
        if self.running():
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(5)

    def tail(self, lines=15):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""


def run(command, timeout=60, **options):
    """subprocess.run with captured output and a time limit."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout,
                          check=False, **options)


def checked(command, timeout=60, **options):
    """Its stdout as text; raises with its stderr when it fails."""
    done = run(command, timeout, **options)
    if done.returncode:
        text = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(command[:6])}: {text[-600:]}")
    return done.stdout.decode(errors="replace")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


def kill_all_below(directory):
    """Kill processes whose command line names the directory: shims and their like."""
    needle = os.fsencode(directory)
    for _ in range(20):
        pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()
                and needle in _command_line(p)]
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.05)


def mounts_below(directory):
    with open("/proc/self/mountinfo", "rb") as f:
        points = [line.split()[4].decode("unicode_escape") for line in f]
    return [p for p in points if p == directory or p.startswith(directory + "/")]


def unmount_all_below(directory):
    """The last mounted first."""
    for point in reversed(mounts_below(os.path.realpath(directory))):
        subprocess.run(["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)
