# SPDX-License-Identifier: MIT
"""Rule 8: what follows the last frame, on both ports."""

import contextlib
import re
import time

import pytest

import codec
from agent import together, wait_until
from traces import Trace, name_of, timed_out

ENDS = {
    "exit": lambda agent: agent.start(["true"]),
    "refusal": lambda agent: agent.start(["no-such-program"]),
    "bad_start": lambda agent: agent.start([]),
    "unknown_first_frame": lambda agent: request(agent, 0x99, b""),
    "file_refusal": lambda agent: agent.file_connect(0x99, b""),
    "status": lambda agent: request(agent, codec.STATUS_REQ, b""),
    "clock_error": lambda agent: request(agent, codec.CLOCK_SYNC, b""),
    "file_error": lambda agent: agent.file_connect(codec.FILE_READ_REQ, {"path": "/no/such"}),
    "file_done": lambda agent: agent.file_connect(codec.FILE_READ_REQ, {"path": "/etc/hostname"}),
}


def request(agent, kind, payload):
    conn = agent.connect()
    conn.send(kind, payload)
    return conn


def read_to_end(conn):
    """Up to the agent's half-close, the host's end left open."""
    while conn.recv() is not None:
        pass
    assert not conn.reset


def calls_of_a_session(agent, talk):
    """What the worker does that serves TALK's connection, up to its close."""
    def served():
        for calls in trace.calls().values():
            names = [name_of(call) for call in calls]
            if "accept4" in names and "close" in names[(names + ["shutdown"]).index("shutdown"):]:
                return calls[names.index("accept4"):]
        return None

    with Trace(agent.worker_pids(), "accept4,sendmsg,sendto,ppoll,shutdown,close") as trace:
        conn = talk()
        calls = wait_until(served, message="the close of the connection")
    conn.close()
    return calls


def waits_behind_the_end(calls):
    """The waits between the half-close and the close."""
    names = [name_of(call) for call in calls]
    return [call for call in calls[names.index("shutdown"):] if name_of(call) == "ppoll"]


def asked_ms(wait):
    """For how long a wait was asked for."""
    seconds, nanoseconds = re.search(r"\{tv_sec=(\d+), tv_nsec=(\d+)\}", wait).groups()
    return int(seconds) * 1000 + int(nanoseconds) / 1e6


def refused_upload(agent):
    """The rest of such an upload is heard for longer than 100 ms."""
    return agent.file_connect(codec.FILE_WRITE_REQ, {"path": ""})


ENDINGS = pytest.mark.parametrize("make", ENDS.values(), ids=ENDS.keys())


@pytest.mark.parametrize("make", [*ENDS.values(), refused_upload], ids=[*ENDS, "refused_upload"])
def test_the_sending_side_is_shut_down_at_once(agent, make):
    """Nothing is waited for between the last frame and the half-close."""
    def talk():
        conn = make(agent)
        read_to_end(conn)
        conn.send(codec.FILE_DONE)
        return conn

    names = [name_of(call) for call in calls_of_a_session(agent, talk)]
    end = names.index("shutdown")
    last = max(i for i in range(end) if names[i] in ("sendmsg", "sendto"))
    assert "ppoll" not in names[last:end], names


@ENDINGS
def test_a_host_that_still_writes_is_heard_for_about_100_ms_then_closed(agent, make):
    """A refused host of the file port may be heard longer: it may be uploading."""
    def talk():
        conn = make(agent)
        read_to_end(conn)
        assert conn.wait_hangup(20), "no close"
        return conn

    begun = time.monotonic()
    waits = waits_behind_the_end(calls_of_a_session(agent, talk))
    assert time.monotonic() - begun > 0.09 and timed_out(waits[-1]), "a host's late write would fail: %r" % waits
    # A wait that a busy machine begins late is asked for what is left.
    assert max(map(asked_ms, waits)) <= (2000 if make is ENDS["file_refusal"] else 100), waits


def test_an_eof_frame_that_comes_after_exit_never_fails_a_host(agent):
    """H1's run() writes START, then EOF, and takes a failed write for a failed run."""
    for _ in range(50):
        begun = time.monotonic()
        conn = agent.start(["true"])
        conn.until_exit()
        try:
            conn.send(codec.EOF)
        except BrokenPipeError:
            assert time.monotonic() - begun > 0.09, "closed too soon"
        assert conn.recv() is None and not conn.reset
        conn.close()


def test_a_late_stdin_is_dropped_without_an_error(agent):
    conn = agent.start(["true"])
    conn.until_exit()
    conn.send(codec.STDIN, b"x" * 100000)
    assert conn.recv() is None and not conn.reset
    conn.close()


def is_once_closed_at_once(agent, talk):
    """Whether a worker ever leaves TALK's connection without having waited in vain. On a
    busy machine the host may be late: one of a few counts."""
    return any(not any(map(timed_out, waits_behind_the_end(calls_of_a_session(agent, talk))))
               for _ in range(20))


def test_the_hosts_eof_frame_ends_the_wait_at_once(agent):
    def talk():
        conn = agent.start(["true"])
        read_to_end(conn)
        with contextlib.suppress(BrokenPipeError):  # too late
            conn.send(codec.EOF)
        return conn

    assert is_once_closed_at_once(agent, talk)


def test_an_eof_frame_sent_before_the_end_ends_the_wait_too(agent):
    def talk():
        conn = agent.start(["cat"])
        conn.send(codec.EOF)
        read_to_end(conn)
        return conn

    assert not any(map(timed_out, waits_behind_the_end(calls_of_a_session(agent, talk))))


def test_the_hosts_close_ends_the_wait_at_once(agent):
    def talk():
        conn = agent.start(["true"])
        conn.until_exit()
        conn.close()
        return conn

    assert is_once_closed_at_once(agent, talk)


def slow_host(conn):
    """Lets the agent wait for the host, then reads all but does not close."""
    time.sleep(0.6)
    read_to_end(conn)


def slow_exec(agent):
    return agent.start(["head", "-c", "3000000", "/dev/zero"])


def slow_file(agent, path):
    return agent.file_connect(codec.FILE_READ_REQ, {"path": path})


@pytest.fixture
def big_file(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(bytes(3000000))
    return str(path)


def test_a_slow_host_gets_up_to_10_s_and_eof_does_not_end_that(agent, big_file):
    def hold(make, send_eof):
        def call():
            conn = make()
            slow_host(conn)
            if send_eof:
                conn.send(codec.EOF)
            assert not conn.wait_hangup(6), "closed too soon"
            assert conn.wait_hangup(20), "still open after 26 s"
            conn.close()
        return call

    together([hold(lambda: slow_exec(agent), False), hold(lambda: slow_exec(agent), True),
              hold(lambda: slow_file(agent, big_file), False)])


def test_a_slow_hosts_close_frees_the_worker(agent):
    conn = slow_exec(agent)
    slow_host(conn)
    conn.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, 8, "the worker is idle before its 10 s are over")


def test_nothing_of_the_tail_is_lost_to_a_slow_host(agent):
    conn = agent.start(["sh", "-c", "head -c 5000000 /dev/zero; echo tail; echo err >&2"])
    total = 0
    last = b""
    while (frame := conn.recv()) is not None:
        if frame.type == codec.STDOUT:
            total += len(frame.payload)
            last = frame.payload[-5:]
        time.sleep(0.01)
    result = conn.result()
    assert total == 5000005 and last == b"tail\n" and result.code == 0 and result.stderr == b"err\n"
