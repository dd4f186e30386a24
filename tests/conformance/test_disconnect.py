# SPDX-License-Identifier: MIT
"""The host goes away: closed, half-closed or reset, at every moment."""

import os
import sys
import time

import pytest

import codec
from agent import TimedOut, is_running, stat_of, together, wait_until
from faults import Fault

LEAVE = pytest.mark.parametrize("leave", ["close", "half_close"])
SCRIPTS = {
    "silent": "echo $$; exec sleep 60",
    "writing_slowly": "echo $$; while :; do echo tick; sleep 0.1; done",
    "writing_faster_than_anyone_reads": "echo $$; exec yes",
    "waiting_for_input": "echo $$; exec cat",
    "with_its_output_closed": "echo $$; exec >&- 2>&-; exec sleep 60",
    "with_everything_closed": "echo $$; exec <&- >&- 2>&-; exec sleep 60",
}


def first_number(conn):
    return int(conn.read_output(b"\n").split()[0])


@LEAVE
@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_a_program_ends_when_the_host_goes_whatever_it_does(agent, leave, tty):
    def one(name):
        conn = agent.start(["sh", "-c", SCRIPTS[name]], tty=tty)
        pid = first_number(conn)
        getattr(conn, leave)()
        wait_until(lambda: not is_running(pid), message="the program ends that is " + name)
        conn.close()

    together([lambda n=n: one(n) for n in SCRIPTS])


@LEAVE
def test_sighup_comes_first(agent, tmp_path, leave):
    note = tmp_path / "note"
    conn = agent.start(["sh", "-c", "trap 'echo hup >%s; exit' HUP; echo $$; "
                        "while :; do sleep 0.05; done" % note])
    first_number(conn)
    getattr(conn, leave)()
    wait_until(lambda: note.exists() and note.read_text() == "hup\n", message="SIGHUP")
    conn.close()


@LEAVE
def test_the_end_of_the_input_is_no_news_before_sighup(agent, tmp_path, leave):
    """Else a program that reads to the end goes on by a part of it, as by all."""
    conn = agent.start(["sh", "-c", "echo $$; cat >/dev/null; echo all >%s; exec sleep 60" % (tmp_path / "note")])
    pid = first_number(conn)
    with Fault(agent.worker_pids(), "kill", "delay_enter=1000000"):
        getattr(conn, leave)()
        wait_until(lambda: not is_running(pid), message="the program ends")
    assert not (tmp_path / "note").exists()
    conn.close()


@LEAVE
def test_what_ignores_sighup_is_killed_2_s_later(agent, leave):
    conn = agent.start(["sh", "-c", "trap '' HUP TERM; sleep 60 & echo $$ $!; wait; sleep 60"])
    pid, child = (int(x) for x in conn.read_output(b"\n").split(b"\n")[0].split())
    gone = time.monotonic()
    getattr(conn, leave)()
    wait_until(lambda: not is_running(pid), message="the program is killed")
    assert 1.8 < time.monotonic() - gone
    wait_until(lambda: not is_running(child), message="its child is killed")
    conn.close()


def test_a_background_child_is_killed_with_its_group(agent):
    conn = agent.start(["sh", "-c", "trap 'exit 0' HUP; (trap '' HUP; exec sleep 60) & echo $!; wait"])
    child = first_number(conn)
    conn.close()
    wait_until(lambda: not is_running(child), message="all of the group is killed")


@LEAVE
def test_the_worker_is_free_again_soon(agent, leave):
    conn = agent.start(["sh", "-c", "echo $$; exec sleep 60"])
    first_number(conn)
    getattr(conn, leave)()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="the worker is idle")
    conn.close()


def test_a_half_close_behind_start_is_the_hosts_going(agent, tmp_path):
    """Firecracker makes a full close of a half one."""
    note = tmp_path / "note"
    conn = agent.start(["sh", "-c", "echo $$ >%s; exec sleep 60" % note])
    conn.half_close()
    conn.result()
    wait_until(lambda: not note.exists() or not note.read_text().strip() or not is_running(int(note.read_text())),
               message="the program ends, if it ever ran")


@LEAVE
@pytest.mark.parametrize("data", [
    b"", b"\x01", codec.header(codec.START, 10), codec.header(codec.START, 10) + b"{",
    codec.header(codec.START, codec.FRAME_MAX), codec.header(codec.CLOCK_SYNC, 12) + b"1234",
    codec.header(0x99, 100) + b"x"], ids=lambda d: "%d_bytes" % len(d))
def test_leaving_within_the_first_frame_frees_the_worker(agent, data, leave):
    conn = agent.connect()
    conn.send_raw(data)
    getattr(conn, leave)()
    if leave == "half_close":
        conn.result()


@LEAVE
def test_leaving_within_a_stdin_frame_ends_the_session(agent, leave):
    conn = agent.start(["sh", "-c", "echo $$; exec cat"])
    pid = first_number(conn)
    conn.send_raw(codec.header(codec.STDIN, 1000000) + b"only a part")
    getattr(conn, leave)()
    wait_until(lambda: not is_running(pid), message="the program ends")
    conn.close()


def test_leaving_with_output_unread_ends_the_session(agent):
    """A Unix socket that is closed with unread input resets."""
    conn = agent.start(["sh", "-c", "echo $$; exec yes"])
    pid = first_number(conn)
    assert conn.wait_readable(20)
    conn.close()
    wait_until(lambda: not is_running(pid), message="the program ends")


def test_a_reset_in_mid_session_is_said_in_the_log_with_its_cause_and_no_other_going_is(start_agent):
    """That of a vsock whose window is full: tests/vm/test_window.py. A worker that has said it a
    few times says it no more for a while."""
    agent = start_agent("--workers=2")
    begun = len(agent.log())
    answered = agent.start(["true"])
    assert answered.wait_readable(20)
    leaving = agent.start(["cat"])
    for conn in (answered, leaving):
        conn.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="both end")
    assert "reset" not in agent.log()[begun:]
    conn = agent.start(["sh", "-c", "exec yes"])
    assert conn.wait_readable(20)
    conn.close()
    agent.wait_log("the connection was reset: Connection reset by peer", start=begun)


@LEAVE
@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("script", ["silent", "writing_faster_than_anyone_reads"])
def test_the_hosts_going_is_noticed_though_1_mib_of_its_input_is_undelivered(agent, script, tty, leave):
    """All three at once: nobody takes the input, and nobody the output."""
    conn = agent.start(["sh", "-c", ("stty raw -echo; " if tty else "") + SCRIPTS[script]], tty=tty)
    pid = first_number(conn)
    frame = codec.encode(codec.STDIN, b"i" * 65536)
    sent, refused = 0, 0
    conn.sock.settimeout(0.5)
    while sent < 16 << 20 and refused < (1 if sent >= 1 << 20 else 40):
        try:
            sent += conn.sock.send(frame[sent % len(frame):])
        except TimedOut:
            refused += 1
    assert 1 << 20 <= sent < 16 << 20, "%d bytes were taken" % sent
    getattr(conn, leave)()
    wait_until(lambda: not is_running(pid), message="the program ends")
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="its worker is idle")
    conn.close()


def test_a_host_that_writes_without_ever_reading_is_held_and_its_going_ends_it(agent, tmp_path):
    note = tmp_path / "note"
    conn = agent.start(["sh", "-c", "echo $$ >%s; exec cat" % note])
    data = codec.encode(codec.STDIN, os.urandom(65536)) * 400
    conn.sock.settimeout(1.5)
    try:
        conn.sock.sendall(data)
        raise AssertionError("26 MB were taken though nobody reads the output")
    except TimedOut:
        pass
    wait_until(lambda: note.exists() and note.read_text().endswith("\n"), message="the program runs")
    pid = int(note.read_text())
    assert is_running(pid)
    conn.close()
    wait_until(lambda: not is_running(pid), message="the program ends")


def test_a_hundred_connections_that_say_nothing_and_go(agent):
    for _ in range(100):
        agent.connect().close()
        agent.dial().close()
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_a_hundred_hosts_that_leave_right_behind_start(agent):
    def leave():
        for i in range(25):
            conn = agent.start(["sh", "-c", "sleep 0.0%d; echo x" % i])
            conn.close()

    together([leave] * 4)
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="all workers are idle")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


# Its first thread ends and another goes on: to the kernel the process is a zombie that lives.
HEADLESS = """
import ctypes, os, signal, threading, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
threading.Thread(target=time.sleep, args=[60]).start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_what_goes_on_without_its_first_thread_is_killed_too(start_agent, tmp_path):
    """It is alone in its group: a process group, as there are no cgroups here."""
    agent = start_agent("--cgroup=off")
    (tmp_path / "headless").write_text(HEADLESS)
    conn = agent.start(["sh", "-c", "%s %s/headless & sleep 0.5; wait $!" % (sys.executable, tmp_path)],
                       timeout_seconds=60)
    pid = first_number(conn)
    wait_until(lambda: stat_of(pid)[0] == "Z", message="its first thread ends")
    conn.close()
    wait_until(lambda: not os.path.exists("/proc/%d" % pid), message="it is killed")
