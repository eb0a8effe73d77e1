# SPDX-License-Identifier: GPL-2.0-only
"""What operations.tsv says of each operation, and what tail must say of some of them."""

import os

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

# Calls newer than the oldest kernel: where there is none, nothing must have changed.
NEWER = {"uring_ftruncate", "uring_bind", "uring_writev_fixed", "setxattrat_cap", "fchmodat2"}

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


def rows():
    """(operation, "OK" or "ERR reason", docker diff's lines) of each."""
    with open(TABLE, encoding="utf-8") as f:
        next(f)
        for line in f:
            name, result, diff, *_ = line.rstrip("\n").split("\t")
            lines = [] if diff == "(empty)" else [x.strip() for x in diff.split(";") if x.strip()]
            yield name, result, sorted(IN_FULL.get(name, lines), key=path_of)
