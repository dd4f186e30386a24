# SPDX-License-Identifier: MIT
"""Transcripts of files: port 53."""

import os
import signal
import struct
import subprocess

import codec
from agent import descriptors, kill_hard, wait_until
from faults import Fault
from transcripts import PLACE, UNIT, transcript
from transcripts_exec import KILLED, STANDS, TRACED

BLOCK = b"0123456789abcde\n" * (UNIT // 16)

# Of an agent whose largest file is 1 MiB, and of one that ends.
SMALL = ("--workers=4", "--max-file-mib=1")
ENDING = ("--workers=4",)


def file(name, says, host="H1", **more):
    return transcript(name, says, port=codec.FILE_PORT, host=host, **more)


def ask(t, kind, **members):
    """A request of one frame."""
    t.given(do="request", frame=codec.NAMES[kind], json=members)
    t.send(kind, members)


def request(t, kind, **members):
    """The same, and all of its answer."""
    ask(t, kind, **members)
    t.rest()


def put(t, data, name="hello", given=None, **members):
    """FILE_WRITE_REQ, with what the client is asked to do."""
    members = {"path": "%s/%s" % (PLACE, name), **members}
    t.given(do="put", **members, data=data.decode(), **(given or {}))
    t.send(codec.FILE_WRITE_REQ, members)


def get(t, name="hello", **members):
    members = {"path": "%s/%s" % (PLACE, name), **members}
    t.given(do="get", **members)
    t.send(codec.FILE_READ_REQ, members)


HELLO = "printf 'hello\\n' >%s/hello" % PLACE
LONG = "yes 0123456789abcde | head -c 2097152 >%s/long" % PLACE


# ---- WRITE --------------------------------------------------------------------------


@file("file-write", "A file is written: DATA, DONE, and ACK when it has its name.")
def _(t):
    put(t, b"hello\n", mode=0o640)
    t.send(codec.FILE_DATA, b"hello\n")
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-write-empty", "An empty file: DONE alone.")
def _(t):
    put(t, b"")
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-write-long", "4 MiB in pieces.")
def _(t):
    put(t, BLOCK, given={"data_times": 4096})
    t.send(codec.FILE_DATA, BLOCK, times=4096)
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-write-hole", "Zeros that are not sent: FILE_STAT says how many stand there.", host="H3", client=False)
def _(t):
    t.send(codec.FILE_WRITE_REQ, {"path": PLACE + "/hello"})
    t.send(codec.FILE_DATA, b"hello\n")
    t.send(codec.FILE_STAT, {"hole": 1048576})
    t.send(codec.FILE_DATA, b"end\n")
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-write-attributes", "With owner, time of modification, and flushed before ACK.", host="H3")
def _(t):
    put(t, b"hello\n", mode=0o600, fsync=True, uid=1000, gid=1000, mtime_secs=1500000000, mtime_nanos=5)
    t.send(codec.FILE_DATA, b"hello\n")
    t.send(codec.FILE_DONE)
    t.rest()


@file("file-write-error-before", "FILE_ERR comes before any data: what the client still sends is dropped, and it "
      "reads.",
      about=["FILE_ERR before the data"])
def _(t):
    t.guest(HELLO)
    put(t, BLOCK, name="hello/x", given={"data_times": 4096})
    t.rest()


@file("file-write-too-large", "FILE_ERR comes in the middle of an upload: who only writes hangs, or dies of a "
      "broken pipe.",
      options=SMALL, needs="an agent with max_file_mib=1",
      about=["FILE_ERR amid the data", "too large", "FILE_ERR in the middle of an upload"])
def _(t):
    put(t, BLOCK, given={"data_times": 4096})
    t.send(codec.FILE_DATA, BLOCK, times=1024)
    t.send(codec.FILE_DATA, BLOCK)
    t.rest()


@file("file-write-error-after", "FILE_ERR comes behind DONE: nothing was written until ACK.",
      needs="somebody who removes the folder before DONE comes", about=["FILE_ERR after the data"])
def _(t):
    t.guest("mkdir %s/gone" % PLACE)
    put(t, b"hello\n", name="gone/hello")
    t.send(codec.FILE_DATA, b"hello\n")
    is_open(t, "gone")
    os.rmdir(os.path.join(t.directory, "gone"))
    t.send(codec.FILE_DONE)
    t.rest()


def is_open(t, name):
    """Waits until a worker has the file open that it writes into, under a name of PLACE or none."""
    wanted = "%s/%s" % (PLACE, name)
    wait_until(lambda: any(d.startswith(wanted) and "#" in d for pid in t.agent.worker_pids()
                           for d in descriptors(pid).values()), message="the upload's file")


@file("file-write-leave", "The host goes in the middle: the old file stands.", about=["disconnected"], client=False)
def _(t):
    t.send(codec.FILE_WRITE_REQ, {"path": PLACE + "/hello"})
    t.send(codec.FILE_DATA, b"hel")
    t.shut()
    t.rest()


@file("file-write-worker-lost", "The worker dies in the middle: FILE_ERR EIO, and the old file stands.", options=KILLED,
      needs="a worker that is killed in the middle", about=["worker lost"])
def _(t):
    put(t, b"hello\n", given={"steps": [{"data": "hello\n"}, {"await": "FILE_ERR"}]})
    t.send(codec.FILE_DATA, b"hello\n")
    kill_hard(t.slot("write")["pid"])
    t.rest()


def answered(t, ask, kind):
    """ASKs, and has the worker killed when a frame of that KIND is here, which is the last; and all that comes behind
    it."""
    victims = t.agent.worker_pids()
    with Fault(victims, "sendmsg", STANDS, 3):
        ask()
        t.next(kind)
        kill_hard(*victims)
    t.late()
    t.rest()


@file("file-write-ack-twice", "The worker dies over its ACK, and the supervisor sends that again: the first was the "
      "answer.", options=TRACED, fresh=True, needs="a worker that is killed behind its ACK", about=["last frame twice"])
def _(t):
    def write():
        put(t, b"hello\n")
        t.send(codec.FILE_DATA, b"hello\n")
        t.send(codec.FILE_DONE)

    answered(t, write, codec.FILE_ACK)


@file("file-stat-worker-lost", "The worker dies over an answer that was whole: FILE_ERR follows, and the answer counts.",
      options=TRACED, fresh=True, needs="a worker that is killed behind its answer", about=["last frame twice"])
def _(t):
    t.guest(HELLO)
    answered(t, lambda: ask(t, codec.FILE_STAT_REQ, path="%s/hello" % PLACE), codec.FILE_STAT)


@file("file-write-shutdown", "The agent is ended in the middle: FILE_ERR ECANCELED.", options=ENDING, fresh=True,
      needs="an agent that is ended in the middle", about=["shutdown"])
def _(t):
    put(t, b"hello\n", given={"steps": [{"data": "hello\n"}, {"await": "FILE_ERR"}]})
    t.send(codec.FILE_DATA, b"hello\n")
    is_open(t, "")
    t.agent.process.send_signal(signal.SIGTERM)
    t.rest()


@file("file-write-out-of-place", "A frame that does not belong to an upload.", client=False, about=["protocol error"])
def _(t):
    t.send(codec.FILE_WRITE_REQ, {"path": PLACE + "/hello"})
    t.send_raw(codec.encode(codec.FILE_LIST, b"[]"))
    t.rest()


# ---- READ ---------------------------------------------------------------------------


@file("file-read", "A file is read: DATA, and DONE behind the last of it.")
def _(t):
    t.guest(HELLO)
    get(t)
    t.rest()


@file("file-read-long", "2 MiB: any number of DATA frames.")
def _(t):
    t.guest(LONG)
    get(t, "long")
    t.rest()


@file("file-read-range", "A part of a file.", host="H3")
def _(t):
    t.guest(HELLO)
    get(t, offset=1, length=3)
    t.rest()


@file("file-read-missing", "A file that is not there: the errno's name, and the path.",
      about=["FILE_ERR before the data"])
def _(t):
    get(t, "nothing")
    t.rest()


@file("file-read-error-amid", "FILE_ERR in place of DONE: what has come is not the file.", options=SMALL,
      needs="a file of /proc of more than 1 MiB there, and an agent with max_file_mib=1",
      about=["FILE_ERR amid the data", "too large"])
def _(t):
    with endless(t, "endless"):
        get(t, "endless")
        t.rest()


class endless:
    """/proc/PID/cmdline of a program with 1.2 MiB of arguments, bound to a name of PLACE: the one kind of
    file of which nobody knows the size."""

    def __init__(self, t, name):
        self.t, self.path = t, "%s/%s" % (PLACE, name)
        open(os.path.join(t.directory, name), "w").close()
        argument = "/" * (UNIT - 1 - len("dev/stdin")) + "dev/stdin"
        self.program = subprocess.Popen([argument] * 1200, executable="/bin/cat", stdin=subprocess.PIPE)

    def __enter__(self):
        cmdline = "/proc/%d/cmdline" % self.program.pid
        wait_until(lambda: open(cmdline, "rb").read(UNIT).startswith(b"/////"), message="the program")
        self.inside("mount", "--bind", cmdline, self.path)

    def inside(self, *command):
        subprocess.run(["nsenter", "--mount=/proc/%d/ns/mnt" % self.t.agent.pid, *command], check=True)

    def __exit__(self, *_):
        self.inside("umount", self.path)
        self.program.stdin.close()
        self.program.wait()


@file("file-half-frame", "The worker dies in the middle of a frame: no FILE_ERR can be said any more.", options=KILLED,
      needs="a worker that is killed in the middle of a frame", about=["truncated frame", "close without an answer"])
def _(t):
    t.guest(LONG)
    get(t, "long")
    assert t.conn.wait_readable(30)
    kill_hard(t.slot("read")["pid"])
    t.broken(beginning=64)
    t.outcome(error="closed")


# ---- the others ---------------------------------------------------------------------


@file("file-stat", "One entry.", host="H2")
def _(t):
    t.guest("%s; chmod 640 %s/hello" % (HELLO, PLACE))
    request(t, codec.FILE_STAT_REQ, path=PLACE + "/hello")


@file("file-stat-missing", "An entry that is not there.", host="H2")
def _(t):
    request(t, codec.FILE_STAT_REQ, path=PLACE + "/nothing")


@file("file-list", "What is in a folder, sorted by name: a file, a folder, a link, a FIFO.", host="H2")
def _(t):
    t.guest("cd %s; umask 022; mkdir a; printf 'hello\\n' >b; ln -s b c; mkfifo d" % PLACE)
    request(t, codec.FILE_LIST_REQ, path=PLACE)


@file("file-list-file", "A file is no folder.", host="H2")
def _(t):
    t.guest(HELLO)
    request(t, codec.FILE_LIST_REQ, path=PLACE + "/hello")


@file("file-mkdir", "A folder, and those above it.", host="H2")
def _(t):
    request(t, codec.FILE_MKDIR_REQ, path=PLACE + "/a/b/c", mode=0o700)


@file("file-remove", "A folder with what is in it.", host="H2")
def _(t):
    t.guest("mkdir -p %s/a/b" % PLACE)
    request(t, codec.FILE_REMOVE_REQ, path=PLACE + "/a", recursive=True)


@file("file-remove-not-empty", "Without recursive a folder is to be empty.", host="H2")
def _(t):
    t.guest("mkdir -p %s/a/b" % PLACE)
    request(t, codec.FILE_REMOVE_REQ, path=PLACE + "/a")


@file("file-move", "A file gets another name.", host="H2")
def _(t):
    t.guest(HELLO)
    request(t, codec.FILE_MOVE_REQ, **{"from": PLACE + "/hello", "to": PLACE + "/world"})


@file("file-link", "A file gets a second name.", host="H3")
def _(t):
    t.guest(HELLO)
    request(t, codec.FILE_LINK_REQ, **{"from": PLACE + "/hello", "to": PLACE + "/world"})


@file("file-symlink", "A link is made.", host="H3")
def _(t):
    request(t, codec.FILE_SYMLINK_REQ, path=PLACE + "/link", target="hello")


@file("file-set", "Mode, owner and time of what is there.", host="H3")
def _(t):
    t.guest(HELLO)
    request(t, codec.FILE_SET_REQ, path=PLACE + "/hello", mode=0o600, uid=1000, gid=1000, mtime_secs=1500000000)


@file("file-tree", "All that is at a path, in one answer: entries, the bytes of files behind them, ACK at the end.",
      host="H3")
def _(t):
    t.guest("cd %s; umask 022; mkdir a; printf 'hello\\n' >a/b; truncate -s 65536 a/b" % PLACE)
    request(t, codec.FILE_TREE_REQ, path=PLACE + "/a")


@file("file-watch", "ACK when the watch stands, then an event for each change, until the host goes.", host="H2",
      needs="somebody who makes a folder there, gives it another name, and removes it")
def _(t):
    t.given(do="watch", path=PLACE, steps=[{"await": "FILE_ACK"}, {"await": "removed"}, {"leave": True}])
    t.send(codec.FILE_WATCH_REQ, {"path": PLACE})
    t.next(codec.FILE_ACK)
    os.mkdir(os.path.join(t.directory, "a"))
    t.next(codec.FILE_EVENT)
    os.rename(os.path.join(t.directory, "a"), os.path.join(t.directory, "b"))
    t.next(codec.FILE_EVENT)
    os.rmdir(os.path.join(t.directory, "b"))
    t.next(codec.FILE_EVENT)
    t.close()


@file("file-more", "Two requests on one connection: the first says more.", host="H3", client=False)
def _(t):
    t.send(codec.FILE_WRITE_REQ, {"path": PLACE + "/hello", "more": True})
    t.send(codec.FILE_DATA, b"hello\n")
    t.send(codec.FILE_DONE)
    t.send(codec.FILE_READ_REQ, {"path": PLACE + "/hello"})
    t.rest()


@file("file-more-error", "An error ends its request alone: the next one is carried out.", host="H3", client=False)
def _(t):
    t.guest(HELLO)
    t.send(codec.FILE_STAT_REQ, {"path": PLACE + "/nothing", "more": True})
    t.send(codec.FILE_READ_REQ, {"path": PLACE + "/hello"})
    t.rest()


@file("file-busy", "No worker to spare.", options=("--workers=4",), about=["busy"],
      needs="an agent all of whose places are taken")
def _(t):
    t.guest(HELLO)
    while True:
        conn = t.agent.file_connect(codec.FILE_WRITE_REQ, {"path": PLACE + "/other"})
        t.others.append(conn)
        if taken(t, conn):
            break
    get(t)
    t.rest()


def taken(t, conn):
    """Whether CONN was refused; else its upload is under way."""
    wait_until(lambda: conn.wait_readable(0) or t.agent.status()["workers"]["file"] >= len(t.others),
               message="the upload is begun, or refused")
    return conn.wait_readable(0)


@file("file-unknown-request", "A first frame that nobody knows.", client=False, about=["protocol error"])
def _(t):
    t.send_raw(codec.encode(0x3f, b"abc"))
    t.rest()


@file("file-too-long", "A length above 16 MiB.", client=False, about=["frame above the limit"])
def _(t):
    t.send_raw(struct.pack("<BI", codec.FILE_READ_REQ, codec.FRAME_MAX + 1))
    t.rest()


@file("file-bad-json", "The member is named.", client=False, about=["protocol error"])
def _(t):
    t.send(codec.FILE_READ_REQ, {"path": 5})
    t.rest()
