# SPDX-License-Identifier: GPL-2.0-only
"""Pods through containerd's CRI socket, as a kubelet would make them."""

import os

from . import process
from .containerd import IMAGE
from .control import Control
from .protobuf import decode, encode, pairs
from .suite import Skip

NODE = {1: 2}  # namespace_options: the host's network, so that no CNI is needed


class Cri:
    def __init__(self, containerd):
        try:
            import grpc
        except ImportError:
            raise Skip("no python3-grpcio") from None
        self.containerd = containerd
        containerd.load("k8s.io")
        containerd.load_pause()
        self.channel = grpc.insecure_channel(f"unix://{containerd.address}")
        self.pods = []
        containerd.suite.defer(self.close)

    def call(self, method, message):
        function = self.channel.unary_unary(
            f"/runtime.v1.RuntimeService/{method}", request_serializer=encode,
            response_deserializer=decode)
        return function(message, timeout=60)

    def pod(self, namespace, name, uid):
        """A running sandbox."""
        config = {
            1: {1: name, 2: uid, 3: namespace},
            3: self.containerd.suite.dir("logs", name),
            6: pairs({"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace,
                      "io.kubernetes.pod.uid": uid}),
            8: {1: f"/kubepods/besteffort/pod{uid}", 2: {1: NODE}},
        }
        pod = Pod(self, config)
        self.pods.append(pod)
        return pod

    def close(self):
        for pod in self.pods:
            self.call("StopPodSandbox", {1: pod.id})
            self.call("RemovePodSandbox", {1: pod.id})
        self.channel.close()


class Pod:
    def __init__(self, cri, config):
        self.cri, self.config = cri, config
        self.id = cri.call("RunPodSandbox", {1: config})[1][0].decode()
        self.count = 0

    def start(self, name, *command):
        """A running container of the pod; without a command it serves through .control."""
        mounts, control = [], None
        if not command:
            directory = os.path.join(self.cri.containerd.dir, f"v-{self.id[:8]}-{self.count}")
            self.count += 1
            control = Control(directory)
            mounts = [{1: "/vol", 2: directory}]
            command = ("/bin/ops", "serve", "/vol/ctl.sock")
        config = {1: {1: name}, 2: {1: IMAGE}, 3: list(command), 7: mounts,
                  9: pairs({"io.kubernetes.container.name": name}), 11: f"{name}.log",
                  15: {2: {3: NODE}}}
        answer = self.cri.call("CreateContainer", {1: self.id, 2: config, 3: self.config})
        return CriContainer(self, answer[1][0].decode(), control)


class CriContainer:
    def __init__(self, pod, identifier, control):
        self.pod, self.id, self.control = pod, identifier, control
        self.call("StartContainer")
        if control:
            control.connect()

    def call(self, method, **_):
        return self.pod.cri.call(method, {1: self.id})

    def exec(self, *command):
        answer = self.pod.cri.call("ExecSync", {1: self.id, 2: list(command), 3: 30})
        return answer.get(3, [0])[0]

    def state(self):
        """0 created, 1 running, 2 exited."""
        status = decode(self.call("ContainerStatus")[1][0])
        return status.get(3, [0])[0]

    def pid(self):
        out = process.checked(["ctr", "-a", self.pod.cri.containerd.address, "-n", "k8s.io",
                               "tasks", "ls"])
        return next(int(line.split()[1]) for line in out.splitlines() if line.startswith(self.id))

    def stop(self):
        self.call("StopContainer")

    def remove(self):
        self.call("RemoveContainer")
