# SPDX-License-Identifier: MIT
"""vmm-guest-ctl quiesce and thaw: a guest that stands still while a program runs here.

Most are against an agent that says what the test wants: what a snapshot, a slow disk or a
dead machine may do to the connection no real one does when it is asked to."""

import json
import os
import re
import signal
import socket
import sys
import threading

import pytest

import codec
from agent import TimedOut, children, kill_hard, stat_of, wait_until
from client import Ctl, FakeAgent, Terminal, ctl_binary

STEPS = ("rest", "sessions", "sync", "fsfreeze")


def quiesced(error="", failed=None, frozen=(), skipped=()):
    """STATUS `quiesced`. FAILED: the step that ERROR is of; it is the last."""
    steps = []
    for name in STEPS:
        steps.append({"name": name, "us": 1500, "error": error if name == failed else ""})
        if name == failed:
            break
    told = {"event": "quiesced", "steps": steps, "skipped": list(skipped),
            "frozen": [{"path": path, "type": kind} for path, kind in frozen]}
    if error:
        told["error"] = error
    return told


def thawed(why):
    return {"event": "thawed", "why": why}


class Guest:
    """What a script does, and what it saw."""

    def __init__(self, answer=None, held=None):
        self.answer = answer or quiesced()
        self.held = held            # held(peer) while the guest stands still, until THAW is read
        self.request = None
        self.frames = []            # each, but for STATUS_REQ

    def __call__(self, peer):
        first = peer.recv()
        if first is None:
            return
        self.frames.append(first)
        if first.type == codec.THAW:
            peer.exit(0)
            return
        assert first.type == codec.QUIESCE
        self.request = first.json()
        peer.send(codec.STATUS, self.answer)
        if self.answer.get("error"):
            peer.exit(1)
            return
        if self.held is not None and self.held(peer) is not None:
            return
        frame = peer.recv()
        self.frames.append(frame)
        if frame is not None and frame.type == codec.THAW:
            peer.send(codec.STATUS, thawed("host"))
            peer.exit(0)


def names(guest):
    return [frame and frame.name for frame in guest.frames]


def run(guest, *args, **more):
    with FakeAgent(guest) as fake:
        return Ctl(fake.path).run("quiesce", *args, **more)


def sh(script, *args):
    return ("--", "/bin/sh", "-c", script, "sh", *args)


def ends(why):
    """The guest goes on before it is asked to."""
    def held(peer):
        peer.send(codec.STATUS, thawed(why))
        peer.exit(0)
        return True
    return held


# ---- what is asked for -----------------------------------------------------------


def test_what_differs_from_the_defaults_is_asked_for_and_no_more():
    guest = Guest()
    assert run(guest, "--", "true").code == 0
    assert guest.request == {}
    guest = Guest()
    assert run(guest, "--fsfreeze", "/a", "--fsfreeze", "/b c", "--within", "60", "--hold", "600", "--snapshot",
               "--no-sync", "--no-sessions", "true").code == 0
    assert guest.request == {"fsfreeze": ["/a", "/b c"], "within_ms": 60000, "hold_ms": 600000, "on_gone": "hold",
                             "sync": False, "freeze": "none"}
    guest = Guest()
    assert run(guest, "--all", "true").code == 0
    assert guest.request == {"fsfreeze": "all"}


@pytest.mark.parametrize("args", [
    ["--hold", "0", "true"], ["--hold", "601", "true"], ["--within", "61", "true"], ["--within", "x", "true"],
    ["--fsfreeze", "relative", "true"], ["--all", "--fsfreeze", "/", "true"], ["--no-such-option", "true"],
    [b"--fsfreeze=/\xff", "true"], [*["--fsfreeze=/"] * 65, "true"], ["--report=/no/such/folder/x", "true"]])
def test_wrong_use_is_125_in_words_and_asks_for_nothing(args):
    guest = Guest()
    done = run(guest, *args)
    assert done.code == 125 and done.text != "" and guest.request is None


def test_options_behind_the_command_are_its_own():
    assert run(Guest(), "echo", "--all", "--help").stdout == b"--all --help\n"


# ---- the command -----------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_exit_status_is_the_commands(code):
    assert run(Guest(), *sh("exit %d" % code)).code == code


def test_death_by_signal_is_128_plus_its_number():
    assert run(Guest(), *sh("kill -9 $$")).code == 137


def test_the_command_has_our_streams_and_runs_between_quiesced_and_thaw():
    guest = Guest()
    done = run(guest, *sh("cat; echo err >&2"), input=b"in")
    assert (done.code, done.stdout, done.stderr) == (0, b"in", b"err\n")
    assert names(guest) == ["QUIESCE", "THAW"]


def test_nothing_is_sent_before_the_command_has_ended(tmp_path):
    """A packet in flight is what a snapshot must not have."""
    seen = []

    def held(peer):
        wait_until(lambda: (tmp_path / "runs").exists())
        peer.sock.settimeout(0.3)
        try:
            seen.append(peer.sock.recv(1))
        except TimedOut:
            pass
        peer.sock.settimeout(20)
        (tmp_path / "end").touch()
    guest = Guest(held=held)
    assert run(guest, *sh("touch runs; until [ -e end ]; do sleep .02; done"), cwd=tmp_path).code == 0
    assert not seen and names(guest) == ["QUIESCE", "THAW"]


def test_no_silence_of_a_guest_that_is_held_is_too_long():
    """Longer than any answer may take that the agent owes us."""
    done = run(Guest(), "--within", "1", *sh("sleep 12; echo done"), timeout=60)
    assert (done.code, done.stdout, done.stderr) == (0, b"done\n", b"")


def test_the_command_has_neither_our_connection_nor_caught_signals():
    done = run(Guest(), "/bin/sh", "-c", "ls -l /proc/$$/fd; exec cat /proc/self/status")
    assert done.code == 0 and b"socket" not in done.stdout
    masks = dict(re.findall(rb"Sig(\w+):\s+(\w+)", done.stdout))
    assert int(masks[b"Blk"], 16) == 0 and int(masks[b"Cgt"], 16) == 0


@pytest.mark.parametrize("command,code,words", [
    ("no-such-program", 127, "No such file"), ("/no/such/program", 127, "No such file"), ("/etc", 126, "denied"),
    ("/etc/passwd", 126, "denied")])
def test_a_command_that_can_not_be_run_is_told_and_the_guest_goes_on(command, code, words):
    guest = Guest()
    done = run(guest, "--", command)
    assert done.code == code and command in done.text and words in done.text
    assert names(guest) == ["QUIESCE", "THAW"]


def test_a_client_that_was_started_to_ignore_its_children_hears_of_the_end():
    done = run(Guest(), *sh("exit 3"), preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.code == 3


# ---- a guest that does not stand still -------------------------------------------


@pytest.mark.parametrize("failed,error,words", [
    ("rest", "ETIMEDOUT: session 17 (read) does not rest", "did not come to rest: ETIMEDOUT: session 17"),
    ("sessions", "ETIMEDOUT: a process is in the kernel", "programs could not be frozen: ETIMEDOUT: a process"),
    ("sync", "EOPNOTSUPP: /tmp: virtual", "written out: EOPNOTSUPP: /tmp: virtual"),
    ("fsfreeze", "EBUSY: /srv: frozen by another", "a file system could not be frozen: EBUSY: /srv: frozen by"),
    (None, "EBUSY: another holds it", "does not stand still: EBUSY: another holds it")])
def test_what_failed_is_told_in_words_and_the_command_is_not_begun(failed, error, words):
    done = run(Guest(quiesced(error, failed)), "echo", "begun")
    assert done.code == 125 and words in done.text and done.stdout == b""


def test_what_the_guest_says_can_not_move_the_cursor():
    done = run(Guest(quiesced("E\x1b[2J: x")), "echo", "begun")
    assert done.code == 125 and b"\x1b" not in done.stderr


@pytest.mark.parametrize("features,words", [([], "too old to have its guest stand still"),
                                            (["QUIESCE", "THAW"], "its log there says why")])
def test_an_agent_without_it_is_told_from_one_that_would_not(features, words):
    def script(peer):
        first = peer.recv()
        if first.type == codec.STATUS_REQ:
            peer.send(codec.STATUS, {"version": "1", "features": features})
            peer.exit(0)
        else:
            peer.send(codec.STDERR, b"unknown request\n")
            peer.exit(125)
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("quiesce", "echo", "begun")
        assert done.code == 125 and words in done.text and done.stdout == b""
        if not features:
            done = Ctl(fake.path).run("thaw")
            assert done.code == 1 and words in done.text


def test_an_agent_that_closes_without_an_answer_is_125():
    done = run(lambda peer: peer.expect(codec.QUIESCE), "echo", "begun")
    assert done.code == 125 and "without an answer" in done.text and done.stdout == b""


@pytest.mark.parametrize("answer", [b"{", b'{"event":3}', b'{"event":"quiesced","steps":7}'])
def test_an_answer_that_makes_no_sense_is_125(answer):
    def script(peer):
        peer.expect(codec.QUIESCE)
        peer.send(codec.STATUS, answer)
        peer.recv()
    done = run(script, "echo", "begun")
    assert done.code == 125 and "can't be understood" in done.text and done.stdout == b""


def test_a_guest_without_cgroups_is_held_and_that_is_told():
    answer = quiesced()
    answer["steps"][1]["error"] = "ENOTSUP: there is no cgroup v2"
    done = run(Guest(answer), "echo", "begun")
    assert done.code == 0 and done.stdout == b"begun\n"
    assert "programs could not be frozen: ENOTSUP: there is no cgroup v2" in done.text


SKIPPED = [{"path": "/proc", "type": "proc", "why": "virtual"}, {"path": "/n", "type": "nfs4", "why": "network"},
           {"path": "/r", "type": "squashfs", "why": "read-only"}, {"path": "/b", "type": "ext4", "why": "nbd"}]


def test_what_all_has_left_out_is_told_where_a_snapshot_would_have_it():
    done = run(Guest(quiesced(frozen=[("/", "ext4")], skipped=SKIPPED)), "--all", "true")
    assert done.code == 0 and done.stderr == b"vmm-guest-ctl: not frozen: /b (ext4): nbd\n"


def test_all_that_froze_nothing_is_told():
    done = run(Guest(quiesced(skipped=SKIPPED[:1])), "--all", "true")
    assert done.code == 0 and "no file system is frozen" in done.text


# ---- reports ---------------------------------------------------------------------


def test_a_report_says_what_is_frozen_and_how_long_it_took():
    """And what is not, but for what lies on no disk: that is always there."""
    done = run(Guest(quiesced(frozen=[("/srv", "xfs"), ("/", "ext4")], skipped=SKIPPED)), "--all", "--report", "true")
    assert done.code == 0
    lines = [line.removeprefix("vmm-guest-ctl: ") for line in done.text.splitlines()]
    assert lines[:6] == ["quiesced in 0.006 s (rest 0.002 s, sessions 0.002 s, sync 0.002 s, fsfreeze 0.002 s)",
                         "frozen: /srv (xfs)", "frozen: / (ext4)", "not frozen: /n (nfs4): network",
                         "not frozen: /r (squashfs): read-only", "not frozen: /b (ext4): nbd"]
    assert len(lines) == 7 and re.fullmatch(r"thawed after \d+\.\d{3} s", lines[6])


def test_a_report_in_a_file_has_the_agents_words_as_they_come(tmp_path):
    answer = quiesced(frozen=[("/", "ext4")])
    path = tmp_path / "report"
    done = run(Guest(answer), "--report=%s" % path, "cat", path)
    assert done.code == 0 and json.loads(done.stdout) == answer
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert told == [answer, thawed("host")] and done.stderr == b""


# ---- the end of it comes too early -------------------------------------------------


# It ends by itself, so that who waits for it in vain sees that.
UNTIL_END = "for i in $(seq 500); do [ -e end ] && exit; sleep .02; done; touch late"


@pytest.mark.parametrize("snapshot", [[], ["--snapshot"]])
@pytest.mark.parametrize("why,words", [("expired", "the time of --hold was over"), ("thaw", "somebody else asked"),
                                       ("gone", "was lost"), ("restored", "restored"), ("shutdown", "goes down"),
                                       ("host", "somebody else for us"), ("of-a-later-agent", "not known here")])
def test_a_guest_that_goes_on_while_the_command_runs_is_told_and_no_success(tmp_path, snapshot, why, words):
    with FakeAgent(Guest(held=ends(why))) as fake:
        with Ctl(fake.path).start("quiesce", *snapshot, *sh(UNTIL_END),
                                  cwd=tmp_path) as process:
            line = process.stderr.readline().decode()
            (tmp_path / "end").touch()
            assert not (tmp_path / "late").exists()
            assert process.wait(20) == 125
            assert "the guest went on too early: " in line and words in line
            assert process.stderr.read() == b""


def test_the_commands_own_failure_is_not_hidden_by_that():
    done = run(Guest(held=ends("expired")), *sh("sleep .3; exit 9"))
    assert done.code == 9 and "--hold was over" in done.text


def test_an_end_that_crosses_our_thaw_is_no_success():
    def held(peer):
        assert peer.expect(codec.THAW)
        return ends("expired")(peer)
    done = run(Guest(held=held), "true")
    assert done.code == 125 and "the guest went on too early: the time of --hold was over" in done.text


def test_a_connection_that_is_lost_is_told_and_no_success(tmp_path):
    with FakeAgent(Guest(held=lambda peer: True)) as fake:
        with Ctl(fake.path).start("quiesce", *sh(UNTIL_END), cwd=tmp_path) as process:
            line = process.stderr.readline().decode()
            (tmp_path / "end").touch()
            assert not (tmp_path / "late").exists()
            assert process.wait(20) == 125
            assert "may have gone on too early" in line and "was lost (--snapshot" in line


def test_a_worker_that_is_lost_is_told_and_no_success():
    done = run(Guest(held=lambda peer: peer.exit(-1) or True), *sh("sleep .3"))
    assert done.code == 125 and "may have gone on too early: the agent has lost what held the guest" in done.text


def test_an_agent_that_does_not_answer_the_thaw_is_no_success():
    def held(peer):
        assert peer.expect(codec.THAW) and peer.recv() is None
        return True
    done = run(Guest(held=held), "true", timeout=60)
    assert done.code == 125 and "may have gone on too early: the agent does not answer" in done.text


# ---- snapshots ---------------------------------------------------------------------


def test_a_silent_guest_is_no_failure_of_a_snapshot():
    """The command may have left the machine paused."""
    def held(peer):
        assert peer.expect(codec.THAW) and peer.recv() is None
        return True
    done = run(Guest(held=held), "--snapshot", *sh("echo done"), timeout=60)
    assert (done.code, done.stdout, done.stderr) == (0, b"done\n", b"")


def test_a_machine_that_is_gone_is_no_failure_of_a_snapshot(tmp_path):
    with FakeAgent(Guest(held=lambda peer: os.unlink(fake.path) or True)) as fake:
        done = Ctl(fake.path).run("quiesce", "--snapshot", "--report", *sh("sleep .3; exit 5"))
    assert done.code == 5 and "stands still for at most 30 s" in done.text and "early" not in done.text


def test_a_machine_whose_connections_a_snapshot_reset_is_thawed_by_another():
    guest = Guest(held=lambda peer: True)
    done = run(guest, "--snapshot", "--report", *sh("sleep .3"))
    assert done.code == 0 and "thawed after" in done.text
    assert names(guest) == ["QUIESCE", "THAW"]


@pytest.mark.parametrize("hold,seconds,code", [("600", ".1", 0), ("1", "1.1", 125)])
def test_a_guest_that_is_found_thawed_is_no_success_where_its_time_was_over(hold, seconds, code):
    def script(peer):
        if peer.recv().type == codec.THAW:
            peer.exit(1)
        else:
            peer.send(codec.STATUS, quiesced())
    done = run(script, "--snapshot", "--hold", hold, *sh("sleep " + seconds))
    assert done.code == code and ("--hold was over" in done.text) == (code != 0)


CLONE = """
import os, socket, sys
os.unlink(sys.argv[1])
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
if os.fork() == 0:
    os.close(1)
    os.close(2)
    conn = listener.accept()[0]
    conn.recv(100)
    conn.sendall(b"OK 7\\n")
    open(sys.argv[2], "wb").write(conn.recv(100))
"""


def test_a_clone_in_its_place_is_not_thawed(tmp_path):
    """It waits for RESTORED."""
    told = tmp_path / "told"
    with FakeAgent(Guest(held=lambda peer: True)) as fake:
        done = Ctl(fake.path).run("quiesce", "--snapshot", sys.executable, "-c", CLONE, fake.path, str(told))
        assert done.code == 0 and done.stderr == b""
        wait_until(told.exists)
        assert told.read_bytes() == b""


# ---- signals -----------------------------------------------------------------------


def begun(path):
    wait_until(path.exists)


def test_ctrl_c_is_the_commands_and_the_guest_goes_on(tmp_path):
    guest = Guest()
    with FakeAgent(guest) as fake:
        script = "trap 'echo caught; exit 7' INT; echo runs; sleep 9 & wait"
        with Terminal(Ctl(fake.path), "quiesce", *sh(script)) as term:
            term.read_until(b"runs")
            term.type(b"\x03")
            assert term.wait() == 7
            assert term.output.count(b"caught") == 1
    assert names(guest) == ["QUIESCE", "THAW"]


def test_a_ctrl_c_that_is_seen_after_the_commands_end_is_still_the_commands():
    with FakeAgent(Guest()) as fake:
        script = "trap 'exit 7' INT; echo runs; while :; do sleep .02; done"
        with Terminal(Ctl(fake.path), "quiesce", *sh(script)) as term:
            term.read_until(b"runs")
            pid = children(term.process.pid)[0]
            term.process.send_signal(signal.SIGSTOP)
            term.type(b"\x03")
            wait_until(lambda: stat_of(pid)[0] == "Z")
            term.process.send_signal(signal.SIGCONT)
            assert term.wait() == 7


def test_a_command_that_lives_on_after_ctrl_c_holds_the_guest():
    guest = Guest()
    with FakeAgent(guest) as fake:
        script = "trap 'echo caught' INT; echo runs; sleep 9 & wait; read x"
        with Terminal(Ctl(fake.path), "quiesce", *sh(script)) as term:
            term.read_until(b"runs")
            term.type(b"\x03")
            term.read_until(b"caught")
            assert names(guest) == ["QUIESCE"]
            term.type(b"\n")
            assert term.wait() == 0
    assert names(guest) == ["QUIESCE", "THAW"]


def test_a_command_that_dies_of_ctrl_c_takes_us_along():
    guest = Guest()
    with FakeAgent(guest) as fake:
        with Terminal(Ctl(fake.path), "quiesce", *sh("echo runs; exec sleep 20")) as term:
            term.read_until(b"runs")
            term.type(b"\x03")
            assert term.wait() == -signal.SIGINT
    assert names(guest) == ["QUIESCE", "THAW"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_thaw_at_once_and_are_passed_on(tmp_path, number):
    def held(peer):
        assert peer.expect(codec.THAW)
        peer.send(codec.STATUS, thawed("host"))
        peer.exit(0)
        (tmp_path / "thawed").touch()
        return True
    script = """trap 'touch caught; until [ -e thawed ]; do sleep .02; done; exit 0' TERM HUP
                touch runs; sleep 9 & wait"""
    with FakeAgent(Guest(held=held)) as fake:
        with Ctl(fake.path).start("quiesce", *sh(script), cwd=tmp_path) as process:
            begun(tmp_path / "runs")
            process.send_signal(number)
            assert process.wait(20) == -number
    assert (tmp_path / "caught").exists() and (tmp_path / "thawed").exists()


def test_an_interrupt_that_is_sent_to_us_reaches_the_command(tmp_path):
    guest = Guest()
    with FakeAgent(guest) as fake:
        with Ctl(fake.path).start("quiesce", *sh("trap 'exit 4' INT; touch runs; while :; do sleep .02; done"),
                                  cwd=tmp_path) as process:
            begun(tmp_path / "runs")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 4


def test_a_second_signal_waits_for_nobody(tmp_path):
    with FakeAgent(Guest()) as fake:
        script = "trap 'touch caught' TERM; touch runs; until [ -e end ]; do sleep .02; done"
        with Ctl(fake.path).start("quiesce", *sh(script), cwd=tmp_path) as process:
            begun(tmp_path / "runs")
            process.terminate()
            begun(tmp_path / "caught")
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM
            (tmp_path / "end").touch()


@pytest.mark.parametrize("snapshot,frames", [([], [None]), (["--snapshot"], ["THAW", None])])
def test_a_signal_before_it_is_held_calls_it_off(snapshot, frames):
    asked = threading.Event()
    seen = []

    def script(peer):
        peer.expect(codec.QUIESCE)
        asked.set()
        frame = peer.recv()
        seen.append(frame and frame.name)
        if frame is not None:
            peer.send(codec.STATUS, quiesced("ECANCELED: it was called off", "sessions"))
            peer.exit(1)
            seen.append(peer.recv())
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("quiesce", *snapshot, "echo", "begun") as process:
            assert asked.wait(20)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
            assert process.returncode == -signal.SIGINT and (out, err) == (b"", b"")
    assert seen == frames


# ---- without a command ---------------------------------------------------------------


def test_without_a_command_the_end_of_input_ends_it():
    guest = Guest()
    with FakeAgent(guest) as fake:
        with Ctl(fake.path).start("quiesce", "--hold", "9", stdin=-1) as process:
            assert b"for at most 9 s; Ctrl-C or the end of input" in process.stderr.readline()
            process.stdin.write(b"what is typed means nothing\n")
            process.stdin.flush()
            assert process.poll() is None and names(guest) == ["QUIESCE"]
            process.stdin.close()
            assert process.wait(20) == 0
    assert names(guest) == ["QUIESCE", "THAW"]


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM),
                                         (signal.SIGHUP, -signal.SIGHUP), (signal.SIGQUIT, -signal.SIGQUIT)])
def test_without_a_command_a_signal_ends_it_and_the_guest_goes_on(number, code):
    guest = Guest()
    with FakeAgent(guest) as fake:
        with Ctl(fake.path).start("quiesce", stdin=-1) as process:
            process.stderr.readline()
            process.send_signal(number)
            assert process.wait(20) == code
    assert names(guest) == ["QUIESCE", "THAW"]


def test_without_a_command_ctrl_d_on_a_terminal_ends_it():
    with FakeAgent(Guest()) as fake:
        with Terminal(Ctl(fake.path), "quiesce") as term:
            term.read_until(b"stands still")
            term.type(b"\x04")
            assert term.wait() == 0


def test_without_a_command_an_early_end_is_ours():
    done = run(Guest(held=ends("expired")), stdin=socket.socketpair()[0])
    assert done.code == 125 and "--hold was over" in done.text


def test_without_a_command_a_lost_connection_is_the_end_but_not_of_a_snapshot():
    done = run(Guest(held=lambda peer: True), stdin=socket.socketpair()[0])
    assert done.code == 125 and "was lost" in done.text
    guest = Guest(held=lambda peer: True)
    with FakeAgent(guest) as fake:
        with Ctl(fake.path).start("quiesce", "--snapshot", stdin=-1) as process:
            process.stderr.readline()
            assert b"as it may be over a snapshot" in process.stderr.readline()
            assert names(guest) == ["QUIESCE"]
            process.stdin.close()
            assert process.wait(20) == 0
    assert names(guest) == ["QUIESCE", "THAW"]


# ---- thaw ------------------------------------------------------------------------------


@pytest.mark.parametrize("code,status,words", [(0, 0, ""), (1, 1, "does not stand still"), (-1, 1, "its log")])
def test_thaw_tells_what_came_of_it(code, status, words):
    def script(peer):
        first = peer.recv()
        if first.type == codec.STATUS_REQ:
            peer.send(codec.STATUS, {"version": "1", "features": ["QUIESCE", "THAW"]})
            peer.exit(0)
            return
        assert first.type == codec.THAW and first.payload == b""
        peer.exit(code)
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("thaw")
    assert done.code == status and words in done.text and (done.stderr != b"") == (status != 0)


# ---- against the real agent ------------------------------------------------------------
#
# What is frozen there is nothing: this machine is not a guest.

NOTHING = ("--no-sessions", "--no-sync")


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path, env={"CTL": ctl_binary()})


def test_status_shows_a_guest_that_stands_still(ctl):
    out = ctl.ok("quiesce", *NOTHING, *sh("$CTL status; $CTL status --prometheus")).decode()
    assert re.search(r"^Quiesced +held, for at most \d+ s more$", out, re.MULTILINE)
    assert re.search(r"^vmm_guest_quiesced 1$", out, re.MULTILINE)
    assert "Quiesced" not in ctl.ok("status").decode()
    assert b"\nvmm_guest_quiesced 0\n" in ctl.ok("status", "--prometheus")


def test_a_command_is_held_for_and_the_guest_goes_on(ctl):
    done = ctl.run("quiesce", *NOTHING, "--report", *sh("! $CTL quiesce true; $CTL thaw --help >/dev/null; exit 6"))
    assert done.code == 6 and "EBUSY" in done.text and "thawed after" in done.text
    done = ctl.run("thaw")
    assert done.code == 1 and "does not stand still" in done.text


def test_a_thaw_by_another_is_told(ctl):
    done = ctl.run("quiesce", *NOTHING, *sh("$CTL thaw && echo thawed"))
    assert done.code == 125 and done.stdout == b"thawed\n" and "somebody else asked for that" in done.text


@pytest.mark.parametrize("option,code", [([], 125), (["--no-thaw"], 0)])
def test_restored_thaws_unless_it_is_told_not_to(ctl, option, code):
    """It sets the clock to what it is, and no more."""
    done = ctl.run("quiesce", *NOTHING, *sh('$CTL restored "$@" && $CTL status', *option))
    assert done.code == code and (b"\nQuiesced" in done.stdout) == (code == 0)


def test_a_hold_that_is_over_is_told(ctl):
    script = "while $CTL status | grep -q Quiesced; do sleep .1; done"
    done = ctl.run("quiesce", *NOTHING, "--hold", "1", *sh(script))
    assert done.code == 125 and "--hold was over" in done.text


def test_what_is_asked_for_meanwhile_is_refused_or_waits(ctl):
    script = "$CTL exec true; echo $?; $CTL cat /etc/hostname; echo $?"
    done = ctl.run("quiesce", *NOTHING, "--within", "1", *sh(script))
    assert done.code == 0 and done.stdout == b"125\n1\n" and done.text.count("busy: quiesced") == 2


@pytest.mark.parametrize("option,words", [("--fsfreeze=/proc", "virtual"), ("--fsfreeze=/no/such/path", "ENOENT")])
def test_a_path_that_is_on_nothing_to_be_frozen_is_told(ctl, option, words):
    done = ctl.run("quiesce", *NOTHING, option, "echo", "begun")
    assert done.code == 125 and words in done.text and done.stdout == b""


@pytest.mark.kills_workers
@pytest.mark.parametrize("snapshot,code", [([], 125), (["--snapshot"], 0)])
def test_the_loss_of_the_worker_that_holds_it_is_told_but_for_a_snapshot(agent, ctl, tmp_path, snapshot, code):
    deaths = agent.status()["worker_deaths"]["total"]
    with ctl.start("quiesce", *NOTHING, *snapshot, *sh(UNTIL_END), cwd=tmp_path) as process:
        wait_until(lambda: agent.status().get("quiesce", {}).get("phase") == "held")
        slot = next(slot for slot in agent.status()["slots"] if slot["kind"] == "quiesce")
        kill_hard(slot["pid"])
        wait_until(lambda: agent.status()["worker_deaths"]["total"] > deaths)
        (tmp_path / "end").touch()
        assert process.wait(20) == code
        assert (b"may have gone on too early: the " in process.stderr.read()) == (code != 0)
    wait_until(lambda: "quiesce" not in agent.status(), message="it is over")
