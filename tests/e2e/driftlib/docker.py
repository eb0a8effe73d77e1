# SPDX-License-Identifier: GPL-2.0-only
"""A dockerd of our own, spoken to through its socket."""

import http.client
import itertools
import json
import os
import shutil
import socket

from . import image
from .control import Control
from .process import Daemon
from .suite import Failure, Skip, eventually

API = "/v1.41"
KINDS = {0: "C", 1: "A", 2: "D"}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=300):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Docker:
    """dockerd with any --data-root; stops and leaves nothing behind with the suite."""

    def __init__(self, suite, data_root=None, name="docker", options=()):
        if not shutil.which("dockerd"):
            raise Skip("no dockerd")
        self.suite = suite
        self.dir = suite.dir(name)
        self.data_root = data_root or suite.dir(name, "data root")
        self.exec_root = os.path.join(self.dir, "x")
        self.socket = os.path.join(self.dir, "d.sock")
        self.options = list(options)
        self.containers = []
        self.numbers = itertools.count(1)
        self.daemon = None
        self.start()
        suite.defer(self.stop)

    def start(self):
        self.daemon = Daemon(
            ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
             "--default-ulimit", "nofile=1024:1024", "--data-root", self.data_root,
             "--exec-root", self.exec_root, "-p", os.path.join(self.dir, "pid"),
             "-H", f"unix://{self.socket}", *self.options], os.path.join(self.dir, "log"))
        eventually(self.answers, 30, "dockerd answers")

    def answers(self):
        if not self.daemon.running():
            raise RuntimeError("dockerd ended: " + self.daemon.tail())
        try:
            return self.request("GET", "/_ping", raw=True)
        except OSError:
            return False

    def stop(self):
        for container in list(self.containers):
            try:
                container.remove()
            except (Failure, OSError, http.client.HTTPException):
                pass
        self.daemon.stop()

    def request(self, method, path, body=None, raw=False, file=None):
        """JSON in, JSON out. Failure for an HTTP error."""
        connection = UnixConnection(self.socket)
        headers = {"Content-Type": "application/x-tar" if file else "application/json"}
        data = file or (json.dumps(body) if body is not None else None)
        try:
            connection.request(method, API + path, data, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise Failure(f"docker {method} {path}: {response.status} {content.decode()[:300]}")
        if raw:
            return content
        return json.loads(content) if content else None

    def load(self, path):
        with open(path, "rb") as f:
            answer = self.request("POST", "/images/load", file=f, raw=True)
        if b"error" in answer:
            raise RuntimeError(answer.decode())

    def ops_image(self, layers=1):
        """The test image with so many layers, loaded once. Returns its name."""
        name = f"dw/ops{layers}:1"
        path = os.path.join(self.suite.tmp, f"image-{layers}.tar")
        marker = os.path.join(self.dir, f"loaded-{layers}")
        if not os.path.exists(marker):
            self.load(path if os.path.exists(path) else image.archive(self.suite, name, layers))
            with open(marker, "w", encoding="ascii"):
                pass
        return name

    def create(self, command=None, layers=1, name=None, binds=(), host=None, **config):
        """A container, not started. Without a command it serves through .control."""
        number = next(self.numbers)
        control = None
        host_config = {"NetworkMode": "none", "Binds": list(binds),
                       "CapAdd": ["SYS_ADMIN", "SYS_PTRACE", "LINUX_IMMUTABLE"],
                       "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"]}
        if command is None:
            control = Control(os.path.join(self.dir, f"v{number}"))
            host_config["Binds"].append(f"{control.directory}:/vol")
        host_config.update(host or {})
        body = {"Image": self.ops_image(layers), "HostConfig": host_config, **config}
        if command is not None:
            body["Cmd"] = command
        answer = self.request("POST", "/containers/create" + (f"?name={name}" if name else ""),
                              body)
        container = Container(self, answer["Id"], control)
        self.containers.append(container)
        return container

    def run(self, *args, **options):
        """create and start."""
        container = self.create(*args, **options)
        container.start()
        return container


class Container:
    def __init__(self, docker, identifier, control):
        self.docker, self.id, self.control = docker, identifier, control
        self.exec_pid = None

    def _post(self, action, **options):
        return self.docker.request("POST", f"/containers/{self.id}/{action}", **options)

    def start(self):
        self._post("start")
        if self.control:
            self.control.connect()

    def stop(self, seconds=0):
        self._post(f"stop?t={seconds}")

    def kill(self):
        self._post("kill")

    def pause(self):
        """The freezer of cgroup v1 may give up on a busy container: asked again."""
        eventually(self._try_pause, 20, "docker pauses it")

    def _try_pause(self):
        self._post("pause")
        return True

    def unpause(self):
        self._post("unpause")

    def rename(self, name):
        self._post(f"rename?name={name}")

    def wait(self):
        """Until it has ended; returns its exit status."""
        return self._post("wait")["StatusCode"]

    def exists(self):
        return any(c["Id"] == self.id for c in
                   self.docker.request("GET", "/containers/json?all=1"))

    def inspect(self):
        return self.docker.request("GET", f"/containers/{self.id}/json")

    def pid(self):
        return self.inspect()["State"]["Pid"]

    def driver_data(self):
        """UpperDir, MergedDir, LowerDir, WorkDir."""
        return self.inspect()["GraphDriver"]["Data"]

    def diff(self):
        """docker diff's lines, sorted by path."""
        changes = self.docker.request("GET", f"/containers/{self.id}/changes") or []
        return sorted((f"{KINDS[c['Kind']]} {c['Path']}" for c in changes), key=path_of)

    def exec(self, *command, user=""):
        """Run a command in it and wait. Returns its exit status; .exec_pid is the host's number."""
        made = self._post("exec", body={"Cmd": list(command), "User": user,
                                        "AttachStdout": True, "AttachStderr": True})
        self.docker.request("POST", f"/exec/{made['Id']}/start", {"Detach": False}, raw=True)
        done = self.docker.request("GET", f"/exec/{made['Id']}/json")
        self.exec_pid = done["Pid"]
        return done["ExitCode"]

    def put_archive(self, path, tar):
        """docker cp into the container."""
        self.docker.request("PUT", f"/containers/{self.id}/archive?path={path}", file=tar)

    def remove(self):
        if self.control:
            self.control.close()
        if self in self.docker.containers:
            self.docker.containers.remove(self)
        try:
            self.docker.request("DELETE", f"/containers/{self.id}?force=1&v=1")
        except Failure as e:
            if "is not running" not in str(e):
                raise
            # It ended by itself while it was being killed, which is an error to dockerd.
            self.docker.request("DELETE", f"/containers/{self.id}?force=1&v=1")


def path_of(line):
    """Sort key of an 'A /path' line: the bytes of its path."""
    return line[2:].encode(errors="surrogateescape")
