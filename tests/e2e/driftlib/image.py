# SPDX-License-Identifier: GPL-2.0-only
"""Images made here, as the archive that docker, podman and containerd all load.

Every entry's time is 2025-01-02 03:04:05, as docker's truth table was measured with.
"""

import hashlib
import io
import json
import os
import tarfile

from . import process
from .suite import Skip

IMAGE_TIME = 1735787045
HERE = os.path.dirname(os.path.abspath(__file__))
OPS_SOURCE = os.path.join(os.path.dirname(HERE), "ops")
BUSYBOX = "/bin/busybox"
APPLETS = "sh cat cp dd echo env head ln ls mkdir mv rm sleep touch true tee id chmod".split()


class Layer:
    """One layer of an image, as a tar in memory."""

    def __init__(self):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.GNU_FORMAT)

    def _add(self, path, kind, mode, content=b"", link=""):
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.mode, info.size = kind, mode, len(content)
        info.linkname, info.mtime = link, IMAGE_TIME
        self.tar.addfile(info, io.BytesIO(content))
        return self

    def dir(self, path, mode=0o755):
        return self._add(path, tarfile.DIRTYPE, mode)

    def file(self, path, content=b"", mode=0o644):
        return self._add(path, tarfile.REGTYPE, mode, content)

    def symlink(self, path, target):
        return self._add(path, tarfile.SYMTYPE, 0o777, link=target)

    def hardlink(self, path, target):
        return self._add(path, tarfile.LNKTYPE, 0o644, link=target.lstrip("/"))

    def whiteout(self, path):
        head, name = os.path.split(path)
        return self.file(f"{head}/.wh.{name}")

    def opaque(self, path):
        """The directory hides what lower layers have in it."""
        return self.dir(path).file(f"{path}/.wh..wh..opq")

    def data(self):
        self.tar.close()
        return self.buffer.getvalue()


def build_ops(directory):
    """Compile the program that works inside the containers. Returns its path."""
    path = os.path.join(directory, "ops")
    if os.path.exists(path):
        return path
    sources = sorted(os.path.join(OPS_SOURCE, f) for f in os.listdir(OPS_SOURCE)
                     if f.endswith(".c"))
    process.checked(["gcc", "-static", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-Wall",
                     "-Wno-unused-result", "-o", path, *sources, "-lpthread"], timeout=120)
    return path


def build_ops32(directory):
    """The 32-bit program among the operations; None where the compiler makes none."""
    path = os.path.join(directory, "ops32")
    source = os.path.join(OPS_SOURCE, "i386", "ops32.c")
    done = process.run(["gcc", "-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-pic",
                        "-no-pie", "-O1", "-Wall", "-o", path, source])
    return None if done.returncode else path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def base_layer(ops, ops32=None):
    """busybox, ops and the tree under /img."""
    if not os.path.exists(BUSYBOX):
        raise Skip("no static busybox")
    layer = Layer()
    for d in "bin dev etc img proc run sys tmp vol img/d img/d/sub img/ed".split():
        layer.dir(d)
    layer.file("bin/busybox", read(BUSYBOX), 0o755).file("bin/ops", read(ops), 0o755)
    if ops32:
        layer.file("bin/ops32", read(ops32), 0o755)
    for applet in APPLETS:
        layer.symlink(f"bin/{applet}", "busybox")
    layer.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n").file("etc/group", b"root:x:0:\n")
    layer.file("img/f", b"0123456789" * 1000).file("img/f2", b"f2f2f" * 1000)
    for name in "d/a d/b d/sub/c hl1".split():
        layer.file(f"img/{name}", name.encode() * 10)
    layer.hardlink("img/hl2", "img/hl1").symlink("img/sl", "f")
    layer.file("img/script", b"#!/bin/sh\necho script\n", 0o755)
    return layer.data()


def many_layers(base, count):
    """base and count - 1 layers above it, with whiteouts and opaque directories in them."""
    layers = [base]
    for n in range(1, count):
        layer = Layer()
        layer.dir("img").dir("img/t").file("img/t/a", b"a%d" % n).file(f"img/t/l{n}", b"x" * n)
        if n % 3 == 1:
            layer.dir("img/w").file("img/w/a", b"w").file("img/w/b", b"b").dir("img/w/sub")
            layer.file("img/w/sub/c", b"c").dir("img/o").file("img/o/a", b"o").dir("img/o/d")
        if n % 3 == 2:
            layer.dir("img/w").whiteout("img/w/a").whiteout("img/w/sub")
            layer.opaque("img/o").file("img/o/b", b"new").dir("img/o/sub")
        layers.append(layer.data())
    return layers


def write_archive(path, name, layers, command=("/bin/ops", "serve", "/vol/ctl.sock")):
    """A `docker save` archive of one image."""
    digests = [hashlib.sha256(d).hexdigest() for d in layers]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2025-01-02T03:04:05Z",
        "config": {"Cmd": list(command), "Env": ["PATH=/bin"],
                   "Labels": {"made.for": "tests"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
        "history": [{"created": "2025-01-02T03:04:05Z", "created_by": "tests"}] * len(layers),
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name],
                            "Layers": [f"{n}/layer.tar" for n in range(len(layers))]}]).encode()
    members = [(config_name, config), ("manifest.json", manifest)]
    members += [(f"{n}/layer.tar", data) for n, data in enumerate(layers)]
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size, info.mtime = len(data), IMAGE_TIME
            tar.addfile(info, io.BytesIO(data))
    return path


def archive(suite, name="dw/ops:1", count=1):
    """Path of the archive of an image of so many layers."""
    path = os.path.join(suite.tmp, f"image-{count}.tar")
    if not os.path.exists(path):
        layers = many_layers(base_layer(build_ops(suite.tmp), build_ops32(suite.tmp)), count)
        write_archive(path, name, layers)
    return path
