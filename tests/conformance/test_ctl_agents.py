# SPDX-License-Identifier: MIT
"""vmm-guest-ctl against agents that are old, broken, gone or hostile."""

import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

import codec
from agent import descriptors, wait_until
from client import Ctl, FakeAgent


def run(script, *args, **more):
    handshake = more.pop("handshake", b"OK 7\n")
    with FakeAgent(script, handshake) as fake:
        return Ctl(fake.path).run(*args, **more)


# ---- finding the agent -------------------------------------------------------------


def test_nobody_on_the_port_is_told_from_no_vm():
    done = run(None, "exec", "true", handshake=None)
    assert done.code == 125 and "nobody answers" in done.text and "wait" in done.text


def test_what_is_not_a_vsock_device_is_named():
    done = run(lambda peer: None, "exec", "true", handshake=b"HTTP/1.1 400 Bad Request\r\n")
    assert done.code == 125 and "not a vsock device" in done.text


def test_each_port_is_asked_for():
    def script(peer):
        if peer.port == codec.EXEC_PORT:
            peer.until(codec.EOF)
            peer.exit(0)
        else:
            peer.expect(codec.FILE_READ_REQ)
            peer.send(codec.FILE_DONE)
    with FakeAgent(script) as fake:
        Ctl(fake.path).ok("exec", "true")
        Ctl(fake.path).ok("cat", "/x")
        assert fake.ports == [52, 53]


# ---- exec --------------------------------------------------------------------------


def test_start_holds_what_differs_from_the_defaults_and_no_more():
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.START).json())
        peer.expect(codec.EOF)
        peer.exit(0)
    run(script, "exec", "a", "b c")
    run(script, "exec", "-e", "K=V", "-w", "/w", "-u", "u", "--timeout", "9", "--kill-grace", "2",
        "--limit", "pids=5", "--limit", "memory_bytes=64M", "--no-stdin", "a")
    assert seen[0] == {"cmd": ["a", "b c"], "report": True, "stdin": False}
    assert seen[1] == {"cmd": ["a"], "report": True, "env": {"K": "V"}, "working_dir": "/w", "user": "u",
                       "timeout_seconds": 9, "kill_grace_seconds": 2, "stdin": False,
                       "limits": {"pids": 5, "memory_bytes": 64 << 20}}


def test_an_exit_of_four_bytes_is_understood():
    def script(peer):
        peer.until(codec.EOF)
        peer.send(codec.EXIT, struct.pack("<i", 9))
    assert run(script, "exec", "x").code == 9


@pytest.mark.parametrize("code,sig,expected", [(0, 0, 0), (143, 15, 143), (255, 0, 255), (-1, 0, 255), (192, 64, 192)])
def test_exit_codes_of_any_kind(code, sig, expected):
    def script(peer):
        peer.until(codec.EOF)
        peer.exit(code, sig)
    assert run(script, "exec", "x").code == expected


def test_a_connection_that_ends_without_exit_is_125_in_words():
    def script(peer):
        peer.expect(codec.START)
        peer.send(codec.STDOUT, b"half")
    done = run(script, "exec", "x")
    assert done.code == 125 and done.stdout == b"half"
    assert "without saying how the program ended" in done.text


def test_a_frame_that_is_cut_off_is_125():
    def script(peer):
        peer.expect(codec.START)
        peer.send_raw(codec.header(codec.STDOUT, 100) + b"x" * 50)
    assert run(script, "exec", "x").code == 125


def test_a_length_that_no_agent_sends_is_125():
    def script(peer):
        peer.expect(codec.START)
        peer.send_raw(codec.header(codec.STDOUT, codec.FRAME_MAX + 1))
        peer.recv()
    done = run(script, "exec", "x")
    assert done.code == 125 and "does not speak the agent's protocol" in done.text


def test_frames_may_come_byte_by_byte():
    def script(peer):
        peer.until(codec.EOF)
        data = codec.encode(codec.STDOUT, b"out") + codec.encode(codec.STDOUT) + \
            codec.encode(0x7e, b"unknown") + codec.encode(codec.STDERR, b"err") + \
            codec.encode(codec.EXIT, struct.pack("<ii", 3, 0))
        for i in range(len(data)):
            peer.send_raw(data[i:i + 1])
            time.sleep(0.001)
    done = run(script, "exec", "x")
    assert done == (3, b"out", b"err")


def test_the_largest_frame_is_streamed():
    data = os.urandom(codec.FRAME_MAX)

    def script(peer):
        peer.until(codec.EOF)
        peer.send(codec.STDOUT, data)
        peer.exit(0)
    assert run(script, "exec", "x").stdout == data


def test_what_was_sent_before_an_early_end_is_read():
    """The agent refuses while we still send, and closes."""
    def script(peer):
        peer.expect(codec.START)
        peer.send(codec.STDERR, b"busy: 62 of 62 exec workers are in use\n")
        peer.exit(125)
        peer.sock.shutdown(1)
        while peer.recv() is not None:
            pass
    done = run(script, "exec", "-i", "x", input=bytes(8 << 20))
    assert done.code == 125 and done.text == "vmm-guest-ctl: busy: 62 of 62 exec workers are in use\n"


# ---- whose words, and why it ended --------------------------------------------------------------------------


def said(*frames, code=0):
    """What the client makes of FRAMES, (type, payload), and EXIT CODE."""
    def script(peer):
        peer.until(codec.EOF)
        for kind, payload in frames:
            peer.send(kind, payload)
        peer.exit(code)
    return run(script, "exec", "x")


STARTED = codec.STATUS, {"event": "started", "pid": 1}


@pytest.mark.parametrize("code", [125, 126, 127])
def test_the_agent_s_words_have_the_client_s_name_in_front_and_no_control_bytes(code):
    done = said((codec.STDERR, b"no \x1b[2Jprogram\r here\n"), code=code)
    assert (done.code, done.stderr) == (code, b"vmm-guest-ctl: no ?[2Jprogram? here\n")


def test_that_the_worker_was_lost_is_the_agent_s_word_too():
    done = said(STARTED, (codec.STDERR, b"own\n"), (codec.STDERR, b"worker lost: killed by SIGKILL\n"), code=125)
    assert (done.code, done.stderr) == (125, b"own\nvmm-guest-ctl: worker lost: killed by SIGKILL\n")


@pytest.mark.parametrize("frames,code,text", [
    ([STARTED, (codec.STDERR, b"\x1b[1mx\n")], 127, b"\x1b[1mx\n"),
    ([STARTED, (codec.STDERR, b"worker lost: x\n")], 3, b"worker lost: x\n"),
    ([STARTED, (codec.STDERR, b"worker lost: x\n"), (codec.STDERR, b"y\n")], 125, b"worker lost: x\ny\n"),
    ([(codec.STDERR, b"x\n"), (codec.STDERR, b"y\n")], 125, b"x\ny\n"),     # of an agent without STATUS
    ([(codec.STDERR, b"x\n")], 1, b"x\n"),
    ([(codec.STDERR, bytes(5000))], 125, bytes(5000)),
], ids=["started", "alike", "more behind", "old agent", "old agent's end", "long"])
def test_what_the_program_says_comes_as_it_is(frames, code, text):
    done = said(*frames, code=code)
    assert (done.code, done.stderr) == (code, text)


def test_what_an_older_agent_s_program_says_first_is_not_kept_back():
    heard = threading.Event()

    def script(peer):
        peer.until(codec.EOF)
        peer.send(codec.STDERR, b"ready\n")
        assert heard.wait(30)
        peer.exit(0)
    with FakeAgent(script) as fake, Ctl(fake.path).start("exec", "x") as process:
        assert process.stderr.read(6) == b"ready\n"
        heard.set()
        assert process.wait(30) == 0


@pytest.mark.parametrize("reason,words", [
    ("timeout", "its time was up"), ("oom", "it was out of memory"), ("shutdown", "the guest, or the agent in it, goes down"),
    ("disconnected", "the host had gone"), ("abandoned", "nobody was attached for its time alone")])
def test_why_a_program_ended_is_said_where_it_was_not_its_own_doing(reason, words):
    end = {"event": "exited", "code": 137, "signal": 9, "reason": reason, "wall_ms": 1, "user_ms": 1, "system_ms": 1,
           "max_rss_kb": 1, "output_held": False}
    done = said(STARTED, (codec.STATUS, end), code=137)
    assert (done.code, done.text) == (137, "vmm-guest-ctl: ended by SIGKILL: %s\n" % words)


@pytest.mark.parametrize("reason", ["exited", "signaled", "a later one"])
def test_of_its_own_end_nothing_is_said(reason):
    end = {"event": "exited", "code": 137, "signal": 9, "reason": reason, "wall_ms": 1, "user_ms": 1, "system_ms": 1,
           "max_rss_kb": 1, "output_held": False}
    done = said(STARTED, (codec.STATUS, end), code=137)
    assert (done.code, done.text) == (137, "")


def test_input_that_nobody_takes_does_not_stop_the_output():
    def script(peer):
        peer.expect(codec.START)
        for _ in range(64):
            peer.send(codec.STDOUT, b"x" * 65536)
        peer.exit(0)
    done = run(script, "exec", "-i", "x", input=bytes(4 << 20))
    assert done.code == 0 and len(done.stdout) == 64 * 65536


def test_leaving_closes_the_connection():
    told, gone = threading.Event(), threading.Event()

    def script(peer):
        peer.until(codec.EOF)
        peer.send(codec.STDOUT, b"ready\n")
        assert peer.expect(codec.SIGNAL).payload == struct.pack("<i", 2)
        told.set()
        while (frame := peer.recv()) is not None:       # what came too late to be the second is passed on too
            assert frame.type == codec.SIGNAL
        gone.set()
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("exec", "x") as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert told.wait(20)
            wait_until(lambda: process.poll() is not None or process.send_signal(signal.SIGINT), message="it leaves")
            assert process.wait(20) == -signal.SIGINT
        assert gone.wait(20)


# ---- control requests -----------------------------------------------------------------


def test_clock_sync_sends_the_time_and_64_bytes_of_entropy():
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.CLOCK_SYNC).payload)
        peer.exit(0)
    begun = time.time()
    for _ in range(2):
        assert run(script, "clock-sync").code == 0
    seconds, nanoseconds = struct.unpack_from("<qI", seen[0])
    # Others set this machine's clock, to what it was when they asked for that.
    assert begun - 60 < seconds + nanoseconds / 1e9 < time.time() + 60
    assert [len(payload) for payload in seen] == [76, 76]
    assert seen[0][12:] != seen[1][12:]


def test_clock_sync_that_fails_says_where_to_look():
    def script(peer):
        peer.expect(codec.CLOCK_SYNC)
        peer.exit(-1)
    done = run(script, "clock-sync")
    assert done.code == 1 and "clock could not be set" in done.text


def test_restored_sends_all_and_tells_what_failed():
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.RESTORED).json())
        peer.send(codec.STATUS, {"event": "restored", "clock_us": 1, "entropy_us": 1, "net_us": 1,
                                 "total_us": 3, "errors": ["net: no \x1b[31mcard"]})
        peer.exit(-1)
    done = run(script, "restored", "--net", "10.0.3.7/20,10.0.3.1")
    assert seen[0]["net"] == {"ip": "10.0.3.7", "netmask": "255.255.240.0", "gateway": "10.0.3.1"}
    assert abs(seen[0]["unix_ns"] / 1e9 - time.time()) < 60 and len(seen[0]["entropy"]) == 88
    assert done.code == 1 and "net: no ?[31mcard" in done.text


DONE = {name + "_us": 1 for name in (
    "clock", "entropy", "generation", "hostname", "machine_id", "env", "net", "total")}  # fmt: skip


def restored_by(told, code, *args, **more):
    """What was asked, and what became of the command, by an agent that answers so."""
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.RESTORED).json())
        peer.send(codec.STATUS, {"event": "restored", "errors": [], **told})
        peer.exit(code)
    return run(script, "restored", *args, **more), seen[0]


def test_restored_asks_for_what_is_given_and_no_more():
    done, asked = restored_by(DONE, 0)
    assert done.code == 0 and set(asked) == {"unix_ns", "entropy"}
    done, asked = restored_by(
        DONE, 0, "--hostname", "clone-7", "--machine-id", "--env", "A=1", "-e", "B=x=y", "--generation", str(2**64 - 1))
    assert done.code == 0 and done.text == ""
    del asked["unix_ns"], asked["entropy"]
    assert asked == {"hostname": "clone-7", "machine_id": True, "env": {"A": "1", "B": "x=y"}, "generation": 2**64 - 1}
    done, asked = restored_by(DONE, 0, "--machine-id=" + "0a" * 16, "--generation=0")
    assert done.code == 0 and (asked["machine_id"], asked["generation"]) == ("0a" * 16, 0)
    done, asked = restored_by(DONE, 0, "--no-thaw")
    assert done.code == 0 and asked["thaw"] is False


@pytest.mark.parametrize("args", [["--machine-id=xyz"], ["--machine-id="], ["--generation", "-1"],
                                  ["--generation", str(2**64)], ["--generation", "x"], ["--env", "=x"], ["--env", ""]])
def test_restored_refuses_what_is_none(args):
    done = run(lambda peer: None, "restored", *args)
    assert done.code == 2 and args[0].split("=")[0] in done.text


def test_restored_says_that_a_generation_is_late():
    words = "generation: ESTALE: 4 is smaller than 5, which the guest is"
    done, _ = restored_by({**DONE, "errors": [words]}, 1, "--generation", "4")
    assert done.code == 1 and words in done.text


def test_restored_takes_a_generation_that_was_done_before_for_done():
    done, _ = restored_by({"generation_us": 1}, 0, "--generation", "5", "--hostname", "x")
    assert done.code == 0 and done.text == ""


def test_an_agent_that_does_not_know_what_restored_asks_for_is_too_old():
    old = {"clock_us": 1, "entropy_us": 1, "net_us": 0, "total_us": 3}
    assert restored_by(old, 0)[0].code == 0
    done, _ = restored_by(old, 0, "--hostname", "x", "--machine-id", "--env", "A=1", "--generation", "1")
    assert done.code == 1
    for option in ("--hostname", "--machine-id", "--env", "--generation"):
        assert f"too old for {option}\n" in done.text


@pytest.mark.parametrize("text", ["", "10.0.0.1", "10.0.0.1/33,10.0.0.2", "10.0.0.1/0,10.0.0.2",
                                  "10.0.0/24,10.0.0.2", "10.0.0.1/24,x", "10.0.0.1/24"])
def test_restored_refuses_a_net_that_is_none(text):
    done = run(lambda peer: None, "restored", "--net", text)
    assert done.code == 2 and "IP/PREFIX,GATEWAY" in done.text


def test_shutdown_sends_action_and_grace():
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.SHUTDOWN).json())
        peer.exit(0)
    assert run(script, "shutdown").code == 0
    assert run(script, "shutdown", "--poweroff", "--grace", "30").code == 0
    assert seen == [{"action": "auto", "grace_seconds": 5},
                    {"action": "poweroff", "grace_seconds": 30}]


@pytest.mark.parametrize("options,asked", [([], ["auto"] * 3 + ["reboot"]), (["--poweroff"], ["poweroff"] * 3)])
def test_shutdown_by_an_older_agent_is_a_reboot_where_it_was_not_said_how(options, asked):
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.SHUTDOWN).json()["action"])
        peer.exit(0 if seen[-1] == "reboot" else -1)
    assert run(script, "shutdown", *options).code == (0 if "reboot" in asked else 1)
    assert seen == asked


@pytest.mark.parametrize("options,action", [([], "auto"), (["--poweroff"], "poweroff")])
def test_shutdown_whose_worker_was_lost_is_asked_for_again_and_not_for_a_reboot(options, action):
    """EXIT -1 is what a refusal is too."""
    seen = []

    def script(peer):
        seen.append(peer.expect(codec.SHUTDOWN).json()["action"])
        peer.exit(0 if len(seen) == 3 else -1)
    assert run(script, "shutdown", *options).code == 0
    assert seen == [action] * 3


@pytest.mark.parametrize("code", [1, -1])
def test_shutdown_says_that_the_guest_does_not_go_down(code):
    def script(peer):
        peer.expect(codec.SHUTDOWN)
        peer.exit(code)
    done = run(script, "shutdown")
    assert done.code == 1 and "does not go down" in done.text


@pytest.mark.parametrize("arguments", [
    ["--grace", "soon"], ["--grace", "-1"], ["--grace", "4294967296"], ["--grace", "1.5x"], ["--grace", ""],
    ["--grace"], ["--explode"], ["now"], ["--halt", "now"], ["--halt=1"]])
def test_shutdown_refuses_what_makes_no_sense(arguments):
    asked = []
    done = run(asked.append, "shutdown", *arguments)
    assert done.code == 2 and "shutdown" in done.text and not asked


def test_shutdown_that_the_agent_can_not_do_is_1(tmp_path):
    def script(peer):
        peer.expect(codec.SHUTDOWN)
        peer.exit(-1)
    done = run(script, "shutdown", "--halt", "--grace", "0")
    assert done.code == 1 and "does not go down" in done.text


def test_wait_outlasts_an_agent_that_is_not_there_yet():
    answers = []

    def script(peer):
        peer.expect(codec.STATUS_REQ)
        peer.exit(0)
    with FakeAgent(script, handshake=None) as fake:
        def appear():
            answers.append(time.monotonic())
            fake.handshake = b"OK 1\n"
        threading.Timer(0.7, appear).start()
        assert Ctl(fake.path).run("wait", "--timeout", "20").code == 0
        assert answers and time.monotonic() >= answers[0]


@pytest.mark.parametrize("answer", ["exit", "close"])
def test_wait_takes_an_old_agents_refusal_for_an_answer(answer):
    def script(peer):
        peer.expect(codec.STATUS_REQ)
        if answer == "exit":
            peer.exit(125)
    assert run(script, "wait", "--timeout", "5").code == 0


def test_wait_tries_again_where_a_connection_is_left_unanswered():
    tries = []

    def script(peer):
        peer.expect(codec.STATUS_REQ)
        tries.append(peer)
        if len(tries) > 1:
            peer.exit(0)
        else:
            peer.recv()
    assert run(script, "wait", "--timeout", "20").code == 0 and len(tries) == 2


def test_status_of_an_agent_that_has_none_is_said():
    def script(peer):
        peer.recv()
        peer.exit(125)
    assert run(script, "status").code == 1


def test_status_that_cannot_be_understood_is_said():
    def script(peer):
        peer.recv()
        peer.send(codec.STATUS, {"slots": "none", "pid": "x"})
        peer.exit(0)
    done = run(script, "status")
    assert done.code == 1 and "can't be understood" in done.text


def read_metrics(text):
    """{(name, labels): value} of Prometheus' text format, read as its parser does:
    https://prometheus.io/docs/instrumenting/exposition_formats/"""
    name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    label = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
    sample = re.compile(r"(%s)(?:\{((?:%s,?)*)\})? ([0-9.+-]+)" % (name, label))
    types, helps, found, order = {}, {}, {}, []
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, metric, words = line.split(" ", 3)
            assert metric not in helps and words
            helps[metric] = words
        elif line.startswith("# TYPE "):
            _, _, metric, kind = line.split(" ")
            assert kind in ("counter", "gauge") and metric not in types and metric not in order
            assert (kind == "counter") == metric.endswith("_total"), metric
            types[metric] = kind
        else:
            match = sample.fullmatch(line)
            assert match, line
            metric, labels = match[1], match[2] or ""
            assert metric in types and metric in helps
            if metric not in order[-1:]:
                assert metric not in order, "the lines of one metric stand together"
                order.append(metric)
            pairs = tuple(re.findall(label, labels))
            assert ",".join('%s="%s"' % pair for pair in pairs) == labels
            assert (metric, pairs) not in found, line
            found[metric, pairs] = float(match[match.lastindex])
    return found


def metrics_of(status):
    def script(peer):
        peer.recv()
        peer.send(codec.STATUS, status)
        peer.exit(0)
    done = run(script, "status", "--prometheus")
    assert done.code == 0, done.text
    return read_metrics(done.stdout.decode())


def test_metrics_have_every_number_of_the_status():
    found = metrics_of({
        "version": "1.2", "pid": 1, "uptime_ms": 90500, "boot_ms": 1.5, "clock_syncs": 11, "shm_bytes": 12,
        "quiesce": {"number": 13, "phase": "held", "hold_left_ms": 14},
        "workers": {"configured": 20, "idle": 10, "exec": 3, "file": 4, "control": 1, "reserved": 2, "look": 5},
        "sessions": {"started": 30, "exited": 31, "signaled": 32, "timeouts": 33, "oom": 34,
                     "refused": 35, "bad_requests": 36, "stalled": 37},
        "worker_deaths": {"total": 3, "by_signal": {"9": 2, "0": 1}},
        "slots": [{"kind": "exec"}, {"kind": "read"}, {"kind": "exec"}]})
    wanted = {
        "uptime_seconds": 90.5, "boot_seconds": 0.0015, "clock_syncs_total": 11, "shm_bytes": 12, "workers_configured": 20,
        "workers_reserved": 2, "sessions_started_total": 30, "sessions_exited_total": 31,
        "sessions_signaled_total": 32, "sessions_timed_out_total": 33, "sessions_oom_total": 34,
        "requests_refused_total": 35, "requests_bad_total": 36, "requests_stalled_total": 37, "quiesced": 1}
    for name, value in wanted.items():
        assert found.pop(("vmm_guest_" + name, ())) == value, name
    for labels, value in [({"state": "idle"}, 10), ({"state": "exec"}, 3), ({"state": "file"}, 4),
                          ({"state": "control"}, 1), ({"state": "look"}, 5)]:
        assert found.pop(("vmm_guest_workers", tuple(labels.items()))) == value
    assert found.pop(("vmm_guest_worker_deaths_total", (("signal", "SIGKILL"),))) == 2
    assert found.pop(("vmm_guest_worker_deaths_total", (("signal", "none"),))) == 1
    assert found.pop(("vmm_guest_sessions_running", (("kind", "exec"),))) == 2
    assert found.pop(("vmm_guest_sessions_running", (("kind", "read"),))) == 1
    assert found == {("vmm_guest_agent_info", (("version", "1.2"),)): 1}


@pytest.mark.parametrize("word", ['a"b', "a\\b", "a\\", 'a" 1\nvmm_guest_uptime_seconds 7', "\x1b[31m\x7f\x85",
                                  "é" * 200, "x" + "€" * 200, "x" * 5000, ""])
def test_metrics_are_metrics_whatever_the_agent_says(word):
    found = metrics_of({"version": word, "slots": [{"kind": word}, {"kind": word + "2"}, {"kind": "exec"}]})
    assert found["vmm_guest_uptime_seconds", ()] == 0
    running = [v for (name, _), v in found.items() if name == "vmm_guest_sessions_running"]
    assert sum(running) == 3


def test_a_table_is_cut_between_characters():
    def script(peer):
        peer.recv()
        peer.send(codec.STATUS, {"version": "x" + "é" * 200, "slots": [{"kind": "é" * 200, "user": "€" * 99}]})
        peer.exit(0)
    for command in ("status", "ps"):
        done = run(script, command)
        assert done.code == 0 and "é" in done.stdout.decode()


# ---- files: an agent that breaks off -----------------------------------------------------


def serving(read):
    """A script that answers STAT as a file of 3 bytes, and READ by READ(peer)."""
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer.entry("f", size=3))
        else:
            assert frame.type == codec.FILE_READ_REQ
            read(peer)
    return script


def test_a_download_that_breaks_off_leaves_the_old_file(tmp_path):
    def read(peer):
        peer.send(codec.FILE_DATA, b"new")
    (tmp_path / "f").write_text("old")
    done = run(serving(read), "cp", "vm:/f", tmp_path / "f")
    assert done.code == 1 and done.text != ""
    assert (tmp_path / "f").read_text() == "old" and os.listdir(tmp_path) == ["f"]


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    def read(peer):
        peer.send(codec.FILE_DATA, b"new")
        peer.send(codec.FILE_ERR, b"EIO: /f")
    (tmp_path / "f").write_text("old")
    done = run(serving(read), "cp", "vm:/f", tmp_path / "f")
    assert done.code == 1 and "vm:/f: Input/output error" in done.text
    assert (tmp_path / "f").read_text() == "old" and os.listdir(tmp_path) == ["f"]


def has_open(process, folder):
    """Whether PROCESS has a file in FOLDER open, be it one without a name."""
    return any(os.path.dirname(name) == str(folder) for name in descriptors(process.pid).values())


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_download_leaves_the_old_file_and_no_other(tmp_path, sig):
    begun = threading.Event()

    def read(peer):
        peer.send(codec.FILE_DATA, b"new")
        begun.set()
        peer.recv()
    (tmp_path / "f").write_text("old")
    with FakeAgent(serving(read)) as fake:
        with Ctl(fake.path).start("cp", "vm:/f", tmp_path / "f") as process:
            assert begun.wait(20)
            wait_until(lambda: has_open(process, tmp_path), message="a file that is not whole")
            process.send_signal(sig)
            assert process.wait(20) == -sig
    assert (tmp_path / "f").read_text() == "old" and os.listdir(tmp_path) == ["f"]


def test_an_interrupted_tree_leaves_whole_files_and_no_others(tmp_path):
    begun = threading.Semaphore(0)

    def script(peer):
        frame = peer.recv()
        if frame is None:                       # interrupted before it was asked
            return
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer.entry("t", "dir", mode=0o755))
        elif frame.type == codec.FILE_LIST_REQ:
            peer.send(codec.FILE_LIST, [peer.entry("f%02d" % i, size=1) for i in range(30)])
        elif frame.type == codec.FILE_TREE_REQ:
            peer.refuse(frame)
        elif frame.json()["path"].endswith("f00"):
            peer.send(codec.FILE_DATA, b"whole")
            peer.send(codec.FILE_DONE)
            begun.release()
        else:
            peer.send(codec.FILE_DATA, b"half")
            begun.release()
            peer.recv()
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("cp", "-r", "vm:/t", tmp_path / "t") as process:
            for _ in range(5):
                assert begun.acquire(timeout=20)
            wait_until((tmp_path / "t" / "f00").exists, message="the whole file")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == -signal.SIGINT
    assert os.listdir(tmp_path / "t") == ["f00"]
    assert (tmp_path / "t" / "f00").read_text() == "whole"


def test_an_upload_that_is_refused_early_says_why(tmp_path):
    def script(peer):
        asked = peer.recv().type
        if asked == codec.STATUS_REQ:   # an agent that does not tell its limit
            peer.exit(-1)
            return
        if asked == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /x")
            return
        peer.send(codec.FILE_ERR, b"EFBIG: file too large (>268435456 bytes)")
        peer.until(codec.FILE_DONE)
    (tmp_path / "f").write_bytes(bytes(8 << 20))
    done = run(script, "cp", tmp_path / "f", "vm:/x")
    assert done.code == 1 and "vm:/x: file too large: the agent takes 256 MiB" in done.text


def test_an_upload_without_ack_has_failed(tmp_path):
    def script(peer):
        if peer.recv().type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /x")
        else:
            peer.until(codec.FILE_DONE)
    (tmp_path / "f").write_text("x")
    assert run(script, "cp", tmp_path / "f", "vm:/x").code == 1


def test_an_agent_of_the_first_day_can_take_and_give_files(tmp_path):
    """It knows WRITE and READ alone, and closes on all else."""
    kept = {}

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_WRITE_REQ:
            frames = peer.until(codec.FILE_DONE)
            kept[frame.json()["path"]] = b"".join(f.payload for f in frames[:-1])
            peer.send(codec.FILE_ACK)
        elif frame.type == codec.FILE_READ_REQ:
            peer.send(codec.FILE_DATA, kept[frame.json()["path"]])
            peer.send(codec.FILE_DONE)
    data = os.urandom(1 << 20)
    (tmp_path / "f").write_bytes(data)
    with FakeAgent(script) as fake:
        Ctl(fake.path).ok("cp", tmp_path / "f", "vm:/x")
        Ctl(fake.path).ok("cp", "vm:/x", tmp_path / "back")
    assert kept == {"/x": data} and (tmp_path / "back").read_bytes() == data


def test_a_tree_is_tried_again_where_no_worker_is_to_spare(tmp_path):
    """Every second request is refused at first."""
    count = []
    kept = set()

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.STATUS_REQ:
            return
        count.append(1)
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /t/.")
        elif len(count) % 2 == 0:
            peer.send(codec.FILE_ERR, b"EBUSY: 7 of 7 workers are in use")
            peer.until(codec.FILE_DONE)
        elif frame.type == codec.FILE_MKDIR_REQ:
            peer.send(codec.FILE_ACK)
        else:
            peer.until(codec.FILE_DONE)
            kept.add(frame.json()["path"])
            peer.send(codec.FILE_ACK)
    for i in range(20):
        (tmp_path / str(i)).write_text("x")
    assert run(script, "cp", "-r", tmp_path, "vm:/t") == (0, b"", b"")
    assert kept == {"/t/%d" % i for i in range(20)}


# ---- trees without a shell ------------------------------------------------------------------


class Guest:
    """An agent of ours as far as a copy into it needs one, which notes what it is asked.
    FEATURES: what STATUS lists; UNKNOWN: frames that it refuses."""

    def __init__(self, features=("FILE_READ_REQ", "FILE_SET_REQ"), unknown=()):
        self.features = list(features)
        self.unknown = unknown
        self.asked = []         # (type, request)

    def __call__(self, peer):
        frame = peer.recv()
        if frame.type == codec.STATUS_REQ:
            self.asked.append((frame.type, None))
            peer.send(codec.STATUS, {"features": self.features})
            peer.exit(0)
            return
        request = frame.json()
        if frame.type == codec.FILE_WRITE_REQ:
            peer.until(codec.FILE_DONE)
        self.asked.append((frame.type, request))
        if frame.type in self.unknown:
            peer.send(codec.FILE_ERR, b"EPROTO: unknown first frame 0x%02x" % frame.type)
        elif frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: " + request["path"].encode())
        elif frame.type == codec.START:
            peer.exit(0)
        else:
            peer.send(codec.FILE_ACK)

    def of(self, kind):
        return [request for asked, request in self.asked if asked == kind]


NS = 981173106789012345


def small_tree(top):
    (top / "d" / "e").mkdir(parents=True)
    (top / "d" / "f").write_text("x")
    (top / "d" / "l").symlink_to("../elsewhere")
    (top / "d" / "e" / "g").write_text("y")
    for path in (top / "d" / "f", top / "d" / "e" / "g", top / "d" / "e", top / "d", top):
        os.utime(path, ns=(1, NS))


def when(request):
    return request.get("mtime_secs"), request.get("mtime_nanos")


def test_a_tree_is_copied_by_requests_alone(tmp_path):
    """No program of the guest is run, and as many requests as there are things."""
    small_tree(tmp_path)
    guest = Guest()
    assert run(guest, "cp", "-rp", tmp_path, "vm:/t") == (0, b"", b"")
    assert guest.of(codec.START) == []
    assert guest.of(codec.FILE_SYMLINK_REQ) == [{"path": "/t/d/l", "target": "../elsewhere"}]
    assert {(r["path"], when(r)) for r in guest.of(codec.FILE_WRITE_REQ)} == {
        ("/t/d/f", divmod(NS, 10**9)), ("/t/d/e/g", divmod(NS, 10**9))}
    assert {(r["path"], when(r)) for r in guest.of(codec.FILE_SET_REQ)} == {
        (path, divmod(NS, 10**9)) for path in ("/t", "/t/d", "/t/d/e")}
    assert len(guest.of(codec.FILE_MKDIR_REQ)) == 3
    assert len(guest.asked) <= 2 + 3 + 2 + 1 + 3 + 1    # where it goes, the tree, STATUS


def test_a_directory_gets_its_time_after_all_that_is_in_it(tmp_path):
    small_tree(tmp_path)
    guest = Guest()
    assert run(guest, "cp", "-rp", tmp_path, "vm:/t").code == 0
    for i, (kind, request) in enumerate(guest.asked):
        if kind == codec.FILE_SET_REQ:
            later = [r["path"] for _, r in guest.asked[i + 1:]]
            assert not any(p.startswith(request["path"] + "/") for p in later), guest.asked


def test_a_tree_without_p_sets_nothing(tmp_path):
    small_tree(tmp_path)
    guest = Guest()
    assert run(guest, "cp", "-r", tmp_path, "vm:/t") == (0, b"", b"")
    assert guest.of(codec.FILE_SET_REQ) == []
    assert not any("mtime_secs" in r for r in guest.of(codec.FILE_WRITE_REQ))


def test_what_a_user_could_not_write_into_gets_its_mode_last(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    (tmp_path / "d").chmod(0o555)
    guest = Guest()
    assert run(guest, "cp", "-r", "-u", "app", tmp_path / "d", "vm:/t") == (0, b"", b"")
    assert [(r["mode"], r["user"]) for r in guest.of(codec.FILE_MKDIR_REQ)] == [(0o755, "app")]
    assert [(r["mode"], r["user"]) for r in guest.of(codec.FILE_SET_REQ)] == [(0o555, "app")]
    assert guest.asked[-1][0] == codec.FILE_SET_REQ
    assert all(r["user"] == "app" for kind, r in guest.asked if kind != codec.STATUS_REQ)


NEW_REQUESTS = (codec.FILE_SYMLINK_REQ, codec.FILE_SET_REQ)


@pytest.mark.parametrize("features", [(), ("FILE_READ_REQ", "START")])
def test_an_agent_that_is_too_old_for_links_and_times_is_told_of(tmp_path, features):
    """And never asked to run a shell as root instead."""
    small_tree(tmp_path)
    guest = Guest(features, NEW_REQUESTS)
    done = run(guest, "cp", "-rp", tmp_path, "vm:/t")
    assert done.code == 1
    assert "too old to keep times" in done.text
    assert "vm:/t/d/l: the agent is too old to make symbolic links" in done.text
    assert guest.of(codec.START) == [] and guest.of(codec.FILE_SET_REQ) == []
    assert {r["path"] for r in guest.of(codec.FILE_WRITE_REQ)} == {"/t/d/f", "/t/d/e/g"}


def test_an_agent_that_closes_on_a_link_is_told_of(tmp_path):
    small_tree(tmp_path)

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_ERR, b"ENOENT: /t/.")
        elif frame.type == codec.FILE_WRITE_REQ:
            peer.until(codec.FILE_DONE)
            peer.send(codec.FILE_ACK)
        elif frame.type == codec.FILE_MKDIR_REQ:
            peer.send(codec.FILE_ACK)
    done = run(script, "cp", "-r", tmp_path, "vm:/t")
    assert done.code == 1 and "too old to make symbolic links" in done.text


@pytest.mark.parametrize("args", [
    ("ls", "--user", "app", "/x"), ("mv", "--user", "app", "/x", "/y"), ("rm", "-u", "app", "/x"),
    ("mkdir", "-u", "app", "/x"), ("stat", "-u", "app", "/x"), ("stat", "--json", "-u", "app", "/x"),
    ("watch", "-u", "app", "/x"), ("cp", "-r", "-u", "app", "HERE", "vm:/x"),
    ("cp", "-r", "-u", "app", "vm:/x", "HERE")])
def test_an_agent_that_would_pass_over_a_user_is_not_asked_as_root(tmp_path, args):
    guest = Guest(("FILE_READ_REQ",), NEW_REQUESTS)
    done = run(guest, *[str(tmp_path) if a == "HERE" else a for a in args])
    assert done.code == 1 and "too old to do this with the rights of a user" in done.text
    assert [kind for kind, _ in guest.asked] == [codec.STATUS_REQ]


@pytest.mark.parametrize("args,kind", [
    (("ls", "--user", "app", "/x"), codec.FILE_LIST_REQ),
    (("mv", "--user", "app", "/x", "/y"), codec.FILE_MOVE_REQ),
    (("rm", "-u", "app", "/x"), codec.FILE_REMOVE_REQ),
    (("mkdir", "-u", "app", "/x"), codec.FILE_MKDIR_REQ),
    (("stat", "-u", "app", "/x"), codec.FILE_STAT_REQ),
    (("stat", "--json", "-u", "app", "/x"), codec.FILE_STAT_REQ),
    (("watch", "-u", "app", "/x"), codec.FILE_WATCH_REQ),
    (("cat", "-u", "app", "/x"), codec.FILE_READ_REQ)])
def test_a_user_that_was_given_stands_in_every_request(args, kind):
    guest = Guest()
    run(guest, *args)
    assert guest.of(kind)
    assert all(r["user"] == "app" for asked, r in guest.asked if asked != codec.STATUS_REQ)


# ---- files: a guest that means harm --------------------------------------------------------


def hostile(entries, top="t", below=()):
    """A script whose directory /t lists ENTRIES, with another list for each below, or BELOW."""
    def script(peer):
        frame = peer.recv()
        path = frame.json()["path"].rstrip("/")
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, peer.entry(top, "dir", mode=0o755))
        elif frame.type == codec.FILE_LIST_REQ:
            peer.send(codec.FILE_LIST, [peer.entry(*e) for e in entries.get(path, below)])
        elif frame.type == codec.FILE_TREE_REQ:
            peer.refuse(frame)
        else:
            peer.send(codec.FILE_DATA, b"evil")
            peer.send(codec.FILE_DONE)
    return script


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "..", ".", "", "a/b"])
@pytest.mark.parametrize("kind", ["file", "dir", "symlink"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name, kind):
    (tmp_path / "in").mkdir()
    script = hostile({"/t": [(name, kind, 4, 0o644, "x"), ("good", "file", 4)]})
    done = run(script, "cp", "-r", "vm:/t", tmp_path / "in" / "t")
    assert done.code == 1 and "is not the name of a file" in done.text
    assert sorted(os.listdir(tmp_path)) == ["in"]
    assert os.listdir(tmp_path / "in" / "t") == ["good"]


def test_a_tree_without_an_end_is_cut_where_paths_end(tmp_path):
    done = run(hostile({}, below=[("d", "dir", 0, 0o755)]), "cp", "-r", "vm:/t", tmp_path / "t", timeout=60)
    subprocess.run(["rm", "-r", tmp_path / "t"], check=True)
    assert done.code == 1 and "/t/d/d/d/d/" in done.text


def test_a_link_that_was_planted_is_not_followed(tmp_path):
    """The guest lists a link, then a directory and a file of its name."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "f").write_text("mine")
    script = hostile({"/t": [("x", "symlink", 0, 0o777, str(victim)), ("x", "dir", 0, 0o755),
                             ("y", "symlink", 0, 0o777, str(victim / "f")), ("y", "file", 4)],
                      "/t/x": [("f", "file", 4), ("g", "file", 4)]})
    run(script, "cp", "-r", "vm:/t", tmp_path / "t")
    assert os.listdir(victim) == ["f"] and (victim / "f").read_text() == "mine"
    assert stat.S_IMODE(os.stat(victim).st_mode) == 0o755


def test_a_set_id_bit_and_a_wide_mode_are_cut_to_our_umask(tmp_path):
    script = hostile({"/t": [("x", "file", 4, 0o7777), ("d", "dir", 0, 0o7777)]})
    assert run(script, "cp", "-r", "vm:/t", tmp_path / "t", preexec_fn=lambda: os.umask(0o022)).code == 0
    assert stat.S_IMODE(os.stat(tmp_path / "t" / "x").st_mode) == 0o755
    assert stat.S_IMODE(os.stat(tmp_path / "t" / "d").st_mode) == 0o755


@pytest.mark.parametrize("payload", [
    b"", b"[", b"{}", b"[1]", b"[{}]", b'[{"name":1,"kind":"file"}]', b"null",
    b'[{"name":"a\\u0000b","kind":"file"}]', b'[{"name":"a","kind":"file","size":-1}]',
    b'[{"name":"a","kind":"file","mtime_nanos":1000000000}]', b'[{"name":"\xff","kind":"file"}]',
    b"[" * 1000,
])
def test_a_listing_that_is_none_is_said(payload):
    def script(peer):
        peer.recv()
        peer.send(codec.FILE_LIST, payload)
    done = run(script, "ls", "/t")
    assert done.code == 1 and "can't be understood" in done.text


def test_a_listing_of_the_largest_frame_is_read():
    def script(peer):
        peer.recv()
        entry = codec.to_json(peer.entry("n" * 200))
        count = (codec.FRAME_MAX - 2) // (len(entry) + 1)
        peer.send(codec.FILE_LIST, b"[" + b",".join([entry] * count) + b"]")
    done = run(script, "ls", "/t")
    assert done.code == 0 and len(done.stdout.splitlines()) > 40000


def test_words_of_the_agent_do_not_repeat_the_path():
    def script(peer):
        peer.recv()
        peer.send(codec.FILE_ERR, b"EOVERFLOW: /t: the list is too long")
    done = run(script, "ls", "/t")
    assert (done.code, done.text.strip()) == (1, "vmm-guest-ctl: vm:/t: the list is too long")


def test_words_of_a_guest_cannot_drive_our_terminal():
    def script(peer):
        peer.recv()
        peer.send(codec.FILE_ERR, "EIO: \x1b]0;owned\x07 \u009b31m \x7f".encode())
    done = run(script, "cat", "/x")
    assert done.code == 1
    assert not any(c < 0x20 and c != 0x0a or c == 0x7f for c in done.stderr)
    assert b"\xc2\x9b" not in done.stderr


def test_a_frame_out_of_place_is_said():
    def script(peer):
        peer.recv()
        peer.send(codec.FILE_EVENT, {"kind": "created", "path": "/x", "renamed_to": ""})
    for command in ("ls", "stat", "cat", "rm", "mkdir"):
        done = run(script, command, "/x")
        assert done.code == 1 and "does not speak" in done.text, command


# ---- forward --------------------------------------------------------------------------------


def test_forward_tells_why_a_connection_was_not_made():
    def script(peer):
        assert peer.expect(codec.CONNECT).json()["port"] == 99
        peer.send(codec.STDERR, b"can't connect to 127.0.0.1:99: Connection refused\n")
        peer.exit(1)
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("forward", "0:99") as process:
            port = int(process.stdout.readline().split()[4].rstrip(b","))
            # It may be reset before connect() has returned.
            with pytest.raises(ConnectionResetError):
                with socket.create_connection(("127.0.0.1", port), 20) as conn:
                    conn.recv(1)
            assert b"Connection refused" in process.stderr.readline()
            process.terminate()
            assert process.wait(20) == -signal.SIGTERM


def test_forward_carries_half_closes_both_ways():
    def script(peer):
        peer.expect(codec.CONNECT)
        peer.send(codec.STATUS, {"event": "connected"})
        frames = peer.until(codec.EOF)
        data = b"".join(f.payload for f in frames[:-1])
        peer.send(codec.STDOUT, data[::-1])
        peer.send(codec.STDOUT, b"")
        peer.exit(0)
    data = os.urandom(2 << 20)
    with FakeAgent(script) as fake:
        with Ctl(fake.path).start("forward", "0:99") as process:
            port = int(process.stdout.readline().split()[4].rstrip(b","))
            with socket.create_connection(("127.0.0.1", port), 20) as conn:
                conn.sendall(data)
                conn.shutdown(socket.SHUT_WR)
                back = b""
                while chunk := conn.recv(1 << 20):
                    back += chunk
            assert back == data[::-1]
            process.terminate()
            process.wait(20)


def cut_by_close(peer):
    del peer


def cut_by_exit(peer):
    peer.exit(0)


def cut_by_a_lost_worker(peer):
    peer.send(codec.STDERR, b"worker lost\n")
    peer.exit(125)


def cut_in_a_frame(peer):
    peer.send_raw(codec.header(codec.STDOUT, 100) + b"x")


def read_to_the_end(conn):
    """What came, and whether it ended as it should."""
    data = b""
    try:
        while chunk := conn.recv(65536):
            data += chunk
    except ConnectionResetError:
        return data, False
    return data, True


@pytest.mark.parametrize("cut", [cut_by_close, cut_by_exit, cut_by_a_lost_worker, cut_in_a_frame])
def test_forward_resets_what_is_cut_off(cut):
    """An end of file would be taken for the whole."""
    def script(peer):
        peer.expect(codec.CONNECT)
        peer.send(codec.STATUS, {"event": "connected"})
        peer.send(codec.STDOUT, b"half")
        peer.expect(codec.STDIN)
        cut(peer)
    with FakeAgent(script) as fake, Ctl(fake.path).start("forward", "0:99") as process:
        port = int(process.stdout.readline().split()[4].rstrip(b","))
        with socket.create_connection(("127.0.0.1", port), 20) as conn:
            assert conn.recv(4) == b"half"
            conn.sendall(b"x")
            assert read_to_the_end(conn)[1] is False
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_forward_that_is_ended_resets_what_is_under_way(number):
    def script(peer):
        peer.expect(codec.CONNECT)
        peer.send(codec.STATUS, {"event": "connected"})
        peer.send(codec.STDOUT, b"half")
        peer.recv()
    with FakeAgent(script) as fake, Ctl(fake.path).start("forward", "0:99") as process:
        port = int(process.stdout.readline().split()[4].rstrip(b","))
        with socket.create_connection(("127.0.0.1", port), 20) as conn:
            assert conn.recv(4) == b"half"
            process.send_signal(number)
            assert read_to_the_end(conn) == (b"", False)


def test_forward_ends_what_is_whole_without_a_reset():
    data = os.urandom(4 << 20)

    def script(peer):
        peer.expect(codec.CONNECT)
        peer.send(codec.STATUS, {"event": "connected"})
        peer.send(codec.STDOUT, data)
        peer.send(codec.STDOUT, b"")
        peer.until(codec.EOF)
        peer.exit(0)
    with FakeAgent(script) as fake, Ctl(fake.path).start("forward", "0:99") as process:
        port = int(process.stdout.readline().split()[4].rstrip(b","))
        with socket.create_connection(("127.0.0.1", port), 20) as conn:
            conn.shutdown(socket.SHUT_WR)
            time.sleep(0.3)             # all of it may be in buffers when the end comes
            assert read_to_the_end(conn) == (data, True)
        process.kill()
