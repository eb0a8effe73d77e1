# SPDX-License-Identifier: GPL-2.0-only
"""runc alone: a bundle, its root an overlay mounted by hand or a plain directory."""

import json
import os
import shutil
import subprocess
import tarfile

from . import image, process
from .control import Control
from .suite import Skip, eventually


class Runc:
    def __init__(self, suite, name="runc"):
        if not shutil.which("runc"):
            raise Skip("no runc")
        self.suite = suite
        self.dir = suite.dir(name)
        self.root = os.path.join(self.dir, "state")
        self.lower = suite.dir(name, "lower")
        self.containers = []
        layer = os.path.join(self.dir, "layer.tar")
        with open(layer, "wb") as f:
            f.write(image.base_layer(image.build_ops(suite.tmp)))
        with tarfile.open(layer) as tar:
            tar.extractall(self.lower)
        suite.defer(self.close)

    def run(self, *arguments):
        return process.checked(["runc", "--root", self.root, *arguments])

    def bundle(self, name, plain):
        """A root and its config. With a .control."""
        directory = self.suite.dir("runc", name)
        if plain:
            process.checked(["cp", "-a", self.lower, f"{directory}/rootfs"])
        else:
            self.mount(directory)
        process.checked(["runc", "spec", "--bundle", directory])
        control = Control(os.path.join(directory, "vol"))
        config_path = os.path.join(directory, "config.json")
        with open(config_path, encoding="utf-8") as f:
            config = json.load(f)
        config["process"].update(terminal=False, args=["/bin/ops", "serve", "/vol/ctl.sock"])
        config["root"]["readonly"] = False
        config["mounts"].append({"destination": "/vol", "type": "bind",
                                 "source": control.directory, "options": ["rbind", "rw"]})
        with open(config_path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        return directory, control

    def mount(self, directory):
        """An overlay over the lower directory."""
        for part in ("upper", "work", "rootfs"):
            os.makedirs(os.path.join(directory, part))
        options = f"lowerdir={self.lower},upperdir={directory}/upper,workdir={directory}/work"
        process.checked(["mount", "-t", "overlay", "-o", options, "none", f"{directory}/rootfs"])

    def start(self, name, plain=False):
        directory, control = self.bundle(name, plain)
        container = RuncContainer(self, name, directory, control)
        self.containers.append(container)
        container.start()
        return container

    def close(self):
        for container in self.containers:
            container.stop()
            process.run(["umount", "-l", f"{container.directory}/rootfs"])


class RuncContainer:
    def __init__(self, runc, name, directory, control):
        self.runc, self.id, self.directory, self.control = runc, name, directory, control
        self.upper, self.lowers = f"{directory}/upper", [runc.lower]

    def start(self):
        with open(f"{self.directory}/out", "ab") as out:
            subprocess.run(["runc", "--root", self.runc.root, "run", "-d", "--bundle",
                            self.directory, self.id], stdin=subprocess.DEVNULL, stdout=out,
                           stderr=out, check=True, timeout=60)
        self.control.connect()

    def exec(self, *command):
        self.runc.run("exec", self.id, *command)

    def stop(self):
        process.run(["runc", "--root", self.runc.root, "kill", self.id, "KILL"])
        eventually(lambda: process.run(["runc", "--root", self.runc.root, "delete", self.id])
                   .returncode == 0 or not os.path.exists(f"{self.runc.root}/{self.id}"),
                   10, "runc deletes it")
