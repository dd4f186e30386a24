# SPDX-License-Identifier: MIT
"""WATCH: what is told, in which order, and how a watch ends."""

import os
import shutil
import time

import pytest

import codec
from agent import FileError, wait_until
from faults import Fault
from watching import Stopped, Watch

# Places for a few who look on at once.
AGENT_OPTIONS = ("--workers=24", "--log=debug")


@pytest.fixture
def watch(agent, tmp_path):
    """watch(path="", recursive=False) below tmp_path."""
    watches = []

    def begin(path="", recursive=False):
        watches.append(Watch(agent, tmp_path, path, recursive))
        return watches[-1]

    yield begin
    for one in watches:
        one.close()


def test_a_file_that_is_made_is_created(watch, tmp_path):
    w = watch()
    (tmp_path / "x").touch()
    assert w.until("created", "/x") == [("created", "/x")]


@pytest.mark.parametrize("change", ["content", "mode", "times", "size"])
def test_a_change_of_content_or_of_metadata_is_modified(watch, tmp_path, change):
    (tmp_path / "x").write_bytes(b"old")
    w = watch()
    {"content": lambda: (tmp_path / "x").write_bytes(b"new"), "mode": lambda: (tmp_path / "x").chmod(0o600),
     "times": lambda: os.utime(tmp_path / "x"), "size": lambda: os.truncate(tmp_path / "x", 1)}[change]()
    assert w.until("modified", "/x") == [("modified", "/x")]


def test_a_file_that_is_unlinked_is_removed(watch, tmp_path):
    (tmp_path / "x").touch()
    w = watch()
    (tmp_path / "x").unlink()
    assert w.until("removed", "/x") == [("removed", "/x")]


def test_a_rename_within_the_watch_is_one_event_with_both_paths(watch, tmp_path):
    (tmp_path / "x").touch()
    w = watch()
    (tmp_path / "x").rename(tmp_path / "y")
    (tmp_path / "z").touch()
    assert w.until("created", "/z") == [("renamed", "/x", "/y"), ("created", "/z")]


def test_a_hundred_renames_are_a_hundred_events_in_order(watch, tmp_path):
    (tmp_path / "0").touch()
    w = watch()
    for i in range(100):
        (tmp_path / str(i)).rename(tmp_path / str(i + 1))
    assert w.until("renamed", "/99") == [("renamed", "/%d" % i, "/%d" % (i + 1)) for i in range(100)]


def test_a_rename_out_of_the_watch_is_removed_and_one_into_it_created(watch, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x").touch()
    w = watch("/in")
    (tmp_path / "in/x").rename(tmp_path / "x")
    assert w.until("removed", "/in/x") == [("removed", "/in/x")]
    (tmp_path / "x").rename(tmp_path / "in/y")
    assert w.until("created", "/in/y") == [("created", "/in/y")]


def test_removed_and_made_again_is_told_in_that_order(watch, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/x").touch()
    w = watch("/in")
    for i in range(50):
        (tmp_path / "in/x").rename(tmp_path / "out")
        (tmp_path / "in/x").touch()
    (tmp_path / "in/end").touch()
    kinds = [e[0] for e in w.until("created", "/in/end") if e[1] == "/in/x" and e[0] != "modified"]
    assert kinds == ["removed", "created"] * 50


def test_without_recursive_what_is_below_is_not_told(watch, tmp_path):
    (tmp_path / "d").mkdir()
    w = watch()
    (tmp_path / "d/x").touch()
    (tmp_path / "x").touch()
    assert ("created", "/d/x") not in w.until("created", "/x")


def test_recursive_tells_of_what_is_below(watch, tmp_path):
    (tmp_path / "a/b/c").mkdir(parents=True)
    w = watch(recursive=True)
    (tmp_path / "a/b/c/x").write_bytes(b"1")
    assert ("created", "/a/b/c/x") in w.until("modified", "/a/b/c/x")


def test_a_directory_that_appears_is_watched_too(watch, tmp_path):
    w = watch(recursive=True)
    (tmp_path / "d").mkdir()
    w.until("created", "/d")
    (tmp_path / "d/e").mkdir()
    w.until("created", "/d/e")
    (tmp_path / "d/e/x").touch()
    w.until("created", "/d/e/x")
    (tmp_path / "d/e/x").unlink()
    w.until("removed", "/d/e/x")


def test_a_tree_that_appears_at_once_is_told_without_gaps(watch, tmp_path):
    (tmp_path / "in").mkdir()
    w = watch("/in", recursive=True)
    names = []
    for i in range(50):
        for j in range(4):
            top = tmp_path / "in" / ("d%d" % i) / ("e%d" % j)
            top.mkdir(parents=True)
            (top / "x").touch()
            names.append("/in/d%d/e%d/x" % (i, j))
    (tmp_path / "in/end").touch()
    events = w.until("created", "/in/end")
    assert {e[1] for e in events if e[0] == "created"} >= set(names)


def test_a_tree_that_is_moved_in_is_told_and_watched(watch, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "t/a/b").mkdir(parents=True)
    (tmp_path / "t/a/b/x").touch()
    w = watch("/in", recursive=True)
    (tmp_path / "t").rename(tmp_path / "in/t")
    events = w.until("created", "/in/t/a/b/x")
    assert [e[1] for e in events] == ["/in/t", "/in/t/a", "/in/t/a/b", "/in/t/a/b/x"]
    (tmp_path / "in/t/a/b/y").touch()
    w.until("created", "/in/t/a/b/y")


def test_a_name_that_looks_as_if_it_had_none_is_told_of_whole(watch, tmp_path):
    """The kernel calls a file without a name by its number."""
    w = watch()
    (tmp_path / "#12").touch()
    (tmp_path / "#12").unlink()
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [("created", "/#12"), ("removed", "/#12"), ("created", "/end")]


def test_what_is_moved_into_a_directory_that_has_left_is_removed(agent, watch, tmp_path, public_dir):
    """The events are there before they are read."""
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    w = watch(recursive=True)
    with Stopped(agent):
        (tmp_path / "d").rename(public_dir / "d")
        (tmp_path / "f").rename(public_dir / "d" / "f")
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [("removed", "/d"), ("removed", "/f"), ("created", "/end")]


def test_a_directory_that_is_renamed_is_told_under_its_new_path(watch, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    w = watch(recursive=True)
    (tmp_path / "a").rename(tmp_path / "c")
    assert w.until("renamed", "/a") == [("renamed", "/a", "/c")]
    (tmp_path / "c/b/x").touch()
    assert w.until("created", "/c/b/x") == [("created", "/c/b/x")]
    (tmp_path / "ab/x").touch()
    assert w.until("created", "/ab/x") == [("created", "/ab/x")]


def test_a_directory_that_is_moved_out_is_told_of_no_more(watch, tmp_path):
    (tmp_path / "in/d/e").mkdir(parents=True)
    w = watch("/in", recursive=True)
    (tmp_path / "in/d").rename(tmp_path / "out")
    assert w.until("removed", "/in/d") == [("removed", "/in/d")]
    (tmp_path / "out/e/x").touch()
    (tmp_path / "in/end").touch()
    assert w.until("created", "/in/end") == [("created", "/in/end")]


def test_links_to_directories_are_told_and_not_followed(watch, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    w = watch("/in", recursive=True)
    (tmp_path / "in/l").symlink_to(tmp_path / "out")
    w.until("created", "/in/l")
    (tmp_path / "out/x").touch()
    (tmp_path / "in/end").touch()
    assert w.until("created", "/in/end") == [("created", "/in/end")]


def test_a_tree_that_is_removed_is_told_name_by_name(watch, tmp_path):
    (tmp_path / "in/a/b").mkdir(parents=True)
    (tmp_path / "in/a/b/x").touch()
    w = watch("/in", recursive=True)
    shutil.rmtree(tmp_path / "in/a")
    events = w.until("removed", "/in/a")
    assert [e for e in events if e[0] == "removed"] == [
        ("removed", "/in/a/b/x"), ("removed", "/in/a/b"), ("removed", "/in/a")]


def test_a_write_of_a_new_file_is_created_once(agent, watch, tmp_path):
    w = watch()
    agent.write_file(str(tmp_path / "x"), b"1" * 1000000, mode=0o600)
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [("created", "/x"), ("created", "/end")]


def test_a_write_that_replaces_a_file_is_modified(agent, watch, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    w = watch()
    agent.write_file(str(tmp_path / "x"), b"new" * 100000)
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [("modified", "/x"), ("created", "/end")]


def test_a_symlink_is_created_and_one_that_takes_a_file_s_place_is_modified(agent, watch, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    w = watch()
    for name in ("new", "x"):
        agent.file_call(codec.FILE_SYMLINK_REQ, {"path": str(tmp_path / name), "target": "t"})
    (tmp_path / "end").touch()
    assert w.until("created", "/end") == [("created", "/new"), ("modified", "/x"), ("created", "/end")]


def test_a_file_can_be_watched_by_its_name(agent, watch, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    w = watch("/x")
    (tmp_path / "other").touch()
    with open(tmp_path / "x", "ab") as f:
        f.write(b"more")
    assert w.until("modified", "/x") == [("modified", "/x")]
    agent.write_file(str(tmp_path / "x"), b"replaced")
    assert w.until("modified", "/x") == [("modified", "/x")]
    (tmp_path / "x").unlink()
    assert w.until("removed", "/x")[-1] == ("removed", "/x")
    (tmp_path / "x").touch()
    assert w.until("created", "/x") == [("created", "/x")]
    (tmp_path / "x").rename(tmp_path / "y")
    assert w.until("renamed", "/x") == [("renamed", "/x", "/y")]


def test_the_watched_directory_s_removal_is_told_and_ends_the_watch_in_words(watch, tmp_path):
    (tmp_path / "d").mkdir()
    w = watch("/d", recursive=True)
    (tmp_path / "d").rmdir()
    assert w.until("removed", "/d")[-1] == ("removed", "/d")
    assert w.end() == "ENOENT: %s/d" % tmp_path


def test_the_watched_directory_s_going_elsewhere_is_told_and_ends_the_watch(watch, tmp_path):
    (tmp_path / "d").mkdir()
    w = watch("/d")
    (tmp_path / "d").rename(tmp_path / "e")
    assert w.until("removed", "/d") == [("removed", "/d")]
    assert w.end().startswith("ENOENT: ")


def test_slashes_behind_the_path_do_not_show_in_events(agent, tmp_path):
    w = Watch(agent, tmp_path, "///")
    (tmp_path / "x").touch()
    assert w.until("created", "/x") == [("created", "/x")]
    w.close()


def test_names_that_are_not_utf_8_have_replacements(watch, tmp_path):
    w = watch()
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\xfe", os.O_CREAT))
    assert w.until("created", "/��") == [("created", "/��")]


def test_a_watch_ends_when_the_host_goes(agent, watch, tmp_path):
    for _ in range(5):
        watch(recursive=True).close()
    wait_until(lambda: not any(s["kind"] == "watch" for s in agent.status()["slots"]), message="all end")


def test_a_half_close_ends_a_watch_too(watch):
    w = watch()
    w.conn.half_close()
    assert w.conn.recv() is None


def test_what_the_host_sends_to_a_watch_does_not_disturb_it(agent, watch, tmp_path):
    w = watch()
    w.conn.send(codec.FILE_DONE)
    w.conn.send(codec.FILE_DATA, b"x" * 100000)
    (tmp_path / "x").touch()
    w.until("created", "/x")


def cpu_ticks(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_watch_with_nothing_to_tell_costs_nothing(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    pid = agent.worker_pids()[0]
    w = Watch(agent, tmp_path)
    w.conn.send(codec.FILE_DATA, b"left in the socket")
    before = cpu_ticks(pid)
    time.sleep(1)
    assert cpu_ticks(pid) - before <= 2
    w.close()


def test_overflow_ends_a_watch_in_words_and_never_silently(agent, watch, tmp_path):
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        room = int(f.read())
    w = watch()
    for i in range(4):
        (tmp_path / str(i)).touch()
    for i in range(room):        # the host does not read, so the agent comes to a stop
        os.chmod(tmp_path / str(i % 4), 0o600)
        if i % 256 == 0 and i > room // 2:
            time.sleep(0)
    for i in range(room):
        os.chmod(tmp_path / str(i % 4), 0o600)
    frame = w.conn.recv()
    while frame.type == codec.FILE_EVENT:
        frame = w.conn.recv()
    assert frame.type == codec.FILE_ERR and frame.payload.startswith(b"EOVERFLOW: %s" % os.fsencode(tmp_path))
    assert w.conn.recv() is None


@pytest.mark.parametrize("syscall,error,words", [
    ("inotify_add_watch", "ENOSPC", "max_user_watches"),
    ("inotify_init1", "EMFILE", "max_user_instances")])
def test_a_limit_of_inotify_is_told_in_words(start_agent, tmp_path, syscall, error, words):
    agent = start_agent("--workers=1", "--reserved=0")
    with Fault(agent.worker_pids()[0], syscall, "error=" + error):
        with pytest.raises(FileError) as found:
            agent.file_call(codec.FILE_WATCH_REQ, {"path": str(tmp_path), "recursive": False})
    assert str(found.value).startswith(error + ": ") and words in str(found.value)


def test_a_limit_that_is_met_later_ends_the_watch_in_words(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    w = Watch(agent, tmp_path, recursive=True)
    with Fault(agent.worker_pids()[0], "inotify_add_watch", "error=ENOSPC"):
        (tmp_path / "d").mkdir()
        w.until("created", "/d")
        assert w.end().startswith("ENOSPC: ")


def test_a_watch_holds_a_look_place(start_agent, tmp_path):
    agent = start_agent("--workers=8")
    watches = [Watch(agent, tmp_path) for _ in range(2)]
    with pytest.raises(FileError, match="^EBUSY: busy: 2 of 2 look workers are in use"):
        agent.file_call(codec.FILE_WATCH_REQ, {"path": str(tmp_path), "recursive": False})
    assert agent.file_call(codec.FILE_STAT_REQ, {"path": "/"})
    for w in watches:
        w.close()
