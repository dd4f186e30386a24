# SPDX-License-Identifier: MIT
"""Who is told that the agent serves, and that it stops."""

import contextlib
import os
import shutil
import socket
import subprocess

import pytest

from agent import TimedOut, agent_binary, children, kill_hard


@pytest.fixture
def manager():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        yield sock


def with_socket(name):
    return dict(os.environ, NOTIFY_SOCKET=name)


@pytest.mark.ends_agent
@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_service_manager_is_told_when_we_serve_and_when_we_stop(start_agent, manager, tmp_path, kind):
    name = str(tmp_path / "notify") if kind == "path" else "@vga-notify-%d" % os.getpid()
    manager.bind(name.replace("@", "\0"))
    agent = start_agent("--workers=2", env=with_socket(name))
    assert manager.recv(100) == b"READY=1"
    agent.terminate()
    assert manager.recv(100) == b"STOPPING=1"


def test_service_manager_is_told_once_it_can_connect(start_agent, manager, tmp_path):
    name = str(tmp_path / "notify")
    manager.bind(name)
    agent = start_agent("--workers=2", env=with_socket(name), ready=None)
    assert manager.recv(100) == b"READY=1"
    assert agent.run(["true"]).code == 0


@pytest.fixture
def start_with_forks(manager, tmp_path):
    """Starts an agent that can fork only so many workers."""
    assert shutil.which("strace"), "no strace(1)"
    started = []

    def start(count):
        name, path = str(tmp_path / "notify"), str(tmp_path / "agent")
        manager.bind(name)
        started.append(subprocess.Popen(
            ["strace", "-qq", "-o", "/dev/null", "-e", "trace=clone",
             "-e", "inject=clone:error=EAGAIN:when=%d+" % (count + 1),
             agent_binary(), "--workers=4", "--listen=unix:" + path],
            stderr=subprocess.DEVNULL, env=with_socket(name)))
        return path

    yield start
    for strace in started:
        kill_hard(*children(strace.pid))
        strace.wait(20)


def test_ready_is_said_once_a_first_worker_is_there(start_with_forks, manager):
    path = start_with_forks(1)
    assert manager.recv(100) == b"READY=1"
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(20)
        host.connect(path)
        host.sendall(b"CONNECT 52\n")
        assert host.recv(100).startswith(b"OK ")


def test_ready_is_not_said_before_there_is_a_worker(start_with_forks, manager):
    start_with_forks(0)
    manager.settimeout(1)
    with pytest.raises(TimedOut):
        manager.recv(100)


@pytest.mark.parametrize("name", ["/nobody/listens", "@vga-nobody", "neither", "", "/" + "x" * 200])
def test_a_service_manager_that_is_not_there_stops_nothing(start_agent, name):
    agent = start_agent("--workers=2", env=with_socket(name))
    assert agent.run(["true"]).code == 0


def test_a_service_manager_that_does_not_read_holds_up_nothing(start_agent, manager, tmp_path):
    name = str(tmp_path / "notify")
    manager.bind(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x", name)
        agent = start_agent("--workers=2", env=with_socket(name))
        assert agent.run(["true"]).code == 0


def test_sessions_do_not_hear_of_the_service_manager(start_agent, manager, tmp_path):
    name = str(tmp_path / "notify")
    manager.bind(name)
    agent = start_agent("--workers=2", env=with_socket(name))
    assert b"NOTIFY_SOCKET" not in agent.run(["env"]).stdout


def test_a_host_that_can_not_be_told_stops_nothing(start_agent):
    agent = start_agent("--workers=2", "--log=debug", "--notify=vsock:1:4000000000")
    assert agent.run(["true"]).code == 0
    agent.wait_log("READY=1 to vsock:1:4000000000: ")


# ---- beside a Unix socket, as a vsock device has the host's ports ---------------


@contextlib.contextmanager
def listening(path, backlog=8):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen(backlog)
        sock.settimeout(20)
        yield sock


def all_of_one(sock):
    """What came on the next connection, to its end."""
    conn, _ = sock.accept()
    with conn:
        conn.settimeout(20)
        text = b""
        while data := conn.recv(100):
            text += data
        return text


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "vsock")


def test_the_host_is_told_one_byte_at_the_sockets_name_and_port(start_agent, path):
    with listening(path + "_51") as host:
        start_agent("--workers=2", path=path)
        assert all_of_one(host) == b"R"


def test_the_host_can_be_served_when_it_is_told(start_agent, path):
    with listening(path + "_51") as host:
        agent = start_agent("--workers=2", path=path, ready=None)
        all_of_one(host)
        assert agent.run(["true"]).code == 0


def test_the_hosts_port_can_be_chosen_and_another_be_told_too(start_agent, path):
    with listening(path + "_1051") as ready, listening(path + "_7000") as notify:
        start_agent("--workers=2", "--ready-port=1051", "--notify=vsock:2:7000", path=path)
        assert all_of_one(ready) == b"R"
        assert all_of_one(notify) == b"READY=1"


def test_a_host_that_wants_no_word_gets_none(start_agent, path):
    with listening(path + "_51") as host:
        agent = start_agent("--workers=2", "--log=debug", "--ready-port=0", "--notify=vsock:2:51", path=path)
        assert all_of_one(host) == b"READY=1"
        assert " R to " not in agent.log()


def test_nobody_beside_the_socket_is_no_error(start_agent, path):
    agent = start_agent("--workers=2", "--log=debug", path=path)
    agent.wait_log("R to vsock:2:51: No such file")
    assert agent.run(["true"]).code == 0


def test_a_socket_that_nobody_listens_on_is_no_error(start_agent, path):
    with listening(path + "_51"):
        pass
    agent = start_agent("--workers=2", "--log=debug", path=path)
    agent.wait_log("R to vsock:2:51: Connection refused")
    assert agent.run(["true"]).code == 0


def test_a_host_that_accepts_nobody_holds_up_nothing(start_agent, path):
    with listening(path + "_51", backlog=0), contextlib.ExitStack() as stack:
        with pytest.raises(BlockingIOError):
            while True:
                filler = stack.enter_context(socket.socket(socket.AF_UNIX))
                filler.setblocking(False)
                filler.connect(path + "_51")
        agent = start_agent("--workers=2", "--log=debug", path=path)
        agent.wait_log("R to vsock:2:51: Resource temporarily unavailable")
        assert agent.run(["true"]).code == 0


def test_the_socket_of_another_user_is_left_alone(start_agent, path):
    with listening(path + "_51") as host:
        os.chown(path + "_51", 65534, 65534)
        agent = start_agent("--workers=2", "--log=debug", path=path)
        agent.wait_log("R to vsock:2:51: Operation not permitted")
        host.settimeout(0)
        with pytest.raises(BlockingIOError):
            host.accept()


def test_another_user_who_listens_on_our_socket_is_told_nothing(start_agent, path):
    with socket.socket(socket.AF_UNIX) as host:
        host.bind(path + "_51")
        os.seteuid(65534)
        try:
            host.listen(8)
        finally:
            os.seteuid(0)
        host.settimeout(20)
        agent = start_agent("--workers=2", "--log=debug", path=path)
        agent.wait_log("R to vsock:2:51: Operation not permitted")
        assert all_of_one(host) == b""


def test_a_link_beside_the_socket_is_not_followed(start_agent, path):
    with listening(path + "_elsewhere"):
        os.symlink(path + "_elsewhere", path + "_51")
        agent = start_agent("--workers=2", "--log=debug", path=path)
        agent.wait_log("R to vsock:2:51: Socket operation on non-socket")


def test_a_name_beside_the_socket_that_is_too_long_is_no_error(start_agent, tmp_path):
    path = str(tmp_path / "s")
    path += "x" * (107 - len(path))
    agent = start_agent("--workers=2", "--log=debug", path=path)
    agent.wait_log("R to vsock:2:51: File name too long")
    assert agent.run(["true"]).code == 0
