# SPDX-License-Identifier: GPL-2.0-only
"""Where the work happens: an overlay on an ext4 of our own, kept in memory.

On a disk the same measurements spread by tens of percent. The host's file, the volume and
the layer lie on one file system, as they do under /var/lib/docker: the dear case for ours.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

IMAGE_MIB = 3072


def command(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class Stage:
    def __init__(self):
        memory = "/dev/shm"
        free = shutil.disk_usage(memory).free if os.path.isdir(memory) else 0
        self.in_memory = free > IMAGE_MIB * 1.5 * 2**20
        self.dir = tempfile.mkdtemp(prefix="dw-bench.", dir="/tmp")
        self.image = tempfile.mktemp(prefix="dw-bench.", suffix=".img",
                                     dir=memory if self.in_memory else "/tmp")
        self.mounted, self.cgroup = [], None
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _set_up(self):
        command("truncate", "-s", f"{IMAGE_MIB}M", self.image)
        command("mkfs.ext4", "-q", "-F", "-N", "1400000", "-E",
                "lazy_itable_init=0,lazy_journal_init=0", self.image)
        os.mkdir(self.path("fs"))
        self.mount("-o", "loop", self.image, self.path("fs"))
        for name in "lower upper work host volume".split():
            os.mkdir(self.path("fs", name))
        self.host, self.volume = self.path("fs", "host"), self.path("fs", "volume")
        self.lower, self.upper = self.path("fs", "lower"), self.path("fs", "upper")
        self.work, self.merged = self.path("fs", "work"), self.path("merged")
        os.mkdir(self.merged)
        options = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.work}"
        self.mount("-t", "overlay", "-o", options, "overlay", self.merged)
        self.layer = os.path.join(self.merged, "work")
        os.mkdir(self.layer)

        self._make_cgroup()

    def _make_cgroup(self):
        """Of cgroup v2, for what works in the container; without one its id is 0."""
        self.cgroup, self.cgroup_id = None, 0
        for top in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if os.path.exists(os.path.join(top, "cgroup.procs")):
                self.cgroup = os.path.join(top, os.path.basename(self.dir))
                os.mkdir(self.cgroup)
                self.cgroup_id = os.stat(self.cgroup).st_ino
                return

    def enter(self, pid=0):
        """Make a process (0: the caller) one of the container's."""
        self._move(pid, self.cgroup)

    def leave(self, pid):
        """Make it one of the host's."""
        self._move(pid, self.cgroup and os.path.dirname(self.cgroup))

    @staticmethod
    def _move(pid, cgroup):
        if cgroup:
            with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(pid))

    def _remove_cgroup(self):
        """What worked in it may take a moment to end."""
        for attempt in range(50 if self.cgroup else 0):
            try:
                os.rmdir(self.cgroup)
                return
            except OSError as e:
                if attempt == 49:
                    print(f"{self.cgroup} stays: {e}", file=sys.stderr)
            time.sleep(0.1)

    def mount(self, *words):
        command("mount", *words)
        self.mounted.append(words[-1])

    def monitor_arguments(self):
        return [self.cgroup_id, self.merged, self.upper, os.path.join(self.work, "work"), self.lower, self.volume]

    def close(self):
        while self.mounted:
            subprocess.run(["umount", "-l", self.mounted.pop()], check=False)
        self._remove_cgroup()
        if os.path.exists(self.image):
            os.unlink(self.image)
        shutil.rmtree(self.dir, ignore_errors=True)
