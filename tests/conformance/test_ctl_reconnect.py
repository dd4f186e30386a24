# SPDX-License-Identifier: MIT
"""vmm-guest-ctl and durable sessions, against agents that say what a test wants: what it
asks for when it comes back, what it shows, and what it makes of refusals."""

import json
import os
import re
import struct

import pytest

import codec
from agent import wait_until
from client import Ctl, FakeAgent, Terminal

INSTANCE = "0123456789abcdef" * 2
FEATURES = {"features": ["START", "ATTACH", "FORGET"]}


def started(name="x"):
    return {"event": "started", "pid": 9, "session": 12, "name": name, "instance": INSTANCE}


def attached(offset=0, **more):
    return {"event": "attached", "session": 12, "name": "x", "instance": INSTANCE, "offset": offset,
            "lost": 0, "stdin_bytes": 0, "stdin_open": True, "running": True, "tty": False,
            "columns": 80, "rows": 24, **more}


class Agent:
    """A FakeAgent's script that answers STATUS_REQ and FORGET; START and each ATTACH in
    turn are one of SCRIPTS(peer, its JSON)."""

    def __init__(self, *scripts, slots=(), features=FEATURES):
        self.scripts = list(scripts)
        self.status = dict(features, slots=list(slots))
        self.asked = []             # (type, JSON) of the first frames
        self.forgotten = []

    def __call__(self, peer):
        frame = peer.recv()
        if frame is None:
            return
        if frame.type == codec.STATUS_REQ:
            peer.send(codec.STATUS, self.status)
            peer.exit(0)
        elif frame.type == codec.FORGET:
            self.forgotten.append(frame.json())
            peer.exit(0)
        elif self.scripts:
            self.asked.append((frame.name, frame.json()))
            self.scripts.pop(0)(peer, frame.json())
        else:
            refuse("busy: no script is left")(peer, None)

    def run(self, *args, **more):
        with FakeAgent(self) as fake:
            return Ctl(fake.path).run(*args, **more)


def refuse(words):
    def script(peer, _):
        peer.send(codec.STDERR, words.encode() + b"\n")
        peer.exit(125)
        peer.recv()
    return script


def says(*frames, code=0):
    """Sends FRAMES, (type, payload), then EXIT; None: closes instead."""
    def script(peer, _):
        for kind, payload in frames:
            peer.send(kind, payload)
        if code is not None:
            peer.exit(code)
    return script


# ---- what is asked for --------------------------------------------------------------


def test_start_says_what_was_asked_for():
    agent = Agent(says((codec.STATUS, started()), code=3))
    done = agent.run("exec", "--name", "x", "--durable=buffer=64K,keep=2h,alone=1m,when-full=wait", "a")
    assert done.code == 3
    assert agent.asked == [("START", {"cmd": ["a"], "stdin": False, "report": True, "name": "x", "durable": {
        "buffer_bytes": 65536, "keep_seconds": 7200, "alone_seconds": 60, "when_full": "wait"}})]
    assert agent.forgotten == [{"session": 12, "instance": INSTANCE}]


def test_a_name_alone_is_a_label_and_asks_for_nothing():
    def script(peer):
        assert peer.expect(codec.START).json() == {"cmd": ["a"], "report": True, "stdin": False, "name": "x"}
        peer.exit(0)
    with FakeAgent(script) as fake:
        assert Ctl(fake.path).run("exec", "--name", "x", "a") == (0, b"", b"")


def test_a_name_is_drawn_where_none_is_given():
    agent = Agent(says((codec.STATUS, started())))
    assert agent.run("exec", "--durable", "/bin/a").code == 0
    assert re.fullmatch("a-[0-9a-f]{8}", agent.asked[0][1]["name"])
    assert agent.asked[0][1]["durable"] == {}


@pytest.mark.parametrize("args", [
    ("exec", "--durable", "a"), ("exec", "-d", "a"), ("shell", "--name", "x"), ("sessions",), ("logs", "x")])
def test_an_agent_that_is_too_old_is_told_in_words_and_starts_nothing(args):
    agent = Agent(features={"features": ["START", "KILL"]})
    done = agent.run(*args)
    assert done.code == (125 if args[0] in ("exec", "shell") else 1)
    assert "too old for durable sessions" in done.text and not agent.asked


def test_attach_to_an_agent_that_is_too_old_is_told_in_words():
    agent = Agent(refuse("frame 0x45 is not a request"), features={"features": ["START"]})
    done = agent.run("attach", "x")
    assert done.code == 125 and "too old for durable sessions" in done.text


# ---- coming back --------------------------------------------------------------------


def test_it_comes_back_from_its_offset_and_shows_one_stream():
    agent = Agent(says((codec.STATUS, started()), (codec.STDOUT, b"one "), (codec.STDERR, b"err"), code=None),
                  says((codec.STATUS, attached(7)), (codec.STDOUT, b"two "), code=None),
                  says((codec.STATUS, attached(11)), (codec.STDOUT, b"three"), code=4))
    done = agent.run("exec", "--name", "x", "--durable", "a")
    assert (done.code, done.stdout) == (4, b"one two three")
    assert done.text.startswith("err") and done.text.count("the connection was lost; coming back to 'x'") == 2
    assert [asked for name, asked in agent.asked if name == "ATTACH"] == [
        {"session": 12, "instance": INSTANCE, "from": offset, "report": True} for offset in (7, 11)]
    assert [name for name, _ in agent.asked].count("START") == 1


def test_half_a_frame_is_not_counted():
    def cut(peer, _):
        peer.send(codec.STATUS, started())
        peer.send_raw(codec.header(codec.STDOUT, 100) + b"x" * 50)
    agent = Agent(cut, says((codec.STATUS, attached(0)), (codec.STDOUT, b"x" * 100)))
    done = agent.run("exec", "--durable", "a")
    assert done.stdout == b"x" * 100 and agent.asked[1][1]["from"] == 0


def test_input_is_sent_again_from_where_the_agent_has_it():
    data = os.urandom(300000)
    seen = []

    def takes(count, first, until_eof=False):
        def script(peer, _):
            peer.send(codec.STATUS, first)
            took = b""
            while len(took) < count or until_eof:
                frame = peer.recv()
                if frame.type == codec.EOF:
                    break
                took += frame.payload if frame.type == codec.STDIN else b""
            seen.append(took)
            if until_eof:
                peer.exit(0)
        return script
    # Of what came on the first connection 70000 were taken, of the second 130001 in all.
    agent = Agent(takes(150000, started()), takes(100000, attached(stdin_bytes=70000)),
                  takes(0, attached(stdin_bytes=130001), until_eof=True))
    assert agent.run("exec", "--durable", "-i", "a", input=data).code == 0
    assert data.startswith(seen[0]) and len(seen[0]) >= 150000
    assert data[70000:].startswith(seen[1])
    assert seen[2] == data[130001:]


def test_an_end_of_input_that_was_lost_is_sent_again():
    def script(peer, _):
        peer.send(codec.STATUS, started())
        peer.until(codec.EOF)

    def again(peer, _):
        peer.send(codec.STATUS, attached(stdin_bytes=3))
        assert [frame.type for frame in peer.until(codec.EOF)] == [codec.EOF]
        peer.exit(0)
    assert Agent(script, again).run("exec", "--durable", "-i", "a", input=b"abc").code == 0


def test_no_input_is_sent_where_the_program_takes_none():
    def again(peer, _):
        peer.send(codec.STATUS, attached(stdin_open=False))
        peer.exit(0)
        assert peer.recv() is None
    agent = Agent(says((codec.STATUS, started()), code=None), again)
    assert agent.run("exec", "--durable", "-i", "a", input=b"x" * 100).code == 0


def test_input_that_is_gone_ends_it_in_words():
    data = bytes(16 << 20)

    def script(peer, _):
        peer.send(codec.STATUS, started())
        took = 0
        while took < len(data):
            took += len(peer.expect(codec.STDIN).payload)
    agent = Agent(script, says((codec.STATUS, attached(stdin_bytes=5)), code=None))
    done = agent.run("exec", "--durable", "-i", "a", input=data)
    assert done.code == 125 and re.search("12 MiB of the input were lost", done.text), done


@pytest.mark.parametrize("words,said", [
    ("ESRCH: no durable session 12", "no longer there"), ("ESTALE: another agent", "was started later"),
    ("EPERM: words", "EPERM: words")])
def test_a_refusal_ends_it_in_words_and_never_with_a_second_start(words, said):
    agent = Agent(says((codec.STATUS, started()), code=None), refuse(words))
    done = agent.run("exec", "--name", "x", "--durable", "a")
    assert done.code == 125 and said in done.text
    assert [name for name, _ in agent.asked] == ["START", "ATTACH"] and not agent.forgotten


def test_a_busy_agent_is_asked_again():
    agent = Agent(says((codec.STATUS, started()), code=None), refuse("busy: no worker"), refuse("busy: no worker"),
                  says((codec.STATUS, attached()), code=6))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 6 and done.text.count("coming back") == 1 and "busy" not in done.text


def test_it_is_tried_for_as_long_as_was_said():
    agent = Agent(says((codec.STATUS, started()), code=None))
    done = agent.run("exec", "--durable", "--reconnect", "1", "--name", "x", "a")
    assert done.code == 125 and "could not come back to session 'x' within 1 s: busy:" in done.text


def test_with_0_it_is_not_tried_at_all():
    agent = Agent(says((codec.STATUS, started()), code=None))
    done = agent.run("exec", "--durable", "--reconnect", "0", "--name", "x", "a")
    assert done.code == 125 and "goes on" in done.text and len(agent.asked) == 1


def test_what_was_not_said_to_have_started_is_not_started_again():
    agent = Agent(says(code=None))
    done = agent.run("exec", "--durable", "--name", "x", "a")
    assert done.code == 125 and "before the agent said that session 'x' has started" in done.text
    assert len(agent.asked) == 1


def test_a_drawn_name_says_what_became_of_a_start_that_was_never_answered():
    """None is there by it, so it is started again; the first one has come late, and is what is attached to."""
    agent = Agent(says(code=None), refuse("ESRCH: no durable session 'x'"),
                  refuse("EEXIST: session 'x' is there (number 12, running)"),
                  says((codec.STATUS, attached()), (codec.STDOUT, b"out"), code=6))
    done = agent.run("exec", "--durable", "a")
    assert (done.code, done.stdout) == (6, b"out") and "EEXIST" not in done.text
    assert [name for name, _ in agent.asked] == ["START", "ATTACH"] * 2
    (_, first), (_, by_name), (_, again), _ = agent.asked
    assert again == first and by_name["name"] == first["name"] and "from" not in by_name


def test_a_start_that_was_never_answered_and_is_refused_again_ends_with_that():
    agent = Agent(says(code=None), refuse("ESRCH: no durable session 'x'"), refuse("busy: 32 durable sessions are kept"))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 125 and "busy: 32 durable sessions are kept" in done.text
    assert [name for name, _ in agent.asked] == ["START", "ATTACH", "START"]


def test_a_worker_that_was_lost_over_a_start_is_its_end():
    agent = Agent(says((codec.STDERR, b"worker lost: killed\n"), code=125))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 125 and "worker lost" in done.text and len(agent.asked) == 1


def test_lost_output_is_told():
    agent = Agent(says((codec.STATUS, started()), (codec.STDOUT, b"one"), code=None),
                  says((codec.STATUS, attached(2051, lost=2048)), (codec.STDOUT, b"two"),
                       (codec.STATUS, {"event": "lost", "offset": 7174, "lost": 5120}), (codec.STDOUT, b"three"),
                       code=None),
                  says((codec.STATUS, attached(7179))))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 0 and done.stdout == b"onetwothree"
    assert "2.0 KiB of the output before this are no longer there" in done.text and "5.0 KiB" in done.text
    assert agent.asked[2][1]["from"] == 7179


def test_the_agents_words_are_shown_once_though_their_exit_was_lost():
    words = (codec.STDERR, b"worker lost: killed\n")
    agent = Agent(says((codec.STATUS, started()), (codec.STDOUT, b"out"), words, code=None),
                  refuse("ERANGE: 23 is beyond the end"),
                  says((codec.STATUS, attached(3)), words, code=125))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 125 and done.text.count("worker lost") == 1
    assert agent.asked[2][1] == {"session": 12, "instance": INSTANCE, "tail": 0, "report": True}


EXITED = {"event": "exited", "code": 137, "signal": 9, "reason": "timeout", "wall_ms": 1, "user_ms": 1,
          "system_ms": 1, "max_rss_kb": 1, "output_held": False}


@pytest.mark.parametrize("args", [("exec", "--durable", "a"), ("shell", "--name", "x"), ("attach", "x")])
def test_why_it_ended_is_said_once_though_the_connection_was_lost_behind_it(args):
    first = attached() if args[0] == "attach" else started()
    end = (codec.STATUS, EXITED)
    agent = Agent(says((codec.STATUS, first), end, code=None), says((codec.STATUS, attached(running=False)), end, code=137))
    done = agent.run(*args)
    assert [asked["report"] for _, asked in agent.asked] == [True, True]
    assert done.code == 137 and done.text.count("vmm-guest-ctl: ended by SIGKILL: its time was up\n") == 1


def test_a_report_to_a_file_has_what_an_ended_session_was_asked_for(tmp_path):
    path = tmp_path / "report"
    agent = Agent(says((codec.STATUS, started()), (codec.STATUS, EXITED), code=137))
    done = agent.run("exec", "--durable", "--report=%s" % path, "a")
    assert (done.code, done.text) == (137, "vmm-guest-ctl: ended by SIGKILL: its time was up\n")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["started", "exited"]


@pytest.mark.parametrize("args", [("logs", "x"), ("logs", "-f", "x")])
def test_logs_asks_for_no_reason(args):
    agent = Agent(says((codec.STATUS, attached(running=False)), code=137))
    done = agent.run(*args)
    assert (done.code, done.text) == (0, "") and "report" not in agent.asked[0][1]


def test_what_is_left_at_once_is_not_asked_why_it_ended():
    agent = Agent(says((codec.STATUS, started()), code=None))
    assert agent.run("exec", "-d", "--name", "x", "a").text == "" and "report" not in agent.asked[0][1]


def test_the_words_for_a_lost_worker_have_our_name_in_front():
    words = (codec.STDERR, b"worker lost: killed\x1b\n")
    agent = Agent(says((codec.STATUS, started()), (codec.STDERR, b"own\n"), words, code=125))
    done = agent.run("exec", "--durable", "a")
    assert done.code == 125 and re.fullmatch(r"own\nvmm-guest-ctl: worker lost: killed[^\x1b]*\n", done.text), done


def test_what_a_program_says_of_a_lost_worker_is_its_own():
    words = (codec.STDERR, b"worker lost: x\n")
    agent = Agent(says((codec.STATUS, started()), words, (codec.STDOUT, b"y"), code=3))
    assert agent.run("exec", "--durable", "a") == (3, b"y", b"worker lost: x\n")


def test_a_reader_whose_worker_was_lost_comes_back():
    agent = Agent(says((codec.STATUS, attached()), (codec.STDOUT, b"a"),
                       (codec.STATUS, {"event": "detached", "why": "worker lost"}), code=None),
                  says((codec.STATUS, attached(1)), (codec.STDOUT, b"b"), code=5))
    done = agent.run("attach", "x")
    assert (done.code, done.stdout) == (5, b"ab") and not agent.forgotten


def test_a_reader_that_the_agent_lets_go_of_says_why():
    agent = Agent(says((codec.STATUS, attached()), (codec.STATUS, {"event": "detached", "why": "no place"}), code=None))
    done = agent.run("attach", "x")
    assert done.code == 125 and "let go of session 'x': no place" in done.text


def test_who_lost_the_input_sends_none_and_comes_back_without_it():
    def taken(peer, _):
        peer.send(codec.STATUS, started())
        peer.expect(codec.STDIN)
        peer.send(codec.STATUS, {"event": "input_taken"})
    agent = Agent(taken, says((codec.STATUS, attached()), (codec.STDOUT, b"b"), code=5))
    with FakeAgent(agent) as fake:
        read, write = os.pipe()
        with Ctl(fake.path).start("exec", "--durable", "-i", "a", stdin=read) as process:
            os.write(write, b"x")
            out, err = process.communicate(timeout=30)
        os.close(read)
        os.close(write)
    assert process.returncode == 5 and out == b"b" and b"another host has taken the input" in err
    assert agent.asked[1][1]["input"] is False


def test_what_has_come_is_acknowledged_in_order():
    """Each time that so much more has been shown; where one ends depends on what came at once."""
    acks, every = [], 32768

    def script(peer, _):
        peer.send(codec.STATUS, started())
        for _ in range(64):
            peer.send(codec.STDOUT, bytes(16384))
        while not acks or acks[-1] <= (1 << 20) - every:
            frame = peer.recv()
            if frame.type == codec.OUTPUT_ACK:
                acks.append(struct.unpack("<Q", frame.payload)[0])
        peer.exit(0)
    done = Agent(script).run("exec", "--durable", "a")
    assert done.code == 0 and len(done.stdout) == 1 << 20
    assert acks == sorted(set(acks)) and acks[-1] <= 1 << 20
    assert all(later - sooner >= every for sooner, later in zip(acks, acks[1:]))


# ---- logs, forget, kill, sessions -----------------------------------------------------


SLOTS = [
    {"kind": "exec", "session": 12, "pid": 9, "user": "", "command": "a b", "age_ms": 1000, "bytes_in": 0,
     "bytes_out": 0, "name": "x", "durable": True, "attached": 1, "offset": 8, "running": True},
    {"kind": "ended", "session": 7, "pid": 0, "user": "", "command": "c", "age_ms": 5000, "bytes_in": 0,
     "bytes_out": 0, "name": "y", "durable": True, "attached": 0, "offset": 2048, "running": False,
     "code": 3, "signal": 0},
    {"kind": "ended", "session": 8, "pid": 0, "user": "", "command": "d", "age_ms": 5000, "bytes_in": 0,
     "bytes_out": 0, "name": "z", "durable": True, "attached": 0, "offset": 0, "running": False,
     "code": 137, "signal": 9},
    {"kind": "exec", "session": 13, "pid": 10, "user": "", "command": "e", "age_ms": 5000, "bytes_in": 0,
     "bytes_out": 0, "name": "plain"},
    {"kind": "exec", "session": 14, "pid": 11, "user": "", "command": "e", "age_ms": 5000, "bytes_in": 0,
     "bytes_out": 0, "name": "twice"},
    {"kind": "exec", "session": 15, "pid": 12, "user": "", "command": "e", "age_ms": 5000, "bytes_in": 0,
     "bytes_out": 0, "name": "twice"},
]


def test_sessions_are_a_table_of_the_durable_ones():
    lines = Agent(slots=SLOTS).run("sessions").stdout.decode().splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "SESSION", "STATE", "HOSTS", "AGE", "OUT", "COMMAND"],
        ["x", "12", "runs", "1", "1", "s", "8", "B", "a", "b"],
        ["y", "7", "exit", "3", "0", "5", "s", "2.0", "KiB", "c"],
        ["z", "8", "SIGKILL", "0", "5", "s", "0", "B", "d"]]


def test_sessions_in_json_are_the_agents_words_one_a_line():
    done = Agent(slots=SLOTS).run("sessions", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == SLOTS[:3]


def test_logs_end_at_what_was_there_and_take_no_input():
    agent = Agent(says((codec.STATUS, attached(2, lost=2)), (codec.STDOUT, b"abc"), (codec.STDERR, b"def"),
                       code=None), slots=SLOTS)
    done = agent.run("logs", "x")
    assert done.code == 0 and done.stdout == b"abc" and done.stderr.endswith(b"def")
    assert "2 B of the output before this" in done.text
    assert agent.asked == [("ATTACH", {"name": "x", "input": False})]


def test_logs_of_what_has_ended_go_to_its_end_and_are_no_failure():
    agent = Agent(says((codec.STATUS, attached(running=False)), (codec.STDOUT, b"abc"), code=3), slots=SLOTS)
    assert agent.run("logs", "--tail", "2K", "7") == (0, b"abc", b"")
    assert agent.asked == [("ATTACH", {"session": 7, "tail": 2048, "input": False})] and not agent.forgotten


def test_logs_of_nobody_are_a_failure_in_words():
    done = Agent(refuse("ESRCH: none"), slots=SLOTS).run("logs", "nobody")
    assert done.code == 1 and "there is no durable session 'nobody'" in done.text


def test_forget_takes_names_and_numbers():
    agent = Agent()
    assert agent.run("forget", "y", "8").code == 0
    assert agent.forgotten == [{"name": "y"}, {"session": 8}]


def test_forgetting_what_runs_is_a_failure_in_words():
    def script(peer):
        peer.expect(codec.FORGET)
        peer.exit(1)
    with FakeAgent(script) as fake:
        done = Ctl(fake.path).run("forget", "x")
    assert done.code == 1 and "no durable session 'x' has ended" in done.text


@pytest.mark.parametrize("which,session", [("x", 12), ("plain", 13), ("99", 99)])
def test_kill_takes_a_name(which, session):
    agent = Agent(says(), slots=SLOTS)
    assert agent.run("kill", which, "INT").code == 0
    assert agent.asked == [("KILL", {"session": session, "signal": 2})]


@pytest.mark.parametrize("name,said", [("nobody", "no session is called 'nobody'"), ("twice", "2 sessions")])
def test_kill_of_a_name_that_is_not_one_sessions_does_nothing(name, said):
    agent = Agent(says(), slots=SLOTS)
    done = agent.run("kill", name)
    assert done.code == 1 and said in done.text and not agent.asked


# ---- leaving ---------------------------------------------------------------------------


def test_a_program_that_is_left_prints_its_name_and_nothing_else():
    def script(peer, request):
        assert request["stdin"] is False and request["durable"] == {"when_full": "drop"}
        peer.send(codec.STATUS, started(request["name"]))
        assert [frame.type for frame in peer.until(codec.DETACH)] == [codec.DETACH]
        peer.send(codec.STATUS, {"event": "detached", "offset": 0})
    assert Agent(script).run("exec", "-d", "--name", "x", "a") == (0, b"x\n", b"")


def test_a_program_that_is_left_is_so_though_the_answer_to_its_start_was_lost():
    left = []

    def script(peer, _):
        peer.send(codec.STATUS, attached(running=True))
        left.extend(frame.type for frame in peer.until(codec.DETACH))
        peer.send(codec.STATUS, {"event": "detached", "offset": 0})
    done = Agent(says(code=None), script).run("exec", "-d", "a")
    assert done.code == 0 and re.fullmatch(rb"a-[0-9a-f]{8}\n", done.stdout) and left == [codec.DETACH]


def test_what_is_left_has_no_output_here():
    def script(peer, request):
        peer.send(codec.STATUS, started(request["name"]))
        peer.send(codec.STDOUT, b"out")
        peer.send(codec.STDERR, b"err")
        peer.until(codec.DETACH)
        peer.send(codec.STDOUT, b"more")
        peer.send(codec.STATUS, {"event": "detached", "offset": 10})
    assert Agent(script).run("exec", "-d", "--name", "x", "a") == (0, b"x\n", b"")


def test_what_is_left_with_i_keeps_its_input_open():
    def script(peer, request):
        assert "stdin" not in request and request["durable"]["when_full"] == "wait"
        peer.send(codec.STATUS, started(request["name"]))
        assert [frame.type for frame in peer.until(codec.DETACH)] == [codec.DETACH]
    assert Agent(script).run("exec", "-d", "-i", "--durable=when-full=wait", "--name", "x", "a") == (0, b"x\n", b"")


def test_what_could_not_start_is_not_left():
    agent = Agent(says((codec.STDERR, b"EEXIST: session 'x' is there (number 12, running)\n"), code=125))
    done = agent.run("exec", "-d", "--name", "x", "a")
    assert done.code == 125 and done.stdout == b"" and "EEXIST: session 'x'" in done.text



def tty_script(typed):
    def script(peer, _):
        peer.send(codec.STATUS, attached(tty=True))
        peer.send(codec.STDOUT, b"ready")
        while (frame := peer.recv()).type != codec.DETACH:
            if frame.type == codec.STDIN:
                typed.append(frame.payload)
        peer.send(codec.STATUS, {"event": "detached", "offset": 5})
    return script


def test_the_keys_leave_and_the_rest_is_typed():
    typed = []
    with FakeAgent(Agent(tty_script(typed))) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        term.read_until(b"ready")
        assert term.is_raw() and b"Ctrl-] d leaves it" in term.output
        # At once: the second key counts for a second, which a busy machine may take to type it.
        term.type(b"ab\x1d\x1dc\x1dd")
        assert term.wait() == 0
        assert b"session 'x' goes on" in term.output and term.is_restored()
    assert b"".join(typed) == b"ab\x1dc"


def test_a_key_that_nothing_follows_is_the_programs_after_a_second():
    typed = []
    with FakeAgent(Agent(tty_script(typed))) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        term.read_until(b"ready")
        term.type(b"\x1d")
        wait_until(lambda: typed == [b"\x1d"], message="it is typed")
        term.type(b"d\x1dd")
        assert term.wait() == 0
    assert b"".join(typed) == b"\x1dd"


def test_other_keys_may_be_chosen():
    typed = []
    with FakeAgent(Agent(tty_script(typed))) as fake, \
            Terminal(Ctl(fake.path), "attach", "--detach-keys", "ctrl-p,ctrl-q", "x") as term:
        term.read_until(b"ready")
        term.type(b"\x1dd\x10\x11")
        assert term.wait() == 0
    assert b"".join(typed) == b"\x1dd"


def test_the_keys_leave_while_there_is_no_connection():
    def script(peer, _):
        peer.send(codec.STATUS, attached(tty=True))
        peer.send(codec.STDOUT, b"ready")
    with FakeAgent(Agent(script)) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        term.read_until(b"coming back")
        term.type(b"\x1dd")
        assert term.wait() == 0 and term.is_restored()


def test_the_keys_leave_an_agent_that_does_not_answer():
    def script(peer, _):
        peer.send(codec.STATUS, attached(tty=True))
        peer.send(codec.STDOUT, b"ready")
        while peer.recv() is not None:
            pass
    with FakeAgent(Agent(script)) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        term.read_until(b"ready")
        term.type(b"\x1dd")
        assert term.wait() == 0


def test_what_is_typed_without_a_connection_is_sent_when_there_is_one():
    typed = []

    def gone(peer, _):
        peer.send(codec.STATUS, attached(tty=True))
        peer.send(codec.STDOUT, b"ready")
    agent = Agent(gone, refuse("busy: no"), refuse("busy: no"), refuse("busy: no"), refuse("busy: no"),
                  tty_script(typed))
    with FakeAgent(agent) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        term.read_until(b"coming back")
        term.type(b"abc")
        wait_until(lambda: b"".join(typed) == b"abc", message="what is typed comes")
        term.type(b"\x1dd")
        assert term.wait() == 0
        assert b"busy" not in term.output


def test_a_holder_tells_its_size_when_it_comes():
    sizes = []

    def script(peer, _):
        peer.send(codec.STATUS, attached(tty=True, columns=10, rows=5))
        sizes.append(peer.expect(codec.RESIZE).payload)
        peer.exit(0)
    with FakeAgent(Agent(script)) as fake, Terminal(Ctl(fake.path), "attach", "x") as term:
        assert term.wait() == 0
    assert sizes == [struct.pack("<HH", 97, 31)]


def test_who_only_reads_sends_nothing_and_leaves_by_ctrl_c():
    frames = []

    def script(peer, request):
        assert request == {"name": "x", "input": False, "report": True}
        peer.send(codec.STATUS, attached(tty=True))
        peer.send(codec.STDOUT, b"ready")
        frames.append(peer.recv())
    with FakeAgent(Agent(script)) as fake, Terminal(Ctl(fake.path), "attach", "--read-only", "x") as term:
        term.read_until(b"ready")
        assert not term.is_raw()
        term.type(b"xyz\r\x03")
        assert term.wait() == -2
    assert frames == [None]


def test_without_a_terminal_attach_sends_input_only_if_asked():
    def script(peer, _):
        peer.send(codec.STATUS, attached())
        frames = peer.until(codec.EOF) if sends else []
        peer.send(codec.STDOUT, b"".join(f.payload for f in frames))
        peer.exit(0)
    sends = False
    assert Agent(script).run("attach", "x", input=b"abc") == (0, b"", b"")
    sends = True
    assert Agent(script).run("attach", "-i", "x", input=b"abc") == (0, b"abc", b"")


# ---- shell --name ------------------------------------------------------------------------


def test_a_named_shell_that_runs_is_gone_on_with():
    agent = Agent(says((codec.STATUS, attached()), code=4), slots=SLOTS)
    assert agent.run("shell", "--name", "x").code == 4
    assert [(name, asked["report"]) for name, asked in agent.asked] == [("ATTACH", True)]
    assert agent.forgotten == [{"session": 12, "instance": INSTANCE}]


def test_a_named_shell_that_has_ended_is_forgotten_and_started():
    agent = Agent(says((codec.STATUS, started("y")), code=4), slots=SLOTS)
    assert agent.run("shell", "--name", "y").code == 4
    assert [name for name, _ in agent.asked] == ["START"]
    assert agent.asked[0][1]["name"] == "y" and agent.asked[0][1]["durable"] == {}
    assert agent.forgotten == [{"name": "y"}, {"session": 12, "instance": INSTANCE}]


# ---- wrong use ----------------------------------------------------------------------------


@pytest.mark.parametrize("args,code", [
    (("exec", "--durable=size=1", "a"), 125), (("exec", "--name", "12", "a"), 125),
    (("exec", "--name", "a b", "a"), 125), (("attach",), 125), (("attach", "a/b"), 125),
    (("attach", "--read-only", "-i", "x"), 125), (("attach", "--detach-keys", "ab", "x"), 125),
    (("logs",), 2), (("forget",), 2), (("forget", "a b"), 2), (("sessions", "x"), 2), (("kill", "a b"), 2)])
def test_wrong_use_is_told(args, code):
    done = Agent().run(*args)
    assert done.code == code and ("--help" in done.text or "is not" in done.text)
