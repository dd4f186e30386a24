# SPDX-License-Identifier: MIT
"""KILL, WAIT_PORT, CONNECT, RESTORED and SHUTDOWN."""

import errno
import hashlib
import os
import signal
import socket
import threading
import time

import pytest

import codec
import durable
from agent import TimedOut, births, is_running, kill_hard, still_running, together, wait_until
from answers import control_failed
from faults import Fault
from traces import Trace, timed_out, times_set

BAD_JSON = [b"", b"{", b"[]", b"null", b"\xff", b"x" * 2000]


# ---- KILL -----------------------------------------------------------------------


def running(agent, script="echo $$; exec sleep 60", **members):
    """(connection, pid, session number) of a program that runs."""
    conn = agent.start(["sh", "-c", script], **members)
    pid = int(conn.read_output(b"\n"))
    number = [s["session"] for s in agent.status()["slots"] if s.get("pid") == pid][0]
    return conn, pid, number


@pytest.mark.parametrize("number", [1, 9, 15, 64])
def test_kill_sends_a_signal_to_a_session(agent, number):
    conn, _, session = running(agent)
    answer = agent.request(codec.KILL, {"session": session, "signal": number})
    assert (answer.code, answer.signal) == (0, 0)
    result = conn.result()
    assert (result.code, result.signal) == (128 + number, number)


def test_kill_reaches_the_whole_group(agent):
    conn, _, session = running(agent, "sleep 60 & echo $$; wait")
    assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0
    assert conn.result().code == 137


@pytest.mark.parametrize("session", [0, 999999999, 2**64 - 1])
def test_kill_of_no_session_is_exit_1(agent, session):
    assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 1


def test_kill_of_a_session_that_has_ended_is_exit_1(agent):
    conn, _, session = running(agent)
    conn.close()
    wait_until(lambda: not agent.status()["slots"] or
               session not in [s["session"] for s in agent.status()["slots"]], message="it ends")
    assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 1


@pytest.mark.parametrize("payload", BAD_JSON + [
    b'{"session":1}', b'{"signal":9}', b'{"session":"1","signal":9}', b'{"session":1,"signal":0}',
    b'{"session":1,"signal":65}', b'{"session":-1,"signal":9}', b'{"session":1,"signal":-9}'])
def test_kill_that_makes_no_sense_has_no_effect_and_an_exit(agent, payload):
    assert agent.request(codec.KILL, payload).code not in (0, None)


# ---- WAIT_PORT --------------------------------------------------------------------


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def bound(request):
    """A TCP socket that is bound, and does not listen yet."""
    sock = socket.socket(request.param)
    sock.bind(("127.0.0.1" if request.param == socket.AF_INET else "::1", 0))
    yield sock
    sock.close()


def wait_port(agent, port, timeout_ms):
    return agent.request(codec.WAIT_PORT, {"port": port, "timeout_ms": timeout_ms})


def test_wait_port_finds_who_listens_and_never_connects(agent, bound):
    bound.listen()
    assert wait_port(agent, bound.getsockname()[1], 0).code == 0
    assert wait_port(agent, bound.getsockname()[1], 5000).code == 0
    bound.settimeout(0.2)
    with pytest.raises(TimedOut):
        bound.accept()


def test_wait_port_waits_until_somebody_listens(agent, bound):
    conn = agent.connect()
    conn.send(codec.WAIT_PORT, {"port": bound.getsockname()[1], "timeout_ms": 60000})
    assert not conn.wait_readable(0.6), "nobody listens yet"
    bound.listen()
    assert conn.result().code == 0


def test_wait_port_is_exit_1_when_the_time_is_up(agent, bound):
    port = bound.getsockname()[1]
    waited = wait_port(agent, port, 700)
    assert waited.code == 1 and waited.elapsed > 0.65
    at_once = [wait_port(agent, port, 0) for _ in range(5)]
    assert {result.code for result in at_once} == {1}
    assert min(result.elapsed for result in at_once) < waited.elapsed


def test_wait_port_takes_no_udp_socket_for_one_that_listens(agent):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    assert wait_port(agent, sock.getsockname()[1], 0).code == 1
    sock.close()


@pytest.mark.parametrize("payload", BAD_JSON + [
    b"{}", b'{"port":65536,"timeout_ms":0}', b'{"port":-1,"timeout_ms":0}', b'{"port":"80","timeout_ms":0}',
    b'{"port":1.5,"timeout_ms":0}', b'{"port":1,"timeout_ms":-1}', b'{"port":1,"timeout_ms":"x"}'])
def test_wait_port_that_cannot_be_read_is_exit_minus_1(agent, payload):
    assert agent.request(codec.WAIT_PORT, payload).code == -1


def test_wait_port_ends_when_the_host_goes(agent):
    conn = agent.connect()
    conn.send(codec.WAIT_PORT, {"port": 1, "timeout_ms": 600000})
    wait_until(lambda: agent.status()["workers"]["exec"] == 1, message="it waits")
    conn.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="it ends")


# ---- CONNECT ----------------------------------------------------------------------


class Server:
    """A TCP server for one connection after the other, each served by SERVE."""

    def __init__(self, serve, family=socket.AF_INET):
        self.sock = socket.socket(family)
        self.sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        self.sock.listen()
        self.port = self.sock.getsockname()[1]
        self.serve = serve
        self.ended = []
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(conn,), daemon=True).start()

    def _one(self, conn):
        with conn:
            try:
                self.serve(conn)
            except OSError as error:
                self.ended.append(error)
                return
            self.ended.append(None)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def echo(conn):
    while data := conn.recv(65536):
        conn.sendall(data)
    conn.shutdown(socket.SHUT_WR)


@pytest.fixture
def serve():
    servers = []

    def start(function, family=socket.AF_INET):
        servers.append(Server(function, family))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def forward(agent, port, **members):
    conn = agent.connect()
    conn.send(codec.CONNECT, dict(members, port=port))
    return conn


def test_connect_tells_that_it_is_made_then_carries_both_ways(agent, serve):
    conn = forward(agent, serve(echo).port)
    assert conn.expect(codec.STATUS).json() == {"event": "connected"}
    conn.send(codec.STDIN, b"ping")
    assert conn.read_output(b"ping") == b"ping"
    conn.send(codec.EOF)
    result = conn.result()
    assert result.code == 0 and result.stdout == b"ping"
    assert result.frames[-2] == (codec.STDOUT, b""), "the guest's half-close"


@pytest.mark.parametrize("chunk", [1500, 200000])
def test_connect_carries_20_mib_unharmed(agent, serve, chunk):
    data = os.urandom(1024 * 1024) * 20
    conn = forward(agent, serve(echo).port)
    stream = b"".join(codec.encode(codec.STDIN, data[i:i + chunk]) for i in range(0, len(data), chunk))
    assert conn.send_reading(stream + codec.encode(codec.EOF)) == len(stream) + 5
    result = conn.result()
    assert result.code == 0
    assert hashlib.sha256(result.stdout).digest() == hashlib.sha256(data).digest()


def test_connect_passes_the_guests_half_close_and_the_host_may_go_on(agent, serve):
    got = []

    def first_talks_then_listens(conn):
        conn.sendall(b"hello")
        conn.shutdown(socket.SHUT_WR)
        while data := conn.recv(100):
            got.append(data)

    conn = forward(agent, serve(first_talks_then_listens).port)
    conn.expect(codec.STATUS)
    assert conn.expect(codec.STDOUT).payload == b"hello"
    assert conn.expect(codec.STDOUT).payload == b""
    assert not conn.wait_readable(0.3), "EXIT only when both directions are closed"
    conn.send(codec.STDIN, b"and you")
    conn.send(codec.EOF)
    assert conn.result().code == 0
    wait_until(lambda: b"".join(got) == b"and you", message="the host's bytes")


def test_connect_passes_the_hosts_half_close_and_the_guest_may_go_on(agent, serve):
    def listens_then_talks(conn):
        data = b""
        while more := conn.recv(100):
            data += more
        conn.sendall(b"got %d" % len(data))

    conn = forward(agent, serve(listens_then_talks).port)
    conn.send(codec.STDIN, b"12345")
    conn.send(codec.EOF)
    result = conn.result()
    assert result.stdout == b"got 5" and result.code == 0


def test_connect_reaches_ipv6(agent, serve):
    conn = forward(agent, serve(echo, socket.AF_INET6).port, host="::1")
    conn.send(codec.STDIN, b"six")
    conn.send(codec.EOF)
    assert conn.result().stdout == b"six"


class UnixServer(Server):
    def __init__(self, serve, path, backlog=8):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(backlog)
        self.serve = serve
        self.ended = []


def connect_path(agent, path):
    conn = agent.connect()
    conn.send(codec.CONNECT, {"path": str(path)})
    return conn


def test_connect_reaches_a_unix_socket_by_its_path(agent, tmp_path):
    server = UnixServer(echo, tmp_path / "socket")
    threading.Thread(target=server._loop, daemon=True).start()
    conn = connect_path(agent, tmp_path / "socket")
    assert conn.expect(codec.STATUS).json() == {"event": "connected"}
    wait_until(lambda: [slot["command"] for slot in agent.status()["slots"] if slot["kind"] == "connect"] == [
        str(tmp_path / "socket")], message="it is shown")
    data = os.urandom(1 << 20)
    stream = codec.encode(codec.STDIN, data) + codec.encode(codec.EOF)
    assert conn.send_reading(stream) == len(stream)
    result = conn.result()
    assert result.code == 0 and result.stdout == data
    assert result.frames[-2] == (codec.STDOUT, b""), "the guest's half-close"
    server.close()


def test_connect_waits_for_a_unix_socket_whose_queue_is_full(agent, tmp_path):
    server = UnixServer(echo, tmp_path / "socket", backlog=0)
    others = []
    for _ in range(8):
        others.append(socket.socket(socket.AF_UNIX))
        others[-1].setblocking(False)
        if others[-1].connect_ex(str(tmp_path / "socket")) == errno.EAGAIN:
            break
    assert others[-1].connect_ex(str(tmp_path / "socket")) == errno.EAGAIN
    gone = connect_path(agent, tmp_path / "socket")
    conn = connect_path(agent, tmp_path / "socket")
    wait_until(lambda: agent.status()["workers"]["exec"] == 2, message="both wait")
    gone.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 1, message="one has gone")
    threading.Thread(target=server._loop, daemon=True).start()
    assert conn.expect(codec.STATUS).json() == {"event": "connected"}
    conn.send(codec.EOF)
    assert conn.result().code == 0
    for other in others:
        other.close()
    server.close()


@pytest.mark.parametrize("kind", ["nothing", "file", "datagram", "left"])
def test_connect_to_a_path_where_nobody_listens_is_exit_1_with_words(agent, tmp_path, kind):
    path = tmp_path / "socket"
    if kind == "file":
        path.touch()
    if kind in ("datagram", "left"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM)
        sock.bind(str(path))
    result = connect_path(agent, path).result()
    assert result.code == 1 and str(path) in result.stderr.decode() and not result.statuses


def test_connect_to_where_nobody_listens_is_exit_1_with_words(agent):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    result = forward(agent, sock.getsockname()[1]).result()
    sock.close()
    assert result.code == 1 and result.stderr and not result.statuses


@pytest.mark.parametrize("payload", BAD_JSON + [
    b"{}", b'{"port":0}', b'{"port":65536}', b'{"port":"80"}', b'{"port":80,"host":"localhost"}',
    b'{"port":80,"host":""}', b'{"port":80,"host":"1.2.3"}', b'{"port":80,"host":7}', b'{"path":"socket"}', b'{"path":""}',
    b'{"path":"/a","port":1}', b'{"path":"/%s"}' % (b"a" * 107)])
def test_connect_that_makes_no_sense_gets_words_and_an_exit(agent, payload):
    result = agent.request(codec.CONNECT, payload)
    assert result.code not in (0, None) and not result.statuses


def test_the_hosts_going_closes_the_tcp_connection(agent, serve):
    server = serve(echo)
    conn = forward(agent, server.port)
    conn.expect(codec.STATUS)
    conn.close()
    wait_until(lambda: server.ended, message="the server sees the end")


def leave(conn, agent):
    conn.close()


def kill_its_worker(conn, agent):
    kill_hard(*[p for p in agent.worker_pids()
                if b"connect" in open("/proc/%d/cmdline" % p, "rb").read()])
    assert conn.result(timeout=20).code == 125


@pytest.mark.kills_workers
@pytest.mark.parametrize("cut", [leave, kill_its_worker])
def test_a_transfer_that_is_cut_is_a_reset_for_the_server(agent, serve, cut):
    """An end in order would make a whole file of half of one."""
    server = serve(lambda conn: [None for _ in iter(lambda: conn.recv(65536), b"")])
    conn = forward(agent, server.port)
    conn.expect(codec.STATUS)
    conn.send(codec.STDIN, b"half of it")
    cut(conn, agent)
    wait_until(lambda: server.ended, 20, "the server sees the end")
    assert isinstance(server.ended[0], ConnectionResetError), server.ended


def test_an_end_that_can_not_be_passed_on_ends_it_in_words(start_agent, serve):
    """The server waits for it, and would for ever."""
    agent = start_agent("--workers=3", "--reserved=2")
    conn = forward(agent, serve(echo).port)
    conn.expect(codec.STATUS)
    with Fault(agent.worker_pids(), "shutdown", "error=ENOBUFS", 1):
        conn.send(codec.STDIN, b"ping")
        conn.read_output(b"ping")
        conn.send(codec.EOF)
        result = conn.result(timeout=20)
    assert result.code == 1 and "No buffer space" in result.text, result


def test_the_servers_reset_ends_it(agent, serve):
    def reset(conn):
        conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    conn = forward(agent, serve(reset).port)
    conn.expect(codec.STATUS)
    conn.send(codec.STDIN, b"x" * 100)
    assert conn.result().exit is not None


def test_a_host_that_does_not_read_holds_the_server_not_the_agent(agent, serve):
    def flood(conn):
        for _ in range(20):
            conn.sendall(bytes(1024 * 1024))

    conn = forward(agent, serve(flood).port)
    time.sleep(1)
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    conn.send(codec.EOF)
    result = conn.result()
    assert len(result.stdout) == 20 * 1024 * 1024 and result.code == 0


def test_eight_connections_side_by_side(start_agent, serve):
    agent = start_agent("--workers=16")
    server = serve(echo)

    def one(i):
        def call():
            data = os.urandom(1000) * 1000
            conn = forward(agent, server.port)
            conn.send_reading(codec.encode(codec.STDIN, data) + codec.encode(codec.EOF))
            result = conn.result()
            assert result.stdout == data and result.code == 0, i
        return call

    together([one(i) for i in range(8)])


# ---- RESTORED ---------------------------------------------------------------------


def restored(agent, value):
    result = agent.request(codec.RESTORED, value)
    return result, result.event("restored")


def test_restored_sets_clock_and_entropy_in_one_round_trip(agent):
    now = time.time_ns()
    with Trace(agent.worker_pids(), "clock_settime") as trace:
        result, told = restored(agent, {"unix_ns": now, "entropy": codec.base64_text(os.urandom(64))})
    assert times_set(trace) == [divmod(now, 10**9)]
    assert result.code == 0 and told["errors"] == []
    for name in ("clock_us", "entropy_us", "net_us", "total_us"):
        assert isinstance(told[name], int) and told[name] >= 0
    assert [f.type for f in result.frames] == [codec.STATUS, codec.EXIT]


def test_restored_with_nothing_to_do_does_nothing(agent):
    result, told = restored(agent, {})
    assert result.code == 0 and told["errors"] == []


# Of each step a request that can't be carried out, besides those of the network that
# would be: this is the machine's own.
CLOCKS = [None, "now", 1.5, 2**63, True, []]
ENTROPIES = [5, "***", {}, "YQ", None]
NETS = [[], None, {}, {"ip": "x", "netmask": "y", "gateway": "z"}, {"ip": "10.0.0.1"}]


@pytest.mark.parametrize("bad", [("unix_ns", v) for v in CLOCKS] + [("entropy", v) for v in ENTROPIES] +
                         [("net", v) for v in NETS])
def test_restored_does_the_other_steps_where_one_makes_no_sense(agent, bad):
    good = {"unix_ns": time.time_ns(), "entropy": codec.base64_text(b"r" * 32)}
    result, told = restored(agent, {**good, bad[0]: bad[1]})
    step = {"unix_ns": "clock", "entropy": "entropy", "net": "net"}[bad[0]]
    assert result.code == -1 and len(told["errors"]) == 1
    assert told["errors"][0].startswith(step + ": ")
    assert told[step + "_us"] == 0
    for other in {"clock", "entropy"} - {step}:
        assert told[other + "_us"] > 0


def test_restored_tells_of_every_step_that_failed(agent):
    result, told = restored(agent, {"unix_ns": -10**18, "entropy": "*", "net": {}})
    assert result.code == -1
    assert [e.split(":")[0] for e in told["errors"]] == ["clock", "entropy", "net"]


@pytest.mark.parametrize("payload", BAD_JSON + [
    b'{"unix_ns":"now"}', b'{"unix_ns":1.5}', b'{"entropy":5}', b'{"net":[]}', b'{"entropy":"***"}'])
def test_restored_that_cannot_be_read_is_exit_minus_1(agent, payload):
    offset = time.time() - time.monotonic()
    before = agent.status()["sessions"]["bad_requests"]
    assert agent.request(codec.RESTORED, payload).code == -1
    assert agent.status()["sessions"]["bad_requests"] == before + 1
    # By a little another test may have set it, which runs at the same time.
    assert abs(time.time() - time.monotonic() - offset) < 60


@pytest.mark.parametrize("number", [37, 38, 39, signal.SIGUSR2])
def test_signals_that_end_a_guest_mean_nothing_to_a_service(start_agent, number):
    agent = start_agent("--workers=3")
    workers = agent.worker_pids()
    for pid in [agent.pid, *workers]:
        os.kill(pid, number)
    os.kill(agent.pid, signal.SIGUSR1)
    wait_until(lambda: "supervisor: scoreboard: " in agent.log(), message="the signal that came later was seen")
    assert agent.run(["true"]).code == 0
    assert agent.worker_pids() == workers


# ---- SHUTDOWN, as a service ----------------------------------------------------------


@pytest.mark.ends_agent
@pytest.mark.parametrize("action", ["reboot", "poweroff", "halt", "auto", None])
def test_shutdown_stops_the_sessions_answers_and_exits(start_agent, action):
    agent = start_agent("--workers=5")
    workers = agent.worker_pids()
    conn = agent.start(["sh", "-c", "trap 'echo term; exit 3' TERM; echo $$; while :; do sleep 0.05; done"], report=True)
    family = births([*workers, int(conn.read_output(b"\n"))])
    value = {"grace_seconds": 5}
    if action:
        value["action"] = action
    answer = agent.request(codec.SHUTDOWN, value)
    result = conn.result(timeout=20)
    assert answer.code == 0, answer
    assert result.code == 3 and result.stdout.endswith(b"term\n")
    assert result.event("exited")["reason"] == "shutdown"
    assert agent.process.wait(20) == 0
    assert not still_running(family)


@pytest.mark.ends_agent
@pytest.mark.parametrize("action", ["reboot", "poweroff", "halt", "auto"])
def test_shutdown_never_ends_the_machine_of_who_listens_on_a_unix_socket(start_agent, tmp_path, action):
    """Its programs are planted where the agent would find them first; test_service.py, in a VM, has
    them run."""
    for name in ("reboot", "poweroff", "halt"):
        planted = tmp_path / name
        planted.write_text(f"#!/bin/sh\n: >{tmp_path}/ran\n")
        planted.chmod(0o755)
    agent = start_agent("--workers=3", "--on-shutdown=guest", env={"PATH": str(tmp_path)})
    assert agent.request(codec.SHUTDOWN, {"action": action}).code == 0
    assert agent.process.wait(20) == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.ends_agent
def test_shutdown_kills_what_outlives_its_grace(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["sh", "-c", "trap '' TERM HUP; echo $$; while :; do sleep 0.05; done"])
    pid = int(conn.read_output(b"\n"))
    begun = time.monotonic()
    agent.request(codec.SHUTDOWN, {"action": "reboot", "grace_seconds": 1})
    assert agent.process.wait(20) == 0
    assert time.monotonic() - begun > 0.9 and not is_running(pid)
    conn.result()


@pytest.mark.ends_agent
def test_of_several_shutdowns_at_once_all_are_answered(start_agent):
    agent = start_agent("--workers=6")
    with durable.Frozen(agent.pid):
        asking = [agent.connect() for _ in range(3)]
        for conn in asking:
            conn.send(codec.SHUTDOWN, {"grace_seconds": 5})
        wait_until(lambda: [slot["kind"] for slot in agent.status()["slots"]].count("shutdown") == 3,
                   message="all have asked")
    assert [conn.result().code for conn in asking] == [0, 0, 0]
    assert agent.process.wait(20) == 0


@pytest.mark.ends_agent
def test_who_asked_for_the_end_sleeps_until_it_comes(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["sh", "-c", "trap 'sleep 1; exit 3' TERM; echo up; while :; do sleep 0.05; done"])
    conn.read_output(b"up\n")
    with Trace(agent.worker_pids(), "poll,ppoll") as trace:
        assert agent.request(codec.SHUTDOWN, {"grace_seconds": 20}).code == 0
        assert conn.result(timeout=20).code == 3
        assert agent.process.wait(20) == 0
    waits = [call for calls in trace.calls().values() for call in calls if "poll(NULL, 0" in call]
    assert waits and not any(map(timed_out, waits)), waits


@pytest.mark.ends_agent
@pytest.mark.kills_workers
def test_shutdown_works_though_who_was_asked_first_died_of_it(start_agent):
    """Between its word and its ring at the supervisor's."""
    agent = start_agent("--workers=4")
    with Fault(agent.worker_pids(), "write", "signal=SIGKILL"):
        assert agent.request(codec.SHUTDOWN, {"grace_seconds": 5}).code != 0
    assert agent.is_alive()
    assert agent.request(codec.SHUTDOWN, {"grace_seconds": 5}).code == 0
    assert agent.process.wait(20) == 0


@pytest.mark.parametrize("payload", BAD_JSON + [
    b'{"action":"explode"}', b'{"action":1}', b'{"grace_seconds":-1}', b'{"grace_seconds":"5"}',
    b'{"grace_seconds":4294967296}'])
def test_shutdown_that_cannot_be_read_is_exit_minus_1_and_nothing_stops(agent, payload):
    control_failed(agent.request(codec.SHUTDOWN, payload))
    assert agent.run(["echo", "x"]).stdout == b"x\n"
