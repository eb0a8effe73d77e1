#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
"""Docker: every way a container lives and every way its layer is written.

The truth is docker diff and what the workload is known to have written.
"""

import io
import os
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor

from driftlib import process
from driftlib.agent import PROGRAM, Agent
from driftlib.docker import Docker
from driftlib.suite import (FULL, Failure, Suite, check, check_equal, equal_within, eventually)

suite = Suite(__file__)
CREAT_WRITE = ["/bin/ops", "op", "creat_write"]  # one call, 100 bytes
CREAT_WRITE_DIFF = ["C /img", "C /img/d", "A /img/d/new"]


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.never_started = self.docker.create(CREAT_WRITE)
        self.exited = self.docker.run(["/bin/ops", "op", "rmtree_recreate"])
        self.exited.wait()
        self.early = self.docker.run(name="early")
        self.early.control.ask("op file_to_dir")
        self.early.control.ask("op creat_write")
        self.agent = Agent(s, "--dead-retention", "60s")

    def same(self, container, timeout=1):
        """driftwatch diff is docker diff, within a second."""
        equal_within(lambda: self.agent.diff(container.id), container.diff, timeout, "diff")

    def layer_counters(self, container):
        """(calls, bytes) of the container's layer."""
        m = self.agent.metrics()
        return tuple(m.of(container.id, f"driftwatch_container_{name}_total", target="layer")
                     for name in ("write_calls", "written_bytes"))


@suite.test
def a_container_older_than_the_agent_is_complete_and_live(env):
    env.same(env.early)
    check("C /img/f" in env.agent.diff(env.early.id), "what it wrote before the agent is missing")
    env.early.control.ask("op chmod_dir")
    env.same(env.early)
    check(env.agent.files(env.early.id)["complete"] is True, "not complete")


@suite.test
def a_container_that_exited_before_the_agent_started_is_listed(env):
    env.same(env.exited)
    check("D /img/d/sub" in env.agent.diff(env.exited.id), "its deletions are missing")
    check(env.agent.find(env.exited.id) is None, "ps shows it without -a")
    check(env.agent.find(env.exited.id, "-a"), "ps -a does not show it")


@suite.test
def a_container_that_never_ran_is_listed_empty_and_followed_when_it_does(env):
    check_equal(env.agent.diff(env.never_started.id), [], "diff")
    env.never_started.start()
    env.never_started.wait()
    env.same(env.never_started)


@suite.test
def a_write_as_the_very_first_act_is_listed_counted_and_attributed(env):
    c = env.docker.run(CREAT_WRITE)
    c.wait()
    env.same(c)
    check_equal(env.agent.diff(c.id), CREAT_WRITE_DIFF, "diff")
    check_equal(env.layer_counters(c), (1, 100), "calls and bytes")
    entry = env.agent.file(c.id, "/img/d/new")
    check_equal((entry["change"], entry["size"], entry["written_bytes"], entry["write_calls"]),
                ("added", 100, 100, 1), "files' entry")
    writer = entry["first_writer"]
    check_equal((writer["comm"], writer["executable"]), ("ops", "/bin/ops"), "writer")


@suite.test
def short_containers_in_a_row_are_each_exact(env):
    count = 200 if FULL else 45

    def live(_):
        c = env.docker.create(CREAT_WRITE)
        c.start()
        c.wait()
        return c

    with ThreadPoolExecutor(2) as pool:
        containers = list(pool.map(live, range(count)))
        wrong = [c.id[:12] for c in containers
                 if not env.agent.diff(c.id) == c.diff() == CREAT_WRITE_DIFF]
        metrics = env.agent.metrics()
        miscounted = [
            c.id[:12] for c in containers
            if metrics.of(c.id, "driftwatch_container_written_bytes_total", target="layer") != 100
            or metrics.of(c.id, "driftwatch_container_write_calls_total", target="layer") != 1]
        list(pool.map(lambda c: c.remove(), containers))
    check(not wrong, f"{len(wrong)} of {count} lists are wrong, such as {wrong[:3]}")
    check(not miscounted, f"{len(miscounted)} of {count} are miscounted, such as {miscounted[:3]}")


@suite.test
def containers_that_docker_removed_at_once_keep_what_they_wrote(env):
    containers = [env.docker.run(CREAT_WRITE, host={"AutoRemove": True})
                  for _ in range(40 if FULL else 12)]
    for c in containers:
        eventually(lambda c=c: is_removed(c), 20, "docker removes it")
        env.docker.containers.remove(c)
    for c in containers:
        equal_within(lambda c=c: env.agent.diff(c.id), lambda: CREAT_WRITE_DIFF, 2, "diff")
        check_equal(env.layer_counters(c), (1, 100), "calls and bytes")


def is_removed(container):
    try:
        container.inspect()
        return False
    except Failure:
        return True


@suite.test
def exec_writes_are_the_containers(env):
    c = env.docker.run()
    check_equal(c.exec("/bin/ops", "op", "append"), 0, "exit of the exec")
    env.same(c)
    check_equal(env.layer_counters(c), (1, 50), "calls and bytes")
    check_equal(env.agent.file(c.id, "/img/f")["first_writer"]["executable"], "/bin/ops", "writer")


@suite.test
def a_restart_keeps_the_list_and_goes_on_counting(env):
    c = env.docker.run()
    c.control.ask("op creat_write")
    before = env.agent.diff(c.id)
    c.stop()
    env.same(c)
    check_equal(env.agent.diff(c.id), before, "diff of the stopped container")
    for _ in range(2):
        c.start()
        c.control.ask("op append")
        env.same(c)
        c.stop()
    check_equal(env.layer_counters(c), (3, 200), "calls and bytes over three lives")


@suite.test
def a_paused_container_equals_docker_diff(env):
    c = env.docker.run()
    c.control.send("random 77 400 2")
    c.pause()
    env.same(c)
    c.unpause()
    c.control.answer()
    env.same(c)


@suite.test
def a_removed_container_stays_for_the_retention_and_then_leaves(env):
    agent = Agent(env.suite, "--dead-retention", "3s", name="short-memory")
    c = env.docker.run()
    c.control.ask("op creat_write")
    equal_within(lambda: agent.diff(c.id), lambda: CREAT_WRITE_DIFF, 1, "diff")
    c.remove()
    check_equal(agent.diff(c.id), CREAT_WRITE_DIFF, "diff just after the removal")
    check(agent.metrics().find("driftwatch_container_drift_files", container_id=c.id[:12]),
          "its metrics went at once")
    eventually(lambda: agent.client("diff", c.id).returncode == 1, 15, "forgotten")
    eventually(lambda: not [k for k in agent.metrics().samples
                            if ("container_id", c.id[:12]) in k[1]], 5, "metrics gone")
    check_equal(agent.stop(), 0, "exit of the agent")


@suite.test
def a_container_is_found_by_id_prefix_and_names_old_and_new(env):
    c = env.docker.run(name="calculating")
    c.control.ask("op creat_write")
    env.same(c)
    for ref in (c.id, c.id[:12], c.id[:20], "calculating", "calculat*"):
        check_equal(env.agent.diff(ref), CREAT_WRITE_DIFF, f"diff of {ref}")
    c.rename("renamed")
    eventually(lambda: env.agent.client("diff", "renamed").returncode == 0, 5, "the new name")
    check_equal(env.agent.diff("renamed"), CREAT_WRITE_DIFF, "diff by the new name")
    check_equal(env.agent.client("diff", "calculating").returncode, 1, "exit for the old name")


@suite.test
def unknown_and_ambiguous_references_name_candidates(env):
    env.docker.run(name="twin-one")
    env.docker.run(name="twin-two")
    eventually(lambda: env.agent.client("diff", "twin-two").returncode == 0, 5, "both known")
    done = env.agent.client("diff", "twin-*")
    check_equal(done.returncode, 1, "exit")
    check(b"twin-one" in done.stderr and b"twin-two" in done.stderr, "candidates not named")
    done = env.agent.client("diff", "no-such-container")
    check_equal((done.returncode, done.stdout), (1, b""), "exit and stdout")
    check(b"no-such-container" in done.stderr, "the reference is not named")


@suite.test
def docker_cp_is_drift(env):
    c = env.docker.run()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("copied")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    c.put_archive("/img", buffer.getvalue())
    env.same(c)
    check_equal(env.agent.diff(c.id), ["C /img", "A /img/copied"], "diff")


@suite.test
def a_passed_descriptor_charges_the_layer_and_names_the_writer(env):
    shared = env.suite.dir("shared")
    owner = env.docker.run(binds=[f"{shared}:/tmp"])
    writer = env.docker.run(binds=[f"{shared}:/tmp"])
    writer.control.send("take /tmp/hand.sock")
    eventually(lambda: os.path.exists(f"{shared}/hand.sock"), 5, "the taker listens")
    owner.control.ask("pass /tmp/hand.sock /img/f")
    check(writer.control.answer().startswith("OK"), "the write failed")
    env.same(owner)
    check_equal(env.agent.diff(owner.id), ["C /img", "C /img/f"], "diff of the owner")
    check_equal(env.agent.diff(writer.id), [], "diff of the writer")
    check_equal(env.layer_counters(owner), (1, 10), "owner's calls and bytes")
    check_equal(env.layer_counters(writer)[1], 0, "writer's bytes")
    check_equal(env.agent.file(owner.id, "/img/f")["last_writer"]["pid"], writer.pid(), "writer")


@suite.test
def host_writes_into_a_running_container_are_its_drift(env):
    c = env.docker.run()
    data = c.driver_data()
    with open(data["MergedDir"] + "/img/merged", "w", encoding="ascii") as f:
        f.write("m")
    with open(f"/proc/{c.pid()}/root/img/proc", "w", encoding="ascii") as f:
        f.write("p")
    with open(data["UpperDir"] + "/straight", "w", encoding="ascii") as f:
        f.write("u")
    process.checked(["nsenter", "-t", str(c.pid()), "-m", "/bin/ops", "op", "append"])
    env.same(c)
    check_equal(env.agent.diff(c.id), ["C /img", "C /img/f", "A /img/merged", "A /img/proc",
                                       "A /straight"], "diff")


@suite.test
def a_process_in_a_child_cgroup_is_still_the_containers(env):
    c = env.docker.run()
    with open(f"/proc/{c.pid()}/cgroup", encoding="ascii") as f:
        path = next(line.split("::", 1)[1].strip() for line in f if line.startswith("0::"))
    unified = "/sys/fs/cgroup/unified"
    child = (unified if os.path.isdir(unified) else "/sys/fs/cgroup") + path + "/child"
    os.mkdir(child)
    try:
        process.checked(["sh", "-c", f"echo $$ > {child}/cgroup.procs && "
                         f"exec nsenter -t {c.pid()} -m /bin/ops op creat_write"])
    finally:
        eventually(lambda: not os.path.exists(child) or removed(child), 5, "the cgroup goes")
    env.same(c)
    check_equal(env.agent.diff(c.id), CREAT_WRITE_DIFF, "diff")
    check_equal(env.layer_counters(c), (1, 100), "calls and bytes")


def removed(directory):
    try:
        os.rmdir(directory)
        return True
    except OSError:
        return False


@suite.test
def touched_and_tampered_files_are_findings_and_not_drift(env):
    c = env.docker.run()
    c.control.ask("op write_restore_mtime")
    c.control.ask("sh exec 3<>/img/f2")
    env.same(c)
    check_equal(env.agent.diff(c.id), [], "diff")
    check_equal(env.agent.files(c.id)["files"], [], "files")
    found = lambda: {f["path"]: f["depth"] for f in env.agent.files(c.id, "--all")["files"]
                     if f["type"] == "file"}
    equal_within(found, lambda: {"/img/f": "tampered", "/img/f2": "touched"}, 5, "files --all")


@suite.test
def volumes_and_tmpfs_are_no_drift_but_their_mount_points_are(env):
    volume = env.suite.dir("volume")
    c = env.docker.run(binds=[f"{volume}:/new/volume", "named:/named"],
                       host={"Tmpfs": {"/img/ed": "", "/newtmp": ""}})
    c.control.ask("sh for d in /new/volume /named /img/ed /newtmp /dev/shm /vol; "
                  "do echo x > $d/file; done")
    c.control.ask("op etc_hosts")
    env.same(c)
    check_equal(env.agent.diff(c.id), ["A /named", "A /new", "A /new/volume", "A /newtmp"], "diff")
    check_equal(env.agent.diff(c.id, "--no-runtime"), [], "diff without the runtime's own")
    classes = {f["path"]: f["class"] for f in env.agent.files(c.id)["files"]}
    check_equal(classes.get("/newtmp"), "runtime", "class of a mount point")
    check_equal(env.layer_counters(c)[1], 0, "bytes of the layer")


@suite.test
def a_read_only_root_has_no_drift(env):
    c = env.docker.run(host={"ReadonlyRootfs": True})
    check(c.control.try_("op creat_write").startswith("ERR"), "the root is not read-only")
    c.control.ask("op vol")
    env.same(c)
    check_equal(env.agent.diff(c.id), [], "diff")


@suite.test
def ps_tells_who_the_container_is_and_how_far_it_drifted(env):
    c = env.docker.run(name="counted")
    c.control.ask("op rmtree_recreate")
    env.same(c)
    entry = env.agent.find(c.id)
    check(entry, "ps does not list it")
    check_equal((entry["name"], entry["runtime"], entry["state"]),
                ("counted", "docker", "running"), "identity")
    check("dw/ops1:1" in str(entry["image"]), f"image: {entry['image']}")
    m = env.agent.metrics()
    drift = {change: m.of(c.id, "driftwatch_container_drift_files", change=change)
             for change in ("added", "modified", "deleted")}
    check_equal(drift, {"added": 1, "modified": 3, "deleted": 2}, "drift_files")
    check_equal(m.of(c.id, "driftwatch_container_complete"), 1, "complete")


@suite.test
def diff_says_by_its_exit_code_what_scripts_ask_for(env):
    clean, drifted = env.docker.run(), env.docker.run()
    drifted.control.ask("op creat")
    env.same(drifted)
    check_equal(env.agent.client("diff", drifted.id).returncode, 0, "exit with drift")
    check_equal(env.agent.client("diff", "--exit-code", drifted.id).returncode, 3, "--exit-code")
    check_equal(env.agent.client("diff", "--exit-code", clean.id).returncode, 0, "no drift")


@suite.test
def diff_prints_exactly_what_the_docker_command_prints(env):
    c = env.docker.run()
    c.control.ask("random 5 300 1")
    env.same(c)
    theirs = subprocess.run(["docker", "-H", f"unix://{env.docker.socket}", "diff", c.id],
                            capture_output=True, check=True).stdout.splitlines()
    ours = env.agent.output("diff", c.id).splitlines()
    check_equal(ours, sorted(theirs, key=lambda line: line[2:]), "lines")


@suite.test
def diff_scan_needs_no_agent(env):
    c = env.docker.run()
    c.control.ask("random 6 300 2")
    done = process.run([PROGRAM, "diff", "--scan", c.id, "--socket", "/nonexistent/socket"])
    check_equal(done.returncode, 0, f"exit ({done.stderr.decode(errors='replace')[:200]})")
    check_equal(done.stdout.decode(errors="replace").splitlines(), c.diff(), "diff")


@suite.test
def a_docker_that_starts_after_the_agent_is_found_without_flags(env):
    other = Docker(env.suite, name="later", data_root=env.suite.dir("elsewhere", "deep root"))
    c = other.run(CREAT_WRITE)
    c.wait()
    equal_within(lambda: env.agent.diff(c.id), c.diff, 1, "diff of its first container")
    check_equal(env.layer_counters(c), (1, 100), "calls and bytes")


suite.main(Environment)
