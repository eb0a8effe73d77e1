#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A real Prometheus scrapes a real agent while real containers write."""

import gzip
import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.parse

from driftlib import process
from driftlib.agent import Agent
from driftlib.docker import Docker
from driftlib.metrics import Metrics
from driftlib.suite import Skip, Suite, check, check_equal, equal_within, eventually

SCRAPES = 10000
SCRAPE_SECONDS = 150
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

CONFIG = """global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
- job_name: driftwatch
  honor_labels: true
  static_configs:
  - targets: ['127.0.0.1:{port}']
"""

suite = Suite(__file__)


class Prometheus:
    def __init__(self, s, agent_port):
        if not shutil.which("prometheus"):
            raise Skip("no prometheus")
        directory = s.dir("prometheus")
        self.port = process.free_port()
        config = os.path.join(directory, "config.yml")
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=agent_port))
        self.daemon = process.Daemon(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"], os.path.join(directory, "log"))
        s.defer(self.daemon.stop)
        eventually(self.is_ready, 30, "prometheus is ready")

    def is_ready(self):
        try:
            return self.get("/-/ready", text=True)
        except OSError:
            return False

    def get(self, path, text=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if text:
            return response.status == 200
        return json.loads(body)["data"]

    def query(self, expression):
        """The one value of an instant query, None when there is none."""
        result = self.get("/api/v1/query?query=" + urllib.parse.quote(expression))["result"]
        return float(result[0]["value"][1]) if len(result) == 1 else None


class Environment:
    def __init__(self, s):
        self.docker = Docker(s)
        self.docker.ops_image()
        self.agent = Agent(s)
        self.prometheus = Prometheus(s, self.agent.port)


@suite.test
def its_query_api_gives_the_very_numbers_that_were_written(env):
    containers = [env.docker.run(name=f"writer{n}") for n in range(3)]
    truth = [c.control.load("write", "/img/load", 400 + 100 * n)
             for n, c in enumerate(containers)]
    containers[0].control.ask("op rmtree_recreate")
    for c, (calls, written) in zip(containers, truth):
        labels = f'container_id="{c.id[:12]}",target="layer"'
        for name, value in (("write_calls", calls), ("written_bytes", written)):
            equal_within(lambda n=name, la=labels: env.prometheus.query(
                f"driftwatch_container_{n}_total{{{la}}}"), lambda v=value: v, 10, name)
    deleted = 'driftwatch_container_drift_files{container="writer0",change="deleted"}'
    equal_within(lambda: env.prometheus.query(deleted), lambda: 2, 10, "drift_files")
    total = "sum(driftwatch_container_written_bytes_total{container=~'writer.',target='layer'})"
    equal_within(lambda: env.prometheus.query(total), lambda: sum(w for _, w in truth), 10, "sum")


@suite.test
def the_target_is_up_without_an_error(env):
    equal_within(lambda: [(t["health"], t["lastError"]) for t in
                          env.prometheus.get("/api/v1/targets")["activeTargets"]],
                 lambda: [("up", "")], 10, "targets")


@suite.test
def promtool_finds_nothing_to_complain_about(env):
    body = env.agent.get("/metrics")[2]
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True,
                          check=False)
    check_equal(done.returncode, 0, f"promtool says {(done.stdout + done.stderr).decode()[:500]}")


@suite.test
def ten_thousand_scrapes_under_load_never_show_a_counter_decrease(env):
    # Light in weight: what is tested is the numbers, not who gets the processor.
    containers = [env.docker.run(host={"CpuShares": 32}) for _ in range(3)]
    for n, c in enumerate(containers):
        c.control.ask(f"start random {n} 100000000 1")
        c.control.ask("start load tiny /img/tiny 4000000000")
    done = scrape_and_compare(env, SCRAPES, SCRAPE_SECONDS)
    for c in containers:
        c.remove()
    check_equal(done, SCRAPES, f"scrapes within {SCRAPE_SECONDS} s")


def scrape_and_compare(env, wanted, seconds):
    """Alternately in both formats, over a connection that is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", env.agent.port, timeout=20)
    formats = [{}, {"Accept": OPENMETRICS}]
    highest, end, n = {}, time.monotonic() + seconds, 0
    while n < wanted and time.monotonic() < end:
        connection.request("GET", "/metrics", headers=formats[n % 2])
        response = connection.getresponse()
        body = response.read().decode()
        check_equal(response.status, 200, "status")
        n += 1
        for line in body.splitlines():
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0].endswith("_total"):
                value = float(value)
                if value < highest.get(series, 0):
                    check(False, f"scrape {n}: {series} fell from {highest[series]} to {value}")
                highest[series] = value
    connection.close()
    grown = sum(v > 0 for s, v in highest.items() if "written_bytes" in s)
    check(grown >= 3, "the load was not seen")
    return n


@suite.test
def both_formats_and_gzip_are_negotiated(env):
    status, headers, plain = env.agent.get("/metrics")
    check_equal(status, 200, "status")
    check(headers["Content-Type"].startswith("text/plain; version=0.0.4"),
          headers["Content-Type"])
    check(b"# EOF" not in plain, "text 0.0.4 ends like OpenMetrics")
    _, headers, om = env.agent.get("/metrics", {"Accept": OPENMETRICS})
    check(headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"),
          headers["Content-Type"])
    check(om.endswith(b"# EOF\n"), "OpenMetrics without # EOF")
    _, headers, packed = env.agent.get("/metrics", {"Accept-Encoding": "gzip"})
    check_equal(headers["Content-Encoding"], "gzip", "encoding")
    check(len(packed) < len(plain), "gzip makes it no smaller")
    Metrics(gzip.decompress(packed).decode())
    check_equal(set(Metrics(plain.decode()).types), set(
        Metrics(env.agent.get("/metrics", tcp=False)[2].decode()).types), "on the socket")


@suite.test
def no_timestamps_no_exemplars_and_no_path_in_text_0_0_4(env):
    text = env.agent.get("/metrics")[2].decode()
    metrics = Metrics(text)  # refuses anything after the value
    check(" # {" not in text, "an exemplar")
    labels = {name for key in metrics.samples for name, _ in key[1]}
    check_equal(sorted(labels & {"path", "file", "executable"}), [], "labels")


@suite.test
def other_endpoints_answer_as_documented(env):
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/", 200), ("/nothing", 404),
                         ("/api/v1/containers", 404), ("/api/v1/events", 404)):
        check_equal(env.agent.get(path)[0], status, f"status of {path} over TCP")
    check_equal(env.agent.get("/api/v1/containers", tcp=False)[0], 200, "on the socket")
    connection = http.client.HTTPConnection("127.0.0.1", env.agent.port, timeout=10)
    connection.request("POST", "/metrics")
    check_equal(connection.getresponse().status, 405, "status of POST /metrics")
    connection.close()


@suite.test
def the_metrics_command_prints_a_scrape(env):
    text = env.agent.output("metrics").decode()
    check(Metrics(text).value("driftwatch_container_complete",
                              container="writer0") == 1, "a container is missing")


suite.main(Environment)
