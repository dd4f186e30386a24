# SPDX-License-Identifier: MIT
"""A guest and its host, which sees the guest from the other end of a vsock device."""

import json
import pathlib
import socket
import subprocess
import sys

import pytest
import state

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conformance"))

import codec  # noqa: E402
from agent import Connection  # noqa: E402

MEMORY_MIB = 256


class Listener:
    """Somebody on the host who listens on PORT."""

    def __init__(self, host, port):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(f"{host.path}_{port}")
        self.socket.listen()

    def hear(self, seconds):
        """All that the next caller says."""
        self.socket.settimeout(seconds)
        conn, _ = self.socket.accept()
        with conn:
            conn.settimeout(seconds)
            said = b""
            while data := conn.recv(100):
                said += data
        return said

    def hears_nothing(self):
        self.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            self.socket.accept()


class Hosted:
    """A guest, and its host."""

    def __init__(self, boot, build, host, arguments, devices=(), **options):
        self.host = host
        self.ctl_path = build / "vmm-guest-ctl"
        self.guest = boot(
            arguments, machine="q35", devices=(*host.devices(MEMORY_MIB), *devices),
            memory_mib=MEMORY_MIB, **options,
        )

    def ctl(self, *arguments, **options):
        return subprocess.run(
            [self.ctl_path, "-a", f"unix:{self.host.path}", *arguments],
            capture_output=True, text=True, timeout=60, check=False, **options,
        )  # fmt: skip

    def begin(self, *arguments):
        """The client, as a Popen."""
        return subprocess.Popen(
            [self.ctl_path, "-a", f"unix:{self.host.path}", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def dial(self, port=52):
        conn = socket.socket(socket.AF_UNIX)
        conn.settimeout(60)
        conn.connect(self.host.path)
        conn.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n"):
            byte = conn.recv(1)
            assert byte, "the guest refuses the connection"
            line += byte
        assert line.startswith(b"OK ")
        return Connection(conn)

    def start(self, script, **members):
        conn = self.dial()
        conn.send(codec.START, {"cmd": ["sh", "-c", script], **members})
        return conn

    def status(self):
        done = self.ctl("status", "--json")
        assert done.returncode == 0, (done, self.guest.report())
        return json.loads(done.stdout)

    def wait_idle(self, seconds=60):
        state.wait_until(lambda: self.status()["workers"]["exec"] == 0, seconds)
