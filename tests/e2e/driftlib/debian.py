# SPDX-License-Identifier: GPL-2.0-only
"""An image in which the machine's own Debian programs run.

/usr is the host's, read-only; all else is the image's: configuration, dpkg's
database with an old package in it, sources to compile, an archive already unpacked.
"""

import io
import os
import tarfile

from . import process
from .image import HERE, IMAGE_TIME, Layer, build_ops, read, write_archive
from .suite import Skip

PROGRAMS = os.path.join(os.path.dirname(HERE), "programs")
NAME = "dw/debian:1"
DIRECTORIES = """usr proc sys dev run tmp vol root home srv opt data etc etc/apt etc/apt/preferences.d
 etc/apt/apt.conf.d etc/apt/sources.list.d etc/dpkg etc/dpkg/dpkg.cfg.d etc/alternatives src
 src/inc programs debs var var/cache var/cache/apt var/cache/apt/archives
 var/cache/apt/archives/partial var/lib var/lib/apt var/lib/apt/lists var/lib/apt/lists/partial
 var/log var/log/apt var/spool var/tmp""".split()
PASSWD = b"root:x:0:0:root:/root:/bin/sh\ndata:x:1000:1000::/data:/bin/sh\n_apt:x:42:65534::/:/bin/sh\n"


def deb(directory, version, files, name="app", scripts=(), conffiles=(), depends=""):
    """Build name_version.deb from {path: (mode, bytes)}. Returns its path."""
    tree = os.path.join(directory, f"{name}-{version}")
    for path, (mode, content) in files.items():
        full = os.path.join(tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as f:
            f.write(content)
        os.chmod(full, mode)
    os.makedirs(f"{tree}/DEBIAN")
    control = (f"Package: {name}\nVersion: {version}\nArchitecture: all\nSection: misc\n"
               f"Maintainer: tests <tests@example.org>\nDescription: {name} for tests\n")
    control += f"Depends: {depends}\n" if depends else ""
    text = {"control": control, "conffiles": "".join(f"/{c}\n" for c in conffiles), **dict(scripts)}
    for part, content in text.items():
        if content:
            with open(f"{tree}/DEBIAN/{part}", "w", encoding="ascii") as f:
                f.write(content)
            os.chmod(f.name, 0o755 if part in dict(scripts) else 0o644)
    path = os.path.join(directory, f"{name}_{version}.deb")
    process.checked(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, path])
    return path


def app(version, count):
    """The files of one version: some unchanged between versions, some changed, some gone."""
    files = {"opt/app/bin/tool": (0o755, read("/bin/true")),
             "opt/app/bin/helper": (0o755, b"#!/bin/sh\necho %d\n" % version),
             "etc/app.conf": (0o644, b"[app]\nversion = %d\n" % version),
             "opt/app/data/same": (0o644, b"the same in both" * 100)}
    for n in range(count):
        if n % 7 == version:
            continue
        content = b"%d" % (n * 1000) * 50 if n % 2 else b"%d in %d" % (n, version) * 50
        files[f"opt/app/share/doc{n % 10}/file{n}"] = (0o644, content)
    return files


def debs(suite, count):
    """{file name: bytes} of the packages; the first is the one that the image has."""
    directory = suite.dir("debs")
    old = deb(directory, "1", app(1, count), conffiles=["etc/app.conf"])
    postinst = ("#!/bin/sh\nset -e\nsetcap cap_net_bind_service=ep /opt/app/bin/tool\n"
                "ln -sfn share /opt/app/current\nldconfig || true\n")
    new = {**app(2, count), "opt/app/share/new/deep/er": (0o600, b"new")}
    made = [old, deb(directory, "2", new, conffiles=["etc/app.conf"],
                     scripts=[("postinst", postinst)]),
            deb(directory, "1", {"opt/lib/lib.so": (0o644, b"lib" * 1000)}, name="lib"),
            deb(directory, "1", {"opt/user/bin/user": (0o755, b"#!/bin/sh\n"),
                                 "etc/user.conf": (0o644, b"conf\n")}, name="user",
                conffiles=["etc/user.conf"], depends="lib, app (>= 1)")]
    return {os.path.basename(p): read(p) for p in made}


def installed(suite, content):
    """The layer that installing the old package makes: files and dpkg's database."""
    root = suite.dir("debian-root")
    path = os.path.join(suite.dir("debs"), "app_1.deb")
    os.makedirs(f"{root}/var/lib/dpkg/info", exist_ok=True)
    os.makedirs(f"{root}/var/lib/dpkg/updates", exist_ok=True)
    for name in ("status", "available"):
        with open(f"{root}/var/lib/dpkg/{name}", "wb"):
            pass
    with open(path, "wb") as f:
        f.write(content)
    process.checked(["dpkg", f"--root={root}", "--force-not-root", "--force-bad-path", "-i", path])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for top in ("opt", "etc/app.conf", "var/lib/dpkg"):
            tar.add(f"{root}/{top}", arcname=top, filter=at_image_time)
    return buffer.getvalue()


def at_image_time(info):
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = IMAGE_TIME
    return info


def sources(layer, count):
    """A program of so many units, with a Makefile."""
    calls = "".join(f"int f{n}(int);" for n in range(count))
    layer.file("src/inc/all.h", (calls + "\n").encode())
    for n in range(count):
        layer.file(f"src/f{n}.c", b'#include "inc/all.h"\n#include <stdio.h>\n'
                   b"int f%d(int a)\n{\n\treturn a %% 7 ? f%d(a / 2) : printf(\"%%d\", a);\n}\n"
                   % (n, (n + 1) % count))
    layer.file("src/main.c", b'#include "inc/all.h"\nint main(void)\n{\n\treturn f0(1) < 0;\n}\n')
    layer.file("src/Makefile", b"""OBJS := $(patsubst %.c,%.o,$(wildcard *.c))
prog: lib.a main.o
\tcc -o $@ main.o lib.a
lib.a: $(filter-out main.o,$(OBJS))
\tar rcs $@ $^
%.o: %.c
\tcc -g -O1 -MMD -c $< -o $@
clean:
\trm -f *.o *.d prog lib.a
""")


def unpacked(layer):
    """An archive, and what unpacking it makes: unpacked again, nothing differs."""
    inner = Layer()
    inner.dir("tree").dir("tree/sub")
    for n in range(60):
        inner.file(f"tree/sub/file{n}", b"content %d\n" % n * 20, (0o755, 0o640, 0o644)[n % 3])
    inner.symlink("tree/link", "sub/file1").hardlink("tree/hard", "tree/sub/file2")
    data = inner.data()
    layer.file("srv/tree.tar", data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            info.name = "srv/" + info.name
            info.linkname = "srv/" + info.linkname if info.islnk() else info.linkname
            content = tar.extractfile(info).read() if info.isreg() else b""
            layer.tar.addfile(info, io.BytesIO(content))


def base(suite, packages, units):
    layer = Layer()
    for d in DIRECTORIES:
        layer.dir(d)
    for name in ("bin", "sbin", "lib", "lib64"):
        layer.symlink(name, f"usr/{name}")
    for name in os.listdir("/etc/alternatives"):
        if os.path.islink(f"/etc/alternatives/{name}"):
            layer.symlink(f"etc/alternatives/{name}", os.readlink(f"/etc/alternatives/{name}"))
    layer.file("etc/passwd", PASSWD).file("etc/group", b"root:x:0:\ndata:x:1000:\nnogroup:x:65534:\n")
    layer.file("etc/ld.so.cache", read("/etc/ld.so.cache")).file("etc/ld.so.conf", b"")
    layer.file("ops", read(build_ops(suite.tmp)), 0o755)
    for name in os.listdir(PROGRAMS):
        layer.file(f"programs/{name}", read(os.path.join(PROGRAMS, name)), 0o755)
    for name, content in packages.items():
        layer.file(f"debs/{name}", content)
    sources(layer, units)
    unpacked(layer)
    return layer.data()


def load(docker, files=60, units=12):
    """Make the image and load it. Returns its name."""
    if not os.path.islink("/bin"):
        raise Skip("/bin is not in /usr")
    packages = debs(docker.suite, files)
    layers = [base(docker.suite, packages, units), installed(docker.suite, packages["app_1.deb"])]
    path = os.path.join(docker.suite.tmp, "debian.tar")
    docker.load(write_archive(path, NAME, layers, ("/ops", "serve", "/vol/ctl.sock")))
    return NAME


def run(docker, **options):
    """A container of it, served through .control."""
    return docker.run(Image=NAME, binds=["/usr:/usr:ro"], **options)
