# SPDX-License-Identifier: MIT
"""SYMLINK and SET, and what WRITE and MKDIR set themselves: owner, mode and time."""

import os
import shutil
import tempfile

import pytest

import codec
from agent import FileError, wait_until
from faults import Fault, litter, mode_of, mounted

DAY = 86400

ODD_TIME = {"mtime_secs": 1234567890, "mtime_nanos": 123456789}


def symlink(agent, path, target, **members):
    frame = agent.file_call(codec.FILE_SYMLINK_REQ, dict(members, path=str(path), target=target))
    assert frame.type == codec.FILE_ACK


def set_(agent, path, **members):
    assert agent.file_call(codec.FILE_SET_REQ, dict(members, path=str(path))).type == codec.FILE_ACK


def mkdir(agent, path, **members):
    assert agent.file_call(codec.FILE_MKDIR_REQ, dict(members, path=str(path))).type == codec.FILE_ACK


def owner_of(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid


def mtime_of(path):
    return os.lstat(path).st_mtime_ns


@pytest.fixture
def yard():
    """A directory that every user can reach, with one that is nobody's (65534)."""
    path = tempfile.mkdtemp(prefix="vga-set-", dir="/tmp")
    os.chmod(path, 0o755)
    os.mkdir(path + "/home")
    os.chown(path + "/home", 65534, 65534)
    yield path
    shutil.rmtree(path)


# ---- SYMLINK -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["x", "../x", "/nowhere/at/all", "a b\nc", "é" * 2047])
def test_a_link_says_what_it_was_asked_to_say(agent, tmp_path, target):
    symlink(agent, tmp_path / "l", target)
    assert os.readlink(tmp_path / "l") == target


def test_the_parents_of_a_link_are_made_with_0755(agent, tmp_path):
    symlink(agent, tmp_path / "a/b/l", "x")
    assert os.readlink(tmp_path / "a/b/l") == "x"
    assert mode_of(tmp_path / "a") == mode_of(tmp_path / "a/b") == 0o755


@pytest.mark.parametrize("old", ["file", "link to a directory", "dangling link", "fifo"])
def test_a_link_replaces_what_is_no_directory(agent, tmp_path, old):
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/x").write_bytes(b"precious")
    if old == "file":
        (tmp_path / "l").write_bytes(b"old")
    elif old == "fifo":
        os.mkfifo(tmp_path / "l")
    else:
        (tmp_path / "l").symlink_to("keep" if old == "link to a directory" else "nowhere")
    symlink(agent, tmp_path / "l", "new")
    assert os.readlink(tmp_path / "l") == "new"
    assert sorted(os.listdir(tmp_path)) == ["keep", "l"] and os.listdir(tmp_path / "keep") == ["x"]


@pytest.mark.parametrize("name", ["d", "d/", "d/.", "new/"])
def test_a_link_never_takes_a_directory_s_place(agent, tmp_path, name):
    (tmp_path / "d").mkdir()
    with pytest.raises(FileError, match="^EISDIR: "):
        symlink(agent, "%s/%s" % (tmp_path, name), "x")
    assert os.listdir(tmp_path) == ["d"] and os.listdir(tmp_path / "d") == []


def test_who_reads_a_link_that_is_replaced_always_finds_one(agent, tmp_path):
    """By rename: at no time is nothing there."""
    symlink(agent, tmp_path / "l", "0")
    seen = set()
    conn = None
    for i in range(100):
        conn = agent.file_connect(codec.FILE_SYMLINK_REQ, {"path": str(tmp_path / "l"), "target": str(i)})
        while not conn.wait_readable(0):
            seen.add(os.readlink(tmp_path / "l"))
        conn.expect(codec.FILE_ACK)
        conn.close()
    assert os.readlink(tmp_path / "l") == "99" and litter(tmp_path) == []


@pytest.mark.kills_workers
def test_a_worker_killed_before_the_link_has_its_name_leaves_no_litter(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "l").symlink_to("old")
    [pid] = agent.worker_pids()
    with Fault(pid, "renameat", "signal=SIGKILL"):
        with pytest.raises(FileError, match="^EIO: worker lost"):
            symlink(agent, tmp_path / "l", "new")
    wait_until(lambda: agent.worker_pids() not in ([], [pid]), message="a new worker")
    wait_until(lambda: os.listdir(tmp_path) == ["l"], message="no litter")
    assert os.readlink(tmp_path / "l") == "old"


def test_a_user_makes_links_where_the_kernel_lets_him(agent, yard):
    symlink(agent, yard + "/home/l", "x", user="nobody")
    assert owner_of(yard + "/home/l") == (65534, 65534)
    with pytest.raises(FileError, match="^EACCES: "):
        symlink(agent, yard + "/l", "x", user="nobody")
    os.symlink(yard, yard + "/home/up")
    with pytest.raises(FileError, match="^EACCES: "):
        symlink(agent, yard + "/home/up/l", "x", user="nobody")
    assert sorted(os.listdir(yard)) == ["home"]


# ---- SET ---------------------------------------------------------------------


def test_set_changes_what_it_is_asked_to_and_nothing_else(agent, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"text")
    os.chmod(path, 0o640)
    os.utime(path, (DAY, 2 * DAY))
    set_(agent, path)
    assert (mode_of(path), mtime_of(path), owner_of(path)) == (0o640, 2 * DAY * 10**9, (0, 0))
    set_(agent, path, mode=0o600)
    assert (mode_of(path), mtime_of(path), owner_of(path)) == (0o600, 2 * DAY * 10**9, (0, 0))
    set_(agent, path, **ODD_TIME)
    assert (mode_of(path), mtime_of(path)) == (0o600, 1234567890123456789)
    set_(agent, path, gid=7)
    assert (mode_of(path), mtime_of(path), owner_of(path)) == (0o600, 1234567890123456789, (0, 7))
    set_(agent, path, uid=5)
    assert owner_of(path) == (5, 7)
    set_(agent, path, mode=0)
    assert mode_of(path) == 0 and os.stat(path).st_atime == DAY


def test_the_mode_is_set_after_the_owner_who_takes_bits_away(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    set_(agent, tmp_path / "f", uid=1, gid=2, mode=0o6755)
    assert mode_of(tmp_path / "f") == 0o6755 and owner_of(tmp_path / "f") == (1, 2)


@pytest.mark.parametrize("kind", ["dir", "fifo"])
def test_set_is_for_all_kinds(agent, tmp_path, kind):
    path = tmp_path / "x"
    path.mkdir() if kind == "dir" else os.mkfifo(path)
    set_(agent, path, uid=1, gid=2, mode=0o1710, mtime_secs=-DAY)
    assert (mode_of(path), owner_of(path), mtime_of(path)) == (0o1710, (1, 2), -DAY * 10**9)


def test_a_link_at_the_end_is_not_followed(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    os.utime(tmp_path / "f", (DAY, DAY))
    (tmp_path / "l").symlink_to("f")
    set_(agent, tmp_path / "l", uid=3, gid=4, **ODD_TIME)
    assert owner_of(tmp_path / "l") == (3, 4) and mtime_of(tmp_path / "l") == 1234567890123456789
    assert owner_of(tmp_path / "f") == (0, 0) and mtime_of(tmp_path / "f") == DAY * 10**9


def test_a_mode_for_a_link_is_eopnotsupp_and_nothing_is_done(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    os.chmod(tmp_path / "f", 0o600)
    (tmp_path / "l").symlink_to("f")
    with pytest.raises(FileError, match="^EOPNOTSUPP: %s/l$" % tmp_path):
        set_(agent, tmp_path / "l", uid=3, mode=0o666)
    assert owner_of(tmp_path / "l") == (0, 0) and mode_of(tmp_path / "f") == 0o600


def test_a_user_may_set_what_the_kernel_lets_him(agent, yard):
    agent.write_file(yard + "/home/x", b"", user="nobody")
    agent.write_file(yard + "/x", b"")
    set_(agent, yard + "/home/x", user="nobody", mode=0o640, **ODD_TIME)
    assert mode_of(yard + "/home/x") == 0o640 and mtime_of(yard + "/home/x") == 1234567890123456789
    before = os.stat(yard + "/x")
    for path, members in [("/home/x", {"uid": 0}), ("/home/x", {"gid": 0}), ("/x", {"mode": 0o777}),
                          ("/x", {"mtime_secs": 1})]:
        with pytest.raises(FileError, match="^E(PERM|ACCES): "):
            set_(agent, yard + path, user="nobody", **members)
    assert os.stat(yard + "/x") == before and owner_of(yard + "/home/x") == (65534, 65534)


# ---- what WRITE and MKDIR set themselves -------------------------------------


@pytest.mark.parametrize("there", [False, True])
def test_a_write_sets_owner_mode_and_time_of_what_it_writes(agent, tmp_path, there):
    if there:
        (tmp_path / "f").write_bytes(b"old")
    agent.write_file(str(tmp_path / "f"), b"new", mode=0o4750, uid=1, gid=2, **ODD_TIME)
    assert (tmp_path / "f").read_bytes() == b"new"
    assert (mode_of(tmp_path / "f"), owner_of(tmp_path / "f")) == (0o4750, (1, 2))
    assert mtime_of(tmp_path / "f") == 1234567890123456789


def test_a_write_keeps_of_the_owner_what_it_is_not_told(agent, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 3, 4)
    os.chmod(path, 0o2750)
    agent.write_file(str(path), b"new", gid=9)
    assert owner_of(path) == (3, 9) and mode_of(path) == 0o2750


def test_what_is_written_in_place_gets_them_too_and_keeps_its_mode(agent, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "second")
    os.chmod(path, 0o4755)
    agent.write_file(str(path), b"new", uid=1, gid=2, **ODD_TIME)
    assert path.read_bytes() == b"new" and os.stat(path).st_nlink == 2
    assert (mode_of(path), owner_of(path), mtime_of(path)) == (0o4755, (1, 2), 1234567890123456789)


def test_an_owner_whom_a_user_may_not_give_is_eperm_and_leaves_the_old_file(agent, yard):
    agent.write_file(yard + "/home/x", b"old", user="nobody")
    with pytest.raises(FileError, match="^EPERM: "):
        agent.write_file(yard + "/home/x", b"new", user="nobody", uid=0)
    with open(yard + "/home/x") as f:
        assert f.read() == "old"
    assert owner_of(yard + "/home/x") == (65534, 65534)


def test_a_mkdir_sets_owner_and_time_of_what_it_makes_and_not_of_the_parents(agent, tmp_path):
    mkdir(agent, tmp_path / "a/d", mode=0o2770, uid=1, gid=2, **ODD_TIME)
    assert (mode_of(tmp_path / "a/d"), owner_of(tmp_path / "a/d")) == (0o2770, (1, 2))
    assert mtime_of(tmp_path / "a/d") == 1234567890123456789
    assert (mode_of(tmp_path / "a"), owner_of(tmp_path / "a")) == (0o755, (0, 0))


@pytest.mark.parametrize("members,mode", [({"uid": 5}, 0o755), ({"mtime_secs": 1}, 0o755),
                                          ({"gid": 5, "mode": 0o710}, 0o710)])
def test_each_of_them_alone_leaves_the_rest_as_it_is(agent, tmp_path, members, mode):
    mkdir(agent, tmp_path / "d", **members)
    assert owner_of(tmp_path / "d") == (members.get("uid", 0), members.get("gid", 0))
    assert mode_of(tmp_path / "d") == mode
    assert (mtime_of(tmp_path / "d") == 10**9) == ("mtime_secs" in members)


def test_a_set_group_id_is_inherited_whatever_else_is_asked_for(agent, tmp_path):
    os.chmod(tmp_path, 0o2755)
    mkdir(agent, tmp_path / "plain", mode=0o750)
    mkdir(agent, tmp_path / "owned", mode=0o750, uid=5)
    assert mode_of(tmp_path / "plain") == mode_of(tmp_path / "owned") == 0o2750


def test_a_directory_that_is_there_keeps_owner_and_time_too(agent, tmp_path):
    (tmp_path / "d").mkdir(mode=0o700)
    before = os.stat(tmp_path / "d")
    mkdir(agent, tmp_path / "d", mode=0o2777, uid=1, gid=2, mtime_secs=1)
    assert os.stat(tmp_path / "d") == before
