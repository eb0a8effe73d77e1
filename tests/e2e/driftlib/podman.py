# SPDX-License-Identifier: GPL-2.0-only
"""podman with a storage of its own, and its containers."""

import json
import os
import shutil

from . import image, process
from .control import Control
from .docker import path_of
from .suite import Skip, eventually

IMAGE = "localhost/dw/ops1:1"


class Podman:
    def __init__(self, suite, name="podman", mount_program=None):
        if not shutil.which("podman"):
            raise Skip("no podman")
        self.suite = suite
        self.mount_program = mount_program
        self.dir = suite.dir(name)
        self.containers = []
        self.environment = dict(os.environ, TMPDIR=suite.dir(name, "tmp"))
        suite.defer(self.close)
        self.run("load", "-i", image.archive(suite, "dw/ops1:1"))

    def command(self, *arguments):
        return ["podman", "--root", f"{self.dir}/root", "--runroot", f"{self.dir}/run",
                "--tmpdir", f"{self.dir}/libpod", "--cgroup-manager", "cgroupfs",
                "--runtime", "runc", "--events-backend", "file", "--storage-driver", "overlay",
                *(["--storage-opt", f"overlay.mount_program={self.mount_program}"]
                  if self.mount_program else []), *arguments]

    def run(self, *arguments):
        return process.checked(self.command(*arguments), env=self.environment)

    def start(self, *command, name=None, rm=False):
        """A running container; without a command it serves through .control."""
        control = None
        options = ["-d", "--network", "none", "--ulimit", "nofile=1024:1024",
                   "--ulimit", "nproc=1024:1024", "--security-opt", "seccomp=unconfined"]
        if not command:
            control = Control(os.path.join(self.dir, f"v{len(self.containers)}"))
            options += ["-v", f"{control.directory}:/vol"]
        options += ["--name", name] if name else []
        options += ["--rm"] if rm else []
        out = self.run("run", *options, IMAGE, *command)
        container = PodmanContainer(self, out.strip().splitlines()[-1], control)
        self.containers.append(container)
        if control:
            control.connect()
        return container

    def close(self):
        process.run(self.command("rm", "-a", "-f", "-t", "0"), env=self.environment)


class PodmanContainer:
    def __init__(self, podman, identifier, control):
        self.podman, self.id, self.control = podman, identifier, control

    def run(self, action, *arguments):
        return self.podman.run(action, *arguments)

    def inspect(self):
        return json.loads(self.run("inspect", self.id))[0]

    def wait(self):
        self.run("wait", self.id)

    def stop(self):
        self.run("stop", "-t", "0", self.id)

    def restart(self):
        self.run("start", self.id)
        if self.control:
            self.control.connect()

    def exec(self, *command):
        self.run("exec", self.id, *command)

    def remove(self):
        self.run("rm", "-f", "-t", "0", self.id)

    def upper(self):
        return self.inspect()["GraphDriver"]["Data"]["UpperDir"]

    def diff(self):
        """podman's own answer, which follows other rules than docker's."""
        out = self.run("diff", "--format", "json", self.id)
        letters = {"changed": "C", "added": "A", "deleted": "D"}
        lines = [f"{letters[key]} {path}" for key, paths in json.loads(out).items()
                 for path in paths]
        return sorted(lines, key=path_of)

    def gone(self, timeout=10):
        eventually(lambda: process.run(self.podman.command("container", "exists", self.id))
                   .returncode == 1, timeout, "podman removes it")
