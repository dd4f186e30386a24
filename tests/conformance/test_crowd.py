# SPDX-License-Identifier: MIT
"""Connections that say nothing keep no worker from those that speak."""

import fcntl
import os
import resource
import select
import signal
import socket
import time

import pytest

import codec
from agent import descriptors, kill_hard, together, wait_until, wait_until_waiting
from quiescing import Quiesce

# Above what select(2) takes, so that those that speak have the numbers below.
FD_MIN = 1024

START = codec.encode(codec.START, codec.start(["echo", "x"])) + codec.encode(codec.EOF)
# Whose host sends EOF is not waited for at the end.
STATUS = codec.encode(codec.STATUS_REQ) + codec.encode(codec.EOF)

# Each death of a worker loses what it holds: one connection.
DEATHS = 5

# Longer than any test: who is closed meanwhile was not closed for its time.
PATIENT = "--first-frame-timeout=3600"


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """COUNT connections that say nothing but FIRST, which may be a handshake."""

    def __init__(self, agent, count, first=b"CONNECT 52\n"):
        self.agent = agent
        agent.settle()
        self.before = len(descriptors(agent.pid))
        self.socks = []
        for _ in range(count):
            sock = agent.dial()
            sock.sendall(first)
            self.socks.append(socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, FD_MIN)))
            sock.close()
            self.socks[-1].settimeout(30)
        if first.endswith(b"\n"):
            for sock in self.socks:
                assert sock.recv(6) == b"OK 52\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.socks:
            sock.close()

    def closed(self):
        """How many the agent has closed."""
        poll = select.poll()
        for sock in self.socks:
            poll.register(sock, select.POLLRDHUP)
        return len(poll.poll(0))

    def parked(self):
        """How many the supervisor has; those of others are the same in number."""
        return len(descriptors(self.agent.pid)) - self.before

    def await_parked(self, count=None):
        count = len(self.socks) if count is None else count
        wait_until(lambda: self.parked() >= count, message="%d are parked" % count)

    def ask(self, sock, data=START):
        """What SOCK gets when it sends DATA."""
        sock.sendall(data)
        return answer(sock)


def answer(sock):
    """The frames that come on SOCK up to its end."""
    decoder = codec.Decoder()
    frames = []
    while data := sock.recv(65536):
        frames += decoder.feed(data)
    return frames


def is_served(frames):
    return [f.payload for f in frames if f.type == codec.STDOUT] == [b"x\n"] and frames[-1].type == codec.EXIT


# ---- the others ---------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"CONNECT 52\n", b""], ids=["handshake", "nothing"])
@pytest.mark.parametrize("workers", [64, 2, 1])
def test_a_thousand_silent_hosts_are_in_nobodys_way(start_agent, workers, first):
    """Nobody's time is over meanwhile, and nobody is closed so that others are served."""
    agent = start_agent("--workers=%d" % workers, "--recycle=0", PATIENT)
    before = set(agent.worker_pids())
    with Crowd(agent, 1000, first) as crowd:
        for _ in range(3):
            assert agent.status()["workers"]["configured"] == workers
            assert agent.request(codec.CLOCK_SYNC, b"short").code == -1
            assert agent.run(["echo", "x"]).stdout == b"x\n"
        assert crowd.closed() == 0
        crowd.await_parked(1000 - workers)
    assert set(agent.worker_pids()) == before, "a worker took a descriptor for a leak"


@pytest.mark.ends_agent
def test_a_shutdown_is_answered_in_a_crowd_and_closes_it(start_agent):
    agent = start_agent("--workers=4", PATIENT)
    with Crowd(agent, 300) as crowd:
        assert agent.request(codec.SHUTDOWN, {"action": "halt", "grace_seconds": 0}).code == 0
        assert agent.process.wait(30) == 0
        assert all(answer(sock) == [] for sock in crowd.socks)


@pytest.mark.parametrize("workers", [3, 1])
def test_a_program_that_takes_the_last_idle_worker_leaves_one_for_the_next_host(start_agent, workers):
    """Those that say nothing have the others until then."""
    agent = start_agent("--workers=%d" % (workers + 1), "--reserved=1", PATIENT)
    with Crowd(agent, workers) as crowd, agent.start(["cat"]) as conn:
        conn.send(codec.STDIN, b"x")
        assert conn.read_output(b"x") == b"x"
        assert agent.status()["workers"]["exec"] == 1
        assert crowd.closed() == 0
        conn.send(codec.EOF)
        assert conn.result().code == 0


# ---- those that speak in the end -----------------------------------------------------------


@pytest.mark.parametrize("workers", [8, 1])
def test_all_that_speak_at_one_moment_are_served(start_agent, workers):
    agent = start_agent("--workers=%d" % workers, "--recycle=0", PATIENT)
    with Crowd(agent, 600) as crowd:
        crowd.await_parked(600 - workers)
        for sock in crowd.socks:
            sock.sendall(STATUS)
        kinds = {tuple(f.type for f in answer(sock)) for sock in crowd.socks}
        assert kinds == {(codec.STATUS, codec.EXIT)}


@pytest.mark.parametrize("port", [codec.EXEC_PORT, codec.FILE_PORT])
def test_a_parked_connection_is_what_it_was(start_agent, port):
    """Parked before its handshake and after it, it is served on its port, whole and in pieces."""
    agent = start_agent("--workers=2", PATIENT)
    with Crowd(agent, 3, b"") as crowd:
        crowd.await_parked(2)
        for i, sock in enumerate(crowd.socks):
            sock.sendall(b"CONNECT %d\n" % port)
            assert sock.recv(6) == b"OK %d\n" % port
            # Where it is in the way of one of these it is parked again.
            for _ in range(2):
                agent.status()
            if port == codec.FILE_PORT:
                request = codec.encode(codec.FILE_STAT_REQ, {"path": "/"})
                expected = [codec.FILE_STAT]
            else:
                request, expected = STATUS, [codec.STATUS, codec.EXIT]
            pieces = 0
            if i == 2:
                # Nobody else says nothing, and so a worker is idle however long the pieces take.
                wait_until_waiting(agent.worker_pids)
                pieces = 4
            for byte in request[:pieces]:
                sock.sendall(bytes([byte]))
            assert [f.type for f in crowd.ask(sock, request[pieces:])] == expected


def test_a_parked_connection_keeps_its_number(start_agent):
    agent = start_agent("--workers=1", "--log=debug", PATIENT)

    def number():
        return agent.status()["slots"][0]["session"]

    first = number()
    with Crowd(agent, 20) as crowd:
        crowd.await_parked()
        status = crowd.ask(crowd.socks[4], STATUS)[0].json()
        assert status["slots"][0]["session"] == first + 5
        assert number() == first + 21


def test_a_session_in_a_crowd_has_nothing_open_of_it(start_agent):
    agent = start_agent("--workers=1", "--reserved=0", PATIENT)
    fds = ["sh", "-c", "ls /proc/$$/fd"]
    before = agent.run(fds).stdout
    with Crowd(agent, 100) as crowd:
        crowd.await_parked()
        assert agent.run(fds).stdout == before


# ---- how long, and how many ------------------------------------------------------------------


def test_a_parked_connection_has_all_of_its_time(start_agent):
    agent = start_agent("--workers=1", "--first-frame-timeout=2")
    begun = time.monotonic()
    with Crowd(agent, 50) as crowd:
        assert agent.run(["echo", "x"]).stdout == b"x\n"
        assert all(answer(sock) == [] for sock in crowd.socks)
        assert time.monotonic() - begun >= 1.9
        wait_until(lambda: crowd.parked() == 0, message="they are closed")


def test_the_time_of_a_parked_connection_stands_still_in_a_quiesce(start_agent):
    """It would be over: that of one which came later, to an agent that goes on, is."""
    options = "--workers=4", "--first-frame-timeout=5"
    agent, other = start_agent(*options), start_agent(*options)
    with Quiesce(agent) as quiesce, Crowd(agent, 10) as crowd:
        crowd.await_parked(7)
        with other.dial() as later:
            assert later.recv(1) == b""
        assert crowd.closed() == 0
        # By the time of the thaw it has spoken.
        crowd.socks[0].sendall(START)
        quiesce.thaw()
        assert is_served(answer(crowd.socks[0]))


def test_a_thaw_on_a_parked_connection_is_heard(start_agent):
    agent = start_agent("--workers=4", PATIENT)
    with Crowd(agent, 20) as crowd:
        quiesce = Quiesce(agent)
        quiesce.ask()
        crowd.await_parked(17)
        waiting = crowd.socks[1]
        waiting.sendall(START)
        wait_until(lambda: agent.status()["workers"]["exec"] == 1, message="it waits for the thaw")
        frames = crowd.ask(crowd.socks[0], codec.encode(codec.THAW))
        assert codec.exit_status(frames[-1].payload) == (0, 0)
        assert is_served(answer(waiting))
        quiesce.conn.close()


@pytest.mark.parametrize("leave", [socket.socket.close, lambda sock: sock.shutdown(socket.SHUT_WR)],
                         ids=["closed", "shut_down"])
def test_who_leaves_in_silence_is_let_go_though_no_worker_is_idle(start_agent, leave):
    agent = start_agent("--workers=1", "--reserved=0", PATIENT)
    with Crowd(agent, 50) as crowd:
        crowd.await_parked()
        conn = agent.start(["cat"])
        conn.send(codec.STDIN, b"x")
        assert conn.read_output(b"x") == b"x"
        for sock in crowd.socks:
            leave(sock)
        wait_until(lambda: crowd.parked() == 0, message="they are closed")
        conn.send(codec.EOF)
        assert conn.result().code == 0


def test_who_speaks_and_leaves_has_spoken(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0", PATIENT)
    path = tmp_path / "made"
    with Crowd(agent, 20) as crowd:
        crowd.await_parked()
        conn = agent.start(["cat"])
        conn.send(codec.STDIN, b"x")
        assert conn.read_output(b"x") == b"x"
        request = codec.encode(codec.START, codec.start(["mkdir", str(path)], detach=True))
        crowd.socks[7].sendall(request)
        crowd.socks[7].shutdown(socket.SHUT_WR)
        conn.send(codec.EOF)
        assert conn.result().code == 0
        wait_until(path.exists, message="what it asked for")


# ---- workers that go ---------------------------------------------------------------------------


@pytest.mark.kills_workers
def test_those_that_are_parked_outlive_every_worker(start_agent):
    agent = start_agent("--workers=2", PATIENT)
    before = agent.worker_pids()
    with Crowd(agent, 100) as crowd:
        crowd.await_parked(98)
        # Whom a worker waits for dies with it.
        parked = crowd.parked()
        kill_hard(*before)
        wait_until(lambda: len(agent.worker_pids()) == 2 and not set(before) & set(agent.worker_pids()),
                   message="two others")
        assert crowd.closed() <= 100 - parked
        poll = select.poll()
        for sock in crowd.socks:
            poll.register(sock, select.POLLRDHUP)
        gone = {fd for fd, _ in poll.poll(0)}
        for sock in [s for s in crowd.socks if s.fileno() not in gone]:
            assert is_served(crowd.ask(sock))


@pytest.mark.kills_workers
def test_workers_that_die_while_they_park_lose_what_they_hold_and_no_more(start_agent):
    agent = start_agent("--workers=4", PATIENT)

    def is_told(sock):
        try:
            sock.sendall(b"CONNECT 52\n" + STATUS)
            return sock.recv(6) == b"OK 52\n" and answer(sock)[-1:] != []
        except (BrokenPipeError, ConnectionResetError):
            return False

    def come():
        with Crowd(agent, 300, b"") as crowd:
            return sum(is_told(sock) for sock in crowd.socks)

    def kill():
        for _ in range(DEATHS):
            kill_hard(*agent.worker_pids()[:1])

    told, _ = together([come, kill])
    assert told >= 300 - DEATHS
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_hup_replaces_workers_that_wait_for_a_first_byte_and_nobody_notices(start_agent):
    agent = start_agent("--workers=4", PATIENT)
    before = set(agent.worker_pids())
    with Crowd(agent, 3) as crowd:
        wait_until_waiting(agent.worker_pids)
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: len(agent.worker_pids()) == 4 and not before & set(agent.worker_pids()),
                   message="four others")
        assert all(is_served(crowd.ask(sock)) for sock in crowd.socks)
