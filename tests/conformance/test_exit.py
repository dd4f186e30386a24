# SPDX-License-Identifier: MIT
"""The end of a session: when it comes, what was sent before, what it says."""

import hashlib
import os
import sys
import time

import pytest

import codec
from agent import is_running, kill_hard, together, wait_until

# Its child writes, every 2 ms and more, as long as anybody reads.
WRITES_ON = """import os, time
os.write(1, b"x\\n")
if os.fork() > 0:
    os._exit(0)
while True:
    os.write(1, b"y\\n")
    time.sleep(0.002)"""

BOTH = pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 128, 137, 255])
def test_the_programs_exit_code_is_passed_on(agent, code):
    result = agent.sh("exit %d" % code)
    assert (result.code, result.signal, result.stderr) == (code, 0, b"")


@BOTH
@pytest.mark.parametrize("number", [1, 2, 3, 6, 9, 10, 11, 13, 14, 15, 34, 64])
def test_death_by_signal_is_128_plus_the_signal_and_the_signal(agent, number, tty):
    result = agent.sh("ulimit -c 0; kill -%d $$; sleep 5" % number, tty=tty)
    assert (result.code, result.signal) == (128 + number, number)


def test_exit_is_sent_though_stdin_is_still_open(agent):
    result = agent.run(["echo", "x"], eof=False)
    assert (result.stdout, result.code) == (b"x\n", 0)


def test_eof_alone_does_not_end_a_session(agent):
    conn = agent.start(["sh", "-c", "cat; sleep 0.7; echo later"])
    conn.send(codec.EOF)
    result = conn.result()
    assert result.stdout == b"later\n" and result.elapsed > 0.6


def test_closed_output_does_not_end_a_session(agent):
    result = agent.sh("exec >&- 2>&-; sleep 0.7; exit 3")
    assert result.code == 3 and result.elapsed > 0.6


def test_background_child_does_not_hold_exit(agent):
    conn = agent.start(["sh", "-c", "sleep 60 & echo $!; echo x"])
    result = conn.result()
    pid = int(result.stdout.split()[0])
    try:
        assert result.stdout.split()[1] == b"x" and result.code == 0
        assert is_running(pid), "the descendant is not to be killed"
    finally:
        kill_hard(pid)


def test_background_child_of_a_tty_does_not_hold_exit(agent):
    result = agent.sh("trap '' HUP; sleep 60 & echo $!; echo x", tty=True)
    pid = int(result.stdout.split()[0])
    try:
        assert result.stdout.split()[1] == b"x" and result.code == 0
        assert is_running(pid), "the descendant is not to be killed"
    finally:
        kill_hard(pid)


def test_background_child_that_writes_on_is_heard_for_500_ms_at_most(agent):
    """On a busy machine the child itself may be quiet for 100 ms: one of ten counts. Its
    lines say for how long it was heard."""
    results = []
    while len(results) < 10 and max([r.elapsed for r in results if r.stdout.count(b"y") >= 3] or [0]) < 0.5:
        results.append(agent.run([sys.executable, "-c", WRITES_ON]))
    assert all(r.stdout.startswith(b"x\n") and r.code == 0 for r in results)
    assert max(r.elapsed for r in results) >= 0.5, "what came after the end was not read on"
    assert max(r.stdout.count(b"y") for r in results) < 2500, "it was heard for 5 s"


def test_background_child_that_is_quiet_for_100_ms_is_not_waited_for(agent):
    """The same takes less than with 400 ms more, of which a busy machine knows nothing."""
    quiet, later = [], []
    while len(quiet) < 20 and min(quiet, default=1) >= min(later, default=0):
        quiet.append(agent.sh("sleep 1.5 & echo x").elapsed)
        later.append(agent.sh("echo x; sleep 0.4").elapsed)
    assert min(quiet) < min(later), (quiet, later)


def test_later_writes_of_a_descendant_fail(agent, tmp_path):
    note = tmp_path / "note"
    go = tmp_path / "go"
    agent.sh("(trap '' PIPE; until test -e %s; do sleep 0.05; done; echo y 2>/dev/null || echo failed >%s) & echo x" % (
        go, note))
    agent.settle()          # its worker has closed what it read from
    go.touch()
    wait_until(lambda: note.exists() and note.read_text() == "failed\n", message="the write fails")


def test_all_output_of_a_short_program_arrives_40_times_in_a_row(agent):
    for _ in range(40):
        result = agent.sh("head -c 200000 /dev/zero; echo last >&2")
        assert len(result.stdout) == 200000 and result.stderr == b"last\n" and result.code == 0


def test_all_output_of_a_tty_arrives_20_times_in_a_row(agent):
    for _ in range(20):
        result = agent.sh("seq 1 20000; echo last", tty=True)
        numbers = result.stdout.split()
        assert len(numbers) == 20001 and numbers[-1] == b"last", len(numbers)


def test_output_waits_for_a_host_that_reads_late(agent):
    conn = agent.start(["sh", "-c", "head -c 3000000 /dev/zero; echo end >&2"])
    time.sleep(1.5)
    result = conn.result()
    assert len(result.stdout) == 3000000 and result.stderr == b"end\n"


@BOTH
def test_what_is_in_the_pipe_is_sent_though_a_descendant_holds_it_and_the_host_is_slow(agent, tty):
    """More than the drain's 500 ms pass while the host does not read."""
    script = "trap '' HUP; sleep 30 & echo $!; head -c 400000 /dev/zero | tr '\\0' x; exit 7"
    conn = agent.start(["sh", "-c", script], tty=tty)
    time.sleep(2)
    result = conn.result()
    number, rest = result.stdout.split(b"\n", 1)
    try:
        assert result.code == 7 and rest.count(b"x") == 400000, len(rest)
    finally:
        kill_hard(int(number))


def test_24_mib_through_cat_lose_no_byte_though_the_host_pauses(agent):
    data = os.urandom(1024 * 1024) * 24
    conn = agent.start(["cat"])
    stream = b"".join(codec.encode(codec.STDIN, data[i:i + 100000]) for i in range(0, len(data), 100000))
    half = len(stream) // 2
    assert conn.send_reading(stream[:half]) == half
    time.sleep(2)
    assert conn.send_reading(stream[half:]) == len(stream) - half
    conn.send(codec.EOF)
    result = conn.result()
    assert result.code == 0
    assert hashlib.sha256(result.stdout).hexdigest() == hashlib.sha256(data).hexdigest()


def test_a_host_that_does_not_read_stops_the_program_not_the_agent(agent, tmp_path):
    note = tmp_path / "note"
    script = "for i in $(seq 400); do head -c 100000 /dev/zero; echo $i >%s; done" % note
    conn = agent.start(["sh", "-c", script])
    wait_until(note.exists, message="the program writes")
    written = None
    while written != (written := note.read_text()):
        time.sleep(1)
    assert int(written) < 80, "nothing holds the program"
    assert agent.run(["echo", "other"]).stdout == b"other\n"
    assert len(conn.result().stdout) == 40000000


def test_a_host_that_does_not_read_its_exit_leaves_no_zombie(agent, tmp_path):
    """EXIT may go out before the program is reaped, but not where it has to wait."""
    note = tmp_path / "note"
    # More than the socket lets through with room for more, less than it holds.
    conn = agent.start(["sh", "-c", "echo $$ >%s; exec head -c 100000 /dev/zero" % note])
    wait_until(lambda: note.exists() and note.read_text().endswith("\n"), message="the program runs")
    wait_until(lambda: not os.path.exists("/proc/" + note.read_text().strip()), message="it is reaped")
    assert len(conn.result().stdout) == 100000


# ---- timeout ----------------------------------------------------------------


@BOTH
def test_timeout_kills_the_program_and_gives_its_own_end(agent, tty):
    result = agent.run(["sleep", "60"], tty=tty, timeout_seconds=1, eof=False)
    assert (result.code, result.signal) == (137, 9) and result.elapsed > 0.95


@BOTH
def test_timeout_kills_the_whole_group(agent, tty):
    conn = agent.start(["sh", "-c", "trap '' HUP; sleep 60 & echo $!; wait"], tty=tty, timeout_seconds=3)
    pid = int(conn.read_output(b"\n"))
    assert conn.result().code == 137
    wait_until(lambda: not is_running(pid), message="the background child is killed")


def test_timeout_comes_though_the_program_ignores_every_signal_it_can(agent):
    result = agent.sh("trap '' HUP INT TERM QUIT; while :; do sleep 0.1; done", timeout_seconds=1)
    assert (result.code, result.signal) == (137, 9)


def test_timeout_comes_though_the_host_reads_nothing(agent):
    conn = agent.start(["sh", "-c", "echo $$; exec yes"], timeout_seconds=3)
    pid = int(conn.read_output(b"\n").split()[0])
    wait_until(lambda: not is_running(pid), message="the program is killed")
    result = conn.result()
    assert (result.code, result.signal) == (137, 9)


def test_a_program_that_ends_before_its_timeout_is_not_touched(agent):
    result = agent.run(["sh", "-c", "sleep 0.3; exit 5"], timeout_seconds=20)
    assert (result.code, result.signal) == (5, 0) and result.elapsed < 20


def test_timeout_0_is_none(agent):
    assert agent.sh("sleep 1.2; exit 4", timeout_seconds=0).code == 4


def test_a_stopped_program_still_has_its_timeout(agent):
    result = agent.sh("kill -STOP $$", timeout_seconds=1)
    assert (result.code, result.signal) == (137, 9)


# ---- many -------------------------------------------------------------------


def test_sessions_side_by_side_do_not_mix_their_output(agent):
    def one(i):
        def call():
            for _ in range(5):
                word = b"%d\n" % i
                result = agent.run(["cat"], stdin=word * 20000)
                assert result.stdout == word * 20000 and result.code == 0
        return call

    together([one(i) for i in range(5)])


def test_a_program_that_execs_another_keeps_the_session(agent):
    assert agent.sh("exec sh -c 'exec sh -c \"echo deep; exit 9\"'").code == 9


def test_a_session_that_double_forks_ends_with_its_main_process(agent, tmp_path):
    note = tmp_path / "note"
    result = agent.sh("(setsid sh -c 'echo $$ >%s; exec sleep 60' >/dev/null 2>&1 </dev/null &); echo x; "
                      "until test -s %s; do sleep 0.05; done; exit 2" % (note, note))
    pid = int(note.read_text())
    try:
        assert (result.stdout, result.code) == (b"x\n", 2) and is_running(pid)
    finally:
        kill_hard(pid)
