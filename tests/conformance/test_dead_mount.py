# SPDX-License-Identifier: MIT
"""A file system that does not answer: a FUSE mount whose server never reads a
request. Who starts a program there blocks in the kernel, and so does the vfork's
parent; neither outlives the timeout, nor holds its place."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

import codec
from agent import TRACED, FileError, children, kill_hard, wait_until
from faults import Fault, inside, mounted
from traces import Trace, timed_out

pytestmark = pytest.mark.kills_workers

MIB = 1024 * 1024
FUSE_FILE = str(pathlib.Path(__file__).with_name("fuse_file.py"))

# Descriptor 9 is the server's end, which nobody reads. An orphan keeps it open as long as
# there is the agent, which this shell becomes.
DEAD = """mkdir $D/dead
exec 9<>/dev/fuse
mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none $D/dead
(while test -e /proc/$$; do sleep 0.2; done </dev/null >/dev/null 2>&1 &)"""


# The same over a file, in a mount namespace that is there already; the server lives
# until its standard input ends.
DEAD_FILE = """exec 9<>/dev/fuse
mount -i -t fuse -o fd=9,rootmode=100644,user_id=0,group_id=0 none %s
echo up
read end"""


def server_beside(agent, *command):
    """A server in the agent's mount namespace, once it has said "up"; it lives until its
    standard input ends."""
    server = subprocess.Popen(
        ["nsenter", "-m", "-t", str(agent.pid), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"up\n"
    return server


@pytest.fixture
def dead_file(start_agent, monkeypatch, tmp_path):
    """A function: an agent for one program at a time, for which a file is dead."""
    servers = []
    mounted(monkeypatch, tmp_path, ":")

    def start(path):
        agent = start_agent("--workers=3", "--reserved=2")
        servers.append(server_beside(agent, "sh", "-ec", DEAD_FILE % path))
        return agent

    yield start
    for server in servers:
        server.communicate(timeout=20)


@pytest.fixture
def fuse_file(start_agent, monkeypatch, tmp_path):
    """A function: an agent with a stall timeout of 1 s or STALL, and the path of a file
    of fuse_file.py."""
    servers = []
    path = tmp_path / "file"
    path.touch()
    mounted(monkeypatch, tmp_path, ":")

    def start(size, answered, seconds=0, stall=1, env=None):
        agent = start_agent("--workers=3", "--reserved=1", "--stall-timeout=%d" % stall, env=env)
        servers.append(server_beside(
            agent, sys.executable, FUSE_FILE, path, str(size), str(answered), str(seconds)))
        return agent, str(path), servers[0]

    yield start
    for server in servers:
        server.kill()
        server.wait()


@pytest.fixture
def dead(start_agent, monkeypatch, tmp_path):
    """(agent, path of the mount), where exactly one program may run."""
    mounted(monkeypatch, tmp_path, DEAD)
    return start_agent("--workers=3", "--reserved=2"), str(tmp_path / "dead")


def stuck(agent):
    """The children of workers."""
    return [child for worker in agent.worker_pids() for child in children(worker)]


def see_that_no_worker_was_lost(agent, workers, stalled):
    status = agent.status()
    assert (status["worker_deaths"]["total"], status["sessions"]["stalled"]) == (0, stalled)
    assert sorted(agent.worker_pids()) == sorted(workers)


@pytest.mark.parametrize("what", ["program", "working_dir"])
def test_a_start_that_is_stuck_ends_at_its_timeout_and_costs_no_worker(dead, what):
    agent, path = dead
    workers = agent.worker_pids()
    if what == "program":
        conn = agent.start([path + "/program"], timeout_seconds=2)
    else:
        conn = agent.start(["true"], working_dir=path, timeout_seconds=2)
    wait_until(lambda: stuck(agent), message="the child is stuck")
    result = conn.result()
    named = path + "/program" if what == "program" else path
    assert result.code == 126 and named in result.stderr.decode() and b"does not answer" in result.stderr
    assert result.elapsed > 1.5
    wait_until(lambda: agent.run(["echo", "x"]).stdout == b"x\n", message="the place is free")
    assert not stuck(agent)
    see_that_no_worker_was_lost(agent, workers, 1)


@pytest.mark.parametrize("path, members", [
    ("/etc/passwd", {"user": "nobody"}),
    ("/etc/group", {"user": "nobody"}),
    ("/dev/null", {"stdin": False}),
])
def test_a_start_that_is_stuck_before_there_is_a_child_ends_too(dead_file, path, members):
    agent = dead_file(path)
    result = agent.start(["true"], timeout_seconds=2, **members).result()
    assert result.code == 125 and b"worker lost" in result.stderr and b"starting" in result.stderr
    assert result.elapsed > 1.5
    wait_until(lambda: agent.run(["echo", "x"]).stdout == b"x\n", message="the place is free")


def test_a_start_that_is_stuck_ends_after_10_s_without_a_timeout(dead):
    agent, path = dead
    begun = time.monotonic()
    result = agent.start([path + "/program"]).result()
    assert result.code == 126 and b"does not answer" in result.stderr
    assert time.monotonic() - begun > 9
    assert agent.run(["echo", "x"]).stdout == b"x\n"


# A user's own program, which he holds a lease on: who opens or runs it waits until he gives
# it back, or fs.lease-break-time is over.
LEASE = """import fcntl, os, signal, sys
os.setuid(65534)
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("up", flush=True)
sys.stdin.read()"""


@pytest.fixture
def leased(public_dir):
    path = public_dir / "program"
    shutil.copy("/bin/true", path)
    os.chown(path, 65534, 65534)
    holder = subprocess.Popen([sys.executable, "-c", LEASE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"up\n"
    yield str(path)
    holder.communicate(timeout=20)


@pytest.mark.parametrize("user", ["", "nobody"], ids=["root", "nobody"])
def test_a_lease_on_a_program_costs_no_worker_and_is_told_in_words(start_agent, leased, user):
    agent = start_agent("--workers=3", "--reserved=2")
    workers = agent.worker_pids()
    for stalled in (1, 2):
        result = agent.start([leased], user=user, timeout_seconds=1).result()
        assert result.code == 126 and leased in result.stderr.decode() and b"lease" in result.stderr
        assert agent.run(["echo", "x"]).stdout == b"x\n"
        see_that_no_worker_was_lost(agent, workers, stalled)


def test_a_lease_on_a_file_keeps_nobody_who_reads_or_writes_it(start_agent, leased):
    agent = start_agent("--workers=3", "--reserved=2")
    frames = agent.file_request(codec.FILE_READ_REQ, {"path": leased})
    assert frames[-1].payload == b"EAGAIN: " + leased.encode()
    agent.write_file(leased, b"new")
    assert agent.read_file(leased) == b"new"
    assert agent.status()["sessions"]["stalled"] == 0


def test_a_host_that_leaves_a_stuck_start_leaves_nothing_behind(dead):
    agent, path = dead
    conn = agent.start([path + "/program"], timeout_seconds=2)
    wait_until(lambda: stuck(agent), message="the child is stuck")
    conn.close()
    wait_until(lambda: not stuck(agent), message="the child is gone")
    wait_until(lambda: agent.run(["echo", "x"]).stdout == b"x\n", message="the place is free")


@pytest.mark.parametrize("kind, body", [
    (codec.FILE_WRITE_REQ, {"path": "%s/x"}),
    (codec.FILE_READ_REQ, {"path": "%s/x"}),
    (codec.FILE_STAT_REQ, {"path": "%s/x"}),
    (codec.FILE_LIST_REQ, {"path": "%s/x"}),
    (codec.FILE_TREE_REQ, {"path": "%s/..", "one_file_system": False}),
    (codec.FILE_TREE_REQ, {"path": "%s/.."}),
    (codec.FILE_MKDIR_REQ, {"path": "%s/x", "mode": 0}),
    (codec.FILE_REMOVE_REQ, {"path": "%s/x", "recursive": True}),
    (codec.FILE_MOVE_REQ, {"from": "%s/x", "to": "/tmp/x"}),
    (codec.FILE_WATCH_REQ, {"path": "%s/x", "recursive": True}),
], ids=lambda x: x if isinstance(x, int) else None)
def test_file_requests_that_are_stuck_give_their_workers_back(start_agent, monkeypatch, tmp_path, kind, body):
    mounted(monkeypatch, tmp_path, DEAD)
    agent = start_agent("--workers=8", "--reserved=1", "--stall-timeout=1")  # of which two may watch
    request = (json.dumps(body) % (tmp_path / "dead")).encode()
    gone, waiting = agent.connect(53), agent.connect(53)
    for conn in gone, waiting:
        conn.send(kind, request)
    wait_until(lambda: len(agent.status()["slots"]) == 3, message="both are stuck")
    gone.close()
    assert waiting.recv().payload == b"EIO: worker lost"
    wait_until(lambda: len(agent.status()["slots"]) == 1, message="both places are free")
    assert agent.file_call(codec.FILE_STAT_REQ, {"path": "/"})


def see_that_all_is_well_but_one_process(agent, server):
    """A process that waits for an answer of its own can't be killed: only the end of the
    server ends it."""
    first, second = agent.start(["sleep", "60"]), agent.start(["sleep", "60"])
    wait_until(lambda: agent.status()["workers"]["exec"] == 2, message="both run")
    status = agent.status()
    assert (status["worker_deaths"]["total"], status["sessions"]["stalled"]) == (0, 1)
    first.close()
    second.close()
    assert len(agent.worker_pids()) == 4
    server.communicate(timeout=20)
    wait_until(lambda: len(agent.worker_pids()) == 3, message="it is gone")


def test_of_several_requests_on_a_connection_one_that_is_stuck_is_the_last(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, DEAD)
    agent = start_agent("--workers=2", "--stall-timeout=1")
    paths = [tmp_path, tmp_path / "dead/x", tmp_path]
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(b"".join(codec.encode(codec.FILE_STAT_REQ, {"path": str(p), "more": True}) for p in paths))
    frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_STAT, codec.FILE_ERR], frames
    assert frames[1].payload == b"EIO: worker lost"


def test_what_one_request_flushes_gives_the_next_one_no_time(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, DEAD)
    agent = start_agent("--workers=2", "--stall-timeout=1", env=TRACED)
    conn = agent.connect(codec.FILE_PORT)
    with Trace(agent.pid, "timerfd_settime") as trace:
        conn.send_raw(codec.encode(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x"), "fsync": True, "more": True}) +
                      codec.encode(codec.FILE_DONE) + codec.encode(codec.FILE_STAT_REQ, {"path": str(tmp_path / "dead/x")}))
        frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_ACK, codec.FILE_ERR], frames
    assert not [call for call in trace.calls().get(agent.pid, []) if "tv_sec=9," in call]


def test_a_file_that_stops_to_answer_in_the_middle_holds_no_place(fuse_file):
    agent, path, server = fuse_file(8 * MIB, MIB)
    begun = time.monotonic()
    frames = agent.file_request(codec.FILE_READ_REQ, {"path": path})
    assert time.monotonic() - begun > 2.5
    # Silence where it was in the middle of a frame.
    assert frames[-1].type == codec.FILE_DATA or frames[-1].payload == b"EIO: worker lost"
    assert sum(len(frame.payload) for frame in frames if frame.type == codec.FILE_DATA) <= MIB
    see_that_all_is_well_but_one_process(agent, server)


def test_a_file_that_stops_to_take_in_the_middle_holds_no_place(fuse_file):
    agent, path, server = fuse_file(0, MIB)
    with pytest.raises(FileError, match="EIO: worker lost"):
        agent.write_file(path, bytes(4 * MIB))
    see_that_all_is_well_but_one_process(agent, server)


def test_a_program_that_stops_to_answer_in_the_middle_holds_no_place(fuse_file):
    agent, path, _ = fuse_file(MIB, 0)
    result = agent.start([path], timeout_seconds=2).result()
    assert result.code == 125 and b"worker lost" in result.stderr and b"starting the program" in result.stderr
    wait_until(lambda: agent.run(["echo", "x"]).stdout == b"x\n", message="the place is free")


def test_more_than_half_of_the_workers_are_not_given_up(fuse_file):
    """A guest could fill itself with what waits for its own server."""
    agent, path, server = fuse_file(MIB, 0)
    conns = [agent.file_connect(codec.FILE_READ_REQ, {"path": path}) for _ in range(2)]
    assert [conn.recv().payload for conn in conns] == [b"EIO: worker lost"] * 2
    wait_until(lambda: len(agent.status()["slots"]) == 1, message="both places are free")
    third = agent.file_connect(codec.FILE_READ_REQ, {"path": path})
    assert not third.wait_readable(5)
    assert len(agent.status()["slots"]) == 2 and len(agent.worker_pids()) == 5
    server.communicate(timeout=20)
    wait_until(lambda: len(agent.worker_pids()) == 3, message="all are gone")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


@pytest.mark.ends_agent
def test_the_end_does_not_wait_for_who_was_given_up(fuse_file):
    agent, path, _ = fuse_file(MIB, 0, env=TRACED)
    assert agent.file_request(codec.FILE_READ_REQ, {"path": path})[-1].payload == b"EIO: worker lost"
    with Trace(agent.pid, "poll") as trace:
        assert agent.terminate() == 0
    waits = [call for call in trace.calls()[agent.pid] if not call.endswith(", 0) = 0 (Timeout)")]
    assert not any(map(timed_out, waits)), waits


def test_a_file_that_is_slow_but_moves_is_read_and_written_whole(fuse_file):
    agent, path, _ = fuse_file(10 * MIB, 16 * MIB, 0.05, stall=3)
    begun = time.monotonic()
    assert agent.read_file(path) == bytes(10 * MIB)
    assert time.monotonic() - begun > 3.5
    agent.write_file(path, bytes(10 * MIB))
    time.sleep(3.5)
    assert agent.status()["worker_deaths"]["total"] == 0


def test_what_is_flushed_may_take_ten_times_as_long(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--reserved=1", "--stall-timeout=1", env=TRACED)
    pids = agent.worker_pids()
    with Fault(pids, "fsync", "delay_enter=2500000"), Trace(agent.pid, "timerfd_settime") as trace:
        agent.write_file(str(tmp_path / "x"), b"1", fsync=True)
        # One second is over, and nine stand.
        assert [call for call in trace.calls()[agent.pid] if "tv_sec=9," in call]
    see_that_no_worker_was_lost(agent, pids, 0)
    assert (tmp_path / "x").read_bytes() == b"1"


def test_who_waits_for_the_host_or_for_events_is_not_given_up(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--reserved=1", "--stall-timeout=1")
    watch = agent.file_connect(codec.FILE_WATCH_REQ, {"path": str(tmp_path)})
    time.sleep(2.5)
    (tmp_path / "new").touch()
    watch.expect(codec.FILE_ACK)
    assert b"new" in watch.recv().payload
    watch.close()
    time.sleep(1.5)
    assert agent.status()["worker_deaths"]["total"] == 0


def test_a_file_request_on_a_dead_mount_holds_one_worker_that_can_be_killed(dead):
    agent, path = dead
    conn = agent.connect(53)
    conn.send(codec.FILE_STAT_REQ, b'{"path":"%s/x"}' % path.encode())
    slots = wait_until(lambda: [s for s in agent.status()["slots"] if s["kind"] == "stat"])
    assert agent.run(["echo", "x"]).stdout == b"x\n"
    kill_hard(slots[0]["pid"])
    assert conn.recv().payload == b"EIO: worker lost"


def test_litter_on_a_dead_mount_is_given_up(start_agent, monkeypatch, tmp_path):
    """The next worker of the slot looks for it before it serves anybody."""
    mounted(monkeypatch, tmp_path, "mkdir $D/there\nmount -t tmpfs none $D/there")
    agent = start_agent("--workers=2", "--reserved=1")
    path = str(tmp_path / "there" / "file")
    agent.write_file(path, b"old")
    with Fault(agent.worker_pids(), "/^renameat", "delay_enter=6000000"):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": path})
        conn.send(codec.FILE_DONE)
        # Its temporary name stands now; and then nobody answers for the directory.
        wait_until(lambda: len(os.listdir(inside(agent, os.path.dirname(path)))) == 2, message="a name")
        script = DEAD.partition("\n")[2].replace("$D/dead", os.path.dirname(path))
        server = server_beside(agent, "sh", "-ec", script + "\necho up\nread end")
        kill_hard(*[s["pid"] for s in agent.status()["slots"] if s["kind"] == "write"])
        wait_until(lambda: agent.status()["worker_deaths"]["total"] == 1, message="a death")
    conn.close()
    # Stalled is who was looking for it.
    wait_until(lambda: agent.status()["sessions"]["stalled"] == 1, 20, "it is given up")
    assert agent.status()["worker_deaths"]["total"] == 1
    wait_until(lambda: len(agent.worker_pids()) == 2, 20, "two workers")
    with agent.start(["sleep", "5"]):
        wait_until(lambda: agent.status()["workers"]["exec"] == 1, 20, "it runs")
    server.communicate(timeout=20)


def test_figures_of_a_guest_whose_root_does_not_answer_hold_a_worker_for_its_time_alone(start_agent):
    """Of what STATUS reads only statfs(2) of the root is not the kernel's own."""
    agent = start_agent("--workers=3")
    with Fault(agent.worker_pids(), "statfs", "delay_enter=600000000", "1+"):
        assert agent.request(codec.STATUS_REQ, b'{"guest":true}', timeout=60).code == -1
        status = agent.status()
    assert (status["worker_deaths"]["total"], status["sessions"]["stalled"]) == (0, 1)
    wait_until(lambda: len(agent.worker_pids()) == 3, message="it is replaced")
    assert agent.request(codec.STATUS_REQ, b'{"guest":true}').statuses[0]["guest"]["root"]
