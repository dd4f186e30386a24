# SPDX-License-Identifier: MIT
"""WATCH as a host sees it."""

import os
import signal

import codec
from agent import stat_of, wait_until


class Stopped:
    """The worker of the one WATCH stands still; and its supervisor, who would have it go
    on."""

    def __init__(self, agent):
        self.supervisor = agent.pid
        self.pid = 0

        def slots():            # those of before may still be closing
            return [s for s in agent.status()["slots"] if s["kind"] == "watch"]
        wait_until(lambda: len(slots()) == 1, message="one watch")
        self.pid = slots()[0]["pid"]

    def __enter__(self):
        for pid in (self.supervisor, self.pid):
            os.kill(pid, signal.SIGSTOP)
            wait_until(lambda: stat_of(pid)[0] == "T", message="the stop of %d" % pid)
        return self

    def __exit__(self, *_):
        for pid in (self.pid, self.supervisor):
            os.kill(pid, signal.SIGCONT)


class Watch:
    """A WATCH of PATH below TOP that stands; MORE are members of the request. Events
    are (kind, path) without TOP, and renamed_to or error behind where there is one."""

    def __init__(self, agent, top, path="", recursive=False, **more):
        self.top = str(top)
        self.path = self.top + path
        self.conn = agent.file_connect(
            codec.FILE_WATCH_REQ, {"path": self.path, "recursive": recursive, **more})
        assert self.conn.expect(codec.FILE_ACK).payload == b""

    def close(self):
        self.conn.close()

    def _event(self, frame):
        assert frame.type == codec.FILE_EVENT, frame
        event = frame.json()
        members = ["kind", "path", "renamed_to"]
        assert list(event) == members + ["error"] * (event["kind"] == "unwatched"), event
        for member in ("path", "renamed_to"):
            assert event[member] == "" or event[member].startswith(self.top), event
        found = (event["kind"], event["path"][len(self.top):])
        if event["kind"] == "unwatched":
            return found + (event["error"],)
        return found + (event["renamed_to"][len(self.top):],) if event["renamed_to"] else found

    def until(self, *last):
        """The events up to and with LAST, a kind and a path."""
        events = []
        while not events or events[-1][:2] != last:
            events.append(self._event(self.conn.recv()))
        return events

    def end(self):
        """The text of the FILE_ERR that ends it."""
        text = self.conn.expect(codec.FILE_ERR).payload.decode()
        assert self.conn.recv() is None
        return text
