# SPDX-License-Identifier: MIT
"""Transcripts of files: port 53."""

import codec
from transcripts import PLACE, transcript


def file(name, says, host="H1", **more):
    return transcript(name, says, port=codec.FILE_PORT, host=host, **more)


@file("file-write", "A file is written: DATA, DONE, and ACK when it has its name.")
def _(t):
    t.given(do="put", path=PLACE + "/hello", mode=0o640, data="hello\n")
    t.send(codec.FILE_WRITE_REQ, {"path": PLACE + "/hello", "mode": 0o640})
    t.send(codec.FILE_DATA, b"hello\n")
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-read", "A file is read: DATA, and DONE behind the last of it.")
def _(t):
    t.guest("printf 'hello\\n' >%s/hello" % PLACE)
    t.given(do="get", path=PLACE + "/hello")
    t.send(codec.FILE_READ_REQ, {"path": PLACE + "/hello"})
    t.rest()
