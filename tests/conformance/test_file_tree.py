# SPDX-License-Identifier: MIT
"""MKDIR, REMOVE and MOVE, on trees made to hurt."""

import os
import shutil
import tempfile
import threading
import time

import pytest

import codec
from agent import FileError, together, wait_until
from faults import Fault, inside, litter, mode_of, mounted


def mkdir(agent, path, **members):
    assert agent.file_call(codec.FILE_MKDIR_REQ, dict(members, path=str(path))).type == codec.FILE_ACK


def remove(agent, path, recursive=False, **more):
    frame = agent.file_call(codec.FILE_REMOVE_REQ, {"path": str(path), "recursive": recursive}, **more)
    assert frame.type == codec.FILE_ACK


def move(agent, old, new):
    frame = agent.file_call(codec.FILE_MOVE_REQ, {"from": str(old), "to": str(new)})
    assert frame.type == codec.FILE_ACK


@pytest.fixture
def other():
    """A directory on another file system than tmp_path."""
    path = tempfile.mkdtemp(prefix="vga-move-", dir="/dev/shm")
    yield path
    shutil.rmtree(path)


# ---- MKDIR -------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o700, 0o777, 0o1777, 0o2775, 0o6711, 0o001])
def test_a_directory_is_made_with_exactly_the_mode(agent, tmp_path, mode):
    mkdir(agent, tmp_path / "d", mode=mode)
    assert mode_of(tmp_path / "d") == mode


@pytest.mark.parametrize("members", [{}, {"mode": 0}])
def test_mode_0_means_0755(agent, tmp_path, members):
    mkdir(agent, tmp_path / "d", **members)
    assert mode_of(tmp_path / "d") == 0o755


def test_parents_are_made_too_with_0755(agent, tmp_path):
    mkdir(agent, tmp_path / "a/b/c/", mode=0o700)
    assert [mode_of(tmp_path / d) for d in ("a", "a/b", "a/b/c")] == [0o755, 0o755, 0o700]


def test_a_directory_that_is_there_is_no_error_and_keeps_its_mode(agent, tmp_path):
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "l").symlink_to("d")
    for name in ("d", "d/", "l", "l/", "d/.", "d/.."):
        mkdir(agent, "%s/%s" % (tmp_path, name), mode=0o777)
    mkdir(agent, "/")
    assert mode_of(tmp_path / "d") == 0o700


@pytest.mark.parametrize("kind", ["file", "dangling"])
def test_something_else_in_the_way_of_a_mkdir_is_eexist(agent, tmp_path, kind):
    if kind == "file":
        (tmp_path / "x").write_bytes(b"")
    else:
        (tmp_path / "x").symlink_to("nowhere")
    with pytest.raises(FileError, match="^EEXIST: %s/x$" % tmp_path):
        mkdir(agent, tmp_path / "x")


def refused_when_swapped(agent, kind, path, new, swap, **members):
    """The words of a request that is refused, as a guest calls SWAP between the making of the
    directory NEW and what follows it."""
    with Fault(agent.worker_pids(), "mkdir,mkdirat", "delay_exit=60000000"):
        conn = agent.file_connect(kind, {"path": str(path), **members})
        if kind == codec.FILE_WRITE_REQ:
            conn.send(codec.FILE_DATA, b"x")
            conn.send(codec.FILE_DONE)
        wait_until(new.is_dir, message="%s is made" % new)
        swap()
    frames = conn.result().frames
    assert [frame.type for frame in frames] == [codec.FILE_ERR], frames
    return frames[0].payload.decode()


@pytest.mark.parametrize("swapped", ["link", "directory"])
@pytest.mark.parametrize("members", [{"mode": 0o2777}, {"mode": 0o777, "uid": 1234}])
def test_a_directory_that_is_swapped_after_it_was_made_is_not_changed(start_agent, tmp_path, swapped, members):
    """Neither by a link that was put in its place, nor by another of root's."""
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "home").mkdir()
    victim = tmp_path / ("victim" if swapped == "link" else "home/victim")
    victim.mkdir(mode=0o700)
    new = tmp_path / "home/d"

    def swap():
        os.rename(new, tmp_path / "home/aside")
        if swapped == "link":
            new.symlink_to(victim)
        else:
            os.rename(victim, new)

    told = refused_when_swapped(agent, codec.FILE_MKDIR_REQ, new, new, swap, **members)
    assert told.startswith(("EPERM: ", "ENOTDIR: ")), told
    found = os.stat(new)
    assert (found.st_mode & 0o7777, found.st_uid) == (0o700, 0)


@pytest.mark.parametrize("kind, members", [
    (codec.FILE_MKDIR_REQ, {}), (codec.FILE_WRITE_REQ, {}), (codec.FILE_SYMLINK_REQ, {"target": "t"})])
def test_parents_are_not_made_through_a_link_that_took_a_new_one_s_place(start_agent, tmp_path, kind, members):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "victim").mkdir()
    (tmp_path / "home").mkdir()
    new = tmp_path / "home/a"

    def swap():
        os.rename(new, tmp_path / "home/aside")
        new.symlink_to(tmp_path / "victim")

    told = refused_when_swapped(agent, kind, new / "b/c/x", new, swap, **members)
    assert told == "ENOENT: %s/b/c/x" % new
    assert os.listdir(tmp_path / "victim") == []


@pytest.mark.parametrize("path", ["real/a/b/c", "link/a/b/c", "real/../link/a/b/c", "real/a/../b/c",
                                  "real//a///b/c", "real/./a/b/./c", "up/link/a/b/c"])
def test_parents_are_made_behind_links_and_dots_as_the_kernel_walks_them(agent, tmp_path, path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "up").symlink_to(tmp_path)
    mkdir(agent, "%s/%s" % (tmp_path, path), mode=0o700)
    made = tmp_path / ("real/b/c" if ".." in path and "link" not in path else "real/a/b/c")
    assert mode_of(made) == 0o700 and mode_of(made.parent) == 0o755
    assert (tmp_path / "real/a").is_dir()


def test_a_link_that_leads_nowhere_is_not_made_a_parent(agent, tmp_path):
    (tmp_path / "l").symlink_to("nowhere")
    for path in ("l/a", "l/a/b"):
        with pytest.raises(FileError, match="^ENOENT: "):
            mkdir(agent, tmp_path / path)
    assert os.listdir(tmp_path) == ["l"]


def test_many_make_the_same_parents_at_once(agent, tmp_path):
    for i in range(20):
        together([lambda n=n: mkdir(agent, tmp_path / ("%d/a/b/c/%d" % (i, n))) for n in range(4)])
        assert sorted(os.listdir(tmp_path / ("%d/a/b/c" % i))) == ["0", "1", "2", "3"]


# ---- REMOVE ------------------------------------------------------------------


def test_a_file_a_link_and_an_empty_directory_are_removed(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("d")
    for name in ("l", "f", "d"):
        remove(agent, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_directory_with_something_in_it_is_enotempty(agent, tmp_path):
    (tmp_path / "d/e").mkdir(parents=True)
    with pytest.raises(FileError, match="^ENOTEMPTY: %s/d$" % tmp_path):
        remove(agent, tmp_path / "d")
    assert (tmp_path / "d/e").is_dir()


def test_recursive_removes_a_tree_and_whatever_kinds_are_in_it(agent, tmp_path):
    top = tmp_path / "d"
    (top / "a/b/c").mkdir(parents=True)
    (top / "a/empty").mkdir()
    for i in range(3000):
        (top / "a/b" / ("f%d" % i)).write_bytes(b"")
    os.mkfifo(top / "a/fifo")
    (top / "a/b/up").symlink_to("..")
    os.close(os.open(os.fsencode(top) + b"/\xff\xfe", os.O_CREAT))
    remove(agent, top, recursive=True)
    assert os.listdir(tmp_path) == []


def test_recursive_is_fine_for_a_file_too(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    remove(agent, tmp_path / "f", recursive=True)
    assert os.listdir(tmp_path) == []


def test_recursive_never_follows_a_link(agent, tmp_path):
    (tmp_path / "keep/deep").mkdir(parents=True)
    (tmp_path / "keep/deep/x").write_bytes(b"")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/l").symlink_to(tmp_path / "keep")
    (tmp_path / "top").symlink_to("keep")
    remove(agent, tmp_path / "d", recursive=True)
    remove(agent, tmp_path / "top", recursive=True)
    assert os.listdir(tmp_path) == ["keep"] and (tmp_path / "keep/deep/x").exists()


def test_a_slash_behind_a_link_does_not_make_remove_follow_it(agent, tmp_path):
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/x").write_bytes(b"")
    (tmp_path / "l").symlink_to("keep")
    with pytest.raises(FileError, match="^ENOTDIR: "):
        remove(agent, str(tmp_path / "l") + "/", recursive=True)
    assert (tmp_path / "keep/x").exists() and (tmp_path / "l").is_symlink()


@pytest.mark.parametrize("end", ["/.", "/..", "/./", "/../"])
def test_dot_and_dot_dot_are_not_removed(agent, tmp_path, end):
    (tmp_path / "d/e").mkdir(parents=True)
    with pytest.raises(FileError, match="^E(INVAL|BUSY|NOTEMPTY): "):
        remove(agent, str(tmp_path / "d/e") + end, recursive=True)
    assert (tmp_path / "d/e").is_dir()


@pytest.mark.parametrize("path", ["/", "//"])
def test_the_root_is_not_removed(agent, path):
    with pytest.raises(FileError, match="^EBUSY: "):
        remove(agent, path, recursive=True)


def test_a_tree_of_10000_levels_is_removed(agent, other):
    """Deeper than a process may have descriptors open, or a path be long."""
    os.mkdir(other + "/d")
    fd = os.open(other + "/d", os.O_RDONLY)
    for _ in range(10000):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("f", os.O_CREAT, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove(agent, other + "/d", recursive=True, timeout=120)
    assert os.listdir(other) == []


def test_a_tree_of_more_levels_than_are_kept_in_mind_is_removed(agent, other):
    os.mkdir(other + "/d")
    fd = os.open(other + "/d", os.O_RDONLY)
    for i in range(70000):
        os.mkdir("d", dir_fd=fd)
        if i % 10000 == 0:
            os.mkdir("e", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove(agent, other + "/d", recursive=True, timeout=300)
    assert os.listdir(other) == []


def test_a_tree_that_is_deep_and_wide_at_once_is_removed(agent, tmp_path):
    (tmp_path / "d").mkdir()
    fd = os.open(tmp_path / "d", os.O_RDONLY)
    for _ in range(60):
        for i in range(10):
            os.mkdir("side%d" % i, dir_fd=fd)
            inner = os.open("side%d" % i, os.O_RDONLY, dir_fd=fd)
            os.mkdir("a", dir_fd=inner)
            os.close(os.open("a/f", os.O_CREAT, dir_fd=inner))
            os.close(inner)
        os.mkdir("deep", dir_fd=fd)
        below = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove(agent, tmp_path / "d", recursive=True)
    assert os.listdir(tmp_path) == []


def test_remove_never_leaves_the_tree_though_directories_are_swapped_for_links(agent, tmp_path):
    """A guest that swaps a directory for a link to KEEP, as fast as it can."""
    keep = tmp_path / "keep"
    for i in range(20):
        (keep / ("d%d" % i)).mkdir(parents=True)
        (keep / ("d%d/x" % i)).write_bytes(b"precious")
    stop = threading.Event()

    def swap(work):
        while not stop.is_set():
            try:
                os.rename(work / "victim", tmp_path / "aside")
                os.symlink(keep, work / "victim")
                os.unlink(work / "victim")
                os.rename(tmp_path / "aside", work / "victim")
            except OSError:
                try:
                    os.makedirs(work / "victim/sub/sub", exist_ok=True)
                except OSError:
                    pass

    for round_ in range(5):
        work = tmp_path / ("work%d" % round_)
        for i in range(10):
            (work / "victim/sub" / str(i) / "deep").mkdir(parents=True)
        stop.clear()
        swapper = threading.Thread(target=swap, args=(work,))
        swapper.start()
        try:
            for _ in range(20):
                try:
                    remove(agent, work, recursive=True)
                except FileError as error:
                    assert error.name in ("ENOTEMPTY", "ESTALE", "ENOENT", "EBUSY", "ENOTDIR"), error
        finally:
            stop.set()
            swapper.join()
        assert len(list(keep.glob("d*/x"))) == 20


def test_a_directory_that_is_filled_as_fast_as_it_is_emptied_does_not_hold_a_worker(agent, tmp_path):
    (tmp_path / "d").mkdir()
    stop = threading.Event()

    def fill():
        i = 0
        while not stop.is_set():
            try:
                os.close(os.open(tmp_path / "d" / ("f%d" % i), os.O_CREAT))
            except OSError:
                (tmp_path / "d").mkdir(exist_ok=True)
            i += 1

    filler = threading.Thread(target=fill)
    filler.start()
    try:
        conn = agent.file_connect(codec.FILE_REMOVE_REQ, {"path": str(tmp_path / "d"), "recursive": True})
        time.sleep(1)
        conn.close()
        wait_until(lambda: not any(s["kind"] == "remove" for s in agent.status()["slots"]), message="it ends")
    finally:
        stop.set()
        filler.join()


def test_a_mount_in_the_tree_is_ebusy_and_nothing_of_it_is_removed(start_agent, monkeypatch, tmp_path):
    (tmp_path / "d/mnt").mkdir(parents=True)
    mounted(monkeypatch, tmp_path, 'mount -t tmpfs none "$D/d/mnt"; touch "$D/d/mnt/precious"')
    agent = start_agent("--workers=2")
    for path in ("d", "d/mnt"):
        with pytest.raises(FileError, match="^EBUSY: "):
            remove(agent, tmp_path / path, recursive=True)
    assert os.path.exists(inside(agent, str(tmp_path / "d/mnt/precious")))


# ---- MOVE --------------------------------------------------------------------


def test_a_file_is_moved_and_what_was_there_is_replaced(agent, tmp_path):
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    move(agent, tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path) == ["b"] and (tmp_path / "b").read_bytes() == b"new"


def test_a_directory_is_moved_with_what_it_holds(agent, tmp_path):
    (tmp_path / "a/x").mkdir(parents=True)
    move(agent, tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b/x").is_dir() and not (tmp_path / "a").exists()


def test_a_link_is_moved_itself(agent, tmp_path):
    (tmp_path / "a").symlink_to("nowhere")
    (tmp_path / "target").write_bytes(b"kept")
    (tmp_path / "b").symlink_to("target")
    move(agent, tmp_path / "a", tmp_path / "b")
    assert os.readlink(tmp_path / "b") == "nowhere" and (tmp_path / "target").read_bytes() == b"kept"


def test_an_error_of_a_move_names_the_path_that_it_is_about(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "d/x").mkdir(parents=True)
    (tmp_path / "e").mkdir()
    for old, new, text in [("nope", "x", "ENOENT: %s/nope"), ("f", "no/x", "ENOENT: %s/no/x"),
                           ("e", "d", "ENOTEMPTY: %s/d"), ("f", "d", "EISDIR: %s/d")]:
        with pytest.raises(FileError) as found:
            move(agent, tmp_path / old, tmp_path / new)
        assert str(found.value) == text % tmp_path


def test_a_file_goes_to_another_file_system_with_mode_owner_and_times(agent, tmp_path, other):
    path = tmp_path / "x"
    data = os.urandom(3000001)
    path.write_bytes(data)
    os.chown(path, 1234, 4321)
    path.chmod(0o4750)
    os.utime(path, ns=(1111111111222222222, 1234567890123456789))
    move(agent, path, other + "/y")
    found = os.stat(other + "/y")
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1234, 4321, 0o4750)
    assert found.st_mtime_ns == 1234567890123456789 and found.st_atime_ns == 1111111111222222222
    with open(other + "/y", "rb") as f:
        assert f.read() == data
    assert not path.exists() and os.listdir(other) == ["y"]


def test_a_file_replaces_one_on_another_file_system_at_once(agent, tmp_path, other):
    with open(other + "/y", "wb") as f:
        f.write(b"old")
    with open(other + "/y", "rb") as reader:
        (tmp_path / "x").write_bytes(b"new")
        move(agent, tmp_path / "x", other + "/y")
        assert reader.read() == b"old"
    assert os.listdir(other) == ["y"] and os.listdir(tmp_path) == []


def test_holes_stay_holes_on_another_file_system(agent, tmp_path, other):
    with open(tmp_path / "x", "wb") as f:
        f.truncate(64 * 2**20)
        f.seek(32 * 2**20)
        f.write(b"data")
    move(agent, tmp_path / "x", other + "/y")
    found = os.stat(other + "/y")
    assert found.st_size == 64 * 2**20 and found.st_blocks * 512 < 2**20
    with open(other + "/y", "rb") as f:
        f.seek(32 * 2**20)
        assert f.read(4) == b"data"


@pytest.mark.parametrize("kind", ["dir", "link", "fifo"])
def test_anything_but_a_file_is_exdev_on_another_file_system(agent, tmp_path, other, kind):
    path = tmp_path / "x"
    {"dir": path.mkdir, "link": lambda: path.symlink_to("y"), "fifo": lambda: os.mkfifo(path)}[kind]()
    with pytest.raises(FileError, match="^EXDEV: "):
        move(agent, path, other + "/y")
    assert os.listdir(tmp_path) == ["x"] and os.listdir(other) == []


def test_a_directory_on_another_file_system_is_not_replaced_by_a_file(agent, tmp_path, other):
    (tmp_path / "x").write_bytes(b"1")
    with pytest.raises(FileError, match="^EISDIR: %s$" % other):
        move(agent, tmp_path / "x", other)
    assert (tmp_path / "x").exists()


def test_a_full_disk_in_a_move_leaves_both_as_they_were(start_agent, monkeypatch, tmp_path):
    (tmp_path / "small").mkdir()
    mounted(monkeypatch, tmp_path, 'mount -t tmpfs -o size=1M none "$D/small"; echo old > "$D/small/y"')
    agent = start_agent("--workers=2")
    (tmp_path / "x").write_bytes(bytes(4 * 2**20))
    with pytest.raises(FileError, match="^ENOSPC: "):
        move(agent, tmp_path / "x", tmp_path / "small/y")
    assert agent.read_file(str(tmp_path / "small/y")) == b"old\n"
    assert os.path.getsize(tmp_path / "x") == 4 * 2**20
    assert os.listdir(inside(agent, str(tmp_path / "small"))) == ["y"]


def test_a_rename_that_says_exdev_within_one_file_system_is_a_copy(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    (tmp_path / "x").write_bytes(b"1")
    with Fault(agent.worker_pids()[0], "/^rename", "error=EXDEV"):
        move(agent, tmp_path / "x", tmp_path / "y")
    assert os.listdir(tmp_path) == ["y"] and (tmp_path / "y").read_bytes() == b"1"
    assert litter(tmp_path) == []
