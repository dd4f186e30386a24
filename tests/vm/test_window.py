# SPDX-License-Identifier: MIT
"""What may wait in the guest's kernel while nobody reads it. A host has credit for bytes, and
can't know that kernels since Linux 6.12.92 count packets too, and reset a connection for which
too many wait; newer ones, as Debian 13's, put small ones together before they would."""

import fcntl
import hashlib
import struct
import termios
import threading

import codec
import pytest
import state
from guest import KERNEL
from host_vsock import PIECE

KIB, MIB = 1024, 1024 * 1024
HELD = MIB + (256 + 68) * KIB  # by the agent, undelivered and unread, and by the program's pipe
PAYLOAD = 200  # packets of up to 128 bytes are put together by any kernel
FRAMES = 5000
MOST = 4 * MIB // 576  # packets
RESETS = KERNEL == "cloud-bookworm-backports"
NOT_READING = "echo up; until [ -e /%s ]; do sleep 0.1; done; sha256sum"
CAUSE = "the connection was reset: No buffer space available: too many small packets"


@pytest.fixture(scope="module")
def hosted(hosting):
    with hosting(listen=[51]) as started:
        assert started.listeners[0].hear(60) == b"R"
        yield started


def has_sent(hosted, conn):
    """Whether all that was said is in the guest."""
    (waiting,) = struct.unpack("i", fcntl.ioctl(conn, termios.TIOCOUTQ, bytes(4)))
    return waiting == 0 and hosted.host.has_sent_all()


class Unread:
    """COUNT frames in packets of their own, to a program that reads nothing before read(), and
    an agent that has read all that it will: as many of them as there is credit for."""

    def __init__(self, hosted, name, count):
        self.hosted, self.name = hosted, name
        self.conn = hosted.start(NOT_READING % name)
        self.conn.read_output(b"up\n")
        hosted.host.piece = PIECE
        self.conn.send(codec.STDIN, bytes(HELD))
        state.wait_until(lambda: has_sent(hosted, self.conn))
        payloads = [b"%*d" % (PAYLOAD, i) for i in range(count)]
        self.sent = bytes(HELD) + b"".join(payloads)
        frames = b"".join(codec.encode(codec.STDIN, payload) for payload in payloads)
        hosted.host.piece = len(frames) // count
        self._sender = threading.Thread(target=self._send, args=(frames,))
        self._sender.start()
        state.wait_until(lambda: hosted.host.lacks_credit() or not self._sender.is_alive())

    def _send(self, frames):
        try:
            self.conn.send_raw(frames, timeout=120)
        except BrokenPipeError:
            return
        state.wait_until(lambda: has_sent(self.hosted, self.conn))

    def is_in_guest(self):
        return not self._sender.is_alive()

    def read(self):
        """What the program makes of it all."""
        self.hosted.guest.output(f"touch /{self.name}")
        self._sender.join()
        self.conn.send(codec.EOF)
        return self.conn.result()

    def was_read(self):
        return f"up\n{hashlib.sha256(self.sent).hexdigest()}  -\n".encode()


def is_wide(guest):
    """Where no kernel counts packets, a window that small ones fill would take too much memory."""
    return tuple(map(int, guest.output("uname -r").split(".")[:2])) >= (6, 3)


def test_small_frames_to_a_program_that_does_not_read_are_all_delivered(hosted):
    unread = Unread(hosted, "all", FRAMES)
    assert hosted.host.granted == (4 * MIB if is_wide(hosted.guest) else 256 * KIB)
    assert unread.is_in_guest() == is_wide(hosted.guest)
    assert unread.read().stdout == unread.was_read()
    assert "reset" not in hosted.guest.console()


def test_a_reset_for_too_many_packets_is_said_in_the_log_with_its_cause(hosted):
    """By the kernel that does it; the others deliver them."""
    unread = Unread(hosted, "more", MOST + 1000)
    if RESETS:
        hosted.guest.wait_console(CAUSE)
        assert unread.conn.result().exit is None
        hosted.wait_idle()
    else:
        assert unread.read().stdout == unread.was_read()
        assert "reset" not in hosted.guest.console()
