#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong is refused in one clear line, or degrades and is counted; nothing dies of it."""

import base64
import json
import os
import pty
import random
import shutil
import signal
import socket
import time

from driftlib import process
from driftlib.agent import PROGRAM, Agent
from driftlib.docker import Docker, UnixConnection
from driftlib.metrics import Metrics
from driftlib.suite import Suite, check, check_equal, equal_within

suite = Suite(__file__)


class Environment:
    def __init__(self, s):
        self.suite = s
        self.docker = Docker(s)
        self.docker.ops_image()
        self.config = os.path.join(s.tmp, "agent.conf")
        write(self.config, '{"dead_retention": "60s"}')
        self.agent = Agent(s, "--config", self.config)

    def alive(self):
        check(self.agent.daemon.running(), "the agent died: " + self.agent.daemon.tail())
        check_equal(self.agent.get("/healthz")[0], 200, "health")


def write(path, content):
    with open(path, "wb" if isinstance(content, bytes) else "w") as f:
        f.write(content)


def refused(env, words, *options, name="refused", codes=(1, 2), command=None):
    """An agent that must end at once, saying these words in a line or two."""
    agent = Agent(env.suite, *options, name=name, start=False)
    done = process.run(command or agent.command(), timeout=20)
    text = done.stderr.decode(errors="replace")
    check(done.returncode in codes, f"exit {done.returncode}, not one of {codes}: {text[:300]}")
    missing = [w for w in words if w not in text]
    check(not missing, f"{missing} not in: {text[:400]}")
    check(len(text.splitlines()) <= 4, f"{len(text.splitlines())} lines: {text[:400]}")
    return text


@suite.test
def an_unknown_key_a_wrong_type_and_bad_syntax_are_refused_with_file_and_key(env):
    path = os.path.join(env.suite.tmp, "bad.conf")
    for content, words in (('{"max_fils": 3}', ["max_fils"]),
                           ('{"max_files": "many"}', ["max_files"]),
                           ('{"max_files": 0}', ["max_files"]),
                           ('{"dead_retention": "soon"}', ["dead_retention"]),
                           ('{"runtime_root": ["nonsense"]}', ["runtime_root"]),
                           ('{"tier": "best"}', ["tier"]),
                           ('{"max_files": 3', []), ("[1]", []), ("", []), ("\0\xff", [])):
        write(path, content)
        refused(env, [path, *words], "--config", path)
    refused(env, ["/nonexistent/conf"], "--config", "/nonexistent/conf")


@suite.test
def a_bad_configuration_at_sighup_leaves_the_old_one_in_force(env):
    def outcome():
        return env.agent.metrics().value("driftwatch_config_last_reload_successful")

    write(env.config, '{"dead_retention": "soon"}')
    os.kill(env.agent.daemon.pid, signal.SIGHUP)
    equal_within(outcome, lambda: 0, 5, "last_reload_successful")
    check("dead_retention" in env.agent.daemon.tail(), "the log does not name the key")
    env.alive()
    write(env.config, '{"dead_retention": "90s"}')
    os.kill(env.agent.daemon.pid, signal.SIGHUP)
    equal_within(outcome, lambda: 1, 5, "last_reload_successful")


@suite.test
def a_busy_port_is_named(env):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        refused(env, [str(port)], "--web.listen-address", f"127.0.0.1:{port}")
    refused(env, ["nowhere"], "--web.listen-address", "nowhere")


@suite.test
def a_live_socket_is_refused_and_a_dead_one_replaced(env):
    second = Agent(env.suite, name="second", start=False)
    second.socket = env.agent.socket
    refused(env, [env.agent.socket], command=second.command())
    check(env.agent.ps("-a") is not None, "the first no longer answers")

    third = Agent(env.suite, name="third", start=False)
    s = socket.socket(socket.AF_UNIX)
    s.bind(third.socket)
    s.close()
    third.start()
    check_equal(third.stop(), 0, "exit")


@suite.test
def a_file_in_the_sockets_place_is_not_deleted(env):
    agent = Agent(env.suite, name="file-there", start=False)
    write(agent.socket, "precious")
    refused(env, [agent.socket], command=agent.command())
    with open(agent.socket, encoding="ascii") as f:
        check_equal(f.read(), "precious", "content")


@suite.test
def a_damaged_state_file_is_set_aside_with_a_message(env):
    agent = Agent(env.suite, name="damaged")
    c = env.docker.run()
    c.control.ask("op creat_write")
    equal_within(lambda: agent.diff(c.id), c.diff, 2, "diff")
    check_equal(agent.stop(), 0, "exit")
    files = [os.path.join(d, f) for d, _, names in os.walk(agent.state_dir) for f in names]
    check(files, "no state was saved")
    for damage in (b"", b"\0" * 4096, b"\xff{", b'{"version": 99999}', random.randbytes(5000)):
        files = [os.path.join(d, f) for d, _, names in os.walk(agent.state_dir) for f in names]
        for path in files:
            write(path, damage)
        agent.start()
        equal_within(lambda: agent.diff(c.id), c.diff, 2, "diff with damaged state")
        check_equal(agent.stop(), 0, "exit")
    check("state" in agent.daemon.tail(200), "no message about the state")


@suite.test
def a_state_directory_that_cannot_be_made_is_named(env):
    blocker = os.path.join(env.suite.tmp, "blocker")
    write(blocker, "x")
    refused(env, [blocker], "--state-dir", f"{blocker}/state", codes=(1, 2, 4))


@suite.test
def missing_capabilities_end_with_exit_code_4(env):
    os.chmod(env.suite.tmp, 0o755)
    program = os.path.join(env.suite.tmp, "driftwatch")
    shutil.copy(PROGRAM, program)
    agent = Agent(env.suite, name="powerless", start=False)
    os.chmod(agent.dir, 0o777)
    command = [program, *agent.command()[1:]]
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    refused(env, ["capabilit"], command=[*nobody, *command], codes=(4,))
    bounded = ["setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin"]
    refused(env, ["capabilit"], command=[*bounded, *command], codes=(4,))


@suite.test
def a_kernel_without_btf_ends_with_exit_code_5(env):
    refused(env, ["/nonexistent/btf"], "--btf", "/nonexistent/btf", codes=(5,))
    path = os.path.join(env.suite.tmp, "garbage.btf")
    write(path, random.randbytes(10000))
    refused(env, [path], "--btf", path, codes=(5,))


@suite.test
def a_client_without_an_agent_says_so(env):
    for command in (["ps"], ["files", "x"], ["tail"], ["diff", "x"]):
        done = process.run([PROGRAM, *command, "--socket", "/nonexistent/a.sock"], timeout=20)
        check_equal((done.returncode, done.stdout), (1, b""), f"exit and stdout of {command}")
        check(b"/nonexistent/a.sock" in done.stderr, f"{command}: the socket is not named")


@suite.test
def names_of_files_cannot_break_json_terminals_or_metrics(env):
    c = env.docker.run()
    c.control.ask("op badname")
    equal_within(lambda: env.agent.diff(c.id), c.diff, 1, "diff")
    files = env.agent.files(c.id)["files"]
    raw = [base64.b64decode(f["path_b64"]) for f in files if "path_b64" in f]
    check_equal(raw, [b"/img/d/new\nline \xff\""], "path_b64")
    check("/img/d/\x01\x1b[31m\\" in [f["path"] for f in files], "the escape is not in JSON")
    for command in (["files", c.id], ["diff", c.id], ["ps"], ["files", "-o", "csv", c.id]):
        text = through_terminal(env, command)
        bad = sorted({b for b in text if (b < 32 and b not in (10, 13)) or b == 0x7f})
        check_equal(bad, [], f"control bytes of {command[0]}")
        text.decode("utf-8")
    lines = env.agent.output("files", "--no-headers", c.id).splitlines()
    check_equal(len(lines), 4, "lines of files")


def through_terminal(env, command):
    """What a command prints on a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", NO_COLOR="1")
        os.execv(PROGRAM, [PROGRAM, *command, "--socket", env.agent.socket])
    text = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        text += chunk
    os.close(fd)
    os.waitpid(pid, 0)
    check(text, f"{command} printed nothing")
    return text


HOSTILE_NAME = rb"""n=$(printf '/img/busybox\033[1m\nx"\377')
cp /bin/busybox "$n"
"$n" touch /img/by-it
"$n" sh -c 'echo x > /img/f2'
"""


@suite.test
def a_writers_name_cannot_either(env):
    c = env.docker.run()
    write(f"{c.control.directory}/script", HOSTILE_NAME)
    c.control.ask("sh sh /vol/script")
    equal_within(lambda: env.agent.diff(c.id), c.diff, 1, "diff")
    writer = env.agent.file(c.id, "/img/f2")["first_writer"]
    check(writer["comm"].startswith("busybox\x1b[1m\nx\""), f"comm is {writer['comm']!r}")
    for command in (["files", c.id], ["files", "-o", "csv", c.id]):
        text = through_terminal(env, command)
        bad = sorted({b for b in text if (b < 32 and b not in (10, 13)) or b == 0x7f})
        check_equal(bad, [], "control bytes")
        text.decode("utf-8")
    Metrics(env.agent.get("/metrics")[2].decode("utf-8"))
    env.alive()


@suite.test
def containers_that_vanish_while_they_are_read_do_no_harm(env):
    for _ in range(15):
        c = env.docker.run(["/bin/ops", "random", "1", "2000", "2"])
        env.agent.client("files", "-o", "json", c.id)
        c.remove()
        done = env.agent.client("diff", c.id)
        check(done.returncode in (0, 1), f"exit {done.returncode}")
        env.agent.output("ps", "-a", "-o", "json")
    env.alive()


@suite.test
def a_layer_deleted_behind_the_runtimes_back_does_no_harm(env):
    c = env.docker.run()
    c.control.ask("op rmtree_recreate")
    upper = c.driver_data()["UpperDir"]
    c.stop()
    shutil.rmtree(upper)
    check(env.agent.client("diff", c.id).returncode in (0, 1), "exit of diff")
    env.agent.output("ps", "-a", "-o", "json")
    env.alive()


@suite.test
def nonsense_on_its_sockets_does_no_harm(env):
    for junk in (random.randbytes(5000), b"GET " + b"/" * 100000, b"GET / HTTP/1.1\r\n" * 3,
                 b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200000 + b"\r\n\r\n"):
        for family, address in ((socket.AF_UNIX, env.agent.socket),
                                (socket.AF_INET, ("127.0.0.1", env.agent.port))):
            with socket.socket(family) as s:
                s.connect(address)
                s.settimeout(1)
                try:
                    s.sendall(junk)
                    s.recv(100)
                except OSError:
                    pass
    idle = [socket.create_connection(("127.0.0.1", env.agent.port)) for _ in range(50)]
    env.alive()
    for s in idle:
        s.close()
    for path in ("/api/v1/containers/%zz/files", "/api/v1/containers/%00/diff",
                 "/api/v1/containers//files", "/api/v1/containers/..%2f..%2fetc/files",
                 "/api/v1/events?op=nothing", "/api/v1/events?target=%ff"):
        status = env.agent.get(path, tcp=False)[0]
        check(400 <= status < 500, f"{path}: {status}")
    env.alive()


@suite.test
def a_reader_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(env):
    connection = UnixConnection(env.agent.socket, timeout=2)
    connection.request("GET", "/api/v1/events?raw=1")
    stream = connection.getresponse()
    c = env.docker.run()
    for _ in range(40):
        c.control.ask("op many")
        c.control.ask("sh rm -f /img/d/m*")
    start = time.monotonic()
    equal_within(lambda: env.agent.diff(c.id), c.diff, 2, "diff")
    check(time.monotonic() - start < 3, "diff was held up")
    env.alive()
    lost = [e for e in read_events(stream) if e["type"] == "lost"]
    connection.close()
    check(lost and all(e["reason"] == "slow_reader" and e["count"] > 0 for e in lost),
          f"lost events are not told: {lost[:2]}")


def read_events(stream):
    """What the stream holds now."""
    events = []
    try:
        while line := stream.readline():
            events.append(json.loads(line))
    except TimeoutError:
        pass
    return events


suite.main(Environment)
