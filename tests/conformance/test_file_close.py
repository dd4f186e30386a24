# SPDX-License-Identifier: MIT
"""Who has the answer of a file request finds no file of the agent's open, and has heard
what close(2) had to say."""

import os
import shutil
import tempfile

import pytest

import codec
from agent import FileError, descriptors, kill_hard, wait_until
from faults import Fault, litter

ELSEWHERE = "/dev/shm/vga-close-%d" % os.getpid()

# Time for a host to see what is still open behind an answer that came too early.
SLOW_CLOSE = ("close", "delay_enter=50000", "1+")


@pytest.fixture
def top():
    path = tempfile.mkdtemp(prefix="vga-close-", dir="/tmp")
    os.chmod(path, 0o755)
    for name in ("f", "g", "two"):
        with open("%s/%s" % (path, name), "w") as f:
            f.write("old")
    os.link(path + "/two", path + "/names")
    os.makedirs(path + "/d/e")
    os.makedirs(path + "/shut/e", 0o700)
    yield path
    shutil.rmtree(path)


def open_below(pid, directory):
    """What the process PID has open there, or of files that were."""
    return [name for name in descriptors(pid).values() if name.startswith(directory)]


REQUESTS = {
    "WRITE": (codec.FILE_WRITE_REQ, {"path": "$/new"}),
    "WRITE over": (codec.FILE_WRITE_REQ, {"path": "$/f"}),
    "WRITE flushed": (codec.FILE_WRITE_REQ, {"path": "$/a/b/new", "fsync": True}),
    "WRITE in place": (codec.FILE_WRITE_REQ, {"path": "$/two"}),
    "WRITE to a directory": (codec.FILE_WRITE_REQ, {"path": "$/d"}),
    "WRITE without a right": (codec.FILE_WRITE_REQ, {"path": "$/new", "user": "nobody"}),
    "READ": (codec.FILE_READ_REQ, {"path": "$/f"}),
    "STAT": (codec.FILE_STAT_REQ, {"path": "$/f"}),
    "LIST": (codec.FILE_LIST_REQ, {"path": "$"}),
    "MKDIR": (codec.FILE_MKDIR_REQ, {"path": "$/a/b", "mode": 0o2770}),
    "MKDIR over a file": (codec.FILE_MKDIR_REQ, {"path": "$/f"}),
    "REMOVE": (codec.FILE_REMOVE_REQ, {"path": "$/d", "recursive": True}),
    "REMOVE of a full one": (codec.FILE_REMOVE_REQ, {"path": "$/d"}),
    "MOVE": (codec.FILE_MOVE_REQ, {"from": "$/f", "to": "$/g"}),
    "MOVE onto a directory": (codec.FILE_MOVE_REQ, {"from": "$/f", "to": "$/d"}),
    "MOVE across": (codec.FILE_MOVE_REQ, {"from": "$/f", "to": ELSEWHERE}),
    "LINK": (codec.FILE_LINK_REQ, {"from": "$/f", "to": "$/g"}),
    "LINK over": (codec.FILE_LINK_REQ, {"from": "$/f", "to": "$/two"}),
    "LINK onto a directory": (codec.FILE_LINK_REQ, {"from": "$/f", "to": "$/d"}),
    "LINK across": (codec.FILE_LINK_REQ, {"from": "$/f", "to": ELSEWHERE}),
    "SYMLINK": (codec.FILE_SYMLINK_REQ, {"path": "$/g", "target": "x"}),
    "SET": (codec.FILE_SET_REQ, {"path": "$/g", "mode": 0o600}),
    "TREE": (codec.FILE_TREE_REQ, {"path": "$/d"}),
}

LAST = {codec.FILE_ACK, codec.FILE_ERR, codec.FILE_DONE, codec.FILE_STAT, codec.FILE_LIST}


@pytest.mark.parametrize("name", REQUESTS)
def test_nothing_is_open_when_the_answer_is_there(start_agent, top, name):
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    # STATUS measures it, by a descriptor for good.
    kept = open_below(pid, "/dev/shm")
    kind, members = REQUESTS[name]
    members = {key: value.replace("$", top) if isinstance(value, str) else value for key, value in members.items()}
    with Fault(pid, *SLOW_CLOSE):
        with agent.file_connect(kind, members) as conn:
            if kind == codec.FILE_WRITE_REQ:
                conn.send(codec.FILE_DATA, b"new")
                conn.send(codec.FILE_DONE)
            last = LAST if kind != codec.FILE_TREE_REQ else {codec.FILE_ACK, codec.FILE_ERR}
            while (frame := conn.recv()).type not in last:
                pass
            assert open_below(pid, top) == [] and open_below(pid, "/dev/shm") == kept, frame
    if os.path.exists(ELSEWHERE):
        os.unlink(ELSEWHERE)


def test_a_program_that_was_just_written_can_be_started_at_once(agent, top):
    shutil.copy("/bin/true", top + "/true")
    with open(top + "/true", "rb") as f:
        program = f.read()
    for path in (top + "/program", top + "/in-place"):
        agent.write_file(path, program, mode=0o755)
    os.link(top + "/in-place", top + "/second")
    for _ in range(50):
        for path in (top + "/program", top + "/in-place"):
            agent.write_file(path, program)
            result = agent.run([path])
            assert (result.code, result.stderr) == (0, b"")


@pytest.mark.kills_workers
@pytest.mark.parametrize("name", ["f", "two"])
def test_what_close_says_is_told_and_where_a_file_is_replaced_the_old_one_stands(start_agent, tmp_path, name):
    """EDQUOT, as NFS says it, from each close of the request in turn. Of two workers one is idle, so
    that no connection is parked, which is a close more."""
    agent = start_agent("--workers=2", "--reserved=0")
    said = []
    path = tmp_path / name
    expected = "EDQUOT: %s" % path
    for when in range(1, 12):
        path.write_bytes(b"old")
        if name == "two" and when == 1:
            os.link(path, tmp_path / "names")
        pids = agent.worker_pids()
        with Fault(pids, "close", "error=EDQUOT", when):
            try:
                agent.write_file(str(path), b"new")
                assert path.read_bytes() == b"new"
            except FileError as error:
                said.append(str(error))
                assert name == "two" or path.read_bytes() == b"old"
        kill_hard(*pids)    # strace has left one with what it did not close
        wait_until(lambda: len(set(agent.worker_pids()) - set(pids)) == 2, message="new workers")
    assert expected in said and litter(tmp_path) == []
