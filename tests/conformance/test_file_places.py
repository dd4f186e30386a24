# SPDX-License-Identifier: MIT
"""WRITE where a file can't be replaced, where there is no room, and with a user."""

import os
import pwd
import shutil
import stat
import tempfile

import pytest

import codec
from agent import FileError, wait_until
from faults import Fault, inside, litter, mode_of, mounted

MIB = 1024 * 1024

NOBODY = pwd.getpwnam("nobody")


# ---- in place ----------------------------------------------------------------


def test_a_file_with_more_than_one_name_is_written_in_place(agent, tmp_path):
    (tmp_path / "a").write_bytes(b"old and long" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    agent.write_file(str(tmp_path / "a"), b"new", mode=0o600)
    assert (tmp_path / "b").read_bytes() == b"new" and mode_of(tmp_path / "b") == 0o600
    assert os.path.samefile(tmp_path / "a", tmp_path / "b") and litter(tmp_path) == []


def test_an_upload_to_a_file_with_two_names_that_breaks_off_changes_nothing(agent, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "a")})
    conn.send(codec.FILE_DATA, bytes(4 * MIB))
    conn.close()
    agent.status()
    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_done_that_had_arrived_is_carried_out_in_place_though_the_host_has_gone(agent, tmp_path):
    data = os.urandom(MIB) * 20
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "a")})
    for i in range(20):
        conn.send(codec.FILE_DATA, data[i * MIB:(i + 1) * MIB])
    conn.send(codec.FILE_DONE)
    conn.half_close()
    assert [f.type for f in conn.result().frames] == [codec.FILE_ACK]
    assert (tmp_path / "b").read_bytes() == data


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_is_written_to_and_stays_one(agent, path):
    before = os.stat(path)
    agent.write_file(path, os.urandom(MIB), mode=0o600)
    after = os.stat(path)
    assert stat.S_ISCHR(after.st_mode) and after.st_ino == before.st_ino
    assert after.st_mode == before.st_mode


def test_a_device_that_is_full_is_enospc(agent):
    with pytest.raises(FileError, match="^ENOSPC: /dev/full$"):
        agent.write_file("/dev/full", b"x")


def test_a_tty_gets_the_bytes(agent):
    master, slave = os.openpty()
    try:
        agent.write_file(os.ttyname(slave), b"to the terminal")
        assert os.read(master, 100) == b"to the terminal"
    finally:
        os.close(slave)
        os.close(master)


def test_a_tty_that_takes_nothing_is_given_up_after_the_stall_timeout(start_agent):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    master, slave = os.openpty()
    try:
        with pytest.raises(FileError, match="^ETIMEDOUT: "):
            agent.write_file(os.ttyname(slave), bytes(MIB))
    finally:
        os.close(slave)
        os.close(master)


def test_a_file_of_proc_is_written_in_one_piece_however_it_came(start_agent):
    agent = start_agent("--workers=1", "--reserved=0")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/proc/self/comm"})
    for byte in b"pieces":
        conn.send(codec.FILE_DATA, bytes([byte]))
    conn.send(codec.FILE_DONE)
    conn.expect(codec.FILE_ACK)
    conn.close()
    assert agent.read_file("/proc/%d/comm" % agent.worker_pids()[0]) == b"pieces\n"


def test_a_value_that_proc_refuses_is_an_error(agent):
    with pytest.raises(FileError, match="^EINVAL: /proc/sys/vm/swappiness$"):
        agent.write_file("/proc/sys/vm/swappiness", b"this is no number")


def test_a_file_of_proc_that_is_not_there_is_an_error(agent):
    with pytest.raises(FileError, match="^E(NOENT|ACCES): /proc/sys/kernel/nope$"):
        agent.write_file("/proc/sys/kernel/nope", b"x")


def test_a_file_of_sys_is_written_and_read_back(agent):
    path = "/sys/kernel/mm/ksm/sleep_millisecs"
    if not os.path.exists(path):
        path = "/sys/kernel/mm/lru_gen/min_ttl_ms"
    old = agent.read_file(path)
    agent.write_file(path, old)
    assert agent.read_file(path) == old


def test_a_link_of_proc_to_a_file_leads_to_that_file(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with open(tmp_path / "x") as f:
        agent.write_file("/proc/%d/fd/%d" % (os.getpid(), f.fileno()), b"new")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_bind_mounted_file_is_written_in_place(start_agent, monkeypatch, tmp_path):
    (tmp_path / "source").write_bytes(b"old" * 1000)
    (tmp_path / "target").write_bytes(b"below")
    mounted(monkeypatch, tmp_path, 'mount --bind "$D/source" "$D/target"')
    agent = start_agent("--workers=2")
    agent.write_file(str(tmp_path / "target"), b"new", mode=0o640)
    assert (tmp_path / "source").read_bytes() == b"new" and mode_of(tmp_path / "source") == 0o640
    assert (tmp_path / "target").read_bytes() == b"below" and litter(tmp_path) == []


def test_a_bind_mounted_file_on_a_read_only_file_system_is_written_in_place(
        start_agent, monkeypatch, tmp_path):
    (tmp_path / "ro").mkdir()
    (tmp_path / "source").write_bytes(b"old")
    mounted(monkeypatch, tmp_path, '''
        mount -t tmpfs none "$D/ro"; touch "$D/ro/file"
        mount -o remount,ro "$D/ro"; mount --bind "$D/source" "$D/ro/file"''')
    agent = start_agent("--workers=2")
    agent.write_file(str(tmp_path / "ro/file"), b"new" * 200000)
    assert (tmp_path / "source").read_bytes() == b"new" * 200000


def test_a_rename_that_finds_the_file_busy_writes_it_in_place(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "x").write_bytes(b"old")
    inode = os.stat(tmp_path / "x").st_ino
    with Fault(agent.worker_pids()[0], "/^renameat", "error=EBUSY"):
        agent.write_file(str(tmp_path / "x"), b"new" * 100000, mode=0o600)
    assert os.stat(tmp_path / "x").st_ino == inode and litter(tmp_path) == []
    assert (tmp_path / "x").read_bytes() == b"new" * 100000 and mode_of(tmp_path / "x") == 0o600


# ---- no room -----------------------------------------------------------------


def test_a_full_disk_is_enospc_and_leaves_the_old_file_as_it_was(start_agent, monkeypatch, tmp_path):
    (tmp_path / "small").mkdir()
    mounted(monkeypatch, tmp_path, 'mount -t tmpfs -o size=1M none "$D/small"')
    agent = start_agent("--workers=2")
    path = str(tmp_path / "small/x")
    agent.write_file(path, b"old" * 100000)
    for target in (path, str(tmp_path / "small/y")):
        with pytest.raises(FileError, match="^ENOSPC: " + target):
            agent.write_file(target, bytes(8 * MIB))
    assert agent.read_file(path) == b"old" * 100000
    assert os.listdir(inside(agent, str(tmp_path / "small"))) == ["x"]
    agent.write_file(path, b"fits again" * 10000)


SMALL = {
    "tmpfs": 'mount -t tmpfs -o size=2M,mode=755 none "$D/small"',
    "ext4": 'truncate -s 2M "$D/image"; mkfs.ext4 -q -O ^has_journal -m 0 "$D/image"; '
            'mount -o loop "$D/image" "$D/small"; rmdir "$D/small/lost+found"',
}


def room(agent, path):
    found = os.statvfs(inside(agent, path))
    return found.f_bfree * found.f_bsize


def fill(agent, path, but):
    """Leaves no more than BUT bytes."""
    with open(inside(agent, path + "/filler"), "wb", buffering=0) as f:
        f.write(bytes(room(agent, path) - but))
        os.fsync(f.fileno())


@pytest.mark.parametrize("system", SMALL)
@pytest.mark.parametrize("old", [b"old", b"old" * 100000], ids=["small", "large"])
def test_what_there_is_no_room_for_in_place_leaves_the_old_content_as_it_was(
        start_agent, monkeypatch, tmp_path, system, old):
    """There is room beside the file for the new content, but not for it twice."""
    small = tmp_path / "small"
    small.mkdir()
    mounted(monkeypatch, tmp_path, SMALL[system])
    agent = start_agent("--workers=2")
    agent.write_file(str(small / "x"), old)
    os.link(inside(agent, str(small / "x")), inside(agent, str(small / "second")))
    fill(agent, str(small), 700000)
    before = room(agent, str(small))
    with pytest.raises(FileError, match="^ENOSPC: %s/x$" % small):
        agent.write_file(str(small / "x"), b"new " * 160000)
    assert agent.read_file(str(small / "second")) == old
    assert room(agent, str(small)) == before
    agent.write_file(str(small / "x"), b"n" * 2000)
    assert agent.read_file(str(small / "second")) == b"n" * 2000


@pytest.mark.parametrize("system", SMALL)
def test_what_waits_in_no_other_file_leaves_the_old_content_too_if_it_is_short(
        start_agent, monkeypatch, tmp_path, yard, system):
    """A user who may write the file and nothing beside it."""
    small = yard + "/small"
    os.mkdir(small)
    mounted(monkeypatch, tmp_path, SMALL[system].replace("$D", yard))
    agent = start_agent("--workers=2")
    agent.write_file(small + "/x", b"old" * 5000)
    os.chown(inside(agent, small + "/x"), NOBODY.pw_uid, NOBODY.pw_gid)
    fill(agent, small, 60000)
    before = room(agent, small)
    with pytest.raises(FileError, match="^ENOSPC: %s/x$" % small):
        agent.write_file(small + "/x", bytes(256 * 1024), user="nobody")
    assert agent.read_file(small + "/x") == b"old" * 5000
    assert room(agent, small) == before


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
@pytest.mark.parametrize("old", [0, 100, 300 * 1024, 4 * MIB])
@pytest.mark.parametrize("user", ["", "nobody"])
def test_what_is_written_over_a_longer_or_shorter_content_is_the_new_one_alone(agent, yard, size, old, user):
    """By way of another file, and without."""
    with open(yard + "/x", "wb") as f:
        f.write(b"o" * old)
    os.chown(yard + "/x", NOBODY.pw_uid, NOBODY.pw_gid)
    os.link(yard + "/x", yard + "/second")
    data = os.urandom(size)
    agent.write_file(yard + "/x", data, user=user, chunk=100000)
    with open(yard + "/second", "rb") as f:
        assert f.read() == data


def test_a_disk_without_inodes_is_enospc(start_agent, monkeypatch, tmp_path):
    (tmp_path / "small").mkdir()
    mounted(monkeypatch, tmp_path, 'mount -t tmpfs -o nr_inodes=2 none "$D/small"; touch "$D/small/x"')
    agent = start_agent("--workers=2")
    with pytest.raises(FileError, match="^ENOSPC: "):
        agent.write_file(str(tmp_path / "small/x"), b"new")
    assert agent.read_file(str(tmp_path / "small/x")) == b""


def test_a_read_only_file_system_is_erofs(start_agent, monkeypatch, tmp_path):
    (tmp_path / "ro").mkdir()
    mounted(monkeypatch, tmp_path, '''
        mount -t tmpfs none "$D/ro"; echo old > "$D/ro/x"; mkdir "$D/ro/d"
        mount -o remount,ro "$D/ro"''')
    agent = start_agent("--workers=2")
    top = str(tmp_path / "ro")
    for name in ("/x", "/new", "/new/deep"):
        with pytest.raises(FileError, match="^EROFS: " + top + name):
            agent.write_file(top + name, b"new")
    for kind, payload in [(codec.FILE_MKDIR_REQ, {"path": top + "/m"}),
                          (codec.FILE_REMOVE_REQ, {"path": top + "/x"}),
                          (codec.FILE_REMOVE_REQ, {"path": top + "/d", "recursive": True}),
                          (codec.FILE_MOVE_REQ, {"from": top + "/x", "to": top + "/y"}),
                          (codec.FILE_MOVE_REQ, {"from": top + "/x", "to": str(tmp_path / "y")})]:
        with pytest.raises(FileError, match="^EROFS: "):
            agent.file_call(kind, payload)
    assert agent.read_file(top + "/x") == b"old\n" and not (tmp_path / "y").exists()


# ---- without unnamed files ---------------------------------------------------


def without_unnamed_files(agent):
    """The third openat of a WRITE is that of the unnamed file."""
    return Fault(agent.worker_pids()[0], "openat", "error=EOPNOTSUPP", when=3)


@pytest.mark.parametrize("there", [False, True])
def test_where_there_are_no_unnamed_files_a_named_one_takes_the_bytes(start_agent, tmp_path, there):
    agent = start_agent("--workers=1", "--reserved=0")
    if there:
        (tmp_path / "x").write_bytes(b"old")
    with without_unnamed_files(agent):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
        conn.send(codec.FILE_DATA, b"new" * 50000)
        conn.send(codec.FILE_DATA, b"end")
        wait_until(lambda: litter(tmp_path), message="a named file")
        conn.send(codec.FILE_DONE)
        conn.expect(codec.FILE_ACK)
        conn.close()
    assert (tmp_path / "x").read_bytes() == b"new" * 50000 + b"end"
    assert os.listdir(tmp_path) == ["x"]


def test_a_named_one_is_gone_when_the_upload_breaks_off(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "x").write_bytes(b"old")
    with without_unnamed_files(agent):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
        conn.send(codec.FILE_DATA, b"new")
        wait_until(lambda: len(os.listdir(tmp_path)) == 2, message="a named file")
        name = litter(tmp_path)[0]
        assert os.path.basename(name).startswith(".vmm-guest-0-")
        conn.close()
        wait_until(lambda: os.listdir(tmp_path) == ["x"], message="no named file")
    assert (tmp_path / "x").read_bytes() == b"old"


# ---- user --------------------------------------------------------------------


@pytest.fixture
def yard():
    """A directory that a user can get to, as pytest's own are root's alone."""
    path = tempfile.mkdtemp(prefix="vga-yard-", dir="/tmp")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def owned(path, mode=0o755, content=None):
    """Makes PATH, nobody's: a directory, or a file with CONTENT."""
    if content is None:
        os.mkdir(path)
    else:
        with open(path, "wb") as f:
            f.write(content)
    os.chmod(path, mode)
    os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


def test_a_user_s_new_file_and_parents_are_the_user_s(agent, yard):
    owned(yard + "/home")
    agent.write_file(yard + "/home/a/b/x", b"mine", user="nobody")
    for name in ("a", "a/b", "a/b/x"):
        found = os.stat(yard + "/home/" + name)
        assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert agent.read_file(yard + "/home/a/b/x", user="nobody") == b"mine"


def test_a_user_may_not_write_where_the_kernel_says_no(agent, yard):
    os.mkdir(yard + "/root")
    with pytest.raises(FileError, match="^EACCES: %s/root/x$" % yard):
        agent.write_file(yard + "/root/x", b"x", user="nobody")
    with pytest.raises(FileError, match="^EACCES: /root/x$"):
        agent.write_file("/root/x", b"x", user="nobody")
    assert os.listdir(yard + "/root") == []


def test_a_user_may_not_read_where_the_kernel_says_no(agent):
    with pytest.raises(FileError, match="^EACCES: /etc/shadow$"):
        agent.read_file("/etc/shadow", user="nobody")
    assert agent.read_file("/etc/passwd", user="nobody")


def test_a_user_s_own_file_is_replaced_and_stays_the_user_s(agent, yard):
    owned(yard + "/home")
    owned(yard + "/home/x", 0o640, b"old")
    inode = os.stat(yard + "/home/x").st_ino
    agent.write_file(yard + "/home/x", b"new", user="nobody")
    found = os.stat(yard + "/home/x")
    assert found.st_uid == NOBODY.pw_uid and stat.S_IMODE(found.st_mode) == 0o640
    assert found.st_ino != inode and agent.read_file(yard + "/home/x") == b"new"


def test_a_file_that_the_user_may_not_write_is_not_replaced_in_his_own_directory(agent, yard):
    owned(yard + "/home")
    with open(yard + "/home/x", "wb") as f:
        f.write(b"root's")
    with pytest.raises(FileError, match="^EACCES: "):
        agent.write_file(yard + "/home/x", b"new", user="nobody")
    assert agent.read_file(yard + "/home/x") == b"root's"


def test_a_file_he_may_write_in_a_directory_he_may_not_is_written_in_place(agent, yard):
    owned(yard + "/x", 0o644, b"old and longer")
    inode = os.stat(yard + "/x").st_ino
    agent.write_file(yard + "/x", b"new", user="nobody")
    assert os.stat(yard + "/x").st_ino == inode and agent.read_file(yard + "/x") == b"new"


def test_a_file_whose_owner_would_change_is_written_in_place(agent, yard):
    owned(yard + "/home")
    with open(yard + "/home/x", "wb") as f:
        f.write(b"root's, but open to all")
    os.chmod(yard + "/home/x", 0o666)
    inode = os.stat(yard + "/home/x").st_ino
    agent.write_file(yard + "/home/x", b"new", user="nobody")
    found = os.stat(yard + "/home/x")
    assert found.st_ino == inode and found.st_uid == 0 and agent.read_file(yard + "/home/x") == b"new"
    assert litter(yard) == []


def test_a_user_that_is_not_there_is_an_error_that_names_it(agent, yard):
    for call in (lambda: agent.write_file(yard + "/x", b"x", user="no-such-user"),
                 lambda: agent.read_file("/etc/passwd", user="no-such-user")):
        with pytest.raises(FileError, match="^EINVAL: .*no-such-user"):
            call()
    assert os.listdir(yard) == []


def test_the_worker_has_its_own_rights_back_after_a_user(start_agent, yard):
    agent = start_agent("--workers=1", "--reserved=0")
    for user in ("nobody", "daemon:1234", "54321:4321"):
        with pytest.raises(FileError):
            agent.read_file("/etc/shadow", user=user)
        assert agent.read_file("/etc/shadow")
        agent.write_file(yard + "/x", b"root again")
        assert os.stat(yard + "/x").st_uid == 0 and os.stat(yard + "/x").st_gid == 0
        with open("/proc/%d/status" % agent.worker_pids()[0]) as f:
            lines = dict(line.split(":", 1) for line in f)
        assert lines["Uid"].split() == ["0"] * 4 and lines["Gid"].split() == ["0"] * 4
        os.unlink(yard + "/x")


def test_a_user_s_groups_count(agent, yard):
    os.mkdir(yard + "/shared")
    os.chown(yard + "/shared", 0, 4321)
    os.chmod(yard + "/shared", 0o2770)
    agent.write_file(yard + "/shared/x", b"1", user="54321:4321")
    assert (os.stat(yard + "/shared/x").st_uid, os.stat(yard + "/shared/x").st_gid) == (54321, 4321)
    with pytest.raises(FileError, match="^EACCES: "):
        agent.write_file(yard + "/shared/y", b"1", user="54321:1")
