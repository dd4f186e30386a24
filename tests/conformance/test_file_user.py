# SPDX-License-Identifier: MIT
"""Requests of the file port with a user: done with his rights, and with the agent's own again after."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

import codec
from agent import FileError, wait_until
from faults import mode_of

NOBODY = (65534, 65534)


@pytest.fixture
def yard():
    """A directory of root's that every user can reach; home is nobody's, with a link back up."""
    path = tempfile.mkdtemp(prefix="vga-user-", dir="/tmp")
    os.chmod(path, 0o755)
    for name in ("home", "home/full", "home/empty", "shut", "shut/full"):
        os.mkdir("%s/%s" % (path, name))
    for name in ("home/f", "home/full/f", "shut/f", "shut/full/f"):
        with open("%s/%s" % (path, name), "w") as f:
            f.write(name)
    for name in ("home", "home/full", "home/empty", "home/f", "home/full/f"):
        os.chown("%s/%s" % (path, name), *NOBODY)
    os.chmod(path + "/shut", 0o700)
    os.symlink("../shut", path + "/home/way")
    yield path
    shutil.rmtree(path)


def owner_of(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def tree(path):
    """All that is there, with what could have been changed of it."""
    found = {}
    for where, directories, files in os.walk(path):
        for name in directories + files:
            status = os.lstat(os.path.join(where, name))
            found[os.path.join(where, name)] = (status.st_ino, status.st_mode, status.st_uid, status.st_mtime_ns)
    return found


# Each request; $ is a directory.
REQUESTS = {
    "STAT": (codec.FILE_STAT_REQ, {"path": "$/f"}),
    "LIST": (codec.FILE_LIST_REQ, {"path": "$/full"}),
    "MKDIR": (codec.FILE_MKDIR_REQ, {"path": "$/a/b", "mode": 0o2770, "mtime_secs": 1}),
    "REMOVE": (codec.FILE_REMOVE_REQ, {"path": "$/f", "recursive": False}),
    "REMOVE tree": (codec.FILE_REMOVE_REQ, {"path": "$/full", "recursive": True}),
    "MOVE": (codec.FILE_MOVE_REQ, {"from": "$/f", "to": "$/g"}),
    "LINK": (codec.FILE_LINK_REQ, {"from": "$/f", "to": "$/a/g"}),
    "LINK over": (codec.FILE_LINK_REQ, {"from": "$/f", "to": "$/full/f"}),
    "SYMLINK": (codec.FILE_SYMLINK_REQ, {"path": "$/l", "target": "x"}),
    "SYMLINK over": (codec.FILE_SYMLINK_REQ, {"path": "$/f", "target": "x"}),
    "SET": (codec.FILE_SET_REQ, {"path": "$/f", "mode": 0o600, "mtime_secs": 1}),
}

ANSWERS = {codec.FILE_STAT_REQ: codec.FILE_STAT, codec.FILE_LIST_REQ: codec.FILE_LIST}


def ask(agent, name, directory, **members):
    kind, given = REQUESTS[name]
    request = {key: value.replace("$", directory) if isinstance(value, str) else value for key, value in given.items()}
    frame = agent.file_call(kind, dict(request, **members))
    assert frame.type == ANSWERS.get(kind, codec.FILE_ACK)
    return frame


@pytest.mark.parametrize("name", REQUESTS)
def test_a_user_s_request_is_served_in_his_own_directory(agent, yard, name):
    ask(agent, name, yard + "/home", user="nobody")
    assert {owner_of(path) for path in tree(yard + "/home")} <= {NOBODY, (0, 0)}
    assert owner_of(yard + "/home/way") == (0, 0) and mode_of(yard + "/shut") == 0o700


@pytest.mark.parametrize("way", ["shut", "home/way"])
@pytest.mark.parametrize("name", REQUESTS)
def test_where_a_user_may_not_go_nothing_is_done_for_him(agent, yard, name, way):
    """Neither by a plain path, nor by a link that he planted in his own directory."""
    before = tree(yard)
    with pytest.raises(FileError, match="^EACCES: "):
        ask(agent, name, "%s/%s" % (yard, way), user="nobody")
    assert tree(yard) == before


@pytest.mark.parametrize("name", [n for n in REQUESTS if n not in ("STAT", "LIST")])
def test_where_a_user_may_look_and_not_write_nothing_is_done_for_him(agent, yard, name):
    os.chmod(yard + "/shut", 0o755)
    before = tree(yard)
    with pytest.raises(FileError, match="^E(ACCES|PERM): "):
        ask(agent, name, yard + "/shut", user="nobody")
    assert tree(yard) == before


@pytest.mark.parametrize("old,new,of", [("shut/f", "home/g", "shut/f"), ("home/f", "shut/g", "shut/g"),
                                        ("home/f", "shut/f", "shut/f")])
def test_a_user_needs_both_parents_of_a_move(agent, yard, old, new, of):
    os.chmod(yard + "/shut", 0o755)
    before = tree(yard)
    with pytest.raises(FileError, match="^EACCES: %s/%s$" % (yard, of)):
        agent.file_call(codec.FILE_MOVE_REQ,
                        {"from": "%s/%s" % (yard, old), "to": "%s/%s" % (yard, new), "user": "nobody"})
    assert tree(yard) == before


def test_a_user_s_move_to_another_file_system_is_his_too(agent, yard):
    other = tempfile.mkdtemp(prefix="vga-user-", dir="/dev/shm")
    try:
        with pytest.raises(FileError, match="^EACCES: %s/f$" % other):
            agent.file_call(codec.FILE_MOVE_REQ, {"from": yard + "/home/f", "to": other + "/f", "user": "nobody"})
        assert os.listdir(other) == [] and os.path.exists(yard + "/home/f")
        os.chmod(other, 0o777)
        agent.file_call(codec.FILE_MOVE_REQ, {"from": yard + "/home/f", "to": other + "/f", "user": "nobody"})
        assert owner_of(other + "/f") == NOBODY and not os.path.exists(yard + "/home/f")
    finally:
        shutil.rmtree(other)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_user_who_is_not_there_is_an_error_that_names_him(agent, yard, name):
    before = tree(yard)
    with pytest.raises(FileError, match="^EINVAL: user 'no-such-user': "):
        ask(agent, name, yard + "/home", user="no-such-user")
    assert tree(yard) == before


def test_the_worker_has_its_own_rights_again_after_each_of_them(start_agent, yard):
    """Whether it was served, refused by the kernel, or not understood."""
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    for name, (kind, _) in REQUESTS.items():
        for way, members in [("home", {}), ("shut", {}), ("none", {}), ("home", {"path": "", "from": ""}),
                             ("home", {"user": "no-such-user"})]:
            try:
                ask(agent, name, "%s/%s" % (yard, way), **dict({"user": "nobody"}, **members))
            except FileError:
                pass
            with open("/proc/%d/status" % pid) as f:
                ids = [line.split()[1:] for line in f if line.startswith(("Uid:", "Gid:"))]
            assert ids == [["0"] * 4, ["0"] * 4], (name, way)
    assert agent.worker_pids() == [pid]


def euid_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(f.read().split("\nUid:")[1].split()[1])


# What a process of the same uid could do to another.
HARM = {
    "signal": "os.kill(%d, signal.SIGCONT)",
    "priority": "os.setpriority(os.PRIO_PROCESS, %d, 19)",
    "CPUs": "os.sched_setaffinity(%d, {0})",
    "policy": "os.sched_setscheduler(%d, os.SCHED_IDLE, os.sched_param(0))",
    "memory": "open('/proc/%d/mem', 'rb')",
}


@pytest.mark.parametrize("harm", HARM)
def test_a_user_has_no_power_over_the_worker_that_serves_it(start_agent, yard, harm):
    agent = start_agent("--workers=1", "--reserved=0")
    worker, = agent.worker_pids()
    conn = agent.connect(codec.FILE_PORT)
    conn.send(codec.FILE_WRITE_REQ, codec.to_json({"path": yard + "/home/new", "mode": 0, "user": "65534"}))
    wait_until(lambda: euid_of(worker) == NOBODY[0])
    result = subprocess.run([sys.executable, "-c", "import os, signal; " + HARM[harm] % worker],
                            user=NOBODY[0], group=NOBODY[1], extra_groups=[], stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1 and b"PermissionError" in result.stderr
    conn.send(codec.FILE_DONE)
    conn.expect(codec.FILE_ACK)


def test_what_root_alone_may_read_in_proc_is_not_read_for_a_user(agent):
    for path in "/proc/sys/kernel/cad_pid", "/proc/%d/environ" % agent.pid:
        agent.read_file(path)
        with pytest.raises(FileError, match="EACCES"):
            agent.read_file(path, user="65534")
