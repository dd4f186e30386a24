# SPDX-License-Identifier: MIT
"""vmm-guest-ctl exec -t and shell, on a pseudo-terminal, against the real agent."""

import os
import select
import signal
import time

import pytest

from agent import is_running, wait_until
from client import Ctl, Terminal


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path, env={"TERM": "vt220"})


def sh(script):
    return ("--", "/bin/sh", "-c", script)


def test_the_program_has_a_terminal_of_our_size_and_type(ctl):
    with Terminal(ctl, "exec", "-t", *sh("test -t 0 && tty; stty size; echo $TERM")) as term:
        assert term.wait() == 0
        assert b"/dev/pts/" in term.output
        assert b"31 97\r\nvt220\r\n" in term.output
        assert term.is_restored()


def test_term_of_the_command_line_wins(ctl):
    with Terminal(ctl, "exec", "-t", "-e", "TERM=dumb", *sh("echo $TERM")) as term:
        assert term.wait() == 0
        assert b"dumb\r\n" in term.output


def test_without_a_terminal_here_nothing_of_ours_is_passed(ctl):
    out = ctl.ok("exec", "-t", *sh("echo $TERM; stty size"))
    assert out == b"xterm-256color\r\n24 80\r\n"


def test_our_terminal_is_raw_while_it_runs_and_restored_after(ctl):
    with Terminal(ctl, "exec", "-t", *sh("echo ready; read x; exit 5")) as term:
        term.read_until(b"ready")
        assert term.is_raw()
        term.type(b"\r")
        assert term.wait() == 5
        assert term.is_restored()


def test_a_new_size_reaches_the_program(ctl):
    with Terminal(ctl, "exec", "-t", *sh("trap 'stty size; exit' WINCH; echo ready; "
                                         "while :; do sleep 0.05; done")) as term:
        term.read_until(b"ready")
        term.resize(120, 40)
        assert term.wait() == 0
        assert b"40 120" in term.output


def test_ctrl_c_is_a_key_of_the_program(ctl):
    with Terminal(ctl, "exec", "-t", *sh("trap 'echo got it; exit 6' INT; echo ready; "
                                         "while :; do sleep 0.05; done")) as term:
        term.read_until(b"ready")
        term.type(b"\x03")
        assert term.wait() == 6
        assert b"got it" in term.output


def test_ctrl_d_ends_the_programs_input(ctl):
    with Terminal(ctl, "exec", "-t", "cat") as term:
        term.type(b"hello\r")
        term.read_until(b"hello\r\nhello\r\n")
        term.type(b"\x04")
        assert term.wait() == 0


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_with_the_terminal_restored(ctl, sig):
    with Terminal(ctl, "exec", "-t", *sh("trap '' HUP TERM INT; echo pid $$; "
                                         "while :; do sleep 0.05; done")) as term:
        pid = int(term.read_until(b"\r\n").split()[1])
        wait_until(term.is_raw, message="raw mode")
        term.process.send_signal(sig)
        assert term.wait() == -sig
        assert term.is_restored()
        wait_until(lambda: not is_running(pid), message="the program ends")


def test_a_crash_of_the_client_leaves_the_terminal_restored(ctl):
    with Terminal(ctl, "exec", "-t", "cat") as term:
        wait_until(term.is_raw, message="raw mode")
        term.process.send_signal(signal.SIGSEGV)
        assert term.wait() == -signal.SIGSEGV
        assert term.is_restored()


def test_three_escapes_leave_a_guest_that_hangs(ctl):
    with Terminal(ctl, "exec", "-t", *sh("trap '' HUP; stty raw; echo ready; sleep 60")) as term:
        term.read_until(b"ready")
        term.type(b"\x1d\x1d")
        wait_until(lambda: not select.select([term.slave], [], [], 0)[0], message="they are read")
        time.sleep(2)                           # too long ago to count
        term.type(b"\x1d")
        time.sleep(0.3)
        assert term.process.poll() is None
        term.type(b"\x1d\x1d\x1d")
        assert term.wait() == 125
        assert b"Ctrl-]" in term.output and term.is_restored()


def test_the_agents_words_are_for_a_terminal_that_is_not_raw(ctl):
    with Terminal(ctl, "exec", "-t", "no-such-program") as term:
        assert term.wait() == 127
        assert b"no-such-program" in term.output
        assert b"\n" in term.output.replace(b"\r\n", b"\n")
        assert term.is_restored()


def test_a_stop_restores_the_terminal_and_a_continue_takes_it_again(ctl):
    with Terminal(ctl, "exec", "-t", *sh("echo ready; read x")) as term:
        term.read_until(b"ready")
        term.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: state(term.process.pid) == "T", message="it stops")
        assert term.is_restored()
        term.process.send_signal(signal.SIGCONT)
        wait_until(term.is_raw, message="raw mode again")
        term.type(b"\r")
        assert term.wait() == 0


def state(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return f.read().rpartition(")")[2].split()[0]


def test_shell_is_the_users_login_shell_at_home(ctl):
    with Terminal(ctl, "shell") as term:
        term.type(b"echo shell:$0: home:$PWD:\r")
        term.read_until(b"home:" + os.path.expanduser("~root").encode() + b":\r\n")
        term.type(b"exit 4\r")
        assert term.wait() == 4
        assert term.is_restored()


def test_ps_says_of_a_shell_that_it_is_one(ctl):
    with Terminal(ctl, "shell") as term:
        wait_until(lambda: b"/bin/sh -c # login shell" in ctl.ok("ps"), message="the shell in ps")
        term.type(b"exit\n")
        term.wait()


def test_shell_of_another_user_is_that_users(ctl):
    with Terminal(ctl, "shell", "-u", "sync") as term:
        assert term.wait() != 125               # /bin/sync -l: it is no shell, and it is run
    with Terminal(ctl, "shell", "-u", "nobody-of-this-name") as term:
        assert term.wait() == 126


def test_shell_takes_a_script_from_a_pipe_and_ends_with_it(ctl):
    """A terminal could not tell it of the end once the shell has made that raw."""
    assert ctl.ok("shell", input=b"echo one; tty; true\n") == b"one\nnot a tty\n"
    assert ctl.run("shell", input=b"exit 3\n").code == 3
    assert ctl.run("shell").code == 0
