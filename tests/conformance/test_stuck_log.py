# SPDX-License-Identifier: MIT
"""A log that nobody reads any more: a pipe that is full, a console that was halted.
Lines are lost; nobody waits."""

import os
import pty
import termios
import tty

import pytest

import agent as agent_module
import codec
from agent import kill_hard, wait_until
from traces import Trace, timed_out

pytestmark = pytest.mark.kills_workers


def full_pipe():
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    try:
        while True:
            os.write(write_fd, b"x" * 4096)
    except BlockingIOError:
        pass
    return [read_fd, write_fd]


def halted_terminal():
    master_fd, slave_fd = pty.openpty()
    tty.setraw(slave_fd)
    termios.tcflow(slave_fd, termios.TCOOFF)
    return [master_fd, slave_fd]


@pytest.fixture(params=[full_pipe, halted_terminal], ids=lambda f: f.__name__)
def stuck_agent(request, start_agent, monkeypatch, tmp_path):
    """An agent whose standard error takes nothing."""
    fds = request.param()
    wrapper = tmp_path / "agent-with-stuck-log"
    wrapper.write_text('#!/bin/sh\nexec %s "$@" 2>/proc/%d/fd/%d\n' % (
        agent_module.agent_binary(), os.getpid(), fds[1]))
    wrapper.chmod(0o755)
    monkeypatch.setenv("VMM_GUEST_AGENT", str(wrapper))
    yield start_agent("--workers=3", "--log=debug")
    for fd in fds:
        os.close(fd)


def test_workers_are_replaced_though_the_log_is_stuck(stuck_agent):
    for _ in range(3):
        before = stuck_agent.worker_pids()
        for pid in before:
            kill_hard(pid)
        wait_until(lambda: len(stuck_agent.worker_pids()) == 3 and
                   not set(before) & set(stuck_agent.worker_pids()), 20, "new workers")
        assert stuck_agent.run(["echo", "x"]).stdout == b"x\n"


def test_a_session_that_logs_is_served_though_the_log_is_stuck(stuck_agent):
    """A worker waits for room at most once."""
    with Trace(stuck_agent.worker_pids(), "poll") as trace:
        for _ in range(10):
            assert stuck_agent.request(codec.CLOCK_SYNC, b"short").code == -1
    for calls in trace.calls().values():
        assert len([call for call in calls if timed_out(call)]) <= 1, calls


@pytest.mark.ends_agent
def test_the_agent_ends_though_the_log_is_stuck(stuck_agent):
    assert stuck_agent.terminate(timeout=20) == 0
