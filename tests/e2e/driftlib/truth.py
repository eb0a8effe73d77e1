# SPDX-License-Identifier: GPL-2.0-only
"""docker diff's answer for any overlay, as docker computes it: two views, walked and compared.

Used where docker is not: podman follows other rules, containerd and runc have no diff.
"""

import os
import re
import stat
import subprocess
import tempfile
from typing import NamedTuple

from .docker import path_of


class Entry(NamedTuple):
    """What docker's rule looks at."""
    mode: int
    uid: int
    gid: int
    rdev: int
    size: int
    mtime_ns: int
    capability: bytes

    def is_dir(self):
        return stat.S_ISDIR(self.mode)


class MountedView:
    """A tree of this machine."""

    def __init__(self, top):
        self.top = os.fsencode(top)

    def entries(self, directory):
        """{name: Entry} of one directory; all names and paths are bytes."""
        at = self._open(directory)
        try:
            return {name: self._entry(at, name) for name in map(os.fsencode, os.listdir(at))}
        finally:
            os.close(at)

    def _open(self, directory):
        """Step by step: a path may be longer than a call takes."""
        at = os.open(self.top, os.O_RDONLY | os.O_DIRECTORY)
        for name in directory.split(b"/")[1:]:
            above = at
            try:
                at = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            finally:
                os.close(above)
        return at

    @staticmethod
    def _entry(at, name):
        st = os.stat(name, dir_fd=at, follow_symlinks=False)
        try:
            capability = os.getxattr(b"/proc/self/fd/%d/%s" % (at, name), b"security.capability",
                                     follow_symlinks=False)
        except OSError:
            capability = b""
        return Entry(st.st_mode, st.st_uid, st.st_gid, st.st_rdev, st.st_size, st.st_mtime_ns,
                     capability)


class DumpedView:
    """A tree as `ops dump` printed it."""

    def __init__(self, dump):
        self.directories = {}
        for line in dump.split(b"\0")[:-1]:
            mode, *numbers, capability, path = line.split(b" ", 7)
            parent, name = path.rsplit(b"/", 1)
            capability = b"" if capability == b"-" else bytes.fromhex(capability.decode())
            self.directories.setdefault(parent, {})[name] = Entry(
                int(mode, 8), *(int(n) for n in numbers), capability)

    def entries(self, directory):
        return self.directories.get(directory, {})


def differs(old, new):
    """docker's stat rule."""
    if (old.mode, old.uid, old.gid, old.rdev, old.capability) != (
            new.mode, new.uid, new.gid, new.rdev, new.capability):
        return True
    if old.is_dir():
        return False
    return old.size != new.size or not same_time(old.mtime_ns, new.mtime_ns)


def same_time(a, b):
    if a == b:
        return True
    one_is_whole = a % 1_000_000_000 == 0 or b % 1_000_000_000 == 0
    return a // 1_000_000_000 == b // 1_000_000_000 and one_is_whole


def walk(old, new, directory, lines):
    """Add the lines below one directory; old is None where it was not. True if there are any."""
    olds = old.entries(directory) if old else {}
    news = new.entries(directory)
    before = len(lines)
    for name in sorted(set(olds) | set(news)):
        path = directory + b"/" + name
        was, now = olds.get(name), news.get(name)
        if now is None:
            lines.append(b"D " + path)
            continue
        at = len(lines)
        if was is None:
            lines.append(b"A " + path)
        elif differs(was, now):
            lines.append(b"C " + path)
        listed = len(lines) > at
        below = old if was and was.is_dir() and now.is_dir() else None
        if now.is_dir() and walk(below, new, path, lines) and not listed:
            lines.insert(at, b"C " + path)
    return len(lines) > before


def compare(old, new):
    """Lines 'A /path' of one view against another, sorted by path."""
    lines = []
    walk(old, new, b"", lines)
    return sorted((line.decode(errors="replace") for line in lines), key=path_of)


def diff(upper, lowers):
    """Lines 'A /path' of the layer upper over lowers (topmost first), sorted by path."""
    with tempfile.TemporaryDirectory(prefix="dw-truth.") as top:
        views = [os.path.join(top, n) for n in ("old", "new", "empty")]
        for view in views:
            os.mkdir(view)
        mount_view(views[0], [*lowers, views[2]])
        try:
            mount_view(views[1], [upper, *lowers])
            try:
                return compare(MountedView(views[0]), MountedView(views[1]))
            finally:
                subprocess.run(["umount", views[1]], check=True)
        finally:
            subprocess.run(["umount", views[0]], check=True)


def mount_view(point, layers):
    options = "lowerdir=" + ":".join(layers)
    subprocess.run(["mount", "-t", "overlay", "-o", options, "none", point], check=True)


def unescape(text):
    """mountinfo's octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), text)


def layers_of(pid):
    """(upper, lowers) of the root of a running container's process."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if words[4] == "/":
                break
    options = words[words.index("-") + 3].split(",")
    values = [o.split("=", 1) for o in options if "=" in o]
    upper = next(v for k, v in values if k == "upperdir")
    lowers = [v for k, v in values if k == "lowerdir+"]
    lowers = lowers or next(v for k, v in values if k == "lowerdir").split(":")
    return unescape(upper), [unescape(x) for x in lowers]
