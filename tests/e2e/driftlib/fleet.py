# SPDX-License-Identifier: GPL-2.0-only
"""Many containers for little: what runc would leave of them, without runc and images.

Overlay mounts, cgroups, state files and first processes in mount namespaces of their own
are all there and real, so that a thousand containers start in seconds.
"""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import signal
import time

from .image import BUSYBOX

CGROUP = next((p for p in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
               if os.path.exists(os.path.join(p, "cgroup.procs"))), None)
CLONE_NEWNS = 0x20000
MNT_DETACH = 2
MS_REC, MS_PRIVATE = 16384, 1 << 18
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
_libc = ctypes.CDLL(None, use_errno=True)


def _call(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source, target, kind, flags, data):
    _call(_libc.mount(*(t.encode() if t else None for t in (source, target, kind)), flags,
                      data.encode()), f"mount {target}")


def _enter(root):
    """As runc does: a mount namespace whose only mount is the container's root."""
    _call(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount(None, "/", None, MS_REC | MS_PRIVATE, "")
    os.chdir(root)
    _call(_libc.syscall(SYS_PIVOT_ROOT, b".", b"."), "pivot_root")
    _call(_libc.umount2(b".", MNT_DETACH), "umount")


def _remove_cgroup(path):
    """With all that lives in it. A process that was waited for may be in it for a moment yet."""
    for end in [False] * 500 + [True]:
        try:
            os.rmdir(path)
            return
        except OSError as e:
            if end or e.errno != errno.EBUSY:
                raise
        with open(f"{path}/cgroup.kill", "w", encoding="ascii") as f:
            f.write("1")
        time.sleep(0.01)


class Member:
    """One container: .merged is its root, .upper its layer, .lowers its image."""

    def __init__(self, fleet, number, base):
        self.id = hashlib.sha256(f"{fleet.dir} {number}".encode()).hexdigest()
        self.directory = os.path.join(base or fleet.dir, f"c{number}")
        self.merged, self.upper = f"{self.directory}/merged", f"{self.directory}/upper"
        self.lowers = fleet.lowers
        self.cgroup = os.path.join(fleet.cgroup, str(number))
        for part in (self.merged, self.upper, f"{self.directory}/work", self.cgroup):
            os.makedirs(part, exist_ok=True)
        _mount("none", self.merged, "overlay", 0, f"lowerdir={':'.join(self.lowers)},"
               f"upperdir={self.upper},workdir={self.directory}/work")
        self.pid = self.spawn()

    def spawn(self):
        """The first process, which only is there. It is in place when this returns."""
        ready, told = os.pipe()
        pid = os.fork()
        if pid:
            os.close(told)
            os.read(ready, 1)  # ends when exec closes the other end
            os.close(ready)
            return pid
        try:
            with open(f"{self.cgroup}/cgroup.procs", "w", encoding="ascii") as f:
                f.write("0")
            _enter(self.merged)
            os.execv("/bin/busybox", ["sleep", "1000000"])
        finally:
            os._exit(127)

    def state(self):
        """What runc's state.json says, as far as driftwatch reads it."""
        return {"id": self.id, "init_process_pid": self.pid, "created": "2026-01-02T03:04:05Z",
                "cgroup_paths": {"": self.cgroup},
                "config": {"rootfs": self.merged, "readonlyfs": False}}

    def remove(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        _libc.umount2(self.merged.encode(), MNT_DETACH)
        _remove_cgroup(self.cgroup)


class Fleet:
    """@layers is the depth of the image that they share; @directory holds everything."""

    def __init__(self, directory, layers=1):
        self.dir = directory
        self.state = os.path.join(directory, "state")
        name = hashlib.sha256(directory.encode()).hexdigest()[:8]
        self.cgroup = os.path.join(CGROUP, f"dw-fleet-{name}")
        self.lowers = [os.path.join(directory, f"layer{i}") for i in range(layers)]
        for part in (self.state, self.cgroup, *self.lowers):
            os.makedirs(part, exist_ok=True)
        os.makedirs(f"{self.lowers[-1]}/bin", exist_ok=True)
        shutil.copy(BUSYBOX, f"{self.lowers[-1]}/bin/busybox")
        self.members = []

    def runtime_root(self):
        """For the agent's command line."""
        return f"--runtime-root=runc={self.state}"

    def add(self, count=1, base=None):
        """Start so many more, with their layers below @base; returns them."""
        for _ in range(count):
            member = Member(self, len(self.members), base)
            self.members.append(member)
            directory = os.path.join(self.state, member.id)
            os.makedirs(directory)
            with open(f"{directory}/new", "w", encoding="ascii") as f:
                json.dump(member.state(), f)
            os.rename(f"{directory}/new", f"{directory}/state.json")
        return self.members[-count:]

    def close(self):
        for member in self.members:
            member.remove()
        self.members = []
        for left in os.scandir(self.cgroup):
            if left.is_dir():  # of one whose making was interrupted
                _remove_cgroup(left.path)
        _remove_cgroup(self.cgroup)
