# SPDX-License-Identifier: MIT
"""A way to the agent that breaks when a test wants it to.

    with Relay(agent.path) as relay:
        Ctl(relay.path).start("exec", "--durable", …)
        relay.cut()                     all connections that there are
        relay.cut_after(1 << 20)        once so many bytes more have gone to the agent
        relay.is_down = True            new ones are closed at once, too
        relay.target = other.path       where new ones lead from now on
"""

import select
import socket
import threading

from agent import TIMEOUT
from local_server import LocalServer

PIECE = 65536


class Relay(LocalServer):
    def __init__(self, target):
        super().__init__("vga-relay-")
        self.target = target
        self.is_down = False
        self.cuts = 0
        self.to_agent = self.to_host = 0        # bytes so far
        self._due = {"to_agent": [], "to_host": []}
        self._pairs = set()
        self._lock = threading.Lock()

    def end(self):
        self.cut()

    def cut(self):
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    end.shutdown(socket.SHUT_RDWR)
            self.cuts += len(self._pairs) > 0

    def cut_after(self, *counts, of="to_agent"):
        """Once so many bytes OF one direction have gone, and so on."""
        self._due[of] += counts

    def serve(self, host):
        agent = socket.socket(socket.AF_UNIX)
        with host, agent:
            if self.is_down:
                return
            agent.connect(self.target)
            pair = (host, agent)
            with self._lock:
                self._pairs.add(pair)
            try:
                self._carry_pair(host, agent)
            except OSError:
                pass
            with self._lock:
                self._pairs.discard(pair)

    def _carry_pair(self, host, agent):
        """Until either closes: a half-close is a close on the transports that this stands
        for. Neither direction waits for the other."""
        waiting = {host: b"", agent: b""}       # what is to be sent there
        other = {host: agent, agent: host}
        while True:
            readable, writable, _ = select.select(
                [end for end in other if not waiting[other[end]]], [end for end in other if waiting[end]], [], TIMEOUT)
            for end in writable:
                waiting[end] = waiting[end][end.send(waiting[end], socket.MSG_DONTWAIT):]
            for end in readable:
                data = end.recv(PIECE)
                if not data:
                    return
                waiting[other[end]] = data
                if self._is_due("to_agent" if end is host else "to_host", len(data)):
                    return

    def _is_due(self, way, count):
        """Counts, and says whether a cut is due; what has come last is lost with it."""
        before = getattr(self, way)
        setattr(self, way, before + count)
        due = self._due[way]
        if not due or before + count < due[0]:
            return False
        due.pop(0)
        self.cuts += 1
        return True
