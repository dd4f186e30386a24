# SPDX-License-Identifier: MIT
"""Transcripts of durable sessions: START with "durable", ATTACH, DETACH, FORGET, KILL."""

import codec
import durable
from agent import kill_hard
from transcripts import UNIT, transcript
from transcripts_exec import KILLED


def begin(t, cmd, given=None, durable_members=None, **members):
    """START of a durable session of the name "job", and its STATUS started."""
    members = {"name": "job", "durable": durable_members or {}, **members}
    t.given(do="run", cmd=cmd, **members, **(given or {}))
    t.send(codec.START, codec.start(cmd, **members))
    t.next(codec.STATUS)


def attach(t, given=None, **members):
    """ATTACH, and its STATUS attached."""
    t.given(do="attach", name="job", **members, **(given or {}))
    t.send(codec.ATTACH, {"name": "job", **members})
    t.next(codec.STATUS)


def leave(t):
    """DETACH, and what comes to its end."""
    t.send(codec.DETACH)
    t.rest()
    t.outcome(error="detached")
    alone(t)


def alone(t):
    """Nobody is attached any more, for the agent too."""
    durable.wait_alone(t.agent, "job")


def ended(t):
    """The session is over, and nobody serves it."""
    durable.wait_ended(t.agent, "job")


def forget(t):
    t.given(do="request", frame="FORGET", json={"name": "job"})
    t.send(codec.FORGET, {"name": "job"})
    t.rest()


def lasting(name, says, **more):
    return transcript(name, says, host="H3", **more)


LEAVES = {"steps": [{"detach": True}]}


@lasting("durable", "A session that outlives its connection: begun and left, come back to with its input, looked "
         "at when it "
         "is over, and forgotten.", about=["detached"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    attach(t, {"stdin": "hi\n"}, **{"from": 0})
    t.send(codec.STDIN, b"hi\n")
    t.send(codec.EOF)
    t.rest()
    ended(t)
    attach(t, tail=2, input=False)
    t.rest()
    forget(t)


@lasting("durable-reconnect", "The connection breaks, and the client comes back by itself: it reads on from the offset "
         "that it has, and sends again from the session's stdin_bytes on.", about=["reconnection"])
def _(t):
    begin(t, ["cat"], {"steps": [{"stdin": "one\n"}, {"await": "one\n"}, {"stdin": "two\n"}, {"eof": True}]})
    t.send(codec.STDIN, b"one\n")
    t.output(b"one\n")
    t.cut()
    alone(t)
    t.send(codec.ATTACH, {"name": "job", "from": 4})
    t.next(codec.STATUS)
    t.send(codec.STDIN, b"two\n")
    t.send(codec.EOF)
    t.rest()


@lasting("durable-reconnect-ended", "The session has ended meanwhile: what is left of its output comes at once, "
         "and EXIT.",
         needs="that the session has ended before it is come back to", about=["reconnection"])
def _(t):
    begin(t, ["/bin/sh", "-c", "echo one; read x; echo two; exit 3"], {"steps": [{"await": "one\n"}, {"stdin": "\n"}]})
    t.output(b"one\n")
    t.send(codec.STDIN, b"\n")
    ended_or_served(t)
    t.cut()
    ended(t)
    t.send(codec.ATTACH, {"name": "job", "from": 4})
    t.rest()


def ended_or_served(t):
    """The session is over, though its first connection is still there."""
    durable.wait_ended(t.agent, "job", served=True)


@lasting("durable-attach-worker-lost", "An attached host's own worker is lost, and the session is not: STATUS detached "
         "says so, and the client comes back.", options=KILLED, needs="a worker that is killed behind one",
         about=["worker lost", "reconnection"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    attach(t, {"steps": [{"stdin": "one\n"}, {"await": "one\n"}, {"eof": True}]}, **{"from": 0})
    t.send(codec.STDIN, b"one\n")
    t.output(b"one\n")
    kill_hard(t.slot("attach")["pid"])
    t.rest()
    alone(t)
    t.send(codec.ATTACH, {"name": "job", "from": 4})
    t.next(codec.STATUS)
    t.send(codec.EOF)
    t.rest()


@lasting("durable-lost", "More was written than is kept: attached says how much is lost, and where the rest begins.",
         needs="another host, who attaches, sends 1 MiB and EOF, and that the session has ended then")
def _(t):
    unit = b"0123456789abcde\n" * (UNIT // 16)
    begin(t, ["cat"], LEAVES, {"buffer_bytes": 65536})
    leave(t)
    other = durable.attach(t.agent, "job", at=0)
    other.conn.send_reading(codec.encode(codec.STDIN, unit) * 1024 + codec.encode(codec.EOF))
    other.finish()
    ended(t)
    attach(t, tail=16 * UNIT, input=False)
    t.rest()


@lasting("durable-input-taken", "Another host takes the input: who had it is told, and looks on.",
         needs="another host, who attaches behind one, sends EOF behind ready")
def _(t):
    begin(t, ["cat"], {"steps": [{"stdin": "one\n"}, {"await": "one\n"}]})
    t.send(codec.STDIN, b"one\n")
    t.output(b"one\n")
    other = durable.attach(t.agent, "job")
    t.others.append(other.conn)
    t.next(codec.STATUS)
    other.conn.send(codec.STDIN, b"two\n")
    other.conn.send(codec.EOF)
    t.rest()


@lasting("durable-ack", "With when_full wait nothing is overwritten that no OUTPUT_ACK has covered.", client=False)
def _(t):
    members = {"name": "job", "durable": {"when_full": "wait"}}
    t.send(codec.START, codec.start(["cat"], **members))
    t.next(codec.STATUS)
    t.send(codec.STDIN, b"hi\n")
    t.output(b"hi\n")
    t.send(codec.OUTPUT_ACK, (3).to_bytes(8, "little"))
    t.send(codec.EOF)
    t.rest()


@lasting("durable-name-taken", "One name, one session: the second START is refused.", about=["refused START"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    t.given(do="run", cmd=["true"], name="job", durable={})
    t.send(codec.START, codec.start(["true"], name="job", durable={}))
    t.rest()
    t.outcome(error="refused")


@lasting("durable-abandoned", "Nobody has come back for alone_seconds: the session was ended, and says why.",
         needs="that the session has ended before it is come back to", about=["abandoned"])
def _(t):
    begin(t, ["sleep", "60"], LEAVES, {"alone_seconds": 1})
    leave(t)
    ended(t)
    attach(t, report=True)
    t.rest()


@lasting("attach-unknown", "There is no such session: words, and EXIT 125.", about=["failed request"])
def _(t):
    t.given(do="attach", name="nothing")
    t.send(codec.ATTACH, {"name": "nothing"})
    t.rest()
    t.outcome(error="refused")


@lasting("attach-stale", "A session of an agent that ran before this one: ESTALE, before anything is looked up.",
         about=["session that is not there"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    members = {"name": "job", "instance": "ffffffffffffffffffffffffffffffff"}
    t.given(do="attach", **members)
    t.send(codec.ATTACH, members)
    t.rest()
    t.outcome(error="refused")


@lasting("attach-beyond", "More of the output is asked for than was written: ERANGE, and who holds the input keeps it.",
         about=["failed request"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    t.given(do="attach", name="job", **{"from": 100})
    t.send(codec.ATTACH, {"name": "job", "from": 100})
    t.rest()
    t.outcome(error="refused")


@lasting("forget-running", "A session that runs is not forgotten: EXIT 1.", about=["failed request"])
def _(t):
    begin(t, ["cat"], LEAVES)
    leave(t)
    t.given(do="request", frame="FORGET", json={"name": "job"})
    t.send(codec.FORGET, {"name": "job"})
    t.rest()
    t.outcome(error="failed")


@lasting("forget-unknown", "There is no such session: EXIT 1.", about=["failed request"])
def _(t):
    t.given(do="request", frame="FORGET", json={"name": "nothing"})
    t.send(codec.FORGET, {"name": "nothing"})
    t.rest()
    t.outcome(error="failed")


@lasting("kill", "A session is ended by its number, whoever is attached: EXIT 0 of KILL, and 137 of the session.",
         needs="that the session has ended before it is come back to")
def _(t):
    begin(t, ["sleep", "60"], LEAVES)
    leave(t)
    session = t.known["session"]
    t.given(do="request", frame="KILL", json={"session": 7, "signal": 9})
    t.send(codec.KILL, {"session": session, "signal": 9})
    t.rest()
    ended(t)
    attach(t)
    t.rest()


