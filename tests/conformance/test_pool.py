# SPDX-License-Identifier: MIT
"""The supervisor and its workers: first frame, recycling, signals, load."""

import contextlib
import os
import re
import resource
import signal
import threading
import time

import pytest

import codec
import durable
from agent import (
    TRACED, Refused, TimedOut, agent_binary, children, descriptors, is_running, kill_hard, together, wait_until)
from traces import Trace, name_of, timed_out


CLONE = 56  # fork(3), on x86-64


def voluntary_switches(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M).group(1))


def signals_that_wait(pid, blocked_too=()):
    """Signals on their way to PID: those that it will act on when it runs, and of the
    others, which it takes when it likes, these."""
    with open("/proc/%d/status" % pid) as f:
        masks = {name: int(mask, 16) for name, mask in re.findall(r"^(S\w\w\w\w\w):\s+(\w+)$", f.read(), re.M)}
    taken = sum(1 << number - 1 for number in blocked_too)
    return (masks["SigPnd"] | masks["ShdPnd"]) & (~masks["SigBlk"] | taken)


def title(pid):
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        return f.read().split(b"\0")[0].decode("utf-8", "replace")


def test_ready_is_said_in_the_log(agent):
    assert re.search(r"ready: 8 workers", agent.log())


def test_as_many_workers_as_asked_for(start_agent):
    for number in (1, 3, 12):
        agent = start_agent("--workers=%d" % number)
        wait_until(lambda: len(agent.worker_pids()) == number, message="%d workers" % number)
        assert agent.status()["workers"]["configured"] == number


def test_by_default_16_to_64_programs_run_at_once_and_what_is_reserved_stands_beside_them(start_agent):
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    places = min(64, max(16, memory // (8 << 20)))
    agent = start_agent()
    conns = [agent.start(["cat"]) for _ in range(places)]
    for conn in conns:
        conn.send(codec.STDIN, b"x")
        assert conn.read_output(b"x") == b"x"
    workers = agent.status()["workers"]
    assert (workers["exec"], workers["reserved"], workers["configured"]) == (places, 2, places + 2)
    for conn in conns:
        conn.send(codec.EOF)
        assert conn.result().code == 0


def test_one_worker_serves_one_after_the_other(start_agent):
    agent = start_agent("--workers=1")
    for i in range(20):
        assert agent.run(["echo", str(i)]).stdout == b"%d\n" % i
    agent.write_file(os.path.join(agent.directory, "x"), b"content")
    assert agent.read_file(os.path.join(agent.directory, "x")) == b"content"


def test_a_workers_title_says_what_it_does(agent):
    assert all("worker" in title(p) for p in agent.worker_pids())
    conn = agent.start(["sh", "-c", "echo $PPID; exec cat"])
    worker = int(conn.read_output(b"\n"))
    assert re.search(r"worker \d+: exec", title(worker)), title(worker)
    conn.send(codec.EOF)
    conn.result()


def test_an_idle_pool_never_wakes_up(agent):
    def all_switches():
        return {p: voluntary_switches(p) for p in agent.worker_pids() + [agent.pid]}

    def is_at_rest():
        before = all_switches()
        time.sleep(0.5)
        return all_switches() == before

    wait_until(is_at_rest, message="what was before is over")
    before = all_switches()
    time.sleep(2)
    assert all_switches() == before


# ---- the first frame ----------------------------------------------------------


def test_a_connection_that_says_nothing_gives_its_worker_back(start_agent):
    agent = start_agent("--workers=4", "--first-frame-timeout=2")
    first = codec.encode(codec.START, codec.start(["true"]))

    def silent(port, data, trickle=b""):
        def call():
            begun = time.monotonic()
            conn = agent.connect(port)
            conn.send_raw(data)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while not conn.wait_readable(0.2) and time.monotonic() - begun < 20:
                    conn.send_raw(trickle)
            assert 1.9 < time.monotonic() - begun < 20, (port, data)
            conn.result()
        return call

    together([silent(codec.EXEC_PORT, b""), silent(codec.FILE_PORT, b"")])
    together([silent(codec.EXEC_PORT, first[:7]), silent(codec.FILE_PORT, b"\x23"),
              silent(codec.EXEC_PORT, codec.header(codec.START, 1000), b"x")])
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_the_first_frames_limit_is_not_the_sessions(start_agent):
    agent = start_agent("--workers=4", "--first-frame-timeout=1")
    conn = agent.start(["sh", "-c", "sleep 1.6; cat"])
    time.sleep(1.6)
    conn.send(codec.STDIN, b"late")
    conn.send(codec.EOF)
    assert conn.result().stdout == b"late"


def test_while_no_worker_is_idle_the_limit_of_what_has_begun_is_1_s(start_agent):
    agent = start_agent("--workers=3", "--first-frame-timeout=3600")
    begun = [agent.connect() for _ in range(3)]
    for conn in begun:
        conn.send_raw(codec.encode(codec.START)[:1])
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    assert [f.type for f in begun[0].result().frames] == [codec.STDERR, codec.EXIT]
    for conn in begun:
        conn.close()


def test_connections_beyond_the_pool_wait_in_the_queue(start_agent):
    agent = start_agent("--workers=1", "--reserved=0")
    conn = agent.start(["sh", "-c", "echo up; exec cat"])
    conn.read_output(b"up\n")
    sock = agent.dial()
    sock.sendall(b"CONNECT 52\n")
    sock.settimeout(0.3)
    with pytest.raises(TimedOut):
        sock.recv(10)
    conn.send(codec.EOF)
    assert conn.result().code == 0
    sock.settimeout(20)
    assert sock.recv(10).startswith(b"OK ")
    sock.close()


# ---- recycling, HUP, USR1, and other signals ------------------------------------


@pytest.mark.plain_build
@pytest.mark.parametrize("request_type,members", [
    (codec.START, {"cmd": ["true"], "env": {f"V{i}": "x" * 40 for i in range(5000)}}),
    (codec.KILL, {"session": 1, "signal": 1, "more": ["x" * 40] * 5000}),
])
def test_a_worker_without_memory_for_a_request_is_not_the_next_ones(start_agent, request_type, members):
    agent = start_agent("--workers=1", "--reserved=0", "--recycle=0")
    agent.run(["true"])
    worker, = agent.worker_pids()
    with open(f"/proc/{worker}/statm") as f:
        size = int(f.read().split()[0]) * resource.getpagesize()
    resource.prlimit(worker, resource.RLIMIT_AS, (size, size))
    conn = agent.connect(codec.EXEC_PORT)
    conn.send(request_type, codec.to_json(members))
    assert conn.result().code != 0
    wait_until(lambda: agent.worker_pids() not in ([], [worker]), message="another worker")
    assert agent.run(["true"]).code == 0


def test_a_worker_leaves_after_recycle_sessions_and_nobody_notices(start_agent):
    agent = start_agent("--workers=2", "--recycle=3")
    before = set(agent.worker_pids())
    # Which of them serves is the kernel's to say.
    for i in range(100):
        assert agent.run(["echo", str(i)]).stdout == b"%d\n" % i
        if not before & set(agent.worker_pids()):
            break
    wait_until(lambda: len(agent.worker_pids()) == 2, message="two workers")
    assert not before & set(agent.worker_pids())
    assert agent.status()["worker_deaths"]["total"] == 0


def test_sighup_replaces_all_workers_and_refuses_no_connection(start_agent):
    agent = start_agent("--workers=8")
    before = set(agent.worker_pids())
    stop = threading.Event()
    counts = []

    def client():
        done = 0
        while not stop.is_set():
            result = agent.run(["echo", "x"])
            assert (result.stdout, result.code) == (b"x\n", 0), result
            done += 1
        counts.append(done)

    def hup():
        try:
            time.sleep(0.2)
            os.kill(agent.pid, signal.SIGHUP)
            wait_until(lambda: not before & set(agent.worker_pids())
                       and len(agent.worker_pids()) == 8, 20, "all workers are new")
        finally:
            stop.set()

    together([client, client, client, hup])
    assert min(counts) > 0
    assert agent.status()["worker_deaths"]["total"] == 0


def test_sighup_replaces_idle_workers_one_by_one(start_agent):
    """None is told to leave before the one before it has a successor."""
    agent = start_agent("--workers=6")
    before = set(agent.worker_pids())
    with Trace(agent.pid, "kill,clone,clone3,fork,vfork") as trace:
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: not before & set(agent.worker_pids()), message="all are new")
        wait_until(lambda: len(agent.worker_pids()) == 6, message="six workers")
    calls = trace.calls()[agent.pid]
    steps = ["hup" if "SIGHUP" in call else "fork" for call in calls
             if "SIGHUP)" in call or name_of(call).startswith(("clone", "fork", "vfork"))]
    assert steps == ["hup", "fork"] * 6, calls


def test_sighup_lets_a_running_session_end_in_peace(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["cat"])
    conn.send(codec.STDIN, b"before ")
    conn.read_output(b"before ")
    before = set(agent.worker_pids())
    os.kill(agent.pid, signal.SIGHUP)
    wait_until(lambda: len(agent.worker_pids()) == 4 and len(before & set(agent.worker_pids())) == 1,
               message="all are new but the one of the session")
    conn.send(codec.STDIN, b"after")
    conn.send(codec.EOF)
    result = conn.result()
    assert result.stdout == b"before after" and result.code == 0


def test_a_descriptor_that_its_starter_left_open_is_closed(start_agent, monkeypatch, tmp_path):
    left = tmp_path / "left-open"
    wrapper = tmp_path / "agent-with-a-leak"
    wrapper.write_text('#!/bin/sh\nexec %s "$@" 9>%s\n' % (agent_binary(), left))
    wrapper.chmod(0o755)
    monkeypatch.setenv("VMM_GUEST_AGENT", str(wrapper))
    agent = start_agent()
    assert left.exists()
    for pid in [agent.pid, *agent.worker_pids()]:
        assert str(left) not in descriptors(pid).values()


def test_sigusr1_logs_the_scoreboard(agent):
    start = len(agent.log())
    conn = agent.start(["sh", "-c", "echo $$; exec cat"])
    pid = int(conn.read_output(b"\n"))
    slot = [s for s in agent.status()["slots"] if s["pid"] == pid][0]
    wait_until(lambda: agent.status()["workers"]["idle"] == 6, message="the status' own worker is idle")
    os.kill(agent.pid, signal.SIGUSR1)
    # It is written line by line.
    for line in (r"scoreboard: 8 workers, [67] idle; sessions: \d+ started, \d+ refused; worker deaths: 0\n",
                 r"slot \d+: pid \d+, exec, session %d, child %d, in \d+, out \d+" % (slot["session"], pid)):
        wait_until(lambda: re.search(line, agent.log()[start:]), message=line)
    conn.send(codec.EOF)
    conn.result()


# What the supervisor waits for besides.
TAKEN = (signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


def test_the_supervisor_survives_every_other_signal(agent):
    ends = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGPWR}
    for number in sorted(set(range(1, 65)) - ends - {32, 33}):
        os.kill(agent.pid, number)
        wait_until(lambda: not signals_that_wait(agent.pid, TAKEN), message="signal %d is taken" % number)
    assert agent.is_alive()
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_sigusr2_means_nothing(agent):
    def taken():
        return [call.rpartition("=")[2] for call in trace.calls()[agent.pid]]

    with Trace(agent.pid, "rt_sigtimedwait") as trace:
        os.kill(agent.pid, signal.SIGUSR2)
        os.kill(agent.pid, signal.SIGUSR1)
        wait_until(lambda: any("SIGUSR1" in call for call in taken()), message="the one after it")
    assert not any("SIGUSR2" in call for call in taken()), taken()


def test_workers_survive_the_signals_of_a_terminal(agent):
    for pid in agent.worker_pids():
        for number in (signal.SIGWINCH, signal.SIGPIPE, signal.SIGCHLD, signal.SIGCONT):
            os.kill(pid, number)
        wait_until(lambda p=pid: not signals_that_wait(p), message="all act")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


@pytest.mark.ends_agent
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR])
def test_a_signal_stops_the_sessions_and_ends_the_agent(start_agent, number):
    agent = start_agent("--workers=6")
    workers = agent.worker_pids()
    conns = [agent.start(["sh", "-c", "echo $$; exec sleep 60"]) for _ in range(3)]
    pids = [int(c.read_output(b"\n")) for c in conns]
    os.kill(agent.pid, number)
    results = [c.result(timeout=20) for c in conns]
    assert agent.process.wait(20) == 0
    assert all(r.exit is not None and r.code != 0 for r in results), results
    assert not [p for p in workers + pids if is_running(p)]


@pytest.mark.ends_agent
def test_a_program_that_ignores_sigterm_does_not_hold_the_agents_end(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["sh", "-c", "trap '' TERM HUP INT; echo $$; while :; do sleep 0.1; done"])
    pid = int(conn.read_output(b"\n"))
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.process.wait(20) == 0
    assert not is_running(pid)
    conn.result()


@pytest.mark.ends_agent
def test_signals_that_come_during_the_end_change_nothing(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["sh", "-c", "trap 'sleep 1; exit 7' TERM; echo up; while :; do sleep 0.05; done"])
    conn.read_output(b"up\n")
    for _ in range(20):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
            if agent.is_alive():
                agent.process.send_signal(number)
        time.sleep(0.02)
    assert conn.result(timeout=20).code == 7
    assert agent.process.wait(20) == 0


@pytest.mark.ends_agent
def test_an_idle_agent_ends_at_once(start_agent):
    """It waits for the end of each worker, and for no time to be over."""
    agent = start_agent("--workers=8", env=TRACED)
    with Trace(agent.pid, "poll") as trace:
        os.kill(agent.pid, signal.SIGTERM)
        assert agent.process.wait(20) == 0
    waits = [call for call in trace.calls()[agent.pid] if not call.endswith(", 0) = 0 (Timeout)")]
    assert 1 <= len(waits) <= 9 and not any(map(timed_out, waits)), waits


@pytest.mark.ends_agent
def test_workers_do_not_outlive_a_supervisor_that_is_killed(start_agent):
    agent = start_agent("--workers=4")
    workers = agent.worker_pids()
    agent.process.kill()
    agent.process.wait()
    wait_until(lambda: not [p for p in workers if is_running(p)], message="the workers end")


@pytest.mark.ends_agent
def test_a_worker_whose_supervisor_was_killed_while_it_was_another_user_ends_too(start_agent, public_dir):
    """The kernel forgets the signal for that with the change of ids."""
    agent = start_agent("--workers=2")
    workers = agent.worker_pids()
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(public_dir / "x"), "user": "nobody"})
    conn.send(codec.FILE_DATA, b"x")
    wait_until(lambda: any("x" in s["command"] for s in agent.status()["slots"]), message="the upload")
    agent.process.kill()
    agent.process.wait()
    conn.send(codec.FILE_DONE)
    wait_until(lambda: not [p for p in workers if is_running(p)], message="the workers end")
    conn.close()


# ---- once -----------------------------------------------------------------------


@pytest.mark.ends_agent
def test_once_serves_one_connection_in_this_very_process(start_agent):
    agent = start_agent("--once", ready="socket")
    conn = agent.start(["sh", "-c", "echo $PPID; exec cat"])
    assert int(conn.read_output(b"\n")) == agent.pid
    conn.send(codec.EOF)
    assert conn.result().code == 0
    assert agent.process.wait(20) == 0


# ---- load -----------------------------------------------------------------------


@pytest.mark.kills_workers
def test_a_worker_is_known_by_its_number_before_it_serves(start_agent):
    """Also where the supervisor, which has just forked it, stands still."""
    agent = start_agent("--workers=2")
    with agent.start(["sh", "-c", "echo up; exec cat"]) as conn:
        conn.read_output(b"up\n")
        program, = (slot["pid"] for slot in agent.status()["slots"] if slot["kind"] == "exec")
        idle, = (pid for pid in agent.worker_pids() if program not in children(pid))
        with durable.Frozen(agent.pid) as supervisor:
            kill_hard(idle)
            # Its first bytes are there before it is accepted: the supervisor can't keep it meanwhile.
            early = agent.dial()
            early.sendall(b"CONNECT %d\n" % codec.EXEC_PORT + codec.encode(codec.STATUS_REQ))
            supervisor.run_to(CLONE)
            status, = agent.opened(early).result().statuses
        itself, = (slot["pid"] for slot in status["slots"] if slot["kind"] == "status")
        assert itself in agent.worker_pids() and itself != idle


@pytest.mark.kills_workers
def test_killing_every_worker_while_ten_clients_work(start_agent):
    """Every client gets an answer or a close, and the next connection is served."""
    agent = start_agent("--workers=16")
    stop = threading.Event()
    answered, cut = [], []

    def client():
        while not stop.is_set():
            try:
                conn = agent.start(["sh", "-c", "head -c 50000 /dev/zero; sleep 0.02; echo x >&2"])
                result = conn.result(timeout=20)
                (answered if result.exit else cut).append(result)
                if result.code == 0:
                    assert len(result.stdout) == 50000 and result.stderr == b"x\n"
                elif result.exit:
                    # Without a word where the request had not been read.
                    assert result.code == 125 and (result.stderr or not result.stdout)
            except (Refused, BrokenPipeError, ConnectionResetError):
                cut.append(None)

    def killer():
        try:
            for turn in range(1, 4):
                wait_until(lambda: len(answered) >= 10 * turn, 60, "answers between two deaths")
                kill_hard(*agent.worker_pids())
            wait_until(lambda: len(answered) >= 40, 60, "answers after the last")
        finally:
            stop.set()

    together([client] * 10 + [killer])
    assert agent.is_alive()
    assert agent.run(["echo", "x"], timeout=20).stdout == b"x\n"
    wait_until(lambda: len(agent.worker_pids()) == 16, 20, "sixteen workers again")


def test_thousand_sessions_leave_no_trace(start_agent):
    agent = start_agent("--workers=16", "--recycle=100000")

    def client():
        for i in range(125):
            assert agent.run(["echo", str(i)]).stdout == b"%d\n" % i

    together([client] * 8)
    assert agent.status()["sessions"]["started"] == 1000


def test_orphans_are_reaped(agent):
    """Each round leaves children behind whose parent is gone."""
    for _ in range(10):
        agent.sh("for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.0$i >/dev/null 2>&1 </dev/null &); done")
    wait_until(lambda: all(p in agent.worker_pids() for p in children(agent.pid)), message="all are reaped")
