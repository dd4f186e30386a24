# SPDX-License-Identifier: MIT
"""A guest that stands still, without anything of this machine being frozen for it.

    with Quiesce(agent, conn, …) as quiesce:    as soon as all rest; what comes meanwhile on
                                                these connections is taken in
        quiesce.silent(conn, …)                 nothing comes on any of them any more
    quiesce.thawed                              the STATUS after the host's THAW frame

    quiesce = Quiesce(agent, within_ms=300); quiesce.ask()    its STATUS, which may be an error
"""

import json
import select

import codec
from agent import TIMEOUT, wait_until
from holding import phase
from traces import Trace, name_of

# What a worker at rest may ask the kernel for: to sleep, and that its watchdog sleeps.
AT_REST = {"ppoll", "timerfd_settime", "rt_sigreturn", "restart_syscall", "write"}


class Quiesce:
    """One QUIESCE. MEMBERS go over those that freeze nothing."""

    def __init__(self, agent, *conns, **members):
        self.agent = agent
        self.conns = conns
        self.order = {"freeze": "none", "sync": False, "within_ms": 20000, "hold_ms": 60000, **members}
        self.conn = None
        self.quiesced = self.thawed = None

    def begin(self):
        """Asks for it, and waits until all are told to rest."""
        self._send()
        wait_until(lambda: phase(self.agent) == "resting", message="it has begun")

    def _has_begun(self):
        is_asked_for = phase(self.agent) in (None, "asked")
        return self.conn.wait_readable(0) or not is_asked_for

    def _send(self):
        self.conn = self.agent.connect()
        self.conn.send(codec.QUIESCE, json.dumps(self.order).encode())

    def ask(self):
        """Asks for it, if that is not done, and returns what is answered, a STATUS."""
        if self.conn is None:
            self._send()
            # Or what is under way might be over before all are told, on a busy machine.
            if self.conns:
                wait_until(self._has_begun, message="it has begun")
        while not self.conn.wait_readable(0):
            self._take_in(TIMEOUT)
        self.quiesced = self.conn.expect(codec.STATUS).json()
        assert self.quiesced["event"] == "quiesced", self.quiesced
        return self.quiesced

    def _take_in(self, timeout):
        """Takes in what has come, or comes first."""
        there = [conn for conn in self.conns if not conn.closed]
        ready, _, _ = select.select([self.conn, *there], [], [], timeout)
        assert ready, "nothing came: %r" % (self.order,)
        for conn in there:
            if conn in ready:
                conn.sock.setblocking(False)
                conn._receive()

    def __enter__(self):
        status = self.ask()
        assert "error" not in status, status
        # What was sent before may still be on its way through this machine.
        for conn in self.conns:
            conn.sock.setblocking(False)
            while not conn.closed and conn.wait_readable(0):
                conn._receive()
        return self

    def silent(self, seconds=0.5):
        """Nothing comes, not even an end."""
        ready, _, _ = select.select([self.conn, *[c for c in self.conns if not c.closed]], [], [], seconds)
        assert not ready, "not silent: %r" % ([c.frames[-3:] for c in ready],)

    def thaw(self):
        self.conn.send(codec.THAW)
        self.thawed = self.conn.expect(codec.STATUS).json()
        assert self.thawed == {"event": "thawed", "why": "host"}, self.thawed
        assert self.conn.result().code == 0

    def __exit__(self, kind, *_):
        if kind is None and self.thawed is None:
            self.thaw()
        self.conn.close()


def see_rest(pids, seconds=1.5):
    """The workers PIDS do nothing but sleep."""
    with Trace(pids, "all") as trace:
        select.select([], [], [], seconds)
        for pid, calls in trace.calls().items():
            others = [call for call in calls if name_of(call) not in AT_REST]
            assert not others, "process %d does not rest: %r" % (pid, others[:8])
