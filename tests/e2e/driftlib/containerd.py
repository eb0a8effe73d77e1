# SPDX-License-Identifier: GPL-2.0-only
"""containerd with directories of its own; ctr's containers."""

import os
import shutil

from . import image, process
from .control import Control
from .process import Daemon
from .suite import Skip, eventually

IMAGE = "docker.io/dw/ops1:1"
PAUSE = "registry.k8s.io/pause:3.6"

CONFIG = """version = 2
root = "{dir}/root"
state = "{dir}/state"
[grpc]
  address = "{dir}/c.sock"
[ttrpc]
  address = "{dir}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{dir}/cni"
    conf_dir = "{dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


class Containerd:
    def __init__(self, suite, name="containerd"):
        if not shutil.which("containerd") or not shutil.which("ctr"):
            raise Skip("no containerd")
        self.suite = suite
        self.dir = suite.dir(name)
        self.address = f"{self.dir}/c.sock"
        self.containers = []
        config = os.path.join(self.dir, "config.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=self.dir, pause=PAUSE))
        self.daemon = Daemon(["containerd", "--config", config], os.path.join(self.dir, "log"))
        suite.defer(self.close)
        eventually(self.answers, 30, "containerd answers")

    def answers(self):
        if not self.daemon.running():
            raise RuntimeError("containerd ended: " + self.daemon.tail())
        return process.run(["ctr", "-a", self.address, "version"]).returncode == 0

    def ctr(self, *arguments, namespace="default"):
        return process.checked(["ctr", "-a", self.address, "-n", namespace, *arguments])

    def load(self, namespace="default"):
        """Import the test image. Returns its name."""
        self.ctr("images", "import", image.archive(self.suite, IMAGE), namespace=namespace)
        return IMAGE

    def load_pause(self):
        """A sandbox image whose only program sleeps."""
        layer = image.Layer().dir("bin").file("bin/busybox", image.read(image.BUSYBOX), 0o755)
        layer.symlink("pause", "bin/busybox").symlink("bin/sleep", "busybox")
        path = image.write_archive(f"{self.dir}/pause.tar", PAUSE, [layer.data()],
                                   command=["/bin/sleep", "1000000"])
        self.ctr("images", "import", path, namespace="k8s.io")

    def start(self, name, *command, namespace="default"):
        """`ctr run -d`. Without a command it serves through .control."""
        control, options = None, []
        if not command:
            control = Control(os.path.join(self.dir, f"v{len(self.containers)}"))
            options = ["--mount", f"type=bind,src={control.directory},dst=/vol,options=rbind:rw"]
            command = ["/bin/ops", "serve", "/vol/ctl.sock"]
        self.ctr("run", "-d", "--null-io", *options, IMAGE, name, *command, namespace=namespace)
        container = CtrContainer(self, name, control, namespace)
        self.containers.append(container)
        if control:
            control.connect()
        return container

    def close(self):
        for container in self.containers:
            container.remove()
        self.daemon.stop()


class CtrContainer:
    def __init__(self, containerd, name, control, namespace):
        self.containerd, self.id, self.control = containerd, name, control
        self.namespace = namespace

    def _run(self, *arguments):
        return process.run(["ctr", "-a", self.containerd.address, "-n", self.namespace,
                            *arguments])

    def exec(self, *command):
        self.containerd.ctr("tasks", "exec", "--exec-id", "e1", self.id, *command,
                            namespace=self.namespace)

    def state(self):
        for line in self._run("tasks", "ls").stdout.decode().splitlines():
            words = line.split()
            if words and words[0] == self.id:
                return words[2]
        return None

    def stop(self):
        self._run("tasks", "kill", "-s", "SIGKILL", self.id)
        eventually(lambda: self.state() in (None, "STOPPED"), 10, "the task ends")
        self._run("tasks", "rm", "-f", self.id)

    def restart(self):
        self.containerd.ctr("tasks", "start", "-d", "--null-io", self.id, namespace=self.namespace)
        if self.control:
            self.control.connect()

    def ended(self):
        eventually(lambda: self.state() in (None, "STOPPED"), 10, "the task ends")

    def remove(self):
        if self.state():
            self.stop()
        self._run("containers", "rm", self.id)
