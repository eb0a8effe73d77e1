# SPDX-License-Identifier: GPL-2.0-only
"""docker diff's answer for any overlay, as docker computes it: two views, walked and compared.

Used where docker is not: podman follows other rules, containerd and runc have no diff.
"""

import os
import re
import stat
import subprocess
import tempfile

from .docker import path_of


def differs(old, new, old_cap, new_cap):
    """docker's stat rule."""
    if (old.st_mode, old.st_uid, old.st_gid, old.st_rdev, old_cap) != (
            new.st_mode, new.st_uid, new.st_gid, new.st_rdev, new_cap):
        return True
    if stat.S_ISDIR(old.st_mode):
        return False
    return old.st_size != new.st_size or not same_time(old.st_mtime_ns, new.st_mtime_ns)


def same_time(a, b):
    if a == b:
        return True
    one_is_whole = a % 1_000_000_000 == 0 or b % 1_000_000_000 == 0
    return a // 1_000_000_000 == b // 1_000_000_000 and one_is_whole


def capability(path):
    try:
        return os.getxattr(path, b"security.capability", follow_symlinks=False)
    except OSError:
        return b""


def is_dir(entry):
    return entry is not None and stat.S_ISDIR(entry.st_mode)


def entries(path):
    return {name: os.lstat(os.path.join(path, name)) for name in os.listdir(path)}


def walk(old, new, shown, lines):
    """Add the lines below one directory. True when there are any."""
    olds = entries(old) if old else {}
    news = entries(new)
    before = len(lines)
    for name in sorted(set(olds) | set(news)):
        path = shown + b"/" + name
        was, now = olds.get(name), news.get(name)
        if now is None:
            lines.append(b"D " + path)
            continue
        old_path = os.path.join(old, name) if is_dir(was) and is_dir(now) else None
        new_path = os.path.join(new, name)
        at = len(lines)
        if was is None:
            lines.append(b"A " + path)
        elif differs(was, now, capability(os.path.join(old, name)), capability(new_path)):
            lines.append(b"C " + path)
        listed = len(lines) > at
        if is_dir(now) and walk(old_path, new_path, path, lines) and not listed:
            lines.insert(at, b"C " + path)
    return len(lines) > before


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
                lines = []
                walk(os.fsencode(views[0]), os.fsencode(views[1]), b"", lines)
            finally:
                subprocess.run(["umount", views[1]], check=True)
        finally:
            subprocess.run(["umount", views[0]], check=True)
    return sorted((line.decode(errors="replace") for line in lines), key=path_of)


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
