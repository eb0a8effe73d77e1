#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""driftwatch tail: what happens, as it happens, by whom; and its published schema."""

import glob
import json
import os
import subprocess

from driftlib.agent import PROGRAM, ROOT, Agent
from driftlib.docker import Docker
from driftlib.operations import TOLD
from driftlib.suite import Skip, Suite, check, check_equal, eventually

suite = Suite(__file__)
seen = []  # every event of every test, for the schema


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        self.agents = {t: Agent(s, "--tier", t, name=f"agent-{t}") for t in ("fs", "syscall")}
        self.agent = self.agents["fs"]

    def tail(self, container, *options, tier="fs"):
        """A tail of one container that is surely connected."""
        tail = self.agents[tier].tail(*options, *([container.id] if container else []))
        return tail


def is_probe(event):
    return "/probe" in (event.get("file", {}).get("path") or "")


def check_operation(env, tier, op):
    container = env.docker.run()
    tail = env.tail(container, tier=tier)
    try:
        tail.connected(container, "/img/d")
        env.agents[tier].diff(container.id)  # what the probes dirtied has been dealt with
        container.control.ask(f"op {op}")
        wanted, path = TOLD[op]
        event = tail.wait_for(lambda e: e["type"] == "drift" and e["file"]["path"] == path
                              and (wanted is None or e["op"] == wanted), 3,
                              lambda: f"{wanted} of {path} in {summary(tail)}")
        check_equal(event["container"]["id"], container.id, "container")
        check_equal(event["file"]["target"], "layer", "target")
        check(event["process"], "no process")
        check_equal(event["process"]["executable"], "/bin/ops", "executable")
        check(event["process"]["name"].startswith("iou-" if "uring" in op else "ops"),
              f"process name {event['process']['name']}")
        if op == "rename":
            check_equal(event["file"]["old_path"], "/img/f", "old path")
    finally:
        seen.extend(tail.read())
        tail.close()
        container.remove()


def summary(tail):
    return [(e.get("op"), e["file"]["path"]) for e in tail.read()
            if "file" in e and not is_probe(e)]


def add(tier, op):
    def test(env):
        check_operation(env, tier, op)

    test.__name__ = f"{tier}_{op}"
    suite.test(test)


for one_tier in ("fs", "syscall"):
    for one_op in TOLD:
        add(one_tier, one_op)


@suite.test
def no_operation_was_told_that_nobody_did(env):
    """/img/d is only ever copied up here; nobody renames or removes it."""
    wrong = [(e["op"], e["file"]["path"]) for e in seen if e["type"] == "drift"
             and e["file"]["path"] in ("/img", "/img/d") and e["op"] not in ("create", "write")]
    check_equal(wrong, [], "events of directories that were only copied up")


@suite.test
def derived_operations_are_marked_derived_where_the_tier_has_no_hook(env):
    marked = {}
    for event in seen:
        if event["type"] == "drift" and event["op"] == "chmod":
            marked.setdefault(event["derived"], 0)
    check(True in marked, "no derived chmod was seen in the file-system tier")


@suite.test
def one_line_per_change_of_state_and_one_per_burst_with_raw(env):
    container = env.docker.run()
    plain, raw = env.tail(container), env.tail(container, "--raw")
    for tail in (plain, raw):
        tail.connected(container, "/img/d")
    calls, written = container.control.load("write", "/img/burst", 2000)
    total = lambda: sum(e["bytes"] for e in raw.read() if e["type"] == "write"
                        and e["file"]["path"] == "/img/burst")
    eventually(lambda: total() >= written, 5, "the bursts add up to what was written")
    check_equal(total(), written, "bytes of the bursts")
    counts = sum(e["count"] for e in raw.read() if e["type"] == "write"
                 and e["file"]["path"] == "/img/burst")
    check_equal(counts, calls, "calls of the bursts")
    lines = [e for e in plain.read() if e.get("file", {}).get("path") == "/img/burst"]
    check(0 < len(lines) <= 4, f"{len(lines)} lines for one new file")
    for tail in (plain, raw):
        seen.extend(tail.read())
        tail.close()


@suite.test
def filters_by_operation_path_target_and_container(env):
    one, other = env.docker.run(name="filtered"), env.docker.run()
    tails = {"op": env.tail(one, "-e", "unlink"), "path": env.tail(one, "--path", "/img/d/*"),
             "volume": env.tail(one, "--target", "volume", tier="syscall"),
             "name": env.agent.tail("filtered"), "all": env.agent.tail()}
    tails["all"].connected(other, "/img/d")
    tails["name"].connected(one, "/img/d")
    tails["path"].connected(one, "/img/d")
    for c in (one, other):
        for op in ("creat", "unlink_image", "vol"):
            c.control.ask(f"op {op}")
    tails["op"].wait_for(lambda e: e["op"] == "unlink", 3, "the unlink")
    tails["path"].wait_for(lambda e: e["file"]["path"] == "/img/d/new", 3, "the path")
    tails["volume"].wait_for(lambda e: e["file"]["target"] == "volume"
                             and e["file"]["path"] == "/vol/n", 3, "the volume")
    tails["name"].wait_for(lambda e: e.get("op") == "unlink", 3, "by name")
    for c in (one, other):
        tails["all"].wait_for(lambda e, c=c: e["container"]["id"] == c.id
                              and e.get("op") == "unlink", 3, "all containers")
    check_equal({e["op"] for e in tails["op"].read()}, {"unlink"}, "operations by -e")
    check(all(e["file"]["path"].startswith("/img/d/") for e in tails["path"].read()
              if "file" in e), "a path that does not match")
    check_equal({e["file"]["target"] for e in tails["volume"].read() if "file" in e}, {"volume"},
                "targets")
    check_equal({e["container"]["id"] for e in tails["name"].read()}, {one.id}, "containers")
    check("volume" not in {e["file"]["target"] for e in tails["all"].read() if "file" in e},
          "a volume's event without being asked for")
    for tail in tails.values():
        seen.extend(tail.read())
        tail.close()


@suite.test
def execution_of_a_dropped_binary_is_critical(env):
    container = env.docker.run()
    tail = env.tail(container)
    tail.connected(container, "/img/d")
    container.control.ask("sh cp /bin/busybox /img/true && /img/true")
    event = tail.wait_for(lambda e: e.get("op") == "exec", 3, "the execution")
    check_equal(event["file"]["path"], "/img/true", "path")
    check_equal(event["severity"], "critical", "severity")
    seen.extend(tail.read())
    tail.close()


@suite.test
def containers_come_and_go_in_it(env):
    tail = env.agent.tail()
    sentinel = env.docker.run()
    tail.connected(sentinel, "/img/d")
    container = env.docker.run(["/bin/true"])
    container.wait()
    container.remove()
    for kind in ("container_start", "container_stop", "container_remove"):
        tail.wait_for(lambda e, k=kind: e["type"] == k and e["container"]["id"] == container.id,
                      10, kind)
    seen.extend(tail.read())
    tail.close()


@suite.test
def text_shows_one_line_per_event_with_control_bytes_escaped(env):
    container = env.docker.run()
    log = os.path.join(env.suite.tmp, "tail.txt")
    with open(log, "wb") as out:
        process = subprocess.Popen([PROGRAM, "tail", "--socket", env.agent.socket, container.id],
                                   stdout=out, stderr=subprocess.DEVNULL)
    try:
        def shown():
            container.control.try_("op badname")
            container.control.ask("sh rm -r /img/d/*")
            with open(log, "rb") as f:
                return b"line" in f.read()
        eventually(shown, 5, "the name is shown")
        with open(log, "rb") as f:
            text = f.read()
    finally:
        process.terminate()
        process.wait()
    bad = [b for b in text if b < 32 and b != 10 or b in (0x7f, 0xff)]
    check_equal(bad, [], "control bytes")
    check(b"line" in text and not any(li.startswith(b"line") for li in text.splitlines()),
          "a name broke the line")


@suite.test
def every_event_seen_here_fits_the_published_schema(env):
    schemas = {os.path.basename(p): load(p) for p in glob.glob(f"{ROOT}/scripts/schema/*.json")}
    check(schemas, "no schema in scripts/schema")
    event = next((s for n, s in schemas.items() if "event" in n), None)
    check(event, f"no schema of events among {sorted(schemas)}")
    validate(event, seen)
    container = env.docker.run()
    container.control.ask("op badname")
    container.control.ask("op rmtree_recreate")
    for word, answer in (("files", env.agent.files(container.id)),
                         ("ps", {"whole": json.loads(env.agent.output("ps", "-a", "-o", "json"))})):
        schema = next((s for n, s in schemas.items() if word in n), None)
        check(schema, f"no schema of {word} among {sorted(schemas)}")
        validate(schema, [answer.get("whole", answer)])


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def validate(schema, values):
    try:
        import jsonschema
    except ImportError:
        raise Skip("no python3-jsonschema") from None
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    check(values, "nothing to validate")
    for value in values:
        errors = [f"{list(e.path)}: {e.message}" for e in validator(schema).iter_errors(value)]
        check(not errors, f"{errors[:2]} in {json.dumps(value)[:300]}")


suite.main(Environment)
