#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Pods through containerd's CRI socket: Kubernetes names without an API server."""

from driftlib import truth
from driftlib.agent import Agent
from driftlib.containerd import Containerd
from driftlib.cri import Cri
from driftlib.suite import Suite, check, check_equal, equal_within, eventually

UID = "11111111-2222-3333-4444-55555555555"
suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.cri = Cri(Containerd(s))
        self.pod = self.cri.pod("shop", "web-7d4b9-x2x9k", UID + "1")
        self.early = self.start("nginx")
        self.early.control.ask("op rmtree_recreate")
        self.agent = Agent(s)

    def start(self, name, pod=None):
        container = (pod or self.pod).start(name)
        container.layers = truth.layers_of(container.pid())
        return container

    def same(self, container, timeout=1):
        equal_within(lambda: self.agent.diff(container.id),
                     lambda: truth.diff(*container.layers), timeout, "diff")


@suite.test
def a_container_older_than_the_agent(env):
    env.same(env.early)
    env.early.control.ask("op creat")
    env.same(env.early)


@suite.test
def a_pod_started_after_the_agent_has_its_kubernetes_names(env):
    pod = env.cri.pod("billing", "db-0", UID + "2")
    c = env.start("postgres", pod)
    c.control.ask("op creat_write")
    env.same(c)
    entry = env.agent.find(c.id)
    check(entry, "ps does not list it")
    check_equal((entry["k8s"]["namespace"], entry["k8s"]["pod"], entry["k8s"]["container"]),
                ("billing", "db-0", "postgres"), "identity")
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_container_written_bytes_total", namespace="billing",
                        pod="db-0", container="postgres", target="layer"), 100, "bytes")
    for ref in ("billing/db-0", "billing/db-0/postgres", "postgres"):
        check_equal(env.agent.diff(ref), env.agent.diff(c.id), f"diff of {ref}")


@suite.test
def sandboxes_are_hidden_by_default(env):
    check(env.agent.find(env.pod.id) is None, "ps shows the pause container")
    check(env.agent.find(env.pod.id, "-a"), "ps -a does not show it")
    check(env.agent.metrics().find("driftwatch_container_info",
                                   container_id=env.early.id[:12]), "no info metric")


@suite.test
def a_reference_to_a_pod_of_two_containers_is_ambiguous(env):
    c = env.start("sidecar")
    env.same(c)
    done = env.agent.client("diff", "shop/web-7d4b9-x2x9k")
    check_equal(done.returncode, 1, "exit")
    check(b"sidecar" in done.stderr and b"nginx" in done.stderr, "candidates not named")


@suite.test
def a_first_act_write_is_exact(env):
    c = env.pod.start("batch", "/bin/ops", "op", "creat_write")
    eventually(lambda: c.state() == 2, 10, "it ends")
    equal_within(lambda: env.agent.diff(c.id, "--no-runtime"),
                 lambda: ["C /img", "C /img/d", "A /img/d/new"], 1, "diff")
    m = env.agent.metrics()
    check_equal(m.of(c.id, "driftwatch_container_written_bytes_total", target="layer"), 100,
                "bytes")


@suite.test
def hostile_pod_names_neither_break_metrics_nor_json(env):
    name = 'q"uo\\te\nline\u202e\x1b[31m'
    c = env.start("sh", env.cri.pod("odd", name, UID + "3"))
    c.control.ask("op creat_write")
    env.same(c)
    check_equal(env.agent.find(c.id)["k8s"]["pod"], name, "pod in ps -o json")
    m = env.agent.metrics()
    check_equal(m.value("driftwatch_container_written_bytes_total", namespace="odd", pod=name,
                        target="layer"), 100, "bytes by the name as a label")
    for command in (["ps"], ["ps", "-o", "wide"]):
        text = env.agent.output(*command)
        check(b"\x1b" not in text and "\u202e".encode() not in text,
              "control characters of the name in ps")


@suite.test
def exec_stop_and_removal(env):
    c = env.start("lives")
    check_equal(c.exec("/bin/ops", "op", "creat_root"), 0, "exit of the exec")
    env.same(c)
    last = env.agent.diff(c.id)
    c.stop()
    check_equal(env.agent.diff(c.id), last, "diff after the stop")
    c.remove()
    check_equal(env.agent.diff(c.id), last, "diff after the removal")


suite.main(Environment)
