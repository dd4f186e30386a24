# SPDX-License-Identifier: MIT
"""A kernel that has no memory for a call is no host that has gone; and what goes wrong
with a program's own streams is said."""

import os
import signal
import socket

import pytest

import codec
from agent import wait_until
from faults import Fault

OPTIONS = ("--workers=3", "--reserved=2", "--stall-timeout=20")
NO_MEMORY = ("ENOMEM", "ENOBUFS")

BYTES = bytes(i * 7 & 0xff for i in range(300000))


@pytest.fixture
def agent(start_agent):
    return start_agent(*OPTIONS)


def waiting(agent, script, **members):
    """A session that begins SCRIPT when it reads a line; its worker waits for nothing else."""
    conn = agent.start(["sh", "-c", "echo up; read go; " + script], **members)
    conn.read_output(b"\n")
    return conn


def go(agent, conn, syscall, error, when, line=b"go\n"):
    with Fault(agent.worker_pids(), syscall, "error=" + error, when):
        conn.send(codec.STDIN, line)
        return conn.result(timeout=30)


@pytest.mark.parametrize("error", NO_MEMORY)
def test_output_that_finds_no_memory_is_sent_later(agent, tmp_path, error):
    path = tmp_path / "bytes"
    path.write_bytes(BYTES)
    conn = waiting(agent, "cat %s; exit 7" % path)
    result = go(agent, conn, "sendto", error, "1..6")
    assert result.stdout == b"up\n" + BYTES and result.code == 7, result


@pytest.mark.parametrize("error", NO_MEMORY)
def test_an_exit_that_finds_no_memory_is_sent_later(agent, error):
    conn = waiting(agent, "exit 7")
    assert go(agent, conn, "sendmsg", error, "1..6").code == 7


@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_frame_that_finds_no_memory_is_read_later(agent, error):
    conn = waiting(agent, "cat; exit 7")
    conn.send(codec.STDIN, b"go\n")
    with Fault(agent.worker_pids(), "recvfrom", "error=" + error, "1..6"):
        conn.send(codec.STDIN, b"more\n")
        conn.send(codec.EOF)
        result = conn.result()
    assert result.stdout == b"up\nmore\n" and result.code == 7, result


@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_first_frame_that_finds_no_memory_is_read_later(agent, error):
    conn = agent.connect()
    with Fault(agent.worker_pids(), "recvfrom", "error=" + error, "1..6"):
        conn.send(codec.START, codec.start(["sh", "-c", "exit 7"]))
        assert conn.result().code == 7


@pytest.mark.parametrize("syscall", ["sendfile", "sendmsg"])
@pytest.mark.parametrize("error", NO_MEMORY)
def test_a_file_that_finds_no_memory_is_sent_later(agent, tmp_path, error, syscall):
    path = tmp_path / "bytes"
    path.write_bytes(BYTES)
    conn = agent.connect(codec.FILE_PORT)
    with Fault(agent.worker_pids(), syscall, "error=" + error, "1..6"):
        conn.send(codec.FILE_READ_REQ, {"path": str(path)})
        frames = conn.result().frames
    assert frames[-1].type == codec.FILE_DONE, frames
    assert b"".join(f.payload for f in frames[:-1]) == BYTES


def test_memory_that_never_comes_ends_the_session_after_the_stall_timeout(start_agent):
    agent = start_agent("--workers=3", "--reserved=2", "--stall-timeout=1")
    conn = waiting(agent, "echo x; exec sleep 60")
    result = go(agent, conn, "sendto", "ENOMEM", "1+")
    assert result.exit is None and not result.stderr
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, 20, "the worker is idle")


# ---- the program's own streams -------------------------------------------------------


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_output_that_is_read_without_memory_is_read_later(agent, tty):
    conn = waiting(agent, "echo more; exit 7", tty=tty)
    result = go(agent, conn, "read", "ENOMEM", "1..6")
    assert b"more" in result.stdout and result.code == 7, result


def test_input_that_is_written_without_memory_is_written_later(agent):
    conn = waiting(agent, 'echo "$go"; exit 7')
    result = go(agent, conn, "write", "ENOMEM", "1..6", b"typed\n")
    assert result.stdout == b"up\ntyped\n" and result.code == 7, result


def test_output_that_can_not_be_read_is_no_end_as_if_all_were_well(agent):
    conn = waiting(agent, "echo more; exit 0")
    result = go(agent, conn, "read", "EIO", 1)
    assert result.code == 125 and "Input/output error" in result.text, result


@pytest.mark.ends_agent
def test_output_that_can_not_be_read_during_a_shutdown_is_no_end_as_if_all_were_well(agent):
    conn = agent.start(["sh", "-c", "trap 'echo last; exit 0' TERM; echo up; while :; do sleep 0.1; done"],
                       report=True)
    conn.read_output(b"\n")
    with Fault(agent.worker_pids(), "read", "error=EIO", 1):
        agent.terminate()
        result = conn.result(timeout=30)
    assert result.code == 125 and "Input/output error" in result.text, result
    assert result.event("exited")["reason"] == "shutdown"


def test_a_program_whose_output_can_not_be_read_is_not_left_to_block(agent):
    conn = waiting(agent, "yes | head -c 3000000; echo done >&2; exec sleep 60")
    result = go(agent, conn, "read", "EIO", 1)
    assert result.code == 125 and "Input/output error" in result.text, result


def test_input_that_can_not_be_written_is_told(agent):
    conn = waiting(agent, "echo got; exec sleep 60")
    result = go(agent, conn, "write", "EIO", 1)
    assert result.code == 125 and "Input/output error" in result.text, result


def test_memory_for_a_pipe_that_never_comes_is_told(start_agent):
    agent = start_agent("--workers=3", "--reserved=2", "--stall-timeout=1")
    conn = waiting(agent, "echo x; exec sleep 60")
    result = go(agent, conn, "read", "ENOMEM", "1+")
    assert result.code == 125 and "Cannot allocate memory" in result.text, result


# ---- the file port ---------------------------------------------------------------------


@pytest.mark.parametrize("kind, syscall", [(codec.FILE_LIST_REQ, "getdents64"), (codec.FILE_READ_REQ, "read")])
def test_epipe_of_a_file_system_is_no_host_that_has_gone(agent, tmp_path, kind, syscall):
    """A file system in user space may give any errno."""
    path = tmp_path if kind == codec.FILE_LIST_REQ else tmp_path / "file"
    (tmp_path / "file").write_bytes(b"content")
    conn = agent.connect(codec.FILE_PORT)
    with Fault(agent.worker_pids(), syscall, "error=EPIPE", "1+"):
        conn.send(kind, {"path": str(path)})
        frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_ERR], frames
    assert frames[0].payload.startswith(b"EPIPE: "), frames


def test_a_guest_that_can_not_be_told_of_the_hosts_end_is_asked_for_all_that_there_is(agent):
    """It waits for that end, and neither says more nor closes: what wakes the worker is the last."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        conn = agent.connect()
        conn.send(codec.CONNECT, {"port": server.getsockname()[1]})
        assert conn.expect(codec.STATUS).json() == {"event": "connected"}
        workers = agent.worker_pids()
        with server.accept()[0] as guest, Fault(workers, "shutdown", "error=ENOTCONN"):
            for pid in workers:
                os.kill(pid, signal.SIGSTOP)
            guest.sendall(b"said")
            conn.send(codec.EOF)
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
            result = conn.result()
    assert result.stdout == b"said" and result.code == 1 and result.stderr, result
