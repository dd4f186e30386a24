# SPDX-License-Identifier: MIT
"""Golden transcripts: written anew from runs against the real agent, and replayed.

    @transcript("exec-echo", "A program's output, and its end.")
    def _(t):
        t.given(do="run", cmd=["echo", "hi"], stdin="")
        t.send(codec.START, codec.start(["echo", "hi"]))
        t.send(codec.EOF)
        t.rest()                        all that the agent sends, to its close

    record(agent, SCENARIOS["exec-echo"])       the text of the file
    replay(agent, Transcript(path))             raises Mismatch

The files' format, and what is to be masked, stands in their README.md. The scenarios are in
transcripts_exec.py and its neighbours.
"""

import base64
import json
import os
import re
import shutil
import struct
import time

import codec
import holding
from agent import HERE, TIMEOUT, Connection
from faults import inside
from transcript_agent import STREAMS, Mismatch, join, show

FOLDER = os.path.join(HERE, "../../include/vmm-guest/transcripts")
PLACE = "/tmp/vmm-guest-transcript"

SCENARIOS = {}
DEFAULT_OPTIONS = ("--workers=8", "--log=debug")

# What a run of its own has of these, in place of the real one.
MASKS = {"pid": 1234, "session": 7, "instance": "00112233445566778899aabbccddeeff", "time": 1600000000}
UNIT = 1024                     # of a long stream: what is repeated in it

# Members of the agent's that are others at each run, by the STATUS they are in, or the frame.
# A list has those that depend on the machine, and are left out.
VOLATILE = {
    "started": {"pid": "pid", "session": "session", "instance": "instance"},
    "attached": {"session": "session", "instance": "instance"},
    "exited": {"wall_ms": 5, "user_ms": 1, "system_ms": 1, "max_rss_kb": 2048},
    "FILE_STAT": {"mtime_secs": "time", "mtime_nanos": 0, "uid": 0, "gid": 0, "dev": 1, "ino": 2},
    "FILE_LIST": {"[].mtime_secs": "time", "[].mtime_nanos": 0, "[].uid": 0, "[].gid": 0},
    "restored": {"%s_us" % step: 1 for step in (
        "clock", "entropy", "generation", "thaw_files", "hold", "hostname", "machine_id", "env", "net", "thaw",
        "total")},
    "quiesced": {"steps[].us": 1, "skipped": []},
    "status": {
        "version": "1.0", "pid": "pid", "instance": "instance", "uptime_ms": 60000, "boot_ms": 5.5, "clock_syncs": 0,
        "shm_bytes": 0, "worker_deaths": {"total": 0, "by_signal": {}, "last_signal": 0, "last_unix_ms": 0},
        "workers": {"configured": 8, "idle": 7, "exec": 0, "look": 0, "file": 0, "control": 1, "reserved": 1},
        "sessions": {"started": 0, "exited": 0, "signaled": 0, "timeouts": 0, "oom": 0, "refused": 0,
                     "bad_requests": 0, "stalled": 0},
        "slots": [{"kind": "status", "session": 1, "pid": 1235, "user": "", "command": "", "age_ms": 0,
                   "bytes_in": 0, "bytes_out": 0}],
        "guest": {
            "kernel": "6.1.0", "uptime_ms": 61000, "cpus": 1,
            "cpu": {"user_ms": 100, "nice_ms": 0, "system_ms": 200, "idle_ms": 60000, "iowait_ms": 10, "irq_ms": 0,
                    "softirq_ms": 1, "steal_ms": 0},
            "memory": {"total_bytes": 536870912, "free_bytes": 268435456, "available_bytes": 402653184,
                       "swap_total_bytes": 0, "swap_free_bytes": 0},
            "root": {"total_bytes": 1073741824, "free_bytes": 536870912, "inodes": 65536, "free_inodes": 60000},
            "disks": [{"name": "vda", "reads": 1000, "read_bytes": 33554432, "writes": 10, "written_bytes": 40960,
                       "busy_ms": 200}],
            "network": [{"name": "lo", "received_bytes": 0, "sent_bytes": 0}]},
    },
}
MASKED_JSON = ("STATUS", "FILE_STAT", "FILE_LIST")
NUMBER = re.compile(rb"\(number \d+,")     # of a session, in words
LEFT_OUT = {"exited": ("memory_peak_bytes", "oom_kills"), "status": ("generation",)}


class Scenario:
    def __init__(self, name, says, run, **head):
        self.name = name
        self.says = says
        self.run = run
        self.options = head.pop("options", DEFAULT_OPTIONS)
        self.fresh = head.pop("fresh", False)
        self.in_vm = head.pop("in_vm", False)
        self.head = head


def transcript(name, says, port=codec.EXEC_PORT, host="H1", about=(), **more):
    """A scenario. ABOUT: the endings and mistakes that it shows. NEEDS: what there must be at the
    guest that a script can't prepare. OPTIONS: of the agent; FRESH: it is for this alone; IN_VM: it takes a guest of its
    own (tests/vm/recording.py).
    CLIENT=False: no client would do that; HOST: the first kind of host that may."""
    def add(run):
        head = {"port": port, "host": host, "about": list(about), **more}
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, says, run, **head)
        return run
    return add


# ---- masks --------------------------------------------------------------------


def owners(value, path):
    """[(object, member)] that PATH ("a.b", "a[].b", "[].b") leads to in VALUE, where there are."""
    first, _, rest = path.partition(".")
    if not rest:
        return [(value, first)] if isinstance(value, dict) and first in value else []
    if first == "[]":
        return [pair for one in value for pair in owners(one, rest)]
    name = first[:-2] if first.endswith("[]") else first
    if not isinstance(value, dict) or name not in value:
        return []
    below = value[name] if first.endswith("[]") else [value[name]]
    return [pair for one in below for pair in owners(one, rest)]


def kind_of(name, value):
    return value.get("event", "status") if name == "STATUS" else name


def mask(name, value, rules):
    """Puts what stands for them in place of the volatile members of VALUE. Returns the paths."""
    masked = []
    for path, stand_in in rules.items():
        found = owners(value, path)
        for one, member in found:
            stand_in = MASKS.get(stand_in, stand_in) if isinstance(stand_in, str) else stand_in
            if path.endswith("_us") and path != "total_us" and one[member] == 0:
                continue                # not done
            one[member] = stand_in
        if found:
            masked.append(path)
    return masked


def masked_agent_frame(name, payload):
    """(payload, paths) of a frame of the agent's."""
    if name == "EXIT" and len(payload) > 8:
        return payload[:8] + bytes(len(payload) - 8), ["times"]
    if name == "STDERR":
        return NUMBER.sub(b"(number %d," % MASKS["session"], payload), []
    if name not in MASKED_JSON:
        return payload, []
    value = json.loads(payload)
    kind = kind_of(name, value)
    for member in LEFT_OUT.get(kind, ()):
        value.pop(member, None)
    masked = mask(name, value, VOLATILE.get(kind, {}))
    if kind == "attached" and not value["running"]:
        value["stdin_open"] = False     # says nothing of a session that has ended
        masked.append("stdin_open")
    return codec.to_json(value), masked


def learn(known, name, payload):
    """Notes what the agent told of this run."""
    if name == "STATUS":
        value = json.loads(payload)
        known.update({k: value[k] for k in ("pid", "session", "instance") if k in value})


# ---- lines --------------------------------------------------------------------


def text_of(payload):
    """The payload for people to read, or None."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    shown = text.replace("\n", "").replace("\t", "").replace("\r", "")
    return text if 0 < len(text) <= 4096 and shown.isprintable() else None


def frame_lines(side, name, payload, masked=()):
    """The line of a frame: of a long one of a stream, of the piece that it repeats."""
    line = {"from": side, "frame": name}
    times = 1
    if name in STREAMS and len(payload) > 4 * UNIT:
        times = len(payload) // UNIT
        assert payload == payload[:UNIT] * times, "a long stream that repeats nothing: %r" % payload[:80]
        payload = payload[:UNIT]
    if times > 1:
        line["times"] = times
    line["hex"] = codec.encode(getattr(codec, name), payload).hex()
    if name == "STDERR" and NUMBER.search(payload):
        masked = ["number"]
    if masked:
        line["masked"] = list(masked)
    text = text_of(payload)
    if text is not None and times == 1:
        line["text"] = text
    return line


def put_bytes(value, member, data):
    """DATA as text, or as base64 where it is none."""
    try:
        value[member] = data.decode("utf-8")
    except UnicodeDecodeError:
        value[member + "_b64"] = base64.b64encode(data).decode()


# ---- recording ----------------------------------------------------------------


class Recorder:
    """A host that notes what it says and hears."""

    def __init__(self, agent, scenario):
        self.agent = agent
        self.scenario = scenario
        self.known = {}                 # what the agent told of this run
        self.lines = []                 # ready ones, and (side, name, payload, masked)
        self.conn = None
        self.others = []                # connections that are no part of it
        self.prepared = []
        self._is_late = False           # the last frame has come
        self._connections = 0
        self._given = None
        self._outcome = {}
        self._frames = []               # the agent's of this call, as they came

    # ---- what stands beside the frames

    def given(self, **given):
        """What a client is asked to do. What it reports of the call before stands in front of it."""
        if self._given is not None:
            self._end_call()
        self._given = given
        self.lines.append({"given": given})

    def outcome(self, **outcome):
        """What the client reports of this call, over what the frames say."""
        self._outcome = outcome

    def _end_call(self):
        self.lines.append({"outcome": self._result()})
        self._given, self._outcome, self._frames = None, {}, []

    @property
    def directory(self):
        """PLACE, for us to open."""
        return inside(self.agent, PLACE)

    def guest(self, script):
        """Has the guest prepared. PLACE is empty before."""
        self.prepared.append(script)
        result = self.agent.sh(script)
        assert result.code == 0, result

    # ---- connections

    def connect(self, port=None, handshake=b"CONNECT %d\n"):
        port = port or self.scenario.head["port"]
        self._connections += 1
        if self._connections > 1:
            self.lines.append({"connection": self._connections, "port": port})
        if self.conn is not None:
            self.conn.close()
            self.conn = None
        sock = self.agent.dial()
        line = handshake % port if b"%d" in handshake else handshake
        self.bytes("host", line)
        sock.sendall(line)
        return sock

    def open(self, port=None):
        """A connection with its handshake done."""
        sock = self.connect(port)
        line = b""
        while not line.endswith(b"\n"):
            byte = sock.recv(1)
            assert byte, "closed in the handshake after %r" % line
            line += byte
        self.bytes("agent", line)
        self.conn = Connection(sock)

    def bytes(self, side, data):
        line = {"from": side, "bytes": data.hex()}
        text = text_of(data)
        if text is not None:
            line["text"] = text
        self.lines.append(line)

    # ---- the host

    def send(self, kind, payload=b"", times=1):
        """Sends a frame, TIMES a stream's. Reads meanwhile, as a careful host does."""
        if self.conn is None or self.conn.sock.fileno() < 0:
            self.open()
        name = codec.NAMES[kind]
        noted, masked = payload, []
        if isinstance(payload, dict):
            noted = dict(payload)
            for member in ("session", "instance"):
                if member in noted and noted[member] == self.known.get(member):
                    noted[member] = MASKS[member]
                    masked.append(member)
            noted, payload = codec.to_json(noted), codec.to_json(payload)
        if kind == codec.CLOCK_SYNC:
            noted, masked = codec.clock_sync(MASKS["time"], 0, payload[12:]), ["time"]
        self.lines.append(("host", name, noted * times, masked))
        data = codec.encode(kind, payload) * times
        assert self.conn.send_reading(data) == len(data), "the agent closed: %r" % self.conn.frames[-4:]

    def send_raw(self, data):
        if self.conn is None or self.conn.sock.fileno() < 0:
            self.open()
        self.bytes("host", data)
        self.conn.send_raw(data)

    def shut(self):
        self.lines.append({"from": "host", "end": "shut"})
        self.conn.half_close()

    def close(self):
        self.lines.append({"from": "host", "end": "close"})
        self.conn.close()

    def cut(self):
        """What a broken transport does. For a client it is the agent's end that goes."""
        self.lines.append({"from": "agent", "end": "cut"})
        self.conn.close()

    def silent(self):
        """Nothing more comes, and the host gives up."""
        self.lines.append({"from": "agent", "end": "silent"})
        self.conn.close()

    # ---- the agent

    def _note(self, frame):
        learn(self.known, frame.name, frame.payload)
        payload, masked = masked_agent_frame(frame.name, frame.payload)
        if self._is_late:
            self.lines.append({**frame_lines("agent", frame.name, payload, masked), "late": True})
            return
        self._frames.append((frame.name, payload))
        self.lines.append(("agent", frame.name, payload, masked))

    def next(self, kind):
        """The next frame, which is of this type."""
        self._note(self.conn.expect(kind))

    def output(self, data, kind=codec.STDOUT):
        """Reads until DATA has come of a stream; what there is beyond it is an error."""
        got = b""
        while len(got) < len(data):
            frame = self.conn.expect(kind)
            got += frame.payload
            self._note(frame)
        assert got == data, got

    def late(self):
        """What comes from here on is behind the last frame: the client has closed by then, or ignores it."""
        self._is_late = True

    def rest(self, behind=()):
        """All that comes, to the agent's close. BEHIND: (kind, payload) that this agent never says behind its last
        frame, and one that lies may."""
        while True:
            frame = self.conn.recv()
            if frame is None:
                break
            self._note(frame)
        assert not self.conn.reset, "it breaks off"
        self.lines += [{**frame_lines("agent", codec.NAMES[kind], payload), "late": True} for kind, payload in behind]
        self.lines.append({"from": "agent", "end": "close"})
        self.conn.close()

    def broken(self, beginning=0):
        """The agent's end without a last frame. BEGINNING: so many bytes of a frame come before it."""
        if beginning:
            self.bytes("agent", exactly(self.conn.sock, beginning))
        else:
            assert self.conn.recv() is None, self.conn.frames
        self.cut()

    def gone(self):
        """The agent has closed for good, and not its sending side alone."""
        assert self.conn.wait_hangup(TIMEOUT)
        self.lines.append({"from": "agent", "end": "gone"})
        self.conn.close()

    # ---- others

    def other(self, cmd, ready=None, **members):
        """A session that is no part of it, until the end of this. It is READY when this came."""
        conn = self.agent.start(cmd, **members)
        self.others.append(conn)
        if ready is not None:
            conn.read_output(ready)
        return conn

    def slot(self, kind):
        """The agent's slot of the session of that kind, whose request it has read."""
        holding.await_slot(self.agent, kind)
        return holding.slots(self.agent, kind)[0]

    # ---- the file

    def _written(self):
        """The lines, neighbouring frames of a stream as one."""
        row = []
        for line in [*self.lines, None]:
            if isinstance(line, tuple) and (not row or row[-1][0] == line[0]):
                row.append(line)
                continue
            yield from self._joined(row)
            row = [line] if isinstance(line, tuple) else []
            if isinstance(line, dict):
                yield line

    @staticmethod
    def _joined(row):
        if not row:
            return

        masks = iter([line[3] for line in row if line[1] not in STREAMS])
        for name, payload in join([line[1:3] for line in row]):
            yield frame_lines(row[0][0], name, payload, () if name in STREAMS else next(masks))

    def _result(self):
        """What the frames say, and what the scenario says over that."""
        outcome = {}
        streams = {n: b"".join(p for name, p in self._frames if name == n) for n in ("STDOUT", "STDERR", "FILE_DATA")}
        last = self._frames[-1] if self._frames else (None, b"")
        if self._given["do"] == "none":
            return {"error": None, **self._outcome}
        if self.scenario.head["port"] == codec.EXEC_PORT:
            if last[0] == "EXIT":
                outcome["code"], outcome["signal"] = struct.unpack_from("<ii", last[1])
            if self._given["do"] in ("run", "attach"):
                put_bytes(outcome, "stdout", streams["STDOUT"])
                put_bytes(outcome, "stderr", streams["STDERR"])
            statuses = [json.loads(p) for n, p in self._frames if n == "STATUS"]
            if statuses:
                outcome["status"] = statuses
        else:
            if streams["FILE_DATA"]:
                put_bytes(outcome, "data", streams["FILE_DATA"])
            answers = [json.loads(p) for n, p in self._frames if n in ("FILE_STAT", "FILE_LIST", "FILE_EVENT")]
            if answers:
                outcome["answers"] = answers
        outcome["error"] = None
        if last[0] == "FILE_ERR":
            outcome["text"] = last[1].decode()
            outcome["error"] = outcome["text"].split(":", 1)[0]
        outcome.update(self._outcome)
        return self._shortened(outcome)

    @staticmethod
    def _shortened(outcome):
        """A long stream as the piece that it repeats, as in the lines."""
        for member in ("stdout", "data"):
            data = outcome.get(member)
            if isinstance(data, str) and len(data) > 4 * UNIT:
                outcome[member] = data[:UNIT]
                outcome[member + "_times"] = len(data) // UNIT
        return outcome

    def file(self):
        """The text of the file."""
        scenario = self.scenario
        head = {"transcript": scenario.name, "says": scenario.says}
        head.update({k: v for k, v in scenario.head.items() if v not in ((), [], None)})
        if self.prepared:
            head["prepare"] = "\n".join(self.prepared)
        if self._given is not None:
            self._end_call()
        lines = [head, *self._written()]
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, data
        data += more
    return data


def empty(directory):
    for entry in os.scandir(directory):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def record(agent, scenario):
    """Runs it, and returns what stands in its file."""
    empty(inside(agent, PLACE))
    recorder = Recorder(agent, scenario)
    try:
        scenario.run(recorder)
    finally:
        for conn in [recorder.conn, *recorder.others]:
            if conn is not None:
                conn.close()
    return recorder.file()


# ---- replaying ----------------------------------------------------------------


class Replay:
    """The host's side of a transcript, to the letter, against an agent. REAL: what is masked is what this one told."""

    def __init__(self, agent, real=True):
        self.agent = agent
        self.is_real = real
        self.known = {}

    def run(self, script):
        for scene in script.connections:
            self.conn = Connection(self.agent.dial())
            try:
                for side, items in scene.runs():
                    (self.say if side == "host" else self.hear)(items)
            finally:
                self.conn.close()

    def say(self, items):
        for item in items:
            if item.end == "shut":
                self.conn.half_close()
            elif item.end == "close":
                self.conn.close()
                return
            elif self.conn.send_reading(self.real(item)) < len(item.raw):
                return                  # the agent has closed: that it may is seen next

    def real(self, item):
        """The bytes, with what this agent told in place of what is masked."""
        if not item.masked or not self.is_real:
            return item.raw
        if item.masked == ["time"]:
            seconds, nanoseconds = divmod(time.time_ns(), 10**9)
            return codec.encode(codec.CLOCK_SYNC, codec.clock_sync(seconds, nanoseconds, item.payload[12:]))
        value = json.loads(item.payload)
        value.update({member: self.known[member] for member in item.masked})
        return codec.encode(getattr(codec, item.name), codec.to_json(value))

    def hear(self, items):
        wanted = [i for i in items if i.name]
        for item in items:
            if item.name is None and item.end is None:
                self.hear_handshake(item)
        if wanted:
            self.hear_frames(wanted)
        end = items[-1].end
        if end in ("cut", "silent", "gone"):
            self.conn.close()
        if end == "close":
            frame = self.conn.recv()
            if frame is not None:
                raise Mismatch("line %d: expected the end, got %s" % (items[-1].number, show(*named(frame))))

    def hear_handshake(self, item):
        line = b""
        self.conn.sock.settimeout(TIMEOUT)
        while not line.endswith(b"\n"):
            byte = self.conn.sock.recv(1)
            if not byte:
                break
            line += byte
        if line.split()[:1] != item.raw.split()[:1]:
            raise Mismatch("line %d: expected %r, got %r" % (item.number, item.raw, line))

    def hear_frames(self, items):
        wanted = join([(i.name, i.payload) for i in items])
        masks = iter([i.masked for i in items if i.name not in STREAMS])
        came = []
        missing = sum(len(payload) for name, payload in wanted if name in STREAMS)
        while missing > 0 or len(join(came)) < len(wanted):
            frame = self.conn.recv()
            if frame is None:
                raise Mismatch("line %d: expected %s, and the agent has closed after %s" % (
                    items[-1].number, [show(*one) for one in wanted], [show(*one) for one in join(came)]))
            learn(self.known, frame.name, frame.payload)
            came.append(named(frame))
            missing -= len(frame.payload) if frame.name in STREAMS else 0
        got = join(came)
        for one, other in zip(wanted, got):
            masked = next(masks) if one[0] not in STREAMS else []
            if not alike(one, other, masked):
                raise Mismatch("lines %d to %d: expected %s, got %s" % (
                    items[0].number, items[-1].number, show(*one), show(*other)))


def named(frame):
    return frame.name, frame.payload


def alike(wanted, got, masked):
    if wanted[0] != got[0]:
        return False
    return wanted[1] == (masked_agent_frame(*got)[0] if masked or got[0] in (*MASKED_JSON, "STDERR") else got[1])


def replay(agent, script):
    """Prepares the guest, and replays the host's side."""
    empty(inside(agent, PLACE))
    if script.head.get("prepare"):
        result = agent.sh(script.head["prepare"])
        assert result.code == 0, result
    Replay(agent).run(script)

