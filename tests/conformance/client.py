# SPDX-License-Identifier: MIT
"""The real client, driven from outside; and an agent that says what a test wants.

    ctl = Ctl(agent.path)
    done = ctl.run("exec", "--", "echo", "x")       .code .stdout .stderr
    with ctl.start("exec", "cat") as process: ...   a Popen
    with Terminal(ctl, "exec", "-t", "sh") as term: the client on a pseudo-terminal

    with FakeAgent(script) as fake:                 script(peer) for each connection
        Ctl(fake.path).run(...)
"""

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import NamedTuple

import codec
from agent import TIMEOUT, agent_binary
from codec import Decoder
from local_server import LocalServer


def ctl_binary():
    """The client under test: $VMM_GUEST_CTL, or the one beside the agent."""
    path = os.environ.get("VMM_GUEST_CTL") or os.path.join(
        os.path.dirname(agent_binary()), "vmm-guest-ctl")
    if not os.access(path, os.X_OK):
        raise FileNotFoundError("no client at %s: set VMM_GUEST_CTL" % path)
    return path


class Done(NamedTuple):
    code: int           # negative: the signal that ended it
    stdout: bytes
    stderr: bytes

    @property
    def text(self):
        return self.stderr.decode("utf-8", "replace")


class Ctl:
    def __init__(self, path, env=None):
        self.env = dict(os.environ, VMM_GUEST_ADDR="unix:" + path, **(env or {}))

    def argv(self, *args):
        return [ctl_binary(), *args]

    def start(self, *args, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return Process(self.argv(*args), env=self.env, **more)

    def run(self, *args, input=None, timeout=TIMEOUT, **more):
        if input is not None:
            more["stdin"] = subprocess.PIPE
        with self.start(*args, **more) as process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                process.kill()
                raise
        return Done(process.returncode, out, err)

    def ok(self, *args, **more):
        """run() that must succeed; its output."""
        done = self.run(*args, **more)
        assert done.code == 0, "%r: %r" % (args, done)
        return done.stdout


class Process(subprocess.Popen):
    """One that a failed test does not wait for."""

    def __exit__(self, kind, *rest):
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


class Terminal:
    """The client on a pseudo-terminal of its own, which it controls."""

    def __init__(self, ctl, *args, columns=97, rows=31):
        self.output = b""
        self.status = None
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            ctl.argv(*args), env=ctl.env, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("<HHHH", rows, columns, 0, 0))

    def type(self, data):
        os.write(self.master, data)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def _read(self, seconds):
        if not select.select([self.master], [], [], max(0.0, seconds))[0]:
            return False
        try:
            self.output += os.read(self.master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        return True

    def read_until(self, text, timeout=TIMEOUT):
        """Reads on until TEXT stands in all of the output so far."""
        deadline = time.monotonic() + timeout
        while text not in self.output:
            left = deadline - time.monotonic()
            assert left > 0, "no %r in %r" % (text, self.output)
            self._read(min(left, 0.1))
        return self.output

    def wait(self, timeout=TIMEOUT):
        """The exit status; the output is taken in meanwhile."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end: %r" % (self.output,)
            self._read(0.02)
        while self._read(0.05):
            pass
        return self.process.returncode


class Peer:
    """The agent's end of one connection, its handshake done."""

    def __init__(self, sock, port):
        self.sock = sock
        self.port = port
        self._decoder = Decoder()
        self._frames = []

    def recv(self):
        """The next frame, or None when the client has closed."""
        while not self._frames:
            try:
                data = self.sock.recv(262144)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def waiting(self):
        """The frames that have come and that recv() has not given out."""
        return list(self._frames)

    def expect(self, kind):
        frame = self.recv()
        assert frame is not None and frame.type == kind, "expected 0x%02x, got %r" % (kind, frame)
        return frame

    def until(self, kind):
        """The frames up to one of KIND, which is the last."""
        frames = [self.recv()]
        while frames[-1] is not None and frames[-1].type != kind:
            frames.append(self.recv())
        return frames

    def send(self, kind, payload=b""):
        self.send_raw(codec.encode(kind, payload))

    def send_raw(self, data):
        self.sock.sendall(data)

    def refuse(self, frame):
        """As an agent does that knows no such request."""
        self.send(codec.FILE_ERR, b"EPROTO: no request begins with frame 0x%02x" % frame.type)

    def exit(self, code=0, sig=0):
        self.send(codec.EXIT, struct.pack("<ii", code, sig))

    def entry(self, name, kind="file", size=0, mode=0o644, target=""):
        return {"name": name, "kind": kind, "size": size, "mode": mode, "mtime_secs": 1000000000,
                "mtime_nanos": 0, "uid": 0, "gid": 0, "symlink_target": target}


class FakeAgent(LocalServer):
    """Listens as a vsock device does, and runs SCRIPT(peer) in a thread for each
    connection. What a script raises is raised at the end. HANDSHAKE: what is
    answered to CONNECT, None for a close. TIMEOUT: of one send or receive."""

    def __init__(self, script, handshake=b"OK 7\n", timeout=TIMEOUT):
        super().__init__("vga-fake-")
        self.script = script
        self.timeout = timeout
        self.handshake = handshake
        self.errors = []
        self.ports = []

    def __exit__(self, kind, *rest):
        super().__exit__(kind, *rest)
        for thread in self.threads:
            assert not thread.is_alive(), "a script does not end"
        if self.errors and kind is None:
            raise self.errors[0]

    def serve(self, sock):
        with sock:
            sock.settimeout(self.timeout)
            try:
                port = self._shake_hands(sock)
                if port is not None:
                    self.ports.append(port)
                    self.script(Peer(sock, port))
            except (BrokenPipeError, ConnectionResetError):
                pass                            # the client may leave
            except BaseException as error:      # pylint: disable=broad-except
                self.errors.append(error)

    def _shake_hands(self, sock):
        """The port that was asked for, or None where that was the end."""
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            if not byte:
                return None
            line += byte
        if self.handshake is None:
            return None
        sock.sendall(self.handshake)
        return int(line.split()[1])
