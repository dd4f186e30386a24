# SPDX-License-Identifier: MIT
"""Durable sessions as a host sees them: a START that outlives its connection, and those
who come back to it.

    reader = start(agent, ["cat"], "x", when_full="wait")   its STATUS is read: reader.started
    reader = attach(agent, "x", at=0)                       and this one's: reader.attached
    reader.take()                   one frame, put where it belongs; None at the close
    reader.read_to(100)             on to this offset
    reader.finish()                 on to the close; reader.exit is (code, signal), or None
    reader.out, reader.err          what came of each stream
    reader.pieces                   what came in one go: Piece(offset, data, marks)
    reader.lost                     [(offset, lost)] of the STATUS of that name
    reader.ack(), reader.detach()

    refused(agent, name="x", at=9)  the words of an ATTACH that is refused
    forget(agent, "x")              FORGET's exit code
    sessions(agent)                 {name: its slot of STATUS}

    with Frozen(pid): ...           the process stands still and nobody is told
"""

import ctypes
import os
import signal
import struct
import time

import codec
from agent import TIMEOUT, Result, descendants, is_running, stat_of, wait_until

OUTPUT = (codec.STDOUT, codec.STDERR)


class Piece:
    """Output that came without a gap: from which offset, its bytes, and for each of them
    the type of the frame that it came in."""

    def __init__(self, offset):
        self.offset = offset
        self.data = bytearray()
        self.marks = bytearray()

    @property
    def end(self):
        return self.offset + len(self.data)

    def add(self, frame):
        self.data += frame.payload
        self.marks += bytes((frame.type,)) * len(frame.payload)

    def drop(self, count):
        del self.data[-count:]
        del self.marks[-count:]

    def __repr__(self):
        return "Piece(%d, %d bytes)" % (self.offset, len(self.data))


class Reader:
    """Whoever reads a session: START's own connection, or an ATTACH. It counts along. What
    the agent says for itself before an EXIT 125 is not output, but WORDS."""

    def __init__(self, conn, offset=None):
        self.conn = conn
        self.streams = {kind: bytearray() for kind in OUTPUT}
        self.pieces = []
        self.events = []
        self.lost = []
        self.words = b""
        self.exit = None
        self.closed = False
        self.started = self.attached = None
        self._last = None
        if offset is not None:
            self.pieces.append(Piece(offset))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- what came

    @property
    def first(self):
        return self.pieces[0].offset

    @property
    def offset(self):
        """Of the next byte."""
        return self.pieces[-1].end

    @property
    def out(self):
        return bytes(self.streams[codec.STDOUT])

    @property
    def err(self):
        return bytes(self.streams[codec.STDERR])

    @property
    def data(self):
        """All bytes of both streams in their order, of a reader that lost none of them."""
        assert len(self.pieces) == 1, self
        return bytes(self.pieces[0].data)

    @property
    def code(self):
        return self.exit and self.exit[0]

    def event(self, name):
        """The one STATUS of this event."""
        found = self.all_events(name)
        assert len(found) == 1, "%d of %r: %r" % (len(found), name, self.events)
        return found[0]

    def all_events(self, name):
        return [event for event in self.events if event["event"] == name]

    def __repr__(self):
        return "Reader(%r, exit %r, words %r, events %r)" % (
            self.pieces[-3:], self.exit, self.words, self.events[-4:])

    # ---- reading

    def fileno(self):
        return self.conn.fileno()

    def take(self, timeout=None):
        """The next frame, which is put where it belongs; None once the agent has closed."""
        frame = self.conn.recv(timeout)
        del self.conn.frames[:-8]
        self.put(frame)
        return frame

    def put(self, frame):
        assert self.exit is None or frame is None or frame == self._last, "%r after EXIT of %r" % (frame, self)
        if frame is None:
            self.closed = True
        elif frame.type in OUTPUT:
            assert self.pieces, "not attached: %r" % frame
            self.streams[frame.type] += frame.payload
            self.pieces[-1].add(frame)
        elif frame.type == codec.STATUS:
            self._put_event(frame.json())
        elif frame.type == codec.EXIT:
            self._put_exit(codec.exit_status(frame.payload))
        else:
            raise AssertionError("%r is no frame of a session" % frame)
        self._last = frame

    def _put_event(self, event):
        self.events.append(event)
        if event["event"] == "attached":
            assert not self.pieces, "attached twice: %r" % self.events
            self.pieces.append(Piece(event["offset"]))
        elif event["event"] == "lost":
            assert event["lost"] > 0 and event["offset"] == self.offset + event["lost"], (event, self)
            self.lost.append((event["offset"], event["lost"]))
            self.pieces.append(Piece(event["offset"]))

    def _put_exit(self, status):
        self.exit = status
        if status[0] == 125 and self._last is not None and self._last.type == codec.STDERR:
            self.words = self._last.payload
            self.pieces[-1].drop(len(self.words))
            del self.streams[codec.STDERR][-len(self.words):]

    def has_unread(self):
        """Whether a frame has come that was not taken."""
        return bool(self.conn._unread)

    def take_all(self):
        """All frames that are there by now; waits for none. Returns how many."""
        taken, conn = 0, self.conn
        conn.sock.setblocking(False)
        while not self.closed:
            while not conn._unread and not conn.closed and conn.wait_readable(0):
                conn._receive()
            if not conn._unread and not conn.closed:
                break
            taken += self.take() is not None
        return taken

    def read_to(self, offset, timeout=None):
        """Reads on until everything below OFFSET came, or was lost."""
        while self.offset < offset:
            assert self.take(timeout) is not None and self.exit is None, "ended below %d: %r" % (offset, self)

    def read_until(self, text, kind=codec.STDOUT, timeout=None):
        """Reads on until TEXT stands in what came of one stream."""
        while text not in self.streams[kind]:
            assert self.take(timeout) is not None and self.exit is None, "no %r: %r, %r" % (
                text, self, bytes(self.streams[kind][-200:]))
        return self

    def until_event(self, name, timeout=None):
        """Reads on until a further STATUS of this event came; returns it."""
        there = len(self.all_events(name))
        while len(self.all_events(name)) == there:
            assert self.take(timeout) is not None, "no %r: %r" % (name, self)
        return self.all_events(name)[-1]

    def finish(self, timeout=None):
        """Reads to the agent's close, and closes."""
        while self.take(timeout) is not None:
            pass
        self.conn.close()
        return self

    # ---- sending

    def send(self, kind, payload=b""):
        self.conn.send(kind, payload)

    def stdin(self, data):
        for i in range(0, len(data), 65536):
            self.send(codec.STDIN, data[i:i + 65536])

    def eof(self):
        self.send(codec.EOF)

    def ack(self, offset=None):
        self.send(codec.OUTPUT_ACK, struct.pack("<Q", self.offset if offset is None else offset))

    def resize(self, columns, rows):
        self.send(codec.RESIZE, codec.resize(columns, rows))

    def signal(self, number):
        self.send(codec.SIGNAL, codec.signal_number(number))

    def detach(self, timeout=None):
        """DETACH, and on to the close; returns the STATUS that answers it."""
        self.send(codec.DETACH)
        self.finish(timeout)
        assert self.exit is None and self.events[-1]["event"] == "detached", self
        return self.events[-1]

    def close(self):
        self.conn.close()


# ---- requests -------------------------------------------------------------------


def target(name=None, session=None, instance=None):
    """The members that name a session."""
    members = {"name": name, "session": session, "instance": instance}
    return {key: value for key, value in members.items() if value is not None}


def request(agent, kind, payload, timeout=None):
    conn = agent.connect(**({} if timeout is None else {"timeout": timeout}))
    conn.send(kind, payload)
    return conn


def start(agent, cmd, name, stdin=None, tty=None, report=None, members=None, **durable):
    """START of a durable session; DURABLE are members of that object, MEMBERS of START."""
    more = {"stdin": stdin, "tty": tty, "report": report, **(members or {})}
    conn = request(agent, codec.START, codec.start(cmd, name=name, durable=durable, **more))
    reader = Reader(conn, 0)
    frame = reader.take()
    assert frame is not None and reader.events, "not started: %r" % (frame,)
    reader.started = reader.event("started")
    assert reader.started["name"] == name, reader.started
    return reader


def sh(agent, script, name, *args, **more):
    """start() of a shell script."""
    return start(agent, ["/bin/sh", "-c", script, "sh", *args], name, **more)


def attach_members(at=None, tail=None, input=None, report=None, **whom):
    members = {**target(**whom), "from": at, "tail": tail, "input": input, "report": report}
    return {key: value for key, value in members.items() if value is not None}


def attach(agent, name=None, **more):
    """ATTACH; AT is its member `from`."""
    reader = Reader(request(agent, codec.ATTACH, attach_members(name=name, **more)))
    frame = reader.take()
    assert frame is not None and frame.type == codec.STATUS, "not attached: %r" % frame
    reader.attached = reader.event("attached")
    return reader


def refused(agent, name=None, **more):
    """The words of an ATTACH that is refused: STDERR and EXIT 125, and nothing else."""
    result = request(agent, codec.ATTACH, attach_members(name=name, **more)).result()
    return refusal(result)


def refusal(result):
    assert isinstance(result, Result)
    assert [frame.type for frame in result.frames] == [codec.STDERR, codec.EXIT], result
    assert (result.code, result.signal) == (125, 0), result
    return result.text


def start_refused(agent, cmd, name, **more):
    """The words of a durable START that is refused."""
    members = more.pop("members", {})
    return refusal(agent.run(cmd, name=name, durable=more, **members))


def forget(agent, name=None, **whom):
    """FORGET's result: .code is 0, 1 or 125, .text the words."""
    return request(agent, codec.FORGET, target(name=name, **whom)).result()


def forget_all(agent):
    """So that the next test finds none of this one's."""
    for slot in sessions(agent).values():
        if slot["running"]:
            agent.request(codec.KILL, {"session": slot["session"], "signal": signal.SIGKILL})
    wait_until(lambda: not any(slot["running"] for slot in sessions(agent).values()), message="all have ended")
    for slot in sessions(agent).values():
        forget(agent, session=slot["session"])
    wait_until(lambda: not sessions(agent), message="all are forgotten")


# ---- what STATUS says -------------------------------------------------------------


def sessions(agent):
    """{name: slot} of the durable sessions that run or are kept."""
    return {slot["name"]: slot for slot in agent.status()["slots"] if slot.get("durable")}


def readers(agent, session):
    """The slots of those attached to the session of this number by ATTACH."""
    return [slot for slot in agent.status()["slots"] if slot.get("attached_to") == session]


def wait_ended(agent, name, timeout=None, served=False):
    """Waits for the end of a session, and returns its slot. SERVED: its first connection
    may still be under way, of which the slot shows no code."""
    def ended():
        slot = sessions(agent)[name]
        return slot if not slot["running"] and (served or slot["kind"] == "ended") else None
    return wait_until(ended, **({} if timeout is None else {"timeout": timeout}), message="the end of %s" % name)


def wait_alone(agent, name):
    """Waits until nobody is attached to the session NAME."""
    wait_until(lambda: sessions(agent)[name]["attached"] == 0, message="%s is alone" % name)


def wait_offset(agent, name, offset):
    """Waits until the session NAME has had this much output."""
    wait_until(lambda: sessions(agent)[name]["offset"] >= offset, message="%s at %d" % (name, offset))


def wait_held_up(agent, name):
    """Waits until the program of the session NAME waits for room, and all have passed on what
    they may; returns the offset of its next byte."""
    def offset():
        agent.settle()
        slot = sessions(agent)[name]
        states = [(stat_of(pid) or "Z")[0] for pid in [slot["pid"], *descendants(slot["pid"])]]
        return slot["offset"] if "R" not in states else None

    def is_held_up():
        before = offset()
        return before is not None and offset() == before

    wait_until(is_held_up, message="%s waits" % name)
    return sessions(agent)[name]["offset"]


def program_pid(agent, name):
    return sessions(agent)[name]["pid"]


def owner_pid(agent, name):
    """The worker whose program it is, or was; None where it has nothing to do with it any more."""
    pid = program_pid(agent, name)
    workers = agent.worker_pids()
    for candidate in (pid, (stat_of(pid) or (None, 0))[1]):
        if candidate in workers:
            return candidate
    return None


def reader_pid(agent, reader):
    """The worker of the one ATTACH to that session."""
    found = readers(agent, reader.attached["session"])
    assert len(found) == 1, found
    return found[0]["pid"]


def holder_pid(agent, reader):
    """The worker of the newest ATTACH, of several."""
    return max(readers(agent, reader.attached["session"]), key=lambda slot: slot["session"])["pid"]


# ---- a process that stands still ----------------------------------------------------

PTRACE_SINGLESTEP, PTRACE_DETACH, PTRACE_SYSCALL = 9, 17, 24
PTRACE_SETOPTIONS, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_GET_SYSCALL_INFO = 0x4200, 0x4206, 0x4207, 0x420e
O_TRACESYSGOOD = 1
WALL = 0x40000000
SYSCALL_ENTRY, SYSCALL_EXIT = 1, 2


class Frozen:
    """The process PID stands still, and its parent, who would have it go on after a
    SIGSTOP, is told nothing. Begins and ends in one and the same thread (ptrace(2))."""

    def __init__(self, pid):
        self.pid = pid
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        self._ptrace(PTRACE_SEIZE, data=O_TRACESYSGOOD)
        self._ptrace(PTRACE_INTERRUPT)
        stopped = self._wait()
        # A signal that came in between waits for us to pass it on.
        self._signal = 0 if stopped == signal.SIGTRAP else stopped

    def _wait(self):
        deadline = time.monotonic() + TIMEOUT
        while (found := os.waitpid(self.pid, os.WNOHANG | WALL)) == (0, 0):
            assert time.monotonic() < deadline, "%d does not stop" % self.pid
            time.sleep(0.0002)
        if not os.WIFSTOPPED(found[1]):
            raise ProcessLookupError("%d has ended" % self.pid)
        return os.WSTOPSIG(found[1])

    def _ptrace(self, what, address=None, data=None):
        result = self._libc.ptrace(what, self.pid, address, data)
        if result < 0:
            raise OSError(ctypes.get_errno(), "ptrace(%#x) of %d" % (what, self.pid))

    def run_to(self, number, when=SYSCALL_EXIT):
        """Lets it run until it enters, or returns from, the system call NUMBER. Returns what
        it returned."""
        info = ctypes.create_string_buffer(96)
        pending, self._signal = self._signal, 0
        while True:
            self._ptrace(PTRACE_SYSCALL, data=pending)
            stopped = self._wait()
            pending = 0 if stopped & 0x80 or stopped == signal.SIGTRAP else stopped
            if stopped & 0x80:
                self._ptrace(PTRACE_GET_SYSCALL_INFO, len(info), ctypes.addressof(info))
                op, entered = info.raw[0], struct.unpack_from("<Q", info.raw, 24)[0]
                if op == SYSCALL_ENTRY:
                    self._call = entered
                if op == when and self._call == number:
                    return struct.unpack_from("<q", info.raw, 24)[0]

    def step(self, count):
        """COUNT instructions."""
        for _ in range(count):
            self._ptrace(PTRACE_SINGLESTEP)
            self._wait()

    def thaw(self):
        if self.pid and is_running(self.pid):
            self._ptrace(PTRACE_DETACH, data=self._signal)
        self.pid = 0

    def kill(self):
        """SIGKILL while it stands still."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, WALL)
        self.pid = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thaw()
