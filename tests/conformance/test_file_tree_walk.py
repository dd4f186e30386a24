# SPDX-License-Identifier: MIT
"""TREE: all that is at a path, told in one answer."""

import base64
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading

import pytest

import codec
from agent import FileError, wait_until, wait_until_waiting
from faults import Fault, mounted
from traces import Trace

MIB = 1024 * 1024
FUSE_CHAIN = str(pathlib.Path(__file__).with_name("fuse_chain.py"))

RENAME_EXCHANGE = 2


class Tree:
    """An answer, taken apart; what the contract says of each is looked at on the way."""

    def __init__(self, frames, root):
        self.frames, self.root = frames, os.fsencode(str(root))
        self.entries, self.errors, self.bytes, self.holes = {}, {}, {}, {}
        self.order = []
        open_file = None
        for frame in frames:
            if frame.type == codec.FILE_STAT and "hole" in frame.json():
                hole = frame.json()["hole"]
                assert frame.json() == {"hole": hole} and hole > 0
                self.holes.setdefault(open_file, []).append((len(self.bytes[open_file]), hole))
                self.bytes[open_file] += bytes(hole)
            elif frame.type == codec.FILE_STAT:
                entry = frame.json()
                path = raw(entry, "path")
                if "error" in entry:
                    assert entry.keys() - {"path_b64"} == {"path", "error"}
                    assert open_file in (None, path)
                    self.errors.setdefault(path, []).append(entry["error"])
                    open_file = None
                    continue
                assert open_file is None and path not in self.entries and "name" not in entry
                assert path == b"" or os.path.dirname(path) in self.entries, "a parent comes first: %r" % path
                assert 0 not in (entry.get("uid"), entry.get("gid")) and entry.get("nlink") != 1
                assert ("symlink_target" in entry) == (entry["kind"] == "symlink")
                self.entries[path] = dict({"uid": 0, "gid": 0, "nlink": 1}, **entry)
                self.order.append(path)
                if entry["kind"] == "file":
                    open_file, self.bytes[path] = path, b""
            elif frame.type == codec.FILE_DATA:
                self.bytes[open_file] += frame.payload
            elif frame.type == codec.FILE_DONE:
                assert len(self.bytes[open_file]) == self.entries[open_file]["size"]
                open_file = None
        assert open_file is None

    def is_as(self, path):
        """Whether the entry at PATH is what is there."""
        entry, there = self.entries[path], os.lstat(os.path.join(self.root, path) if path else self.root)
        kind = {0o040: "dir", 0o100: "file", 0o120: "symlink"}.get(there.st_mode >> 9 & ~7, "other")
        return entry == dict(entry, kind=kind, mode=there.st_mode & 0o7777, uid=there.st_uid, gid=there.st_gid,
                             mtime_secs=there.st_mtime_ns // 10**9, mtime_nanos=there.st_mtime_ns % 10**9,
                             dev=there.st_dev, ino=there.st_ino, nlink=there.st_nlink,
                             size=there.st_size if kind == "file" else 0)


def raw(entry, member):
    """The bytes of a name."""
    if member + "_b64" not in entry:
        assert "\ufffd" not in entry[member]
        return entry[member].encode()
    name = base64.b64decode(entry[member + "_b64"], validate=True)
    assert name.decode(errors="replace").count("\ufffd") <= entry[member].count("\ufffd") > 0
    return name


def tree(agent, path, **members):
    frames = agent.file_request(codec.FILE_TREE_REQ, dict(members, path=str(path)))
    if frames[-1].type == codec.FILE_ERR:
        raise FileError(frames[-1].payload.decode())
    assert frames[-1].type == codec.FILE_ACK
    return Tree(frames[:-1], path)


def memory(pid, name):
    """A line of /proc/PID/status in KiB."""
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name + ":"))


def all_below(root):
    """The paths below ROOT, and itself, as TREE names them."""
    root = os.fsencode(str(root))
    found = {b""}
    for where, directories, files in os.walk(root):
        found |= {os.path.relpath(os.path.join(where, name), root) for name in directories + files}
    return found


@pytest.fixture
def garden(tmp_path):
    """One of each kind."""
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/f").write_bytes(b"hello")
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(os.urandom(700001))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "fifo")
    os.link(tmp_path / "a/f", tmp_path / "a/b/other name")
    os.chmod(tmp_path / "a/f", 0o4751)
    os.chown(tmp_path / "empty", 12, 34)
    os.utime(tmp_path / "a/b", ns=(1, 1234567890123456789))
    return tmp_path


def test_all_of_a_tree_is_told_as_it_is(agent, garden):
    came = tree(agent, garden)
    assert set(came.entries) == all_below(garden) and came.errors == {} and came.holes == {}
    assert all(came.is_as(path) for path in came.entries)
    for path, content in came.bytes.items():
        assert content == open(os.path.join(os.fsencode(garden), path), "rb").read(), path
    assert came.entries[b"link"]["symlink_target"] == "a"
    assert came.entries[b"dangling"]["symlink_target"] == "/nowhere/at/all"
    assert came.entries[b"a/f"]["ino"] == came.entries[b"a/b/other name"]["ino"]
    assert came.order[0] == b""


def in_the_order_of(directory, path=b""):
    """The paths below DIRECTORY, each before what is in it, as readdir(3) has them."""
    yield path
    for entry in os.scandir(directory):
        below = os.path.join(path, os.fsencode(entry.name))
        if entry.is_dir(follow_symlinks=False):
            yield from in_the_order_of(entry.path, below)
        else:
            yield below


def test_what_is_in_a_directory_comes_behind_it_in_its_own_order(agent, garden):
    for number in range(30):
        (garden / "a/b" / ("%d" % (number * 7 % 30))).touch()
        (garden / ("%d" % (number * 11 % 30))).mkdir()
        (garden / ("%d/in" % (number * 11 % 30))).touch()
    assert tree(agent, garden).order == list(in_the_order_of(garden))


@pytest.mark.parametrize("name,kind", [("a/f", "file"), ("empty", "file"), ("fifo", "other"), ("link", "symlink"),
                                       ("dangling", "symlink"), ("a/b/c", "dir")])
def test_what_is_not_a_full_directory_is_one_entry(agent, garden, name, kind):
    came = tree(agent, garden / name)
    assert list(came.entries) == [b""] and came.is_as(b"") and came.entries[b""]["kind"] == kind
    assert came.bytes.get(b"") == ((garden / name).read_bytes() if kind == "file" else None)


def test_a_link_with_a_slash_behind_it_is_the_directory(agent, garden):
    assert set(tree(agent, str(garden / "link") + "/").entries) == all_below(garden / "a")


def test_what_is_not_there_is_file_err(agent, garden):
    with pytest.raises(FileError, match="^ENOENT: %s/nope$" % garden):
        tree(agent, garden / "nope")
    with pytest.raises(FileError, match="^ENOTDIR: "):
        tree(agent, garden / "a/f/x")
    with pytest.raises(FileError, match="^EINVAL: member 'max_entries'"):
        tree(agent, garden, max_entries=-1)


def test_names_and_targets_that_are_not_utf8_are_told_byte_by_byte(agent, tmp_path):
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(odd)
    with open(odd + b"/\xc3\n\x01\"", "wb") as f:
        f.write(b"x")
    os.symlink(b"../\xe2\x82", odd + b"/l")
    came = tree(agent, tmp_path)
    assert set(came.entries) == all_below(tmp_path)
    assert raw(came.entries[b"\xff\xfe/l"], "symlink_target") == b"../\xe2\x82"
    assert came.bytes[b"\xff\xfe/\xc3\n\x01\""] == b"x"


@pytest.mark.parametrize("most", [0, 1, 5, 8])
def test_more_entries_than_the_host_wants_are_e2big_behind_so_many(agent, garden, most):
    frames = agent.file_request(codec.FILE_TREE_REQ, {"path": str(garden), "max_entries": most})
    assert frames[-1].type == codec.FILE_ERR and frames[-1].payload.decode().startswith("E2BIG: %s: " % garden)
    assert len(Tree(frames[:-1], garden).entries) == most


def test_as_many_entries_as_the_host_wants_are_no_error(agent, garden):
    assert len(tree(agent, garden, max_entries=len(all_below(garden))).entries) == len(all_below(garden))


# ---- what a file has in it -----------------------------------------------------


@pytest.mark.parametrize("size", [1, 4096, 32767, 65535, 65536, 65537, 262144, 5 * MIB + 3])
def test_a_file_of_any_size_comes_whole(agent, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    (tmp_path / "y").write_bytes(b"behind")
    assert tree(agent, tmp_path).bytes == {b"x": data, b"y": b"behind"}


@pytest.mark.parametrize("runs", [[], [0], [3], [7], [0, 7], [1, 2, 5]])
@pytest.mark.parametrize("tail", [0, 5])
def test_holes_are_told_and_not_sent(agent, tmp_path, runs, tail):
    """Of eight times 1 MiB these are written."""
    with open(tmp_path / "x", "wb") as f:
        for run in runs:
            f.seek(run * MIB)
            f.write(os.urandom(MIB))
        f.truncate(8 * MIB + tail)
    came = tree(agent, tmp_path)
    assert came.bytes[b"x"] == (tmp_path / "x").read_bytes()
    assert sum(hole for _, hole in came.holes[b"x"]) >= (8 - len(runs)) * MIB - MIB // 2
    sent = sum(len(frame.payload) for frame in came.frames if frame.type == codec.FILE_DATA)
    assert sent <= len(runs) * MIB + MIB // 2


def test_a_hole_of_a_tebibyte_takes_no_time(agent, tmp_path):
    with open(tmp_path / "x", "wb") as f:
        f.truncate(1 << 40)
    frames = agent.file_request(codec.FILE_TREE_REQ, {"path": str(tmp_path / "x")})
    assert [frame.type for frame in frames] == [codec.FILE_STAT, codec.FILE_STAT, codec.FILE_DONE, codec.FILE_ACK]
    assert frames[0].json()["size"] == 1 << 40 and frames[1].json() == {"hole": 1 << 40}


@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/status", "/proc/kallsyms", "/proc/sys/kernel",
                                  "/sys/kernel/mm/transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_files_of_proc_and_sys_come_though_their_size_says_otherwise(agent, path):
    frames = agent.file_request(codec.FILE_TREE_REQ, {"path": path})
    data = b"".join(frame.payload for frame in frames if frame.type == codec.FILE_DATA)
    assert data and frames[-1].type == codec.FILE_ACK
    if path in ("/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"):
        assert data == open(path, "rb").read() and frames[0].json()["size"] == len(data)
    assert not [frame for frame in frames if frame.type == codec.FILE_STAT and frame.json().get("error") == "EIO"]


@pytest.mark.parametrize("kind", ["TREE", "MOVE"])
def test_a_hole_that_appears_where_data_was_found_takes_nothing_with_it(start_agent, tmp_path, kind):
    """Whoever looks for the end of the data there finds it at its beginning: made by lseek(2) that says so."""
    agent = start_agent("--workers=1", "--reserved=0")
    data = os.urandom(MIB)
    (tmp_path / "x").write_bytes(data)
    with Fault(agent.worker_pids(), "lseek", "retval=0", when=2):
        if kind == "TREE":
            assert tree(agent, tmp_path).bytes == {b"x": data}
            return
        other = tempfile.mkdtemp(prefix="vga-tree-", dir="/dev/shm")
        try:
            agent.file_call(codec.FILE_MOVE_REQ, {"from": str(tmp_path / "x"), "to": other + "/x"})
            with open(other + "/x", "rb") as f:
                assert f.read() == data
        finally:
            shutil.rmtree(other)


class Amid:
    """A walk that stands in the middle of the one large file of a tree, as its host does not
    read: what has come of it so far. finish() has all of it."""

    SIZE = 8 * MIB

    def __init__(self, agent, root, name, **members):
        self.root, self.frames = root, []
        self.conn = agent.file_connect(codec.FILE_TREE_REQ, dict(members, path=str(root)))
        while True:
            frame = self.conn.recv()
            assert frame is not None and frame.type in (codec.FILE_STAT, codec.FILE_DATA, codec.FILE_DONE)
            self.frames.append(frame)
            if frame.type == codec.FILE_STAT and frame.json().get("path") == name:
                break

    def finish(self, last=codec.FILE_ACK):
        self.frames += self.conn.result().frames[len(self.frames):]
        assert self.frames[-1].type == last, self.frames[-1]
        return Tree([frame for frame in self.frames[:-1] if frame.type != codec.FILE_ACK], self.root)


# How much is left of it: up to the end of a frame; none of one that is under way, in which zeros
# stand for the rest; and all up to a hole, of which nobody sees that bytes were behind it.
CUTS = {"behind a frame": MIB, "amid a frame": 0, "amid a hole": Amid.SIZE + MIB}


@pytest.mark.parametrize("where", CUTS)
def test_a_file_that_is_cut_is_closed_by_eio_and_the_rest_comes(start_agent, tmp_path, where):
    agent = start_agent("--workers=1", "--reserved=0")
    workers = wait_until(agent.worker_pids, message="a worker")
    (tmp_path / "large").write_bytes(bytes(Amid.SIZE))
    if where == "amid a hole":
        with open(tmp_path / "large", "r+b") as f:
            f.seek(2 * Amid.SIZE)
            f.write(bytes(MIB))
    for i in range(20):
        (tmp_path / ("%d" % i)).write_bytes(b"small")
    walk = Amid(agent, tmp_path, "large", more=True)
    wait_until_waiting(lambda: workers)
    os.truncate(tmp_path / "large", CUTS[where])
    walk.conn.send(codec.FILE_STAT_REQ, {"path": "/", "more": False})
    came = walk.finish(codec.FILE_STAT)
    assert came.errors == {b"large": ["EIO"]} and agent.worker_pids() == workers
    assert CUTS[where] <= len(came.bytes[b"large"]) <= came.entries[b"large"]["size"]
    assert [came.bytes[b"%d" % i] for i in range(20)] == [b"small"] * 20


def test_a_file_that_grows_comes_as_long_as_it_was_said_to_be(agent, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * Amid.SIZE)
    walk = Amid(agent, tmp_path, "large")
    with open(tmp_path / "large", "ab") as f:
        f.write(b"y" * MIB)
    came = walk.finish()
    assert came.errors == {} and came.bytes[b"large"] == b"x" * Amid.SIZE


@pytest.mark.parametrize("sizes", [(0, 10, 60000, 100), (1, 70000, 100, 100000)])
def test_what_is_told_of_a_file_that_changes_all_the_time_agrees_with_its_bytes(agent, tmp_path, sizes):
    """Tree looks at that; a file is as it was at one moment, or shorter."""
    path = str(tmp_path / "x")
    ended = threading.Event()

    def change():
        while not ended.is_set():
            for size in sizes:
                with open(path, "ab") as f:
                    f.truncate(size)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(100):
            assert tree(agent, tmp_path).errors.keys() <= {b"x"}
    finally:
        ended.set()
        writer.join()


# ---- trees of any shape ----------------------------------------------------------


class Chain:
    """A tree of directories in directories; each level has a file, and an empty directory,
    beside the next one."""

    def __init__(self, root, depth, name="d"):
        self.paths = {b""}
        fd, path = os.open(root, os.O_RDONLY), b""
        for level in range(depth):
            for other in ("1", "2", name):
                if other == "1":
                    os.close(os.open(other, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
                else:
                    os.mkdir(other, dir_fd=fd)
                self.paths.add(os.path.join(path, other.encode()))
            path = os.path.join(path, name.encode())
            below = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(fd)


@pytest.fixture
def deep(tmp_path):
    """A directory for trees that are too deep for who clears up behind tests."""
    (tmp_path / "root").mkdir()
    yield tmp_path / "root"
    subprocess.run(["rm", "-rf", tmp_path / "root"], check=True)


@pytest.mark.parametrize("depth,name", [(15, "d"), (16, "d"), (17, "d"), (40, "d"), (300, "n" * 12)])
def test_a_deep_tree_is_told_whole(agent, deep, depth, name):
    chain = Chain(deep, depth, name)
    came = tree(agent, deep)
    assert set(came.entries) == chain.paths and came.errors == {}


def test_what_can_t_be_named_in_4095_bytes_is_told_once_and_left_out(agent, deep):
    chain = Chain(deep, 60, "n" * 99)     # 41 directories and their slashes are 4099
    fd = os.open(deep, os.O_PATH)
    for _ in range(40):
        above, fd = fd, os.open("n" * 99, os.O_PATH, dir_fd=fd)
        os.close(above)
    for other in "abc":
        os.mkdir(other * 99, dir_fd=fd)
    os.close(fd)
    came = tree(agent, deep)
    assert set(came.entries) == {path for path in chain.paths if len(path) <= 4095}
    assert came.errors == {b"/".join([b"n" * 99] * 40): ["ENAMETOOLONG"]}


@pytest.mark.plain_build     # a sanitizer keeps what was freed
def test_neither_depth_nor_width_of_a_tree_takes_memory_that_stays(start_agent, deep):
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    tree(agent, deep)
    peak, before = memory(pid, "VmHWM"), memory(pid, "RssAnon")
    Chain(deep, 1000)
    (deep / "wide").mkdir()
    for i in range(20000):
        (deep / "wide" / ("a-file-of-many-%d" % i)).touch()
    frames = agent.file_request(codec.FILE_TREE_REQ, {"path": str(deep)})
    assert frames[-1].type == codec.FILE_ACK and len(frames) > 20000 + 3 * 1000
    # What is sent at once takes its buffer, 256 KiB, only where the host is slow; all names are 1 MiB and more.
    assert memory(pid, "VmHWM") < peak + 1024 and memory(pid, "RssAnon") < before + 512
    assert agent.worker_pids() == [pid]


def test_the_frames_of_many_small_files_go_by_few_calls(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    for i in range(1000):
        (tmp_path / ("%03d" % i)).write_bytes(b"x" * 100)
    with Trace(pid, "sendto,sendmsg,write,writev,sendfile") as trace:
        came = tree(agent, tmp_path)
    sent = sum(len(frame.payload) + 5 for frame in came.frames)
    assert len(came.entries) == 1001 and len(trace.calls()[pid]) < 10 + 2 * sent // 32768


def test_the_way_through_proc_is_gone_once_a_tree_and_not_for_each_file(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    for i in range(50):
        (tmp_path / str(i)).write_text("few bytes")
    with Trace(pid, "openat") as trace:
        assert len(tree(agent, tmp_path).entries) == 51
    assert len([call for call in trace.calls()[pid] if "self" in call]) == 1


# ---- what fails, and who means no good ----------------------------------------------


def test_what_a_user_may_not_read_is_told_and_the_rest_comes(agent, public_dir):
    (public_dir / "open").write_bytes(b"x")
    (public_dir / "shut").write_bytes(b"secret")
    (public_dir / "closed/in").mkdir(parents=True)
    os.chmod(public_dir / "shut", 0o600)
    os.chmod(public_dir / "closed", 0o700)
    came = tree(agent, public_dir, user="nobody")
    assert came.errors == {b"shut": ["EACCES"], b"closed": ["EACCES"]}
    assert set(came.entries) == {b"", b"open", b"closed"} and came.bytes == {b"open": b"x"}
    for name in ("shut", "closed"):
        with pytest.raises(FileError, match="^EACCES: %s/%s$" % (public_dir, name)):
            tree(agent, public_dir / name, user="nobody")
    with pytest.raises(FileError, match="^EINVAL: user 'nope-x'"):
        tree(agent, public_dir, user="nope-x")


@pytest.mark.parametrize("end", ["ACK", "E2BIG", "EACCES", "the host goes"])
def test_the_user_s_rights_are_given_back_however_it_ends(start_agent, public_dir, end):
    agent = start_agent("--workers=1", "--reserved=0")
    (public_dir / "shut").mkdir(mode=0o700)
    (public_dir / "large").write_bytes(bytes(Amid.SIZE))
    [pid] = agent.worker_pids()
    path = public_dir / ("shut" if end == "EACCES" else "large")
    if end == "the host goes":
        walk = Amid(agent, path, "", user="nobody")
        with open("/proc/%d/status" % pid) as f:
            assert "Uid:\t0\t65534\t0\t65534\n" in f.read()
        walk.conn.close()
    else:
        frames = agent.file_request(codec.FILE_TREE_REQ, {
            "path": str(path), "user": "nobody", "max_entries": 0 if end == "E2BIG" else 9})
        assert frames[-1].type == (codec.FILE_ACK if end == "ACK" else codec.FILE_ERR)
    frame, = agent.file_request(codec.FILE_LIST_REQ, {"path": str(public_dir / "shut")})
    assert frame.type == codec.FILE_LIST and agent.worker_pids() == [pid]


@pytest.mark.parametrize("call,when,told", [("getdents64", 3, "EIO"), ("fstat,newfstatat", 6, "EIO"), ("pread64", 2, "EIO")])
def test_what_a_file_system_says_of_an_entry_is_told_and_the_rest_comes(start_agent, tmp_path, call, when, told):
    agent = start_agent("--workers=1", "--reserved=0")
    [pid] = agent.worker_pids()
    for d in range(4):
        (tmp_path / ("%d" % d)).mkdir()
        (tmp_path / ("%d/f" % d)).write_bytes(b"x")
    with Fault(pid, call, "error=EIO", when):
        came = tree(agent, tmp_path)
    assert [errors for errors in came.errors.values()] == [[told]]
    assert len(came.entries) >= 7 and agent.worker_pids() == [pid]


def test_what_has_gone_since_its_name_was_read_is_left_out(agent, tmp_path):
    for i in range(40):
        (tmp_path / ("%d" % i)).write_bytes(b"small")
    first, *others = os.listdir(tmp_path)
    (tmp_path / first).write_bytes(bytes(Amid.SIZE))
    walk = Amid(agent, tmp_path, first)
    for name in others:
        (tmp_path / name).unlink()
    came = walk.finish()
    assert came.order == [b"", os.fsencode(first)] and came.errors == {}


def test_a_file_that_another_holds_a_lease_on_is_not_waited_for(agent, tmp_path):
    for name in "leased", "other":
        (tmp_path / name).write_bytes(b"x")
    fd = os.open(tmp_path / "leased", os.O_RDWR)
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        came = tree(agent, tmp_path)
    finally:
        os.close(fd)
        signal.signal(signal.SIGIO, before)
    assert came.errors == {b"leased": ["EAGAIN"]} and came.bytes == {b"other": b"x"}


def test_devices_and_sockets_are_told_of_and_never_opened(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    os.mkfifo(tmp_path / "fifo")
    os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
    os.mknod(tmp_path / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with Trace(agent.worker_pids(), "open,openat") as trace:
            came = tree(agent, tmp_path)
    assert {e["kind"] for path, e in came.entries.items() if path} == {"other"} and len(came.entries) == 5
    assert {path: e.get("type") for path, e in came.entries.items()} == {
        b"": None, b"fifo": "fifo", b"disk": "block", b"null": "char", b"socket": "socket"}
    opened = [call for calls in trace.calls().values() for call in calls]
    assert len(opened) >= 5 and all("O_PATH" in call or "O_DIRECTORY" in call for call in opened)


DEEP = "d/" * 20


@pytest.mark.parametrize("swapped", ["d", "d/d/d", DEEP + "d"])
@pytest.mark.parametrize("by", ["nothing", "a link", "another directory"])
@pytest.mark.parametrize("twice", [False, True])
def test_who_moves_directories_away_can_t_lead_the_walk_elsewhere(agent, tmp_path, swapped, by, twice):
    """While it is in the 23rd of 24: those that far up were closed, and are looked up again."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    secret.mkdir()
    paths = Chain(root, 24).paths | {os.fsencode(DEEP) + b"d/d/d/large"}
    Chain(secret, 24)
    (secret / "key").write_bytes(b"secret")
    for level in ("d/" * i + "key" for i in range(20)):
        (secret / level).write_bytes(b"secret")
    (root / DEEP / "d/d/d/large").write_bytes(bytes(Amid.SIZE))
    walk = Amid(agent, root, DEEP + "d/d/d/large")
    if twice:
        os.rename(root / swapped / "d/d", tmp_path / "moved too")
    os.rename(root / swapped, tmp_path / "moved")
    if by == "a link":
        (root / swapped).symlink_to(secret)
    elif by == "another directory":
        os.rename(secret, root / swapped)
    came = walk.finish()
    # What it is in is told to its end, wherever that is now; of what stands in its place, nothing.
    assert not any(path.endswith(b"key") for path in came.entries) and b"secret" not in came.bytes.values()
    if not twice or swapped.startswith(DEEP):
        assert came.errors == {} and set(came.entries) == paths
    else:
        # Of two there is no way back to the upper one.
        lost = {os.fsencode(swapped), os.fsencode(swapped) + b"/d"}
        assert set(came.errors) == lost
        assert {error for errors in came.errors.values() for error in errors} <= {"ENOENT", "ENOTDIR", "ELOOP", "ESTALE"}
        assert all(os.path.dirname(path) in lost for path in paths - set(came.entries))


def test_a_directory_that_is_swapped_for_a_link_all_the_time_is_never_followed(agent, tmp_path):
    root, secret = tmp_path / "root", tmp_path / "secret"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/f").write_bytes(b"mine")
    (secret / "b").mkdir(parents=True)
    (secret / "f").write_bytes(b"secret")
    (secret / "b/f").write_bytes(b"secret")
    (root / "link").symlink_to(secret)
    ended = threading.Event()

    def swap():
        libc = ctypes.CDLL(None, use_errno=True)
        pairs = [(b"a", b"link"), (b"a/b", b"link")]
        while not ended.is_set():
            for one, other in pairs:
                libc.renameat2(-100, os.fsencode(root) + b"/" + one, -100, os.fsencode(root) + b"/" + other, RENAME_EXCHANGE)
                libc.renameat2(-100, os.fsencode(root) + b"/" + one, -100, os.fsencode(root) + b"/" + other, RENAME_EXCHANGE)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for _ in range(200):
            came = Tree(agent.file_request(codec.FILE_TREE_REQ, {"path": str(root)}), root)
            assert b"secret" not in came.bytes.values()
    finally:
        ended.set()
        attacker.join()


@pytest.mark.parametrize("one", [None, True, False])
def test_another_file_system_is_entered_only_if_the_host_wants_it(start_agent, monkeypatch, tmp_path, one):
    (tmp_path / "root/other").mkdir(parents=True)
    (tmp_path / "root/beside").touch()
    mounted(monkeypatch, tmp_path, "mount -t tmpfs none $D/root/other; echo x >$D/root/other/in")
    agent = start_agent("--workers=2")
    came = tree(agent, tmp_path / "root", **({} if one is None else {"one_file_system": one}))
    assert set(came.entries) == {b"", b"beside", b"other"} | (set() if one is not False else {b"other/in"})
    assert came.entries[b"other"]["dev"] != came.entries[b""]["dev"] and came.errors == {}
    assert set(tree(agent, tmp_path / "root/other").entries) == {b"", b"in"}


def test_names_that_are_longer_than_elsewhere_are_looked_up_again_whole(start_agent, monkeypatch, tmp_path):
    """Where there is no way back to a directory, the names are looked up that led to it."""
    (tmp_path / "root").mkdir()
    mounted(monkeypatch, tmp_path, ":")
    agent = start_agent("--workers=1", "--reserved=0")
    workers = agent.worker_pids()
    names = ["n" * 1000] + ["d"] * 24
    server = subprocess.Popen(["nsenter", "-m", "-t", str(agent.pid), sys.executable, FUSE_CHAIN, tmp_path / "root", *names],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"up\n"
        came = tree(agent, tmp_path / "root")
        assert set(came.entries) == {"/".join(names[:i]).encode() for i in range(len(names) + 1)}
        assert set(map(tuple, came.errors.values())) == {("ESTALE",)} and agent.worker_pids() == workers
    finally:
        server.communicate(timeout=20)


# ---- among others --------------------------------------------------------------------


def test_another_request_may_follow_on_the_connection(agent, garden):
    ask = {"path": str(garden), "more": True}
    conn = agent.file_connect(codec.FILE_TREE_REQ, ask)
    conn.send_raw(codec.encode(codec.FILE_TREE_REQ, dict(ask, max_entries=2)) +
                  codec.encode(codec.FILE_STAT_REQ, {"path": str(garden)}))
    frames = conn.result().frames
    ends = [i for i, frame in enumerate(frames) if frame.type in (codec.FILE_ACK, codec.FILE_ERR)]
    assert [frames[i].type for i in ends] == [codec.FILE_ACK, codec.FILE_ERR]
    assert set(Tree(frames[:ends[0]], garden).entries) == all_below(garden)
    assert len(Tree(frames[ends[0] + 1:ends[1]], garden).entries) == 2
    assert [frame.type for frame in frames[ends[1] + 1:]] == [codec.FILE_STAT]


def test_a_host_that_takes_nothing_is_given_up_after_the_stall_timeout(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    (tmp_path / "large").write_bytes(bytes(Amid.SIZE))
    walk = Amid(agent, tmp_path, "large")
    wait_until(lambda: agent.status()["workers"]["file"] == 0, message="the place back")
    walk.conn.close()


def test_status_shows_it(agent, tmp_path):
    (tmp_path / "large").write_bytes(bytes(Amid.SIZE))
    walk = Amid(agent, tmp_path, "large")
    [slot] = [slot for slot in agent.status()["slots"] if slot["kind"] == "tree"]
    assert slot["command"] == str(tmp_path)
    walk.finish()


def test_at_the_end_of_the_agent_it_stops_before_the_next_entry_and_says_so(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    for d in range(3):
        (tmp_path / ("%d" % d)).mkdir()
        (tmp_path / ("%d/large" % d)).write_bytes(bytes(Amid.SIZE))
    first = next(os.scandir(tmp_path)).name
    walk = Amid(agent, tmp_path, first + "/large")
    [slot] = [slot for slot in agent.status()["slots"] if slot["kind"] == "tree"]
    os.kill(slot["pid"], signal.SIGTERM)
    came = walk.finish(codec.FILE_ERR)
    assert walk.frames[-1].payload.decode() == "ECANCELED: %s" % tmp_path
    assert list(came.bytes) == [os.fsencode(first) + b"/large"] and came.errors == {}


@pytest.mark.kills_workers
def test_a_worker_that_is_killed_between_frames_leaves_its_host_with_file_err(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    for d in range(300):
        (tmp_path / ("%d" % d)).write_bytes(b"x" * 1000)
    with Fault(agent.worker_pids(), "pread64", "signal=SIGKILL", when=250):
        frames = agent.file_request(codec.FILE_TREE_REQ, {"path": str(tmp_path)})
    assert frames[-1].payload == b"EIO: worker lost" and frames[-1].type == codec.FILE_ERR
    assert len([frame for frame in frames if frame.type == codec.FILE_DONE]) > 100
