#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 1800
"""Docker on ext4, xfs and btrfs of their own, and on storage that is no overlay.

On ext4 and xfs lists are equal within a second, elsewhere as of a scan at most 10 s
old, and say so. DRIFTWATCH_TEST_FULL=1 runs the whole table of operations on each.
"""

import os
import time

from driftlib import loop, operations, process
from driftlib.agent import PROGRAM, Agent
from driftlib.docker import Docker
from driftlib.suite import FULL, Suite, check, check_equal, equal_within, eventually

TABLE = {name: lines for name, _, lines in operations.rows()}
SOME = """write odirect uring_write_sqpoll aio_write mmap_store ftruncate fallocate punch creat_write
 creat_unlink otmpfile_link mkdir_rmdir rmtree_recreate file_to_dir dir_to_symlink link_write_old
 rename rename_cross rename_over exchange_dirfile rename_newdir_write unlink_recreate
 recreate_identical write_restore_mtime chmod chown utimensat setxattr_cap acl many""".split()
# Its answer is an error on some file systems (no reflink, no collapse): docker decides.
KINDS = {
    "ext4": {"kind": "ext4", "megabytes": 300},
    "ext4_without_journal": {"kind": "ext4", "megabytes": 300,
                             "options": ["-O", "^has_journal", "-b", "1024"]},
    "xfs": {"kind": "xfs", "megabytes": 400},
    "btrfs": {"kind": "btrfs", "megabytes": 400},
    # No overlay: the container's directory, or subvolume, holds the image's files as well.
    "vfs_driver": {"kind": "ext4", "megabytes": 600},
    "btrfs_driver": {"kind": "btrfs", "megabytes": 400},
}
DRIVERS = {"vfs_driver": "vfs", "btrfs_driver": "btrfs"}
SCAN_SECONDS = 12

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.dockers = {}
        self.agent = Agent(s)
        self.syscall = Agent(s, "--tier", "syscall", name="agent-syscall")

    def docker(self, name):
        """dockerd with its data on that file system; made at its first use."""
        if name not in self.dockers:
            directory = loop.mount(self.suite, name=name, **KINDS[name])
            driver = DRIVERS.get(name, "overlay2")
            docker = Docker(self.suite, data_root=f"{directory}/docker", name=f"d-{name}",
                            options=["--storage-driver", driver])
            self.dockers[name] = docker
        return self.dockers[name]

    def within(self, name):
        """Seconds after which a list must be equal."""
        return SCAN_SECONDS if KINDS[name]["kind"] == "btrfs" else 1

    def counting(self, name):
        """The agents whose tier counts writes there."""
        return [self.syscall] if KINDS[name]["kind"] == "btrfs" else [self.agent, self.syscall]


def operations_on(name):
    if not FULL:
        # ext4 has the whole table in test_operations
        return SOME if name == "xfs" else SOME[::3] if name in DRIVERS else SOME[::2]
    return list(TABLE)


def check_operations(env, name):
    """Each operation in a container of its own where lists are live; else all at once."""
    docker, within, wrong = env.docker(name), env.within(name), []
    containers = []
    for op in operations_on(name):
        container = docker.run()
        container.control.try_(f"op {op}")
        containers.append((op, container))
        if within > 1 and len(containers) < 30:
            continue
        wrong += compare(env, containers, within)
        containers = []
    wrong += compare(env, containers, within)
    check(not wrong, f"{len(wrong)} operations differ, such as {wrong[:2]}")


def compare(env, containers, within):
    wrong = []
    for op, container in containers:
        try:
            # docker diff fails at paths beyond PATH_MAX: the table is the truth.
            truth = container.diff if op != "longpath" else lambda: TABLE["longpath"]
            equal_within(lambda c=container: env.agent.diff(c.id), truth, within, op)
        except Exception as e:
            wrong.append(str(e)[:300])
        container.remove()
    return wrong


def check_random(env, name):
    container = env.docker(name).run(layers=3)
    for seed in range(1 + FULL if env.within(name) > 1 else 6):
        container.control.ask(f"random {seed} 300 2")
        equal_within(lambda: env.agent.diff(container.id), container.diff, env.within(name),
                     f"seed {seed}")
    check(env.agent.files(container.id)["as_of"], "no as_of")
    is_labelled = bool(env.agent.find(container.id)["limits"])
    check_equal(is_labelled, KINDS[name]["kind"] == "btrfs", "said to be as of a scan")
    text = env.agent.output("verify", container.id).decode()
    check(f": equal of {len(container.diff())} lines" in text, f"verify says {text}")
    container.remove()


def check_bytes(env, name):
    """Counters of both tiers, where they can see this file system."""
    container = env.docker(name).run()
    truth = {kind: container.control.load(kind, f"/img/{kind}", 20)
             for kind in ("write", "unfaulted", "half", "direct", "limit")}
    for agent in env.counting(name):
        equal_within(lambda a=agent: counts(a, container), lambda: truth, env.within(name),
                     f"{agent.options or 'default tier'}: calls and bytes of each file")
    container.remove()


def counts(agent, container):
    """{name: (calls, bytes)} of the files directly under /img."""
    return {os.path.basename(f["path"]): (f["write_calls"], f["written_bytes"])
            for f in agent.files(container.id)["files"] if f["type"] == "file"}


def check_full(env, name):
    """Writes until ENOSPC: what was refused is not counted."""
    container = env.docker(name).run()
    calls, written = container.control.load("full", "/img/full", 5)
    for agent in env.counting(name):
        m = agent.metrics()
        got = tuple(m.of(container.id, f"driftwatch_container_{x}_total", target="layer")
                    for x in ("write_calls", "written_bytes"))
        check_equal(got, (calls, written), "calls and bytes")
    equal_within(lambda: env.agent.diff(container.id), container.diff, env.within(name), "diff")
    container.remove()


def add(name, part):
    def test(env):
        part(env, name)

    test.__name__ = f"{name}_{part.__name__.removeprefix('check_')}"
    suite.test(test)


PARTS = (check_operations, check_random, check_bytes, check_full)
for one in KINDS:
    for one_part in PARTS[:2] if one == "btrfs_driver" else PARTS:
        add(one, one_part)


@suite.test
def an_agent_that_adopts_pins_follows_the_first_layer_on_xfs(env):
    """What sees xfs is attached when a layer needs it, be it another agent's program."""
    docker, pins = env.docker("xfs"), f"/sys/fs/bpf/dw-test-xfs-{os.getpid()}"
    env.suite.defer(process.run, [PROGRAM, "agent", "--unpin", "--pin-dir", pins])
    agent = Agent(env.suite, "--pin-dir", pins, "--keep-pins", name="agent-pins")
    for _ in range(2):
        agent.stop()
        agent.start()
        container = docker.run()
        container.control.ask("op chmod")
        equal_within(lambda: agent.diff(container.id), lambda: ["C /img", "C /img/f"], 1, "diff")
        check_equal(agent.find(container.id)["limits"], None, "limits")
    agent.kill()
    container.control.ask("op unlink_image")
    agent.start()
    equal_within(lambda: agent.diff(container.id), container.diff, 1, "diff after a kill")


TOLD_ON_XFS = {  # what its own events lack, and what they tell of
    "mkdir_rmdir": [("mkdir", "/img/nd"), ("rmdir", "/img/nd")],
    "ftruncate": [("truncate", "/img/f")],
    "link": [("link", "/img/nhl")],
    ": > /img/one": [("create", "/img/one")],
    "ln /img/one /img/two": [("link", "/img/two")],
    "rm /img/nhl": [("unlink", "/img/nhl")],  # and nothing of the name that is left
    "rm /img/one": [("unlink", "/img/one")],
    "rmdir_image": [("rmdir", "/img/ed")],
    "creat_unlink": [("create", "/img/d/new"), ("write", "/img/d/new"), ("unlink", "/img/d/new")],
    "mkdir": [("mkdir", "/img/nd")],
}


@suite.test
def events_on_xfs_have_their_names_and_come_once(env):
    container, told = env.docker("xfs").run(), []
    tail = env.agent.tail(container.id)

    def counted():
        m = env.agent.metrics()
        return [m.of(container.id, "driftwatch_container_file_events_total", op=op)
                for op in ("mkdir", "rmdir", "unlink")]

    tail.connected(container)
    env.agent.diff(container.id)
    before = counted()
    for op, events in TOLD_ON_XFS.items():
        env.agent.diff(container.id)
        begin = len(tail.read())
        if op == "rm /img/nhl":
            time.sleep(2.2)  # so long a link explains what changes; no event tells of the end
        if " " in op:
            check_equal(container.exec("/bin/sh", "-c", op), 0, op)
        else:
            container.control.ask(f"op {op}")
        eventually(lambda n=begin, all_=events: len(tail.read()) >= n + len(all_), 3, op)
        env.agent.diff(container.id)
        told.append([(e["op"], e["file"]["path"]) for e in tail.read()[begin:]])
    tail.close()
    check_equal(told, list(TOLD_ON_XFS.values()), "events")
    check_equal([now - then for now, then in zip(counted(), before)], [2, 2, 3],
                "mkdir, rmdir, unlink counted")


@suite.test
def btrfs_driver_bytes_are_counted_by_cgroup(env):
    container = env.docker("btrfs_driver").run()
    # No inode tells whose its bytes are: they count from when its cgroup is known.
    eventually(lambda: env.syscall.find(container.id), 5, "ps lists it")
    _, written = container.control.load("write", "/img/plain", 100)
    equal_within(lambda: env.syscall.metrics().of(
        container.id, "driftwatch_container_written_bytes_total", target="other"),
        lambda: written, 2, "bytes of target other")


suite.main(Environment)
