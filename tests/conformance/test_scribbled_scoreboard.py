# SPDX-License-Identifier: MIT
"""A worker that runs wild over the memory that it shares with the supervisor: what
stands there is a stranger's word to all others."""

import os
import random
import signal

import pytest

import codec
from agent import is_running, kill_hard, wait_until

pytestmark = pytest.mark.kills_workers

WORKERS = 4


def shared_memory(pid):
    """(start, length) of each piece of writable memory that PID has in common."""
    with open("/proc/%d/maps" % pid) as f:
        for line in f:
            addresses, mode = line.split()[:2]
            if mode == "rw-s":
                start, end = (int(x, 16) for x in addresses.split("-"))
                yield start, end - start


def scribble(pid, make_bytes):
    pieces = list(shared_memory(pid))
    assert pieces, "process %d shares no memory" % pid
    with open("/proc/%d/mem" % pid, "r+b", buffering=0) as memory:
        for start, length in pieces:
            memory.seek(start)
            memory.write(make_bytes(length))


@pytest.mark.parametrize("what", ["ones", "noise"])
def test_a_worker_that_scribbles_over_the_scoreboard_leaves_the_agent_answering(start_agent, what):
    agent = start_agent("--workers=%d" % WORKERS)
    noise = random.Random(4711)
    for _ in range(5):
        before = agent.worker_pids()
        conn = agent.connect(53)  # no program, which nobody would know of any more
        conn.send(codec.FILE_WRITE_REQ, b'{"path":"%s/x"}' % agent.directory.encode())
        if what == "ones":
            scribble(before[0], lambda length: b"\xff" * length)
        else:
            scribble(before[0], noise.randbytes)
        os.kill(agent.pid, signal.SIGUSR1)  # it looks at every slot
        for pid in before:
            kill_hard(pid)
        conn.close()
        wait_until(lambda: len(agent.worker_pids()) == WORKERS and
                   not set(before) & set(agent.worker_pids()), 30, "new workers")
        assert agent.is_alive()
        conn = agent.connect(52)
        conn.send(codec.STATUS_REQ)
        assert conn.result().code == 0


@pytest.mark.ends_agent
def test_the_grace_of_a_signal_is_ours_and_not_what_stands_there(start_agent):
    """All ones would be 49 days."""
    agent = start_agent("--workers=%d" % WORKERS)
    conn = agent.start(["sh", "-c", "trap '' TERM HUP; echo $$; while :; do sleep 0.05; done"])
    program = int(conn.read_output(b"\n"))
    scribble(agent.worker_pids()[0], lambda length: b"\xff" * length)
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.process.wait(20) == 0
    conn.close()
    if is_running(program):     # nobody knows of it any more
        kill_hard(program)
