# SPDX-License-Identifier: MIT
"""Transcripts of programs: START, and how it ends."""

import codec
from transcripts import PLACE, transcript


def start(t, cmd, given=None, **members):
    """START, and what a client was asked to do for it."""
    t.given(do="run", cmd=cmd, **members, **(given or {}))
    t.send(codec.START, codec.start(cmd, **members))


def sh(t, script, given=None, **members):
    start(t, ["/bin/sh", "-c", script], given, **members)


@transcript("exec-echo", "A program's output and its end: EXIT is the last frame, and the agent closes first.",
            about=["exit code"])
def _(t):
    start(t, ["echo", "hi"], {"stdin": ""})
    t.send(codec.EOF)
    t.rest()


@transcript("exec-stdin", "A program is given its input, and its end by EOF.")
def _(t):
    start(t, ["cat"], {"stdin": "one\ntwo\n"})
    t.send(codec.STDIN, b"one\ntwo\n")
    t.send(codec.EOF)
    t.rest()


@transcript("exec-missing", "A program that is not there: words on STDERR, and the agent's own EXIT 127.",
            about=["missing program"])
def _(t):
    start(t, [PLACE + "/nothing"], {"stdin": ""})
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="missing")
