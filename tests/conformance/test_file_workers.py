# SPDX-License-Identifier: MIT
"""Workers that serve files: killed at any point, stalled, told to stop; how much
memory they take."""

import os
import re
import signal
import time

import pytest

import codec
from agent import FileError, descriptors, is_sanitized, kill_hard, wait_until
from faults import Fault, litter

MIB = 1024 * 1024

ONE = ("--workers=1", "--reserved=0")


def status_line(pid, name):
    """A line of /proc/PID/status in KiB."""
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise AssertionError(name)


def settled(agent, old):
    """Waits until another worker than OLD has the one slot, and has started."""
    wait_until(lambda: agent.worker_pids() not in ([], [old]), message="a new worker")
    try:
        agent.status()
    except BrokenPipeError:     # it has one second for us, as it is the only one
        agent.status()


# What the host has sent when the worker is killed, and what it still sends.
WHOLE = [codec.encode(codec.FILE_DATA, bytes(100000)), codec.encode(codec.FILE_DATA, b"x" * 500000),
         codec.encode(codec.FILE_DONE)]

SENT = {
    "the_request": b"",
    "half_a_header": WHOLE[0][:3],
    "a_header": WHOLE[0][:5],
    "one_byte": WHOLE[0][:6],
    "half_a_frame": WHOLE[0][:50000],
    "a_frame": WHOLE[0],
    "a_frame_and_a_half": WHOLE[0] + WHOLE[1][:250000],
    "all_but_done": WHOLE[0] + WHOLE[1],
}


@pytest.mark.kills_workers
@pytest.mark.parametrize("point", SENT)
@pytest.mark.parametrize("there", [False, True])
def test_a_worker_killed_in_an_upload_leaves_the_old_file_and_no_litter(start_agent, tmp_path, point, there):
    agent = start_agent(*ONE)
    if there:
        (tmp_path / "x").write_bytes(b"old")
    pid = agent.worker_pids()[0]
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send_raw(SENT[point])
    wait_until(lambda: any("tmpfile" in d or "#" in d for d in descriptors(pid).values()), message="the file")
    kill_hard(pid)
    assert conn.expect(codec.FILE_ERR).payload == b"EIO: worker lost"
    conn.close()
    settled(agent, pid)
    assert os.listdir(tmp_path) == (["x"] if there else [])
    assert not there or (tmp_path / "x").read_bytes() == b"old"


@pytest.mark.kills_workers
@pytest.mark.parametrize("syscall", ["/^renameat", "linkat", "fchmod"])
def test_a_worker_killed_at_a_system_call_of_done_leaves_old_or_new_and_no_litter(start_agent, tmp_path, syscall):
    agent = start_agent(*ONE)
    (tmp_path / "x").write_bytes(b"old")
    pid = agent.worker_pids()[0]
    with Fault(pid, syscall, "signal=SIGKILL"):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
        conn.send(codec.FILE_DATA, b"new")
        conn.send(codec.FILE_DONE)
        conn.result()
    settled(agent, pid)
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() in (b"old", b"new")


def killed_before_rename(agent, path):
    """Leaves a temporary name next to PATH: the second linkat is done, and at the
    rename that must follow the worker is gone."""
    pid = agent.worker_pids()[0]
    with Fault(pid, "/^renameat", "error=EINTR:signal=SIGKILL"):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": path})
        conn.send(codec.FILE_DATA, b"new")
        conn.send(codec.FILE_DONE)
        conn.result()
    settled(agent, pid)


@pytest.mark.kills_workers
def test_what_a_worker_killed_before_the_rename_left_is_unlinked_by_the_next(start_agent, tmp_path):
    agent = start_agent(*ONE)
    (tmp_path / "x").write_bytes(b"old")
    killed_before_rename(agent, str(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() == b"old"
    agent.write_file(str(tmp_path / "x"), b"newer")
    assert (tmp_path / "x").read_bytes() == b"newer"


@pytest.mark.kills_workers
def test_a_named_file_that_a_killed_worker_left_is_unlinked_by_the_next(start_agent, tmp_path):
    agent = start_agent(*ONE)
    (tmp_path / "x").write_bytes(b"old")
    pid = agent.worker_pids()[0]
    with Fault(pid, "openat", "error=EOPNOTSUPP", when=3):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
        conn.send(codec.FILE_DATA, b"new")
        wait_until(lambda: litter(tmp_path), message="the named file")
    kill_hard(pid)
    settled(agent, pid)
    conn.close()
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.kills_workers
def test_what_is_not_the_worker_s_own_is_not_unlinked(start_agent, tmp_path):
    """A guest puts files of such names where the worker had its own."""
    agent = start_agent(*ONE)
    (tmp_path / "x").write_bytes(b"old")
    names = [".vmm-guest-0-1", ".vmm-guest-1-1", ".vmm-guest-0", ".vmm-guest-0-18446744073709551615"]
    for name in names:
        (tmp_path / name).write_bytes(b"the guest's")
    killed_before_rename(agent, str(tmp_path / "x"))
    assert sorted(os.listdir(tmp_path)) == sorted(names + ["x"])


@pytest.mark.kills_workers
def test_a_read_whose_worker_is_killed_gets_file_err_or_a_close(start_agent, tmp_path):
    agent = start_agent(*ONE)
    (tmp_path / "x").write_bytes(bytes(64 * MIB))
    pid = agent.worker_pids()[0]
    conn = agent.file_connect(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
    conn.expect(codec.FILE_DATA)
    kill_hard(pid)
    frames = conn.result().frames
    assert codec.FILE_DONE not in [f.type for f in frames]
    settled(agent, pid)
    assert len(agent.read_file(str(tmp_path / "x"))) == 64 * MIB


# ---- stalls and stops --------------------------------------------------------


def test_an_upload_that_does_not_move_is_given_up_after_the_stall_timeout(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    (tmp_path / "x").write_bytes(b"old")
    begun = time.monotonic()
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send(codec.FILE_DATA, b"new")
    frame = conn.expect(codec.FILE_ERR)
    assert frame.payload.startswith(b"ETIMEDOUT: ") and time.monotonic() - begun > 0.9
    conn.close()
    assert (tmp_path / "x").read_bytes() == b"old"


def test_an_upload_that_moves_a_little_is_not_given_up(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=2")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    for _ in range(7):
        conn.send(codec.FILE_DATA, b"slow ")
        time.sleep(0.4)
    conn.send(codec.FILE_DONE)
    conn.expect(codec.FILE_ACK)
    conn.close()
    assert (tmp_path / "x").read_bytes() == b"slow " * 7


def test_a_host_that_takes_nothing_of_a_file_is_given_up_after_the_stall_timeout(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    (tmp_path / "x").write_bytes(bytes(16 * MIB))
    conn = agent.file_connect(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
    wait_until(lambda: conn.wait_readable(0), message="the file comes")
    wait_until(lambda: agent.status()["workers"]["file"] == 0, message="the place back")
    conn.close()


def test_a_worker_that_is_told_to_stop_says_so_to_an_upload(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    (tmp_path / "x").write_bytes(b"old")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send(codec.FILE_DATA, b"new")
    wait_until(lambda: [s for s in agent.status()["slots"] if s["kind"] == "write"], message="the upload")
    slot = [s for s in agent.status()["slots"] if s["kind"] == "write"][0]
    assert slot["command"] == str(tmp_path / "x")
    os.kill(slot["pid"], signal.SIGTERM)
    assert conn.expect(codec.FILE_ERR).payload.startswith(b"ECANCELED: ")
    conn.close()
    wait_until(lambda: len(agent.worker_pids()) == 2 and slot["pid"] not in agent.worker_pids(),
               message="a new worker")
    assert (tmp_path / "x").read_bytes() == b"old"


# ---- memory ------------------------------------------------------------------


def test_a_worker_stays_under_2_mib_of_memory_after_256_mib_in_and_out(start_agent):
    agent = start_agent("--workers=2")
    data, shared = os.urandom(MIB) * 256, "/dev/shm/vga-rss-%d" % os.getpid()
    try:
        agent.write_file(shared, data)
        assert agent.read_file(shared) == data
    finally:
        os.unlink(shared)
    # A sanitizer has memory of its own, but a file must not be in it either.
    limit = 128 * 1024 if is_sanitized() else 2048
    for pid in agent.worker_pids():
        assert status_line(pid, "VmHWM") < limit, "a peak of %d KiB" % status_line(pid, "VmHWM")


def test_a_workers_buffers_can_not_become_huge_pages(start_agent):
    """Where the kernel gives them to all, a worker would hold 2 MiB for a byte."""
    agent = start_agent("--workers=2")
    for pid in [agent.pid, *agent.worker_pids()]:
        with open("/proc/%d/smaps" % pid) as f:
            maps = re.findall(r"^Size: +(\d+) kB$.*?^VmFlags: ([^\n]*)", f.read(), re.M | re.S)
        assert [size for size, flags in maps if int(size) > 1024 and "nh" in flags.split()], maps


def test_a_long_list_does_not_stay_in_a_worker_s_memory(start_agent, tmp_path):
    agent = start_agent(*ONE)
    pid = agent.worker_pids()[0]
    agent.file_call(codec.FILE_LIST_REQ, {"path": "/"})
    before = status_line(pid, "RssAnon")
    for i in range(10000):
        os.close(os.open(tmp_path / ("file-%d" % i), os.O_CREAT | os.O_WRONLY))
    agent.file_call(codec.FILE_LIST_REQ, {"path": str(tmp_path)})
    # What a sanitizer keeps of freed memory, to find its use, is up to 256 MiB.
    limit = 256 * 1024 if is_sanitized() else 512
    assert status_line(pid, "RssAnon") < before + limit


def test_no_file_request_leaves_a_descriptor(start_agent, tmp_path):
    agent = start_agent(*ONE)
    pid = agent.worker_pids()[0]
    path, shared = str(tmp_path / "x"), "/dev/shm/vga-fd-%d" % os.getpid()

    def all_requests():
        agent.write_file(path, b"1")
        agent.write_file(path, b"2", user="0")
        agent.read_file(path)
        agent.file_call(codec.FILE_STAT_REQ, {"path": path})
        agent.file_call(codec.FILE_LIST_REQ, {"path": str(tmp_path)})
        agent.file_request(codec.FILE_TREE_REQ, {"path": str(tmp_path)})
        agent.file_request(codec.FILE_TREE_REQ, {"path": str(tmp_path), "max_entries": 1})
        agent.file_connect(codec.FILE_TREE_REQ, {"path": "/usr"}).close()
        agent.file_call(codec.FILE_MKDIR_REQ, {"path": str(tmp_path / "d/e")})
        agent.file_call(codec.FILE_MOVE_REQ, {"from": path, "to": shared})
        agent.file_call(codec.FILE_MOVE_REQ, {"from": shared, "to": path})
        agent.file_call(codec.FILE_REMOVE_REQ, {"path": str(tmp_path / "d"), "recursive": True})
        agent.file_connect(codec.FILE_WATCH_REQ, {"path": str(tmp_path), "recursive": True}).close()
        for kind in (codec.FILE_READ_REQ, codec.FILE_LIST_REQ, codec.FILE_REMOVE_REQ):
            with pytest.raises(FileError):
                agent.file_call(kind, {"path": str(tmp_path / "nope/x")})
        agent.status()

    agent.settle()
    idle = descriptors(pid)
    for _ in range(5):
        all_requests()
    agent.settle()
    assert descriptors(pid).keys() == idle.keys()
    assert agent.worker_pids() == [pid]
