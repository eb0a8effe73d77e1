#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Changed behind docker's back: contents, attributes and flags of files equal by stat.

Each is found as it happens, by an agent that watches, and on its first scan by one that
comes later.
"""

import fcntl
import os
import struct

from driftlib.agent import Agent
from driftlib.runc import Runc
from driftlib.suite import Suite, check_equal, equal_within

GETFLAGS, SETFLAGS = 0x80086601, 0x40086602
IMMUTABLE, APPEND, NODUMP = 0x10, 0x20, 0x40
LARGE = 1 << 20  # bytes; above what the agents compare
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.runc = Runc(s)
        for name in ("large", "large.attribute", "large.immutable"):
            with open(f"{self.runc.lower}/img/{name}", "wb") as f:
                f.truncate(LARGE)
        for name in FILES:
            with open(f"{self.runc.lower}/img/{name}", "w", encoding="ascii") as f:
                f.write(name)
        os.setxattr(f"{self.runc.lower}/img/removed", "user.note", b"of the image")
        self.agent = Agent(s, *OPTIONS)

    def start(self, name):
        return self.runc.start(f"dwtm{os.getpid()}{name}")


OPTIONS = ("--no-pin", "--verify-interval", "0", "--max-compare-bytes", str(LARGE // 2))
FILES = ("touched", "later", "attribute", "changed", "removed", "immutable", "append", "nodump")


def set_flag(path, flag, on=True):
    fd = os.open(path, os.O_RDONLY)
    try:
        flags, = struct.unpack("i", fcntl.ioctl(fd, GETFLAGS, struct.pack("i", 0)))
        flags = flags | flag if on else flags & ~flag
        fcntl.ioctl(fd, SETFLAGS, struct.pack("i", flags))
    finally:
        os.close(fd)


def touch(path):
    """Copied up, and nothing else."""
    with open(path, "r+b"):
        pass


def depths(agent, container):
    listed = agent.files(container.id, "--all")["files"]
    return {f["path"]: f["depth"] for f in listed if f["path"].startswith("/img/")}


def tamper(container):
    """What of it is to be found: {path: depth}."""
    img = f"{container.directory}/rootfs/img"
    for name in ("touched", "later"):
        touch(f"{img}/{name}")
    os.setxattr(f"{img}/attribute", "user.note", b"of the container")
    os.setxattr(f"{img}/large.attribute", "user.note", b"of the container")
    os.removexattr(f"{img}/removed", "user.note")
    set_flag(f"{img}/immutable", IMMUTABLE)
    set_flag(f"{img}/append", APPEND)
    set_flag(f"{img}/nodump", NODUMP)
    set_flag(f"{img}/large.immutable", IMMUTABLE)
    for name in ("changed", "large"):
        before = os.stat(f"{img}/{name}")
        with open(f"{img}/{name}", "r+b") as f:
            f.write(b"C")
        os.utime(f"{img}/{name}", ns=(before.st_atime_ns, before.st_mtime_ns))
    found = {f"/img/{name}": "tampered" for name in FILES if name not in ("touched", "later")}
    return found | {"/img/touched": "touched", "/img/later": "touched",
                    "/img/large": "not_compared", "/img/large.attribute": "tampered",
                    "/img/large.immutable": "tampered"}


def let_go(container):
    """Or nobody can remove them."""
    img = f"{container.directory}/rootfs/img"
    for name in ("immutable", "append", "large.immutable"):
        set_flag(f"{img}/{name}", IMMUTABLE | APPEND, on=False)


@suite.test
def attributes_flags_and_bytes_behind_an_equal_stat_are_found(env):
    container = env.start("live")
    expected = tamper(container)
    try:
        equal_within(lambda: depths(env.agent, container), lambda: expected, 5, "live")
        check_equal([line for line in env.agent.diff(container.id) if "/img/" in line], [], "diff")
        later = Agent(env.suite, *OPTIONS, name="later")
        equal_within(lambda: depths(later, container), lambda: expected, 5, "by the first scan")
        later.stop()
        # What is in the layer already, and in no way that sets a time.
        os.setxattr(f"{container.upper}/img/later", "user.note", b"from outside")
        set_flag(f"{container.directory}/rootfs/img/nodump", NODUMP, on=False)
        os.removexattr(f"{container.directory}/rootfs/img/attribute", "user.note")
        expected |= {"/img/later": "tampered", "/img/nodump": "touched",
                     "/img/attribute": "touched"}
        equal_within(lambda: depths(env.agent, container), lambda: expected, 5, "afterwards")
    finally:
        let_go(container)


suite.main(Environment)
