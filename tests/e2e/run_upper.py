#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare what `driftwatch run -o json` said with the layer that --keep left.

    run_upper.py LOWER UPPER ANSWER.json

Walks the upper directory by the rule of docker diff, with nothing of driftwatch's
code: absent below is A, a whiteout is D, both there and different in mode, owner,
device, capability, or (not a directory) size or mtime is C; the directories above a
change are C. Prints the differences, one a line; none is exit status 0.
"""
import base64
import json
import os
import stat
import sys


def lstat(path):
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def xattr(path, name):
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None


def is_whiteout(st):
    return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


def same_time(a, b):
    if a // 10**9 != b // 10**9:
        return False
    return a == b or a % 10**9 == 0 or b % 10**9 == 0


def differs(upper, lower, up, low):
    if (up.st_mode, up.st_uid, up.st_gid) != (low.st_mode, low.st_uid, low.st_gid):
        return True
    if stat.S_ISCHR(up.st_mode) or stat.S_ISBLK(up.st_mode):
        if up.st_rdev != low.st_rdev:
            return True
    capability = "security.capability"
    if xattr(upper, capability) != xattr(lower, capability):
        return True
    if stat.S_ISDIR(up.st_mode):
        return False
    return up.st_size != low.st_size or not same_time(up.st_mtime_ns, low.st_mtime_ns)


class Directory:
    """Entries are reached through a descriptor: paths of a layer may be of any length."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def names(self):
        return [os.fsencode(name) for name in os.listdir(self.fd)]

    def entry(self, name=b"."):
        return b"/proc/self/fd/%d/%s" % (self.fd, name)


def walk(upper, lower, below, lines):
    """Lines of a directory; lower is None where the image has no such directory."""
    names = upper.names()
    if lower and xattr(upper.entry(), "trusted.overlay.opaque") == b"y":
        for name in lower.names():
            if name not in names:
                lines[below + b"/" + name] = "D"
    before = len(lines)
    for name in names:
        path, up_path = below + b"/" + name, upper.entry(name)
        low_path = lower.entry(name) if lower else None
        up, low = os.lstat(up_path), lstat(low_path) if low_path else None
        if is_whiteout(up):
            if low:
                lines[path] = "D"
            continue
        if low is None:
            lines[path] = "A"
        elif differs(up_path, low_path, up, low):
            lines[path] = "C"
        if stat.S_ISDIR(up.st_mode):
            is_merged = low is not None and stat.S_ISDIR(low.st_mode)
            with Directory(up_path) as up_dir:
                if is_merged:
                    with Directory(low_path) as low_dir:
                        changed = walk(up_dir, low_dir, path, lines)
                else:
                    changed = walk(up_dir, None, path, lines)
            if changed and is_merged:
                lines.setdefault(path, "C")
    return len(lines) - before


def answered(path):
    with open(path, encoding="utf-8") as file:
        answer = json.load(file)
    if answer["schema"] != "driftwatch.files/1" or answer["complete"] is not True:
        print("the answer is not a complete driftwatch.files/1")
    lines = {}
    for entry in answer["files"]:
        name = entry["path"].encode()
        if "path_b64" in entry:
            name = base64.b64decode(entry["path_b64"])
        if name in lines:
            print("twice:", name)
        lines[name] = {"added": "A", "modified": "C", "deleted": "D"}[entry["change"]]
    return lines


def main():
    lower, upper, answer = sys.argv[1:]
    expected = {}
    with Directory(upper) as upper_root, Directory(lower) as lower_root:
        walk(upper_root, lower_root, b"", expected)
    got = answered(answer)
    for path in sorted(expected.keys() | got.keys()):
        if expected.get(path) != got.get(path):
            print(f"{path!r}: the layer says {expected.get(path)}, driftwatch {got.get(path)}")
    return expected != got


sys.exit(main())
