# SPDX-License-Identifier: MIT
"""What WRITE, and MOVE to another file system, keep of a file: its ACL, its user attributes."""

import os
import shutil
import subprocess
import tempfile

import pytest

import codec
from agent import TRACED, FileError
from faults import inside, litter, mode_of, mounted


def acl(path):
    """As getfacl(1) tells it, without what it cuts for people."""
    return subprocess.run(["getfacl", "-cpE", path], check=True, capture_output=True, text=True).stdout.split()


def set_acl(path, *arguments):
    subprocess.run(["setfacl", *arguments, path], check=True)


def can(user, path, mode):
    return subprocess.run(["setpriv", "--reuid=%d" % user, "--regid=%d" % user, "--clear-groups",
                           "test", "-" + mode, path]).returncode == 0


@pytest.fixture(params=["disk", "tmpfs"])
def yard(request):
    path = tempfile.mkdtemp(prefix="vga-acl-", dir="/tmp" if request.param == "disk" else "/dev/shm")
    os.chmod(path, 0o755)
    with open(path + "/f", "w") as f:
        f.write("old")
    os.chmod(path + "/f", 0o640)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def other():
    """A directory on another file system than the first kind of yard."""
    path = tempfile.mkdtemp(prefix="vga-acl-", dir="/dev/shm")
    yield path
    shutil.rmtree(path)


def test_an_acl_is_kept_by_what_replaces_its_file(agent, yard):
    """Its mask is in the group's bits: without the ACL they would be the group's rights."""
    set_acl(yard + "/f", "-m", "u:1234:rw,g::-,g:99:r")
    os.chown(yard + "/f", 0, 4321)
    before, inode = acl(yard + "/f"), os.stat(yard + "/f").st_ino
    assert mode_of(yard + "/f") == 0o660 and can(1234, yard + "/f", "w") and not can(4321, yard + "/f", "r")
    agent.write_file(yard + "/f", b"new")
    assert acl(yard + "/f") == before and os.stat(yard + "/f").st_ino != inode
    assert can(1234, yard + "/f", "w") and not can(4321, yard + "/f", "r") and not can(5678, yard + "/f", "r")


def test_a_mode_that_is_asked_for_sets_the_mask_of_the_acl_as_chmod_does(agent, yard):
    set_acl(yard + "/f", "-m", "u:1234:rw")
    shutil.copyfile(yard + "/f", yard + "/by-chmod")
    os.chmod(yard + "/by-chmod", 0o640)
    set_acl(yard + "/by-chmod", "-m", "u:1234:rw")
    os.chmod(yard + "/by-chmod", 0o604)
    agent.write_file(yard + "/f", b"new", mode=0o604)
    assert acl(yard + "/f") == acl(yard + "/by-chmod") and mode_of(yard + "/f") == 0o604


def test_who_the_directory_lets_in_by_default_is_not_let_into_an_old_file(agent, yard):
    """A new file of that directory has its ACL, and what replaces one that had none has none."""
    set_acl(yard, "-d", "-m", "u:1234:rwx")
    before = acl(yard + "/f")
    agent.write_file(yard + "/f", b"new")
    assert acl(yard + "/f") == before and not can(1234, yard + "/f", "r")
    agent.write_file(yard + "/g", b"new")
    assert "user:1234:rwx" in acl(yard + "/g") and mode_of(yard + "/g") == 0o644 and can(1234, yard + "/g", "r")


def test_user_attributes_are_kept_and_capabilities_are_not(agent, yard):
    os.setxattr(yard + "/f", "user.empty", b"")
    os.setxattr(yard + "/f", "user.bytes", bytes(range(256)))
    os.setxattr(yard + "/f", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    agent.write_file(yard + "/f", b"new")
    assert sorted(os.listxattr(yard + "/f")) == ["user.bytes", "user.empty"]
    assert os.getxattr(yard + "/f", "user.bytes") == bytes(range(256)) and litter(yard) == []


def test_a_user_s_acl_and_attributes_are_kept_too(agent, yard):
    os.chown(yard, 65534, 65534)
    os.chown(yard + "/f", 65534, 65534)
    set_acl(yard + "/f", "-m", "u:1234:rw,g::-")
    os.setxattr(yard + "/f", "user.x", b"1")
    before, inode = acl(yard + "/f"), os.stat(yard + "/f").st_ino
    agent.write_file(yard + "/f", b"new", user="nobody")
    assert acl(yard + "/f") == before and os.stat(yard + "/f").st_ino != inode
    assert os.getxattr(yard + "/f", "user.x") == b"1"


def test_where_attributes_can_t_be_read_the_file_is_written_in_place(agent, yard):
    """A user who may write it and not read it."""
    os.chown(yard, 65534, 65534)
    os.chown(yard + "/f", 65534, 65534)
    os.setxattr(yard + "/f", "user.x", b"1")
    os.chmod(yard + "/f", 0o200)
    inode = os.stat(yard + "/f").st_ino
    agent.write_file(yard + "/f", b"new", user="nobody")
    with open(yard + "/f") as f:
        assert f.read() == "new"
    assert os.stat(yard + "/f").st_ino == inode and os.getxattr(yard + "/f", "user.x") == b"1"


def test_they_are_kept_though_a_workload_has_unmounted_proc(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, ":")
    # The sanitizer's search for leaks needs /proc itself.
    agent = start_agent("--workers=1", "--reserved=0", env=TRACED)
    path = tmp_path / "f"
    path.write_bytes(b"old")
    set_acl(path, "-m", "u:1234:rw,g::-")
    before, inode = acl(path), os.stat(path).st_ino
    subprocess.run(["nsenter", "-m", "-t", str(agent.pid), "umount", "-l", "/proc"], check=True)
    [pid] = agent.worker_pids()
    where = os.readlink("/proc/%d/cwd" % pid)
    agent.write_file(str(path), b"new")
    assert acl(path) == before and os.stat(path).st_ino != inode
    assert os.readlink("/proc/%d/cwd" % pid) == where


def test_a_move_to_another_file_system_keeps_them(agent, tmp_path, other):
    path = tmp_path / "f"
    path.write_bytes(b"text")
    set_acl(path, "-m", "u:1234:rw,g::-")
    os.setxattr(path, "user.x", b"1")
    set_acl(other, "-d", "-m", "u:5678:rwx")
    before = acl(path)
    agent.file_call(codec.FILE_MOVE_REQ, {"from": str(path), "to": other + "/f"})
    assert acl(other + "/f") == before and os.getxattr(other + "/f", "user.x") == b"1" and not path.exists()


@pytest.mark.parametrize("attribute,moved", [("acl", False), ("user", True), (None, True)])
def test_a_move_to_where_there_are_none_leaves_user_attributes_behind_and_no_acl(
        start_agent, monkeypatch, tmp_path, attribute, moved):
    """An ACL is who may not read it: ramfs has neither."""
    (tmp_path / "ram").mkdir()
    mounted(monkeypatch, tmp_path, 'mount -t ramfs none "$D/ram"')
    agent = start_agent("--workers=2")
    path = tmp_path / "f"
    path.write_bytes(b"text")
    if attribute == "acl":
        set_acl(path, "-m", "u:1234:rw,g::-")
    elif attribute == "user":
        os.setxattr(path, "user.x", b"1")
    request = {"from": str(path), "to": str(tmp_path / "ram/f")}
    if moved:
        assert agent.file_call(codec.FILE_MOVE_REQ, request).type == codec.FILE_ACK
    else:
        with pytest.raises(FileError, match="^EOPNOTSUPP: "):
            agent.file_call(codec.FILE_MOVE_REQ, request)
    assert path.exists() is not moved
    assert os.listdir(inside(agent, str(tmp_path / "ram"))) == (["f"] if moved else [])
