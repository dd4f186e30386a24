# SPDX-License-Identifier: MIT
"""FILE_ERR: what is said, and that the host gets to read it."""

import os
import socket
import time

import pytest

import codec
from agent import FileError, wait_until
from faults import Fault, litter

MIB = 1024 * 1024

AGENT_OPTIONS = ("--workers=8", "--max-file-mib=2", "--log=debug")

WITH_PATH = [codec.FILE_WRITE_REQ, codec.FILE_READ_REQ, codec.FILE_STAT_REQ, codec.FILE_LIST_REQ,
             codec.FILE_MKDIR_REQ, codec.FILE_REMOVE_REQ, codec.FILE_WATCH_REQ, codec.FILE_SET_REQ,
             codec.FILE_TREE_REQ]
ALL = WITH_PATH + [codec.FILE_MOVE_REQ, codec.FILE_SYMLINK_REQ, codec.FILE_LINK_REQ]
NAME = {kind: codec.NAMES[kind] for kind in ALL}


def error(agent, kind, payload):
    """The text of the FILE_ERR that is all the answer."""
    conn = agent.file_connect(kind, payload)
    if kind == codec.FILE_WRITE_REQ:
        conn.send(codec.FILE_DONE)
    frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_ERR], frames
    return frames[0].payload.decode("utf-8")


@pytest.mark.parametrize("kind", WITH_PATH, ids=NAME.get)
def test_an_empty_path_is_einval(agent, kind):
    assert error(agent, kind, {"path": ""}).startswith("EINVAL: path: ")


@pytest.mark.parametrize("members", [{"from": "", "to": "/tmp/x"}, {"from": "/tmp/x", "to": ""}])
def test_an_empty_path_of_move_is_einval(agent, members):
    assert error(agent, codec.FILE_MOVE_REQ, members).startswith("EINVAL: path: ")


@pytest.mark.parametrize("kind", WITH_PATH, ids=NAME.get)
def test_a_path_over_path_max_is_enametoolong(agent, kind):
    assert error(agent, kind, {"path": "/tmp/" + "x/" * 3000}).startswith("ENAMETOOLONG: ")


@pytest.mark.parametrize("kind", WITH_PATH, ids=NAME.get)
def test_a_part_of_a_path_over_name_max_is_enametoolong(agent, kind):
    assert error(agent, kind, {"path": "/tmp/" + "x" * 256}).startswith("ENAMETOOLONG: ")


@pytest.mark.parametrize("kind", WITH_PATH, ids=NAME.get)
def test_a_nul_in_a_path_is_einval_and_names_the_member(agent, kind):
    assert "path" in error(agent, kind, b'{"path":"/tmp/a\\u0000b"}')


@pytest.mark.parametrize("kind", ALL, ids=NAME.get)
@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b'{"path":1}', b'{"path":null}', b"{}",
                                     b'{"path":"/x"} {}', b'{"path":"/\xff"}', b'{"from":"/x"}'])
def test_a_request_that_can_t_be_read_is_einval(agent, kind, payload):
    assert error(agent, kind, payload).startswith("EINVAL: ")


@pytest.mark.parametrize("mode", ["-1", "4294967296", "1.5", '"0644"', "null", "true"])
@pytest.mark.parametrize("kind", [codec.FILE_WRITE_REQ, codec.FILE_MKDIR_REQ], ids=NAME.get)
def test_a_mode_that_is_no_u32_is_an_error_that_names_it(agent, kind, mode):
    text = error(agent, kind, b'{"path":"/tmp/never","mode":%s}' % mode.encode())
    assert text.startswith("EINVAL: ") and "mode" in text and not os.path.exists("/tmp/never")


@pytest.mark.parametrize("kind,member", [
    (codec.FILE_REMOVE_REQ, "recursive"), (codec.FILE_WATCH_REQ, "recursive"),
    (codec.FILE_WRITE_REQ, "fsync")])
def test_a_boolean_that_is_none_is_an_error_that_names_it(agent, kind, member):
    assert member in error(agent, kind, {"path": "/tmp/never", member: 1})


def test_members_that_nobody_knows_are_ignored(agent, tmp_path):
    assert agent.file_call(codec.FILE_STAT_REQ, {"path": str(tmp_path), "color": [1, {"x": None}]})


@pytest.mark.parametrize("kind", [codec.FILE_READ_REQ, codec.FILE_STAT_REQ, codec.FILE_LIST_REQ,
                                  codec.FILE_REMOVE_REQ, codec.FILE_WATCH_REQ, codec.FILE_SET_REQ,
                                  codec.FILE_TREE_REQ], ids=NAME.get)
def test_what_is_not_there_is_enoent_and_the_path(agent, kind, tmp_path):
    path = str(tmp_path / "nö")
    assert error(agent, kind, {"path": path}) == "ENOENT: " + path


@pytest.mark.parametrize("kind", WITH_PATH, ids=NAME.get)
def test_a_path_through_a_file_is_enotdir_and_the_path(agent, kind, tmp_path):
    (tmp_path / "f").write_bytes(b"")
    path = str(tmp_path / "f/x")
    assert error(agent, kind, {"path": path}) == "ENOTDIR: " + path


def test_a_relative_path_is_named_from_the_root(agent):
    assert error(agent, codec.FILE_STAT_REQ, {"path": "nope"}) == "ENOENT: /nope"


@pytest.mark.parametrize("kind", [0x00, 0x01, 0x21, 0x22, 0x2a, 0x30, 0x31, 0x32, 0x34, 0x40, 0x6f, 0xff])
def test_an_unknown_first_frame_gets_file_err(agent, kind):
    text = error(agent, kind, b"{}")
    assert text.startswith("EPROTO: ") and "0x%02x" % kind in text


# ---- early errors of WRITE ---------------------------------------------------


def test_one_byte_over_the_limit_is_efbig_in_the_contract_s_words(agent, tmp_path):
    agent.write_file(str(tmp_path / "x"), b"x" * (2 * MIB))
    with pytest.raises(FileError) as found:
        agent.write_file(str(tmp_path / "x"), b"y" * (2 * MIB + 1))
    assert str(found.value) == "EFBIG: file too large (>2097152 bytes)"
    assert (tmp_path / "x").read_bytes() == b"x" * (2 * MIB) and litter(tmp_path) == []


@pytest.mark.parametrize("more", [0, 1])
def test_small_frames_reach_the_limit_and_go_no_further(agent, tmp_path, more):
    """A last frame that goes beyond it is refused by what it announces."""
    (tmp_path / "x").write_bytes(b"old")
    parts = [b"x" * 1000] * (2 * MIB // 1000) + [b"y" * (2 * MIB % 1000)]
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send_reading(b"".join(codec.encode(codec.FILE_DATA, part) for part in parts))
    if more:
        conn.send_raw(codec.encode(codec.FILE_DATA, b"z")[:5])
        assert conn.expect(codec.FILE_ERR).payload == b"EFBIG: file too large (>2097152 bytes)"
        assert (tmp_path / "x").read_bytes() == b"old" and litter(tmp_path) == []
    else:
        conn.send(codec.FILE_DONE)
        conn.expect(codec.FILE_ACK)
        assert (tmp_path / "x").read_bytes() == b"".join(parts)
    conn.close()


def test_the_limit_is_256_mib_where_nobody_says_otherwise(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/dev/shm/vga-257"})
    part = codec.encode(codec.FILE_DATA, bytes(16 * MIB))
    for _ in range(16):
        conn.send_raw(part)
    conn.send(codec.FILE_DATA, b"x")
    frame = conn.expect(codec.FILE_ERR)
    assert frame.payload == b"EFBIG: file too large (>268435456 bytes)"
    conn.close()
    assert not os.path.exists("/dev/shm/vga-257")


def test_a_host_that_sends_all_before_it_reads_still_sees_the_error(agent, tmp_path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "no\0"[:-1])})
    for _ in range(30):
        conn.send(codec.FILE_DATA, bytes(MIB))      # BrokenPipeError fails the test
    conn.send(codec.FILE_DONE)
    frames = conn.result().frames
    assert frames[-1].payload.startswith(b"EFBIG: ") and len(frames) == 1


@pytest.mark.parametrize("path", ["", "/proc/nope/x", "/etc/passwd/x", "/tmp", "/tmp/nope/"])
def test_any_early_error_lets_the_host_send_all_first(agent, path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": path})
    for _ in range(8):
        conn.send(codec.FILE_DATA, bytes(MIB))
    conn.send(codec.FILE_DONE)
    frames = conn.result().frames
    assert [f.type for f in frames] == [codec.FILE_ERR], frames


def test_bad_json_lets_the_host_send_all_first(agent):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, b'{"path":')
    for _ in range(8):
        conn.send(codec.FILE_DATA, bytes(MIB))
    conn.send(codec.FILE_DONE)
    assert conn.result().frames[0].payload.startswith(b"EINVAL: ")


def test_the_error_is_sent_at_once_and_not_after_the_upload(agent):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/tmp"})
    assert conn.expect(codec.FILE_ERR, timeout=20).payload == b"EISDIR: /tmp"
    conn.send(codec.FILE_DATA, b"x")
    conn.send(codec.FILE_DONE)
    assert conn.result(timeout=20).frames[1:] == []


def test_after_the_error_the_agent_closes_its_side_though_no_done_comes(agent):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/tmp"})
    conn.expect(codec.FILE_ERR)
    assert conn.recv(timeout=20) is None
    conn.close()


def test_the_rest_is_dropped_up_to_done_and_then_the_agent_closes(agent):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": "/tmp"})
    conn.expect(codec.FILE_ERR)
    conn.send(codec.FILE_DATA, bytes(MIB))
    time.sleep(0.5)
    conn.send(codec.FILE_DATA, bytes(MIB))
    conn.send(codec.FILE_DONE)
    wait_until(lambda: conn.wait_hangup(0.1), message="a close")
    conn.close()


@pytest.mark.parametrize("kind", [0x00, 0x20, 0x23, 0x33, 0x30, 0x01, 0xff])
def test_a_frame_that_is_neither_data_nor_done_is_eproto(agent, tmp_path, kind):
    (tmp_path / "x").write_bytes(b"old")
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send(codec.FILE_DATA, b"new")
    conn.send(kind, b"zzz")
    frame = conn.expect(codec.FILE_ERR)
    conn.close()
    assert frame.payload.decode() == "EPROTO: expected FILE_DATA or FILE_DONE, got 0x%02x" % kind
    assert (tmp_path / "x").read_bytes() == b"old" and litter(tmp_path) == []


def test_a_frame_longer_than_16_mib_in_an_upload_is_eproto(agent, tmp_path):
    conn = agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "x")})
    conn.send_raw(codec.header(codec.FILE_DATA, codec.FRAME_MAX + 1) + bytes(100000))
    assert conn.expect(codec.FILE_ERR).payload.startswith(b"EPROTO: ")
    conn.close()
    assert not (tmp_path / "x").exists()


def test_a_directory_in_the_way_of_a_write_is_eisdir(agent, tmp_path):
    (tmp_path / "d").mkdir()
    for path in (str(tmp_path / "d"), str(tmp_path / "d") + "/", str(tmp_path / "new") + "/", "/",
                 str(tmp_path) + "/.", str(tmp_path) + "/.."):
        assert error(agent, codec.FILE_WRITE_REQ, {"path": path}) == "EISDIR: " + path
    assert os.listdir(tmp_path) == ["d"]


def test_a_fifo_or_a_socket_in_the_way_of_a_write_is_an_error_and_stays(agent, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        for name in ("fifo", "sock"):
            path = str(tmp_path / name)
            assert error(agent, codec.FILE_WRITE_REQ, {"path": path}) == "EINVAL: " + path
    assert sorted(os.listdir(tmp_path)) == ["fifo", "sock"] and (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize("kind", [codec.FILE_LIST_REQ, codec.FILE_REMOVE_REQ, codec.FILE_WATCH_REQ])
@pytest.mark.parametrize("when", [1, 2])
def test_a_directory_that_can_t_be_read_to_its_end_is_an_error_and_no_short_answer(
        start_agent, tmp_path, kind, when):
    """Neither its first names nor the next, nor that there are no more."""
    agent = start_agent("--workers=1", "--reserved=0")
    top = tmp_path / "top"
    top.mkdir()
    (top / "x").touch()
    with Fault(agent.worker_pids()[0], "getdents64", "error=EIO", when=when):
        with pytest.raises(FileError, match="^EIO: %s$" % top):
            agent.file_call(kind, {"path": str(top), "recursive": True})
