# SPDX-License-Identifier: MIT
"""Sessions of a guest, as frames: what the client would hide."""

import json
import struct

import state

START, KILL, ATTACH, STDOUT, STDERR, EXIT, STATUS = 0x01, 0x44, 0x45, 0x10, 0x11, 0x12, 0x50
MIB = 1024 * 1024


class Session:
    """What a START came to."""

    def __init__(self, frames):
        self.out = b"".join(data for kind, data in frames if kind == STDOUT).decode()
        self.err = b"".join(data for kind, data in frames if kind == STDERR).decode()
        self.events = [json.loads(data) for kind, data in frames if kind == STATUS]
        assert frames and frames[-1][0] == EXIT, frames
        self.code, self.signal = struct.unpack("<ii", frames[-1][1])

    @property
    def exited(self):
        return next(event for event in self.events if event["event"] == "exited")


def run(guest, *command, **members):
    request = json.dumps({"cmd": command, **members}).encode()
    return Session(guest.frames(52, (START, request), seconds=60))


def start(guest, script, **members):
    return run(guest, "sh", "-c", script, **members)


def attach(guest, name):
    """What a host gets that comes to the durable session NAME, up to its end."""
    request = json.dumps({"name": name, "input": False, "report": True}).encode()
    return Session(guest.frames(52, (ATTACH, request), seconds=60))


def kill(guest, session, signal):
    request = json.dumps({"session": session, "signal": signal}).encode()
    ((kind, data),) = guest.frames(52, (KILL, request))
    assert kind == EXIT
    return struct.unpack("<ii", data)[0]


def is_running(guest, *titles):
    commands = [command for _, kind, command in state.processes(guest).values() if kind != "Z"]
    return any(title in command for command in commands for title in titles)


def kill_all(guest, title):
    """Kills the processes whose command lines have TITLE."""
    pids = [pid for pid, (_, _, command) in state.processes(guest).items() if title in command]
    # One that went with another is gone.
    guest.run("kill -9 " + " ".join(map(str, pids)))
    state.wait_until(lambda: not is_running(guest, title))


def counts_peaks(guest):
    """Whether the kernel counts the peak of a cgroup's memory: from Linux 5.19 on."""
    return tuple(map(int, guest.output("uname -r").split(".")[:2])) >= (5, 19)
