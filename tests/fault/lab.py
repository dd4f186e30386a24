# SPDX-License-Identifier: MIT
"""An agent in which what one wants can be made to fail, and the look at it afterwards.

    with Lab(tools) as lab:
        lab.arm(fault); ...; hits = lab.disarm()
        lab.look()              raises Wrong where it is not as it was
"""

import errno
import os
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from typing import NamedTuple

import codec
from agent import Agent, Refused, descriptors, runs, stat_of
from judge import CRASHES, HANGS, LEAKS, NOT_SERVED, SILENT, SUPERVISOR_EXITS, Wrong

# What is left of a session may take so long to go: it lingers, or is killed 2 s later.
SETTLE_SECONDS = 10.0
PATIENCE = 30.0

# Rights that this machine must not lose by what a request asks for.
# As a worker may be ended: by a scenario, and by its own watchdog.
KILLED = ("9", "SIGKILL", "0")

DROPPED = "-sys_time,-net_admin,-sys_boot,-sys_module"

ALLOCATION, CLOSE = "allocation", "close"


class Fault(NamedTuple):
    """The NTH CALL of a process of ROLE fails with ERRNO, a name."""

    role: str
    call: str
    nth: int
    errno: str

    @property
    def number(self):
        return getattr(errno, self.errno)

    def __str__(self):
        return "%s: %s %d %s" % self


class Tools(NamedTuple):
    """Where the programs are."""

    agent: str
    ctl: str
    inject: str
    preload: str


class Board:
    """The memory that preload.c shares with us: struct board of it."""

    WHATS = {ALLOCATION: 1, CLOSE: 2}
    ROLES = ("main", "worker", "child")
    HEAD = struct.Struct("=5I")

    def __init__(self, path):
        import mmap

        self.path = path
        with open(path, "w+b") as f:
            f.truncate(4096)
            self._map = mmap.mmap(f.fileno(), 4096)

    def arm(self, fault):
        self._map[:] = bytes(4096)
        role = self.ROLES.index(fault.role)
        self.HEAD.pack_into(self._map, 0, self.WHATS[fault.call], role, fault.nth, fault.number, 0)

    def clear(self):
        """Returns how often it failed."""
        hits = self.HEAD.unpack_from(self._map, 0)[4]
        self._map[:] = bytes(4096)
        return hits

    def counts(self):
        """{(role, what): calls} since the last clear()."""
        words = struct.unpack_from("=9I", self._map, self.HEAD.size)
        return {(role, what): words[number * 3 + i] for what, number in self.WHATS.items()
                for i, role in enumerate(self.ROLES) if words[number * 3 + i]}

    def environment(self, tools):
        return dict(os.environ, LD_PRELOAD=tools.preload, FAULT_BOARD=self.path)


def parse_counts(text):
    """(hits, {(role, call): calls}) of what inject says."""
    lines = text.split("\n")
    counts = (line.split() for line in lines[1:] if line)
    return int(lines[0]), {(role, call): int(count) for role, call, count in counts}


def children_of(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


def litter(folder):
    """What a WRITE, or a copy, should not have left below FOLDER."""
    return [os.path.join(d, n) for d, _, names in os.walk(folder) for n in names
            if n.startswith(".vmm-guest-") or n.startswith(".vmm-")]


class Echo:
    """A server on a port of this machine that says what it hears."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            sock, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _serve(sock):
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass


class Lab:
    WORKERS = 6         # under 4 there are no durable sessions
    OPTIONS = ("--workers=%d" % WORKERS, "--reserved=1", "--stall-timeout=5", "--log=error",
               "--first-frame-timeout=5", "--cgroup=off")

    def __init__(self, tools):
        self.tools = tools
        self.place = tempfile.mkdtemp(prefix="vga-fault-")
        os.chmod(self.place, 0o755)
        self.folder = os.path.join(self.place, "files")
        os.mkdir(self.folder)
        self.board = Board(os.path.join(self.place, "board"))
        self.client_board = Board(os.path.join(self.place, "client-board"))
        self.echo_port = Echo().port
        self.agent = self._control = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and self.agent is not None:
            self.agent.kill()
            self.agent = None
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    # ---- the agent

    def start(self, fault=None):
        """An agent, with FAULT from its very start on. Where that keeps it from serving,
        self.agent is None, and its (exit status, log) are returned."""
        control = os.path.join(self.place, "control")
        words = " ".join(map(str, (fault.role, fault.call, fault.nth, fault.number))) if fault else ""
        wrapper = os.path.join(self.place, "wrapper")
        with open(wrapper, "w") as f:
            f.write('#!/bin/sh\nexec setpriv --bounding-set=%s --inh-caps=%s %s %s %s %s "$@"\n' % (
                DROPPED, DROPPED, self.tools.inject, control, words, self.tools.agent))
        os.chmod(wrapper, 0o755)
        os.environ["VMM_GUEST_AGENT"] = wrapper
        self.agent = None
        agent = StartedAgent(*self.OPTIONS, ready=None, env=self.board.environment(self.tools))
        try:
            agent.wait_served()
        except RuntimeError:
            log = agent.log()
            agent.kill()
            return agent.process.returncode, log
        except BaseException:
            agent.kill()
            raise
        self.agent = agent
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        self._control.connect(control)
        if fault is None:
            self._learn()
        return None

    def stop(self):
        if self._control is not None:
            self._control.close()
            self._control = None
        if self.agent is not None:
            self.agent.process.send_signal(signal.SIGTERM) if self.agent.is_alive() else None
            try:
                self.agent.process.wait(PATIENCE)
            finally:
                self.agent.kill()
                self.agent = None

    def _learn(self):
        """What it is like after a session of each kind."""
        for _ in range(2):
            self.ping()
            self.agent.run(["true"])
            self.agent.read_file("/etc/passwd")
        self.deaths = 0
        self.main_fds = self.worker_fds = 1000
        self.look()
        self.main_fds = len(descriptors(self.agent.pid))
        self.worker_fds = max(len(descriptors(pid)) for pid in children_of(self.agent.pid))

    # ---- faults

    def _ask(self, order):
        self._control.send(order.encode())
        return self._control.recv(65536).decode()

    def arm(self, fault):
        if fault.call in Board.WHATS:
            self.board.arm(fault)
        else:
            self._ask("fail %s %s %d %d" % (fault.role, fault.call, fault.nth, fault.number))

    def disarm(self):
        """Returns how often it failed."""
        hits = self.board.clear()
        try:
            return hits + parse_counts(self._ask("stop"))[0]
        except (OSError, ValueError):
            return hits + 1         # the agent has ended, and all with it

    def record(self, function):
        """{(role, call): calls} that are made while FUNCTION runs."""
        self.board.clear()
        self._ask("count")
        function()
        counts = self.board.counts()
        try:
            counts.update(parse_counts(self._ask("stop"))[1])
        except (OSError, ValueError):
            with open(os.path.join(self.place, "control.end")) as f:
                counts.update(parse_counts(f.read())[1])
        return counts

    def record_so_far(self):
        """The same of what was made since a start with a fault that never comes."""
        return parse_counts(self._ask("stop"))[1]

    # ---- sessions

    def open(self, port=codec.EXEC_PORT):
        """A connection. It waits where no worker is there, for PATIENCE at most."""
        try:
            return self.agent.connect(port, PATIENCE)
        except TimeoutError:
            raise Wrong(HANGS, "no answer to CONNECT") from None
        except Refused as error:
            raise Wrong(SILENT, str(error)) from None

    def ping(self):
        """A session by each worker."""
        conns = []
        try:
            for _ in range(self.WORKERS):
                conns.append(self.agent.connect(codec.EXEC_PORT, PATIENCE))
            for conn in conns:
                conn.send(codec.STATUS_REQ)
            results = [conn.result(PATIENCE) for conn in conns]
        except (OSError, Refused, AssertionError) as error:
            raise Wrong(NOT_SERVED, "%s: %s" % (type(error).__name__, error)) from None
        finally:
            for conn in conns:
                conn.close()
        if any(r.code != 0 for r in results):
            raise Wrong(NOT_SERVED, repr(results))
        deaths = results[-1].statuses[0]["worker_deaths"]
        self.deaths = deaths["total"]
        crashes = {name: count for name, count in deaths["by_signal"].items() if name not in KILLED}
        if crashes:
            raise Wrong(CRASHES, "workers died: %r" % crashes)

    def clear(self):
        """No files any more. Returns what a WRITE should not have left."""
        left = litter(self.folder)
        shutil.rmtree(self.folder)
        os.mkdir(self.folder, 0o755)
        return left

    # ---- the look at it

    def _complaint(self):
        agent = self.agent
        workers = children_of(agent.pid)
        strange = [p for p in workers if not runs(p, agent.pid)]
        if strange:
            return "children %r" % [(p, stat_of(p)) for p in strange]
        if len(workers) != self.WORKERS:
            return "%d workers" % len(workers)
        left = [child for p in workers for child in children_of(p)]
        if left:
            return "processes %r" % [(p, stat_of(p)) for p in left]
        for pid, most in [(agent.pid, self.main_fds)] + [(p, self.worker_fds) for p in workers]:
            there = descriptors(pid)
            if len(there) > most:
                return "%d descriptors in %s %d, not %d: %r" % (
                    len(there), "main" if pid == agent.pid else "worker", pid, most, there)
        return None

    def look(self):
        """The agent is as it was, or soon will be."""
        if not self.agent.is_alive():
            raise Wrong(SUPERVISOR_EXITS, "status %r" % self.agent.process.returncode)
        self.ping()
        deadline = time.monotonic() + SETTLE_SECONDS
        again = time.monotonic() + 1
        while (wrong := self._complaint()) is not None:
            if time.monotonic() > deadline:
                raise Wrong(LEAKS, wrong)
            time.sleep(0.003)
            if time.monotonic() > again:
                self.ping()         # who has too much leaves after his next session
                again += 1
        result = self.agent.run(["true"], timeout=PATIENCE)
        if result.code != 0:
            raise Wrong(NOT_SERVED, repr(result))


class StartedAgent(Agent):
    """One that may not come up."""

    def wait_served(self):
        self._wait_ready("handshake")
        deadline = time.monotonic() + PATIENCE
        while len(self.worker_pids()) < Lab.WORKERS:
            if self.process.poll() is not None:
                raise RuntimeError("it ended")
            if time.monotonic() > deadline:
                raise Wrong(LEAKS, "only %d workers" % len(self.worker_pids()))
            time.sleep(0.005)
