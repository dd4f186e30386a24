# SPDX-License-Identifier: MIT
"""Fixtures, and the look at the agent that follows every test.

    agent           one agent for all tests of a file
    start_agent     start_agent("--workers=2", …): another one, for one test

After each test every agent that it used must be as it was before: the same
supervisor, no worker lost, no descriptor, zombie or process more. A test that
kills workers says so: @pytest.mark.kills_workers; one that ends the agent:
@pytest.mark.ends_agent.
"""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

pytest.register_assert_rewrite("agent", "answers")

import agent as agent_module  # noqa: E402
import durable  # noqa: E402
import plain_build  # noqa: E402
from agent import Agent, descendants, descriptors, stat_of  # noqa: E402

# A runner in the background has some of them ignored, and so would have all that is
# started here; the client leaves alone what it was started to ignore.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

DEFAULT_OPTIONS = ("--workers=8", "--log=debug")

# A worker may linger for 100 ms after its last frame, a session that lost its
# host is killed 2 s later; the rest is for a busy machine. Nobody waits for it in vain.
SETTLE_SECONDS = 20.0


def pytest_runtest_setup(item):
    agent_module.workers_are_killed = item.get_closest_marker("kills_workers") is not None


def pytest_configure(config):
    config.addinivalue_line("markers", "kills_workers: the test ends workers on purpose")
    config.addinivalue_line("markers", "plain_build: see plain_build.py")
    config.addinivalue_line("markers", "ends_agent: the test ends the supervisor on purpose")


def pytest_collection_modifyitems(config, items):
    plain_build.leave_out(config, items)


def pytest_sessionfinish(session, exitstatus):
    plain_build.succeed_if_all_were_left_out(session, exitstatus)


def pytest_make_parametrize_id(config, val):
    """Short names for long values."""
    if isinstance(val, (bytes, str, int, float, dict, list, tuple)) or val is None:
        text = repr(val).encode("ascii", "backslashreplace").decode()
        return text if len(text) <= 40 else "%s...%d" % (text[:32], len(text))
    return None


class Watch:
    """What an agent was like before a test, and how it differs after it."""

    def __init__(self, agent):
        self.agent = agent
        self.log_start = 0
        self.idle = {}          # pid -> descriptors while it was idle
        configured = agent.status()["workers"]["configured"]
        agent_module.wait_until(lambda: len(agent.worker_pids()) == configured,
                                message="%d workers" % configured)
        self.remember()

    def remember(self):
        agent = self.agent
        self.log_start = len(agent.log())
        self.workers = set(agent.worker_pids())
        if not self.workers <= self.idle.keys():
            agent.settle()
            self.workers = set(agent.worker_pids())
        known = self.idle
        self.idle = {p: known.get(p) or len(descriptors(p)) for p in self.workers | {agent.pid}}
        self.deaths = agent.status()["worker_deaths"]["total"]

    def complaint(self, kills_workers):
        """What is wrong with the agent at this moment, or None."""
        agent = self.agent
        if not agent.is_alive():
            return "the supervisor is gone (%r)" % agent.process.returncode
        workers = set(agent.worker_pids())
        for pid in descendants(agent.pid):
            stat = stat_of(pid)
            if stat is None:
                continue
            if stat[0] == "Z":
                return "zombie %d, child of %d" % (pid, stat[1])
            if pid not in workers:
                return "process %d is left: %r" % (pid, command(pid))
        if len(workers) < len(self.workers):
            return "%d workers instead of %d" % (len(workers), len(self.workers))
        limit = max([n for p, n in self.idle.items() if p != agent.pid] or [0])
        for pid in workers | {agent.pid}:
            there = descriptors(pid)
            # A worker that was first looked at as it started had not opened all it has.
            allowed = self.idle[pid] if pid == agent.pid else max(self.idle.get(pid, 0), limit)
            if len(there) > allowed:
                return "process %d has %d descriptors instead of %d: %r" % (
                    pid, len(there), allowed, there)
        if not kills_workers:
            deaths = agent.status()["worker_deaths"]
            if deaths["total"] != self.deaths:
                return "a worker died: %r" % (deaths,)
        return None

    def check(self, kills_workers=False):
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            wrong = self.complaint(kills_workers)
            if wrong is None or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        log = self.agent.log()[self.log_start:]
        assert wrong is None, "after the test %s\nlog of the agent:\n%s" % (wrong, log[-4000:])
        check_sanitizers(log)


def command(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return "?"


def check_sanitizers(log):
    for word in agent_module.SANITIZER_WORDS:
        assert word not in log, "a sanitizer speaks:\n" + log[-8000:]


def end(agent):
    """SIGTERM must end it, with all that it had, and its log must be clean."""
    family = agent_module.births(descendants(agent.pid))
    try:
        status = agent.terminate()
        log = agent.log()
    finally:
        agent.kill()
    check_sanitizers(log)
    assert status == 0, "exit status %r\n%s" % (status, log[-4000:])
    left = agent_module.still_running(family)
    assert not left, "left behind: %r\n%s" % ([(p, command(p)) for p in left], log[-4000:])


class Shared:
    """The agent of one file; another takes its place where a test spoiled it."""

    def __init__(self, options):
        self.options = options
        self.agent = self.watch = None

    def get(self):
        if self.agent is None:
            self.agent = Agent(*self.options)
            self.watch = Watch(self.agent)
        self.watch.remember()
        return self.agent

    def drop(self):
        if self.agent is not None:
            self.agent.kill()
        self.agent = None


def forget_durable(request, one):
    """Where the file says FORGETS_DURABLE, no test has to end or forget its durable sessions."""
    if getattr(request.module, "FORGETS_DURABLE", False) and one.is_alive():
        durable.forget_all(one)


@pytest.fixture(scope="module")
def shared(request):
    holder = Shared(getattr(request.module, "AGENT_OPTIONS", DEFAULT_OPTIONS))
    yield holder
    if holder.agent is not None and holder.agent.is_alive():
        end(holder.agent)
    holder.drop()


@pytest.fixture
def agent(request, shared):
    """The agent of this file (its options: AGENT_OPTIONS), checked after the test."""
    try:
        one = shared.get()
    except BaseException:
        shared.drop()
        raise
    yield one
    try:
        forget_durable(request, one)
        shared.watch.check(request.node.get_closest_marker("kills_workers") is not None)
    except BaseException:
        shared.drop()
        raise


@pytest.fixture
def start_agent(request):
    """A function that starts an agent with the given options for this test alone.
    It is checked and ended after the test."""
    started = []

    def start(*options, **more):
        one = Agent(*options, **more)
        watch = None
        if more.get("ready", "handshake") == "handshake" and not request.node.get_closest_marker("ends_agent"):
            watch = Watch(one)
        started.append((one, watch))
        return one

    yield start
    killing = request.node.get_closest_marker("kills_workers") is not None
    ending = request.node.get_closest_marker("ends_agent") is not None
    try:
        for one, watch in started:
            if watch is not None:
                forget_durable(request, one)
                watch.check(killing)
            if not ending:
                end(one)
    finally:
        for one, _ in started:
            one.kill()


@pytest.fixture
def public_dir():
    """A directory that every user may enter and write (tmp_path is root's own)."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="vga-pub-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)
