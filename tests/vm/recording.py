# SPDX-License-Identifier: MIT
"""Golden transcripts of what takes a guest: the scenarios of tests/conformance/transcripts_exec.py
that say in_vm, recorded by vsock."""

import pathlib
import sys

CONFORMANCE = pathlib.Path(__file__).resolve().parent.parent / "conformance"
sys.path.append(str(CONFORMANCE))

import codec  # noqa: E402
import transcripts  # noqa: E402
import transcripts_exec  # noqa: E402, F401


class Sent:
    """A connection: all that is sent goes at once, when the answer is asked for."""

    reset = False

    def __init__(self, guest, port):
        self.guest = guest
        self.port = port
        self.frames = []
        self._answer = None
        self._decoder = codec.Decoder()
        self.sock = self

    def fileno(self):
        return 0

    def send_reading(self, data):
        self.frames += self._decoder.feed(data)
        return len(data)

    def recv(self):
        if self._answer is None:
            self._answer = [codec.Frame(*frame) for frame in self.guest.frames(self.port, *self.frames)]
        return self._answer.pop(0) if self._answer else None

    def close(self):
        pass


class Recorder(transcripts.Recorder):
    """The handshake of `unix:`, which is not there on vsock, is in the file all the same."""

    def open(self, port=None):
        port = port or self.scenario.head["port"]
        self.bytes("host", b"CONNECT %d\n" % port)
        self.bytes("agent", b"OK %d\n" % port)
        self.conn = Sent(self.agent, port)


def names():
    return [name for name, scenario in transcripts.SCENARIOS.items() if scenario.in_vm]


def record(guest, name):
    """What stands in its file."""
    recorder = Recorder(guest, transcripts.SCENARIOS[name])
    recorder.scenario.run(recorder)
    return recorder.file()


def path_of(name):
    return pathlib.Path(transcripts.FOLDER, f"{name}.jsonl")
