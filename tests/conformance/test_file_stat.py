# SPDX-License-Identifier: MIT
"""STAT and LIST: entries, their members, and lists of every length."""

import os
import socket
import stat as stat_bits

import pytest

import codec
from agent import FileError
from faults import Fault

MEMBERS = ["name", "kind", "size", "mode", "mtime_secs", "mtime_nanos", "uid", "gid", "symlink_target"]


def stat(agent, path):
    frame = agent.file_call(codec.FILE_STAT_REQ, {"path": str(path)})
    assert frame.type == codec.FILE_STAT
    return frame.json()


def listing(agent, path):
    frame = agent.file_call(codec.FILE_LIST_REQ, {"path": str(path)})
    assert frame.type == codec.FILE_LIST
    return frame.json()


def test_an_entry_has_its_nine_members_and_no_other(agent, tmp_path):
    assert list(stat(agent, tmp_path)) == MEMBERS


def test_a_file_s_entry_is_what_the_kernel_says(agent, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    path.chmod(0o4751)
    os.chown(path, 1234, 4321)
    path.chmod(0o4751)
    os.utime(path, ns=(1, 1234567890123456789))
    assert stat(agent, path) == {
        "name": "x", "kind": "file", "size": 5, "mode": 0o4751, "mtime_secs": 1234567890,
        "mtime_nanos": 123456789, "uid": 1234, "gid": 4321, "symlink_target": ""}


def test_a_time_before_1970_is_a_negative_one(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"")
    os.utime(tmp_path / "x", ns=(0, -1500000000))
    entry = stat(agent, tmp_path / "x")
    assert (entry["mtime_secs"], entry["mtime_nanos"]) == (-2, 500000000)


def test_a_size_beyond_4_gib_is_told_whole(agent, tmp_path):
    with open(tmp_path / "x", "wb") as f:
        f.truncate(5 * 2**30 + 1)
    assert stat(agent, tmp_path / "x")["size"] == 5 * 2**30 + 1


def test_a_directory_has_kind_dir_and_size_0(agent, tmp_path):
    (tmp_path / "d").mkdir(mode=0o700)
    entry = stat(agent, tmp_path / "d")
    assert (entry["kind"], entry["size"], entry["mode"]) == ("dir", 0, 0o700)


@pytest.mark.parametrize("target", ["/etc/passwd", "nowhere", ".", "x" * 4000])
def test_a_link_is_reported_and_not_followed(agent, tmp_path, target):
    (tmp_path / "link").symlink_to(target)
    entry = stat(agent, tmp_path / "link")
    assert (entry["kind"], entry["size"], entry["symlink_target"]) == ("symlink", 0, target)
    assert listing(agent, tmp_path) == [entry]


def test_fifos_sockets_and_devices_are_other_of_size_0(agent, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        for path in (tmp_path / "fifo", tmp_path / "sock", "/dev/null"):
            entry = stat(agent, path)
            assert (entry["kind"], entry["size"]) == ("other", 0)


@pytest.fixture
def specials(tmp_path):
    """Name to what `type` says of it: one of each that has a type, and one of each that has none."""
    os.mkfifo(tmp_path / "fifo")
    os.mknod(tmp_path / "char", stat_bits.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(tmp_path / "block", stat_bits.S_IFBLK | 0o600, os.makedev(7, 250))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("fifo")
    return {name: name if name in ("fifo", "char", "block", "socket") else None for name in os.listdir(tmp_path)}


def test_type_says_which_other_it_is_in_stat_and_list(agent, tmp_path, specials):
    assert {name: stat(agent, tmp_path / name).get("type") for name in specials} == specials
    assert {entry["name"]: entry.get("type") for entry in listing(agent, tmp_path)} == specials
    assert {entry["kind"] for entry in listing(agent, tmp_path) if "type" in entry} == {"other"}


@pytest.mark.parametrize("path,name", [("/", "/"), ("/etc", "etc"), ("/etc/", "etc"), ("etc", "etc"),
                                       ("//etc//passwd", "passwd"), ("/etc/../etc/passwd", "passwd")])
def test_the_name_is_the_last_part_of_the_path(agent, path, name):
    assert stat(agent, path)["name"] == name


def test_a_list_of_an_empty_directory_is_an_empty_array(agent, tmp_path):
    frame = agent.file_call(codec.FILE_LIST_REQ, {"path": str(tmp_path)})
    assert frame.payload == b"[]"


def test_a_list_is_sorted_by_name_without_dot_and_dot_dot(agent, tmp_path):
    names = ["b", "a", "Z", "10", "9", ".hidden", "a b", "é", "zz", "~"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [e["name"] for e in listing(agent, tmp_path)] == sorted(names, key=os.fsencode)


def test_a_list_s_entries_are_those_of_stat(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"123")
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("f")
    assert listing(agent, tmp_path) == [stat(agent, tmp_path / n) for n in ("d", "f", "l")]


def test_a_name_that_cannot_be_looked_at_hides_none_of_the_others(start_agent, tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    agent = start_agent("--workers=1", "--reserved=0")
    # The first may look at the directory itself: by which call fstat() does that is the C library's.
    with Fault(agent.worker_pids()[0], "newfstatat", "error=ENOTCONN", 3):
        found = listing(agent, tmp_path)
    assert [e["name"] for e in found] == ["a", "b", "c"]
    assert sorted(e["kind"] for e in found) == ["file", "file", "other"]


def test_a_directory_may_be_listed_by_a_link_to_it(agent, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_bytes(b"")
    (tmp_path / "l").symlink_to("d")
    assert [e["name"] for e in listing(agent, tmp_path / "l")] == ["x"]


def test_a_list_of_a_file_is_enotdir(agent, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(FileError, match="^ENOTDIR: %s/f$" % tmp_path):
        listing(agent, tmp_path / "f")


def test_names_that_are_not_utf_8_have_a_replacement_for_each_bad_byte(agent, tmp_path):
    for name in (b"\xff\xfe", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"ok\xe2\x82\xacok"):
        os.close(os.open(os.path.join(os.fsencode(tmp_path), name), os.O_CREAT))
    os.symlink(b"to\xff", os.path.join(os.fsencode(tmp_path), b"zlink"))
    entries = listing(agent, tmp_path)
    assert [e["name"] for e in entries] == [
        "a�", "ok€ok", "zlink", "��", "���", "��"]
    assert entries[2]["symlink_target"] == "to�"


def test_names_with_quotes_and_control_characters_come_back_as_they_are(agent, tmp_path):
    names = ['"', "\\", "\n", "\x01", "\x7f", "<b>", "{}", "a\tb"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert sorted(e["name"] for e in listing(agent, tmp_path)) == sorted(names)


def test_20000_entries_are_listed(agent, tmp_path):
    for i in range(20000):
        os.close(os.open(tmp_path / ("file-%d" % i), os.O_CREAT | os.O_WRONLY))
    entries = listing(agent, tmp_path)
    assert [e["name"] for e in entries] == sorted("file-%d" % i for i in range(20000))


def test_a_list_over_16_mib_is_eoverflow_and_no_broken_frame(agent, tmp_path):
    target = "t" * 4000
    for i in range(4300):
        os.symlink(target, tmp_path / ("%d" % i))
    frames = agent.file_request(codec.FILE_LIST_REQ, {"path": str(tmp_path)})
    assert [f.type for f in frames] == [codec.FILE_ERR]
    assert frames[0].payload.decode().startswith("EOVERFLOW: ")
    for i in range(300):
        os.unlink(tmp_path / ("%d" % i))
    assert len(listing(agent, tmp_path)) == 4000


def test_a_list_of_proc_ends_though_processes_come_and_go(agent):
    for _ in range(5):
        agent.run(["true"])
        names = {e["name"] for e in listing(agent, "/proc")}
        assert {"self", "version", str(os.getpid())} <= names


def test_a_host_that_goes_before_the_list_came_gives_the_worker_back(agent):
    for _ in range(10):
        agent.file_connect(codec.FILE_LIST_REQ, {"path": "/usr/bin"}).close()
    assert listing(agent, "/")
