# SPDX-License-Identifier: MIT
"""A worker that is killed around a send: what its host has read is whole, and it is
told how it ended, but where the contract allows that it is not."""

import collections
import contextlib
import os
import random
import re
import signal
import subprocess
import time

import pytest

import codec
from agent import Agent, FILL_PIPE, wait_until
from faults import Fault

pytestmark = pytest.mark.kills_workers

# A worker stands in a call for so long after the call is done, in microseconds.
DELAY = "delay_exit=20000000"


def frames_to_the_end(conn, timeout=20):
    """All frames until the agent closes, the last of which may come twice."""
    while conn.recv(timeout) is not None:
        pass
    conn.close()
    assert not conn.reset, conn.frames
    return conn.frames


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


# ---- all of a frame went, and its worker did not live to say so ------------------


@pytest.fixture
def small(start_agent):
    """An agent all of whose workers can be traced at once."""
    return start_agent("--workers=3", "--reserved=2")


def die_behind(agent, syscall, when, request, expected):
    """The frames of a REQUEST whose worker dies when its WHENth SYSCALL is done, and the
    host has read a frame of type EXPECTED."""
    victims = agent.worker_pids()
    with Fault(victims, syscall, DELAY, when):
        conn = request()
        while conn.expect_any().type != expected:
            pass
        kill(*victims)
    return frames_to_the_end(conn)


def request(agent, port, kind, payload):
    def send():
        conn = agent.connect(port)
        conn.send(kind, payload)
        conn.expect_any = lambda: conn.recv() or pytest.fail("closed: %r" % conn.frames)
        return conn
    return send


def test_output_that_went_is_followed_by_the_end(small):
    start = request(small, 52, codec.START, codec.start(["sh", "-c", "echo x; exec sleep 60"]))
    frames = die_behind(small, "sendto", 1, start, codec.STDOUT)
    assert [f.type for f in frames] == [codec.STDOUT, codec.STDERR, codec.EXIT], frames
    assert frames[0].payload == b"x\n" and b"worker lost" in frames[1].payload
    assert codec.exit_status(frames[2].payload) == (125, 0)


def test_an_exit_that_went_may_come_twice_and_is_the_same(small):
    start = request(small, 52, codec.START, codec.start(["sh", "-c", "exit 7"]))
    frames = die_behind(small, "sendmsg", 3, start, codec.EXIT)
    assert [f.type for f in frames] == [codec.EXIT, codec.EXIT], frames
    assert [codec.exit_status(f.payload) for f in frames] == [(7, 0), (7, 0)]


def test_an_ack_that_went_may_come_twice(small, tmp_path):
    def write():
        conn = request(small, 53, codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})()
        conn.send(codec.FILE_DATA, b"content")
        conn.send(codec.FILE_DONE)
        return conn
    frames = die_behind(small, "sendmsg", 3, write, codec.FILE_ACK)
    assert [f.type for f in frames] == [codec.FILE_ACK, codec.FILE_ACK], frames
    assert (tmp_path / "x").read_bytes() == b"content"


def test_a_long_answer_that_went_may_be_followed_by_an_error(small, tmp_path):
    stat = request(small, 53, codec.FILE_STAT_REQ, {"path": str(tmp_path)})
    frames = die_behind(small, "sendmsg", 3, stat, codec.FILE_STAT)
    assert [f.type for f in frames] == [codec.FILE_STAT, codec.FILE_ERR], frames
    assert frames[1].payload == b"EIO: worker lost"


def test_a_frame_above_32_kib_that_went_is_followed_by_nothing(small):
    """Nobody knows then whether all of it has gone: a wrong byte is worse than silence."""
    start = request(small, 52, codec.START, codec.start(["sh", "-c", "exec python3 -c '%s'" % FILL_PIPE]))
    victims = small.worker_pids()
    with Fault(victims, "sendto", DELAY, 1):
        conn = start()
        assert conn.wait_readable(20)
        time.sleep(0.2)
        kill(*victims)
    while conn.recv(20) is not None:
        pass
    conn.close()
    assert codec.EXIT not in [f.type for f in conn.frames]


# ---- none of a frame went ----------------------------------------------------------


@pytest.mark.parametrize("code", [0, 7])
def test_an_exit_that_did_not_go_is_sent_by_the_supervisor(small, code):
    victims = small.worker_pids()
    with Fault(victims, "sendmsg", "signal=SIGKILL", 3):
        frames = frames_to_the_end(small.start(["sh", "-c", "echo x; exit %d" % code]))
    assert [f.type for f in frames] == [codec.STDOUT, codec.EXIT], frames
    assert codec.exit_status(frames[1].payload) == (code, 0)


# ---- at every call of a session -------------------------------------------------------


def calls_of_a_session(agent, talk, tmp_path):
    """[(name, which of that name)] of the worker's calls, from accept to its return."""
    trace = tmp_path / "trace"
    with subprocess.Popen(["strace", "-qq", "-f", "-o", str(trace),
                           *["-p%d" % pid for pid in agent.worker_pids()]]) as strace:
        wait_until(lambda: all("TracerPid:\t%d\n" % strace.pid in open("/proc/%d/status" % pid).read()
                               for pid in agent.worker_pids()), message="strace")
        talk(agent)
        wait_until(lambda: "epoll_pwait(" in trace.read_text().partition("shutdown(")[2],
                   message="the end of the session")
        strace.send_signal(signal.SIGINT)
    lines = [line.split(maxsplit=1) for line in trace.read_text().splitlines()]
    worker = next(pid for pid, text in lines if text.startswith("shutdown("))
    counts = collections.Counter()
    calls = []
    for pid, text in lines:
        name = re.match(r"(\w+)\(", text)
        # Who waits for a connection is in a call when it is attached to.
        if pid == worker and name and name[1] != "epoll_pwait":
            counts[name[1]] += 1
            calls.append((name[1], counts[name[1]]))
    return calls


def end_of_one(agent):
    """(whether the handshake was answered, the ends that were told) of one program."""
    with agent.dial() as sock:
        sock.settimeout(30)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            with contextlib.suppress(BrokenPipeError):
                sock.sendall(b"CONNECT 52\n")
                data = sock.recv(100)
                sock.sendall(codec.encode(codec.START, codec.start(["sh", "-c", "echo x; exit 7"])))
            # A worker that was lost while it waited for START has had its end told by then.
            while part := sock.recv(1000):
                data += part
    line, _, rest = data.partition(b"\n")
    decoder = codec.Decoder()
    frames = decoder.feed(rest)
    assert decoder.pending == 0, data
    assert all(f.type in (codec.STDOUT, codec.STDERR, codec.EXIT) for f in frames), frames
    output = b"".join(f.payload for f in frames if f.type == codec.STDOUT)
    ends = [codec.exit_status(f.payload)[0] for f in frames if f.type == codec.EXIT]
    assert output in (b"", b"x\n") and (7 not in ends or output), frames
    return line.startswith(b"OK "), ends


def test_a_worker_killed_at_any_call_of_a_session_leaves_a_host_with_an_end(tmp_path):
    with Agent("--workers=3", "--reserved=2") as agent:
        calls = calls_of_a_session(agent, end_of_one, tmp_path)
    assert ("sendmsg", 3) in calls and ("sendto", 1) in calls, calls
    silent = []
    for name, when in calls:
        with Agent("--workers=3", "--reserved=2") as agent:
            with Fault(agent.worker_pids(), name, "signal=SIGKILL", when):
                has_port, ends = end_of_one(agent)
        assert ends in ([], [7], [125], [7, 7]), (name, when, ends)
        if not ends and has_port:
            silent.append((name, when))
    assert not silent, silent


# ---- at random ------------------------------------------------------------------------

# VGA_KILL_ROUNDS of them.
ROUNDS = int(os.environ.get("VGA_KILL_ROUNDS", "300"))
ROUNDS_AN_AGENT = 30


def random_kill(agent, noise):
    """One session whose worker dies near one of its sends. Returns its ends."""
    script = noise.choice(["echo $PPID; exec sleep 60", "echo $PPID; exit 7",
                           "echo $PPID; sleep 0.00%d; exit 7" % noise.randrange(10),
                           "echo $PPID; kill -9 $PPID; exec sleep 60",
                           "echo $PPID; kill -9 $PPID & exit 7"])
    conn = agent.start(["sh", "-c", script])
    frame = conn.recv(20)
    if frame is not None and frame.type == codec.STDOUT:
        time.sleep(noise.choice([0, 0, 0.0001, 0.0005, 0.002]))
        try:
            os.kill(int(frame.payload.split()[0]), signal.SIGKILL)
        except ProcessLookupError:
            pass
    frames = frames_to_the_end(conn)
    assert all(f.type in (codec.STDOUT, codec.STDERR, codec.EXIT) for f in frames), frames
    return [codec.exit_status(f.payload)[0] for f in frames if f.type == codec.EXIT]


def test_no_host_is_left_without_an_end_by_a_kill_near_a_send():
    noise = random.Random(4711)
    seen = collections.Counter()
    for _ in range(ROUNDS // ROUNDS_AN_AGENT):
        with Agent("--workers=%d" % (2 * ROUNDS_AN_AGENT), "--log=error") as agent:
            for _ in range(ROUNDS_AN_AGENT):
                seen[tuple(random_kill(agent, noise))] += 1
    assert set(seen) <= {(7,), (125,), (7, 7)}, seen
    assert seen[(7,)] and seen[(125,)], seen
