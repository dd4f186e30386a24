# SPDX-License-Identifier: MIT
"""unix:PATH: the host side of a vsock device in one socket, and who may connect."""

import os
import re
import socket
import stat
import subprocess
import sys

import pytest

import codec
from agent import Connection, Refused, agent_binary, wait_until

TRUE = codec.encode(codec.START, codec.start(["echo", "x"])) + codec.encode(codec.EOF)


def closed_silently(sock, timeout=20):
    """The agent closes without a byte."""
    sock.settimeout(timeout)
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True
    finally:
        sock.close()


def test_the_handshake_is_answered_with_ok_and_a_number(agent):
    sock = agent.dial()
    sock.sendall(b"CONNECT 52\n")
    assert re.fullmatch(rb"OK [0-9]+\n", sock.recv(100))
    sock.close()


def test_both_ports_are_in_one_socket(agent):
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    assert agent.read_file("/etc/passwd").startswith(b"root:")


def test_the_handshake_may_come_byte_by_byte(agent):
    sock = agent.dial()
    for byte in b"CONNECT 52\n":
        sock.sendall(bytes([byte]))
    assert sock.recv(100).startswith(b"OK ")
    sock.sendall(TRUE)
    assert Connection(sock).result().stdout == b"x\n"


def test_handshake_and_request_may_come_in_one_write(agent):
    sock = agent.dial()
    sock.sendall(b"CONNECT 52\n" + TRUE)
    line = b""
    while not line.endswith(b"\n"):
        line += sock.recv(1)
    assert line.startswith(b"OK ")
    assert Connection(sock).result().stdout == b"x\n"


@pytest.mark.parametrize("line", [
    b"connect 52\n", b"Connect 52\n", b" CONNECT 52\n", b"\r\n\tCONNECT 52\n", b"CONNECT   52   \n", b"CONNECT\t52\n",
    b"CONNECT 52\r\n", b"CONNECT +52\n", b"CONNECT 052\n", b"CONNECT 52 and more words\n", b"CONNECT\n52\n",
    b"CONNECT 52".ljust(32)])
def test_the_handshake_is_taken_as_by_firecracker(agent, line):
    """In any case, with white space and words that mean nothing, up to 32 bytes."""
    sock = agent.dial()
    sock.sendall(line + TRUE)
    answer = b""
    while not answer.endswith(b"\n"):
        byte = sock.recv(1)
        assert byte, answer
        answer += byte
    assert re.fullmatch(rb"OK [0-9]+\n", answer)
    assert Connection(sock).result().stdout == b"x\n"


@pytest.mark.parametrize("port", [0, 1, 51, 54, 520, 65535, 4294967295])
def test_any_other_port_is_closed_without_an_answer(agent, port):
    sock = agent.dial()
    sock.sendall(b"CONNECT %d\n" % port)
    assert closed_silently(sock)


@pytest.mark.parametrize("line", [
    b"\n", b"CONNECT\n", b"CONNECT \n", b"CONNECT   \n", b"CONNECT x\n", b"CONNECT -52\n", b"CONNECT 52x\n",
    b"CONNECT ++52\n", b"CONNECT +\n", b"CONNECT 0x34\n", b"CONNECTED 52\n", b"52 CONNECT\n", b"CONNECT 5\0002\n",
    b"CONNECT 52 \xff\n", b"CONNECT 99999999999999999999\n", b"GET / HTTP/1.1\r\n\r\n", b"HELLO 52\n",
    b"a" * 64, b"CONNECT " + b"5" * 100, b"CONNECT " + b" " * 60 + b"52\n",
    b"\0" * 64, b"\xff\xfe", b"CONNECT 4294967348\n",
    codec.encode(codec.START, {"cmd": ["true"]})], ids=lambda l: repr(l[:20]))
def test_what_is_no_handshake_is_closed_without_an_answer(agent, line):
    sock = agent.dial()
    try:
        sock.sendall(line)
    except BrokenPipeError:
        pass
    if len(line) < len(b"CONNECT 0\n"):
        # Firecracker's device, too, looks for no end of the line before that.
        sock.shutdown(socket.SHUT_WR)
    assert closed_silently(sock)


def test_a_silent_dial_does_not_hold_a_worker_for_ever(start_agent):
    agent = start_agent("--workers=2", "--first-frame-timeout=1")
    for text in (b"", b"CONN"):
        sock = agent.dial()
        sock.sendall(text)
        assert closed_silently(sock, 6)


def test_the_socket_is_for_its_owner_alone(agent):
    mode = os.stat(agent.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & 0o077 == 0


CLIENT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(20)
try:
    s.sendall(b"CONNECT 52\\n")
    print("got", s.recv(100))
except (BrokenPipeError, ConnectionResetError):
    print("got", b"")
"""


def test_another_uid_may_not_connect(public_dir, start_agent):
    agent = start_agent("--workers=2", path=str(public_dir / "sock"))
    os.chmod(agent.path, 0o777)
    out = subprocess.run([sys.executable, "-c", CLIENT, agent.path], capture_output=True, timeout=20, check=True)
    assert out.stdout == b"got b''\n", out
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_a_stale_socket_is_replaced(tmp_path, start_agent):
    path = str(tmp_path / "s")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    agent = start_agent("--workers=2", path=path)
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def run_agent(*options):
    return subprocess.run([agent_binary(), *options], capture_output=True, timeout=20,
                          stdin=subprocess.DEVNULL, check=False)


def test_a_live_socket_is_an_error_and_stays_with_its_owner(agent):
    done = run_agent("--listen=unix:" + agent.path, "--workers=2")
    assert done.returncode != 0 and agent.path.encode() in done.stderr, done
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_a_file_at_the_sockets_path_is_an_error_and_is_kept(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    done = run_agent("--listen=unix:%s" % path, "--workers=2")
    assert done.returncode != 0 and str(path).encode() in done.stderr, done
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_is_an_error_in_words():
    done = run_agent("--listen=unix:/tmp/" + "x" * 200, "--workers=2")
    assert done.returncode != 0 and done.stderr


@pytest.mark.parametrize("option", [
    "--no-such-option", "--workers=x", "--workers=-1", "--workers=", "--workers=99999999",
    "--listen=tcp:80", "--listen=", "--log=loud", "--exec-port=x", "--peer=everybody", "stray"])
def test_a_wrong_option_is_an_error_with_status_2(option, tmp_path):
    done = run_agent("--listen=unix:%s/s" % tmp_path, option)
    assert done.returncode == 2 and done.stderr, done


def test_help_and_version_are_told_on_standard_output():
    for option, word in (("--help", b"--workers"), ("--version", b"vmm-guest-agent")):
        done = run_agent(option)
        assert done.returncode == 0 and word in done.stdout, done


def test_the_ports_can_be_chosen(start_agent):
    agent = start_agent("--workers=2", "--exec-port=1052", "--file-port=1053", ready="socket")
    wait_until(lambda: "ready" in agent.log(), 20, "ready")
    conn = agent.connect(1052)
    conn.send_raw(TRUE)
    assert conn.result().stdout == b"x\n"
    conn = agent.connect(1053)
    conn.send(codec.FILE_READ_REQ, {"path": "/etc/passwd"})
    assert conn.result().frames[-1].type == codec.FILE_DONE
    with pytest.raises(Refused):
        agent.connect(52)


def test_two_agents_side_by_side(start_agent):
    one, two = start_agent("--workers=2"), start_agent("--workers=2")
    assert one.run(["echo", "1"]).stdout == b"1\n" and two.run(["echo", "2"]).stdout == b"2\n"
