# SPDX-License-Identifier: MIT
"""WRITE: what stands at the path afterwards, byte by byte, mode and owner."""

import os
import random
import threading

import pytest

import codec
from agent import FileError, wait_until
from faults import litter, mode_of

MIB = 1024 * 1024


def test_a_new_file_has_the_content_and_mode_0644(agent, tmp_path):
    path = tmp_path / "new"
    agent.write_file(str(path), b"hello\0world")
    assert path.read_bytes() == b"hello\0world" and mode_of(path) == 0o644


def test_a_write_is_answered_with_one_empty_ack(agent, tmp_path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send(codec.FILE_DONE)
    assert [(f.type, f.payload) for f in conn.result().frames] == [(codec.FILE_ACK, b"")]


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 262143, 262144, 262145, MIB, 3 * MIB + 7])
@pytest.mark.parametrize("chunk", [65536, 16 * MIB])
def test_content_of_any_size_in_frames_of_any_size_arrives_whole(agent, tmp_path, size, chunk):
    data = os.urandom(size)
    agent.write_file(str(tmp_path / "x"), data, chunk=chunk)
    assert (tmp_path / "x").read_bytes() == data


def test_data_frames_of_one_byte_arrive_in_order(agent, tmp_path):
    data = os.urandom(5000)
    agent.write_file(str(tmp_path / "x"), data, chunk=1)
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize("names", [1, 2], ids=["replaced", "in-place"])
def test_small_and_large_frames_in_turn_arrive_whole(agent, tmp_path, names):
    """All in one stream, as it comes while the agent is behind. A file of two names is not
    replaced but written over."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    if names == 2:
        os.link(path, tmp_path / "y")
    noise = random.Random(names)
    parts = [noise.randbytes(noise.choice([0, 1, 5, 1000, 4096, 16383, 16384, 65536])) for _ in range(400)]
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(path)})
    conn.send_reading(b"".join(codec.encode(codec.FILE_DATA, part) for part in parts) + codec.encode(codec.FILE_DONE))
    conn.expect(codec.FILE_ACK)
    assert path.read_bytes() == b"".join(parts) and path.stat().st_nlink == names


def test_a_data_frame_of_no_bytes_is_no_end(agent, tmp_path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    for part in (b"", b"a", b"", b"", b"b", b""):
        conn.send(codec.FILE_DATA, part)
    conn.send(codec.FILE_DONE)
    conn.expect(codec.FILE_ACK)
    assert (tmp_path / "x").read_bytes() == b"ab"


def test_a_payload_of_done_is_ignored(agent, tmp_path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send(codec.FILE_DATA, b"abc")
    conn.send(codec.FILE_DONE, b"not content" * 100)
    conn.expect(codec.FILE_ACK)
    assert (tmp_path / "x").read_bytes() == b"abc"


def test_a_frame_cut_into_single_bytes_is_read(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    for byte in (codec.encode(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
                 + codec.encode(codec.FILE_DATA, b"slowly") + codec.encode(codec.FILE_DONE)):
        conn.send_raw(bytes([byte]))
    conn.expect(codec.FILE_ACK)
    assert (tmp_path / "x").read_bytes() == b"slowly"


def test_missing_parents_are_made_0755(agent, tmp_path):
    old = os.umask(0o077)
    try:
        agent.write_file(str(tmp_path / "a/b/c/x"), b"1")
    finally:
        os.umask(old)
    assert [mode_of(tmp_path / d) for d in ("a", "a/b", "a/b/c")] == [0o755] * 3


@pytest.mark.parametrize("mode", [0o600, 0o777, 0o4755, 0o2711, 0o1666, 0o7777, 0o001])
@pytest.mark.parametrize("there", [False, True])
def test_a_mode_is_the_mode_whether_the_file_was_there_or_not(agent, tmp_path, mode, there):
    path = tmp_path / "x"
    if there:
        path.write_bytes(b"old")
        path.chmod(0o640)
    agent.write_file(str(path), b"new", mode=mode)
    assert mode_of(path) == mode and path.read_bytes() == b"new"


def test_bits_of_a_mode_above_the_twelfth_are_ignored(agent, tmp_path):
    agent.write_file(str(tmp_path / "x"), b"1", mode=0o100600)
    assert mode_of(tmp_path / "x") == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o4755, 0o444])
def test_without_a_mode_the_existing_file_keeps_its_own(agent, tmp_path, mode):
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(mode)
    agent.write_file(str(tmp_path / "x"), b"new")
    assert mode_of(tmp_path / "x") == mode and (tmp_path / "x").read_bytes() == b"new"


def test_the_owner_of_an_existing_file_is_kept(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    os.chown(tmp_path / "x", 1234, 4321)
    agent.write_file(str(tmp_path / "x"), b"new", mode=0o4750)
    found = os.stat(tmp_path / "x")
    assert (found.st_uid, found.st_gid) == (1234, 4321) and mode_of(tmp_path / "x") == 0o4750


def test_a_shorter_content_leaves_nothing_of_a_longer_one(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 100000)
    agent.write_file(str(tmp_path / "x"), b"short")
    assert (tmp_path / "x").read_bytes() == b"short"


def test_an_existing_file_is_replaced_and_not_written_over(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with open(tmp_path / "x", "rb") as reader:
        agent.write_file(str(tmp_path / "x"), b"new")
        assert reader.read() == b"old"


def test_a_program_that_runs_can_be_replaced(agent, tmp_path):
    with open("/bin/cat", "rb") as f:
        program = f.read()
    agent.write_file(str(tmp_path / "prog"), program, mode=0o755)
    conn = agent.start([str(tmp_path / "prog")])
    conn.send(codec.STDIN, b"it runs")
    conn.read_output(b"it runs")
    agent.write_file(str(tmp_path / "prog"), b"#!/bin/sh\necho new\n")
    conn.send(codec.EOF)
    assert conn.result().code == 0
    assert agent.run([str(tmp_path / "prog")]).stdout == b"new\n"


def test_a_link_is_followed_and_its_target_replaced(agent, tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/target").write_bytes(b"old")
    (tmp_path / "two").symlink_to("dir/target")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    agent.write_file(str(tmp_path / "one"), b"new")
    assert (tmp_path / "one").is_symlink() and (tmp_path / "two").is_symlink()
    assert (tmp_path / "dir/target").read_bytes() == b"new"


def test_a_dangling_link_gets_its_target_made(agent, tmp_path):
    (tmp_path / "link").symlink_to("made/here")
    agent.write_file(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "made/here").read_bytes() == b"new"


def test_links_in_a_circle_are_eloop(agent, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileError, match="^ELOOP: %s$" % (tmp_path / "a")):
        agent.write_file(str(tmp_path / "a"), b"x")


def test_a_stranger_s_link_in_a_sticky_directory_is_not_followed(agent, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "precious").write_bytes(b"old")
    (shared / "x").symlink_to(tmp_path / "precious")
    os.lchown(shared / "x", 1234, 1234)
    with pytest.raises(FileError, match="^EACCES: "):
        agent.write_file(str(shared / "x"), b"evil")
    assert (tmp_path / "precious").read_bytes() == b"old"


def test_a_relative_path_starts_at_the_root(agent, tmp_path):
    agent.write_file(str(tmp_path / "x")[1:], b"1")
    assert (tmp_path / "x").read_bytes() == b"1"


def test_a_name_with_every_kind_of_character_is_written(agent, tmp_path):
    name = "a\tb\n\"\\ é漢🙂 -x"
    agent.write_file(str(tmp_path / name), b"1")
    assert os.listdir(tmp_path) == [name]


def test_fsync_is_taken(agent, tmp_path):
    agent.write_file(str(tmp_path / "new/x"), b"1", fsync=True)
    agent.write_file(str(tmp_path / "new/x"), b"2", fsync=True)
    assert (tmp_path / "new/x").read_bytes() == b"2"


def test_a_reader_in_a_loop_sees_the_old_file_or_the_new_one(agent, tmp_path):
    path = tmp_path / "x"
    size = 1 * MIB
    path.write_bytes(b"0" * size)
    seen, wrong, stop = set(), [], threading.Event()

    def read():
        while not stop.is_set():
            data = path.read_bytes()
            seen.add(data[:1])
            if len(data) != size or data != data[:1] * size:
                wrong.append((len(data), sorted(set(data))))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for i in range(1, 11):
            agent.write_file(str(path), b"%x" % i * size)
            wait_until(lambda: b"%x" % i in seen, message="a reader has met it")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not wrong and path.read_bytes() == b"a" * size


def test_a_reader_that_reads_by_the_agent_sees_no_half_file_either(agent, tmp_path):
    path = str(tmp_path / "x")
    agent.write_file(path, b"0" * MIB)
    for i in range(1, 11):
        conn = agent.file_connect(codec.FILE_READ_REQ, {"path": path})
        agent.write_file(path, b"%x" % i * MIB)
        data = b"".join(f.payload for f in conn.result().frames[:-1])
        assert len(data) == MIB and data == data[:1] * MIB


def test_writes_at_once_to_one_path_leave_one_of_them_whole(agent, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    conns = []
    for i in range(5):
        conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(path)})
        conn.send(codec.FILE_DATA, b"%d" % i * 200000)
        conns.append(conn)
    for conn in conns:
        conn.send(codec.FILE_DONE)
    for conn in conns:
        conn.expect(codec.FILE_ACK)
        conn.close()
    data = path.read_bytes()
    assert len(data) == 200000 and len(set(data)) == 1
    assert litter(tmp_path) == []


def test_no_write_leaves_a_temporary_name(agent, tmp_path):
    for i in range(20):
        agent.write_file(str(tmp_path / "x"), b"%d" % i)
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("end", ["close", "half_close"])
@pytest.mark.parametrize("sent", ["nothing", "data", "half_frame", "half_header"])
@pytest.mark.parametrize("there", [False, True])
def test_an_upload_that_breaks_off_changes_nothing(agent, tmp_path, there, sent, end):
    path = tmp_path / "x"
    if there:
        path.write_bytes(b"old")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(path)})
    if sent in ("data", "half_frame"):
        conn.send(codec.FILE_DATA, b"n" * 300000)
    if sent == "half_frame":
        conn.send_raw(codec.encode(codec.FILE_DATA, b"n" * 1000)[:500])
    if sent == "half_header":
        conn.send_raw(codec.encode(codec.FILE_DONE)[:3])
    getattr(conn, end)()
    if end == "half_close":
        assert conn.result().frames == []
    agent.status()
    assert path.exists() == there and (not there or path.read_bytes() == b"old")
    assert litter(tmp_path) == []


def test_a_done_that_had_arrived_counts_though_the_host_has_gone(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(codec.encode(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
                  + codec.encode(codec.FILE_DATA, b"kept") + codec.encode(codec.FILE_DONE))
    conn.half_close()
    assert [f.type for f in conn.result().frames] == [codec.FILE_ACK]
    assert (tmp_path / "x").read_bytes() == b"kept"


def test_256_mib_exactly_is_written_and_read_back(agent, tmp_path):
    data, shared = os.urandom(MIB) * 256, "/dev/shm/vga-256-%d" % os.getpid()
    agent.write_file(shared, data, chunk=MIB)
    try:
        assert os.stat(shared).st_size == 256 * MIB
        assert agent.read_file(shared) == data
    finally:
        os.unlink(shared)
