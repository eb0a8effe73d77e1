#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
"""Real programs: what driftwatch lists of them is docker diff, while they run and after.

Package managers, databases, a compiler, git, archives, web servers' logs; Debian's own,
over an image that has some of their files already. Files that were rewritten as they
were are touched, by comparison of both layers' bytes from outside. The programs that
are heavy to install run only with DRIFTWATCH_TEST_FULL=1, which also makes all larger.
"""

import os
import shutil
import stat

from driftlib import debian
from driftlib.agent import Agent
from driftlib.docker import Docker
from driftlib.suite import FULL, Skip, Suite, check, check_equal, equal_within, eventually

WITHIN = 1.0
# program: what it needs on the machine
DEFAULT = {"install": "apt-get", "upgrade": "setcap", "downgrade": "dpkg", "sqlite": "sqlite3",
           "compile": "make", "git": "git", "unpack": "tar", "web": "busybox"}
HEAVY = {"postgres": "/usr/lib/postgresql", "nginx": "nginx"}

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        debian.load(self.docker, *((1500, 200) if FULL else (60, 12)))
        self.agent = Agent(s)

    def same(self, container, what="diff"):
        equal_within(lambda: self.agent.diff(container.id), container.diff, WITHIN, what)


def real_files(upper):
    """{path in the container: host path} of the layer's regular files."""
    found = {}
    for directory, _, names in os.walk(upper):
        for name in names:
            full = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(full).st_mode):
                found[full[len(upper):]] = full
    return found


def beneath(container, path):
    """The topmost lower layer's file of that name."""
    for lower in container.driver_data()["LowerDir"].split(":"):
        if os.path.lexists(lower + path):
            return lower + path
    return None


def user_attributes(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
            if not name.startswith(("trusted.overlay", "security.selinux"))}


def read(path):
    with open(path, "rb") as f:
        return f.read()


def silent_files(container):
    """{path: touched or tampered} of the files that docker diff does not show."""
    shown = {line[2:] for line in container.diff()}
    depths = {}
    for path, full in real_files(container.driver_data()["UpperDir"]).items():
        if path in shown:
            continue
        old = beneath(container, path)
        same = read(full) == read(old) and user_attributes(full) == user_attributes(old)
        depths[path] = "touched" if same else "tampered"
    return depths


def check_silent_files(env, container):
    def listed():
        return {f["path"]: f["depth"] for f in env.agent.files(container.id, "--all")["files"]
                if f["type"] == "file" and f.get("depth") in ("touched", "tampered")}
    equal_within(listed, lambda: silent_files(container), 10, "touched and tampered files")


def needs(what):
    if not (os.path.exists(what) if what.startswith("/") else shutil.which(what)):
        raise Skip(f"no {what}")


def check_program(env, name):
    container = debian.run(env.docker)
    container.control.send(f"sh exec /programs/{name}.sh >/vol/log 2>&1")
    for number in range(6 if FULL else 2):
        container.pause()
        env.same(container, f"paused, {number}")
        container.unpause()
    answer = container.control.answer()
    with open(f"{container.control.directory}/log", "rb") as f:
        check(answer.startswith("OK"), f"it failed: {f.read()[-300:]}")
    env.same(container, "at its end")
    check(container.diff(), "it changed nothing")
    check_silent_files(env, container)
    check(env.agent.files(container.id)["complete"], "not complete")
    container.remove()


def add(name, needed):
    def test(env):
        needs(needed)
        check_program(env, name)

    test.__name__ = f"{name}_is_listed_as_docker_diff_does"
    suite.test(test)


for one in {**DEFAULT, **HEAVY} if FULL else DEFAULT:
    add(one, {**DEFAULT, **HEAVY}[one])


@suite.test
def an_archive_unpacked_over_itself_touches_and_changes_nothing(env):
    container = debian.run(env.docker)
    container.control.ask("sh cd /srv && tar -xf tree.tar")
    env.same(container)
    check_equal(env.agent.diff(container.id), [], "diff")
    silent = silent_files(container)
    check_equal(set(silent.values()), {"touched"}, "depths by the layers' bytes")
    check_equal(len(silent), 61, "files unpacked")
    check_silent_files(env, container)


@suite.test
def a_byte_changed_behind_the_stat_is_tampered(env):
    container = debian.run(env.docker)
    container.control.ask("sh cd /srv && tar -xf tree.tar && cp -p tree/sub/file5 /tmp/keep && "
                          "printf X | dd of=tree/sub/file5 conv=notrunc 2>/dev/null && "
                          "touch -r /tmp/keep tree/sub/file5 && rm /tmp/keep && "
                          "touch -d @1735787045 /tmp")
    env.same(container)
    check("C /srv/tree/sub/file5" not in env.agent.diff(container.id), "docker's rule sees it")
    check_equal(silent_files(container).get("/srv/tree/sub/file5"), "tampered", "by its bytes")
    check_silent_files(env, container)


@suite.test
def many_programs_at_once_are_each_listed_right(env):
    names = [n for n in DEFAULT if shutil.which(DEFAULT[n])][:8 if FULL else 3]
    containers = {name: debian.run(env.docker) for name in names}
    for name, container in containers.items():
        container.control.send(f"sh exec /programs/{name}.sh >/vol/log 2>&1")
    for name, container in containers.items():
        check(container.control.answer().startswith("OK"), f"{name} failed")
    for name, container in containers.items():
        eventually(lambda c=container: env.agent.diff(c.id) == c.diff(), WITHIN, name)


suite.main(Environment)
