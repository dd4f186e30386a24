# SPDX-License-Identifier: MIT
"""The golden transcripts: what is generated now is what is in the tree, the real agent takes
the host's side of each, and a client can be held against them."""

import glob
import json
import os
import re
import socket

import pytest
from _pytest.monkeypatch import MonkeyPatch  # before pytest 6.2 by this name alone

import transcripts_control  # noqa: F401
import transcripts_durable  # noqa: F401
import transcripts_exec  # noqa: F401
import transcripts_file  # noqa: F401
from agent import Agent
from faults import mounted
import codec
import conftest
import durable
import transcript_agent
from transcript_agent import Mismatch, Transcript
from transcripts import FOLDER, PLACE, SCENARIOS, Replay, record, replay

GUEST = """mkdir -p %s; mount -t tmpfs none %s
ip link set lo up; ip link add eth0 type veth peer name host0; hostname guest""" % (PLACE, PLACE)
WRITES = os.environ.get("VGA_WRITE_TRANSCRIPTS", "") not in ("", "0")


class Guest:
    """Agents, each with mounts, a network and a host name of its own, and nothing in PLACE."""

    def __init__(self):
        self.agents = {}

    def agent(self, scenario):
        """The agent for SCENARIO: that of all with its options, or a fresh one."""
        key = None if scenario.fresh else scenario.options
        if scenario.fresh:
            self.end(self.agents.pop(key, None))
        if key not in self.agents:
            self.agents[key] = Agent(*scenario.options)
        return self.agents[key]

    @staticmethod
    def end(agent):
        if agent is None:
            return
        if agent.is_alive():
            conftest.end(agent)
        conftest.check_sanitizers(agent.log() if os.path.exists(agent.log_path) else "")
        agent.kill()

    def record(self, name):
        agent = self.agent(SCENARIOS[name])
        try:
            return record(agent, SCENARIOS[name])
        finally:
            self.forget(agent, SCENARIOS[name])

    def replay(self, name, path=None):
        agent = self.agent(SCENARIOS[name])
        try:
            replay(agent, Transcript(path or path_of(name)))
        finally:
            self.forget(agent, SCENARIOS[name])

    @staticmethod
    def forget(agent, scenario):
        """Durable sessions, for the next who has one of that name."""
        if "durable" in scenario.run.__module__:
            durable.forget_all(agent)


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    patch = MonkeyPatch()
    mounted(patch, tmp_path_factory.mktemp("guest"), GUEST, spaces="mnu")
    one = Guest()
    yield one
    for agent in one.agents.values():
        one.end(agent)
    patch.undo()


def path_of(name):
    return os.path.join(FOLDER, name + ".jsonl")


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.in_vm])
def test_what_is_generated_is_what_is_in_the_tree(guest, name):
    text = guest.record(name)
    if WRITES:
        with open(path_of(name), "w", encoding="utf-8") as file:
            file.write(text)
    with open(path_of(name), encoding="utf-8") as file:
        assert file.read() == text


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if "needs" not in scenario.head])
def test_the_agent_takes_the_hosts_side(guest, name):
    guest.replay(name)


# ---- all of them -----------------------------------------------------------------

# How a request may end, and what authors of a client get wrong: each has a transcript that is about it.
ENDINGS = {
    "exit code", "signal", "timeout", "busy", "refused START", "missing program", "program that can't be run",
    "disconnected", "detached", "abandoned", "worker lost", "shutdown", "oom", "last frame twice", "failed request", "FILE_ERR before the data",
    "FILE_ERR amid the data", "FILE_ERR after the data", "too large", "close without an EXIT",
    "close without an answer", "truncated frame", "frame above the limit", "protocol error", "frames behind the last", "session that is not there"}
MISTAKES = {
    "stdin under back pressure", "EOF before EXIT and the lingering close", "tty and resize",
    "FILE_ERR in the middle of an upload", "a deadline on a guest that hangs",
    "busy told from the program's own 125", "retry while the VM boots", "handshake", "reconnection"}


def everything():
    return [Transcript(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*.jsonl")))]


def rows_of_the_text(columns):
    with open(os.path.join(FOLDER, "../PROTOCOL.md"), encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == columns:
                yield cells


def test_each_file_has_a_scenario_and_the_other_way_round():
    assert {script.name for script in everything()} == set(SCENARIOS)


def test_each_request_has_a_transcript():
    """A frame that a connection may begin with, as the tables of PROTOCOL.md have them."""
    requests = {name for _, name, way, _, _ in rows_of_the_text(5)
                if way.startswith("host→agent, ") or (name.endswith("_REQ") and way.startswith("host→agent"))}
    first = set()
    for script in everything():
        for scene in script.connections:
            first.update([item.name for item in scene.items if item.name and item.side == "host"][:1])
    assert len(requests) > 20 and requests - first == set()


def test_each_frame_is_in_a_transcript():
    there = {item.name for script in everything() for scene in script.connections for item in scene.items}
    assert set(codec.NAMES.values()) - there == set()


def test_each_ending_and_each_mistake_has_a_transcript():
    about = {one for script in everything() for one in script.head.get("about", [])}
    assert about == ENDINGS | MISTAKES


def test_the_stand_in_has_the_frames_and_defaults_of_the_contract():
    assert transcript_agent.FRAMES == {name: number for number, name in codec.NAMES.items()}
    wanted = {}
    for message, member, kind, _, default, _ in rows_of_the_text(6):
        name, _, inner = member.partition(".")
        key, member = (message + " durable", inner) if name == "durable" and inner else (message, member)
        value = value_of(kind, default)
        if message in transcript_agent.DEFAULTS and "." not in member and value is not None:
            wanted.setdefault(key, {})[member] = value
    assert wanted == {name: defaults for name, defaults in transcript_agent.DEFAULTS.items() if defaults}


def value_of(kind, text):
    """The default of a member as PROTOCOL.md says it; None where it has none."""
    if kind in ("bool", "object", "u16", "u32", "u64") or text[:1] in ('"', "["):
        try:
            return json.loads(text)
        except ValueError:
            return None
    return text if kind == "string" and re.fullmatch(r"[a-z0-9.]+", text) and text not in WORDS else None


WORDS = {"required", "none", "any"}


# ---- the stand-in --------------------------------------------------------------


class Served:
    """Where a transcript is served, as our hosts in Python want it."""

    def __init__(self, path):
        self.path = path

    def dial(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(self.path)
        return sock


@pytest.fixture(params=[0, 1, 7], ids=["whole", "by_the_byte", "in_sevens"])
def pieces(request):
    return request.param


def served(folder, paths, pieces=0):
    options = transcript_agent.argparse.Namespace(pieces=pieces, patience=10.0)
    return transcript_agent.Agent(str(folder), paths, options)


def test_the_stand_in_takes_and_gives_what_each_transcript_has(tmp_path):
    paths = sorted(glob.glob(os.path.join(FOLDER, "*.jsonl")))
    with served(tmp_path, paths) as agent:
        names = [stand.transcript.name for stand in agent.stands]
        for stand in agent.stands:
            Replay(Served(stand.path), real=False).run(stand.transcript)
    assert sorted(agent.results) == [(name, None) for name in sorted(names)]


def test_a_frame_may_come_in_any_pieces(tmp_path, pieces):
    with served(tmp_path, [path_of("exec-stdin")], pieces) as agent:
        Replay(Served(agent.stands[0].path), real=False).run(agent.stands[0].transcript)
    assert agent.results == [("exec-stdin", None)]


def ask(path, *frames, port=codec.EXEC_PORT):
    """A client of few words: what came, to the close."""
    with Served(path).dial() as sock:
        sock.sendall(b"CONNECT %d\n" % port + b"".join(codec.encode(*frame) for frame in frames))
        came = b""
        while data := sock.recv(65536):
            came += data
    return came


SAYS = [
    # What the client sends in place of the transcript's START {"cmd":["echo","hi"]} and EOF, and what is wrong.
    ([(codec.START, {"cmd": ["echo", "hi"]}), (codec.EOF,)], None),
    ([(codec.START, b'{ "cmd": ["echo", "hi"], "tty":false, "tty_width":80, "report":true }'),
      (codec.EOF, b"x")], None),
    ([(codec.START, {"cmd": ["echo", "hi"], "stdin": False})], None),
    ([(codec.START, {"cmd": ["echo", "hi"]}), (codec.STDIN,), (codec.EOF,)], None),
    ([(codec.START, {"cmd": ["echo", "ho"]}), (codec.EOF,)], 'line 5: expected START {"cmd":["echo","hi"]}, got'),
    ([(codec.START, {"cmd": ["echo", "hi"], "tty": True}), (codec.EOF,)], "line 5: expected START"),
    ([(codec.START, {"cmd": ["echo", "hi"], "tty": 0}), (codec.EOF,)], "line 5: expected START"),
    ([(codec.START, {"cmd": ["echo", "hi"]}), (codec.STDIN, b"x"), (codec.EOF,)], "line 6: expected EOF , got STDIN x"),
    ([(codec.EOF,), (codec.START, {"cmd": ["echo", "hi"]})], "line 5: expected START"),
    ([(codec.START, b"{")], "line 5: expected START"),
]


@pytest.mark.parametrize("frames,wrong", SAYS)
def test_the_stand_in_says_what_a_client_does_otherwise(tmp_path, frames, wrong):
    with served(tmp_path, [path_of("exec-echo")]) as agent:
        try:
            came = ask(agent.stands[0].path, *frames)
        except ConnectionError:
            came = b""
    [(name, said)] = agent.results
    assert name == "exec-echo"
    if wrong is None:
        assert said is None and came.startswith(b"OK 52\n") and b"hi\n" in came
    else:
        assert said is not None and said.startswith(wrong)


def test_a_client_may_look_at_the_status_first(tmp_path):
    with served(tmp_path, [path_of("exec-echo"), path_of("status")]) as agent:
        assert b'"features"' in ask(agent.stands[0].path, (codec.STATUS_REQ,))
        assert agent.results == []
        ask(agent.stands[0].path, *SAYS[0][0])
    assert agent.results == [("exec-echo", None)]


def test_an_agent_that_says_otherwise_is_seen(guest, tmp_path):
    """The replay against the agent can fail."""
    with open(path_of("exec-echo"), encoding="utf-8") as file:
        text = file.read()
    assert "68690a" in text
    other = tmp_path / "other.jsonl"
    other.write_text(text.replace("68690a", "686f0a"))
    with pytest.raises(Mismatch, match="expected STDOUT ho"):
        guest.replay("exec-echo", other)
