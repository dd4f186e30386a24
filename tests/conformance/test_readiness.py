"""Who is told that the agent serves, and that it stops."""

import os
import shutil
import socket
import subprocess

import pytest

from agent import agent_binary, children, kill_hard


@pytest.fixture
def manager():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
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
        strace.wait(10)


def test_ready_is_said_once_a_first_worker_is_there(start_with_forks, manager):
    path = start_with_forks(1)
    assert manager.recv(100) == b"READY=1"
    with socket.socket(socket.AF_UNIX) as host:
        host.settimeout(10)
        host.connect(path)
        host.sendall(b"CONNECT 52\n")
        assert host.recv(100).startswith(b"OK ")


def test_ready_is_not_said_before_there_is_a_worker(start_with_forks, manager):
    start_with_forks(0)
    manager.settimeout(1)
    with pytest.raises(socket.timeout):
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
