# SPDX-License-Identifier: MIT
"""LINK: another name of a file, in place of what had it."""

import os
import shutil
import signal
import socket
import tempfile
import threading

import pytest

import codec
from agent import FileError, wait_until
from faults import Fault, inside, litter, mode_of, mounted

NOBODY = (65534, 65534)


def link(agent, old, new, **members):
    frame = agent.file_call(codec.FILE_LINK_REQ, dict(members, **{"from": str(old), "to": str(new)}))
    assert frame.type == codec.FILE_ACK


def refused(agent, old, new, **members):
    with pytest.raises(FileError) as caught:
        link(agent, old, new, **members)
    return str(caught.value)


def same(path, other):
    return os.path.samestat(os.lstat(path), os.lstat(other))


@pytest.fixture
def yard():
    """A directory that every user can reach, with one that is nobody's."""
    path = tempfile.mkdtemp(prefix="vga-link-", dir="/tmp")
    os.chmod(path, 0o755)
    os.mkdir(path + "/home")
    os.chown(path + "/home", *NOBODY)
    yield path
    shutil.rmtree(path)


# ---- what it makes ---------------------------------------------------------------


def test_a_file_has_two_names_then_and_is_as_it_was(agent, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"text")
    os.chmod(path, 0o640)
    os.utime(path, (5, 6))
    link(agent, path, tmp_path / "a/b/g")
    assert same(path, tmp_path / "a/b/g") and path.stat().st_nlink == 2
    assert path.read_bytes() == b"text" and mode_of(path) == 0o640 and path.stat().st_mtime == 6
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a/b") == 0o755
    assert litter(tmp_path) == []


MAKERS = {
    "file": lambda path: open(path, "wb").close(),
    "symlink": lambda path: os.symlink("nowhere", path),
    "symlink to a directory": lambda path: os.symlink("keep", path),
    "fifo": os.mkfifo,
    "socket": lambda path: socket.socket(socket.AF_UNIX).bind(path),
}


@pytest.mark.parametrize("old", MAKERS)
def test_it_replaces_what_is_no_directory_and_follows_no_link(agent, tmp_path, old):
    (tmp_path / "keep").mkdir()
    (tmp_path / "f").write_bytes(b"text")
    MAKERS[old](str(tmp_path / "g"))
    link(agent, tmp_path / "f", tmp_path / "g")
    assert same(tmp_path / "f", tmp_path / "g") and sorted(os.listdir(tmp_path)) == ["f", "g", "keep"]
    assert os.listdir(tmp_path / "keep") == []


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("over", [False, True], ids=["new", "over"])
def test_whatever_is_no_directory_gets_another_name_itself(agent, tmp_path, kind, over):
    (tmp_path / "keep").mkdir()
    MAKERS[kind](str(tmp_path / "f"))
    if over:
        (tmp_path / "g").write_bytes(b"old")
    link(agent, tmp_path / "f", tmp_path / "g")
    assert same(tmp_path / "f", tmp_path / "g") and os.lstat(tmp_path / "f").st_nlink == 2
    assert sorted(os.listdir(tmp_path)) == ["f", "g", "keep"] and os.listdir(tmp_path / "keep") == []


def test_of_two_names_of_one_file_nothing_is_done(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"text")
    os.link(tmp_path / "f", tmp_path / "g")
    link(agent, tmp_path / "f", tmp_path / "g")
    link(agent, tmp_path / "f", tmp_path / "f")
    assert sorted(os.listdir(tmp_path)) == ["f", "g"] and same(tmp_path / "f", tmp_path / "g")


def test_that_another_makes_the_same_meanwhile_leaves_no_litter(start_agent, tmp_path):
    """rename(2) leaves both of two names of one file."""
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "f").write_bytes(b"text")
    (tmp_path / "g").write_bytes(b"old")
    [pid] = agent.worker_pids()
    with Fault(pid, "renameat", "delay_enter=3600000000") as fault:
        conn = agent.file_connect(codec.FILE_LINK_REQ, {"from": str(tmp_path / "f"), "to": str(tmp_path / "g")})
        wait_until(lambda: litter(tmp_path), message="the temporary name")
        os.unlink(tmp_path / "g")
        os.link(tmp_path / "f", tmp_path / "g")
        fault.process.send_signal(signal.SIGINT)
        conn.expect(codec.FILE_ACK)
    assert sorted(os.listdir(tmp_path)) == ["f", "g"] and same(tmp_path / "f", tmp_path / "g")


def test_who_reads_a_name_that_is_replaced_always_finds_a_file(agent, tmp_path):
    for name, text in ("a", b"a" * 5000), ("b", b"b" * 5000), ("g", b"a" * 5000):
        (tmp_path / name).write_bytes(text)
    over, wrong = threading.Event(), []

    def look():
        while not over.is_set():
            try:
                if len(set((tmp_path / "g").read_bytes())) != 1:
                    wrong.append("half")
            except OSError as error:
                wrong.append(error)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for i in range(100):
            link(agent, tmp_path / "ab"[i % 2], tmp_path / "g")
    finally:
        over.set()
        looker.join()
    assert wrong == [] and litter(tmp_path) == []


# ---- what is refused ---------------------------------------------------------------


def test_a_directory_gets_no_other_name(agent, tmp_path):
    (tmp_path / "d").mkdir()
    for name in ("d", "d/", "d/.", "d/..", ""):
        path = "%s/%s" % (tmp_path, name)
        assert refused(agent, path, tmp_path / "new/x") == "EISDIR: " + path
    assert os.listdir(tmp_path) == ["d"]


@pytest.mark.parametrize("name", ["d", "d/", "d/.", "new/"])
def test_a_directory_is_not_replaced(agent, tmp_path, name):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    path = "%s/%s" % (tmp_path, name)
    assert refused(agent, tmp_path / "f", path) == "EISDIR: " + path
    assert sorted(os.listdir(tmp_path)) == ["d", "f"] and os.listdir(tmp_path / "d") == []


def test_the_error_names_the_path_that_it_is_of(agent, tmp_path):
    (tmp_path / "f").touch()
    assert refused(agent, tmp_path / "none", tmp_path / "g") == "ENOENT: %s/none" % tmp_path
    assert refused(agent, tmp_path / "f/x", tmp_path / "g") == "ENOTDIR: %s/f/x" % tmp_path
    assert refused(agent, tmp_path / "f", tmp_path / "f/x") == "ENOTDIR: %s/f/x" % tmp_path
    assert refused(agent, "%s/f/" % tmp_path, tmp_path / "g") == "ENOTDIR: %s/f/" % tmp_path
    assert refused(agent, "", tmp_path / "g").startswith("EINVAL: path: ")
    assert refused(agent, tmp_path / "f", "").startswith("EINVAL: path: ")
    assert refused(agent, tmp_path / "f", "x" * 5000).startswith("ENAMETOOLONG: ")
    assert os.listdir(tmp_path) == ["f"]


def test_another_file_system_is_exdev_and_leaves_what_was_there(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, "mkdir $D/m && mount -t tmpfs none $D/m && echo old >$D/m/g")
    agent = start_agent("--workers=4")
    (tmp_path / "f").write_bytes(b"text")
    for name in "g", "h":
        assert refused(agent, tmp_path / "f", tmp_path / "m" / name) == "EXDEV: %s/m/%s" % (tmp_path, name)
    assert os.listdir(inside(agent, str(tmp_path / "m"))) == ["g"]
    with open(inside(agent, str(tmp_path / "m/g")), encoding="ascii") as f:
        assert f.read() == "old\n"


@pytest.mark.kills_workers
def test_a_worker_killed_before_the_file_has_its_name_leaves_no_litter(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "g").write_bytes(b"old")
    [pid] = agent.worker_pids()
    with Fault(pid, "renameat", "signal=SIGKILL"):
        assert refused(agent, tmp_path / "f", tmp_path / "g") == "EIO: worker lost"
    wait_until(lambda: agent.worker_pids() not in ([], [pid]), message="a new worker")
    wait_until(lambda: sorted(os.listdir(tmp_path)) == ["f", "g"], message="no litter")
    assert (tmp_path / "g").read_bytes() == b"old" and (tmp_path / "f").stat().st_nlink == 1


def test_no_room_for_a_name_leaves_what_was_there(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "g").write_bytes(b"old")
    [pid] = agent.worker_pids()
    with Fault(pid, "linkat", "error=ENOSPC", when=2):
        assert refused(agent, tmp_path / "f", tmp_path / "g") == "ENOSPC: %s/g" % tmp_path
    assert (tmp_path / "g").read_bytes() == b"old" and sorted(os.listdir(tmp_path)) == ["f", "g"]


# ---- with a user's rights ------------------------------------------------------------


def test_a_user_links_what_is_his(agent, yard):
    with open(yard + "/home/f", "wb"):
        os.chown(yard + "/home/f", *NOBODY)
    link(agent, yard + "/home/f", yard + "/home/a/g", user="nobody")
    assert same(yard + "/home/f", yard + "/home/a/g")
    assert (os.stat(yard + "/home/a").st_uid, os.stat(yard + "/home/a").st_gid) == NOBODY
    assert refused(agent, yard + "/home/f", yard + "/g", user="nobody") == "EACCES: %s/g" % yard
    os.symlink(yard, yard + "/home/up")
    assert refused(agent, yard + "/home/f", yard + "/home/up/g", user="nobody").startswith("EACCES: ")
    assert os.listdir(yard) == ["home"]


@pytest.mark.parametrize("mode", [0o644, 0o4777, 0o600])
def test_a_user_pins_no_file_of_another_s(agent, yard, mode):
    """fs.protected_hardlinks: what he may not write, or is set-id, he gets no name for."""
    with open("/proc/sys/fs/protected_hardlinks", encoding="ascii") as f:
        assert f.read() == "1\n", "this machine does without"
    with open(yard + "/theirs", "wb"):
        os.chmod(yard + "/theirs", mode)
    text = refused(agent, yard + "/theirs", yard + "/home/mine", user="nobody")
    assert text == "EPERM: %s/theirs" % yard and os.listdir(yard + "/home") == []


def test_a_user_gets_at_nothing_through_a_way_that_is_shut(agent, yard):
    os.mkdir(yard + "/shut", 0o700)
    with open(yard + "/shut/f", "wb"):
        os.chmod(yard + "/shut/f", 0o666)
    os.symlink("../shut/f", yard + "/home/l")
    text = refused(agent, yard + "/shut/f", yard + "/home/f", user="nobody")
    assert text == "EACCES: %s/shut/f" % yard
    # The link is root's: it is not followed, and not linked either.
    assert refused(agent, yard + "/home/l", yard + "/home/f", user="nobody") == "EPERM: %s/home/l" % yard
    assert os.listdir(yard + "/home") == ["l"]
