# SPDX-License-Identifier: MIT
"""Programs that make their worker their tracer, without asking it."""

import re
import sys
import time

import pytest

import codec
from agent import wait_until

# A thread has it trace itself, and ends; then the program does.
THREAD = """import ctypes, os, threading
libc = ctypes.CDLL(None)
thread = threading.Thread(target=lambda: libc.ptrace(0, 0, 0, 0))
thread.start(); thread.join()
print("traced", flush=True)
os._exit(7)"""

# The main thread has it trace itself, and then this happens.
MAIN = """import ctypes, os, signal, sys
ctypes.CDLL(None).ptrace(0, 0, 0, 0)
%s
print("on", flush=True)"""


def switches(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))


@pytest.mark.parametrize("members", [{}, {"timeout_seconds": 30}, {"tty": True}], ids=["plain", "timeout", "tty"])
def test_a_program_whose_thread_was_traced_ends_with_its_own_status(agent, members):
    result = agent.run([sys.executable, "-c", THREAD], timeout=20, **members)
    assert result.stdout.strip() == b"traced" and (result.code, result.signal) == (7, 0)


def test_a_thread_that_is_traced_late_holds_up_no_end(agent):
    """By then the session has been looked at."""
    result = agent.run([sys.executable, "-c", "import time; time.sleep(1.5)\n" + THREAD], timeout=20)
    assert (result.code, result.signal) == (7, 0)


@pytest.mark.parametrize("what", [
    "os.kill(os.getpid(), signal.SIGSTOP)", "os.kill(os.getpid(), signal.SIGWINCH)",
    "os.execvp('echo', ['echo', 'on'])"], ids=["stop", "signal", "exec"])
@pytest.mark.parametrize("wait", [0, 1.5], ids=["early", "late"])
def test_a_program_that_is_traced_goes_on(agent, what, wait):
    script = "import time; time.sleep(%s)\n" % wait + MAIN % what
    assert agent.run([sys.executable, "-c", script], timeout=20).stdout == b"on\n"


def test_a_signal_that_a_program_is_stopped_at_reaches_it(agent):
    result = agent.run([sys.executable, "-c", MAIN % "os.kill(os.getpid(), signal.SIGTERM)"], timeout=20)
    assert (result.code, result.signal) == (143, 15) and result.stdout == b""


def test_a_program_that_was_stopped_stays_so_until_it_is_continued(agent):
    """Who is not traced is left alone."""
    conn = agent.start(["sh", "-c", "echo $$ $PPID; read x; echo on"])
    pid, worker = (int(x) for x in conn.read_output(b"\n").split())
    time.sleep(1)
    conn.send(codec.SIGNAL, codec.signal_number(19))
    wait_until(lambda: "T" in open("/proc/%d/stat" % pid).read().rpartition(")")[2].split()[0])
    conn.send(codec.STDIN, b"\n")
    agent.settle()
    before = switches(worker)
    assert not conn.wait_readable(1)
    assert switches(worker) - before <= 3
    conn.send(codec.SIGNAL, codec.signal_number(18))
    assert conn.read_output(b"on\n") == b"on\n"
    conn.result()


def test_who_waits_for_a_program_wakes_up_once_and_no_more(agent):
    conn = agent.start(["sh", "-c", "echo $PPID; exec cat"])
    worker = int(conn.read_output(b"\n"))
    agent.settle()
    before = switches(worker)
    time.sleep(4)
    assert switches(worker) - before <= 3
    conn.send(codec.EOF)
    assert conn.result().code == 0
