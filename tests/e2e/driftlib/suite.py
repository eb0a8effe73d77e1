# SPDX-License-Identifier: GPL-2.0-only
"""Running tests: one line a test, deadlines instead of sleeps, everything cleaned up.

A test file makes a Suite, decorates functions with @suite.test and ends with
suite.main(make_environment). Each test prints `ok NAME`, `not ok NAME: why` or
`skip NAME: why`; words on the command line choose tests by part of their name.
"""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

from . import process

FULL = os.environ.get("DRIFTWATCH_TEST_FULL") == "1"


class Skip(Exception):
    """The machine lacks what the test needs."""


class Failure(Exception):
    """What was expected did not come."""


def check(condition, why):
    if not condition:
        raise Failure(why)


def check_equal(got, expected, what="got"):
    """Compare; lists are reported by what is missing and what is too much."""
    if got == expected:
        return
    if isinstance(got, list) and isinstance(expected, list):
        missing, extra = without(expected, got), without(got, expected)
        if missing or extra:
            raise Failure(f"{what}: missing {missing[:8]}, too much {extra[:8]}")
    raise Failure(f"{what}: {shorten(got)}, expected {shorten(expected)}")


def without(some, others):
    """Those of some that are not in others; lists may be long."""
    try:
        others = set(others)
    except TypeError:
        pass  # not hashable: few, then
    return [x for x in some if x not in others]


def shorten(value, size=400):
    text = repr(value)
    return text if len(text) <= size else text[:size] + "…"


def eventually(probe, timeout, what="condition"):
    """Call probe until it is true; its last answer or failure is the reason given.

    what is a text, or a function that is called for one when it has not come true.
    """
    deadline = time.monotonic() + timeout
    pause, last = 0.002, None
    while True:
        try:
            last = probe()
            if last:
                return last
        except Failure as e:
            last = e
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise Failure(f"{what}: not within {timeout} s; last: {shorten(last)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def equal_within(got, expected, timeout, what="got", kept_waiting=lambda: 0):
    """got() == expected() at the latest when asked after timeout seconds.

    kept_waiting() are seconds that others had the processors: they do not count.
    """
    deadline = time.monotonic() + timeout - kept_waiting()
    while True:
        is_last = time.monotonic() > deadline + kept_waiting()
        try:
            check_equal(got(), expected(), what)
            return
        except Failure as e:
            if is_last:
                raise Failure(f"after {timeout} s still {e}") from None
        time.sleep(0.01)


class Suite:
    def __init__(self, file):
        self.name = os.path.basename(file).removeprefix("test_").removesuffix(".py")
        self.tests = []
        self.cleanups = []
        self.last_checks = {}
        base = os.environ.get("TMPDIR", "/tmp")
        self.tmp = tempfile.mkdtemp(prefix=f"dw-{self.name[:10]}.", dir=base)
        self.owner = os.getpid()
        atexit.register(self.close)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(1))

    def test(self, function):
        self.tests.append(function)
        return function

    def defer(self, function, *args):
        """Call function at the end, last come first served."""
        self.cleanups.append((function, args))

    def at_end(self, name, check_):
        """A test of this name, made of one check or several, after all others."""
        self.last_checks.setdefault(name, []).append(check_)

    def dir(self, *parts):
        path = os.path.join(self.tmp, *parts)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        if os.getpid() != self.owner:
            return
        while self.cleanups:
            function, args = self.cleanups.pop()
            try:
                function(*args)
            except Exception:  # the next cleanup must run all the same
                traceback.print_exc()
        process.kill_all_below(self.tmp)
        process.unmount_all_below(self.tmp)
        if not os.environ.get("DRIFTWATCH_KEEP"):
            shutil.rmtree(self.tmp, ignore_errors=True)

    def chosen(self):
        words = sys.argv[1:]
        return [t for t in self.tests if not words or any(w in t.__name__ for w in words)]

    def report(self, name, function, *args):
        """Run one named test and print its line. True unless it failed."""
        start = time.monotonic()
        try:
            function(*args)
            line = f"ok {name}"
        except Skip as e:
            line = f"skip {name}: {e}"
        except Failure as e:
            line = f"not ok {name}: {one_line(e)}"
        except Exception as e:
            traceback.print_exc()
            line = f"not ok {name}: {one_line(repr(e))}"
        print(line, flush=True)
        print(f"# {name}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        return not line.startswith("not ok")

    def main(self, make_environment=None):
        if os.geteuid() != 0:
            environment, problem = None, Skip("needs root")
        else:
            environment, problem = None, None
        if not problem and make_environment:
            try:
                environment = make_environment(self)
            except (Skip, Failure) as e:
                problem = e
            except Exception as e:
                traceback.print_exc()
                problem = Failure(f"set-up: {e!r}")

        def run(test):
            if problem:
                raise problem
            test(environment)

        for test in self.chosen():
            self.report(test.__name__, run, test)
        for name, checks in self.last_checks.items():
            self.report(name, lambda checks=checks: [one() for one in checks])
        self.close()


def one_line(value):
    return " ".join(str(value).split())[:1000]
