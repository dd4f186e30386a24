# SPDX-License-Identifier: MIT
"""Transcripts of requests that run no program: port 52."""

import codec
from transcripts import transcript


def request(t, kind, payload=b"", **given):
    t.given(do="request", frame=codec.NAMES[kind], **({"json": payload} if payload else {}), **given)
    t.send(kind, payload)
    t.rest()


@transcript("status", "What the agent is, can do and has done.", host="H3")
def _(t):
    request(t, codec.STATUS_REQ)
