# SPDX-License-Identifier: MIT
"""Guests and hosts that mean harm, or behave as if they did."""

import fcntl
import os
import signal
import socket
import struct
import sys
import termios
import time

import agent as agent_module
import codec
import pytest
from traces import Trace

PYTHON = sys.executable or "/usr/bin/python3"


# The main process ends while a child that traces it never waits for it: until the
# tracer has gone, its zombie is hidden from its parent.
TRACED = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
r, w = os.pipe()
parent = os.getpid()
child = os.fork()
if child == 0:
    PTRACE_SEIZE = 0x4206
    ok = libc.ptrace(ctypes.c_long(PTRACE_SEIZE), ctypes.c_long(parent), None, None) == 0
    os.write(w, b"y" if ok else b"n")
    os.close(1)
    os.close(2)
    time.sleep(60)
    os._exit(0)
os.write(1, os.read(r, 1) + b"%d" % child)
os._exit(7)
"""


def test_a_worker_does_not_spin_while_it_waits_for_what_ignores_the_hangup(start_agent):
    agent = start_agent("--workers=1")
    conn = agent.start(["/bin/sh", "-c", "(trap '' HUP; echo up; exec sleep 60) & exec sleep 60"])
    conn.read_output(b"up")
    with Trace(agent.worker_pids(), "ppoll") as trace:
        conn.close()
        agent.status()
    (calls,) = trace.calls().values()
    assert 1 <= len(calls) < 100, calls


def unread(conn):
    """How many bytes wait for us."""
    return struct.unpack("i", fcntl.ioctl(conn.sock, termios.FIONREAD, bytes(4)))[0]


def write_slowly(agent, count):
    """A program that writes COUNT single bytes, each of which becomes a frame."""
    script = "import os, time\nfor i in range(%d):\n    os.write(1, b'x'); time.sleep(0.002)"
    return agent.start([PYTHON, "-c", script % count])


def test_exit_is_sent_though_the_host_pauses_for_longer_than_a_transfer_may(start_agent):
    agent = start_agent("--workers=16", "--stall-timeout=1")
    frame = len(codec.encode(codec.STDOUT, b"x"))
    with write_slowly(agent, 100000) as conn:
        agent_module.wait_until(lambda: unread(conn) > 0)
        full = 0
        while unread(conn) > full:
            full = unread(conn)
            time.sleep(1)
    # With one of these the program's last byte is the last that finds room.
    counts = [full // frame + more for more in range(-4, 5)]
    conns = [write_slowly(agent, count) for count in counts]
    agent_module.wait_until(
        lambda: not [pid for worker in agent.worker_pids() for pid in agent_module.children(worker)
                     if agent_module.is_running(pid)], message="the programs have written all")
    time.sleep(2.5)
    results = [conn.result() for conn in conns]
    assert [(r.code, len(r.stdout)) for r in results] == [(0, count) for count in counts]


def test_exit_is_sent_though_a_tracer_hides_the_end_of_the_program(agent):
    result = agent.start([PYTHON, "-c", TRACED]).result()
    assert result.stdout.startswith(b"y"), "no right to trace here"
    tracer = int(result.stdout[1:])
    try:
        assert (result.code, result.signal) == (7, 0)
        assert agent_module.is_running(tracer), "it was waited for"
    finally:
        agent_module.kill_hard(tracer)


def test_workers_that_a_session_has_stopped_go_on(agent):
    for pid in agent.worker_pids():
        os.kill(pid, signal.SIGSTOP)
    assert agent.run(["echo", "x"]).stdout == b"x\n"


@pytest.mark.ends_agent
def test_workers_leave_with_their_supervisor_though_they_wrote_for_a_user(start_agent, public_dir):
    agent = start_agent("--workers=1", "--reserved=0")
    family = agent.worker_pids()
    agent.write_file(str(public_dir / "x"), b"x", user="nobody")
    assert agent.worker_pids() == family
    agent.process.kill()
    agent.process.wait()
    try:
        agent_module.wait_until(lambda: not any(map(agent_module.is_running, family)))
    finally:
        agent_module.kill_hard(*family)


def test_a_host_that_never_stops_sending_is_seen_off(agent):
    conn = agent.start(["true"])
    frame = memoryview(codec.encode(codec.STDIN, b"x" * (1 << 20)) * 4)
    seen_off = []

    def flood():
        sock = conn.sock.dup()
        sock.settimeout(20)
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 20:
                sock.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            seen_off.append(True)
        sock.close()

    agent_module.together([flood] * 3)
    conn.close()
    assert len(seen_off) == 3, "its bytes were taken for 20 s"


def test_a_worker_does_not_spin_over_urgent_data(start_agent):
    agent = start_agent("--workers=1")
    with agent.start(["sh", "-c", "echo up; exec sleep 60"]) as conn:
        conn.read_output(b"up")
        with Trace(agent.worker_pids(), "ppoll") as trace:
            conn.sock.send(b"x", socket.MSG_OOB)
            time.sleep(1)
        (calls,) = trace.calls().values()
        assert len(calls) < 100, calls[-5:]
