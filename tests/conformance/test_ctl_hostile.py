# SPDX-License-Identifier: MIT
"""vmm-guest-ctl against a guest that means harm: what it may not do to the terminal, to
files of output, to the exit status, to memory, or to the time of whoever asks."""

import json
import os
import re
import sys

import pytest

import codec
from agent import is_sanitized
from client import Ctl, FakeAgent, Terminal, ctl_binary


def run(script, *args, **more):
    with FakeAgent(script) as fake:
        return Ctl(fake.path).run(*args, **more)


# ---- ends that no program has ------------------------------------------------------------


@pytest.mark.parametrize("code,sig", [
    (0, 2**31 - 1), (-1, 2**31 - 1), (0, 65), (0, 128), (256, 128), (0, -1), (0, -2**31), (256, 0),
    (300, 0), (2**31 - 1, 0), (-2, 0), (-256, 0)])
def test_an_end_that_no_program_has_is_no_success_and_no_other_end(code, sig):
    def script(peer):
        peer.until(codec.EOF)
        peer.exit(code, sig)
    done = run(script, "exec", "x")
    assert done.code == 125 and "an end that no program has" in done.text


# ---- words for a terminal ------------------------------------------------------------------

EVIL = "a\x1b[31m\u009b2J\u202etxt\u2066\u2028b\x7f\r\nforged"
EVIL_RAW = b"EACCES: \x9b31mRED\xe2\x9b31m\xff\x9b0m \xe2\x80\xaetxt.exe"


def is_harmless(output, lines=None):
    """Whether no byte of OUTPUT does anything but show itself, or end one of our lines."""
    text = output.replace(b"\r\n", b"\n").decode("utf-8", "surrogateescape")
    assert lines is None or text.count("\n") == lines, text
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udc9f]", text)


def serving(*answers):
    """A script that answers any request by ANSWERS."""
    def script(peer):
        peer.recv()
        for kind, payload in answers:
            peer.send(kind, payload)
    return script


def peer_entry(name, **more):
    return {"name": name, "kind": "file", "size": 0, "mode": 0o777, "mtime_secs": 1, "mtime_nanos": 0,
            "uid": 0, "gid": 0, "symlink_target": "", **more}


def evil_entry():
    return peer_entry(EVIL, kind="symlink", symlink_target=EVIL)


def test_no_byte_of_a_refusal_is_a_command_to_a_terminal():
    for command in ("ls", "cat", "stat", "rm"):
        done = run(serving((codec.FILE_ERR, EVIL_RAW)), command, "/x")
        assert done.code == 1 and is_harmless(done.stderr, 1) and b"RED" in done.stderr


@pytest.mark.parametrize("args", [("ls", "-l", "/x"), ("stat", "/x"), ("ps",), ("status",)])
def test_a_table_has_as_many_lines_whatever_is_in_it(args):
    def show(text):
        def script(peer):
            kind = peer.recv().type
            entry = peer_entry(text, kind="symlink", symlink_target=text)
            if kind == codec.FILE_LIST_REQ:
                peer.send(codec.FILE_LIST, [entry])
            elif kind == codec.FILE_STAT_REQ:
                peer.send(codec.FILE_STAT, entry)
            else:
                peer.send(codec.STATUS, {
                    "version": text, "slots": [{"kind": text, "user": text, "command": text}]})
                peer.exit(0)
        done = run(script, *args)
        assert done.code == 0
        return done.stdout
    shown = show(EVIL)
    assert is_harmless(shown, show("plain").count(b"\n")) and b"forged" in shown


def test_an_event_is_one_line():
    script = serving((codec.FILE_ACK, b""), (codec.FILE_EVENT, {"kind": "created", "path": EVIL}),
                     (codec.FILE_EVENT, {"kind": "renamed", "path": EVIL, "renamed_to": EVIL}))
    done = run(script, "watch", "/x")
    assert is_harmless(done.stdout, 2) and done.stdout.count(b"forged") == 3


@pytest.mark.parametrize("args", [("ls", "/x"), ("stat", "--json", "/x"), ("status", "--json")])
def test_a_terminal_gets_no_command_from_any_output(args):
    def script(peer):
        kind = peer.recv().type
        if kind == codec.FILE_LIST_REQ:
            peer.send(codec.FILE_LIST, [evil_entry()])
        elif kind == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, json.dumps(evil_entry(), ensure_ascii=False).encode())
        else:
            peer.send(codec.STATUS, b'{"x":"\x1b[31m\x9b2J"}')
            peer.exit(0)
    with FakeAgent(script) as fake, Terminal(Ctl(fake.path), *args) as term:
        assert term.wait() == 0 and is_harmless(term.output), term.output


SPREAD = b'{"event":"exited",\r\n "code":\n0,\x0b "reason":"x\n{\\"event\\":\\"forged\\"}\0"}\n\n'


@pytest.mark.parametrize("args,answer", [
    (("status", "--json"), codec.STATUS), (("restored", "--json"), codec.STATUS),
    (("stat", "--json", "/x"), codec.FILE_STAT)])
def test_an_answer_in_json_is_one_line(args, answer):
    done = run(serving((answer, SPREAD), (codec.EXIT, bytes(8))), *args)
    assert done.stdout.count(b"\n") == 1 and done.stdout.endswith(b"\n")
    assert not set(done.stdout[:-1]) & set(range(0x20))
    assert len(done.stdout) == len(SPREAD) + 1


def test_events_in_json_are_one_line_each():
    done = run(serving((codec.FILE_ACK, b""), (codec.FILE_EVENT, SPREAD), (codec.FILE_EVENT, SPREAD)),
               "watch", "--json", "/x")
    assert done.stdout.count(b"\n") == 2


def test_a_report_in_a_file_is_one_line_each(tmp_path):
    def script(peer):
        peer.until(codec.EOF)
        peer.send(codec.STATUS, SPREAD)
        peer.send(codec.STATUS, SPREAD)
        peer.exit(0)
    run(script, "exec", "--report=%s" % (tmp_path / "r"), "x")
    assert (tmp_path / "r").read_bytes().count(b"\n") == 2


# ---- no end ----------------------------------------------------------------------------------


def endless(*frames):
    data = b"".join(codec.encode(*f) for f in frames)

    def script(peer):
        peer.recv()
        while True:
            peer.send_raw(data)
    return script


@pytest.mark.parametrize("frame", [
    (codec.STDERR, b"A" * 65536), (codec.STATUS, b'{"x":"%s"}' % (b"A" * 60000)), (0x7e, b"x" * 1000)],
    ids=["words", "status", "unknown"])
def test_an_answer_without_an_end_is_not_listened_to(frame):
    for args in (["status"], ["clock-sync"], ["kill", "7"], ["wait-port", "80"]):
        done = run(endless(*[frame] * 32), *args)
        assert done.code == 1 and "does not speak the agent's protocol" in done.text


def test_reports_without_an_end_do_not_fill_the_disk(tmp_path):
    def script(peer):
        peer.until(codec.EOF)
        for _ in range(100):
            peer.send(codec.STATUS, b'{"x":"%s"}' % (b"A" * 60000))
        peer.exit(0)
    done = run(script, "exec", "--report=%s" % (tmp_path / "r"), "x")
    assert done.code == 125 and "can't write to" in done.text
    assert os.stat(tmp_path / "r").st_size <= 1 << 20


# ---- memory ------------------------------------------------------------------------------------


# Between us and the client: what a process has in memory counts for whom it executes.
LAUNCHER = """
import os, sys
pid = os.fork()
if pid == 0:
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


# Frames of 16 MiB take long to make, and to read, where the machine has much else to do.
PATIENCE = 300


class MeasuredCtl(Ctl):
    def argv(self, *args):
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, *super().argv(*args)]


def run_measured(script, *args):
    """The exit status, and the most memory that the client had, in MiB; 0 where that is a
    sanitizer's."""
    with FakeAgent(script, timeout=PATIENCE) as fake:
        code, kib = map(int, MeasuredCtl(fake.path).ok(*args, timeout=PATIENCE).split())
    return code, 0 if is_sanitized(ctl_binary()) else kib >> 10


def test_what_is_measured_is_the_client_s_memory_and_not_ours():
    ours = b"x" * (300 << 20)
    code, used = run_measured(lambda peer: (peer.recv(), peer.exit(0)), "clock-sync")
    assert code == 0 and used < 50, (used, len(ours))


def tree(level, depth):
    """A script whose /t is DEPTH directories deep, each of which lists LEVEL."""
    listing = codec.to_json([{"name": "d", "kind": "dir"}] + level)

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            peer.send(codec.FILE_STAT, {"name": "t", "kind": "dir", "mode": 0o755})
        elif frame.type == codec.FILE_MKDIR_REQ:
            peer.send(codec.FILE_ACK)
        elif frame.type == codec.STATUS_REQ:
            pass
        elif frame.type == codec.FILE_TREE_REQ:
            peer.refuse(frame)
        elif frame.json()["path"].count("/d") < depth:
            peer.send(codec.FILE_LIST, listing)
        else:
            peer.send(codec.FILE_LIST, [])
    return script


def test_a_tree_out_of_a_guest_takes_no_memory_for_its_depth(tmp_path):
    level = [peer_entry("../no name %d" % i) for i in range(15000)]
    code, shallow = run_measured(tree(level, 1), "cp", "-r", "vm:/t", tmp_path / "shallow")
    assert code == 1
    code, deep = run_measured(tree(level, 15), "cp", "-r", "vm:/t", tmp_path / "deep")
    assert code == 1 and (tmp_path / "deep" / "/".join("d" * 15)).is_dir()
    assert deep < shallow + 8, (shallow, deep)


def test_a_list_of_a_tree_takes_no_memory_for_its_depth():
    level = [peer_entry("f%d" % i) for i in range(15000)]
    code, shallow = run_measured(tree(level, 1), "ls", "-R", "/t")
    assert code == 0
    code, deep = run_measured(tree(level, 15), "ls", "-R", "/t")
    assert code == 0 and deep < shallow + 8, (shallow, deep)


def test_a_tree_into_a_guest_takes_no_memory_for_its_depth(tmp_path):
    (tmp_path / "/".join("d" * 15)).mkdir(parents=True)
    level = [peer_entry("there %d" % i) for i in range(15000)]
    code, shallow = run_measured(tree(level, 2), "cp", "-r", tmp_path / "/".join("d" * 14), "vm:/t")
    assert code == 0
    code, deep = run_measured(tree(level, 15), "cp", "-r", tmp_path, "vm:/t")
    assert code == 0 and deep < shallow + 8, (shallow, deep)


def bomb(start, item, end):
    """A payload of the largest frame, as many ITEMs as fit. Made when it is called for: all of
    them would be 160 MiB."""
    return lambda: explode(start, item, end)


def explode(start, item, end):
    count = (codec.FRAME_MAX - len(start) - len(end)) // len(item)
    return (start + item * count + end).replace(b"," + end, end)


@pytest.mark.parametrize("command,answer,payload,expected", [
    ("ls", codec.FILE_LIST, bomb(b"[", b"{},", b"]"), 1),
    ("ls", codec.FILE_LIST, bomb(b"[", b"[],", b"]"), 1),
    ("ls", codec.FILE_LIST, bomb(b"[", b"0,", b"]"), 1),
    ("ls", codec.FILE_LIST, bomb(b'[{"name":"x","kind":"dir","more":[', b"{},", b"]}]"), 1),
    ("ls", codec.FILE_LIST, bomb(b"[", b'{"name":"","kind":""},', b"]"), 0),
    ("stat", codec.FILE_STAT, bomb(b'{"more":[', b"0,", b"]}"), 1),
    ("status", codec.STATUS, bomb(b'{"more":[', b"0,", b"]}"), 1),
    ("status", codec.STATUS, bomb(b'{"slots":[', b"{},", b"]}"), 1),
    ("restored", codec.STATUS, bomb(b'{"errors":[', b"0,", b"]}"), 1),
    ("watch", codec.FILE_EVENT, bomb(b'{"more":[', b"0,", b"]}"), 1),
])
def test_an_answer_takes_no_more_memory_than_a_few_times_its_length(command, answer, payload, expected):
    def script(peer):
        peer.recv()
        if answer == codec.FILE_EVENT:
            peer.send(codec.FILE_ACK)
        peer.send(answer, payload())
        peer.exit(0 if expected == 0 or command != "restored" else -1)
    args = [command] + (["/x"] if command in ("ls", "stat", "watch") else [])
    code, used = run_measured(script, *args)
    assert code == expected and used < 100, used


@pytest.mark.parametrize("args", [("vm:/x", "{here}/y"), ("-r", "vm:/x", "{here}/y"), ("{here}/x", "vm:/x"), ("-r", "{here}", "vm:/x")])
def test_an_agent_that_says_that_it_was_called_off_is_no_signal_of_ours(tmp_path, args):
    """Of what a signal has ended nothing is said; that the agent is stopping is."""
    (tmp_path / "x").write_text("x")
    def script(peer):
        frame = peer.recv()
        if frame.type == codec.STATUS_REQ:
            peer.send(codec.STATUS, {"features": []})
            peer.exit(0)
        elif frame.type == codec.FILE_STAT_REQ and frame.json()["path"].endswith("/."):
            peer.send(codec.FILE_ERR, b"ENOENT: " + frame.json()["path"].encode())
        else:
            peer.send(codec.FILE_ERR, b"ECANCELED: the agent is stopping")
    done = run(script, "cp", *[word.format(here=tmp_path) for word in args])
    assert done.code == 1 and "the agent is stopping" in done.text, done


def test_a_link_to_ever_longer_paths_is_not_followed_for_ever():
    seen = []

    def script(peer):
        frame = peer.recv()
        if frame.type == codec.FILE_STAT_REQ:
            seen.append(len(frame.payload))
            peer.send(codec.FILE_STAT, peer_entry("l", kind="symlink", symlink_target="d/" * 1000 + "l"))
    done = run(script, "stat", "-L", "/a/l")
    assert done.code == 1 and "File name too long" in done.text
    assert max(seen) < 8192


def test_a_report_that_did_not_come_is_missed():
    def script(peer):
        peer.until(codec.EOF)
        peer.exit(3)
    done = run(script, "exec", "--report", "x")
    assert done.code == 3 and "did not tell what the program took" in done.text
    assert run(script, "exec", "x") == (3, b"", b"")
