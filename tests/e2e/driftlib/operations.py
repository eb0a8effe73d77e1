# SPDX-License-Identifier: GPL-2.0-only
"""What operations.tsv says of each operation, and what tail must say of some of them."""

import os
import re

from .docker import path_of

TABLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                     "operations.tsv")

# Rows whose recorded answer is cut off or mangled in the table, and what it is in full.
LONG = ["/img/d" + ("/" + "n" * 100) * depth for depth in range(1, 61)]
IN_FULL = {
    "many": ["C /img", "C /img/d"] + [f"A /img/d/m{n}" for n in range(1, 200, 2)],
    "longpath": ["C /img", "C /img/d"] + [f"A {p}" for p in LONG + [LONG[-1] + "/deep"]],
    "badname": ["C /img", "C /img/d", "A /img/d/\x01\x1b[31m\\", "A /img/d/new\nline \ufffd\""],
}

# What not every kernel has: since when, and what the call says before. Nothing has changed then.
SINCE = {
    "uring_mkdirat": ((5, 15), "Invalid argument"),
    "uring_symlinkat": ((5, 15), "Invalid argument"),
    "uring_linkat": ((5, 15), "Invalid argument"),
    "uring_fsetxattr": ((5, 19), "Invalid argument"),
    "uring_setxattr_cap": ((5, 19), "Invalid argument"),
    "otmpfile": ((6, 6), "Operation not supported"),
    "otmpfile_link": ((6, 6), "Operation not supported"),
    "fchmodat2": ((6, 6), "Function not implemented"),
    "uring_ftruncate": ((6, 9), "Invalid argument"),
    "uring_bind": ((6, 11), "Invalid argument"),
    "setxattrat_cap": ((6, 13), "Function not implemented"),
    "uring_writev_fixed": ((6, 15), "Invalid argument"),
}

# operation: the event that tells of it, and of which path; None: any event of that path
TOLD = {
    "creat_write": ("create", "/img/d/new"),
    "append": ("write", "/img/f"),
    "unlink_image": ("unlink", "/img/f"),
    "rename": ("rename", "/img/fren"),
    "link": ("link", "/img/nhl"),
    "mkdir": ("mkdir", "/img/nd"),
    "symlink": ("symlink", "/img/nsl"),
    "mkfifo": ("mknod", "/img/ff"),
    "chmod": ("chmod", "/img/f"),
    "chown": ("chown", "/img/f"),
    "setxattr_cap": ("xattr", "/img/f"),
    "truncate": ("truncate", "/img/f"),
    "rmdir_image": ("rmdir", "/img/ed"),
    "otmpfile_link": (None, "/img/d/lnk"),
    "uring_renameat": ("rename", "/img/fren"),
    "mmap_store": (None, "/img/f"),
}


def version_of(release):
    """(6, 1) of "6.1.0-56-cloud-amd64"."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def refusal(name, version):
    """What the kernel says of an operation that it does not have; None: it has it."""
    since, answer = SINCE.get(name, ((0, 0), None))
    return answer if version < since else None


def rows():
    """(operation, "OK" or "ERR reason", docker diff's lines) of each."""
    with open(TABLE, encoding="utf-8") as f:
        next(f)
        for line in f:
            name, result, diff, *_ = line.rstrip("\n").split("\t")
            lines = [] if diff == "(empty)" else [x.strip() for x in diff.split(";") if x.strip()]
            yield name, result, sorted(IN_FULL.get(name, lines), key=path_of)
