# SPDX-License-Identifier: MIT
"""The first frame: once it has begun, its host is owed an answer."""

import os
import signal

import pytest

import codec
from agent import TRACED, kill_hard, untaken, wait_until
from faults import Fault

# Each request, what of it comes, and how it is answered: EXIT's code, or FILE_ERR's name.
START = codec.encode(codec.START, codec.start(["true"]))
PARTS = {
    "type_of_start": (52, START[:1], 125),
    "half_a_header": (52, START[:4], 125),
    "header_of_start": (52, START[:5], 125),
    "start_but_a_byte": (52, START[:-1], 125),
    "clock_sync": (52, codec.encode(codec.CLOCK_SYNC, bytes(12))[:-1], -1),
    "wait_port": (52, codec.header(codec.WAIT_PORT, 30), -1),
    "unknown": (52, codec.header(0x99, 1), 125),
    "too_much": (52, codec.header(codec.START, codec.FRAME_MAX) + bytes(1000), 125),
    "write": (53, codec.header(codec.FILE_WRITE_REQ, 100), b"ETIMEDOUT"),
    "list": (53, codec.header(codec.FILE_LIST_REQ, 100)[:2], b"ETIMEDOUT"),
}


def check_answer(conn, expected, words):
    frames = conn.result(timeout=20).frames
    assert frames and not conn.reset, "closed without an answer"
    if isinstance(expected, bytes):
        assert [f.type for f in frames] == [codec.FILE_ERR], frames
        assert frames[0].payload.startswith(expected + b": ") and words in frames[0].payload
        return
    assert codec.exit_status(frames[-1].payload) == (expected, 0), frames
    # A host of a control request takes no frame before EXIT.
    assert [f.type for f in frames[:-1]] == ([codec.STDERR] if expected == 125 else []), frames
    assert expected != 125 or words in frames[0].payload, frames


@pytest.mark.parametrize("part", PARTS)
def test_a_first_frame_that_does_not_come_whole_in_time_is_answered(start_agent, part):
    agent = start_agent("--workers=4", "--first-frame-timeout=1")
    port, data, expected = PARTS[part]
    conn = agent.connect(port)
    conn.send_raw(data)
    check_answer(conn, expected, b"in the time")


def test_a_connection_that_says_nothing_is_closed_without_a_word(start_agent):
    agent = start_agent("--workers=4", "--first-frame-timeout=1")
    for port in (52, 53):
        conn = agent.connect(port)
        assert conn.result(timeout=20).frames == []


@pytest.mark.ends_agent
@pytest.mark.parametrize("part", ["header_of_start", "clock_sync"])
def test_a_request_that_was_begun_is_answered_by_an_agent_that_stops(start_agent, part):
    agent = start_agent("--workers=4")
    port, data, expected = PARTS[part]
    conn = agent.connect(port)
    silent = agent.connect(port)
    conn.send_raw(data)
    wait_until(lambda: not untaken(conn), message="it is read")
    os.kill(agent.pid, signal.SIGTERM)
    check_answer(conn, expected, b"stopping")
    assert silent.result(timeout=20).frames == []


@pytest.mark.parametrize("kind, code", [(codec.CLOCK_SYNC, -1), (codec.NET_RECONFIG, -1),
                                        (codec.START, 125), (0x99, 125)])
def test_a_first_frame_above_the_limit_is_refused_in_its_own_way(agent, kind, code):
    conn = agent.connect()
    conn.send_raw(codec.header(kind, codec.FRAME_MAX + 1))
    check_answer(conn, code, b"longer than a frame may be")


@pytest.mark.kills_workers
def test_a_worker_lost_before_the_first_frame_was_read_says_exit_125_alone(start_agent):
    """It may be a CLOCK_SYNC that is on its way, whose host takes no STDERR."""
    agent = start_agent("--workers=3")
    conn = agent.connect()
    conn.send_raw(codec.encode(codec.CLOCK_SYNC, bytes(12))[:7])
    wait_until(lambda: not untaken(conn), message="it is read")
    kill_hard(*agent.worker_pids())
    frames = conn.result(timeout=20).frames
    assert [f.type for f in frames] == [codec.EXIT], frames
    assert codec.exit_status(frames[0].payload) == (125, 0)


@pytest.mark.kills_workers
def test_a_duplicate_that_could_not_be_dropped_is_not_taken_for_the_next_one(start_agent):
    """The worker takes the duplicate of a connection out of its queue by a recv(2) after
    the last frame; where that fails once, the host of the next session is told all the
    same, and this one sees the end."""
    agent = start_agent("--workers=1", "--first-frame-timeout=30", env=TRACED)
    before = agent.worker_pids()
    conn = agent.connect()
    with Fault(before, "recvfrom", "error=ENOMEM", 2):
        conn.send_raw(codec.encode(codec.START, codec.start(["true"])) + codec.encode(codec.EOF))
        assert conn.until_exit().code == 0
        assert conn.wait_hangup(20), "the connection is held open"
    conn = agent.start(["sh", "-c", "echo $PPID; exec sleep 60"])
    kill_hard(int(conn.read_output(b"\n")))
    assert conn.result(timeout=20).code == 125
    wait_until(lambda: len(agent.worker_pids()) == 1 and agent.worker_pids() != before, 20, "another worker")
