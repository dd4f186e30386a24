# SPDX-License-Identifier: MIT
"""libvmmguest is held against the golden transcripts: what it says to the agent, and what it
tells its program."""

import base64
import errno
import json
import os
import struct
import subprocess
import sys
import time

import pytest

import library
from library import Guest
from transcripts import FOLDER

# A library that was built with the sanitizers can't be loaded into a program that was not.
pytestmark = pytest.mark.plain_build

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transcript_agent.py")
PATIENCE = 60

# Of `do`: its frame, and what it is asked that is no member of that frame.
FRAMES = {"run": "START", "attach": "ATTACH", "connect": "CONNECT", "watch": "FILE_WATCH_REQ",
          "put": "FILE_WRITE_REQ", "get": "FILE_READ_REQ", "quiesce": "QUIESCE"}
OURS = {"do", "steps", "deadline_ms", "retry_ms", "data", "data_b64", "data_times", "stdin_b64", "stdin_times"}

PROGRAM_ERRORS = {errno.ENOENT: "missing", errno.EACCES: "cannot_run", errno.EBUSY: "busy", errno.EIO: "worker_lost"}
ANY_ERRORS = {errno.ETIMEDOUT: "deadline", errno.ECONNRESET: "closed"}


def lines_of(name):
    with open(os.path.join(FOLDER, name + ".jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def names():
    for file in sorted(os.listdir(FOLDER)):
        name, suffix = os.path.splitext(file)
        if suffix == ".jsonl" and any("given" in line for line in lines_of(name)) and lines_of(name)[0].get("client", True):
            yield name


def bytes_of(given, member):
    """A text or bytes of a transcript; None where there is none."""
    text = given.get(member)
    data = base64.b64decode(given[member + "_b64"]) if member + "_b64" in given else None
    if isinstance(text, str):
        data = text.encode()
    return None if data is None else data * given.get(member + "_times", 1)


def request_of(given):
    """(frame, its JSON)."""
    if given["do"] != "request":
        members = {k: v for k, v in given.items() if k not in OURS and not (k == "stdin" and isinstance(v, str))}
        return FRAMES[given["do"]], given.get("json", {}) if given["do"] == "quiesce" else members
    if given["frame"] == "CLOCK_SYNC":
        seconds, nanoseconds = struct.unpack_from("<qI", bytes.fromhex(given["hex"]))
        return "CLOCK_SYNC", {"unix_ns": seconds * 1000000000 + nanoseconds}
    return given["frame"], given.get("json")


class Call:
    """One thing that the library is asked to do."""

    def __init__(self, guest, given):
        self.guest = guest
        self.given = given
        self.found = []
        self.end = None
        self.deadline = time.monotonic() + PATIENCE

    def turn(self, seconds=1):
        """Takes in what there is, and waits a little where that is nothing."""
        event, data = self.guest.next()
        if event in (library.END, library.LEFT):
            self.end = event
        elif event != library.NONE:
            self.found.append((event, data))
        else:
            assert time.monotonic() < self.deadline, "nothing more comes behind %r" % (self.found[-3:],)
            self.guest.step(seconds)

    def all(self, *events):
        return b"".join(data for event, data in self.found if event in events)

    def wait(self, what):
        what = what.encode()
        while self.end is None:
            if what == b"FILE_ACK" and any(event == library.READY for event, _ in self.found):
                return
            if what in self.all(library.STDOUT, library.STATUS, library.CHANGE):
                return
            self.turn()

    def write(self, data):
        while data and self.end is None:
            try:
                data = data[self.guest.write(data[:1 << 20]):]
            except library.Failed as failed:
                assert failed.errno == errno.EPIPE
                return
            if data:
                self.turn(0 if self.guest.call("room") else 1)

    def step(self, step):
        """Returns whether that was the last."""
        (name, value), = step.items()
        if self.end is not None:
            return True
        if name == "await":
            self.wait(value)
        elif name in ("stdin", "data"):
            self.write(value.encode())
        elif name in ("signal", "resize"):
            self.guest.call(name, *(value if isinstance(value, list) else [value]))
        elif name in ("eof", "detach", "thaw"):
            self.guest.call(name)
        elif name == "ack":
            self.guest.call("ack", value)
        else:
            assert name == "leave", name
            self.guest.call("abort")
        return name == "leave"

    def run(self):
        self.guest.call("set", b"timeout_ms", self.given.get("deadline_ms", 0))
        self.guest.call("set", b"retry_ms", self.given.get("retry_ms", 0))
        self.guest.begin(*request_of(self.given))
        steps = self.given.get("steps", [])
        data = bytes_of(self.given, "data" if self.given["do"] == "put" else "stdin")
        if any(self.step(step) for step in steps):
            return self.outcome(None if self.given["do"] == "watch" else "left")
        if data is not None and not steps:
            self.write(data)
            if self.end is None:
                self.guest.call("eof")
        while self.end is None:
            self.turn()
        return self.outcome("detached" if self.end == library.LEFT else None)

    def outcome(self, error):
        words = self.guest.call("error_text").decode()
        is_program = self.given["do"] in ("run", "attach")
        is_file = request_of(self.given)[0].startswith("FILE_")
        found = {"error": error, "stdout": self.all(library.STDOUT), "data": self.all(library.DATA),
                 "stderr": self.all(library.STDERR),
                 "status": [json.loads(data) for event, data in self.found if event == library.STATUS],
                 "answers": [json.loads(data) for event, data in self.found if event in (library.ENTRY, library.CHANGE)]}
        if self.given["do"] == "watch":
            assert self.guest.result == -errno.ECANCELED
        elif error is None and self.guest.result >= 0:
            found["code"] = self.guest.result
        elif error is None:
            number = -self.guest.result
            if is_file and number not in ANY_ERRORS:
                found |= {"error": errno.errorcode[number], "text": words}
            elif is_program and number not in ANY_ERRORS:
                # The agent's own words are the error's, and no output.
                found |= {"error": PROGRAM_ERRORS.get(number, "refused")}
                if words + "\n" not in found["stderr"].decode():
                    found["stderr"] += words.encode() + b"\n"
            else:
                found["error"] = ANY_ERRORS[number] if is_program or is_file else "failed"
        return found


def check(outcome, found):
    for member in ("stdout", "stderr", "data"):
        wanted = bytes_of(outcome, member)
        if outcome["error"] == "closed":
            # Bytes of a frame that breaks off are given out as they come.
            assert wanted is None or found[member].startswith(wanted)
        elif wanted is not None:
            assert found[member] == wanted
    for member in ("error", "text", "status", "answers"):
        if member in outcome:
            assert found.get(member) == outcome[member]
    if outcome["error"] is None and "code" in outcome:
        assert found["code"] == outcome["code"]


class StandIn:
    """transcript_agent.py, for one transcript."""

    def __init__(self, folder, name, *options):
        self.path = os.path.join(folder, name)
        self.process = subprocess.Popen(
            [sys.executable, STAND_IN, "--transcripts=" + FOLDER, "--patience=60", *options, str(folder),
             os.path.join(FOLDER, name + ".jsonl")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        said, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, said


@pytest.mark.parametrize("name", names())
def test_a_transcript_is_what_the_library_says_and_tells(name, tmp_path):
    stand_in = StandIn(tmp_path, name)
    calls = [(line.get("given"), line.get("outcome")) for line in lines_of(name)]
    try:
        with Guest("unix:" + stand_in.path) as guest:
            for given, outcome in zip([g for g, _ in calls if g], [o for _, o in calls if o]):
                check(outcome, Call(guest, given).run())
    finally:
        stand_in.end()
