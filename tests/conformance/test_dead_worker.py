# SPDX-License-Identifier: MIT
"""A worker that dies takes one session with it, and its host is told."""

import contextlib
import os
import re
import signal
import sys
import time

import pytest

import codec
from agent import FILL_PIPE, is_running, kill_hard, stat_of, wait_until
from faults import Fault
from traces import Trace, name_of

pytestmark = pytest.mark.kills_workers

AGENT_OPTIONS = ("--workers=8", "--log=debug")


def running(agent, script="exec sleep 60", **members):
    """(connection, worker, program): the program's parent is its worker."""
    conn = agent.start(["sh", "-c", "echo $PPID $$; " + script], **members)
    worker, pid = (int(x) for x in conn.read_output(b"\n").split(b"\n")[0].split())
    assert worker in agent.worker_pids()
    return conn, worker, pid


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS],
                         ids=lambda n: n.name)
def test_the_death_of_a_worker_ends_only_its_session_and_says_so(agent, number, tty):
    other = agent.start(["cat"])
    conn, worker, pid = running(agent, tty=tty)
    kill_hard(worker, number=number)
    result = conn.result()
    assert (result.code, result.signal) == (125, 0) and b"worker" in result.stderr, result
    wait_until(lambda: not is_running(pid), message="the program is killed")
    other.send(codec.STDIN, b"other")
    other.send(codec.EOF)
    assert other.result().stdout == b"other"
    assert agent.run(["echo", "next"]).stdout == b"next\n"
    wait_until(lambda: len(agent.worker_pids()) == 8, 20, "a new worker")


def test_what_the_session_had_started_is_killed(agent):
    conn = agent.start(["sh", "-c", "trap '' HUP TERM; sleep 60 & echo $PPID $$ $!; wait; sleep 60"])
    worker, pid, child = (int(x) for x in conn.read_output(b"\n").split())
    kill_hard(worker)
    assert conn.result().code == 125
    wait_until(lambda: not is_running(pid) and not is_running(child), message="all of it is killed")


def test_status_counts_the_death(agent):
    before = agent.status()["worker_deaths"]
    conn, worker, _ = running(agent)
    with Fault(agent.pid, "sendto", "delay_exit=1000000"):
        kill_hard(worker)
        conn.result()
        after = agent.status()["worker_deaths"]
    assert after["total"] == before["total"] + 1 and after["last_signal"] == 9
    assert abs(after["last_unix_ms"] / 1000 - time.time()) < 60
    assert after["by_signal"]


def test_a_host_that_was_told_finds_its_place_free(start_agent):
    agent = start_agent("--workers=3", "--reserved=2")
    conn, worker, _ = running(agent)
    assert agent.run(["true"]).code == 125
    with Fault(agent.pid, "sendto", "delay_exit=1000000"):
        kill_hard(worker)
        assert conn.result().code == 125
        assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_kill9_of_a_worker_while_output_flows(agent):
    """A frame was under way, or none was: a close, or an answer. Never half of both."""
    for i in range(8):
        conn, worker, pid = running(agent, "exec yes")
        time.sleep(0.01 * i)
        kill_hard(worker)
        result = conn.result()
        if result.exit:
            assert result.code == 125 and not conn.reset
        wait_until(lambda p=pid: not is_running(p), message="the program is killed")


def is_at_rest(pid):
    """Whether it did nothing for a while."""
    def switches():
        with open("/proc/%d/status" % pid) as f:
            return re.findall(r"^(?:non)?voluntary_ctxt_switches:.*", f.read(), re.M)

    before = switches()
    time.sleep(0.3)
    return switches() == before and stat_of(pid)[0] == "S"


def test_kill9_of_a_worker_while_the_host_does_not_read(agent):
    """The supervisor waits for nobody."""
    conn, worker, pid = running(agent, "exec yes")
    wait_until(lambda: is_at_rest(pid), message="the program is held")
    kill_hard(worker)
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    wait_until(lambda: not is_running(pid), message="the program is killed")
    wait_until(lambda: len(agent.worker_pids()) == 8, 20, "a new worker")
    conn.result()


def test_a_host_that_is_still_sending_gets_its_answer(agent):
    conn, worker, _ = running(agent)
    conn.send(codec.STDIN, b"x" * 300000)
    kill_hard(worker)
    frames = []
    try:
        while (frame := conn.recv()) is not None:
            frames.append(frame)
    finally:
        conn.close()
    assert frames and frames[-1].type == codec.EXIT and codec.exit_status(frames[-1].payload)[0] == 125


def test_a_dead_worker_of_the_file_port_says_eio(agent, tmp_path):
    path = tmp_path / "target"
    path.write_bytes(b"old")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(path)})
    conn.send(codec.FILE_DATA, b"half of the new")
    slot = wait_until(lambda: [s for s in agent.status()["slots"] if s["kind"].startswith("file")
                               or "write" in s["kind"]], message="the upload in STATUS")[0]
    worker = slot.get("pid") or 0
    busy = [p for p in agent.worker_pids() if b"file" in open("/proc/%d/cmdline" % p, "rb").read()]
    kill_hard(*(busy or [worker]))
    frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_ERR], frames
    assert frames[0].payload == b"EIO: worker lost"
    assert path.read_bytes() == b"old"


def test_a_dead_worker_of_another_request_says_minus_1(agent):
    conn = agent.connect()
    before = set(agent.worker_pids())
    conn.send(codec.WAIT_PORT, {"port": 1, "timeout_ms": 60000})
    busy = wait_until(lambda: [p for p in before if b"wait" in open("/proc/%d/cmdline" % p, "rb").read()],
                      message="a worker's title speaks of waiting")
    assert len(busy) == 1
    kill_hard(*busy)
    assert conn.result().code == -1


def test_a_worker_that_dies_before_the_first_frame_closes(agent):
    conns = [agent.connect() for _ in range(3)]
    kill_hard(*agent.worker_pids())
    for conn in conns:
        conn.result()
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    wait_until(lambda: len(agent.worker_pids()) == 8, 20, "eight workers again")


def test_a_worker_that_dies_after_exit_says_nothing_more(agent):
    for _ in range(5):
        conn = agent.start(["sh", "-c", "echo $PPID"])
        result = conn.until_exit()
        kill_hard(int(result.stdout))
        frames = len(conn.frames)
        assert conn.recv() is None and len(conn.frames) == frames
        conn.close()


def test_connections_in_the_queue_outlive_the_workers(agent):
    """They belong to the listener, not to a worker."""
    for _ in range(3):
        socks = [agent.dial() for _ in range(20)]
        kill_hard(*agent.worker_pids())
        served = 0
        for sock in socks:
            sock.settimeout(20)
            try:
                sock.sendall(b"CONNECT 52\n" + codec.encode(codec.STATUS_REQ))
                served += sock.recv(3) == b"OK "
            except (BrokenPipeError, ConnectionResetError):
                pass
            sock.close()
        assert served >= 20 - 8, served
    wait_until(lambda: len(agent.worker_pids()) == 8, 20, "eight workers again")


def test_deaths_that_follow_each_other_are_slowed_down(start_agent):
    agent = start_agent("--workers=4")
    seen = set(agent.worker_pids())
    until = time.monotonic() + 2
    while time.monotonic() < until:
        pids = agent.worker_pids()
        seen |= set(pids)
        kill_hard(*pids)
        time.sleep(0.005)
    assert len(seen) < 120, "%d workers in 2 s" % len(seen)
    wait_until(lambda: len(agent.worker_pids()) == 4, message="four workers again")
    assert agent.run(["echo", "x"], timeout=20).stdout == b"x\n"


def test_a_single_death_is_made_good_at_once(start_agent):
    agent = start_agent("--workers=4")
    workers = agent.worker_pids()
    with Trace(agent.pid, "wait4,poll,clone,clone3,fork,vfork") as trace:
        kill_hard(workers[0])
        wait_until(lambda: len(set(agent.worker_pids()) - set(workers)) == 1, message="another")
    calls = trace.calls()[agent.pid]
    names = [name_of(call) for call in calls]
    buried = next(i for i, call in enumerate(calls) if call.startswith("wait4(%d," % workers[0]))
    born = next(i for i, name in enumerate(names) if name.startswith(("clone", "fork", "vfork")))
    assert buried < born and "poll" not in names[buried:born], calls


def test_a_stopped_worker_hurts_its_session_alone(agent):
    conn, worker, _ = running(agent, "exec cat")
    os.kill(worker, signal.SIGSTOP)
    for _ in range(10):
        assert agent.run(["echo", "x"]).stdout == b"x\n"
    os.kill(worker, signal.SIGCONT)
    conn.send(codec.STDIN, b"awake")
    conn.send(codec.EOF)
    assert conn.result().stdout.endswith(b"awake")


def talk(agent):
    """All that comes on a connection on which a program is asked for, after the
    handshake or without."""
    data = b""
    with agent.dial() as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(b"CONNECT 52\n")
            data = sock.recv(1000)
        # Whoever closed before we sent may have said something before that.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(codec.encode(codec.START, codec.start(["echo", "x"])) + codec.encode(codec.EOF))
        with contextlib.suppress(ConnectionResetError):
            while part := sock.recv(1000):
                data += part
    return data


# Where in a session its worker dies: the call, which one of its kind since it was idle,
# and what its host may see: "served" whole (by another worker, or as the supervisor had
# the last frame), "told" (words and EXIT 125), "refused" (EXIT 125 alone: it may wait for
# the answer to another request), or a connection that is "closed" (nothing was registered
# yet, or no port was known).
PHASES = {
    "accept": ("accept4", 1, {"served"}),
    "check_of_the_peer": ("getsockopt", 1, {"closed"}),
    "registration": ("sendmsg", 1, {"closed"}),
    "handshake": ("recvfrom", 1, {"closed"}),
    "answer_to_the_handshake": ("sendmsg", 2, {"closed"}),
    "first_frame": ("recvfrom", 2, {"refused"}),
    "preparations": ("timerfd_settime", 1, {"told"}),
    "birth": ("clone3", 1, {"told"}),
    "after_birth": ("timerfd_settime", 2, {"told"}),
    "output": ("sendto", 1, {"told"}),
    "look_at_the_end": ("waitid", 1, {"told"}),
    "exit": ("sendmsg", 3, {"served"}),
    "reaping": ("wait4", 1, {"served"}),
    "close": ("shutdown", 1, {"served"}),
    "back_to_idle": ("waitid", 2, {"served"}),
}


def talk_while_all_die(agent, syscall, when):
    """What talk() sees. All workers die at this point, those too that only wake up."""
    victims = agent.worker_pids()
    with Fault(victims, syscall, "signal=SIGKILL", when):
        data = talk(agent)
        wait_until(lambda: len([p for p in victims if is_running(p)]) < 3, message="a death")
    return data


@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_that_is_killed_in_any_phase_leaves_no_place_taken_and_no_host_waiting(
        start_agent, phase):
    """One place is all that there is."""
    syscall, when, expected = PHASES[phase]
    agent = start_agent("--workers=3", "--reserved=2", "--log=debug")
    for _ in range(5):
        data = talk_while_all_die(agent, syscall, when)
        wait_until(lambda: len(agent.worker_pids()) == 3, 20, "three workers again")
        # Who looks for a handshake before it has come looks a second time.
        if phase != "first_frame" or data:
            break
    frames = codec.Decoder().feed(data.partition(b"\n")[2])
    ends = [codec.exit_status(f.payload) for f in frames if f.type == codec.EXIT]
    seen = {(): "closed", ((125, 0),): "refused", ((0, 0),): "served"}[tuple(ends)]
    if seen == "refused" and b"worker lost: " in data:
        seen = "told"
    assert seen in expected, data
    assert agent.status()["workers"]["exec"] == 0
    assert agent.run(["echo", "x"]).stdout == b"x\n"


# 1 MiB of output that is all there before its worker looks.
FILL = """read go; kill -STOP $PPID
%s -c '%s'
kill -CONT $PPID; exec sleep 60""" % (sys.executable, FILL_PIPE)


def test_kill9_of_a_worker_in_the_middle_of_a_frame_closes_without_a_word(agent):
    """A frame of all that a worker reads at once is more than a socket takes; small ones
    might fill it to the end of one."""
    conn, worker, pid = running(agent, FILL)
    conn.send(codec.STDIN, b"go\n")
    assert conn.wait_readable(20)
    kill_hard(worker)
    result = conn.result()
    assert conn.reset and result.exit is None and not result.stderr, result
    wait_until(lambda: not is_running(pid), message="the program is killed")
