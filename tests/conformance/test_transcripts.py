# SPDX-License-Identifier: MIT
"""The golden transcripts: what is generated now is what is in the tree, the real agent takes
the host's side of each, and a client can be held against them."""

import glob
import os
import socket

import pytest

import transcripts_control  # noqa: F401
import transcripts_exec  # noqa: F401
import transcripts_file  # noqa: F401
from agent import Agent
from faults import mounted
import codec
import transcript_agent
from transcript_agent import Mismatch, Transcript
from transcripts import FOLDER, PLACE, SCENARIOS, Replay, record, replay

WRITES = os.environ.get("VGA_WRITE_TRANSCRIPTS", "") not in ("", "0")


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    """(agent, directory): the agent sees DIRECTORY as PLACE."""
    directory = tmp_path_factory.mktemp("place")
    patch = pytest.MonkeyPatch()
    mounted(patch, directory, 'mkdir -p %s; mount --bind "$D" %s' % (PLACE, PLACE))
    with Agent("--workers=8", "--log=debug") as agent:
        yield agent, directory
    patch.undo()


def path_of(name):
    return os.path.join(FOLDER, name + ".jsonl")


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_generated_is_what_is_in_the_tree(guest, name):
    text = record(guest[0], SCENARIOS[name], guest[1])
    if WRITES:
        with open(path_of(name), "w", encoding="utf-8") as file:
            file.write(text)
    with open(path_of(name), encoding="utf-8") as file:
        assert file.read() == text


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if "needs" not in scenario.head])
def test_the_agent_takes_the_hosts_side(guest, name):
    replay(guest[0], Transcript(path_of(name)), guest[1])


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
            Replay(Served(stand.path)).run(stand.transcript)
    assert sorted(agent.results) == [(name, None) for name in sorted(names)]


def test_a_frame_may_come_in_any_pieces(tmp_path, pieces):
    with served(tmp_path, [path_of("exec-stdin")], pieces) as agent:
        Replay(Served(agent.stands[0].path)).run(agent.stands[0].transcript)
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
    ([(codec.START, b'{ "cmd": ["echo", "hi"], "tty":false, "tty_width":80, "report":true }'), (codec.EOF, b"x")], None),
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
        replay(guest[0], Transcript(other), guest[1])
