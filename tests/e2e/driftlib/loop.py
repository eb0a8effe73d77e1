# SPDX-License-Identifier: GPL-2.0-only
"""File systems of their own, on loop devices."""

import os
import shutil

from . import process
from .suite import Skip

MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"],
        "btrfs": ["mkfs.btrfs", "-q", "-f"]}


def mount(suite, kind, megabytes, name=None, options=()):
    """Make a file system in a sparse file and mount it. Returns the directory."""
    name = name or kind
    if not shutil.which(MAKE[kind][0]):
        raise Skip(f"no {MAKE[kind][0]}")
    path = os.path.join(suite.tmp, f"{name}.img")
    with open(path, "wb") as f:
        f.truncate(megabytes << 20)
    process.checked([*MAKE[kind], *options, path])
    directory = suite.dir(f"mnt-{name}")
    process.checked(["mount", "-o", "loop", path, directory])
    suite.defer(unmount, directory)
    return directory


def unmount(directory):
    """The loop device goes with its last mount."""
    done = process.run(["umount", directory])
    if done.returncode:
        process.run(["umount", "-l", directory])
