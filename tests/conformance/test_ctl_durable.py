# SPDX-License-Identifier: MIT
"""vmm-guest-ctl and durable sessions, against the real agent: what a user sees of a
connection that breaks, of leaving and of coming back."""

import hashlib
import json
import os
import signal
import subprocess

import pytest

import durable
from agent import wait_until
from client import Ctl, Terminal
from relay import Relay

AGENT_OPTIONS = ("--workers=12", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path, env={"TERM": "xterm"})


@pytest.fixture
def relay(agent):
    with Relay(agent.path) as one:
        yield one


@pytest.fixture
def far(relay):
    """The client by a way that may break."""
    return Ctl(relay.path, env={"TERM": "xterm"})


def sh(script):
    return ("--", "/bin/sh", "-c", script)


def sessions(ctl):
    return {slot["name"]: slot for slot in map(json.loads, ctl.ok("sessions", "--json").splitlines())}


# ---- connections that break -----------------------------------------------------------


def test_64_mib_of_input_go_through_20_cuts(far, relay):
    data = os.urandom(MIB) * 64
    relay.cut_after(*((3 * i + 1) * MIB for i in range(20)))
    done = far.run("exec", "--durable", "--name", "hash", "-i", "sha256sum", input=data, timeout=120)
    assert done.code == 0 and relay.cuts == 20, done
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert done.text.count("the connection was lost") == 20 and done.text.count("\n") == 20


def test_output_is_one_stream_through_20_cuts(far, relay):
    """With wait no byte is dropped meanwhile."""
    expected = subprocess.check_output(["seq", "1", "2000000"])
    relay.cut_after(*(i * len(expected) // 22 for i in range(1, 21)), of="to_host")
    done = far.run("exec", "--durable=when-full=wait,buffer=64K", "seq", "1", "2000000", timeout=120)
    assert done.code == 0 and relay.cuts == 20 and done.stdout == expected
    assert "no longer there" not in done.text


def test_what_was_lost_without_us_is_told(far, relay, ctl):
    script = "echo before; read go; head -c 3000000 /dev/zero; echo; echo after"
    with far.start("exec", "--durable=buffer=64K", "--name", "x", "-i", *sh(script), stdin=-1) as process:
        assert process.stdout.readline() == b"before\n"
        relay.is_down = True
        relay.cut()
        assert b"coming back to 'x'" in process.stderr.readline()
        assert ctl.run("attach", "-i", "x", input=b"go\n").code == 0
        relay.is_down = False
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and out.endswith(b"\nafter\n") and 65536 <= len(out) < 3000000
    assert b"no longer there" in err


def test_a_client_that_was_killed_is_no_end(ctl):
    with ctl.start("exec", "--durable", "--name", "x", "-i", *sh("echo one; read a; echo $a; exit 5"), stdin=-1) as process:
        assert process.stdout.readline() == b"one\n"
        process.kill()
    assert ctl.run("attach", "-i", "x", input=b"two\n")[:2] == (5, b"one\ntwo\n")
    assert ctl.run("attach", "x")[:2] == (5, b"one\ntwo\n")
    assert sessions(ctl)["x"]["code"] == 5


def test_the_end_is_forgotten_once_it_was_told(ctl):
    assert ctl.run("exec", "--durable", "--name", "x", *sh("exit 3")).code == 3
    assert sessions(ctl) == {}


def test_another_agent_is_not_taken_for_the_one_that_ran_it(far, relay, start_agent):
    other = start_agent("--workers=4")
    with far.start("exec", "--durable", "--name", "x", "-i", *sh("echo one; read a"), stdin=-1) as process:
        assert process.stdout.readline() == b"one\n"
        relay.target = other.path
        relay.cut()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 125 and b"was started later" in err
    assert sessions(Ctl(other.path)) == {}


def test_what_was_forgotten_meanwhile_is_not_started_again(far, relay, ctl):
    with far.start("exec", "--durable", "--name", "x", "-i", *sh("echo one; read a"), stdin=-1) as process:
        assert process.stdout.readline() == b"one\n"
        relay.is_down = True
        relay.cut()
        assert ctl.ok("kill", "x", "KILL") == b""
        wait_until(lambda: not sessions(ctl)["x"]["running"], message="it ends")
        assert ctl.ok("forget", "x") == b""
        relay.is_down = False
        _, err = process.communicate(timeout=30)
    assert process.returncode == 125 and b"no longer there" in err
    assert sessions(ctl) == {}


# ---- names ------------------------------------------------------------------------------


def test_two_starts_by_one_name_run_once(ctl, tmp_path):
    script = "echo x >>%s; echo there; read a" % (tmp_path / "ran")
    with ctl.start("exec", "--durable", "--name", "x", "-i", *sh(script), stdin=-1) as process:
        assert process.stdout.readline() == b"there\n"
        second = ctl.run("exec", "--durable", "--name", "x", *sh(script))
        assert second.code == 125 and "EEXIST" in second.text and "running" in second.text
        process.communicate(b"\n", timeout=30)
    assert process.returncode == 0 and (tmp_path / "ran").read_text() == "x\n"


# ---- exec -d, logs, kill, forget ------------------------------------------------------------


def test_what_was_left_is_watched_killed_and_forgotten(ctl):
    name = ctl.ok("exec", "-d", *sh("echo out; echo err >&2; exec sleep 4711")).decode().strip()
    assert name.startswith("sh-")
    wait_until(lambda: sessions(ctl)[name]["offset"] == 8, message="it has put out its lines")
    assert ctl.run("logs", name) == (0, b"out\n", b"err\n")
    assert ctl.run("logs", "--tail", "0", name) == (0, b"", b"")
    with ctl.start("logs", "-f", name) as follower:
        assert follower.stdout.readline() == b"out\n"
        assert ctl.ok("kill", name) == b""
        assert follower.wait(30) == 0
    assert "ended" not in ctl.run("forget", name).text
    assert ctl.run("logs", name).code == 1 and ctl.run("kill", name).code == 1
    assert ctl.run("forget", name).code == 1


def test_a_program_that_can_not_start_is_not_left(ctl):
    done = ctl.run("exec", "-d", "no-such-program")
    assert done.code == 127 and done.stdout == b"" and "no-such-program" in done.text
    assert sessions(ctl) == {}


@pytest.mark.kills_workers
def test_what_a_lost_worker_had_written_can_still_be_had(agent, ctl):
    with ctl.start("exec", "--durable", "--name", "x", *sh("echo out; exec sleep 4713")) as process:
        assert process.stdout.readline() == b"out\n"
        os.kill(durable.owner_pid(agent, "x"), signal.SIGKILL)
        assert process.wait(30) == 125
    assert ctl.run("logs", "x").stdout == b"out\n"
    assert ctl.run("forget", "x").code == 0


def test_a_program_that_runs_can_not_be_forgotten(ctl):
    name = ctl.ok("exec", "-d", "sleep", "4712").decode().strip()
    done = ctl.run("forget", name)
    assert done.code == 1 and "has ended" in done.text
    assert ctl.ok("kill", "-9", name) == b""


def test_logs_end_where_it_was_though_much_comes(ctl):
    name = ctl.ok("exec", "-d", "yes").decode().strip()
    wait_until(lambda: sessions(ctl)[name]["offset"] > 4 * MIB, message="it runs")
    done = ctl.run("logs", "--tail", "64K", name)
    assert done.code == 0 and done.stdout.strip(b"y\n") == b""
    assert ctl.ok("kill", "-9", name) == b""


def test_signals_of_ours_reach_it_and_the_second_leaves_it(ctl):
    script = "trap 'echo got it' INT; trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with ctl.start("exec", "--durable", "--name", "x", *sh(script)) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"got it\n"
        # Of two within 2 s, which a busy machine may let pass between any two.
        wait_until(lambda: process.poll() is not None or process.send_signal(signal.SIGTERM), message="it leaves")
        assert process.wait(30) == -signal.SIGTERM
        assert b"session 'x' goes on" in process.stderr.read()
    assert sessions(ctl)["x"]["running"]
    assert ctl.ok("kill", "-9", "x") == b""


# ---- terminals ---------------------------------------------------------------------------------


def test_a_program_is_left_by_its_keys_and_come_back_to(ctl):
    script = "echo ready; while read x; do echo got:$x; done"
    with Terminal(ctl, "exec", "-t", "--durable", "--name", "x", *sh(script)) as term:
        term.read_until(b"ready")
        assert b"Ctrl-] d leaves it" in term.output
        term.type(b"one\r")
        term.read_until(b"got:one")
        term.type(b"\x1dd")
        assert term.wait() == 0 and term.is_restored()
        assert b"session 'x' goes on" in term.output
    with Terminal(ctl, "attach", "x") as term:
        term.read_until(b"got:one")             # what it had put out before
        term.type(b"two\r")
        term.read_until(b"got:two")
        term.type(b"\x04")
        assert term.wait() == 0
    assert not sessions(ctl)["x"]["running"]


def test_a_named_shell_is_come_back_to(ctl):
    with Terminal(ctl, "shell", "--name", "sh1") as term:
        term.type(b"kept=value-$((40+2))\r")
        term.type(b"echo is:$kept\r")
        term.read_until(b"is:value-42")
        term.process.send_signal(signal.SIGHUP)     # its terminal was closed
        assert term.wait() == -signal.SIGHUP
    with Terminal(ctl, "shell", "--name", "sh1") as term:
        term.type(b"echo still:$kept; exit 4\r")
        term.read_until(b"still:value-42")
        assert term.wait() == 4
    assert sessions(ctl) == {}
    with Terminal(ctl, "shell", "--name", "sh1") as term:
        term.type(b"echo new:$kept:; exit\r")
        term.read_until(b"new::")
        assert term.wait() == 0


def test_a_shell_goes_on_through_cuts_and_what_is_typed_meanwhile_arrives(far, relay):
    with Terminal(far, "shell", "--name", "sh2") as term:
        term.type(b"echo is:$((1+1))\r")
        term.read_until(b"is:2")
        relay.is_down = True
        relay.cut()
        term.read_until(b"coming back to 'sh2'")
        term.type(b"echo and:$((2+2))\r")
        relay.is_down = False
        term.read_until(b"and:4")
        term.type(b"exit 6\r")
        assert term.wait() == 6


def test_who_comes_takes_the_input_and_the_other_watches(ctl):
    with Terminal(ctl, "exec", "-t", "--durable", "--name", "x", "cat") as first:
        wait_until(first.is_raw, message="raw mode")
        wait_until(lambda: "x" in sessions(ctl), message="it runs")
        with Terminal(ctl, "attach", "x") as second:
            first.read_until(b"another host has taken the input")
            second.type(b"hello\r")
            second.read_until(b"hello\r\nhello\r\n")
            first.read_until(b"hello\r\nhello\r\n")
            first.type(b"not for it\r\x1dd")
            assert first.wait() == 0
            second.type(b"\x04")
            assert second.wait() == 0
            assert b"not for it" not in second.output


def test_the_size_of_who_comes_is_the_programs(ctl):
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    with Terminal(ctl, "exec", "-t", "--durable", "--name", "x", *sh(script)) as term:
        term.read_until(b"ready")
        term.type(b"\x1dd")
        assert term.wait() == 0
    with Terminal(ctl, "attach", "--tail", "0", "x", columns=120, rows=40) as term:
        term.read_until(b"40 120")
        term.type(b"\x1dd")
        assert term.wait() == 0
    with Terminal(ctl, "attach", "--tail", "0", "x", columns=120, rows=40) as term:
        term.read_until(b"40 120")              # the same size: it paints itself anew all the same
        term.type(b"\x1dd")
        assert term.wait() == 0
    assert ctl.ok("kill", "-9", "x") == b""


def test_a_read_only_host_leaves_the_program_alone(ctl):
    name = ctl.ok("exec", "-d", "-t", *sh("echo ready; read x; echo got:$x")).decode().strip()
    with Terminal(ctl, "attach", "--read-only", name) as term:
        term.read_until(b"ready")
        term.type(b"one\r\x03")
        assert term.wait() == -signal.SIGINT
    assert sessions(ctl)[name]["running"]
    assert ctl.run("attach", "-i", name, input=b"two\n").stdout.endswith(b"got:two\r\n")


def test_answers_to_old_questions_are_not_typed(ctl):
    """A terminal is asked again what is in the output that is shown again, and answers."""
    ask = "printf 'here\\033[6n\\033[c'; read x; echo first:$x; read x; echo second:$x"
    with Terminal(ctl, "exec", "-t", "--durable", "--name", "x", *sh(ask)) as term:
        term.read_until(b"\033[6n\033[c")
        term.type(b"\033[1;5R\033[?1;2c\r")
        term.read_until(b"first:")
        term.type(b"\x1dd")
        assert term.wait() == 0
    with Terminal(ctl, "attach", "x") as term:
        term.read_until(b"\033[6n\033[c")
        term.type(b"\033[9;9R\033[?1;2c")
        term.read_until(b"\033[5n")             # asked by us, behind all that
        term.type(b"\033[0nplain\r")
        term.read_until(b"second:")
        assert term.wait() == 0
        assert b"second:plain\r\n" in term.output and b"9;9R" not in term.output


def test_a_report_is_whole_though_the_connection_broke(far, relay):
    with far.start("exec", "--durable", "--report", "-i", *sh("echo one; read a; exit 3"), stdin=-1) as process:
        assert process.stdout.readline() == b"one\n"
        relay.cut()
        _, err = process.communicate(b"\n", timeout=30)
    assert process.returncode == 3 and b"exited with status 3;" in err


def test_what_was_left_may_have_a_time_limit_and_every_attach_says_that_it_was_up(ctl):
    said = (137, b"", b"vmm-guest-ctl: ended by SIGKILL: its time was up\n")
    name = ctl.ok("exec", "-d", "--timeout", "1", "sleep", "4713").decode().strip()
    assert ctl.run("attach", name) == said          # while it ends
    assert ctl.run("attach", name) == said          # of what is kept
    assert ctl.run("logs", name) == (0, b"", b"")


def test_a_durable_session_says_why_it_ended_where_it_was_started(ctl):
    done = ctl.run("exec", "--durable", "--timeout", "1", "sleep", "4714")
    assert done == (137, b"", b"vmm-guest-ctl: ended by SIGKILL: its time was up\n")
    assert ctl.run("exec", "--durable", *sh("kill -9 $$")) == (137, b"", b"")
    assert ctl.run("exec", "--durable", *sh("exit 3")) == (3, b"", b"")
