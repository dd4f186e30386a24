# SPDX-License-Identifier: MIT
"""What is done while something fails: each kind of session once, so short that a fault
costs some milliseconds.

A scenario is some functions of a lab (see lab.py): prepare, whose value the others get and
during which nothing fails yet; run, during which it does, and which raises Wrong where the
contract was broken; end, of what still runs. Then all is looked at, and the files go."""

import contextlib
import itertools
import os
import signal
import time
from typing import Callable, NamedTuple

import codec
import durable
from agent import children, is_running
from judge import FALSE, HALF_FILES, HANGS, LEAKS, SILENT, Wrong, answer_of, content, control_told, file_told, told

# No answer takes as long, whatever the machine.
PATIENCE = 30.0

OLD = b"old" * 700
NEW = bytes(range(256)) * 600

NUMBERS = itertools.count()


class Scenario(NamedTuple):
    name: str
    run: Callable
    prepare: Callable
    end: Callable
    is_last: bool       # the agent is another one afterwards


SCENARIOS = {}


def scenario(prepare=lambda lab: None, end=lambda lab, state: None, is_last=False):
    def note(function):
        SCENARIOS[function.__name__] = Scenario(function.__name__, function, prepare, end, is_last)
        return function

    return note


def await_end_of(goes_on, wrong):
    """Until GOES_ON() is false; WRONG is raised where it stays true."""
    deadline = time.monotonic() + PATIENCE
    while goes_on():
        if time.monotonic() > deadline:
            raise wrong
        time.sleep(0.005)


# ---- programs -----------------------------------------------------------------


@scenario()
def start_pipes(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["cat"], report=True))
    conn.send(codec.STDIN, NEW)
    conn.send(codec.EOF)
    told(conn, PATIENCE, stdout=NEW)


@scenario()
def start_plain(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["/bin/sh", "-c", "echo to; echo err >&2; exit 7"]))
    conn.send(codec.EOF)
    told(conn, PATIENCE, 7, b"to\n")


@scenario()
def start_user(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["id", "-u"], user="nobody", working_dir="~"))
    told(conn, PATIENCE, 0, b"65534\n")


@scenario()
def start_limits(lab, _):
    conn = lab.open()
    limits = {"nofile": 77, "core_bytes": 0, "fsize_bytes": 4096}
    conn.send(codec.START, codec.start(["/bin/sh", "-c", "ulimit -n; ulimit -c"], limits=limits))
    told(conn, PATIENCE, 0, b"77\n0\n")


@scenario()
def start_tty(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["/bin/sh", "-c", "stty -echo -onlcr; echo on; cat; stty size"],
                                       tty=True, tty_width=90, tty_height=30))
    # What it types before the program has said so comes back.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        try:
            if conn.recv(PATIENCE) is not None:
                conn.send(codec.RESIZE, codec.resize(91, 31))
                conn.send(codec.STDIN, b"line\n")
                conn.send(codec.EOF)
        except TimeoutError as error:
            raise Wrong(HANGS, str(error)) from None
    told(conn, PATIENCE, 0, b"on\nline\n31 91\n")


@scenario()
def start_timeout(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["sleep", "60"], timeout_seconds=1, report=True))
    told(conn, PATIENCE, 137, sig=9)


@scenario()
def start_detached(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["true"], detach=True, report=True))
    told(conn, PATIENCE)


def sleeper(lab):
    """A program that runs: (its connection, its process, its session's number)."""
    conn = lab.open()
    conn.send(codec.START, codec.start(["sleep", "60"], report=True))
    pid = conn.expect(codec.STATUS, PATIENCE).json()["pid"]
    number = [s["session"] for s in lab.agent.status()["slots"] if s["pid"] == pid or s["kind"] == "exec"]
    return conn, pid, number[0]


def drop(lab, state):
    state[0].close()
    deadline = time.monotonic() + PATIENCE
    while is_running(state[1]):
        if time.monotonic() > deadline:
            os.kill(state[1], signal.SIGKILL)
            raise Wrong(LEAKS, "what was started lives on without its host")
        time.sleep(0.005)


@scenario(prepare=sleeper, end=drop)
def sent_signal(lab, state):
    state[0].send(codec.SIGNAL, codec.signal_number(15))
    result = answer_of(state[0], PATIENCE)
    if result.exit is None:
        raise Wrong(SILENT, "no EXIT in %r" % (result.frames,))


@scenario(prepare=sleeper, end=drop)
def kill(lab, state):
    conn = lab.open()
    conn.send(codec.KILL, {"session": state[2], "signal": 9})
    if control_told(conn, PATIENCE, (0, 1, -1)).code == 0:
        told(state[0], PATIENCE, 137, sig=9)


@scenario(prepare=sleeper, end=drop)
def host_goes(lab, state):
    state[0].close()
    await_end_of(lambda: is_running(state[1]), Wrong(HANGS, "the program lives on without its host"))


@scenario(prepare=sleeper, end=drop)
def worker_dies(lab, state):
    worker = [pid for pid in lab.agent.worker_pids() if state[1] in children(pid)]
    os.kill(worker[0], signal.SIGKILL)
    told(state[0], PATIENCE, 125)


# ---- durable sessions ---------------------------------------------------------


def kept(lab, _=None):
    """A session that has written something and has nobody."""
    with durable.start(lab.agent, ["cat"], "kept", members={"report": True}) as reader:
        reader.stdin(OLD)
        reader.read_to(len(OLD))
    return reader.started["session"]


def forgotten(lab, _):
    try:
        durable.forget_all(lab.agent)
    except AssertionError as error:
        raise Wrong(LEAKS, "a session is left: %s" % error) from error


def come_back(lab, conn, got, expected):
    """Reads CONN, and comes back as often as it is closed, until EXIT: then GOT with what
    came must be EXPECTED, or a beginning of it where the agent says what went wrong."""
    for _ in range(4):
        result = answer_of(conn, PATIENCE)
        if result.exit is not None and result.text.startswith(("busy: ", "out of memory")):
            result = None           # not attached: this fault was met in the request
        if result is not None:
            begun = [event for event in result.statuses if event["event"] == "attached"]
            if begun and begun[0]["lost"]:
                raise Wrong(FALSE, "lost: %r" % begun)
            got += result.stdout
            if not expected.startswith(got):
                raise Wrong(FALSE, "%r is no beginning of what it should be" % got[-80:])
            if result.exit is not None:
                break
        conn = lab.open()
        conn.send(codec.ATTACH, {"name": "kept", "from": len(got)})
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            conn.send(codec.EOF)
    else:
        raise Wrong(SILENT, "no EXIT, whatever one does")
    if result.code == 0 and got != expected:
        raise Wrong(FALSE, "EXIT 0 with %d bytes of %d" % (len(got), len(expected)))
    if result.code != 0 and not result.stderr:
        raise Wrong(SILENT, "EXIT %d without a word" % result.code)


@scenario(end=forgotten)
def start_durable(lab, _):
    conn = lab.open()
    conn.send(codec.START, codec.start(["sh", "-c", "echo one; echo two"], name="kept", durable={}, report=True))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.EOF)
    come_back(lab, conn, b"", b"one\ntwo\n")


@scenario(prepare=kept, end=forgotten)
def attach(lab, _):
    conn = lab.open()
    conn.send(codec.ATTACH, {"name": "kept", "from": 0, "report": True})
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.EOF)
    come_back(lab, conn, b"", OLD)


@scenario(prepare=kept, end=forgotten)
def detach(lab, session):
    """It may be a bare close; the session runs on."""
    conn = lab.open()
    conn.send(codec.ATTACH, {"session": session, "tail": 10, "input": False})
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.DETACH)
    result = answer_of(conn, PATIENCE)
    if not OLD.endswith(result.stdout):
        raise Wrong(FALSE, "%r" % (result.frames,))
    if result.exit is not None and result.code != 125:
        raise Wrong(FALSE, "EXIT %d of one that runs" % result.code)


def kept_by(lab):
    """The same, and its worker."""
    return kept(lab), durable.owner_pid(lab.agent, "kept")


@scenario(prepare=kept_by, end=forgotten)
def owner_dies(lab, state):
    """What it had written is there, and then EXIT 125."""
    os.kill(state[1], signal.SIGKILL)
    conn = lab.open()
    conn.send(codec.ATTACH, {"session": state[0], "from": 0})
    come_back(lab, conn, b"", OLD)


def ended_and_kept(lab):
    with durable.start(lab.agent, ["true"], "kept") as reader:
        reader.finish()


@scenario(prepare=ended_and_kept, end=forgotten)
def forget(lab, _):
    conn = lab.open()
    conn.send(codec.FORGET, {"name": "kept"})
    control_told(conn, PATIENCE, (0, 1, 125))


def input_begin(_):
    return {"name": "input-%d" % next(NUMBERS), "got": b""}


def input_drop(lab, state):
    """Ends it, if it is there still, and forgets it."""
    for slot in lab.agent.status()["slots"]:
        if slot.get("name") == state["name"] and slot.get("running"):
            lab.agent.request(codec.KILL, {"session": slot["session"], "signal": 9})
    await_end_of(lambda: lab.agent.request(codec.FORGET, {"name": state["name"]}).code != 1,
                 Wrong(LEAKS, "it is not forgotten"))


def input_visit(conn, state, at):
    """What a host does: it sends what the session has not got from AT on, and reads to the
    end of the connection. Returns EXIT's code, or None: come back."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for frame in [codec.encode(codec.STDIN, NEW[at:]), codec.encode(codec.EOF)]:
            conn.send_raw(frame)
    result = answer_of(conn, PATIENCE)
    lost = [status for status in result.statuses if status["event"] == "lost"]
    if lost or not NEW[len(state["got"]):].startswith(result.stdout):
        raise Wrong(FALSE, "%r, %d bytes at %d" % (lost, len(result.stdout), len(state["got"])))
    state["got"] += result.stdout
    if result.exit is not None and result.code == 0 and state["got"] != NEW:
        raise Wrong(FALSE, "EXIT 0 with %d bytes of %d" % (len(state["got"]), len(NEW)))
    if result.exit is not None and result.code != 0 and not result.stderr:
        raise Wrong(SILENT, "EXIT %d without a word" % result.code)
    return result.code


@scenario(prepare=input_begin, end=input_drop)
def durable_input(lab, state):
    """A session that is left at once and come back to until its end has come; one fault
    costs one way back at most."""
    conn = lab.open()
    conn.send(codec.START, codec.start(["cat"], name=state["name"], durable={"buffer_bytes": 1 << 20}))
    frame = conn.recv(PATIENCE)
    if frame is None or frame.type != codec.STATUS:
        told(conn, PATIENCE)
        return
    conn.send(codec.STDIN, NEW[:5000])
    conn.send(codec.DETACH)
    result = answer_of(conn, PATIENCE)
    if result.exit is not None:
        if result.code == 0 or not result.stderr:
            raise Wrong(FALSE, "an end: %r" % (result.frames,))
        return
    state["got"] += result.stdout
    for _ in range(4):
        conn = lab.open()
        conn.send(codec.ATTACH, {"name": state["name"], "from": len(state["got"]), "report": True})
        try:
            frame = conn.recv(PATIENCE)
        except TimeoutError as error:
            raise Wrong(HANGS, str(error)) from None
        if frame is None or frame.type == codec.STATUS and frame.json()["event"] == "detached":
            continue
        if frame.type != codec.STATUS:          # no memory for it, or no worker
            conn.result(PATIENCE)
            continue
        if input_visit(conn, state, frame.json()["stdin_bytes"]) is not None:
            return
    raise Wrong(SILENT, "no end after four ways back")


# ---- control ------------------------------------------------------------------


@scenario()
def clock_sync(lab, _):
    conn = lab.open()
    conn.send(codec.CLOCK_SYNC, codec.clock_sync(int(time.time()), 0, b"entropy!" * 4))
    control_told(conn, PATIENCE)


@scenario()
def restored(lab, _):
    conn = lab.open()
    conn.send(codec.RESTORED, {"unix_ns": time.time_ns(), "entropy": codec.base64_text(b"x" * 32),
                               "generation": time.monotonic_ns(), "env": {"FAULT_GIVEN": "x" * 100}})
    result = control_told(conn, PATIENCE)
    if result.code == 0 and any(s["errors"] for s in result.statuses):
        raise Wrong(FALSE, repr(result))


@scenario()
def status(lab, _):
    conn = lab.open()
    conn.send(codec.STATUS_REQ)
    result = control_told(conn, PATIENCE)
    if result.code == 0 and result.statuses[0]["workers"]["configured"] != lab.WORKERS:
        raise Wrong(FALSE, repr(result))


def runs_on(lab, _):
    """Nothing stands still any more, whatever became of the host."""
    await_end_of(lambda: "quiesce" in lab.agent.status(), Wrong(HANGS, "the guest stands still"))


@scenario(end=runs_on)
def quiesce(lab, _):
    """Of this machine nothing is frozen. Where it is said to be quiesced it is thawed by its host."""
    conn = lab.open()
    conn.send(codec.QUIESCE, {"freeze": "none", "sync": False})
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.THAW)
    result = control_told(conn, PATIENCE, (0, 1, -1))
    events = [status["event"] for status in result.statuses]
    failed = [status["error"] for status in result.statuses if "error" in status]
    if result.code == 0 and (events != ["quiesced", "thawed"] or failed) or result.code == 1 and not failed:
        raise Wrong(FALSE, repr(result))


@scenario()
def thaw(lab, _):
    """Of a guest that runs."""
    conn = lab.open()
    conn.send(codec.THAW)
    control_told(conn, PATIENCE, (1, -1))


@scenario()
def wait_port(lab, _):
    conn = lab.open()
    conn.send(codec.WAIT_PORT, {"port": lab.echo_port, "timeout_ms": 300})
    control_told(conn, PATIENCE, (0, 1, -1))


@scenario()
def connect(lab, _):
    conn = lab.open()
    conn.send(codec.CONNECT, {"port": lab.echo_port})
    conn.send(codec.STDIN, NEW)
    conn.send(codec.EOF)
    result = answer_of(conn, PATIENCE)
    if result.exit is None:
        raise Wrong(SILENT, "no EXIT in %r" % (result.frames[-4:],))
    if result.code == 0 and result.stdout != NEW:
        raise Wrong(FALSE, "EXIT 0 with %d bytes of %d" % (len(result.stdout), len(NEW)))


# ---- files --------------------------------------------------------------------


def a_file(lab):
    path = os.path.join(lab.folder, "file")
    with open(path, "wb") as f:
        f.write(OLD)
    return path


def write(lab, path, before, **members):
    conn = lab.open(codec.FILE_PORT)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.FILE_WRITE_REQ, dict(members, path=path, mode=0o640))
        conn.send(codec.FILE_DATA, NEW[:1000])
        conn.send(codec.FILE_DATA, NEW[1000:])
        conn.send(codec.FILE_DONE)
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    there = content(path)
    if there not in (before, NEW):
        raise Wrong(HALF_FILES, "%d bytes" % len(there or b""))
    if frames is not None and (there != NEW or os.stat(path).st_mode & 0o7777 != 0o640):
        raise Wrong(FALSE, "ACK, and the file is not written")


@scenario()
def write_new(lab, _):
    write(lab, os.path.join(lab.folder, "a/b/new"), None, fsync=True)


@scenario(prepare=a_file)
def write_over(lab, path):
    write(lab, path, OLD)


@scenario(prepare=a_file)
def write_in_place(lab, path):
    """A file of two names is written where it is; a fault may leave half of it."""
    os.link(path, path + "-too")
    conn = lab.open(codec.FILE_PORT)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.FILE_WRITE_REQ, {"path": path, "mtime_secs": 1000, "uid": 5, "gid": 6})
        conn.send(codec.FILE_DATA, NEW)
        conn.send(codec.FILE_DONE)
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    there = os.stat(path)
    if frames is not None and (content(path + "-too"), there.st_mtime, there.st_uid) != (NEW, 1000, 5):
        raise Wrong(FALSE, "ACK, and it is %d bytes, %r" % (len(content(path)), there))


@scenario(prepare=a_file)
def write_hole(lab, path):
    conn = lab.open(codec.FILE_PORT)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        conn.send(codec.FILE_WRITE_REQ, {"path": path})
        conn.send(codec.FILE_DATA, NEW)
        conn.send(codec.FILE_STAT, {"hole": 1 << 20})
        conn.send(codec.FILE_DONE)
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    there = content(path)
    if there not in (OLD, NEW + bytes(1 << 20)):
        raise Wrong(HALF_FILES, "%d bytes" % len(there or b""))
    if frames is not None and there == OLD:
        raise Wrong(FALSE, "ACK, and the file is not written")


@scenario()
def write_as_user(lab, _):
    os.chmod(lab.folder, 0o777)
    write(lab, os.path.join(lab.folder, "theirs"), None, user="nobody")


@scenario(prepare=a_file)
def read(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_READ_REQ, {"path": path})
    frames = file_told(conn, PATIENCE, codec.FILE_DONE)
    if frames is not None and b"".join(f.payload for f in frames[:-1]) != OLD:
        raise Wrong(FALSE, "DONE after %r" % (frames[-4:],))


def a_tree(lab):
    for name in ("a", "b", "tree/c", "tree/d/e"):
        path = os.path.join(lab.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(b"x" * 10)
    os.symlink("nowhere", os.path.join(lab.folder, "link"))
    return lab.folder


@scenario(prepare=a_tree)
def list_directory(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_LIST_REQ, {"path": path})
    frames = file_told(conn, PATIENCE, codec.FILE_LIST)
    if frames is not None and [e["name"] for e in frames[-1].json()] != ["a", "b", "link", "tree"]:
        raise Wrong(FALSE, "listed as %r" % (frames[-1],))


@scenario(prepare=a_tree)
def stat(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_STAT_REQ, {"path": path + "/link"})
    frames = file_told(conn, PATIENCE, codec.FILE_STAT)
    if frames is not None and frames[-1].json()["symlink_target"] != "nowhere":
        raise Wrong(FALSE, "is %r" % (frames[-1],))


@scenario()
def mkdir(lab, _):
    path = os.path.join(lab.folder, "made/too")
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_MKDIR_REQ, {"path": path, "mode": 0o2750})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    if frames is not None and os.stat(path).st_mode & 0o7777 != 0o2750:
        raise Wrong(FALSE, "ACK, and the directory is not as asked")


@scenario(prepare=a_tree)
def symlink(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_SYMLINK_REQ, {"path": path + "/link", "target": "elsewhere"})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    target = os.readlink(path + "/link")
    if target not in ("nowhere", "elsewhere"):
        raise Wrong(HALF_FILES, "a link to %r" % target)
    if frames is not None and target != "elsewhere":
        raise Wrong(FALSE, "ACK, and the link is as it was")


@scenario(prepare=a_tree)
def set_attributes(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_SET_REQ, {"path": path + "/a", "mode": 0o4711, "mtime_secs": 1000, "uid": 5, "gid": 6})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    there = os.stat(path + "/a")
    if frames is not None and (there.st_mode & 0o7777, there.st_mtime, there.st_uid, there.st_gid) != (
            0o4711, 1000, 5, 6):
        raise Wrong(FALSE, "ACK, and it is %r" % (there,))


@scenario(prepare=a_tree)
def walk(lab, path):
    """All of a tree: what could not be told of is told as an error."""
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_TREE_REQ, {"path": path})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    if frames is None:
        return
    told = [frame.json() for frame in frames if frame.type == codec.FILE_STAT]
    failed = {entry["path"] for entry in told if "error" in entry}
    paths = {entry.get("path") for entry in told}
    for missing in walk_below(path) - paths:
        if not any(missing.startswith(one + "/" if one else "") for one in failed):
            raise Wrong(FALSE, "nothing is told of %r, and no error" % missing)


def walk_below(path):
    return {""} | {os.path.relpath(os.path.join(where, name), path)
                   for where, directories, files in os.walk(path) for name in directories + files}


@scenario(prepare=a_tree)
def as_user(lab, path):
    """A listing with the rights of somebody else; these are given back."""
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_LIST_REQ, {"path": path, "user": "nobody"})
    frames = file_told(conn, PATIENCE, codec.FILE_LIST)
    if frames is not None and len(frames[-1].json()) != 4:
        raise Wrong(FALSE, "listed as %r" % (frames[-1],))


@scenario(prepare=a_tree)
def remove(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_REMOVE_REQ, {"path": path + "/tree", "recursive": True})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    if frames is not None and os.path.exists(path + "/tree"):
        raise Wrong(FALSE, "ACK, and the tree is there")


@scenario(prepare=a_tree)
def move(lab, path):
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_MOVE_REQ, {"from": path + "/a", "to": path + "/tree/a"})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    moved = os.path.exists(path + "/tree/a")
    if moved == os.path.exists(path + "/a"):
        raise Wrong(HALF_FILES, "there twice, or not at all")
    if frames is not None and not moved:
        raise Wrong(FALSE, "ACK, and it is where it was")


@scenario(prepare=a_tree)
def link(lab, path):
    with open(path + "/a", "wb") as f:
        f.write(NEW)
    conn = lab.open(codec.FILE_PORT)
    conn.send(codec.FILE_LINK_REQ, {"from": path + "/a", "to": path + "/tree/c"})
    frames = file_told(conn, PATIENCE, codec.FILE_ACK)
    there = content(path + "/tree/c")
    if content(path + "/a") != NEW or there not in (b"x" * 10, NEW):
        raise Wrong(HALF_FILES, "%d bytes" % len(there or b""))
    if frames is not None and not os.path.samefile(path + "/a", path + "/tree/c"):
        raise Wrong(FALSE, "ACK, and it is not linked")


def is_told(frame):
    """The event waited for; or that a directory in which it would happen is not watched."""
    if frame.type != codec.FILE_EVENT:
        return False
    event = frame.json()
    return event["path"].endswith("new/file") or (
        event["kind"] == "modified" and event["path"].endswith(("/tree", "/tree/new")))


@scenario(prepare=a_tree)
def watch(lab, path):
    """What happens to the marker happens last, and is told last."""
    conn = lab.open(codec.FILE_PORT)
    try:
        conn.send(codec.FILE_WATCH_REQ, {"path": path, "recursive": True})
        frame = conn.recv(PATIENCE)
        if frame is not None and frame.type == codec.FILE_ACK:
            os.mkdir(path + "/tree/new")
            for name in ("/tree/new/file", "/marker"):
                with open(path + name, "wb"):
                    pass
            while frame is not None and frame.type != codec.FILE_ERR and not is_told(frame):
                if frame.type == codec.FILE_EVENT and frame.json()["path"].endswith("/marker"):
                    raise Wrong(SILENT, "an event is missing: %r" % (conn.frames[-8:],))
                frame = conn.recv(PATIENCE)
        if frame is None:
            raise Wrong(SILENT, "the last of %r" % (conn.frames[-4:],))
    except TimeoutError as error:
        raise Wrong(SILENT, "an event is missing: %s" % error) from None
    finally:
        conn.close()


# ---- the pool -----------------------------------------------------------------


def workers_of(lab):
    return set(lab.agent.worker_pids())


@scenario(prepare=workers_of)
def replaced(lab, before):
    """HUP. One that could not be told stays; what counts is that all are served."""
    os.kill(lab.agent.pid, signal.SIGHUP)
    os.kill(lab.agent.pid, signal.SIGUSR1)
    deadline = time.monotonic() + 0.5
    while before & workers_of(lab) and time.monotonic() < deadline:
        time.sleep(0.01)


@scenario(prepare=sleeper, is_last=True)
def ended(lab, state):
    """TERM: the sessions are ended, and then the agent."""
    os.kill(lab.agent.pid, signal.SIGTERM)
    if answer_of(state[0], PATIENCE).exit is None:
        raise Wrong(SILENT, "no EXIT at the end")
    await_end_of(lab.agent.is_alive, Wrong(HANGS, "no end after SIGTERM"))


@scenario(is_last=True)
def asked_to_end(lab, _):
    """SHUTDOWN."""
    conn = lab.open()
    conn.send(codec.SHUTDOWN, {"action": "poweroff", "grace_seconds": 1})
    result = control_told(conn, PATIENCE)
    await_end_of(lambda: result.code == 0 and lab.agent.is_alive(), Wrong(HANGS, "no end after SHUTDOWN"))
