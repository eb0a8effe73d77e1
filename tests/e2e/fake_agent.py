#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""An agent that knows three containers by heart, for tests of the commands.

usage: fake_agent.py SOCKET LOG

Answers the API on the unix socket SOCKET with canned JSON, some of its names
hostile, and appends every request line to LOG. Prints "ready" once it listens.
"""
import base64
import json
import os
import socketserver
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler

WEB = "b5b89da1" + "0" * 56
DB = "c0ffee00" + "1" * 56
HOSTILE_PATH = b"/tmp/\xff\x1b[2J\n\xe2\x80\xae"


def named(name, raw):
    """A name that need not be UTF-8, as the agent sends it."""
    text = raw.decode("utf-8", "replace")
    pair = {name: text}
    if text.encode() != raw:
        pair[name + "_b64"] = base64.b64encode(raw).decode()
    return pair


def container(cid, name, **more):
    return {
        "id": cid, "name": name, "runtime": "docker", "image": "nginx:1.25",
        "image_id": "sha256:" + "ab" * 32, "k8s": None, "state": "running", "sandbox": False,
        "restart_count": 0, "created": "2026-11-21T10:00:00.000000000Z",
        "started": "2026-11-21T10:00:01.000000000Z", "finished": None, "removed": None,
        "drift": {"added": 2, "modified": 1, "deleted": 1, "bytes": 4096, "executables": 1},
        "writes": {"calls": {"layer": 12}, "bytes": {"layer": 49152}},
        "new_executable_runs": 1, "last_drift": "2026-11-21T12:00:00.000000000Z",
        "complete": True, "as_of": "2026-11-21T12:00:00.000000000Z", "incomplete_reasons": [],
        "limits": None, "unlisted": 0, **more}


CONTAINERS = [
    container(WEB, "web1"),
    container(DB, "db\n1", complete=False, incomplete_reasons=["ring_full"], image=None),
]
EXITED = container("dead" + "2" * 60, "old", state="exited", drift=None)

WRITER = {"pid": 7, "vpid": 7, "uid": 0, **named("comm", b"s\xffh"), "executable": "/bin/sh",
          "runtime": False}


def changed(path, change, **more):
    return {
        **named("path", path), "change": change, "class": "data", "target": "layer",
        "type": "file", "size": 4096, "mode": "0755", "uid": 0, "gid": 0, "inode": "12",
        "executable": False, "runtime": False, "written_bytes": 49152, "write_calls": 12,
        "first_change": "2026-11-21T11:00:00.000000000Z",
        "last_change": "2026-11-21T12:00:00.000000000Z",
        "first_writer": WRITER, "last_writer": WRITER, **more}


FILES = [
    changed(b"/bin/tee", "deleted", type=None, size=None, mode=None, uid=None, gid=None,
            last_writer=None),
    changed(b"/etc/passwd", "modified", mode="0644"),
    changed(HOSTILE_PATH, "added"),
    changed(b"/usr/local/bin/x", "added", executable=True),
]
DIFF = (b"D /bin/tee\0" b"C /etc/passwd\0" b"A " + HOSTILE_PATH + b"\0"
        b"A /usr/local/bin/x\0")

METRICS = b"# HELP driftwatch_up One.\n# TYPE driftwatch_up gauge\ndriftwatch_up 1\n"

STATUS = {
    "schema": "driftwatch.status/1", "version": "9.9.9", "tier": "fs", "ready": True,
    "sees": {"layer_writes": True, "volume_writes": False},
    "hooks": [
        {"name": "tp_btf/ext4_da_write_end", "role": "layer writes", "attached": True,
         "why_not": None},
        {"name": "fexit/vfs_write", "role": "all writes", "attached": False,
         "why_not": "Operation not permitted"}],
    "sources": [{"kind": "docker", "root": "/srv/docker", "found_by": "option", "readable": False,
                 "containers": 2, "errors": 1, "last_error": "config.v2.json: not JSON"}],
    "health": {}, "started": "2026-11-21T10:00:00.000000000Z"}


def event(kind, name, **more):
    return {
        "schema": "driftwatch.event/1", "time": "2026-11-21T14:02:31.255393601Z", "seq": 1,
        "type": kind, "node": "n1", "severity": "info", "reasons": [],
        "container": {"id": WEB, "name": name}, "k8s": None, **more}


EVENTS = [
    event("container_start", "web1"),
    event("drift", "web1", op="create", derived=True, truncated=False,
          process={"pid": 7, "name": "sh", "uid": 1000},
          file={**named("path", HOSTILE_PATH), "target": "layer", "change": "added",
                "mode": "0755", "uid": 0, "gid": 0, "size": 4096}),
    event("lost", "web1", reason="ring_full", count=118),
    event("drift", "web1", op="write", derived=False, truncated=False, process=None,
          file={"path": "/second", "target": "layer", "change": "modified"}),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, kind="application/json", headers=()):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def find(self, reference):
        """The container that a reference names; answers with an error when there is none."""
        found = [c for c in CONTAINERS if c["name"] == reference or c["id"].startswith(reference)]
        if len(found) == 1:
            return found[0]
        names = "web1 (b5b89da10000), db\\n1 (c0ffee001111)"
        if not found:
            self.answer({"error": f"no such container: {reference}; there is {names}"}, 404)
        else:
            self.answer({"error": f"'{reference}' is ambiguous: {names}"}, 409)
        return None

    def stream(self, query):
        for reference in query.get("container", []):
            if "*" not in reference and not self.find(reference):
                return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in EVENTS:
            self.chunk(json.dumps(line).encode() + b"\n")
        if "/go-away" in query.get("path", []):
            self.chunk(b"")
            self.close_connection = True
            return
        self.connection.recv(1)  # until the reader leaves

    def do_container(self, path, query):
        reference, leaf = path.removeprefix("/api/v1/containers/").split("/")
        found = self.find(urllib.parse.unquote(reference))
        if not found:
            return
        if leaf == "files":
            self.answer({"schema": "driftwatch.files/1", "container": found,
                         "complete": found["complete"], "as_of": found["as_of"],
                         "incomplete_reasons": found["incomplete_reasons"], "limits": None,
                         "unlisted": 0, "files": FILES})
        elif leaf == "diff":
            empty = "no_runtime" in query
            self.answer(b"" if empty else DIFF, 200, "application/octet-stream",
                        [("X-Driftwatch-Complete", "1" if found["complete"] else "0")])

    def do_GET(self):
        with open(LOG, "a", encoding="utf-8") as log:
            log.write(self.path + "\n")
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if url.path in ("/healthz", "/readyz"):
            self.answer(b"ok\n", 200, "text/plain")
        elif url.path == "/metrics":
            self.answer(METRICS, 200, "text/plain; version=0.0.4")
        elif url.path == "/api/v1/status":
            self.answer(STATUS)
        elif url.path == "/api/v1/events":
            self.stream(query)
        elif url.path == "/api/v1/containers":
            every = CONTAINERS + ([EXITED] if "all" in query else [])
            self.answer({"schema": "driftwatch.ps/1", "as_of": "2026-11-21T12:00:00Z",
                         "containers": every})
        elif url.path.startswith("/api/v1/containers/"):
            self.do_container(url.path, query)
        else:
            self.answer({"error": "no such page"}, 404)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A reader that left is no error."""


if __name__ == "__main__":
    SOCKET, LOG = sys.argv[1], sys.argv[2]
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    with Server(SOCKET, Handler) as server:
        print("ready", flush=True)
        server.serve_forever()
