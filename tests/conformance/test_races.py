# SPDX-License-Identifier: MIT
"""Two things in the same moment, many times: VGA_RACE_ROUNDS of each, 100 by
default, which is what CI runs. A race has no more rounds the faster the machine is,
and none is left out."""

import contextlib
import os
import signal
import statistics
import time

import pytest

import codec
from agent import Agent, Refused, is_running, together, wait_until

# Enough that what is slow in a round is waited for by all at once, and that a slot
# whose worker was killed is not due again at once.
WORKERS = 120
AGENT_OPTIONS = ("--workers=%d" % WORKERS, "--log=info")

ROUNDS = int(os.environ.get("VGA_RACE_ROUNDS", "100"))
AT_ONCE = 100


def rounds(function, threads=4):
    """FUNCTION(i) for each round, in a few threads."""
    done = []

    def some(first):
        def call():
            for i in range(first, ROUNDS, threads):
                function(i)
                done.append(i)
        return call

    together([some(n) for n in range(threads)])
    assert len(done) == ROUNDS


def at_once(begin, end):
    """BEGIN(i) gives what END(i, it) sees the end of: a hundred are under way, each
    with its own moment."""
    for first in range(0, ROUNDS, AT_ONCE):
        batch = range(first, min(ROUNDS, first + AT_ONCE))
        for i, begun in list(zip(batch, [begin(i) for i in batch])):
            end(i, begun)


def pause(i, steps, step):
    """The moment of round I, one of STEPS."""
    until = time.monotonic() + (i % steps) * step
    while time.monotonic() < until:
        pass


def no_place_is_held(agent):
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, 20, "all places are free")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def all_workers_are_there(agent):
    wait_until(lambda: len(agent.worker_pids()) == WORKERS, 30, "%d workers again" % WORKERS)


def lost_or(result, *codes):
    """Whether the session ended as it should, or was lost with its worker, of which
    the host is told, or has its connection closed in the middle of a frame."""
    if result.code == 125:
        assert b"worker lost" in result.stderr, result
        return True
    return result.exit is None or result.code in codes


# ---- the program ends ---------------------------------------------------------------


def test_the_child_exits_while_a_signal_comes(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "exit 3"])
        pause(i, 20, 0.0002)
        try:
            conn.send(codec.SIGNAL, codec.signal_number(9))
        except BrokenPipeError:
            pass
        result = conn.result()
        assert (result.code, result.signal) in ((3, 0), (137, 9)), result

    rounds(once)


def test_the_child_exits_while_eof_and_input_come(agent):
    def once(i):
        conn = agent.start(["head", "-c", "1"])
        conn.send(codec.STDIN, b"xyz")
        try:
            conn.send(codec.EOF)
            conn.send(codec.STDIN, b"late")
        except BrokenPipeError:
            pass
        result = conn.result()
        assert (result.stdout, result.code) == (b"x", 0), (i, result)

    rounds(once)


def test_the_child_exits_while_the_host_leaves(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "echo x"])
        pause(i, 20, 0.00025)
        conn.close()

    rounds(once)
    no_place_is_held(agent)


def test_the_child_exits_for_its_input_while_the_host_leaves(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "read x"])
        conn.send(codec.STDIN, b"go\n")
        pause(i, 20, 0.0002)
        conn.close()

    rounds(once)
    no_place_is_held(agent)


def test_the_child_exits_while_the_timeout_fires(agent):
    """Each ends within a few milliseconds of its timeout of 1 s."""
    def begin(i):
        script = "sleep %.4f; exit 3" % (0.98 + (i % 20) * 0.001)
        return agent.start(["sh", "-c", script], timeout_seconds=1, report=True)

    def end(_, conn):
        result = conn.result()
        exited = result.event("exited")
        assert (result.code, result.signal) == (exited["code"], exited["signal"])
        if result.code == 3:
            assert exited["reason"] in ("exited", "timeout")
        else:
            assert (result.code, result.signal, exited["reason"]) == (137, 9, "timeout"), result

    at_once(begin, end)


def test_the_child_exits_while_its_last_output_is_read(agent):
    def once(i):
        size = 1 + (i * 7919) % 200000
        result = agent.run(["head", "-c", str(size), "/dev/zero"])
        assert len(result.stdout) == size and result.code == 0

    rounds(once)


def test_the_child_exits_while_a_descendant_still_writes(agent):
    def begin(i):
        return agent.start(["sh", "-c", "(sleep 0.0%d; echo late) & echo x; exit 4" % (i % 10)])

    def end(_, conn):
        result = conn.result()
        assert result.code == 4 and result.stdout in (b"x\n", b"x\nlate\n"), result

    at_once(begin, end)


def test_a_tty_hangs_up_while_its_output_is_read(agent):
    def once(_):
        result = agent.sh("seq 1 300", tty=True)
        assert result.stdout.split()[-1] == b"300" and result.code == 0, result

    rounds(once)


# ---- it is ended ----------------------------------------------------------------------


def test_the_host_leaves_while_the_timeout_fires(agent):
    """The timeout is told from the host's going only by who was first."""
    def begin(_):
        conn = agent.start(["sh", "-c", "trap '' HUP; exec sleep 60"], timeout_seconds=1)
        return conn, time.monotonic()

    def end(i, begun):
        conn, at = begun
        time.sleep(max(0.0, at + 0.992 + (i % 20) * 0.001 - time.monotonic()))
        conn.close()

    at_once(begin, end)
    no_place_is_held(agent)


def test_a_session_is_killed_by_number_while_it_ends(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "echo $$; sleep 0.00%d; exit 3" % (i % 8)])
        pid = int(conn.read_output(b"\n"))
        for slot in agent.status()["slots"]:
            if slot["pid"] == pid:
                agent.request(codec.KILL, {"session": slot["session"], "signal": 9})
        result = conn.result()
        assert (result.code, result.signal) in ((3, 0), (137, 9)), result

    rounds(once)


def test_a_detached_program_is_killed_by_number_while_its_worker_sees_the_host_off(agent):
    """For a moment it is not yet the supervisor's child."""
    def once(_):
        pid = agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"]
        session = [s["session"] for s in agent.status()["slots"] if s.get("pid") == pid][0]
        def is_killed():
            return agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0 or not is_running(pid)

        try:
            # Again where the worker takes more than KILL's 2 s to leave, on a busy machine.
            wait_until(is_killed, message="it is signalled")
            wait_until(lambda: not is_running(pid), message="it is killed")
        finally:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)

    rounds(once)


# ---- a worker dies --------------------------------------------------------------------


@pytest.mark.kills_workers
def test_a_worker_dies_while_its_child_exits(agent):
    def once(i):
        conn = agent.start(["sh", "-c", "echo $PPID; read x; exit 3"])
        worker = int(conn.read_output(b"\n"))
        conn.send(codec.STDIN, b"go\n")
        pause(i, 20, 0.0002)
        # On a busy machine it may have been told to leave since.
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        assert lost_or(conn.result(), 3)

    # One at a time: a kill that comes late would meet another's connection.
    rounds(once, threads=1)
    all_workers_are_there(agent)
    no_place_is_held(agent)


@pytest.mark.kills_workers
def test_a_worker_dies_between_accept_and_registration(agent):
    """Of all that wait the one that has waited longest is woken; it is killed while it
    accepts, takes a place, starts the program, or sees it end."""
    hit = []
    moments = 50
    step = statistics.median(agent.run(["true"]).elapsed for _ in range(5)) / moments

    def once(i):
        wait_until(lambda: len(agent.worker_pids()) > 8, 30, "workers")
        victim = agent.worker_pids()[0]
        sock = agent.dial()
        sock.sendall(b"CONNECT 52\n" + codec.encode(codec.START, codec.start(["true"])))
        pause(i, moments, step)
        # The one that was killed before may have been listed still.
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        data = b""
        try:
            while part := sock.recv(1000):
                data += part
        except ConnectionResetError:
            pass
        sock.close()
        frames = codec.Decoder().feed(data.partition(b"\n")[2])
        ends = [codec.exit_status(f.payload) for f in frames if f.type == codec.EXIT]
        # Whether a last frame has gone the supervisor can't tell: it may send it once more.
        assert ends in ([], [(0, 0)], [(0, 0), (0, 0)], [(125, 0)]), data
        hit.append(ends != [(0, 0)])

    rounds(once, threads=1)
    assert any(hit), "no connection met the death of its worker"
    all_workers_are_there(agent)
    no_place_is_held(agent)


# ---- many come ------------------------------------------------------------------------


def test_more_come_at_once_than_there_are_places(start_agent):
    """Each round needs all the places that the one before has given back."""
    agent = start_agent("--workers=8", "--reserved=4")

    def once(_):
        conns = [agent.connect() for _ in range(7)]
        for conn in conns:
            # At once: who is refused may be closed before another send.
            conn.send_raw(codec.encode(codec.START, codec.start(["cat"])) + codec.encode(codec.STDIN, b"up\n"))
        first = [conn.recv() for conn in conns]
        running = [conn for conn, frame in zip(conns, first) if frame.type == codec.STDOUT]
        assert len(running) == 4, first
        for conn in running:
            conn.send(codec.EOF)
            assert conn.result().code == 0
        for conn in conns:
            conn.close()

    rounds(once, threads=1)
    assert agent.status()["workers"]["exec"] == 0


def test_sighup_comes_while_connections_do(start_agent):
    agent = start_agent("--workers=6", "--reserved=2")

    def client():
        try:
            assert agent.run(["echo", "x"]).stdout == b"x\n"
        except Refused:
            raise AssertionError("a connection was refused") from None

    def once(i):
        pause(i, 10, 0.0002)
        os.kill(agent.pid, signal.SIGHUP)
        client()

    rounds(once, threads=3)
    wait_until(lambda: len(agent.worker_pids()) == 6, 20, "six workers")
    assert agent.status()["worker_deaths"]["total"] == 0


def test_the_agent_is_told_to_end_while_a_connection_comes():
    """The host is answered, or the connection is closed; nothing hangs or is left."""
    def once(i):
        with Agent("--workers=2") as agent:
            sock = agent.dial()
            sock.sendall(b"CONNECT 52\n" + codec.encode(codec.START, codec.start(["sleep", "60"])))
            pause(i, 20, 0.0002)
            agent.process.send_signal(signal.SIGTERM)
            try:
                while sock.recv(1000):
                    pass
            except ConnectionResetError:
                pass
            sock.close()
            assert agent.terminate() == 0

    rounds(once)
