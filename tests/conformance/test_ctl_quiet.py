# SPDX-License-Identifier: MIT
"""vmm-guest-ctl where the agent takes the connection and does not answer."""

import threading

import pytest

import codec
from client import Ctl, FakeAgent

EVERY_REQUEST = [
    ("exec", "true"), ("exec", "-d", "true"), ("shell",), ("attach", "x"), ("logs", "x"), ("sessions",),
    ("forget", "x"), ("kill", "1"), ("ps",), ("status",), ("cat", "/x"), ("ls", "/x"), ("stat", "/x"),
    ("mkdir", "/x"), ("mv", "/x", "/y"), ("rm", "/x"), ("watch", "/x"), ("cp", "vm:/x", "-"),
    ("cp", "/etc/passwd", "vm:/x"), ("quiesce",), ("thaw",), ("clock-sync",), ("shutdown",), ("restored",),
    ("doctor",), ("top",), ("wait",), ("forward", "--stdio", "80"), ("ls", "-R", "/x"),
    ("cp", "-r", "vm:/x", "/nowhere/x"), ("cp", "-r", "/etc/default", "vm:/x"), ("quiesce", "--", "true"),
]


def silent(peer):
    """Takes all that comes, and says nothing."""
    while peer.recv() is not None:
        pass


def test_every_command_is_among_the_requests():
    words = Ctl("/nowhere").ok("help", "--words").decode().splitlines()
    commands = {line.split("\t")[0] for line in words if line.split("\t")[1] == ""}
    # Its time is its own, below.
    assert {args[0] for args in EVERY_REQUEST} == commands - {"wait-port"}


@pytest.mark.parametrize("args", EVERY_REQUEST, ids=lambda args: " ".join(args))
def test_wait_ends_every_request_that_is_not_answered(args):
    with FakeAgent(silent) as fake:
        done = Ctl(fake.path).run("--wait", "0.2", *args)
        assert done.code not in (0, 2) and "did not answer" in done.text, done


def test_wait_ends_where_the_device_does_not_answer_either():
    with FakeAgent(silent, handshake=b"") as fake:
        done = Ctl(fake.path).run("--wait", "0.2", "status")
        assert done.code == 1 and "did not answer" in done.text, done


def test_wait_does_not_end_what_has_begun_to_answer(agent):
    ctl = Ctl(agent.path)
    assert ctl.ok("--wait", "4", "exec", "sh", "-c", "sleep 5; echo late") == b"late\n"


def test_wait_needs_a_time():
    for wrong in "0", "x", "-1", "1w":
        done = Ctl("/nowhere").run("--wait", wrong, "status")
        assert done.code == 2 and "--wait: '%s' is not" % wrong in done.text, done


def test_that_there_is_no_answer_yet_is_said_once_and_waited_for():
    says = threading.Event()

    def script(peer):
        assert peer.expect(codec.START).json()["report"] is True
        assert says.wait(60)
        peer.send(codec.STATUS, b'{"event":"started","pid":7}')
        peer.send(codec.STDOUT, b"data")
        peer.exit(0)
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("exec", "true") as process:
            line = process.stderr.readline()
            says.set()
            out, err = process.communicate(timeout=60)
        assert line.startswith(b"vmm-guest-ctl: connected, no answer yet: "), line
        assert process.returncode == 0 and out == b"data" and err == b""


def test_wait_port_ends_at_its_own_time_whatever_the_agent_does():
    with FakeAgent(silent) as fake:
        done = Ctl(fake.path).run("wait-port", "80", "--timeout", "0.5")
        assert done.code == 1 and done.text.count("\n") == 1, done
        assert "port 80 is not known: the agent did not answer within 0.75 s" in done.text, done


def test_wait_port_takes_a_part_of_a_second(agent):
    done = Ctl(agent.path).run("wait-port", "1", "--timeout", "100ms")
    assert done.code == 1 and "not" in done.text, done


def test_a_slow_source_is_not_a_slow_agent():
    """Its pauses are longer than the agent may take."""
    def script(peer):
        peer.until(codec.FILE_DONE)
        peer.send(codec.FILE_ACK)

    def answer(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /x")
            return
        script(peer)
    with FakeAgent(answer) as fake:
        with Ctl(fake.path).start("--wait", "2", "cp", "-", "vm:/x", stdin=-1) as process:
            with pytest.raises(Exception):
                process.wait(3)
            process.communicate(b"data", timeout=60)
        assert process.returncode == 0
