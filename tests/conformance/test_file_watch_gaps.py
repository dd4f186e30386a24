# SPDX-License-Identifier: MIT
"""WATCH of a tree that somebody makes who does not want to be watched: one directory is
left out, in words, and not the end of the watch; and a host that is slow loses nothing."""

import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time

import pytest

import codec
from agent import FileError, is_sanitized, wait_until
from faults import Fault
from traces import Trace
from watching import Stopped, Watch

NOBODY = 54321
LONG = "d" * 250


@pytest.fixture
def watch(agent, tmp_path):
    """watch(path="", **members) below tmp_path, recursive."""
    watches = []

    def begin(path="", **more):
        watches.append(Watch(agent, tmp_path, path, recursive=True, **more))
        return watches[-1]

    yield begin
    for one in watches:
        one.close()


def make_deep(top):
    """Twenty directories below TOP whose path is longer than one can be; returns the path of the
    deepest that has one, below TOP, and a descriptor of the very deepest."""
    named, path = "", str(top)
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir(LONG, dir_fd=fd)
        below = os.open(LONG, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
        path += "/" + LONG
        if len(path) < 4096:
            named += "/" + LONG
    assert len(path) > 4096
    return named, fd


# ---- paths that are too long


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_directory_deeper_than_a_path_can_be_is_left_out_and_the_rest_is_watched(
        watch, tmp_path, gaps, first):
    """Whether it is there FIRST or comes later."""
    (tmp_path / "other").mkdir()
    if first:
        named, fd = make_deep(tmp_path)
    w = watch(**({"gaps": True} if gaps else {}))
    if not first:
        named, fd = make_deep(tmp_path)
    os.close(fd)
    (tmp_path / "other/x").touch()
    events = w.until("created", "/other/x")
    if gaps:
        assert [e for e in events if e[0] == "unwatched"] == [("unwatched", named, "ENAMETOOLONG")]
    else:
        assert ("modified", named) in events
        assert {e[0] for e in events} <= {"created", "modified"}
    again = watch()
    (tmp_path / "other/y").touch()
    assert again.until("created", "/other/y")[0] == ("modified", named)


def test_what_happens_to_a_name_that_can_t_be_told_is_modified_of_its_directory(watch, tmp_path):
    top = str(tmp_path)
    name = "n" * 255
    while len(top) + 1 + len(name) < 4096:
        top += "/" + LONG
        os.mkdir(top)
    deep = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    named = top[len(str(tmp_path)):]
    w = watch(gaps=True)
    os.mknod(name, dir_fd=deep)
    os.chmod(name, 0o600, dir_fd=deep)
    os.unlink(name, dir_fd=deep)
    os.close(deep)
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [
        ("unwatched", named, "ENAMETOOLONG"), ("modified", named), ("modified", named), ("created", "/end")]


# ---- limits, and what can't be read


@pytest.mark.parametrize("error", ["ENOSPC", "ENOMEM", "EACCES", "EIO"])
def test_with_gaps_whatever_is_wrong_with_a_directory_it_alone_is_left_out(start_agent, tmp_path, error):
    agent = start_agent("--workers=1", "--reserved=0")
    w = Watch(agent, tmp_path, recursive=True, gaps=True)
    with Fault(agent.worker_pids()[0], "inotify_add_watch", "error=" + error):
        (tmp_path / "d").mkdir()
        assert w.until("unwatched", "/d") == [("created", "/d"), ("unwatched", "/d", error)]
    (tmp_path / "x").touch()
    assert w.until("created", "/x") == [("created", "/x")]
    w.close()


@pytest.mark.parametrize("error", ["EACCES", "EIO"])
def test_without_gaps_a_directory_that_can_t_be_watched_is_modified(start_agent, tmp_path, error):
    agent = start_agent("--workers=1", "--reserved=0")
    w = Watch(agent, tmp_path, recursive=True)
    with Fault(agent.worker_pids()[0], "inotify_add_watch", "error=" + error):
        (tmp_path / "d").mkdir()
        assert w.until("modified", "/d") == [("created", "/d"), ("modified", "/d")]
    (tmp_path / "x").touch()
    assert w.until("created", "/x") == [("created", "/x")]
    w.close()


def test_what_is_left_out_at_the_start_is_told_after_ack(start_agent, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    agent = start_agent("--workers=1", "--reserved=0")
    with Fault(agent.worker_pids()[0], "inotify_add_watch", "error=ENOSPC", when=5):
        w = Watch(agent, tmp_path, recursive=True, gaps=True)
        assert w.until("unwatched", "/a/b") == [("unwatched", "/a/b", "ENOSPC")]
    (tmp_path / "a/x").touch()
    assert w.until("created", "/a/x") == [("created", "/a/x")]
    w.close()


@pytest.mark.parametrize("gaps", [False, True])
def test_a_directory_that_can_t_be_read_to_its_end_is_no_silent_gap(start_agent, tmp_path, gaps):
    (tmp_path / "d").mkdir()
    agent = start_agent("--workers=1", "--reserved=0")
    with Fault(agent.worker_pids()[0], "getdents64", "error=EIO", when=3):
        w = Watch(agent, tmp_path, recursive=True, **({"gaps": True} if gaps else {}))
        (tmp_path / "x").touch()
        events = w.until("created", "/x")
    assert events[0] == (("unwatched", "/d", "EIO") if gaps else ("modified", "/d"))
    (tmp_path / "d/x").touch()
    w.until("created", "/d/x")
    w.close()


def memory_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(next(line for line in f if line.startswith("VmHWM:")).split()[1])


@pytest.fixture
def in_memory():
    """A directory of a file system that is fast."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="vga-watch-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def test_what_a_watch_holds_of_a_tree_has_a_bound_that_is_told(start_agent, in_memory):
    """More directories than may be held, with the longest names."""
    agent = start_agent("--workers=1", "--reserved=0")
    (in_memory / "a").mkdir()
    for i in range(55000):
        os.mkdir("%s/a/%06d%s" % (in_memory, i, "n" * 249))
    with pytest.raises(FileError, match="^ENOBUFS: %s: " % in_memory):
        agent.file_call(codec.FILE_WATCH_REQ, {"path": str(in_memory), "recursive": True})
    w = Watch(agent, in_memory, recursive=True, gaps=True)
    (in_memory / "x").touch()
    assert w.until("created", "/x") == [("unwatched", "/a", "ENOBUFS"), ("created", "/x")]
    assert is_sanitized() or memory_kib(agent.worker_pids()[0]) < 24 * 1024
    w.close()


# ---- directories that move while they are looked for


def test_a_directory_that_was_made_and_renamed_at_once_is_watched(agent, watch, tmp_path):
    w = watch()
    with Stopped(agent):
        (tmp_path / "t/a").mkdir(parents=True)
        (tmp_path / "t").rename(tmp_path / "u")
    w.until("renamed", "/t")
    (tmp_path / "u/a/x").touch()
    w.until("created", "/u/a/x")


def test_what_was_made_in_a_directory_before_it_was_renamed_is_watched(agent, watch, tmp_path):
    (tmp_path / "t/s").mkdir(parents=True)
    w = watch()
    with Stopped(agent):
        (tmp_path / "t/s/a/b").mkdir(parents=True)
        (tmp_path / "t").rename(tmp_path / "u")
    w.until("created", "/u/s/a/b")
    (tmp_path / "u/s/a/b/x").touch()
    w.until("created", "/u/s/a/b/x")


def test_two_directories_that_took_turns_under_one_name_are_both_watched(agent, watch, tmp_path):
    (tmp_path / "q").mkdir()
    w = watch()
    with Stopped(agent):
        (tmp_path / "p/c").mkdir(parents=True)
        (tmp_path / "p/c").rename(tmp_path / "q/c")
        (tmp_path / "p/c").mkdir()
        (tmp_path / "end").touch()
    w.until("created", "/end")
    for path in ("/q/c/x", "/p/c/x"):
        with open(str(tmp_path) + path, "w"):
            pass
        w.until("created", path)


def test_directories_that_change_places_are_told_under_their_new_paths(agent, watch, tmp_path):
    (tmp_path / "a/in").mkdir(parents=True)
    (tmp_path / "b/in").mkdir(parents=True)
    w = watch()
    with Stopped(agent):
        (tmp_path / "a").rename(tmp_path / "c")
        (tmp_path / "b").rename(tmp_path / "a")
        (tmp_path / "c").rename(tmp_path / "a/in/c")
        (tmp_path / "end").touch()
    w.until("created", "/end")
    for path in ("/a/in/c/in/x", "/a/in/y"):
        with open(str(tmp_path) + path, "w"):
            pass
        w.until("created", path)


def directories(top):
    return [d[len(str(top)):] for d, _, _ in os.walk(top)]


def rearrange(rng, inside, outside):
    """Makes, moves, brings in, takes out or removes a directory."""
    places = [str(inside) + d for d in directories(inside)]
    foreign = [str(outside) + d for d in directories(outside)]
    name = "/" + rng.choice("abcdefgh")
    place = rng.choice(places)
    what = rng.randrange(10)
    try:
        if what < 4:
            os.makedirs(place + name + "/" + "/".join(rng.choices("abcde", k=rng.randint(1, 3))))
        elif what < 8:
            os.rename(rng.choice(places[1:]), place + name)
        elif what == 8:
            os.rename(rng.choice(foreign[1:]), place + name)
        elif rng.random() < 0.7:
            os.rename(rng.choice(places[1:]), rng.choice(foreign) + name)
        else:
            shutil.rmtree(rng.choice(places[1:]))
    except (OSError, IndexError):
        pass                    # into itself, not empty, or none there


@pytest.mark.parametrize("seed", range(6))
def test_however_a_tree_is_rearranged_all_of_it_is_watched_in_the_end(agent, watch, tmp_path, seed):
    """Half of the time before the first of its events is seen."""
    rng = random.Random(seed)
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    w = watch("/in")
    for turn in range(20):
        with contextlib.ExitStack() as stack:
            if rng.random() < 0.5:
                stack.enter_context(Stopped(agent))
            for _ in range(rng.randint(1, 25)):
                rearrange(rng, inside, outside)
        (inside / ("end%d" % turn)).touch()
        w.until("created", "/in/end%d" % turn)
        expected = {"/in%s/probe%d" % (d, turn) for d in directories(inside)}
        for path in sorted(expected):
            (tmp_path / path[1:]).touch()
        (inside / ("last%d" % turn)).touch()
        told = {e[1] for e in w.until("created", "/in/last%d" % turn) if e[0] == "created"}
        assert expected <= told, "seed %d, turn %d" % (seed, turn)
        if len(expected) > 50:
            shutil.rmtree(inside / rng.choice([n for n in os.listdir(inside) if (inside / n).is_dir()]))


def test_a_top_whose_parent_was_moved_away_ends_the_watch_when_that_shows(watch, tmp_path):
    (tmp_path / "a/top").mkdir(parents=True)
    w = watch("/a/top")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "b/top/new").mkdir()
    assert w.until("removed", "/a/top") == [("created", "/a/top/new"), ("removed", "/a/top")]
    assert w.end() == "ENOENT: %s/a/top" % tmp_path


# ---- a host that is slow


def flood(tmp_path, count):
    names = ["f%05d" % i for i in range(count)]
    for name in names:
        (tmp_path / name).touch()
    return names


def test_a_host_that_does_not_read_for_the_stall_timeout_loses_no_event(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    w = Watch(agent, tmp_path)
    names = flood(tmp_path, 5000)
    time.sleep(2.5)
    (tmp_path / "end").touch()
    events = w.until("created", "/end")
    assert [e[1] for e in events if e[0] == "created"] == ["/" + n for n in names] + ["/end"]
    w.close()


def test_a_host_that_reads_too_late_is_told_that_events_are_lost(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        room = int(f.read())
    w = Watch(agent, tmp_path)
    for i in range(4):
        (tmp_path / str(i)).touch()
    for i in range(3 * room):
        os.chmod(tmp_path / str(i % 4), 0o600)
    time.sleep(2.5)
    frame = w.conn.recv()
    while frame is not None and frame.type == codec.FILE_EVENT:
        frame = w.conn.recv()
    assert frame is not None and frame.type == codec.FILE_ERR, frame
    assert frame.payload.startswith(b"EOVERFLOW: ")
    assert w.conn.recv() is None


def test_a_host_that_goes_while_it_does_not_read_ends_the_watch(agent, watch, tmp_path):
    w = watch()
    flood(tmp_path, 5000)
    wait_until(lambda: any(s["kind"] == "watch" and s["bytes_out"] > 0 for s in agent.status()["slots"]))
    w.close()
    wait_until(lambda: not any(s["kind"] == "watch" for s in agent.status()["slots"]))


@pytest.mark.ends_agent
def test_a_shutdown_ends_a_watch_whose_host_does_not_read(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    w = Watch(agent, tmp_path)
    flood(tmp_path, 5000)
    wait_until(lambda: any(s["kind"] == "watch" and s["bytes_out"] > 0 for s in agent.status()["slots"]))
    assert agent.terminate() == 0
    assert "died" not in agent.log()
    w.close()


def test_what_the_kernel_tells_at_once_is_sent_at_once(agent, watch, tmp_path):
    w = watch()
    with contextlib.ExitStack() as stack:
        with Stopped(agent) as worker:
            flood(tmp_path, 500)
            (tmp_path / "end").touch()
            trace = stack.enter_context(Trace(worker.pid, "sendto,sendmsg"))
        assert len(w.until("created", "/end")) >= 501
    assert 1 <= len(trace.calls()[worker.pid]) <= 3, trace.calls()


# ---- the rights of a user


@pytest.fixture
def tree(public_dir):
    """A directory of NOBODY's, and in it one that NOBODY may not read."""
    (public_dir / "own").mkdir()
    (public_dir / "own/secret").mkdir(mode=0o700)
    os.chown(public_dir / "own", NOBODY, NOBODY)
    return public_dir / "own"


def test_with_user_what_that_user_may_not_read_is_left_out(agent, tree):
    w = Watch(agent, tree, recursive=True, user=str(NOBODY), gaps=True)
    (tree / "secret/x").touch()
    (tree / "x").touch()
    assert w.until("created", "/x") == [("unwatched", "/secret", "EACCES"), ("created", "/x")]
    w.close()


def test_with_user_a_directory_that_appears_is_watched_with_that_user_s_rights(agent, tree):
    w = Watch(agent, tree, recursive=True, user=str(NOBODY), gaps=True)
    w.until("unwatched", "/secret")
    (tree / "more").mkdir(mode=0o700)
    w.until("unwatched", "/more")
    (tree / "mine").mkdir()
    w.until("created", "/mine")
    (tree / "mine/x").touch()
    w.until("created", "/mine/x")
    w.close()


@pytest.mark.parametrize("kind", ["dir", "file"])
def test_with_user_a_path_that_that_user_can_t_watch_is_eacces(agent, tree, kind):
    path = tree / "secret" if kind == "dir" else tree / "secret/x"
    (tree / "secret/x").touch()
    with pytest.raises(FileError, match="^EACCES: %s$" % path):
        agent.file_call(codec.FILE_WATCH_REQ, {"path": str(path), "user": str(NOBODY)})


def test_an_unknown_user_is_refused(agent, tree):
    with pytest.raises(FileError, match="^EINVAL: user 'no-such-user': "):
        agent.file_call(codec.FILE_WATCH_REQ, {"path": str(tree), "user": "no-such-user"})


def test_the_watched_user_can_t_use_up_what_his_watcher_needs(agent, tree):
    """Instances of inotify are counted by user."""
    script = "import os, ctypes, time; os.setgroups([]); os.setgid(%d); os.setuid(%d)\n" \
             "init = ctypes.CDLL(None).inotify_init1\n" \
             "while init(0) >= 0: pass\n" \
             "print('full', flush=True); time.sleep(600)" % (NOBODY, NOBODY)
    full = subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE)
    try:
        assert full.stdout.readline() == b"full\n"
        w = Watch(agent, tree, user=str(NOBODY))
        (tree / "x").touch()
        w.until("created", "/x")
        w.close()
    finally:
        full.kill()
        full.wait()


def test_after_a_watch_with_user_the_worker_has_its_own_rights(start_agent, tree):
    agent = start_agent("--workers=1", "--reserved=0")
    w = Watch(agent, tree, recursive=True, user=str(NOBODY))
    with open("/proc/%d/status" % agent.worker_pids()[0]) as f:
        status = f.read()
    assert "Uid:\t0\t0\t0\t0\n" in status and "Gid:\t0\t0\t0\t0\n" in status
    w.close()
    assert agent.file_call(codec.FILE_LIST_REQ, {"path": str(tree / "secret")}).type == codec.FILE_LIST
