# SPDX-License-Identifier: MIT
"""vmm-guest-ctl exec, against the real agent: streams, signals, endings."""

import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import codec
from agent import is_running, wait_until
from client import Ctl, FakeAgent, Process


@pytest.fixture
def ctl(agent):
    return Ctl(agent.path)


def sh(script, *args):
    return ("--", "/bin/sh", "-c", script, "sh", *args)


# ---- the program's end is ours ------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_exit_status_is_the_programs(ctl, code):
    assert ctl.run("exec", *sh("exit %d" % code)).code == code


def test_death_by_signal_is_128_plus_its_number(ctl):
    assert ctl.run("exec", *sh("kill -9 $$")).code == 137


def test_a_program_that_is_not_there_is_127_in_words(ctl):
    done = ctl.run("exec", "no-such-program")
    assert done.code == 127 and "no-such-program" in done.text


def test_an_unknown_user_is_126_in_words(ctl):
    done = ctl.run("exec", "-u", "nobody-of-this-name", "true")
    assert done.code == 126 and "nobody-of-this-name" in done.text


def test_no_agent_is_125_and_says_what_was_tried(tmp_path):
    done = Ctl(str(tmp_path / "none.sock")).run("exec", "true")
    assert done.code == 125
    assert "none.sock, port 52: No such file or directory; is the VM running?" in done.text


def test_no_address_is_125_and_says_how_to_give_one():
    ctl = Ctl("")
    del ctl.env["VMM_GUEST_ADDR"]
    done = ctl.run("exec", "true")
    assert done.code == 125 and "VMM_GUEST_ADDR" in done.text and "-a" in done.text


def test_the_address_on_the_command_line_wins(agent):
    ctl = Ctl("/nowhere")
    assert ctl.ok("-a", "unix:" + agent.path, "exec", "echo", "x") == b"x\n"


@pytest.mark.parametrize("args", [[], ["--no-such-option", "true"], ["--timeout", "x", "true"],
                                  ["-e", "=x", "true"], ["--limit", "memory=1", "true"],
                                  ["--durable=keep=0", "true"], ["--kill-grace", "2", "true"]])
def test_wrong_use_is_125_and_leads_to_the_help(ctl, args):
    done = ctl.run("exec", *args)
    assert done.code == 125 and "exec --help" in done.text and done.stdout == b""


def test_options_behind_the_program_are_the_programs(ctl):
    assert ctl.ok("exec", "echo", "-i", "--help") == b"-i --help\n"


def test_a_command_line_that_is_too_long_for_the_agent_is_refused_in_words(ctl):
    done = ctl.run("exec", "true", *["x" * 100000] * 15)
    assert done.code == 125 and done.text != ""
    assert ctl.run("exec", "true", *["x" * 100000] * 9).code == 0


def test_an_argument_that_is_no_utf8_is_refused_in_words(ctl):
    done = ctl.run("exec", "echo", b"\xff")
    assert done.code == 125 and "UTF-8" in done.text


def test_env_workdir_and_user_reach_the_program(ctl):
    ctl.env["TAKEN"] = "from here"
    out = ctl.ok("exec", "-e", "A=1=2", "-e", "TAKEN", "-e", "NOT_SET_ANYWHERE", "-w", "/usr",
                 "-u", "nobody", *sh("echo $A; echo $TAKEN; pwd; id -un; env | grep -c NOT_SET; true"))
    assert out.split(b"\n")[:5] == [b"1=2", b"from here", b"/usr", b"nobody", b"0"]


# ---- streams --------------------------------------------------------------------


def test_standard_output_and_error_are_kept_apart(ctl):
    done = ctl.run("exec", *sh("echo out; echo err >&2"))
    assert done == (0, b"out\n", b"err\n")


def test_standard_input_is_empty_without_i(ctl):
    read, write = os.pipe()
    try:
        assert ctl.run("exec", "cat", stdin=read).code == 0
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("option", [[], ["--no-stdin"]])
def test_standard_input_is_dev_null_without_i_and_t(ctl, option):
    assert ctl.ok("exec", *option, "readlink", "/proc/self/fd/0") == b"/dev/null\n"
    assert ctl.ok("exec", "-i", *sh("[ -p /dev/stdin ] && cat"), input=b"x") == b"x"


def test_an_older_agent_has_eof_as_well_as_stdin_false():
    def script(peer):
        request = peer.expect(codec.START).json()
        peer.until(codec.EOF)
        peer.exit(7 if request["stdin"] is False else 1)
    with FakeAgent(script) as fake:
        assert Ctl(fake.path).run("exec", "a").code == 7


def test_a_program_ends_though_our_standard_input_stays_open(ctl):
    with ctl.start("exec", "-i", "echo", "x", stdin=subprocess.PIPE) as process:
        assert process.stdout.read() == b"x\n"
        assert process.wait(20) == 0


def test_24_mib_through_cat_come_back_whole(ctl):
    data = os.urandom(24 << 20)
    assert ctl.ok("exec", "-i", "cat", input=data) == data


def test_output_may_block_while_input_goes_on(ctl):
    """The guest reads all its input while nobody reads its output."""
    data = b"x" * (4 << 20)
    script = "head -c 1000000 /dev/zero & cat >/dev/null; wait; echo; echo done"
    with ctl.start("exec", "-i", *sh(script), stdin=subprocess.PIPE) as process:
        process.stdin.write(data)
        process.stdin.close()
        assert process.stdout.read().endswith(b"done\n")
        assert process.wait(20) == 0


def test_a_reader_that_stops_for_a_while_loses_nothing(ctl):
    with ctl.start("exec", *sh("head -c 8000000 /dev/zero | tr '\\0' y; echo end >&2")) as process:
        time.sleep(1)
        assert process.stdout.read() == b"y" * 8000000
        assert process.stderr.read() == b"end\n"


def test_a_reader_that_leaves_ends_it_quietly(ctl):
    with ctl.start("exec", "yes") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_an_input_that_cannot_be_read_is_no_empty_one(ctl, tmp_path):
    source = os.open(tmp_path, os.O_RDONLY)
    done = ctl.run("exec", "-i", "cat", stdin=source)
    os.close(source)
    assert done.code == 125 and "can't read standard input: Is a directory" in done.text


def closed(number):
    """For a client that is started with this one closed."""
    return {"preexec_fn": lambda: os.close(number), "stdin": None}


def test_what_was_closed_is_not_dev_null(ctl, tmp_path):
    old = tmp_path / "old"
    old.write_text("old")
    done = ctl.run("cp", "-", "vm:%s" % old, **closed(0))
    assert done.code == 1 and "Bad file descriptor" in done.text and old.read_text() == "old"
    assert ctl.run("cat", old, **closed(1)).code == 1
    assert ctl.run("exec", "echo", "x", **closed(1)).code == 125
    assert ctl.run("exec", "true", **closed(1)).code == 0


def test_a_full_disk_here_is_said(ctl):
    with open("/dev/full", "wb") as full:
        done = ctl.run("exec", "yes", stdout=full)
    assert done.code == 125 and "No space left" in done.text


def test_our_streams_are_not_made_nonblocking_for_others(ctl):
    read, write = os.pipe()
    try:
        assert ctl.run("exec", "true", stdout=write, stdin=read).code == 0
        for fd in (read, write):
            assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    finally:
        os.close(read)
        os.close(write)


def test_eight_at_once_keep_to_themselves(start_agent):
    ctl = Ctl(start_agent("--workers=16").path)
    data = [os.urandom(2 << 20) for _ in range(8)]
    found = [None] * 8

    def one(i):
        found[i] = ctl.ok("exec", "-i", "sha256sum", input=data[i]).split()[0].decode()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [hashlib.sha256(d).hexdigest() for d in data]


# ---- signals --------------------------------------------------------------------


def pending_signals(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return any(int(mask, 16) for mask in re.findall(r"^S[ih][gd]Pnd:\s+(\w+)", f.read(), re.M))


TRAPPED = "trap 'echo got it; exit 42' %s; echo ready; while :; do sleep 0.05; done"


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_a_signal_is_passed_on_and_the_program_decides(ctl, name):
    with ctl.start("exec", *sh(TRAPPED % name)) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(getattr(signal, "SIG" + name))
        assert process.wait(20) == 42
        assert process.stdout.read() == b"got it\n"


def test_ctrl_c_of_a_loop_in_a_shell_ends_the_loop(ctl):
    script = 'for i in 1 2 3; do "$0" exec -- sh -c "echo started; exec sleep 60"; done; echo on'
    argv = ["bash", "-c", script, *ctl.argv()]
    with Process(argv, env=ctl.env, stdout=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdout.readline() == b"started\n"
        os.killpg(shell.pid, signal.SIGINT)
        assert shell.wait(20) == -signal.SIGINT
        assert shell.stdout.read() == b""


def test_a_second_signal_leaves_a_program_that_does_not_listen(ctl):
    script = "trap '' INT TERM; echo $$; while :; do sleep 0.05; done"
    with ctl.start("exec", *sh(script)) as process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not pending_signals(process.pid), message="it is taken")
        time.sleep(0.3)
        assert process.poll() is None
        # Of two within 2 s, which a busy machine may let pass between any two.
        wait_until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT), message="it leaves")
        assert process.wait(20) == -signal.SIGINT
        wait_until(lambda: not is_running(pid), message="the program ends")


def test_a_second_signal_long_after_is_passed_on_too(ctl):
    script = ("n=0; trap 'n=$((n+1)); echo $n' INT; echo ready; "
              "while [ $n -lt 2 ]; do sleep 0.05; done; exit 0")
    with ctl.start("exec", *sh(script)) as process:
        assert process.stdout.readline() == b"ready\n"
        for line in (b"1\n", b"2\n"):
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == line
            time.sleep(2.2)
        assert process.wait(20) == 0


def test_signals_act_though_nobody_reads_the_output(ctl):
    with ctl.start("exec", "yes") as process:
        process.stdout.readline()
        time.sleep(0.5)                 # all pipes are full now
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (-signal.SIGTERM, -signal.SIGINT)


def test_an_ignored_signal_stays_ignored(ctl):
    """As under nohup."""
    with ctl.start("exec", *sh("echo ready; sleep 0.5; echo lived"),
                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read() == b"lived\n"
        assert process.wait(20) == 0


# ---- time, reports, limits, detached programs -------------------------------------


def test_timeout_ends_the_program(ctl):
    assert ctl.run("exec", "--timeout", "1", "sleep", "60").code == 137


def test_kill_grace_lets_the_program_clean_up(ctl):
    script = "trap 'echo cleaned; exit 9' TERM; while :; do sleep 0.05; done"
    # The program has to set its trap before its time is over, on any machine.
    done = ctl.run("exec", "--timeout", "3", "--kill-grace", "20", *sh(script))
    assert (done.code, done.stdout) == (9, b"cleaned\n")


def test_report_for_people_says_how_it_ended(ctl):
    done = ctl.run("exec", "--report", *sh("exit 3"))
    assert done.code == 3 and done.stdout == b""
    assert "exited with status 3" in done.text and "of memory" in done.text
    done = ctl.run("exec", "--report", "--timeout", "1", "sleep", "60")
    assert "ended by SIGKILL: its time was up" in done.text


def test_report_to_a_file_is_the_agents_json(ctl, tmp_path):
    path = tmp_path / "report"
    assert ctl.run("exec", "--report=%s" % path, *sh("exit 3")).code == 3
    started, exited = [json.loads(line) for line in path.read_text().splitlines()]
    assert started["event"] == "started" and started["pid"] > 1
    assert exited["event"] == "exited" and (exited["code"], exited["signal"]) == (3, 0)


def test_report_to_a_file_that_cannot_be_written_is_said_before_it_runs(ctl, tmp_path):
    ran = tmp_path / "ran"
    done = ctl.run("exec", "--report=/nowhere/report", "touch", str(ran))
    assert done.code == 125 and "/nowhere/report" in done.text
    assert not ran.exists()


def test_a_report_that_is_lost_is_a_failure(ctl):
    done = ctl.run("exec", "--report=/dev/full", "true")
    assert done.code == 125 and "can't write to /dev/full: No space left on device" in done.text
    assert ctl.run("exec", "--report=/dev/full", "sh", "-c", "exit 3").code == 3


def test_limits_reach_the_program(ctl):
    out = ctl.ok("exec", "--limit", "nofile=77", "--limit", "fsize_bytes=1M",
                 *sh("ulimit -n; ulimit -f"))
    assert out == b"77\n2048\n"


def test_a_detached_program_is_listed_and_can_be_killed(ctl):
    name = ctl.ok("exec", "--detach", "sleep", "4321").decode().strip()
    assert [l.split()[1] for l in ctl.ok("ps").decode().splitlines() if "4321" in l] == [name]
    assert ctl.ok("kill", name, "KILL") == b""
    wait_until(lambda: b"SIGKILL" in ctl.ok("sessions"), message="it has ended")
    assert ctl.run("attach", name).code == 137
    assert ctl.ok("forget", name) == b"" and name.encode() not in ctl.ok("sessions")


def test_kill_ends_a_session_that_runs(ctl):
    with ctl.start("exec", "sleep", "4322") as process:
        wait_until(lambda: b"4322" in ctl.ok("ps"), message="it is listed")
        line = [l for l in ctl.ok("ps").decode().splitlines() if "4322" in l][0]
        assert ctl.run("kill", line.split()[0], "sigint").code == 0
        assert process.wait(20) == 130


@pytest.mark.parametrize("name", ["-9", "-KILL", "-SIGKILL"])
def test_the_signal_may_stand_in_front_as_kill_has_it(ctl, name):
    with ctl.start("exec", "sleep", "60") as running:
        ps = wait_until(lambda: [line.split() for line in ctl.ok("ps").decode().splitlines()
                                 if "sleep 60" in line], message="it runs")
        ctl.ok("kill", name, ps[0][0])
        assert running.wait(20) == 137


@pytest.mark.parametrize("how", [["-s", "KILL"], ["-s", "9"], ["--signal=sigkill"], ["-9"]])
def test_kill_takes_several_sessions_by_name_and_number(ctl, how):
    names = [ctl.ok("exec", "-d", "sleep", "60").decode().strip() for _ in range(3)]
    number = [line.split()[0] for line in ctl.ok("ps").decode().splitlines() if f" {names[2]} " in line][0]
    assert ctl.ok("kill", *how, names[0], names[1], number) == b""
    wait_until(lambda: ctl.ok("sessions").count(b"SIGKILL") == 3, message="all have ended")
    for name in names:
        ctl.ok("forget", name)


def test_kill_goes_on_behind_a_session_that_is_not_there(ctl):
    name = ctl.ok("exec", "-d", "sleep", "60").decode().strip()
    done = ctl.run("kill", "99999998", name, "99999999", "HUP")
    assert done.code == 1 and "99999998" in done.text and "99999999" in done.text
    wait_until(lambda: b"SIGHUP" in ctl.ok("sessions"), message="it has ended")
    ctl.ok("forget", name)


def test_kill_sends_nothing_where_an_operand_or_the_signal_makes_no_sense(ctl):
    name = ctl.ok("exec", "-d", "sleep", "60").decode().strip()
    for arguments in [name, "a b"], ["-s", "NONE", name], ["-s", "65", name], ["-s"], []:
        assert ctl.run("kill", *arguments).code == 2
    assert b"runs" in ctl.ok("sessions")
    ctl.ok("kill", "-9", name)
    wait_until(lambda: b"SIGKILL" in ctl.ok("sessions"), message="it has ended")
    ctl.ok("forget", name)


def test_ps_tells_numbers_alone_or_the_agents_words(ctl, tmp_path):
    name = ctl.ok("exec", "-d", "--", "sleep", "60").decode().strip()
    with ctl.start("watch", str(tmp_path)) as watch, ctl.start("exec", "sleep", "60") as running:
        wait_until(lambda: ctl.ok("ps").count(b"sleep 60") == 2 and b" watch " in ctl.ok("ps"), message="all are there")
        slots = [json.loads(line) for line in ctl.ok("ps", "--json").splitlines()]
        assert {slot["kind"] for slot in slots} >= {"exec", "watch"} and not any(s["kind"] == "status" for s in slots)
        assert [slot["name"] for slot in slots if "name" in slot] == [name]
        numbers = ctl.ok("ps", "-q").decode().split()
        assert sorted(numbers) == sorted(str(s["session"]) for s in slots if s["command"] == "sleep 60")
        assert ctl.run("ps", "-q", "--json").code == 2
        ctl.ok("kill", "-9", *numbers)
        assert running.wait(20) == 137
        watch.terminate()
    wait_until(lambda: b"SIGKILL" in ctl.ok("sessions"), message="it has ended")
    wait_until(lambda: ctl.ok("ps", "-q") == b"", message="the workers of all are idle")
    ctl.ok("forget", name)


def test_kill_of_no_session_says_so(ctl):
    done = ctl.run("kill", "99999999")
    assert done.code == 1 and "99999999" in done.text


# ---- what is the same for all commands --------------------------------------------


def test_every_command_has_help_of_80_columns(ctl):
    listed = ctl.ok("--help").decode()
    names = [line.split()[0] for line in listed.split("Options:")[0].splitlines()
             if line.startswith("  ")]
    assert len(names) >= 19
    for text in [listed] + [ctl.ok(name, "--help").decode() for name in names]:
        assert text.startswith("Usage: vmm-guest-ctl")
        assert [line for line in text.splitlines() if len(line) > 80] == []
    table = re.search("(?s)unix:PATH.*?(?=\n +--wait)", listed)[0].splitlines()
    assert len(table) == 3 and all(line.startswith(" " * 27) for line in table[1:]), table
    assert "\n  -c COMMAND  " in ctl.ok("shell", "--help").decode()


def test_a_trace_has_a_line_for_each_frame_and_changes_nothing_else(ctl):
    ctl.env["VMM_GUEST_TRACE"] = "1"
    done = ctl.run("exec", "printf", "a\\033[2Jb\\n")
    assert done.code == 0 and done.stdout == b"a\x1b[2Jb\n"
    lines = done.stderr.decode().splitlines()
    assert [line.split()[1:3] for line in lines if "STDOUT" not in line and "STATUS" not in line] == [
        ["->", "START,"], ["->", "EOF,"], ["<-", "EXIT,"]]
    assert "<- STDOUT, 7 bytes: a?[2Jb?" in done.text and "\x1b" not in done.text


def test_help_is_a_command_too(ctl):
    assert ctl.ok("help") == ctl.ok("--help")
    assert ctl.ok("help", "cp") == ctl.ok("cp", "--help")
    assert ctl.run("help", "frobnicate").code == 2


def test_an_address_behind_the_command_is_told_its_place(ctl):
    done = ctl.run("status", "-a", "unix:/x")
    assert done.code == 2 and "-a ADDRESS, goes before 'status'" in done.text


@pytest.mark.parametrize("typed,meant", [("statsu", "status"), ("exce", "exec"), ("shel", "shell")])
def test_a_mistyped_command_is_told_the_nearest(ctl, typed, meant):
    done = ctl.run(typed)
    assert done.code == 2 and "did you mean '%s'?" % meant in done.text


def test_an_unknown_command_is_told_all(ctl):
    done = ctl.run("frobnicate")
    assert done.code == 2 and "shell" in done.text and "restored" in done.text


def test_output_that_cannot_be_written_is_a_failure(ctl):
    with open("/dev/full", "wb") as full:
        assert ctl.run("status", stdout=full).code == 1


def test_status_as_table_json_and_metrics(ctl):
    assert json.loads(ctl.ok("status", "--json"))["protocol"] == 1
    table = ctl.ok("status").decode()
    assert "Workers" in table and "SESSION" in table
    metrics = ctl.ok("status", "--prometheus").decode()
    assert "vmm_guest_workers_configured 8" in metrics.splitlines()


def test_wait_returns_at_once_where_the_agent_answers(ctl):
    assert ctl.run("wait", "--timeout", "5").code == 0


def test_wait_of_no_time_looks_once(ctl):
    assert ctl.run("wait", "--timeout", "0").code == 0


def test_wait_says_once_what_it_waits_for(tmp_path):
    ctl = Ctl(str(tmp_path / "none.sock"))
    with ctl.start("wait", "--timeout", "7") as waiting:
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (1, b"")
    assert re.fullmatch("[^\n]*: waiting: [^\n]*none.sock[^\n]*\n[^\n]*the time is up[^\n]*\n", err.decode())


def test_wait_gives_up_when_the_time_is_up(tmp_path):
    begun = time.monotonic()
    done = Ctl(str(tmp_path / "none")).run("wait", "--timeout", "1")
    assert done.code == 1 and "is the VM running?" in done.text
    assert time.monotonic() - begun > 0.9




def test_a_program_that_had_its_time_and_one_that_is_not_there_are_told_of(ctl):
    done = ctl.run("exec", "--timeout", "1", "--", "sleep", "600")
    assert (done.code, done.text) == (137, "vmm-guest-ctl: ended by SIGKILL: its time was up\n")
    done = ctl.run("exec", "--", "/no\x1b/program")
    assert done.code == 127 and done.text.startswith("vmm-guest-ctl: ") and "\x1b" not in done.text
