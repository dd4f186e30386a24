# SPDX-License-Identifier: MIT
"""transcript_agent: stands in for the agent, and holds a client against transcripts.

    python3 transcript_agent.py [OPTION…] FOLDER [TRANSCRIPT…]

For each TRANSCRIPT (a file NAME.jsonl; without any, all that stand beside this program or in
--transcripts) it listens on the Unix socket FOLDER/NAME, as a Firecracker vsock device does.
Who connects there and does what the transcript's "given" says gets the agent's side of it,
and is compared with the host's. Then it prints one line:

    ok - NAME                       what came is what the transcript has
    not ok - NAME: WHAT             what differs, and in which line

It prints "ready" once it listens, and ends at the end of its standard input, or by SIGTERM: with
status 1 if anything differed. The transcripts' README.md says what is in them.

    --transcripts=DIR   where they are
    --pieces=N          send N bytes at a time, as a slow transport might: a frame may come in any
                        pieces
    --patience=S        how long the client may take for each line (10)

This file needs Python 3.7 and nothing else, and may be copied.
"""

import argparse
import glob
import json
import os
import select
import signal
import socket
import struct
import sys
import threading

FRAMES = {
    "START": 0x01, "STDIN": 0x02, "RESIZE": 0x03, "EOF": 0x04, "CLOCK_SYNC": 0x05, "NET_RECONFIG": 0x06,
    "SIGNAL": 0x07, "WAIT_PORT": 0x08, "STDOUT": 0x10, "STDERR": 0x11, "EXIT": 0x12, "FILE_WRITE_REQ": 0x20,
    "FILE_DATA": 0x21, "FILE_DONE": 0x22, "FILE_READ_REQ": 0x23, "FILE_STAT_REQ": 0x24, "FILE_LIST_REQ": 0x25,
    "FILE_MKDIR_REQ": 0x26, "FILE_REMOVE_REQ": 0x27, "FILE_MOVE_REQ": 0x28, "FILE_WATCH_REQ": 0x29,
    "FILE_ACK": 0x30, "FILE_ERR": 0x31, "FILE_STAT": 0x32, "FILE_LIST": 0x33, "FILE_EVENT": 0x34,
    "STATUS_REQ": 0x40, "SHUTDOWN": 0x41, "CONNECT": 0x42, "RESTORED": 0x43, "KILL": 0x44, "ATTACH": 0x45,
    "DETACH": 0x46, "FORGET": 0x47, "QUIESCE": 0x48, "THAW": 0x49, "OUTPUT_ACK": 0x4b, "STATUS": 0x50,
    "FILE_SYMLINK_REQ": 0x60, "FILE_SET_REQ": 0x61, "FILE_TREE_REQ": 0x62,
    "FILE_LINK_REQ": 0x63,
}
NAMES = {number: name for name, number in FRAMES.items()}

# Frames of a stream: where one ends and the next begins has no meaning.
STREAMS = {"STDIN", "STDOUT", "STDERR", "FILE_DATA"}
# The streams of which neighbours may come in any order.
OUTPUT = ("STDOUT", "STDERR")
# Frames whose payload says nothing.
EMPTY = {"EOF", "FILE_DONE", "DETACH", "FILE_ACK"}
# Requests whose payload is JSON, and the members that say nothing if they have these values.
DEFAULTS = {
    "START": {"env": {}, "working_dir": "", "user": "", "tty": False, "tty_width": 80, "tty_height": 24,
              "timeout_seconds": 0, "stdin": True, "kill_grace_seconds": 0, "detach": False, "report": False,
              "limits": {}},
    "START durable": {"buffer_bytes": 1048576, "keep_seconds": 600, "alone_seconds": 0, "when_full": "attached"},
    "NET_RECONFIG": {},
    "WAIT_PORT": {"timeout_ms": 0},
    "STATUS_REQ": {"guest": False},
    "SHUTDOWN": {"action": "reboot", "grace_seconds": 5},
    "CONNECT": {"host": "127.0.0.1"},
    "RESTORED": {"thaw": True},
    "KILL": {},
    "ATTACH": {"input": True, "report": False},
    "FORGET": {},
    "QUIESCE": {"freeze": "sessions", "sync": True, "fsfreeze": [], "within_ms": 5000, "hold_ms": 30000,
                "on_gone": "thaw"},
    "THAW": {},
    "FILE_WRITE_REQ": {"mode": 0, "fsync": False, "user": "", "more": False},
    "FILE_READ_REQ": {"offset": 0, "user": "", "more": False},
    "FILE_STAT_REQ": {"user": "", "more": False},
    "FILE_LIST_REQ": {"user": "", "more": False},
    "FILE_MKDIR_REQ": {"mode": 0, "user": "", "more": False},
    "FILE_REMOVE_REQ": {"recursive": False, "user": "", "more": False},
    "FILE_MOVE_REQ": {"user": "", "more": False},
    "FILE_LINK_REQ": {"user": "", "more": False},
    "FILE_WATCH_REQ": {"recursive": False, "gaps": False, "user": ""},
    "FILE_SYMLINK_REQ": {"user": "", "more": False},
    "FILE_SET_REQ": {"user": "", "more": False},
    "FILE_TREE_REQ": {"one_file_system": True, "user": "", "more": False},
}
# What a host may also ask for, and an agent that knows nothing of it ignores.
IGNORED = {"START": {"report", "name"}, "ATTACH": {"report", "instance"}, "FORGET": {"instance"}}
# Who names a session by what the agent told it of, may say its number in place of its name.
BY_NAME = {"ATTACH", "FORGET"}
SESSION = 7


class Mismatch(Exception):
    """What came is not what the transcript has."""


class Aside(Exception):
    """The client looked at STATUS first, and has its answer."""


# ---- transcripts --------------------------------------------------------------


class Item:
    """What one side does: a frame, bytes that are none, or an end of its side."""

    def __init__(self, line, number=0):
        self.number = number            # of the line, from 1
        self.side = line["from"]
        self.name = line.get("frame")
        self.end = line.get("end")
        self.masked = line.get("masked", [])
        self.late = line.get("late", False)
        raw = bytes.fromhex(line.get("hex", line.get("bytes", "")))
        self.raw = raw * line.get("times", 1)
        if self.name is None:
            self.payload = raw
        else:
            kind, length = struct.unpack_from("<BI", raw)
            assert NAMES.get(kind, "0x%02x" % kind) == self.name and length == len(raw) - 5, line
            self.payload = raw[5:] * line.get("times", 1)

    def __repr__(self):
        return "the end of the connection" if self.end else show(self.name, self.payload)


def show(name, payload):
    text = payload if len(payload) <= 200 else payload[:200] + b"..."
    return "%s %s" % (name or "bytes", text.decode("utf-8", "backslashreplace"))


class Transcript:
    """One file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.head = lines[0]
        self.name = self.head["transcript"]
        self.calls = list(zip([line["given"] for line in lines if "given" in line],
                              [line["outcome"] for line in lines if "outcome" in line]))
        self.connections = [Scene(self.head["port"])]
        for number, line in enumerate(lines, 1):
            if "connection" in line:
                self.connections.append(Scene(line["port"]))
            elif "from" in line:
                self.connections[-1].items.append(Item(line, number))


class Scene:
    """One connection of a transcript."""

    def __init__(self, port):
        self.port = port
        self.items = []

    def runs(self):
        """[(side, its items)]: what one side does before it waits for the other."""
        found = []
        for item in self.items:
            if not found or found[-1][0] != item.side:
                found.append((item.side, []))
            found[-1][1].append(item)
        return found


def join(parts):
    """[(name, payload)] of one side in a row, as they are to be compared: neighbouring frames of one
    stream as one, those of STDOUT before those of STDERR."""
    joined, streams, run = [], (), {}
    for name, payload in [*parts, ("", b"")]:
        names = () if name not in STREAMS else OUTPUT if name in OUTPUT else (name,)
        if names != streams:
            joined += [(stream, b"".join(run[stream])) for stream in streams if any(run.get(stream, ()))]
            streams, run = names, {}
        if names:
            run.setdefault(name, []).append(payload)
        else:
            joined.append((name, payload))
    return joined[:-1]


def parse(name, payload):
    """The payload as it is to be compared: JSON without what says nothing, else bytes."""
    if name in EMPTY:
        return b""
    if name == "RESIZE":
        return payload[:4]
    if name not in DEFAULTS:
        return payload
    value = json.loads(payload.decode("utf-8")) if payload or name not in ("STATUS_REQ", "THAW") else {}
    return without_defaults(name, value) if isinstance(value, dict) else value


def without_defaults(name, value):
    defaults = DEFAULTS[name].items()
    value = {k: v for k, v in value.items() if not any((k, v, type(v)) == (key, d, type(d)) for key, d in defaults)}
    if name == "START" and isinstance(value.get("durable"), dict):
        value["durable"] = without_defaults("START durable", value["durable"])
    return value


def same(name, wanted, got):
    """Whether the payload GOT says what the payload WANTED says."""
    if wanted == got:
        return True
    try:
        wanted, got = parse(name, wanted), parse(name, got)
    except ValueError:
        return False
    if isinstance(wanted, dict) and isinstance(got, dict):
        if name in BY_NAME and got.get("session") == SESSION and "name" in wanted and "name" not in got:
            got = dict({k: v for k, v in got.items() if k != "session"}, name=wanted["name"])
        got = {k: v for k, v in got.items() if k in wanted or k not in IGNORED.get(name, ())}
    return wanted == got


# ---- one connection -----------------------------------------------------------


class Peer:
    """The agent's end of one connection to a client."""

    def __init__(self, sock, options):
        self.sock = sock
        self.options = options
        self.pending = bytearray()
        self.at_end = False
        sock.setblocking(False)

    def receive(self):
        """Takes in more; False at the end."""
        if self.at_end or not select.select([self.sock], [], [], self.options.patience)[0]:
            if not self.at_end:
                raise TimeoutError
            return False
        try:
            data = self.sock.recv(262144)
        except ConnectionError:
            data = b""
        self.pending += data
        self.at_end = not data
        return bool(data)

    def frame(self):
        """(name, payload) of the next frame, or None at the end."""
        while True:
            if len(self.pending) >= 5:
                kind, length = struct.unpack_from("<BI", self.pending)
                if len(self.pending) >= 5 + length:
                    payload = bytes(self.pending[5:5 + length])
                    del self.pending[:5 + length]
                    return NAMES.get(kind, "0x%02x" % kind), payload
            if not self.receive():
                if self.pending:
                    raise Mismatch("the client's last frame breaks off: %r" % bytes(self.pending[:40]))
                return None

    def bytes(self, count):
        while len(self.pending) < count and self.receive():
            pass
        data = bytes(self.pending[:count])
        del self.pending[:count]
        return data

    def line(self):
        data = b""
        while not data.endswith(b"\n") and len(data) < 32:
            byte = self.bytes(1)
            if not byte:
                break
            data += byte
        return data

    def send(self, data):
        """Sends, and reads nothing meanwhile: a client that does not read waits for ever."""
        view = memoryview(data)
        size = self.options.pieces or 262144
        while view:
            if not select.select([], [self.sock], [], self.options.patience)[1]:
                raise Mismatch("the client does not read (does it while it writes?)")
            try:
                view = view[self.sock.send(view[:size]):]
            except BlockingIOError:
                pass
            except ConnectionError:
                raise Mismatch("the client has closed before it had everything") from None

    def leave(self):
        """The end behind a last frame: what still comes is dropped until the client closes."""
        self.sock.shutdown(socket.SHUT_WR)
        try:
            while self.receive():
                self.pending.clear()
        except TimeoutError:
            raise Mismatch("the client does not close behind the last frame") from None


class Play:
    """A client is held against one connection of a transcript."""

    def __init__(self, scene, peer, status=()):
        self.scene = scene
        self.peer = peer
        self.status = status
        self.begun = False              # a frame has come
        self.no_input = False           # the client's START had "stdin":false in place of an EOF
        self.ahead = []                 # what came of a stream beyond what was looked for

    def run(self):
        for side, items in self.scene.runs():
            if side == "host":
                self.take(items)
            else:
                self.give(items)
        if self.scene.items and not self.scene.items[-1].end:
            self.peer.leave()

    # ---- the agent's side

    def give(self, items):
        for item in items:
            if item.end == "close":
                self.peer.leave()
            elif item.end == "silent":
                self.wait_for_close(item)
            elif item.end is None:
                self.send(item)
            # "cut", "gone": the socket is closed without another word

    def send(self, item):
        try:
            self.peer.send(item.raw)
        except Mismatch:
            # Behind the last frame a client may have closed.
            if not item.late:
                raise

    def wait_for_close(self, item):
        try:
            while self.peer.receive():
                self.peer.pending.clear()
        except TimeoutError:
            raise Mismatch("line %d: the client does not give up" % item.number) from None

    # ---- the host's side

    def take(self, items):
        frames = []
        for item in items:
            if item.name is not None:
                frames.append(item)
                continue
            self.take_frames(frames)
            frames = []
            self.take_other(item)
        self.take_frames(frames)

    def take_other(self, item):
        if item.end is not None:
            while True:
                frame = self.next_frame(item)
                if frame is None:
                    return
                if frame[0] not in ("EOF", "OUTPUT_ACK"):
                    raise Mismatch("line %d: expected %r, got %s" % (item.number, item, show(*frame)))
        if item.raw.startswith(b"CONNECT "):
            got = self.peer.line()
            if got.split()[:2] != item.raw.split()[:2]:
                raise Mismatch("line %d: expected the handshake %r, got %r" % (item.number, item.raw, got))
            return
        got = self.peer.bytes(len(item.raw))
        if got != item.raw:
            raise Mismatch("line %d: expected %r, got %r" % (item.number, item.raw, got))

    def next_frame(self, item):
        if self.ahead:
            return self.ahead.pop(0)
        try:
            frame = self.peer.frame()
            if not self.begun and self.status and frame and frame[0] == "STATUS_REQ" != item.name:
                self.answer_status()
            self.begun = True
            return frame
        except TimeoutError:
            raise Mismatch("line %d: expected %r, and nothing comes" % (item.number, item)) from None

    def take_frames(self, items):
        """The client's frames, of which no more are read than these."""
        at = 0
        while at < len(items):
            item = items[at]
            if item.name == "EOF" and self.no_input:
                pass                    # that START's "stdin" was false says the same
            elif item.name in STREAMS:
                last = at
                while last + 1 < len(items) and items[last + 1].name == item.name:
                    last += 1
                self.take_stream(item, b"".join(i.payload for i in items[at:last + 1]))
                at = last
            else:
                self.take_frame(item)
            at += 1

    def answer_status(self):
        """A client may look what the agent can do before it asks for anything."""
        for item in self.status:
            self.peer.send(item.raw)
        self.peer.leave()
        raise Aside

    def skip_silent(self, item):
        """The next frame that says something."""
        while True:
            frame = self.next_frame(item)
            if frame is None:
                raise Mismatch("line %d: expected %r, and the client has closed" % (item.number, item))
            name, payload = frame
            silent = (name in STREAMS and not payload) or (name == "OUTPUT_ACK" and item.name != name)
            if not silent:
                return frame

    def take_frame(self, item):
        name, payload = self.skip_silent(item)
        if name == item.name == "START":
            payload = self.without_input(item, payload)
        if name != item.name or not same(name, item.payload, payload):
            raise Mismatch("line %d: expected %r, got %s" % (item.number, item, show(name, payload)))

    def without_input(self, item, payload):
        """A START with "stdin":false where the transcript has one and an EOF, without that member."""
        row = self.scene.items
        behind = row[row.index(item) + 1:][:1]
        try:
            value = json.loads(payload.decode("utf-8"))
            wanted = json.loads(item.payload.decode("utf-8"))
            if value.get("stdin") is not False or "stdin" in wanted or [i.name for i in behind] != ["EOF"]:
                return payload
        except (ValueError, AttributeError):
            return payload
        self.no_input = True
        del value["stdin"]
        return json.dumps(value).encode()

    def take_stream(self, item, wanted):
        got = bytearray()
        while len(got) < len(wanted):
            name, payload = self.skip_silent(item)
            if name != item.name:
                raise Mismatch("line %d: expected %r, of which %d bytes came, got %s" % (
                    item.number, item, len(got), show(name, payload)))
            got += payload
        if got[:len(wanted)] != wanted:
            raise Mismatch("line %d: expected %r, got %s" % (item.number, item, show(item.name, bytes(got))))
        if len(got) > len(wanted):
            self.ahead.append((item.name, bytes(got[len(wanted):])))


# ---- all of them --------------------------------------------------------------


class Stand:
    """The socket of one transcript. Its connections are served in turn; behind the last one it
    begins anew."""

    def __init__(self, folder, transcript, options, report):
        self.transcript = transcript
        self.options = options
        self.report = report
        self.next = 0
        self.status = []                # what answers STATUS_REQ
        self.path = os.path.join(folder, transcript.name)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with self.lock, sock:           # one at a time
            number = self.next
            wrong = None
            peer = Peer(sock, self.options)
            try:
                Play(self.transcript.connections[number], peer, self.status).run()
            except Aside:
                return
            except Mismatch as error:
                wrong = str(error)
            except (TimeoutError, OSError) as error:
                wrong = "the connection breaks: %r" % error
            last = number + 1 == len(self.transcript.connections)
            self.next = 0 if last or wrong else number + 1
            if last or wrong:
                self.report(self.transcript.name, wrong)


class Agent:
    """All transcripts of a folder, served at once:

        with Agent(folder, paths) as agent: ...     agent.results: [(name, None or what is wrong)]
    """

    def __init__(self, folder, paths, options=None, report=None):
        self.options = options or argparse.Namespace(pieces=0, patience=10.0)
        self.results = []
        self.said = report or (lambda name, wrong: None)
        self.stands = [Stand(folder, transcript, self.options, self.report)
                       for transcript in map(Transcript, paths) if transcript.head.get("client", True)]
        for stand in self.stands:
            if stand.transcript.name == "status":
                for other in self.stands:
                    other.status = [i for i in stand.transcript.connections[0].items if i.name and i.side == "agent"]

    def report(self, name, wrong):
        self.results.append((name, wrong))
        self.said(name, wrong)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for stand in self.stands:
            stand.listener.shutdown(socket.SHUT_RDWR)
            stand.listener.close()
            with stand.lock:            # who is served is served to the end
                os.unlink(stand.path)


def print_result(name, wrong):
    print("ok - %s" % name if wrong is None else "not ok - %s: %s" % (name, wrong.replace("\n", "\\n")), flush=True)


def paths_of(options):
    if options.transcript:
        return [path if path.endswith(".jsonl") else os.path.join(options.transcripts, path + ".jsonl")
                for path in options.transcript]
    return sorted(glob.glob(os.path.join(options.transcripts, "*.jsonl")))


def default_folder():
    """Beside this program, as installed, or where they stand in the source."""
    here = os.path.dirname(os.path.abspath(__file__))
    source = os.path.join(here, "../../include/vmm-guest/transcripts")
    return source if os.path.isdir(source) else here


def main():
    parser = argparse.ArgumentParser(usage="%(prog)s [OPTION...] FOLDER [TRANSCRIPT...]")
    parser.add_argument("folder")
    parser.add_argument("transcript", nargs="*")
    parser.add_argument("--transcripts", default=default_folder())
    parser.add_argument("--pieces", type=int, default=0)
    parser.add_argument("--patience", type=float, default=10.0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    os.makedirs(options.folder, exist_ok=True)
    with Agent(options.folder, paths_of(options), options, print_result) as agent:
        print("ready", flush=True)
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass                        # SIGTERM has closed it
    return any(wrong for _, wrong in agent.results)


if __name__ == "__main__":
    sys.exit(main())
