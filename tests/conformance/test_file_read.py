# SPDX-License-Identifier: MIT
"""READ: content, ranges, and files that would block or never end."""

import os
import socket
import threading
import time

import pytest

import codec
from agent import FileError

MIB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 4096, 262143, 262144, 262145, 5 * MIB + 3])
def test_a_file_of_any_size_arrives_whole(agent, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "x").write_bytes(data)
    assert agent.read_file(str(tmp_path / "x")) == data


def test_an_empty_file_is_done_and_nothing_before_it(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"")
    frames = agent.file_request(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
    assert [(f.type, f.payload) for f in frames] == [(codec.FILE_DONE, b"")]


def test_no_data_frame_is_longer_than_the_contract_lets_the_agent_send(agent, tmp_path):
    (tmp_path / "x").write_bytes(bytes(3 * MIB))
    frames = agent.file_request(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
    assert max(len(f.payload) for f in frames) <= 256 * 1024 and frames[-1].type == codec.FILE_DONE


@pytest.mark.parametrize("offset,length", [
    (0, 10), (5, 10), (0, 0), (999990, 100), (1000000, 1), (2000000, 5), (262140, 10),
    (0, 2**64 - 1), (2**64 - 1, 2**64 - 1), (2**63, 1)])
def test_offset_and_length_choose_a_part(agent, tmp_path, offset, length):
    data = os.urandom(1000000)
    (tmp_path / "x").write_bytes(data)
    assert agent.read_file(str(tmp_path / "x"), offset=offset, length=length) == data[offset:offset + length]


def test_offset_alone_reads_to_the_end(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    assert agent.read_file(str(tmp_path / "x"), offset=4) == b"456789"


@pytest.mark.parametrize("member", ["offset", "length"])
@pytest.mark.parametrize("value", ["-1", "1.5", '"1"', "null"])
def test_a_range_that_is_no_u64_is_an_error_that_names_it(agent, member, value):
    frames = agent.file_request(
        codec.FILE_READ_REQ, b'{"path":"/etc/passwd","%s":%s}' % (member.encode(), value.encode()))
    assert frames[0].type == codec.FILE_ERR and member in frames[0].payload.decode()


def test_links_are_followed(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"target")
    (tmp_path / "link").symlink_to("x")
    assert agent.read_file(str(tmp_path / "link")) == b"target"


@pytest.mark.parametrize("path", ["/proc/version", "/proc/mounts", "/proc/self/status", "/proc/cpuinfo",
                                  "/proc/sys/kernel/ostype", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_files_of_proc_and_sys_are_read_though_their_size_says_otherwise(agent, path):
    data = agent.read_file(path)
    assert data
    if path != "/proc/self/status" and path != "/proc/cpuinfo":
        with open(path, "rb") as f:
            assert data == f.read()


def test_a_part_of_a_proc_file_is_read(agent):
    with open("/proc/version", "rb") as f:
        assert agent.read_file("/proc/version", offset=6, length=7) == f.read()[6:13]


def test_a_sparse_file_is_read_with_its_holes_as_zeros(agent, tmp_path):
    with open(tmp_path / "x", "wb") as f:
        f.truncate(3 * MIB)
        f.seek(2 * MIB)
        f.write(b"data")
    assert agent.read_file(str(tmp_path / "x")) == (tmp_path / "x").read_bytes()


def test_a_directory_is_eisdir(agent, tmp_path):
    with pytest.raises(FileError, match="^EISDIR: %s$" % tmp_path):
        agent.read_file(str(tmp_path))


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty", "/dev/random", "/dev/ptmx", "/dev/kmsg"])
def test_a_character_device_is_an_error(agent, path):
    if not os.path.exists(path):
        path = "/dev/full"
    with pytest.raises(FileError, match="^EINVAL: " + path):
        agent.read_file(path)


@pytest.mark.parametrize("writer", [False, True])
def test_a_fifo_is_an_error_with_a_writer_and_without(agent, tmp_path, writer):
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR) if writer else -1
    try:
        if writer:
            os.write(fd, b"stays")
        with pytest.raises(FileError, match="^EINVAL: " + path):
            agent.read_file(path)
        assert not writer or os.read(fd, 10) == b"stays"
    finally:
        if writer:
            os.close(fd)


def test_a_socket_is_an_error(agent, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        with pytest.raises(FileError, match="^EINVAL: "):
            agent.read_file(str(tmp_path / "sock"))


def test_links_of_proc_to_pipes_and_sockets_are_errors(agent):
    with pytest.raises(FileError, match="^E[A-Z]+: /proc/self/fd/"):
        for number in range(0, 32):
            agent.read_file("/proc/self/fd/%d" % number)


def test_a_file_of_proc_that_never_ends_comes_to_an_end(start_agent):
    agent = start_agent("--workers=2", "--max-file-mib=1")
    with pytest.raises(FileError, match="^EFBIG: /proc/self/pagemap: "):
        agent.read_file("/proc/self/pagemap")
    data = agent.read_file("/proc/self/pagemap", length=4096)
    assert len(data) == 4096


def test_a_file_of_proc_that_would_wait_comes_to_an_end(agent):
    for _ in range(2):
        agent.read_file("/proc/kmsg")


def test_a_file_that_grows_while_it_is_read_is_read_to_where_it_ended(agent, tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * MIB)
    stop = threading.Event()

    def grow():
        with open(path, "ab") as f:
            while not stop.is_set() and f.tell() < 64 * MIB:
                f.write(b"y" * 65536)
                f.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        data = agent.read_file(str(path))
    finally:
        stop.set()
        writer.join()
    assert MIB <= len(data) <= 64 * MIB and data[:MIB] == b"x" * MIB


def test_a_file_that_is_cut_while_it_is_read_ends(agent, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(8 * MIB))
    conn = agent.file_connect(codec.FILE_READ_REQ, {"path": str(path)})
    conn.expect(codec.FILE_DATA)
    os.truncate(path, 0)
    frames = conn.result().frames
    assert frames[-1].type in (codec.FILE_DONE, codec.FILE_ERR)


def test_an_error_in_the_middle_is_file_err_and_no_done(agent):
    frames = agent.file_request(codec.FILE_READ_REQ, {"path": "/proc/self/mem"})
    assert frames[-1].type == codec.FILE_ERR and frames[-1].payload == b"EIO: /proc/self/mem"
    assert codec.FILE_DONE not in [f.type for f in frames]


def test_a_host_that_goes_in_the_middle_gives_the_worker_back(agent, tmp_path):
    (tmp_path / "x").write_bytes(bytes(32 * MIB))
    for _ in range(10):
        conn = agent.file_connect(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
        conn.expect(codec.FILE_DATA)
        conn.close()
    assert len(agent.read_file(str(tmp_path / "x"))) == 32 * MIB


def test_a_host_that_reads_slowly_loses_nothing(agent, tmp_path):
    data = os.urandom(4 * MIB)
    (tmp_path / "x").write_bytes(data)
    conn = agent.file_connect(codec.FILE_READ_REQ, {"path": str(tmp_path / "x")})
    time.sleep(2)
    got = b"".join(f.payload for f in conn.result().frames if f.type == codec.FILE_DATA)
    assert got == data
