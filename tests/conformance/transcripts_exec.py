# SPDX-License-Identifier: MIT
"""Transcripts of programs: START, and how it ends."""

import signal
import struct

import codec
from agent import FILL_PIPE, TIMEOUT, kill_hard, stat_of
from faults import Fault
from transcripts import PLACE, UNIT, transcript

# Of an agent that has workers killed.
KILLED = ("--workers=6", "--log=debug")
# Of one all of whose workers can be traced at once; and how long they stand behind a call.
TRACED = ("--workers=3", "--reserved=2")
STANDS = "delay_exit=20000000"


def start(t, cmd, given=None, **members):
    """START, and what a client was asked to do for it."""
    if t.scenario.head.get("client", True):
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


@transcript("exec-exit-code", "Both streams, and an exit code of the program's own.", about=["exit code"])
def _(t):
    sh(t, "echo out; echo err >&2; exit 3", {"stdin": ""})
    t.send(codec.EOF)
    t.rest()


@transcript("exec-stdin", "A program is given its input, and its end by EOF.")
def _(t):
    start(t, ["cat"], {"stdin": "one\ntwo\n"})
    t.send(codec.STDIN, b"one\ntwo\n")
    t.send(codec.EOF)
    t.rest()


@transcript("exec-stdin-pressure", "4 MiB go in and come out again: a client that reads only when it has written all "
            "waits for ever, as does the program that waits for it.", about=["stdin under back pressure"])
def _(t):
    unit = b"0123456789abcde\n" * (UNIT // 16)
    start(t, ["cat"], {"stdin": unit.decode(), "stdin_times": 4096})
    for _ in range(2):
        t.send(codec.STDIN, unit, times=2048)
        t.output(unit * 2048)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-stdin-unread", "The program ends and has not read its input: what is still sent is dropped, and "
            "EXIT is "
            "the answer.")
def _(t):
    unit = b"0123456789abcde\n" * (UNIT // 16)
    sh(t, "read x; echo $x", {"stdin": unit.decode(), "stdin_times": 4096})
    t.send(codec.STDIN, unit)
    t.rest()


@transcript("exec-late-eof", "EXIT comes before the client has sent EOF, and the agent is gone: a failed write is no "
            "failed run.", about=["EOF before EXIT and the lingering close"])
def _(t):
    start(t, ["true"], {"stdin": ""})
    t.next(codec.EXIT)
    t.gone()


@transcript("exec-no-stdin", "Without standard input, as /dev/null.", host="H3")
def _(t):
    start(t, ["cat"], stdin=False)
    t.rest()


@transcript("exec-environment", "Variables, a directory, a user.")
def _(t):
    start(t, ["/bin/sh", "-c", "echo $GREETING $HOME $(pwd) $(id -u)"], {"stdin": ""}, env={"GREETING": "hi"},
          working_dir="/usr", user="nobody:65534")
    t.send(codec.EOF)
    t.rest()


@transcript("exec-signal", "SIGNAL goes to the program's group; a death by signal is EXIT 128 + signal, and the "
            "signal.",
            host="H2", about=["signal"])
def _(t):
    sh(t, "echo ready; exec sleep 60", {"steps": [{"await": "ready\n"}, {"signal": 15}]})
    t.output(b"ready\n")
    t.send(codec.SIGNAL, codec.signal_number(signal.SIGTERM))
    t.rest()


@transcript("exec-killed", "A program that died of a signal of its own.", about=["signal"])
def _(t):
    sh(t, "kill -9 $$", {"stdin": ""})
    t.send(codec.EOF)
    t.rest()


@transcript("exec-tty", "On a terminal: its size, RESIZE, one stream of output with \\r\\n, what is typed comes "
            "back, EOF is "
            "typed as ^D.", about=["tty and resize"])
def _(t):
    steps = [{"await": "24 80\r\n"}, {"resize": [100, 30]}, {"stdin": "x\n"}, {"await": "30 100\r\n"}, {"eof": True}]
    sh(t, "stty size; read x; stty size; cat", {"steps": steps}, tty=True)
    t.output(b"24 80\r\n")
    t.send(codec.RESIZE, codec.resize(100, 30))
    t.send(codec.STDIN, b"x\n")
    t.output(b"x\r\n30 100\r\n")
    t.send(codec.EOF)
    t.rest()


@transcript("exec-tty-size", "A terminal of another size from its beginning.")
def _(t):
    start(t, ["stty", "size"], {"stdin": ""}, tty=True, tty_width=132, tty_height=43)
    t.rest()


@transcript("exec-timeout", "The agent's own limit of time: only STATUS says that it was this.", host="H3",
            about=["timeout"])
def _(t):
    start(t, ["sleep", "60"], {"stdin": ""}, timeout_seconds=1, report=True)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-deadline", "Nothing comes any more: the client has a deadline of its own, and gives up.",
            about=["a deadline on a guest that hangs"])
def _(t):
    start(t, ["sleep", "60"], {"stdin": "", "deadline_ms": 500})
    t.send(codec.EOF)
    t.silent()
    t.outcome(error="deadline")


@transcript("exec-report", "A host that asks for it hears of the program's beginning and of its end.", host="H3")
def _(t):
    start(t, ["echo", "hi"], {"stdin": ""}, report=True)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-own-125", "A program's own 125: STATUS exited comes before EXIT, as it does of no refusal.",
            host="H3",
            about=["busy told from the program's own 125"])
def _(t):
    sh(t, "echo busy: not at all >&2; exit 125", {"stdin": ""}, report=True)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-busy", "No worker to spare: words, and EXIT 125 that is not the program's.", options=("--workers=4",),
            needs="an agent all of whose places for programs are taken", host="H3",
            about=["busy", "busy told from the program's own 125"])
def _(t):
    while True:
        conn = t.agent.start(["cat"])
        conn.send(codec.STDIN, b"x")
        if conn.recv().type != codec.STDOUT:
            conn.close()
            break
        t.others.append(conn)
    start(t, ["true"], {"stdin": ""}, report=True)
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="busy")


@transcript("exec-refused", "A START that makes no sense: the member is named, EXIT 125.", host="H3",
            about=["refused START"])
def _(t):
    start(t, ["true"], {"stdin": ""}, limits={"nofile": 1})
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="refused")


@transcript("exec-missing", "A program that is not there: words on STDERR, and the agent's own EXIT 127.",
            about=["missing program"])
def _(t):
    start(t, [PLACE + "/nothing"], {"stdin": ""})
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="missing")


@transcript("exec-cannot-run", "A program that can't be run: EXIT 126, in words.", about=["program that can't be run"])
def _(t):
    t.guest("touch %s/data" % PLACE)
    start(t, [PLACE + "/data"], {"stdin": ""})
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="cannot_run")


@transcript("exec-unknown-user", "A user whom the guest does not know: EXIT 126.", about=["program that can't be run"])
def _(t):
    start(t, ["true"], {"stdin": ""}, user="nobody-of-that-name")
    t.send(codec.EOF)
    t.rest()
    t.outcome(error="cannot_run")


@transcript("exec-leave", "The host closes in the middle: the program is ended.", about=["disconnected"])
def _(t):
    sh(t, "echo ready; exec sleep 60", {"steps": [{"await": "ready\n"}, {"leave": True}]})
    t.output(b"ready\n")
    t.close()
    t.outcome(error="left")


@transcript("exec-half-close", "A half-close is the host's going too, and the end of the program.",
            client=False, about=["disconnected"])
def _(t):
    sh(t, "echo ready; exec sleep 60")
    t.output(b"ready\n")
    t.shut()
    t.rest()


@transcript("exec-worker-lost", "The worker that serves the program dies: the supervisor says so in its place.",
            options=KILLED, about=["worker lost"])
def _(t):
    sh(t, "echo ready; read x; kill -9 $PPID; exec sleep 60", {"steps": [{"await": "ready\n"}, {"stdin": "\n"}]})
    t.output(b"ready\n")
    t.send(codec.STDIN, b"\n")
    t.rest()
    t.outcome(error="worker_lost")


@transcript("exec-exit-twice", "The worker dies over its last frame, and the supervisor sends that again, to the "
            "letter: a client reads up to the first one.", options=TRACED, fresh=True,
            needs="a worker that is killed behind its EXIT", about=["last frame twice"])
def _(t):
    victims = t.agent.worker_pids()
    with Fault(victims, "sendmsg", STANDS, 3):
        # It ends once its input has: what nobody has read would make of the close a reset.
        sh(t, "cat; exit 7", {"stdin": ""})
        t.send(codec.EOF)
        t.next(codec.EXIT)
        kill_hard(*victims)
    t.late()
    t.rest()


@transcript("exec-behind-exit", "A guest that is somebody else's goes on behind EXIT: that was the last frame all the "
            "same.", needs="an agent that lies", about=["frames behind the last"])
def _(t):
    sh(t, "echo hi; exit 3", {"stdin": ""})
    t.send(codec.EOF)
    t.rest(behind=[(codec.STDOUT, b"more\n"), (codec.EXIT, struct.pack("<ii", 0, 0))])


@transcript("exec-oom", "The kernel has killed the program for its memory: a SIGKILL like any other, but for what STATUS "
            "says.", host="H3", in_vm=True, needs="a guest whose memory the agent may divide", about=["oom"])
def _(t):
    start(t, ["tail", "/dev/zero"], {"stdin": ""}, limits={"memory_bytes": 16 << 20}, report=True)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-shutdown", "The agent is ended in order, and the program with it: SIGTERM first, and EXIT all "
            "the same.",
            host="H3", options=("--workers=4",), fresh=True, needs="an agent that is ended behind ready",
            about=["shutdown"])
def _(t):
    sh(t, "echo ready; exec sleep 60", {"steps": [{"await": "ready\n"}]}, report=True)
    t.next(codec.STATUS)
    t.output(b"ready\n")
    t.agent.process.send_signal(signal.SIGTERM)
    t.rest()


@transcript("exec-closed", "The agent is killed: the connection ends, and nobody says how the program did.",
            options=("--workers=4",), fresh=True, needs="an agent that is killed behind ready",
            about=["close without an EXIT"])
def _(t):
    sh(t, "echo ready; read x", {"steps": [{"await": "ready\n"}]})
    t.output(b"ready\n")
    worker = stat_of(t.slot("exec")["pid"])[1]
    # Both at once: neither speaks for the other.
    t.agent.process.send_signal(signal.SIGSTOP)
    kill_hard(worker, t.agent.pid)
    t.broken()
    t.outcome(error="closed")


# 1 MiB of output that is all there before the worker looks: a frame that is more than a socket takes.
FILL = """read go; kill -STOP $PPID
/usr/bin/python3 -c '%s'
kill -CONT $PPID; exec sleep 60""" % FILL_PIPE


@transcript("exec-half-frame", "The worker dies in the middle of a frame: the beginning of it, and the end of the "
            "connection.",
            options=KILLED, needs="a worker that is killed in the middle of a frame", about=["truncated frame"])
def _(t):
    sh(t, FILL, {"steps": [{"stdin": "go\n"}]})
    worker = stat_of(t.slot("exec")["pid"])[1]
    t.send(codec.STDIN, b"go\n")
    assert t.conn.wait_readable(TIMEOUT)
    kill_hard(worker)
    t.broken(beginning=64)
    t.outcome(error="closed")


@transcript("exec-detach", "Start it and let go: EXIT 0 at once, and the program runs on.", host="H3")
def _(t):
    start(t, ["true"], {"stdin": ""}, detach=True, report=True)
    t.rest()


@transcript("exec-output-held", "A child holds the output open: EXIT comes all the same, when the main process has "
            "ended.",
            host="H3")
def _(t):
    t.guest("touch %s/held" % PLACE)
    sh(t, "echo hi; while [ -e %s/held ]; do sleep 0.1; done & exit 0" % PLACE, {"stdin": ""}, report=True)
    t.send(codec.EOF)
    t.rest()


@transcript("exec-unknown-frame", "Frames that nobody knows are skipped, in mid-session.", client=False)
def _(t):
    start(t, ["cat"])
    t.send_raw(codec.header(0x3f, 3) + b"abc")
    t.send(codec.STDIN, b"hi\n")
    t.send(codec.EOF)
    t.rest()


@transcript("exec-bad-json", "A START that is no JSON.", client=False, about=["refused START"])
def _(t):
    t.send_raw(codec.encode(codec.START, b"{"))
    t.send(codec.EOF)
    t.rest()


@transcript("exec-half-start", "The host goes in the middle of its first frame.", client=False, about=["truncated "
            "frame"])
def _(t):
    t.send_raw(codec.encode(codec.START, codec.start(["true"]))[:9])
    t.shut()
    t.rest()


@transcript("exec-too-long", "A length above 16 MiB in mid-session ends the session.", client=False,
            about=["frame above the limit"])
def _(t):
    sh(t, "echo ready; exec sleep 60")
    t.output(b"ready\n")
    t.send_raw(struct.pack("<BI", codec.STDIN, codec.FRAME_MAX + 1))
    t.rest()


@transcript("unknown-request", "A first frame that nobody knows: words, and EXIT 125.", client=False)
def _(t):
    t.send_raw(codec.encode(0x3f, b"abc"))
    t.rest()


@transcript("handshake-refused", "No such port: the connection is closed without an answer.", client=False,
            about=["handshake"])
def _(t):
    sock = t.connect(handshake=b"CONNECT 99\n")
    with sock:
        assert sock.recv(1) == b""
    t.lines.append({"from": "agent", "end": "close"})


@transcript("handshake-retry", "The guest has not booted: the device closes in the handshake, and the client tries "
            "again "
            "until it answers.", needs="a device whose guest does not listen at first",
            about=["handshake", "retry while the VM boots"])
def _(t):
    t.given(do="run", cmd=["echo", "hi"], stdin="", retry_ms=10000)
    t.bytes("host", b"CONNECT 52\n")
    t.lines.append({"from": "agent", "end": "cut"})
    t._connections = 1
    t.send(codec.START, codec.start(["echo", "hi"]))
    t.send(codec.EOF)
    t.rest()
