# SPDX-License-Identifier: MIT
"""Rest: while the guest is quiesced every kind of session stands still, and goes on after it
with every byte; and its time stands still with it. Nothing of this machine is frozen."""

import contextlib
import json
import os
import select
import signal
import socket
import threading
import time
import tty

import pytest

import codec
import durable
from agent import FILL_PIPE, is_running, stat_of, together, wait_until
from faults import Fault, litter
from quiescing import Quiesce, see_rest
from traces import Trace

AGENT_OPTIONS = ("--workers=12", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20

# Output that comes for some seconds.
TALKS = ["sh", "-c", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); seq 1 5000; sleep 0.01; done"]
TALK = 300 * b"".join(b"%d\n" % i for i in range(1, 5001))


def slot_of(agent, kind):
    """The one slot of this kind, once there is one alone."""
    def slots():
        return [slot for slot in agent.status()["slots"] if slot["kind"] == kind]
    return wait_until(lambda: len(slots()) == 1 and slots(), message="one session of kind %s" % kind)[0]


def worker_of(agent, kind):
    """The worker that serves it."""
    pid = slot_of(agent, kind)["pid"]
    workers = agent.worker_pids()
    while pid not in workers:
        pid = stat_of(pid)[1]
    return pid


@contextlib.contextmanager
def stand_still(agent, *conns, kind=None, **members):
    """Has the agent quiesced for a while, in which nothing comes on CONNS, nor is counted, and
    the worker of KIND sleeps."""
    with Quiesce(agent, *conns, **members) as quiesce:
        before = {s["session"]: (s["bytes_in"], s["bytes_out"]) for s in agent.status()["slots"]
                  if s["kind"] not in ("status", "quiesce")}
        if kind is not None:
            see_rest([worker_of(agent, kind)])
        yield quiesce
        quiesce.silent()
        after = {s["session"]: (s["bytes_in"], s["bytes_out"]) for s in agent.status()["slots"]}
        assert {number: after.get(number) for number in before} == before


# ---- each kind of session --------------------------------------------------------------


def test_a_program_whose_output_is_in_mid_stream(agent):
    with agent.start(TALKS) as conn:
        conn.expect(codec.STDOUT)
        with stand_still(agent, conn, kind="exec"):
            pass
        result = conn.result()
    assert result.code == 0 and result.stdout == TALK


def test_a_terminal(agent):
    with agent.start(["cat"], tty=True) as conn:
        conn.send(codec.STDIN, b"before\r")
        conn.read_output(b"before\r\nbefore\r\n")
        with stand_still(agent, conn, kind="exec"):
            conn.send(codec.STDIN, b"meanwhile\r")
            conn.send(codec.RESIZE, codec.resize(91, 17))
        conn.read_output(b"meanwhile\r\nmeanwhile\r\n")
        conn.send(codec.STDIN, b"\x04")
        assert conn.result().code == 0


def test_input_that_comes_meanwhile_reaches_the_program_after_it(agent, tmp_path):
    out = tmp_path / "out"
    with agent.start(["sh", "-c", "exec 3> %s; echo up; exec cat >&3" % out]) as conn:
        conn.read_output(b"up\n")
        with stand_still(agent, conn, kind="exec"):
            conn.send(codec.STDIN, b"x" * 4096)
            conn.send(codec.EOF)
            time.sleep(0.3)
            assert out.read_bytes() == b""
        assert conn.result().code == 0
    assert out.read_bytes() == b"x" * 4096


def test_an_upload(agent, tmp_path):
    data = os.urandom(8 * MIB)
    frames = [codec.encode(codec.FILE_DATA, data[i:i + MIB]) for i in range(0, len(data), MIB)]
    with agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x"), "mode": 0o600}) as conn:
        for frame in frames[:3]:
            conn.send_reading(frame)
        conn.send_raw(frames[3][:1000])
        with stand_still(agent, conn, kind="write"):
            conn.send_raw(frames[3][1000:60000])
        conn.send_reading(frames[3][60000:])
        for frame in frames[4:]:
            conn.send_reading(frame)
        conn.send(codec.FILE_DONE)
        assert conn.expect(codec.FILE_ACK).payload == b""
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize("size", [64 * MIB, 64 * MIB + 5])
def test_a_read(agent, tmp_path, size):
    data = os.urandom(MIB) * (size // MIB) + b"x" * (size % MIB)
    (tmp_path / "x").write_bytes(data)
    with agent.file_connect(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")}) as conn:
        conn.expect(codec.FILE_DATA)
        with stand_still(agent, conn, kind="read"):
            pass
        frames = conn.result().frames
    assert frames[-1].type == codec.FILE_DONE
    assert b"".join(frame.payload for frame in frames[:-1]) == data


def test_a_read_of_a_file_without_a_size(agent):
    """By copies: /proc says nothing of its sizes."""
    with agent.file_connect(codec.FILE_READ_REQ, {"path": "/proc/kallsyms"}) as conn:
        conn.expect(codec.FILE_DATA)
        with stand_still(agent, conn):
            pass
        assert conn.result().frames[-1].type == codec.FILE_DONE


# One call of the worker takes longer than any test: there it is when it is told to rest.
HELD = "delay_enter=60000000"
COUNT = 100


def entries(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for i in range(COUNT):
        (tree / ("%03d" % i)).mkdir()
    return tree


def in_the_middle(agent, kind, request, call, which=3):
    """Sends REQUEST of the file port; and has the agent quiesced while it is in its WHICHth CALL.
    Returns the connection, of which nothing has been read, and how many CALLs were made after
    the thaw."""
    with Trace(agent.worker_pids(), call, "%s:when=%d" % (HELD, which)) as trace:
        conn = agent.file_connect(kind, request)
        wait_until(lambda: max(map(len, trace.calls().values())) >= which, message="the middle")
        quiesce = Quiesce(agent, conn)
        quiesce.begin()
    assert "error" not in quiesce.ask()
    assert not conn.frames, conn.frames
    worker = worker_of(agent, NAMES[kind])
    with quiesce.conn:
        see_rest([worker])
        quiesce.silent()
        with Trace(worker, call) as trace:
            quiesce.thaw()
            wait_until(lambda: conn.wait_readable(0), message="the answer")
    return conn, len(trace.calls()[worker])


NAMES = {codec.FILE_LIST_REQ: "list", codec.FILE_REMOVE_REQ: "remove", codec.FILE_MOVE_REQ: "move",
         codec.FILE_WATCH_REQ: "watch", codec.FILE_STAT_REQ: "stat", codec.FILE_MKDIR_REQ: "mkdir",
         codec.FILE_SYMLINK_REQ: "symlink", codec.FILE_SET_REQ: "set", codec.FILE_TREE_REQ: "tree",
         codec.FILE_LINK_REQ: "link"}


@pytest.mark.parametrize("kind, call, more", [
    (codec.FILE_STAT_REQ, "newfstatat", {}), (codec.FILE_MKDIR_REQ, "mkdirat", {}),
    (codec.FILE_SYMLINK_REQ, "symlinkat", {"target": "x"}), (codec.FILE_SET_REQ, "fchmodat", {"mode": 0o600})])
def test_a_request_of_one_step_has_its_answer_after_it(agent, tmp_path, kind, call, more):
    path = tmp_path / "x"
    if kind in (codec.FILE_STAT_REQ, codec.FILE_SET_REQ):
        path.touch()
    conn, _ = in_the_middle(agent, kind, {"path": str(path), **more}, call, which=1)
    assert conn.recv().type == (codec.FILE_STAT if kind == codec.FILE_STAT_REQ else codec.FILE_ACK)
    conn.close()


def test_a_long_list(agent, tmp_path):
    tree = entries(tmp_path)
    conn, calls = in_the_middle(agent, codec.FILE_LIST_REQ, {"path": str(tree)}, "newfstatat")
    assert 0 < calls < COUNT
    names = [entry["name"] for entry in conn.expect(codec.FILE_LIST).json()]
    conn.close()
    assert names == ["%03d" % i for i in range(COUNT)]


def test_a_list_of_a_long_directory(agent, tmp_path):
    """Its names come in several pieces."""
    for i in range(5000):
        (tmp_path / ("%04d" % i)).touch()
    conn, calls = in_the_middle(agent, codec.FILE_LIST_REQ, {"path": str(tmp_path)}, "getdents64", which=2)
    assert calls > 0 and len(conn.expect(codec.FILE_LIST).json()) == 5000
    conn.close()


def test_a_long_tree(agent, tmp_path):
    tree = entries(tmp_path)
    conn, calls = in_the_middle(agent, codec.FILE_TREE_REQ, {"path": str(tree)}, "getdents64")
    assert 1 < calls < 2 * COUNT + 2
    frames = conn.result().frames
    assert [frame.type for frame in frames] == [codec.FILE_STAT] * (COUNT + 1) + [codec.FILE_ACK]


def test_a_tree_with_a_large_file(agent, tmp_path):
    data = os.urandom(MIB) * 64
    (tmp_path / "x").write_bytes(data)
    with agent.file_connect(codec.FILE_TREE_REQ, {"path": str(tmp_path)}) as conn:
        conn.expect(codec.FILE_STAT)
        conn.expect(codec.FILE_STAT)
        with stand_still(agent, conn, kind="tree"):
            pass
        frames = conn.result().frames
    assert [frame.type for frame in frames[-2:]] == [codec.FILE_DONE, codec.FILE_ACK]
    assert b"".join(frame.payload for frame in frames[2:-2]) == data


def test_a_long_remove(agent, tmp_path):
    tree = entries(tmp_path)

    conn, calls = in_the_middle(agent, codec.FILE_REMOVE_REQ, {"path": str(tree), "recursive": True}, "unlinkat")
    assert 1 < calls < COUNT
    conn.expect(codec.FILE_ACK)
    conn.close()
    assert not tree.exists()


def test_the_first_scan_of_a_watch(agent, tmp_path):
    tree = entries(tmp_path)
    conn, calls = in_the_middle(agent, codec.FILE_WATCH_REQ, {"path": str(tree), "recursive": True}, "inotify_add_watch")
    assert 0 < calls < 2 * COUNT
    conn.expect(codec.FILE_ACK)
    (tree / "099" / "x").touch()
    assert conn.expect(codec.FILE_EVENT).json()["path"] == str(tree / "099" / "x")
    conn.close()


def test_a_copy_over_what_can_not_be_replaced(agent, tmp_path):
    """MOVE from another file system: by pieces."""
    size = 50 * MIB
    source = "/dev/shm/vga-rest-%d" % os.getpid()
    with open(source, "wb") as f:
        f.truncate(size)
        f.seek(0)
        for _ in range(size // MIB):
            f.write(b"y" * MIB)
    try:
        if os.stat(source).st_dev == os.stat(tmp_path).st_dev:
            pytest.fail("/dev/shm is no file system of its own")
        conn, calls = in_the_middle(agent, codec.FILE_MOVE_REQ, {"from": source, "to": str(tmp_path / "x")},
                                    "sendfile")
        assert 0 < calls < size // MIB
        conn.expect(codec.FILE_ACK)
        conn.close()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(source)
    assert (tmp_path / "x").stat().st_size == size


def test_a_watch(agent, tmp_path):
    with agent.file_connect(codec.FILE_WATCH_REQ, {"path": str(tmp_path), "recursive": True}) as conn:
        conn.expect(codec.FILE_ACK)
        with stand_still(agent, conn, kind="watch"):
            for i in range(100):
                (tmp_path / ("%03d" % i)).mkdir()
        for i in range(100):
            event = conn.expect(codec.FILE_EVENT).json()
            assert (event["kind"], event["path"]) == ("created", str(tmp_path / ("%03d" % i)))


def test_an_upload_to_a_device_that_takes_nothing(agent):
    data = b"x" * 100000
    master, slave = os.openpty()
    tty.setraw(slave)
    with agent.file_connect(codec.FILE_WRITE_REQ, {"path": os.ttyname(slave)}) as conn:
        conn.send(codec.FILE_DATA, data)
        conn.send(codec.FILE_DONE)
        slot_of(agent, "write")
        time.sleep(0.3)
        got = b""
        with stand_still(agent, conn, kind="write"):
            while select.select([master], [], [], 0.3)[0]:
                got += os.read(master, 65536)
            assert len(got) < len(data)
        while len(got) < len(data):
            got += os.read(master, 65536)
        assert conn.expect(codec.FILE_ACK).payload == b"" and got == data
    os.close(master)
    os.close(slave)


@contextlib.contextmanager
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()[1]


def test_a_connect_in_both_directions(agent):
    data = os.urandom(8 * MIB)
    with listener() as (server, port), agent.connect() as conn:
        conn.send(codec.CONNECT, json.dumps({"port": port}).encode())
        guest, _ = server.accept()
        conn.expect(codec.STATUS)
        feeder = threading.Thread(target=guest.sendall, args=(data,))
        feeder.start()
        conn.expect(codec.STDOUT)
        with stand_still(agent, conn, kind="connect"):
            conn.send(codec.STDIN, b"to the guest")
            assert not select.select([guest], [], [], 0.3)[0]
        got = b"".join(frame.payload for frame in conn.frames if frame.type == codec.STDOUT)
        while len(got) < len(data):
            frame = conn.expect(codec.STDOUT)
            got = b"".join(frame.payload for frame in conn.frames if frame.type == codec.STDOUT)
        feeder.join()
        assert got == data
        guest.settimeout(20)
        assert guest.recv(100) == b"to the guest"
        guest.close()


def test_a_connect_that_is_under_way(agent):
    """Its server's queue is full."""
    with listener() as (server, port), agent.connect() as conn:
        server.listen(0)
        full = [socket.socket(), socket.socket()]
        for one in full:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        conn.send(codec.CONNECT, json.dumps({"port": port}).encode())
        with stand_still(agent, conn, kind="connect"):
            for one in full:
                one.close()
            threading.Thread(target=lambda: [server.accept() for _ in range(2)], daemon=True).start()
            time.sleep(2)
        conn.expect(codec.STATUS)


def test_a_wait_for_a_port(agent):
    with listener() as (server, port):
        server.close()
        conn = agent.connect()
        conn.send(codec.WAIT_PORT, json.dumps({"port": port, "timeout_ms": 3000}).encode())
        slot_of(agent, "wait-port")
        with stand_still(agent, conn, kind="wait-port"):
            time.sleep(2)
            late = socket.create_server(("127.0.0.1", port))
        # Its time stood still, or it would be up.
        assert conn.until_exit().code == 0
        conn.close()
        late.close()


def test_a_request_that_comes_meanwhile_is_served_after_it(agent, tmp_path):
    with Quiesce(agent) as quiesce:
        conns = [agent.start(["echo", "x"]), agent.file_connect(codec.FILE_STAT_REQ, {"path": str(tmp_path)})]
        wait_until(lambda: {"exec", "stat"} <= {s["kind"] for s in agent.status()["slots"]})
        quiesce.conns = conns
        quiesce.silent()
        see_rest([worker_of(agent, "stat")])
    assert conns[0].result().stdout == b"x\n"
    assert conns[1].result().frames[-1].type == codec.FILE_STAT


def test_who_leaves_while_his_request_waits_gives_his_place_back(agent, tmp_path):
    with Quiesce(agent):
        conns = [agent.start(["touch", str(tmp_path / "x")]),
                 agent.file_connect(codec.FILE_MKDIR_REQ, {"path": str(tmp_path / "y")})]
        wait_until(lambda: {"exec", "mkdir"} <= {s["kind"] for s in agent.status()["slots"]})
        for conn in conns:
            conn.close()
        wait_until(lambda: not {"exec", "mkdir"} & {s["kind"] for s in agent.status()["slots"]},
                   message="two places")
    assert agent.run(["true"]).code == 0
    assert os.listdir(tmp_path) == []


# ---- durable sessions --------------------------------------------------------------------


def test_the_owner_of_a_durable_session_and_its_readers(agent):
    owner = durable.start(agent, TALKS, "both", when_full="wait", buffer_bytes=MIB)
    other = durable.attach(agent, "both", at=0)
    owner.take()
    with stand_still(agent, owner.conn, other.conn, kind="exec"):
        see_rest([worker_of(agent, "attach")])
    ended = together([lambda r=r: follow(r) for r in (owner, other)])
    assert ended == [TALK, TALK]


def follow(reader):
    """Reads on, and acknowledges what it has."""
    while reader.take() is not None:
        if not reader.closed:
            with contextlib.suppress(OSError):
                reader.ack()
    assert reader.exit == (0, 0), reader
    return reader.out


def test_a_durable_session_that_nobody_is_attached_to(agent):
    durable.start(agent, ["sh", "-c", "echo up; sleep 2; seq 1 100; sleep 600"], "alone").detach()
    with stand_still(agent, kind="exec"):
        offset = slot_of(agent, "exec")["offset"]
        time.sleep(2)
        assert slot_of(agent, "exec")["offset"] == offset
    wait_until(lambda: slot_of(agent, "exec")["offset"] > offset, message="more output")


def test_whoever_attaches_meanwhile_is_told_so_and_gets_the_rest_after_it(agent):
    durable.start(agent, ["sh", "-c", "echo up; exec sleep 600"], "later").read_until(b"up\n").conn.close()
    with Quiesce(agent) as quiesce:
        reader = durable.attach(agent, "later", at=0)
        assert reader.attached["running"]
        quiesce.conns = (reader.conn,)
        quiesce.silent()
        see_rest([worker_of(agent, "attach")])
    reader.read_until(b"up\n")
    reader.conn.close()


def test_wake_ups_that_come_meanwhile_are_not_lost(agent):
    """Input that a reader passed on before its owner came to rest, many times over."""
    durable.start(agent, ["cat"], "echo").detach()
    reader = durable.attach(agent, "echo", at=0, input=True)
    for i in range(15):
        line = b"%d\n" % i
        reader.stdin(line)
        with Quiesce(agent, reader.conn):
            reader.stdin(b"+" + line)
        reader.read_until(line)
        reader.read_until(b"+" + line)
    reader.eof()
    assert reader.finish().exit == (0, 0)


def test_a_detached_program_is_left_alone(agent, tmp_path):
    result = agent.run(["sh", "-c", "sleep 1; echo x > %s; sleep 600" % (tmp_path / "x")], detach=True, report=True)
    pid = result.event("started")["pid"]
    with Quiesce(agent):
        wait_until((tmp_path / "x").exists, message="what it writes")
    assert is_running(pid)
    number = [s for s in agent.status()["slots"] if s["kind"] == "detached"][0]["session"]
    assert agent.request(codec.KILL, json.dumps({"session": number, "signal": 9}).encode()).code == 0
    wait_until(lambda: not is_running(pid), message="its end")


# ---- time ----------------------------------------------------------------------------------


def test_the_timeout_of_a_program_stands_still(agent):
    with agent.start(["sh", "-c", "echo up; exec sleep 600"], timeout_seconds=4, report=True) as conn:
        pid = json.loads(conn.expect(codec.STATUS).payload)["pid"]
        conn.read_output(b"up\n")
        with stand_still(agent, conn):
            time.sleep(5)
            assert is_running(pid)
        # It has some of its time left: a session of a moment comes first.
        assert agent.run(["true"]).code == 0
        assert is_running(pid)
        end = conn.result().event("exited")
    assert end["reason"] == "timeout" and 8500 <= end["wall_ms"], end


def test_the_grace_of_a_timeout_stands_still(agent):
    script = "trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done"
    with agent.start(["sh", "-c", script], timeout_seconds=3, kill_grace_seconds=4, report=True) as conn:
        pid = json.loads(conn.expect(codec.STATUS).payload)["pid"]
        conn.read_output(b"asked")
        with stand_still(agent, conn):
            time.sleep(5)
            assert is_running(pid)
        end = conn.result().event("exited")
    # The time, the grace, and what it stood still for.
    assert end["reason"] == "timeout" and end["wall_ms"] >= 11900, end


def test_who_hangs_up_meanwhile_has_ended_his_program_after_it(agent):
    conn = agent.start(["sh", "-c", "trap '' HUP; echo up; sleep 600"], report=True)
    pid = json.loads(conn.expect(codec.STATUS).payload)["pid"]
    conn.read_output(b"up\n")
    with Quiesce(agent):
        conn.close()
        time.sleep(4)
        assert is_running(pid)
    wait_until(lambda: not is_running(pid), message="the end of the program")


def test_an_upload_that_stalls_only_while_it_must(start_agent, tmp_path):
    agent = start_agent("--workers=4", "--stall-timeout=3")
    with agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x"), "mode": 0o600}) as conn:
        conn.send(codec.FILE_DATA, b"before ")
        with stand_still(agent, conn, kind="write"):
            time.sleep(3)
        conn.send(codec.FILE_DATA, b"after")
        conn.send(codec.FILE_DONE)
        assert conn.expect(codec.FILE_ACK).payload == b""
    assert (tmp_path / "x").read_bytes() == b"before after"


def test_an_upload_that_stalls_after_it_has_the_rest_of_its_time(start_agent, tmp_path):
    agent = start_agent("--workers=4", "--stall-timeout=3")
    begun = time.monotonic()
    with agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x"), "mode": 0o600}) as conn:
        conn.send(codec.FILE_DATA, b"before")
        with Quiesce(agent, conn):
            time.sleep(3)
        assert conn.expect(codec.FILE_ERR).payload.startswith(b"ETIMEDOUT: ")
    assert time.monotonic() - begun >= 5.9


def test_the_time_for_a_first_frame_stands_still(start_agent):
    agent = start_agent("--workers=4", "--first-frame-timeout=4")
    conn = agent.connect()
    with Quiesce(agent):
        # It ends right before a look.
        time.sleep(6.9)
        assert not conn.wait_readable(0)
    conn.send(codec.START, codec.start(["echo", "x"]))
    conn.send(codec.EOF)
    assert conn.result().stdout == b"x\n"


# ---- what does not come to rest, and what ends a rest --------------------------------------


def test_who_can_not_come_to_rest_is_named(agent):
    """Its host takes nothing of the frame that is under way: the socket holds a part of it."""
    with agent.start(["python3", "-c", FILL_PIPE]) as conn:
        number = slot_of(agent, "exec")["session"]
        wait_until(lambda: conn.wait_readable(0))
        time.sleep(0.3)
        quiesce = Quiesce(agent, within_ms=1000)
        status = quiesce.ask()
        words = "ETIMEDOUT: session %d (exec) does not rest" % number
        assert words in status["error"], status
        assert [(step["name"], step["error"]) for step in status["steps"]] == [("rest", words)]
        assert quiesce.conn.result().code == 1
        assert conn.result().stdout == bytes(MIB)


def test_a_host_that_takes_nothing_is_no_reason_where_no_frame_is_under_way(agent):
    """Small frames are taken whole or not at all."""
    with agent.file_connect(codec.FILE_READ_REQ, {"path": "/proc/kallsyms"}) as conn:
        wait_until(lambda: conn.wait_readable(0))
        time.sleep(0.3)
        quiesce = Quiesce(agent)
        assert "error" not in quiesce.ask()
        see_rest([worker_of(agent, "read")])
        quiesce.thaw()
        assert conn.result().frames[-1].type == codec.FILE_DONE


def test_a_killed_program_ends_at_rest_and_is_told_after_it(agent):
    with agent.start(["sh", "-c", "echo up; exec sleep 600"], report=True) as conn:
        pid = json.loads(conn.expect(codec.STATUS).payload)["pid"]
        conn.read_output(b"up\n")
        number = slot_of(agent, "exec")["session"]
        with stand_still(agent, conn):
            kill = json.dumps({"session": number, "signal": 9}).encode()
            assert agent.request(codec.KILL, kill).code == 0
            wait_until(lambda: not is_running(pid), message="the end of the program")
        result = conn.result()
        assert (result.code, result.signal) == (137, 9)


@pytest.mark.kills_workers
def test_a_worker_that_is_killed_at_rest_takes_nobody_along(agent):
    one, two = (agent.start(["sh", "-c", "echo up; exec cat"]) for _ in range(2))
    for conn in (one, two):
        conn.read_output(b"up\n")
    with Quiesce(agent, one, two):
        victim = [s for s in agent.status()["slots"] if s["kind"] == "exec"][0]
        os.kill(stat_of(victim["pid"])[1], signal.SIGKILL)
        wait_until(lambda: len([s for s in agent.status()["slots"] if s["kind"] == "exec"]) == 1,
                   message="the death")
    wait_until(lambda: any(conn.closed or conn.wait_readable(0) for conn in (one, two)), message="it is told")
    lost = [conn for conn in (one, two) if conn.closed or conn.wait_readable(1)]
    assert len(lost) == 1 and lost[0].result().code == 125
    other = two if lost[0] is one else one
    other.send(codec.STDIN, b"there")
    other.read_output(b"there")
    other.send(codec.EOF)
    assert other.result().code == 0


def test_a_host_that_does_not_close_after_the_end_is_not_waited_for(agent):
    """It has been slow, and so would have ten seconds to do so."""
    with agent.start(["python3", "-c", FILL_PIPE]) as conn:
        wait_until(lambda: conn.wait_readable(0))
        time.sleep(0.3)
        assert conn.until_exit().stdout == bytes(MIB)
        quiesce = Quiesce(agent, within_ms=5000)
        assert "error" not in quiesce.ask()
        assert conn.recv() is None
        quiesce.thaw()


@pytest.mark.kills_workers
def test_a_worker_that_is_killed_before_it_rests_is_not_waited_for(agent):
    with agent.start(["python3", "-c", FILL_PIPE]) as conn:
        victim = worker_of(agent, "exec")
        wait_until(lambda: conn.wait_readable(0))
        time.sleep(0.3)
        quiesce = Quiesce(agent)
        killer = threading.Timer(1, os.kill, (victim, signal.SIGKILL))
        killer.start()
        assert "error" not in quiesce.ask()
        killer.join()
        quiesce.thaw()


@pytest.mark.kills_workers
def test_what_a_killed_worker_left_in_a_directory_is_unlinked_after_it(start_agent, tmp_path):
    """Its file system may be frozen."""
    agent = start_agent("--workers=4")
    with Fault(agent.worker_pids(), "openat", "error=EOPNOTSUPP", when=3):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
        conn.send(codec.FILE_DATA, b"new")
        wait_until(lambda: litter(tmp_path), message="the named file")
    workers = set(agent.worker_pids())
    victim = worker_of(agent, "write")
    with Quiesce(agent, conn):
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: set(agent.worker_pids()) - workers, message="another worker")
        time.sleep(0.5)
        assert litter(tmp_path)
    wait_until(lambda: not litter(tmp_path), message="what the next worker does")
    assert conn.expect(codec.FILE_ERR).payload == b"EIO: worker lost"
    conn.close()


@pytest.mark.ends_agent
def test_sigterm_ends_an_agent_that_rests(start_agent):
    agent = start_agent("--workers=4")
    conn = agent.start(["sh", "-c", "echo up; exec sleep 600"])
    conn.read_output(b"up\n")
    quiesce = Quiesce(agent, conn)
    assert "error" not in quiesce.ask()
    assert agent.terminate() == 0
    assert conn.result().code == 128 + signal.SIGTERM


def test_nothing_is_logged_meanwhile_and_then_how_much(start_agent):
    agent = start_agent("--workers=4", "--log=debug")
    with Quiesce(agent):
        wait_until(lambda: agent.status()["slots"], message="its slot")
        before = agent.log()
        for _ in range(5):
            assert agent.request(codec.KILL, b"{}").code == -1
        assert agent.log() == before
    agent.wait_log("lines before this were lost: the guest was quiesced")


# ---- races ------------------------------------------------------------------------------------


def test_a_program_that_is_about_to_be_born_is_born_after_it(agent, tmp_path):
    """Its worker says that it is starting one, and is slow to find the user."""
    with Fault(agent.worker_pids(), "openat", HELD, path="/etc") as fault:
        conn = agent.start(["touch", str(tmp_path / "x")], user="root")
        fault.wait_met()
        quiesce = Quiesce(agent, conn)
        quiesce.begin()
    assert "error" not in quiesce.ask()
    assert slot_of(agent, "exec")["pid"] in agent.worker_pids()
    assert not (tmp_path / "x").exists()
    quiesce.thaw()
    assert conn.result().code == 0 and (tmp_path / "x").exists()


def test_no_program_is_born_while_the_guest_stands_still(agent):
    """As many as can are being started all the time."""
    stop = threading.Event()

    def start():
        count = 0
        while not stop.is_set():
            assert agent.run(["true"]).code == 0
            count += 1
        return count

    def hold():
        try:
            for _ in range(20):
                with Quiesce(agent):
                    before = started(agent)
                    time.sleep(0.05)
                    assert started(agent) == before
                time.sleep(0.02)
        finally:
            stop.set()
        return 1

    assert min(together([start, start, start, hold])) > 0


def test_between_an_owner_and_its_readers_no_wake_up_is_lost(agent):
    """They sleep and wake each other all the time: the buffer is small, and waits for the one
    that holds the input."""
    data = os.urandom(8 * MIB)
    durable.start(agent, ["cat"], "busy", buffer_bytes=65536).detach()
    holder = durable.attach(agent, "busy", at=0, input=True)
    onlooker = durable.attach(agent, "busy", at=0, input=False)
    is_over = threading.Event()
    holds = []

    def write():
        holder.stdin(data[:MIB])
        wait_until(lambda: len(holds) > 1, message="two of them")
        holder.stdin(data[MIB:])
        holder.eof()

    def hold():
        while not is_over.is_set():
            with Quiesce(agent):
                holds.append(agent)
            time.sleep(0.01)

    def read():
        try:
            return holder.finish().out
        finally:
            is_over.set()

    got = together([write, hold, read, lambda: onlooker.finish().exit])
    assert got[2] == data and got[3] == (0, 0)


def started(agent):
    return agent.status()["sessions"]["started"]


def test_sessions_of_all_kinds_go_on_after_many_a_quiesce(agent, tmp_path):
    """Every byte comes, in whatever moment it stood still."""
    data = os.urandom(24 * MIB)
    (tmp_path / "x").write_bytes(data)
    stop = threading.Event()

    def again(once):
        def loop():
            count = 0
            while not stop.is_set():
                once()
                count += 1
            return count
        return loop

    def read():
        assert agent.read_file(str(tmp_path / "x")) == data

    def write():
        agent.write_file(str(tmp_path / "y"), data[:4 * MIB])
        assert (tmp_path / "y").read_bytes() == data[:4 * MIB]

    def run():
        assert agent.run(["cat"], stdin=data[:MIB]).stdout == data[:MIB]

    def hold():
        try:
            for _ in range(25):
                with Quiesce(agent):
                    time.sleep(0.02)
                time.sleep(0.05)
        finally:
            stop.set()
        return 1

    assert min(together([again(read), again(write), again(run), hold])) > 0
