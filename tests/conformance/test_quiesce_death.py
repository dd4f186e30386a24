# SPDX-License-Identifier: MIT
"""Who has a guest stand still may die at any moment, by anybody's hand: the guest goes on, nothing is left,
and the next QUIESCE works. Nothing is frozen here; that it is thawed: tests/vm/test_quiesce.py, and the units
of the switch."""

import contextlib
import os
import random
import signal
import time

import pytest

import codec
import holding
from agent import children, descriptors, is_running, kill_hard, runs, wait_until
from holding import hold, phase, thaw, thawed

ROUNDS = int(os.environ.get("VGA_QUIESCE_ROUNDS", "50"))


def switch(agent):
    """The process that holds the guest still."""
    wait_until(agent.switch_pids, message="a switch")
    return agent.switch_pids()[0]


def await_over(agent):
    wait_until(lambda: phase(agent) is None and not agent.switch_pids(), message="it is over")


def settled_descriptors(agent):
    """The supervisor's, with none of a connection that is being closed."""
    agent.settle()
    return descriptors(agent.pid)


def asker(agent):
    """The worker that serves QUIESCE."""
    holding.await_slot(agent, "quiesce")
    return holding.slots(agent, "quiesce")[0]["pid"]


def assert_goes_on(agent, session):
    """SESSION, of cat, and whatever comes next."""
    session.send(codec.STDIN, b"hello\n")
    session.read_output(b"hello\n")
    assert agent.sh("echo $((6*7))").stdout == b"42\n"
    with hold(agent) as conn:
        assert thaw(agent) == 0
        assert thawed(conn) == "thaw"
    await_over(agent)


@pytest.fixture
def session(agent):
    """A session of the agent's, which rests while it is quiesced."""
    conn = agent.start(["cat"])
    conn.send(codec.STDIN, b"up\n")
    conn.read_output(b"up\n")
    yield conn
    conn.send(codec.EOF)
    assert conn.result().code == 0


def held_up(agent):
    """A session that does not come to rest: its host takes only a part of a frame."""
    path = os.path.join(agent.directory, "large")
    with open(path, "wb") as f:
        f.truncate(1 << 24)
    conn = agent.file_connect(codec.FILE_READ_REQ, {"path": path})
    wait_until(lambda: conn.wait_readable(0), message="what it takes")
    agent.settle()
    return conn


@pytest.fixture
def restless(agent):
    conn = held_up(agent)
    yield conn
    conn.close()


def readers(agent):
    return [(s["session"], s["bytes_out"]) for s in agent.status()["slots"] if s["kind"] == "read"]


# ---- the switch --------------------------------------------------------------------------------------------


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.split(":\t", 1) for line in f)


@pytest.mark.plain_build
def test_the_switch_sits_in_memory_and_fills_none_that_is_a_workers(agent):
    with hold(agent) as conn:
        fields = status_of(switch(agent))
        assert int(fields["VmLck"].split()[0]) > 1000 and int(fields["VmRSS"].split()[0]) < 3000
        conn.send(codec.THAW)
        assert thawed(conn) == "host"


def test_the_switch_lets_no_signal_through_and_has_nothing_open(agent):
    with hold(agent) as conn:
        pid = switch(agent)
        fields = status_of(pid)
        assert int(fields["SigBlk"].strip(), 16) | 1 << 8 | 1 << 18 | 3 << 31 == 0xffffffffffffffff
        with open("/proc/%d/oom_score_adj" % pid) as own, open("/proc/%d/oom_score_adj" % agent.pid) as other:
            assert own.read() == other.read()

        def is_all_that_is_open():
            kinds = sorted(kind.split(":")[0] for fd, kind in descriptors(pid).items() if fd > 2)
            return [k for k in kinds if not k.startswith("/sys/fs/cgroup")] == [
                "/proc", "anon_inode", "anon_inode", "socket", "socket"]

        # Its bell, its timer, the queue's ends, /proc; and on hosts that delegate one a cgroup. The
        # pidfd by which it has just waked the holder may be there for a moment.
        wait_until(is_all_that_is_open, message="nothing else is open")
        conn.send(codec.THAW)
        assert thawed(conn) == "host"


def test_a_switch_that_is_stopped_goes_on(agent):
    with hold(agent) as conn:
        os.kill(switch(agent), signal.SIGSTOP)
        assert thaw(agent) == 0
        assert thawed(conn) == "thaw"


def test_signals_of_others_do_not_end_it(agent):
    with hold(agent) as conn:
        pid = switch(agent)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGSEGV):
            os.kill(pid, number)
        assert phase(agent) == "held" and switch(agent) == pid
        conn.send(codec.THAW)
        assert thawed(conn) == "host"


def test_a_switch_that_is_killed_while_it_holds_lets_all_go(agent, session):
    conn = hold(agent)
    kill_hard(switch(agent))
    assert thawed(conn) == "gone"
    assert_goes_on(agent, session)


def test_a_switch_that_is_killed_before_is_an_error(agent, session, restless):
    conn = holding.ask(agent, within_ms=60000)
    wait_until(lambda: phase(agent) == "resting", message="it waits for the session")
    kill_hard(switch(agent))
    told = holding.refused(conn, 1)
    assert told["error"] == told["steps"][0]["error"] == "EIO: its process was killed"
    restless.close()
    assert_goes_on(agent, session)


def test_a_session_that_does_not_rest_is_named_and_all_go_on(agent, session, restless):
    (number, _), = readers(agent)
    conn = holding.ask(agent, within_ms=500)
    told = holding.refused(conn, 1)
    assert told["error"] == "ETIMEDOUT: session %d (read) does not rest" % number
    restless.close()
    assert_goes_on(agent, session)


def test_switches_killed_at_any_moment_leave_nothing(agent, session):
    """In the first half of the rounds a session holds it up; of the second half one in two is held first."""
    assert_goes_on(agent, session)
    before = settled_descriptors(agent)
    chance = random.Random(1947)
    restless = held_up(agent)
    whys = {"resting": set(), "any": set(), "held": set()}
    for turn in range(ROUNDS):
        if turn == ROUNDS // 2:
            restless.close()
            wait_until(lambda: not readers(agent), message="nobody holds it up")
        conn = holding.ask(agent, within_ms=60000, hold_ms=60000)
        moment = "resting" if turn < ROUNDS // 2 else ("any", "held")[turn % 2]
        if moment == "held":
            assert conn.expect(codec.STATUS).json()["event"] == "quiesced"
        deadline = time.monotonic() + chance.uniform(0, 0.01)
        while time.monotonic() < deadline:
            pass
        for pid in set(children(agent.pid)) - set(agent.worker_pids()):
            if runs(pid, agent.pid):
                os.kill(pid, signal.SIGKILL)
        # On a busy machine it had not even begun, and would wait for the session.
        while not conn.wait_readable(0.05):
            thaw(agent)
        with contextlib.suppress(BrokenPipeError):
            conn.send(codec.THAW)
        result = conn.result()
        why = result.statuses[-1].get("why", "not held")
        whys[moment].add(why)
        assert phase(agent) is None and result.code == (1 if why == "not held" else 0)
    await_over(agent)
    assert settled_descriptors(agent) == before
    assert whys["resting"] == {"not held"} and "not held" not in whys["held"], whys
    assert_goes_on(agent, session)


# ---- the worker that asked, and its host ----------------------------------------------------------------------


@pytest.mark.kills_workers
def test_the_death_of_the_worker_that_asked_lets_all_go(agent, session):
    conn = hold(agent)
    kill_hard(asker(agent))
    assert conn.until_exit().code == -1
    await_over(agent)
    assert_goes_on(agent, session)


@pytest.mark.kills_workers
def test_the_death_of_the_worker_that_asked_calls_off_what_is_not_done(agent, session, restless):
    conn = holding.ask(agent, within_ms=60000)
    wait_until(lambda: phase(agent) == "resting", message="it waits for the session")
    kill_hard(asker(agent))
    conn.until_exit()
    await_over(agent)
    restless.close()
    assert_goes_on(agent, session)


@pytest.mark.kills_workers
def test_a_hold_for_a_snapshot_outlives_worker_and_host(agent, session):
    for kills in (True, False):
        conn = hold(agent, on_gone="hold")
        if kills:
            kill_hard(asker(agent))
            conn.until_exit()
        conn.close()
        wait_until(lambda: not [s for s in agent.status()["slots"] if s["kind"] == "quiesce"],
                   message="its slot is free")
        assert phase(agent) == "held"
        assert thaw(agent) == 0
        assert_goes_on(agent, session)


@pytest.mark.kills_workers
def test_a_hold_that_nobody_ends_any_more_expires(agent, session):
    conn = hold(agent, on_gone="hold", hold_ms=1500)
    kill_hard(asker(agent))
    conn.close()
    await_over(agent)
    assert_goes_on(agent, session)


@pytest.mark.kills_workers
def test_askers_killed_at_any_moment_leave_nothing(agent, session):
    assert_goes_on(agent, session)
    before = settled_descriptors(agent)
    workers = len(agent.worker_pids())
    chance = random.Random(1948)
    for _ in range(ROUNDS // 5):    # who dies again and again is not replaced at once
        conn = holding.ask(agent, within_ms=60000, hold_ms=60000)
        deadline = time.monotonic() + chance.uniform(0, 0.01)
        while time.monotonic() < deadline:
            pass
        killed = [s["pid"] for s in agent.status()["slots"] if s["kind"] == "quiesce"]
        kill_hard(*killed)
        conn.close()
        await_over(agent)
        wait_until(lambda: len(agent.worker_pids()) >= 4, message="workers")
    wait_until(lambda: len(agent.worker_pids()) == workers, 60, message="all workers")
    after = settled_descriptors(agent)
    assert {k: v for k, v in after.items() if k < 100} == {k: v for k, v in before.items() if k < 100}
    assert len(after) == len(before)
    assert_goes_on(agent, session)


def test_hosts_that_go_at_any_moment_leave_nothing(agent, session):
    assert_goes_on(agent, session)
    before = settled_descriptors(agent)
    chance = random.Random(1949)
    for _ in range(ROUNDS):
        conn = holding.ask(agent, within_ms=60000, hold_ms=60000)
        time.sleep(chance.uniform(0, 0.01))
        conn.close()
        await_over(agent)
    assert settled_descriptors(agent) == before
    assert_goes_on(agent, session)


# ---- the end of the agent -------------------------------------------------------------------------------------


@pytest.mark.ends_agent
@pytest.mark.parametrize("is_killed", [False, True])
def test_the_end_of_the_agent_thaws_first(start_agent, is_killed):
    agent = start_agent("--workers=4")
    session = agent.start(["sh", "-c", "trap 'echo term; exit 7' TERM; echo up; while :; do sleep 0.05; done"])
    session.read_output(b"up\n")
    conn = hold(agent)
    if is_killed:
        os.kill(switch(agent), signal.SIGSTOP)
    os.kill(agent.pid, signal.SIGTERM)
    assert thawed(conn) == "shutdown"
    # It is asked to end, and not found frozen by a SIGKILL.
    result = session.result()
    assert result.stdout == b"up\nterm\n" and result.code == 7, result
    assert agent.process.wait(20) == 0


@pytest.mark.ends_agent
def test_whoever_rests_or_asked_does_not_outlive_a_killed_supervisor(start_agent):
    agent = start_agent("--workers=6")
    plain = agent.start(["sh", "-c", "echo up; exec sleep 600"])
    terminal = agent.start(["sh", "-c", "echo up; exec sleep 600"], tty=True)
    for session in (plain, terminal):
        session.read_output(b"up")
    conn = hold(agent)
    waiting = agent.start(["true"])
    wait_until(lambda: len([s for s in agent.status()["slots"] if s["kind"]]) >= 4, message="it waits")
    everybody = agent.worker_pids() + agent.switch_pids()
    os.kill(agent.pid, signal.SIGKILL)
    agent.process.wait(20)
    wait_until(lambda: not [pid for pid in everybody if is_running(pid)], message="all have ended")
    assert plain.result().code == terminal.result().code == 128 + signal.SIGTERM
    for left in (conn, waiting):
        left.close()


@pytest.mark.ends_agent
def test_a_shutdown_that_is_asked_for_thaws_first(start_agent):
    agent = start_agent("--workers=4")
    conn = hold(agent)
    asking = agent.connect()
    asking.send(codec.SHUTDOWN, b"{}")
    assert thawed(conn) == "shutdown"
    assert asking.result().code == 0
    assert agent.process.wait(20) == 0
