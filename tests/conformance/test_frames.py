# SPDX-License-Identifier: MIT
"""Frames on port 52: lengths, cuts, order, and what is skipped."""

import hashlib
import os
import re
import select

import pytest

import codec
from agent import is_running, is_sanitized, wait_until
from answers import refused

MIB = 1024 * 1024


def test_agent_says_nothing_before_the_first_frame(agent):
    with agent.connect() as conn:
        assert not conn.wait_readable(0.5)


def test_exit_has_eight_bytes_and_is_the_last_frame(agent):
    result = agent.run(["true"])
    assert codec.exit_status(result.frames[-1].payload) == (0, 0)


def test_agent_closes_first_while_the_host_holds_its_end_open(agent):
    conn = agent.start(["true"])
    conn.until_exit()
    assert conn.recv() is None and not conn.reset


@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 65536])
def test_stdin_of_any_length_is_carried(agent, payload):
    result = agent.run(["cat"], stdin=payload)
    assert result.stdout == payload and result.code == 0


def test_stdin_of_length_0_is_not_the_end(agent):
    conn = agent.start(["cat"])
    conn.send(codec.STDIN, b"")
    conn.send(codec.STDIN, b"behind it\n")
    assert conn.read_output(b"behind it\n")
    conn.send(codec.EOF)
    assert conn.result().code == 0


def test_frame_of_exactly_16_mib_is_legal(agent):
    data = os.urandom(MIB) * 16
    conn = agent.start(["cat"])
    frame = codec.encode(codec.STDIN, data) + codec.encode(codec.EOF)
    assert conn.send_reading(frame) == len(frame)
    result = conn.result()
    assert result.code == 0 and hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def anonymous_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^RssAnon:\s+(\d+)", f.read(), re.M).group(1))


def test_no_memory_is_taken_for_a_length_that_is_announced(agent):
    """16 MiB come for a program that does not read: 1 MiB may be held."""
    before = {p: anonymous_kib(p) for p in agent.worker_pids()}
    conn = agent.start(["sh", "-c", "echo up; exec sleep 60"])
    conn.read_output(b"up\n")
    conn.sock.setblocking(False)
    data = codec.header(codec.STDIN, codec.FRAME_MAX) + b"z" * codec.FRAME_MAX
    sent = 0
    while True:
        if not select.select([], [conn], [], 0.1)[1]:
            agent.settle()          # nothing more is read
            if not select.select([], [conn], [], 0)[1]:
                break
        sent += conn.sock.send(data[sent:sent + 65536])
    assert MIB <= sent < 4 * MIB, "%d bytes were taken" % sent
    grown = max(anonymous_kib(p) - before[p] for p in before)
    assert grown < (12 if is_sanitized() else 3) * 1024, "%d KiB more" % grown
    conn.close()


@pytest.mark.parametrize("length", [codec.FRAME_MAX + 1, 2**31, 2**32 - 1])
def test_length_above_the_limit_kills_the_session_with_words_and_125(agent, length):
    conn = agent.start(["sh", "-c", "echo $$; exec sleep 60"])
    pid = int(conn.read_output(b"\n"))
    conn.send_raw(codec.header(codec.STDIN, length))
    refused(conn.result())
    wait_until(lambda: not is_running(pid), message="the program is killed")


@pytest.mark.parametrize("kind", [codec.START, codec.CLOCK_SYNC, codec.STATUS_REQ, 0x99])
@pytest.mark.parametrize("length", [codec.FRAME_MAX + 1, 2**32 - 1])
def test_length_above_the_limit_in_the_first_frame_gets_an_exit(agent, kind, length):
    conn = agent.connect()
    conn.send_raw(codec.header(kind, length))
    result = conn.result()
    assert result.code in ((125,) if kind in (codec.START, 0x99) else (125, -1)), result


@pytest.mark.parametrize("extra", [1, 5 * MIB])
def test_start_above_1_mib_is_read_dropped_and_refused(agent, extra):
    text = codec.to_json(codec.start(["echo", "ran"]))
    conn = agent.connect()
    data = codec.encode(codec.START, text.ljust(codec.JSON_MAX + extra))
    assert conn.send_reading(data) == len(data), "the rest of the frame was not taken"
    conn.send(codec.EOF)
    result = conn.result()
    refused(result)
    assert result.stdout == b""


def test_start_of_exactly_1_mib_is_served(agent):
    text = codec.to_json(codec.start(["echo", "ran"])).ljust(codec.JSON_MAX)
    conn = agent.connect()
    conn.send(codec.START, text)
    assert conn.result().stdout == b"ran\n"


def test_first_frame_may_be_cut_at_every_offset(agent):
    data = codec.encode(codec.START, codec.start(["cat"])) \
        + codec.encode(codec.STDIN, b"abc") + codec.encode(codec.EOF)
    for cut in range(1, len(data)):
        conn = agent.connect()
        conn.send_raw(data[:cut])
        conn.wait_readable(0.002)
        conn.send_raw(data[cut:])
        result = conn.result()
        assert (result.stdout, result.code) == (b"abc", 0), (cut, result)


def test_frames_may_come_one_byte_at_a_time(agent):
    data = codec.encode(codec.START, codec.start(["cat"])) \
        + codec.encode(codec.STDIN, b"slowly ") + codec.encode(codec.STDIN, b"") \
        + codec.encode(codec.RESIZE, codec.resize(1, 2)) + codec.encode(0xEE, b"unknown") \
        + codec.encode(codec.STDIN, b"come\n") + codec.encode(codec.EOF)
    conn = agent.connect()
    for i in range(len(data)):
        conn.send_raw(data[i:i + 1])
        conn.wait_readable(0.001)
    result = conn.result()
    assert (result.stdout, result.code) == (b"slowly come\n", 0)


def test_many_frames_in_one_write_are_all_read(agent):
    parts = [b"%d\n" % i for i in range(20000)]
    data = codec.encode(codec.START, codec.start(["cat"]))
    data += b"".join(codec.encode(codec.STDIN, p) for p in parts) + codec.encode(codec.EOF)
    conn = agent.connect()
    assert conn.send_reading(data) == len(data)
    assert conn.result().stdout == b"".join(parts)


UNKNOWN = [0x00, 0x09, 0x0F, 0x10, 0x11, 0x12, 0x20, 0x21, 0x31, 0x45, 0x50, 0x7F, 0x80, 0xFF]
OUT_OF_PLACE = [codec.START, codec.CLOCK_SYNC, codec.NET_RECONFIG, codec.WAIT_PORT,
                codec.STATUS_REQ, codec.SHUTDOWN, codec.CONNECT, codec.RESTORED, codec.KILL]


@pytest.mark.parametrize("kinds", [UNKNOWN, OUT_OF_PLACE], ids=["unknown", "out_of_place"])
def test_frames_that_a_session_does_not_know_are_skipped_payload_and_all(agent, kinds):
    conn = agent.start(["cat"])
    for kind in kinds:
        conn.send(kind, codec.encode(codec.STDIN, b"not input"))
        conn.send(kind)
    conn.send_reading(codec.encode(kinds[0], b"\x04" * (2 * MIB)))
    conn.send(codec.STDIN, b"input")
    conn.send(codec.EOF)
    result = conn.result()
    assert (result.stdout, result.stderr, result.code) == (b"input", b"", 0)


@pytest.mark.parametrize(
    "kind", [0x00, codec.STDIN, codec.RESIZE, codec.EOF, codec.SIGNAL, 0x09, codec.STDOUT,
             codec.EXIT, codec.FILE_READ_REQ, codec.STATUS, 0x7F, 0xFF])
@pytest.mark.parametrize("payload", [b"", b"some bytes"], ids=["empty", "bytes"])
def test_unknown_first_frame_gets_125_and_a_close(agent, kind, payload):
    result = agent.request(kind, payload)
    assert (result.code, result.signal) == (125, 0), result


def test_request_after_an_exit_is_not_served(agent):
    """One operation a connection."""
    conn = agent.connect()
    conn.send_raw(codec.encode(codec.START, codec.start(["echo", "one"])) + codec.encode(codec.EOF)
                  + codec.encode(codec.START, codec.start(["echo", "two"])))
    assert conn.result().stdout == b"one\n"


def test_stdout_and_stderr_are_told_apart(agent):
    result = agent.sh("echo out; echo err >&2")
    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


def test_no_frame_is_sent_that_the_host_did_not_ask_for(agent):
    """H1 and H2 know STDOUT, STDERR and EXIT alone."""
    result = agent.sh("echo out; echo err >&2")
    assert {f.type for f in result.frames} == {codec.STDOUT, codec.STDERR, codec.EXIT}


def test_output_frames_are_never_empty(agent):
    """A zero-length STDOUT means a half-close in CONNECT; here it would be noise."""
    result = agent.sh("echo a; printf ''; echo b >&2")
    assert all(f.payload for f in result.frames)


def memory_kb(pid, name):
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))


@pytest.mark.parametrize("body, code", [
    (b'{"cmd":["true"],"x":[' + b",".join([b"{}"] * 330000) + b"]}", 125),
    (b'{"cmd":["true"],"x":[' + b",".join([b'{"":[]}'] * 120000) + b"]}", 125),
    (b'{"cmd":["true"],"x":[' + b",".join([b'""'] * 330000) + b"]}", 125),
    (b'{"cmd":["true"],"x":[' + b",".join([b'"0123456789"'] * 65000) + b"]}", 0),
], ids=["objects", "nested", "strings", "as many strings as may be"])
def test_a_request_of_many_values_takes_little_memory_and_leaves_none(start_agent, body, code):
    agent = start_agent("--workers=1")
    worker = agent.worker_pids()[0]
    assert agent.request(codec.START, body).code == code
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    if not is_sanitized():
        assert memory_kb(worker, "VmHWM") < 16 * 1024
        assert memory_kb(worker, "VmRSS") < 4 * 1024
