# SPDX-License-Identifier: MIT
"""The real agent, started on a Unix socket, and a host that talks to it.

    with Agent("--workers=4") as agent:
        result = agent.run(["echo", "x"])           one whole session
        result.stdout, result.stderr, result.code, result.signal, result.frames

        conn = agent.start(["cat"])                 a session to talk to
        conn.send(codec.STDIN, b"hello"); conn.send(codec.EOF)
        conn.result()                               reads on to the close

        agent.write_file("/tmp/x", b"..."); agent.read_file("/tmp/x")
        agent.file_request(codec.FILE_STAT_REQ, {"path": "/tmp/x"})

Every wait has an end: what does not come within the connection's timeout
raises TimedOut, which fails the test.
"""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import codec
from codec import Decoder, Frame

HERE = os.path.dirname(os.path.abspath(__file__))

# How long anything may take before a test gives it up, in seconds. Far above
# what the contract gives: the machine may be busy.
TIMEOUT = 30.0

# Of /proc/net/unix: a socket that listens (linux/net.h: __SO_ACCEPTCON).
SO_ACCEPTCON = 1 << 16

# For the developer: VGA_STRACE=FOLDER traces every agent into FOLDER, a file a process;
# VGA_GDB=1 waits, for as long as it takes, until a debugger is at one of its processes.
STRACE_FOLDER = os.environ.get("VGA_STRACE", "")
WAITS_FOR_GDB = os.environ.get("VGA_GDB", "") not in ("", "0")
if WAITS_FOR_GDB:
    TIMEOUT = 86400.0

# Set for a test that kills workers: EXIT may come twice then.
workers_are_killed = False

# What a sanitizer says in the log where it found something.
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")


def agent_binary():
    """The agent under test: $VMM_GUEST_AGENT, or the one of ./build."""
    path = os.environ.get("VMM_GUEST_AGENT") or os.path.join(HERE, "../../build/vmm-guest-agent")
    path = os.path.abspath(path)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError("no agent at %s: set VMM_GUEST_AGENT" % path)
    return path


# For an agent that is traced while it or a worker ends: a sanitizer can't look for leaks
# then, and would make an error of that.
TRACED = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")


def is_sanitized(path=None):
    """Whether the agent was built with the address sanitizer."""
    with open(path or agent_binary(), "rb") as f:
        return b"__asan_init" in f.read()


# What a socket raises whose time is up; before Python 3.10 that is no TimeoutError.
TimedOut = socket.timeout


class Refused(Exception):
    """The agent closed a connection in its handshake."""


class FileError(Exception):
    """A FILE_ERR: str(error) is its text, error.name the errno's name."""

    @property
    def name(self):
        return str(self).split(":", 1)[0]


class Result:
    """All that came on a connection until the agent closed it."""

    def __init__(self, frames, elapsed):
        self.frames = frames
        self.elapsed = elapsed
        self.stdout = b"".join(f.payload for f in frames if f.type == codec.STDOUT)
        self.stderr = b"".join(f.payload for f in frames if f.type == codec.STDERR)
        self.statuses = [f.json() for f in frames if f.type == codec.STATUS]
        if workers_are_killed and frames and frames[-2:-1] == frames[-1:] and frames[-1].type == codec.EXIT:
            frames = frames[:-1]
        exits = [f for f in frames if f.type == codec.EXIT]
        assert len(exits) <= 1, "more than one EXIT: %r" % (frames,)
        self.exit = exits[0] if exits else None
        assert not exits or frames[-1] is exits[0], "frames after EXIT: %r" % (frames,)
        self.code = self.signal = None
        if exits:
            self.code, self.signal = struct.unpack_from("<ii", exits[0].payload.ljust(8, b"\0"))

    @property
    def text(self):
        """The agent's own words, or the program's, on STDERR."""
        return self.stderr.decode("utf-8", "replace")

    def event(self, name):
        """The STATUS with this "event"; fails where there is none."""
        found = [s for s in self.statuses if s.get("event") == name]
        assert found, "no STATUS %r in %r" % (name, self.frames)
        return found[0]

    def __repr__(self):
        return "Result(code=%r, signal=%r, %.3f s, %r)" % (
            self.code, self.signal, self.elapsed, self.frames[-8:])


class Connection:
    """One connection, its handshake done; frames go out and come in."""

    def __init__(self, sock, timeout=TIMEOUT):
        self.sock = sock
        self.timeout = timeout
        self.begun = time.monotonic()
        self.frames = []        # all frames that came so far
        self.closed = False     # the agent closed (end of file or reset)
        self.reset = False      # it was a reset, or bytes of half a frame
        self._unread = []       # frames that recv() has not given out yet
        self._decoder = Decoder()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        return self.sock.fileno()

    # ---- sending

    def send(self, kind, payload=b"", timeout=None):
        """Sends a frame whole. Raises BrokenPipeError where the agent has closed."""
        self.send_raw(codec.encode(kind, payload), timeout)

    def send_raw(self, data, timeout=None):
        """Sends bytes as they are, and reads nothing meanwhile."""
        self.sock.settimeout(timeout or self.timeout)
        self.sock.sendall(data)

    def send_reading(self, data, timeout=None):
        """Sends bytes and takes in what comes meanwhile, as a careful host does.
        Returns how many were sent: fewer where the agent closed first."""
        view = memoryview(data)
        sent = 0
        deadline = time.monotonic() + (timeout or self.timeout)
        self.sock.setblocking(False)
        while sent < len(view) and not self.closed:
            r, w, _ = select.select([self.sock], [self.sock], [], max(0.0, deadline - time.monotonic()))
            if not r and not w:
                raise TimedOut("sent %d of %d bytes" % (sent, len(view)))
            if r:
                self._receive()
            if w and not self.closed:
                try:
                    sent += self.sock.send(view[sent:sent + 262144])
                except BlockingIOError:
                    pass
                except (BrokenPipeError, ConnectionResetError):
                    break
        return sent

    # ---- receiving

    def _receive(self):
        try:
            data = self.sock.recv(262144)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
            self.reset = True
        if not data:
            self.closed = True
            self.reset = self.reset or self._decoder.pending > 0
            return
        new = self._decoder.feed(data)
        self.frames += new
        self._unread += new

    def wait_readable(self, timeout):
        """Whether anything (the end too) is there within TIMEOUT seconds."""
        return bool(select.select([self.sock], [], [], timeout)[0])

    def wait_hangup(self, timeout):
        """Whether the agent closes for good, not only its sending side, within
        TIMEOUT seconds. Reads nothing."""
        poll = select.poll()
        poll.register(self.sock, 0)
        return bool(poll.poll(timeout * 1000))

    def recv(self, timeout=None):
        """The next frame, or None when the agent has closed."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self.sock.setblocking(False)
        while not self._unread and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0 or not self.wait_readable(left):
                raise TimedOut("no frame; so far %r" % (self.frames[-8:],))
            self._receive()
        return self._unread.pop(0) if self._unread else None

    def expect(self, kind, timeout=None):
        """The next frame, which must be of this type."""
        frame = self.recv(timeout)
        assert frame is not None and frame.type == kind, "expected %s, got %r after %r" % (
            Frame(kind, b"").name, frame, self.frames[-8:])
        return frame

    def read_output(self, until, timeout=None, kinds=(codec.STDOUT,)):
        """Reads on until UNTIL (bytes) stands in the output of these types, and
        returns that output, counted from here on."""
        out = b""
        while until not in out:
            frame = self.recv(timeout)
            assert frame is not None and frame.type != codec.EXIT, "ended before %r: %r, %r" % (
                until, out[-200:], self.frames[-8:])
            if frame.type in kinds:
                out += frame.payload
        return out

    def result(self, timeout=None):
        """Reads to the agent's close, closes, and returns all that ever came."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while self.recv(max(0.0, deadline - time.monotonic())) is not None:
            pass
        self.close()
        return Result(self.frames, time.monotonic() - self.begun)

    def until_exit(self, timeout=None):
        """Reads up to EXIT and keeps the connection open, as H1 and H2 do."""
        while True:
            frame = self.recv(timeout)
            assert frame is not None, "closed without EXIT: %r" % (self.frames[-8:],)
            if frame.type == codec.EXIT:
                return Result(self.frames, time.monotonic() - self.begun)

    # ---- ending

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()


def traced(argv, name):
    """ARGV under strace, which leaves the agent our own child (-D)."""
    folder = "/tmp/vga-strace" if STRACE_FOLDER == "1" else STRACE_FOLDER
    os.makedirs(folder, exist_ok=True)
    return ["strace", "-D", "-ff", "-tt", "-yy", "-s", "64", "-o", os.path.join(folder, name), *argv]


def wait_for_debugger(pids):
    """Says whom to attach to, and waits until somebody has."""
    print("\nsupervisor: gdb -p %d; workers: %s" % (
        pids[0], ", ".join("gdb -p %d" % pid for pid in pids[1:])), flush=True)
    while not any(tracer_of(pid) for pid in pids):
        time.sleep(0.1)


def tracer_of(pid):
    """The pid of the debugger at PID, or 0."""
    try:
        with open("/proc/%d/status" % pid) as status:
            return next(int(line.split()[1]) for line in status if line.startswith("TracerPid:"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_listened_on(path):
    """Whether somebody has called listen(2) there: the file is there a little sooner."""
    with open("/proc/net/unix") as sockets:
        fields = [line.split() for line in sockets]
    return any(f[-1] == path and int(f[3], 16) & SO_ACCEPTCON for f in fields[1:])


class Agent:
    """A running agent. Options are the agent's own, as ("--workers=4", …)."""

    def __init__(self, *options, ready="handshake", env=None, path=None, listen=True):
        self.binary = agent_binary()
        self.directory = tempfile.mkdtemp(prefix="vga-")
        self.path = path or os.path.join(self.directory, "agent.sock")
        self.log_path = os.path.join(self.directory, "log")
        argv = [self.binary]
        if listen:
            argv.append("--listen=unix:" + self.path)
        argv += options
        if STRACE_FOLDER:
            argv = traced(argv, os.path.basename(self.directory))
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                start_new_session=True)
        self.pid = self.process.pid
        try:
            self._wait_ready(ready)
            if ready is not None:
                self._wait_workers(options)
            if WAITS_FOR_GDB:
                wait_for_debugger([self.pid, *self.worker_pids()])
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_ready(self, ready):
        deadline = time.monotonic() + TIMEOUT
        while ready is not None:
            if self.process.poll() is not None:
                raise RuntimeError("the agent exited with %d:\n%s" % (self.process.returncode, self.log()))
            try:
                if ready == "handshake":
                    self.connect(timeout=5).close()
                    return
                if ready == "socket" and is_listened_on(self.path):
                    return
            except (OSError, Refused):
                pass
            if time.monotonic() > deadline:
                raise TimedOut("the agent does not answer:\n" + self.log())
            time.sleep(0.005)

    def _wait_workers(self, options):
        """It serves with its first worker; who looks at them waits for the others, and
        until none has anything to do."""
        wanted = [int(option.partition("=")[2]) for option in options if option.startswith("--workers=")]
        if wanted and wanted[-1] > 0:
            wait_until(lambda: len(self.worker_pids()) >= wanted[-1], message="all workers")
        wait_until_waiting(self.worker_pids)

    # ---- the process

    def settle(self):
        """Waits for a moment at which none of its processes has anything to do. What was
        answered before, and closed by its host, is closed on their side too by then: an
        answer comes sooner. Who counts what they have begins behind this."""
        def looks():
            return {pid: looked_at(pid) for pid in [self.pid, *self.worker_pids()]}

        def is_settled():
            before = looks()
            return None not in before.values() and looks() == before

        wait_until(is_settled, message="nothing is under way")

    def log(self):
        """All that the agent wrote to its standard error so far."""
        with open(self.log_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def wait_log(self, text, timeout=TIMEOUT, start=0):
        """Waits until TEXT stands in the log behind its first START characters."""
        deadline = time.monotonic() + timeout
        while text not in self.log()[start:]:
            if time.monotonic() > deadline:
                raise TimedOut("%r is not in the log:\n%s" % (text, self.log()[start:]))
            time.sleep(0.01)

    def is_alive(self):
        return self.process.poll() is None

    def worker_pids(self):
        """The supervisor's children that run the agent's own program, but for the switch."""
        return [p for p in children(self.pid) if runs(p, self.pid) and not is_switch(p)]

    def switch_pids(self):
        """The child that holds the guest still; for moments there may be none of them."""
        return [p for p in children(self.pid) if is_switch(p)]

    def terminate(self, timeout=TIMEOUT):
        """SIGTERM; returns the exit status, and fails where it does not come.
        The log can still be read; kill() takes it away."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("no end %g s after SIGTERM:\n%s" % (timeout, self.log())) from None

    def stop(self, timeout=TIMEOUT):
        """terminate() and kill() in one; returns the exit status."""
        try:
            return self.terminate(timeout)
        finally:
            self.kill()

    def kill(self):
        """Makes sure that nothing is left, and takes the directory away."""
        left = []
        if self.process.poll() is None:
            left = descendants(self.pid)
            self.process.kill()
            self.process.wait()
        kill_hard(*left)
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- connections

    def dial(self, timeout=TIMEOUT):
        """A bare connection to the socket, before any handshake."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(self.path)
        except BaseException:
            sock.close()
            raise
        return sock

    def connect(self, port=codec.EXEC_PORT, timeout=TIMEOUT):
        """A connection to PORT with its handshake done. Raises Refused."""
        return self.opened(self.dial(timeout), b"CONNECT %d\n" % port, timeout)

    def opened(self, sock, line=b"", timeout=TIMEOUT):
        """The connection SOCK, once LINE is sent and the handshake done. Raises Refused."""
        try:
            sock.sendall(line)
            line = b""
            while not line.endswith(b"\n"):
                byte = sock.recv(1)
                if not byte:
                    raise Refused("closed in the handshake after %r" % line)
                line += byte
            assert line.startswith(b"OK ") and line[3:-1].isdigit(), "answered with %r" % line
        except ConnectionResetError:
            sock.close()
            raise Refused("reset in the handshake") from None
        except BaseException:
            sock.close()
            raise
        return Connection(sock, timeout)

    # ---- port 52

    def start(self, cmd, timeout=TIMEOUT, **members):
        """Starts a session (members as in START) and returns its connection."""
        conn = self.connect(timeout=timeout)
        conn.send(codec.START, codec.start(cmd, **members))
        return conn

    def run(self, cmd, stdin=b"", eof=True, timeout=TIMEOUT, **members):
        """One whole session. STDIN goes out in frames of 64 KiB, then EOF. The
        member "stdin" of START is given as stdin_member=False."""
        if "stdin_member" in members:
            members["stdin"] = members.pop("stdin_member")
        conn = self.connect(timeout=timeout)
        data = codec.encode(codec.START, codec.start(cmd, **members))
        for i in range(0, len(stdin), 65536):
            data += codec.encode(codec.STDIN, stdin[i:i + 65536])
        if eof:
            data += codec.encode(codec.EOF)
        conn.send_reading(data)
        return conn.result()

    def sh(self, script, *args, **members):
        """run() for a shell script."""
        return self.run(["/bin/sh", "-c", script, "sh", *args], **members)

    def request(self, kind, payload=b"", timeout=TIMEOUT):
        """A request of one frame on port 52: all that is answered."""
        conn = self.connect(timeout=timeout)
        conn.send(kind, payload)
        return conn.result()

    def status(self):
        """STATUS, as a dict."""
        result = self.request(codec.STATUS_REQ)
        assert result.code == 0 and len(result.statuses) == 1, result
        return result.statuses[0]

    # ---- port 53

    def file_connect(self, kind, payload, timeout=TIMEOUT):
        """A connection to the file port with its first frame sent."""
        conn = self.connect(codec.FILE_PORT, timeout=timeout)
        conn.send(kind, payload)
        return conn

    def file_request(self, kind, payload, timeout=TIMEOUT):
        """A request of one frame on port 53: the frames that are answered."""
        conn = self.file_connect(kind, payload, timeout)
        return conn.result().frames

    def file_call(self, kind, payload, timeout=TIMEOUT):
        """The same where one frame is the answer; raises FileError."""
        frames = self.file_request(kind, payload, timeout)
        assert len(frames) == 1, frames
        return raise_error(frames[0])

    def write_file(self, path, data, mode=0, chunk=262144, timeout=TIMEOUT, **members):
        """WRITE of DATA in frames of CHUNK bytes; raises FileError."""
        parts = [codec.encode(codec.FILE_WRITE_REQ, dict(members, path=path, mode=mode))]
        parts += [codec.encode(codec.FILE_DATA, data[i:i + chunk]) for i in range(0, len(data), chunk)]
        parts.append(codec.encode(codec.FILE_DONE))
        conn = self.connect(codec.FILE_PORT, timeout=timeout)
        for part in parts:
            if conn.closed or conn.send_reading(part) < len(part):
                break
        frames = conn.result().frames
        assert len(frames) == 1, frames
        assert raise_error(frames[0]).type == codec.FILE_ACK, frames

    def read_file(self, path, timeout=TIMEOUT, **members):
        """READ, as bytes; raises FileError."""
        frames = self.file_request(codec.FILE_READ_REQ, dict(members, path=path), timeout)
        assert frames, "closed without an answer"
        raise_error(frames[-1])
        assert frames[-1].type == codec.FILE_DONE, frames[-8:]
        assert all(f.type == codec.FILE_DATA for f in frames[:-1]), frames[:8]
        return b"".join(f.payload for f in frames[:-1])


def raise_error(frame):
    """Raises FileError for a FILE_ERR, else gives the frame back."""
    if frame.type == codec.FILE_ERR:
        raise FileError(frame.payload.decode("utf-8"))
    return frame


# A program in Python that has 1 MiB in its pipe at once: more than a socket to the host takes.
# Python's fcntl has no F_SETPIPE_SZ before 3.10: see linux/fcntl.h.
FILL_PIPE = "import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, bytes(1 << 20))"


# ---- looking at processes ---------------------------------------------------


def stat_of(pid):
    """(state, parent) from /proc/PID/stat, or None where it is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            fields = f.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0].decode(), int(fields[1])


# Who looks at all processes there are instead takes longer than all else that a test does.
assert os.path.exists("/proc/thread-self/children"), "a kernel without CONFIG_PROC_CHILDREN"


def children_of_thread(path):
    """A list in which another was reaped meanwhile may lack one, but not the same one twice: see
    the kernel's Documentation/filesystems/proc.rst."""
    last = None
    while True:
        with open(path + "/children", "rb") as f:
            found = f.read().split()
        if found == last:
            return map(int, found)
        last = found


def children(pid):
    found, folder = [], "/proc/%d/task" % pid
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += children_of_thread(folder + "/" + thread)
    return sorted(found)


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        new = children(todo.pop())
        found += new
        todo += new
    return sorted(found)


def runs(pid, other):
    """Whether PID runs the same program file as OTHER."""
    try:
        return os.stat("/proc/%d/exe" % pid).st_ino == os.stat("/proc/%d/exe" % other).st_ino
    except OSError:
        return False


def is_switch(pid):
    """Whether PID calls itself so. Right after its birth it does not yet."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return b": switch\0" in f.read()
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_running(pid):
    """Whether PID exists and is no zombie."""
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


def birth_of(pid):
    """When PID began, which tells it from a later process of its number; None: it is gone."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return int(f.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return None


def births(pids):
    return {pid: birth_of(pid) for pid in pids}


def still_running(born):
    """Those of BORN, by births(), that are there, and no zombies."""
    return [pid for pid, birth in born.items() if birth is not None and is_running(pid) and birth_of(pid) == birth]


def descriptors(pid):
    """{number: what it is} of the open descriptors of PID."""
    found = {}
    try:
        for entry in os.listdir("/proc/%d/fd" % pid):
            try:
                found[int(entry)] = os.readlink("/proc/%d/fd/%s" % (pid, entry))
            except FileNotFoundError:
                pass
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def wait_until(condition, timeout=TIMEOUT, message="condition"):
    """Polls CONDITION until it is true; fails after TIMEOUT seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s" % (timeout, message))
        time.sleep(0.01)


# epoll_pwait, ppoll, poll, and restart_syscall of a poll that a tracer broke off; see
# syscall(2) of the machine
WAITS = {"x86_64": ("281", "271", "7", "219"), "aarch64": ("22", "73", "128")}[os.uname().machine]


def is_waiting(pid):
    """Whether PID stands in a call that waits for something to happen."""
    try:
        with open("/proc/%d/syscall" % pid) as f:
            return f.read().split()[0] in WAITS
    except OSError:
        return False


def looked_at(pid):
    """How often PID has been taken from a processor, if it waits. It has waited all the time
    between two looks that are alike; None where it does not, or is gone."""
    if not is_waiting(pid):
        return None
    try:
        with open("/proc/%d/status" % pid) as f:
            return [line.split()[1] for line in f if "voluntary_ctxt_switches:" in line]
    except (FileNotFoundError, ProcessLookupError):
        return None


def hurry(*pids):
    """They go before all others on this machine, as if it were idle: where a clock of the
    agent's decides between two ways that are both right, and one of them is looked at."""
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def wait_until_waiting(pids):
    """Until all of PIDS(), a function, have nothing to do."""
    wait_until(lambda: all(map(is_waiting, pids())), message="all processes wait")


def untaken(conn):
    """How much of what we sent the agent has not read: bytes, and what the kernel takes to
    keep them. See unix(7), SIOCOUTQ."""
    return struct.unpack("i", fcntl.ioctl(conn.sock, termios.TIOCOUTQ, bytes(4)))[0]


def together(functions):
    """Calls them all at once, each in a thread; returns what each returned. What
    one raised is raised here, once all have ended."""
    results = [None] * len(functions)
    errors = []

    def call(i, function):
        try:
            results[i] = function()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def kill_hard(*pids, number=signal.SIGKILL):
    """Signal NUMBER to each of PIDS that is still there. A worker that dies in the
    middle of a frame has its connection closed without an answer, and we may have read
    a frame before its worker has noted that it went out: that moment is let pass, which on
    a busy machine may be long. One that always has something to do is not waited for."""
    time.sleep(0.02)
    deadline = time.monotonic() + 2
    for pid in pids:
        while (stat_of(pid) or "Z")[0] == "R" and time.monotonic() < deadline:
            time.sleep(0.001)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
