# SPDX-License-Identifier: MIT
"""Durable sessions of a guest that is restored: its transport resets every connection."""

import hashlib
import time

import codec
import durable
import pytest
import state
from test_host import reset_transport

NUMBERS = 10000000
RESETS = 3


class Host:
    """A guest as durable.py wants an agent."""

    def __init__(self, hosted):
        self.hosted = hosted

    def connect(self, port=codec.EXEC_PORT, **_):
        return self.hosted.dial(port)

    def status(self):
        return self.hosted.status()


@pytest.fixture
def hosted(start_hosted):
    started = start_hosted(listen=[51])
    assert started.listeners[0].hear(60) == b"R"
    return started


def test_output_is_whole_though_every_connection_was_reset_in_the_middle(hosted):
    host = Host(hosted)
    expected = hashlib.sha256()
    for first in range(1, NUMBERS, 100000):
        expected.update(b"".join(b"%d\n" % i for i in range(first, first + 100000)))
    reader = durable.sh(host, "seq 1 %d; exit 7" % NUMBERS, "seq", buffer_bytes=4 << 20, when_full="wait")
    instance = reader.started["instance"]
    found, at, acked, resets = hashlib.sha256(), 0, 0, 0
    while reader.exit is None:
        frame = reader.take(120)
        if frame is None:
            reader = durable.attach(host, "seq", instance=instance, at=at)
            assert (reader.attached["offset"], reader.attached["lost"]) == (at, 0)
            continue
        if frame.type == codec.STDOUT:
            found.update(frame.payload)
            at += len(frame.payload)
        if at - acked > 1 << 20:
            acked = at
            reader.ack(at)
            if resets < RESETS and at > (resets + 1) * 15000000:
                resets += 1
                reset_transport(hosted)
    assert reader.exit == (7, 0) and resets == RESETS
    assert found.hexdigest() == expected.hexdigest()
    assert hosted.status()["worker_deaths"]["total"] == 0


def test_input_is_whole_though_every_connection_was_reset_in_the_middle(hosted):
    host = Host(hosted)
    data = b"".join(b"%d\n" % i for i in range(400000))
    reader = durable.start(host, ["sha256sum"], "sum")
    at = 0
    for _ in range(RESETS):
        reader.conn.send_reading(b"".join(
            codec.encode(codec.STDIN, data[i:i + 65536]) for i in range(at, at + 500000, 65536)))
        reset_transport(hosted)
        reader = durable.attach(host, "sum")
        at = reader.attached["stdin_bytes"]
    reader.stdin(data[at:])
    reader.eof()
    reader.finish()
    assert reader.exit == (0, 0) and reader.out.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_what_ended_while_nobody_could_come_is_kept_and_its_time_is_the_guests(hosted):
    """The wall clock goes on by days meanwhile, as on some machines after a restore."""
    host = Host(hosted)
    durable.sh(host, "sleep 1; echo x; exit 5", "kept", keep_seconds=600).close()
    reset_transport(hosted)
    hosted.guest.output("date -s @$(($(date +%s) + 864000)) >/dev/null")
    state.wait_until(lambda: not durable.sessions(host)["kept"]["running"])
    time.sleep(1)
    reader = durable.attach(host, "kept").finish()
    assert reader.exit == (5, 0) and reader.out == b"x\n"


def test_sessions_may_hold_what_the_journals_do_not(hosted):
    """As PID 1: memory.max of all sessions together is that much lower."""
    total = int(hosted.guest.output("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    most = int(hosted.guest.output("cat /sys/fs/cgroup/sessions/memory.max"))
    assert most <= total - total // 16
    host = Host(hosted)
    held = []
    for i in range(8):
        conn = host.connect()
        conn.send(codec.START, codec.start(["sleep", "600"], name="m%d" % i, durable={"buffer_bytes": 4 << 20}))
        frame = conn.recv()
        if frame.type == codec.STDERR:
            assert frame.payload.startswith(b"busy: journals hold "), frame
            break
        held.append(conn)
    assert 1 <= len(held) <= 4, len(held)
