# SPDX-License-Identifier: MIT
"""Hosts of durable sessions that leave, or take nothing, while something of theirs still
waits: they keep no worker, no place and no session."""

import os
import signal
import struct
import time

import pytest

import codec
import durable
from agent import kill_hard, wait_until

PIDFD_SEND_SIGNAL = 424

AGENT_OPTIONS = ("--workers=16", "--log=debug", "--stall-timeout=2")
FORGETS_DURABLE = True


def fill(reader):
    """Sends STDIN until nothing more is taken: the program, and all before it, is full."""
    frame = struct.pack("<BI", codec.STDIN, 65536) + bytes(65536)
    sock, rest, quiet = reader.conn.sock, b"", 0
    sock.setblocking(False)
    while quiet < 20:
        rest = rest or frame
        try:
            rest = rest[sock.send(rest):]
            quiet = 0
        except BlockingIOError:
            quiet += 1
            reader.conn.wait_readable(0.05)
    sock.setblocking(True)


def start_alone(agent, cmd, name, **more):
    """A session whose first host has gone; returns a reader that holds its input, of which
    the program takes nothing, and more is under way than fits."""
    durable.start(agent, cmd, name, **more).close()
    reader = durable.attach(agent, name)
    fill(reader)
    return reader


def wait_left(agent, reader):
    wait_until(lambda: not durable.readers(agent, reader.attached["session"]), message="the reader's worker is idle")


def half_close(host):
    """Sends a few bytes and no more; returns the answer."""
    host.stdin(b"abc")
    host.conn.half_close()
    host.finish()
    assert host.exit is None
    return host.events[-1]


def test_a_half_close_is_answered_on_the_first_connection_and_on_others(agent):
    host = durable.start(agent, ["cat"], "half")
    assert half_close(host) == {"event": "detached", "offset": host.offset}
    durable.wait_offset(agent, "half", 3)
    other = durable.attach(agent, "half", at=3)
    assert other.attached["stdin_bytes"] == 3
    assert half_close(other) == {"event": "detached", "offset": other.offset}
    assert durable.sessions(agent)["half"]["running"]


def test_a_holder_whose_input_waits_leaves_when_the_program_ends(agent):
    reader = start_alone(agent, ["sleep", "600"], "full")
    reader.conn.half_close()
    os.kill(durable.program_pid(agent, "full"), signal.SIGKILL)
    wait_left(agent, reader)
    reader.close()


@pytest.mark.kills_workers
def test_a_holder_whose_input_waits_leaves_when_the_owner_is_lost(agent):
    reader = start_alone(agent, ["sleep", "600"], "full")
    reader.conn.half_close()
    kill_hard(durable.owner_pid(agent, "full"))
    wait_left(agent, reader)
    reader.close()


def test_a_host_that_has_gone_is_nobody_though_its_input_waits(agent):
    reader = start_alone(agent, ["sleep", "600"], "alone", alone_seconds=3)
    assert durable.sessions(agent)["alone"]["attached"] == 1
    reader.close()
    slot = durable.wait_ended(agent, "alone")
    assert slot["signal"] == signal.SIGHUP


def test_a_forgotten_session_keeps_no_worker_for_the_host_that_takes_nothing(agent):
    host = durable.sh(agent, "head -c 3000000 /dev/zero", "stuck", when_full="drop")
    durable.wait_ended(agent, "stuck", served=True)
    assert durable.forget(agent, "stuck").code == 0
    number = host.started["session"]
    wait_until(lambda: all(slot["session"] != number for slot in agent.status()["slots"]), message="the worker is idle")
    host.close()


def test_a_host_that_read_nothing_until_the_end_gets_all_of_it(agent):
    host = durable.sh(agent, "head -c 1000000 /dev/zero; exit 3", "late", buffer_bytes=1 << 20, when_full="drop")
    durable.wait_ended(agent, "late", served=True)
    assert host.finish().code == 3
    assert host.data == bytes(1000000)


def test_who_stands_still_with_the_bell_in_hand_keeps_nobody_asleep(agent):
    """What it was about to wake the owner for is not heard of; what others have for it is."""
    durable.start(agent, ["cat"], "bell").close()
    time.sleep(0.7)  # after 500 ms of a session its worker looks by itself, once
    old = durable.attach(agent, "bell")
    agent.settle()          # and is asleep
    with durable.Frozen(durable.reader_pid(agent, old)) as frozen:
        old.stdin(b"a")
        frozen.run_to(PIDFD_SEND_SIGNAL, durable.SYSCALL_ENTRY)
        new = durable.attach(agent, "bell")
        new.stdin(b"b")
        new.read_until(b"b")
    old.close()
    new.close()
