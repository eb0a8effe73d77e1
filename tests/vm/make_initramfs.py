#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""make_initramfs.py KERNEL_DIR BUSYBOX INIT OUT MODULE...: busybox, INIT and modules, as a cpio.

Neither cpio nor depmod nor root is needed: the archive is written here (the newc
format), and modules say themselves what they depend on. /modules/order lists them
in the order in which they can be loaded; +MODULE is for /late, with an order of its own.
"""

import lzma
import os
import re
import stat
import sys


class Archive:
    def __init__(self, file):
        self.file = file
        self.inode = 0

    def _add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.file.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))

    def directory(self, name):
        self._add(name, stat.S_IFDIR | 0o755)

    def regular(self, name, data, mode=0o644):
        self._add(name, stat.S_IFREG | mode, data)

    def character_device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def end(self):
        self._add("TRAILER!!!", 0)


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Modules:
    """The modules of one unpacked kernel package."""

    def __init__(self, kernel_dir):
        self.paths = {}
        for parent, _, files in os.walk(kernel_dir):
            for file in files:
                match = re.fullmatch(r"(.*)\.ko(\.xz)?", file)
                if match:
                    self.paths[match[1].replace("-", "_")] = os.path.join(parent, file)

    def _content(self, name):
        data = read(self.paths[name])
        return lzma.decompress(data) if self.paths[name].endswith(".xz") else data

    def closure(self, names):
        """{name: content}, what is needed first; built into the kernel: left out."""
        found = {}
        for name in names:
            name = name.replace("-", "_")
            if name in self.paths and name not in found:
                content = self._content(name)
                depends = re.search(rb"\0depends=([^\0]*)\0", content)
                needed = depends[1].decode().split(",") if depends and depends[1] else []
                found.update({n: c for n, c in self.closure(needed).items() if n not in found})
                found[name] = content
        return found


def add_modules(archive, directory, modules):
    archive.directory(directory)
    for name, content in modules.items():
        archive.regular(f"{directory}/{name}.ko", content)
    order = "".join(f"{name}.ko\n" for name in modules)
    archive.regular(f"{directory}/order", order.encode())


def main(kernel_dir, busybox, init, out, *names):
    modules = Modules(kernel_dir)
    first = modules.closure(name for name in names if name[0] != "+")
    late = modules.closure(name[1:] for name in names if name[0] == "+")
    with open(out, "wb") as file:
        archive = Archive(file)
        for name in ("bin", "dev", "proc", "root", "sys"):
            archive.directory(name)
        archive.character_device("dev/console", 5, 1)
        archive.regular("init", read(init), 0o755)
        archive.regular("bin/busybox", read(busybox), 0o755)
        add_modules(archive, "modules", first)
        add_modules(archive, "late", {n: c for n, c in late.items() if n not in first})
        archive.end()


main(*sys.argv[1:])
