# SPDX-License-Identifier: MIT
"""START's members that only hosts of our own day send."""

import os
import sys
import time

import pytest

import codec
from agent import FILL_PIPE, is_running, kill_hard, stat_of, wait_until
from answers import refused
from faults import Fault, mounted

BOTH = pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])


# ---- stdin: false -------------------------------------------------------------


def test_stdin_false_is_dev_null(agent):
    result = agent.run(["readlink", "/proc/self/fd/0"], stdin_member=False, eof=False)
    assert result.stdout == b"/dev/null\n"


def test_stdin_false_ignores_stdin_frames(agent, tmp_path):
    script = "cat; until test -e %s; do sleep 0.05; done; echo end" % (tmp_path / "go")
    conn = agent.start(["sh", "-c", script], stdin=False)
    data = codec.encode(codec.STDIN, b"x" * 1048576) * 8
    assert conn.send_reading(data) == len(data), "frames were not taken"
    (tmp_path / "go").touch()
    conn.send(codec.EOF)
    assert conn.result().stdout == b"end\n"


def test_stdin_true_is_the_default(agent):
    assert agent.run(["cat"], stdin=b"x", stdin_member=True).stdout == b"x"


# ---- kill_grace_seconds -------------------------------------------------------
# The programs have to set their trap before their time is over, on any machine: 3 s.


def test_kill_grace_sends_sigterm_first(agent):
    result = agent.sh("trap 'echo term; exit 7' TERM; while :; do sleep 0.05; done",
                      timeout_seconds=3, kill_grace_seconds=20, report=True)
    assert (result.stdout, result.code, result.signal) == (b"term\n", 7, 0)
    assert result.elapsed > 2.9 and result.event("exited")["reason"] == "timeout"


@BOTH
def test_kill_grace_ends_with_sigkill(agent, tty):
    result = agent.sh("trap '' TERM; while :; do sleep 0.05; done", tty=tty,
                      timeout_seconds=3, kill_grace_seconds=1)
    assert (result.code, result.signal) == (137, 9) and result.elapsed > 3.9


def test_kill_grace_without_timeout_does_nothing(agent):
    assert agent.sh("sleep 1.3; exit 3", kill_grace_seconds=1).code == 3


def test_what_outlives_sigterm_in_the_group_is_killed_too(agent):
    conn = agent.start(["sh", "-c", "(trap '' TERM; exec sleep 60) & echo $!; exec sleep 60"],
                       timeout_seconds=3, kill_grace_seconds=1)
    pid = int(conn.read_output(b"\n"))
    result = conn.result()
    assert (result.code, result.signal) == (143, 15)
    wait_until(lambda: not is_running(pid), message="the rest of the group is killed")


# ---- detach ---------------------------------------------------------------------


def test_detach_lets_the_program_go_and_answers_at_once(agent, tmp_path):
    note = tmp_path / "note"
    result = agent.sh("until test -e %s; do sleep 0.05; done; "
                      "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >%s" % (tmp_path / "go", note),
                      detach=True, report=True)
    assert (result.code, result.signal, result.stdout) == (0, 0, b"")
    pid = result.event("started")["pid"]
    assert is_running(pid) and [s["event"] for s in result.statuses] == ["started"]
    (tmp_path / "go").touch()
    wait_until(lambda: not is_running(pid), message="the program ends")
    assert note.read_text().split()[0] == "/dev/null" and note.read_text().split()[2] == "/dev/null"


def test_a_detached_program_is_listed_until_it_ends(agent, tmp_path):
    script = "until test -e %s; do sleep 0.05; done" % (tmp_path / "go")
    pid = agent.sh(script, detach=True, report=True).event("started")["pid"]
    slots = [s for s in agent.status()["slots"] if s.get("pid") == pid]
    assert len(slots) == 1 and slots[0]["session"] > 0, agent.status()["slots"]
    (tmp_path / "go").touch()
    wait_until(lambda: not [s for s in agent.status()["slots"] if s.get("pid") == pid], message="it goes")


def test_a_detached_program_holds_no_worker(start_agent):
    agent = start_agent("--workers=4")
    pids = [agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"] for _ in range(6)]
    try:
        assert all(is_running(p) for p in pids)
        assert agent.run(["echo", "x"]).stdout == b"x\n"
    finally:
        kill_hard(*pids)


def test_a_detached_program_outlives_its_worker(start_agent):
    agent = start_agent("--workers=2", "--recycle=1")
    pid = agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"]
    try:
        for _ in range(4):
            agent.run(["true"])
        assert is_running(pid)
    finally:
        kill_hard(pid)


def kill_detached(agent, session, pid):
    """By KILL, which waits for 2 s: not while it is still the child of a worker that leaves."""
    wait_until(lambda: stat_of(pid)[1] == agent.pid, message="it is the supervisor's child")
    assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0
    wait_until(lambda: not is_running(pid), message="it is killed")


def test_a_detached_session_can_be_killed_by_its_number(agent):
    pid = agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"]
    session = [s["session"] for s in agent.status()["slots"] if s.get("pid") == pid][0]
    kill_detached(agent, session, pid)


# Once it is the agent's child it has it trace itself, and stops.
TRACED = """
import ctypes, os, pathlib, signal, sys, time
while os.getppid() != int(sys.argv[1]):
    time.sleep(0.01)
ctypes.CDLL(None).ptrace(0, 0, 0, 0)
os.kill(os.getpid(), signal.SIGWINCH)
pathlib.Path(sys.argv[2]).touch()
time.sleep(60)
"""


def test_a_detached_program_that_makes_the_agent_its_tracer_goes_on(agent, tmp_path):
    argv = [sys.executable, "-c", TRACED, str(agent.pid), str(tmp_path / "on")]
    pid = agent.run(argv, detach=True, report=True).event("started")["pid"]
    try:
        wait_until((tmp_path / "on").exists, message="it goes on")
        assert [s for s in agent.status()["slots"] if s.get("pid") == pid]
    finally:
        kill_hard(pid)


def test_detach_without_report_sends_exit_alone(agent):
    result = agent.run(["true"], detach=True)
    assert [f.type for f in result.frames] == [codec.EXIT] and result.code == 0


def test_detach_still_tells_what_can_not_be_run(agent):
    refused(agent.run(["no-such-program"], detach=True), 127)
    refused(agent.run(["true"], detach=True, user="no-such-user"), 126)


@pytest.mark.parametrize("members", [
    {"tty": True}, {"timeout_seconds": 5}, {"kill_grace_seconds": 5}], ids=lambda m: list(m)[0])
def test_detach_does_not_go_with(agent, members):
    assert "detach" in refused(agent.run(["true"], detach=True, **members))


@pytest.mark.ends_agent
def test_a_detached_program_is_stopped_with_the_agent(start_agent):
    """A service stops its sessions before it exits."""
    agent = start_agent("--workers=2")
    pid = agent.run(["sleep", "60"], detach=True, report=True).event("started")["pid"]
    try:
        agent.terminate()
        wait_until(lambda: not is_running(pid), message="it is stopped")
    finally:
        kill_hard(pid)


# ---- report ---------------------------------------------------------------------


def test_report_tells_of_the_start_and_of_the_end(agent):
    result = agent.sh("echo $$; exit 3", report=True)
    assert [f.type for f in result.frames] == [codec.STATUS, codec.STDOUT, codec.STATUS, codec.EXIT]
    assert result.statuses[0] == dict(result.statuses[0], event="started", pid=int(result.stdout))
    end = result.event("exited")
    assert (end["code"], end["signal"], end["reason"], end["output_held"]) == (3, 0, "exited", False)


def test_report_measures(agent):
    burn = "import time; x = bytearray(50000000)\nwhile time.process_time() < 0.3: [i for i in range(10000)]"
    end = agent.run(["python3", "-c", burn], report=True).event("exited")
    used = end["user_ms"] + end["system_ms"]
    assert used > 290 and end["user_ms"] > 0 and end["system_ms"] >= 0
    assert end["wall_ms"] >= used * 0.5
    assert 45000 < end["max_rss_kb"] < 2000000
    quick = agent.sh("sleep 0.5", report=True).event("exited")
    assert 450 < quick["wall_ms"] < 20000 and quick["user_ms"] < 400
    assert quick["max_rss_kb"] < 40000, "the largest of another session's"


@BOTH
@pytest.mark.parametrize("script,code,number,reason", [
    ("exit 0", 0, 0, "exited"), ("exit 200", 200, 0, "exited"), ("kill -9 $$", 137, 9, "signaled"),
    ("kill -TERM $$", 143, 15, "signaled")])
def test_report_gives_code_signal_and_reason(agent, script, code, number, reason, tty):
    result = agent.sh(script, report=True, tty=tty)
    end = result.event("exited")
    assert (end["code"], end["signal"], end["reason"]) == (code, number, reason)
    assert (result.code, result.signal) == (code, number)


def test_report_names_the_timeout(agent):
    end = agent.run(["sleep", "60"], report=True, timeout_seconds=1).event("exited")
    assert (end["code"], end["signal"], end["reason"]) == (137, 9, "timeout")


def test_report_says_when_a_descendant_held_the_output(agent):
    result = agent.sh("sleep 30 & echo $!", report=True)
    kill_hard(int(result.stdout))
    assert result.event("exited")["output_held"] is True


def test_report_does_not_say_so_where_the_host_was_slow(agent):
    conn = agent.start([sys.executable, "-c", FILL_PIPE], report=True)
    time.sleep(1.5)
    result = conn.result()
    assert result.event("exited")["output_held"] is False and len(result.stdout) == 1 << 20


def test_report_of_what_never_ran_has_no_start(agent):
    result = agent.run(["no-such-program"], report=True)
    assert result.code == 127 and not [s for s in result.statuses if s["event"] == "started"]


@pytest.mark.ends_agent
def test_report_names_the_shutdown(start_agent):
    agent = start_agent("--workers=3")
    conn = agent.start(["sh", "-c", "echo up; exec sleep 60"], report=True)
    conn.read_output(b"up\n")
    os.kill(agent.pid, 15)
    result = conn.result(timeout=20)
    assert result.event("exited")["reason"] == "shutdown" and result.exit is not None
    assert agent.process.wait(20) == 0


# ---- limits ---------------------------------------------------------------------


@pytest.mark.parametrize("name,line", [
    ("nofile", "Max open files"), ("core_bytes", "Max core file size"), ("fsize_bytes", "Max file size")])
@pytest.mark.parametrize("user", ["", "nobody"], ids=["root", "nobody"])
def test_rlimits_are_set_soft_and_hard(agent, name, line, user):
    out = agent.run(["cat", "/proc/self/limits"], limits={name: 100}, user=user).stdout.decode()
    found = [l for l in out.splitlines() if l.startswith(line)][0]
    assert found[len(line):].split()[:2] == ["100", "100"], found


def test_fsize_stops_a_program(agent, tmp_path):
    result = agent.sh("exec head -c 100000 /dev/zero >%s" % (tmp_path / "x"), limits={"fsize_bytes": 5000})
    assert (result.code, result.signal) == (153, 25) and (tmp_path / "x").stat().st_size == 5000


def test_limits_are_of_their_session_alone(agent):
    before = agent.sh("ulimit -n").stdout
    agent.run(["true"], limits={"nofile": 20})
    for _ in range(8):
        assert agent.sh("ulimit -n").stdout == before


def test_limits_together(agent):
    out = agent.run(["cat", "/proc/self/limits"], limits={"nofile": 64, "core_bytes": 0, "fsize_bytes": 1000000}).stdout
    assert out.count(b" 64 ") == 2 and out.count(b" 1000000 ") == 2


def test_empty_limits_are_none(agent):
    assert agent.run(["echo", "x"], limits={}).stdout == b"x\n"


def test_nofile_of_the_three_streams_is_enough_to_be_born(agent):
    """Not to be linked; but that is the program's own affair, and its own words."""
    result = agent.run(["cat"], limits={"nofile": 3})
    assert result.code not in (125, 126) and b"limit" not in result.stderr, result


def test_nofile_beyond_what_can_be_had_is_125_that_names_it(agent):
    assert "nofile" in refused(agent.run(["true"], limits={"nofile": 2**62}))


CGROUP_LIMITS = {
    "memory_bytes": (64 * 1024 * 1024, "exec python3 -c 'x = bytearray(400000000)'"),
    "pids": (10, "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 2 & done; wait"),
    "cpu_percent": (20, "timeout 1 sh -c 'while :; do :; done'; times"),
}


@pytest.mark.parametrize("name", CGROUP_LIMITS)
def test_a_cgroup_limit_holds_or_is_refused_by_name(agent, name):
    """Which of the two depends on the machine; a silent no is wrong on all."""
    value, script = CGROUP_LIMITS[name]
    result = agent.sh(script, limits={name: value}, report=True, timeout=60)
    if result.code == 125:
        assert name in refused(result)
        return
    end = result.event("exited")
    if name == "memory_bytes":
        assert end["reason"] == "oom" and end["memory_peak_bytes"] <= value
    elif name == "pids":
        assert result.code != 0
    else:
        assert end["user_ms"] + end["system_ms"] < 600
    assert agent.run(["echo", "x"]).stdout == b"x\n"


# ---- all of a session -------------------------------------------------------------


def has_cgroup_kill(agent):
    """Whether this agent has put a session into a cgroup of its own."""
    theirs = agent.run(["cat", "/proc/self/cgroup"]).stdout.decode()
    own = [l for l in theirs.splitlines() if l.startswith("0::")]
    with open("/proc/%d/cgroup" % agent.pid) as f:
        return bool(own) and own[0] not in f.read()


@pytest.mark.parametrize("how", ["timeout", "disconnect"])
def test_setsid_escapee_is_killed(agent, how):
    """By its cgroup. Where there is none this can't hold, and the group is all."""
    members = {"timeout_seconds": 1} if how == "timeout" else {}
    conn = agent.start(["sh", "-c", "setsid sh -c 'echo $$; exec sleep 60' & exec sleep 60"], **members)
    escapee = int(conn.read_output(b"\n"))
    try:
        if how == "timeout":
            assert conn.result().code == 137
        conn.close()
        if has_cgroup_kill(agent):
            wait_until(lambda: not is_running(escapee), message="the escapee is killed")
        else:
            time.sleep(2.5)
            assert is_running(escapee), "without a cgroup nothing can have killed it"
            assert "cgroup" in agent.log(), "said once in the log"
    finally:
        kill_hard(escapee)


# ---- name ----------------------------------------------------------------------


def named_slots(agent):
    return {s["command"]: s.get("name") for s in agent.status()["slots"] if s["command"].startswith("sleep")}


def test_a_name_is_a_label_in_status_and_one_without_has_none(agent):
    named = agent.start(["sleep", "61"], name="build-1.a_Z")
    plain = agent.start(["sleep", "62"])
    slots = wait_until(lambda: len(named_slots(agent)) == 2 and named_slots(agent), message="both run")
    assert slots == {"sleep 61": "build-1.a_Z", "sleep 62": None}
    for conn in named, plain:
        conn.close()
    wait_until(lambda: not named_slots(agent), message="both have ended")


def test_a_plain_name_need_not_be_the_only_one(agent):
    conns = [agent.start(["cat"], name="twin") for _ in range(2)]
    for conn in conns:
        conn.send(codec.STDIN, b"up")
        conn.read_output(b"up")
    assert [s["name"] for s in agent.status()["slots"] if s["kind"] == "exec"] == ["twin", "twin"]


def test_a_detached_program_keeps_its_name(agent):
    pid = agent.run(["sleep", "64"], detach=True, report=True, name="far").event("started")["pid"]
    slots = [s for s in agent.status()["slots"] if s["kind"] == "detached" and s["pid"] == pid]
    assert [s["name"] for s in slots] == ["far"]
    kill_detached(agent, slots[0]["session"], pid)


# ---- streams that can't be had --------------------------------------------------


@pytest.mark.parametrize("members,named", [
    ({"stdin": False}, "/dev/null"), ({"detach": True}, "/dev/null"), ({"tty": True}, "/dev/ptmx"),
    ({"tty": True, "stdin": False}, "/dev/ptmx")])
def test_a_stream_that_cannot_be_opened_is_125_that_names_the_file(start_agent, monkeypatch, tmp_path, members, named):
    mounted(monkeypatch, tmp_path, "mount -t tmpfs none /dev")
    agent = start_agent("--workers=2")
    text = refused(agent.request(codec.START, {"cmd": ["/bin/true"], **members}))
    assert named + " " in text and "No such file" in text, text
    assert agent.run(["/bin/true"]).code == 0


@pytest.mark.parametrize("when,named", [(1, "/dev/ptmx"), (2, "the slave of /dev/ptmx")])
def test_a_terminal_that_cannot_be_had_is_125_that_names_its_end(start_agent, when, named):
    agent = start_agent("--workers=2")
    with Fault(agent.worker_pids(), "ioctl", "error=EIO", when):
        text = refused(agent.request(codec.START, {"cmd": ["/bin/true"], "tty": True}))
    assert " %s " % named in text and "Input/output error" in text, text
