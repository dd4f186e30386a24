# SPDX-License-Identifier: MIT
"""Holes of a WRITE: FILE_STAT {"hole":n} between its DATA stands for n zeros."""

import os
import random
import signal

import pytest

import codec
from agent import wait_until
from codec import encode
from faults import inside, litter, mounted

MIB = 1 << 20


def hole(n):
    return encode(codec.FILE_STAT, {"hole": n})


def data(payload):
    return encode(codec.FILE_DATA, payload)


def upload(path, *frames, **members):
    return (encode(codec.FILE_WRITE_REQ, dict({"path": str(path)}, **members)) + b"".join(frames)
            + encode(codec.FILE_DONE))


def converse(agent, *requests):
    """All that is answered to these, sent in one stream; all but the last say `more`."""
    conn = agent.connect(codec.FILE_PORT)
    conn.send_reading(b"".join(requests))
    return conn.result().frames


def answered(agent, *requests):
    frames = converse(agent, *requests)
    assert [frame.type for frame in frames] == [codec.FILE_ACK] * len(requests), frames


def refused(agent, *requests):
    """What FILE_ERR says to the first of these; those behind it are carried out."""
    frames = converse(agent, *requests)
    assert [f.type for f in frames] == [codec.FILE_ERR] + [codec.FILE_ACK] * (len(requests) - 1), frames
    return frames[0].payload.decode()


# ---- what the file is ----------------------------------------------------------

SHAPES = {
    "in front": [8 * MIB, b"end"],
    "in the middle": [b"begin", 8 * MIB, b"end"],
    "last": [b"begin", 8 * MIB],
    "all of it": [8 * MIB],
    "in pieces": [b"a", 4 * MIB, 4 * MIB, 3, b"b", b"c", 0, b"d", 0],
}


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "replaced"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hole_is_zeros_that_take_no_room(agent, tmp_path, shape, old):
    path = tmp_path / "x"
    if old is not None:
        path.write_bytes(old)
    parts = SHAPES[shape]
    answered(agent, upload(path, *(data(p) if isinstance(p, bytes) else hole(p) for p in parts)))
    assert path.read_bytes() == b"".join(p if isinstance(p, bytes) else bytes(p) for p in parts)
    assert path.stat().st_blocks * 512 < MIB and litter(tmp_path) == []


def test_data_and_holes_in_turn_arrive_whole(agent, tmp_path):
    noise = random.Random(16)
    parts = [noise.choice([noise.randbytes(noise.choice([0, 1, 4096, 70000])), noise.choice([0, 1, 4095, 300000])])
             for _ in range(600)]
    answered(agent, upload(tmp_path / "x", *(data(p) if isinstance(p, bytes) else hole(p) for p in parts)))
    assert (tmp_path / "x").read_bytes() == b"".join(p if isinstance(p, bytes) else bytes(p) for p in parts)


def test_many_holes_are_one_file(agent, tmp_path):
    answered(agent, upload(tmp_path / "x", *[hole(1)] * 50000, mode=0o600, mtime_secs=5))
    assert (tmp_path / "x").read_bytes() == bytes(50000)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600 and (tmp_path / "x").stat().st_mtime == 5


def test_a_hole_of_what_is_written_in_place_is_written(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old" * MIB)
    os.link(tmp_path / "x", tmp_path / "y")
    answered(agent, upload(tmp_path / "x", data(b"begin"), hole(MIB), data(b"end"), hole(5)))
    assert (tmp_path / "y").read_bytes() == b"begin" + bytes(MIB) + b"end" + bytes(5)
    assert litter(tmp_path) == []


@pytest.mark.parametrize("size", [5, 300000, 3 * MIB])
def test_where_no_other_file_can_wait_for_the_end_zeros_are_written_as_they_come(agent, public_dir, size):
    """He may write the file, and not its directory."""
    directory = public_dir / "d"
    directory.mkdir(mode=0o755)
    path = directory / "x"
    path.write_bytes(b"old" * MIB)
    path.chmod(0o666)
    answered(agent, upload(path, hole(size), data(b"middle"), hole(size), user="nobody"))
    assert path.read_bytes() == bytes(size) + b"middle" + bytes(size)


def test_a_hole_takes_no_room_where_there_is_none(start_agent, monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, "mkdir $D/m && mount -t tmpfs -o size=1M none $D/m")
    agent = start_agent("--workers=4")
    path = str(tmp_path / "m/x")
    answered(agent, upload(path, data(b"begin"), hole(100 * MIB)))
    assert os.stat(inside(agent, path)).st_size == 100 * MIB + 5
    # But what is written in place has to have it, and the old content stands.
    os.link(inside(agent, path), inside(agent, path) + "2")
    assert refused(agent, upload(path, hole(50 * MIB))).startswith("ENOSPC:")
    assert os.stat(inside(agent, path)).st_size == 100 * MIB + 5


def test_status_lists_hole_among_the_features(agent):
    assert "hole" in agent.status()["features"]


# ---- what is refused -------------------------------------------------------------


def test_a_hole_counts_toward_the_largest_file(start_agent, tmp_path):
    agent = start_agent("--workers=4", "--max-file-mib=1")
    answered(agent, upload(tmp_path / "x", data(b"1"), hole(MIB - 2), data(b"1")))
    assert (tmp_path / "x").stat().st_size == MIB
    for frames in ([hole(MIB + 1)], [data(b"1"), hole(MIB)], [hole(MIB), data(b"1")], [hole(MIB), hole(1)]):
        text = refused(agent, upload(tmp_path / "x", *frames, more=True), upload(tmp_path / "z"))
        assert text == "EFBIG: file too large (>1048576 bytes)"
    assert (tmp_path / "x").stat().st_size == MIB and litter(tmp_path) == []


BAD_HOLES = {
    "of 2^63 bytes": ({"hole": 1 << 63}, "EINVAL: member 'hole': "),
    "of 2^64 bytes": (b'{"hole":18446744073709551616}', "EINVAL: member 'hole': "),
    "of less than none": ({"hole": -1}, "EINVAL: member 'hole': "),
    "in words": ({"hole": "1"}, "EINVAL: member 'hole': "),
    "of nothing": ({}, "EINVAL: member 'hole' "),
    "that is an entry": ({"path": "", "kind": "file"}, "EINVAL: member 'hole' "),
    "that is not JSON": (b"hole", "EINVAL: JSON: "),
    "without a payload": (b"", "EINVAL: JSON: "),
    "that is too long": (b'{"hole":1}' + b" " * codec.JSON_MAX, "EPROTO: "),
    "of 2^63 - 1 bytes": ({"hole": (1 << 63) - 1}, "EFBIG: "),
}


@pytest.mark.parametrize("which", BAD_HOLES)
def test_a_hole_that_is_none_ends_its_upload_alone(agent, tmp_path, which):
    payload, text = BAD_HOLES[which]
    (tmp_path / "x").write_bytes(b"old")
    frames = [data(b"new"), encode(codec.FILE_STAT, payload), hole(1), data(b"new")]
    assert refused(agent, upload(tmp_path / "x", *frames, more=True), upload(tmp_path / "z")).startswith(text)
    assert (tmp_path / "x").read_bytes() == b"old" and (tmp_path / "z").exists() and litter(tmp_path) == []


def test_holes_of_an_upload_that_was_refused_are_dropped(agent, tmp_path):
    frames = [hole(1 << 62), data(b"x"), encode(codec.FILE_STAT, b"x" * 3 * MIB), hole(5)]
    text = refused(agent, upload(tmp_path, *frames, more=True), upload(tmp_path / "z"))
    assert text.startswith("EISDIR:") and (tmp_path / "z").exists()
    assert refused(agent, upload(tmp_path, *frames)).startswith("EISDIR:")


def test_a_hole_outside_of_an_upload_is_no_request(agent, tmp_path):
    assert refused(agent, hole(5)).startswith("EPROTO: ")
    frames = converse(agent, upload(tmp_path / "x", more=True) + hole(5))
    assert [frame.type for frame in frames] == [codec.FILE_ACK, codec.FILE_ERR], frames
    answered(agent, upload(tmp_path / "x") + hole(5))
    assert (tmp_path / "x").read_bytes() == b""


# ---- what breaks off -------------------------------------------------------------


def uploads(agent):
    """The workers that have one."""
    return [slot["pid"] for slot in agent.status()["slots"] if slot["kind"] == "write"]


def begin(agent, path, *frames):
    """An upload whose end does not come, and the worker that has it."""
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(upload(path, *frames)[:-len(encode(codec.FILE_DONE))])
    return conn, wait_until(lambda: uploads(agent), message="the upload has begun")[0]


def assert_old_stands(agent, tmp_path):
    wait_until(lambda: not uploads(agent), message="the end of the upload")
    assert (tmp_path / "x").read_bytes() == b"old" and litter(tmp_path) == []


def test_a_hole_that_nothing_came_behind_leaves_the_old_file(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    conn, _ = begin(agent, tmp_path / "x", data(b"new"), hole(MIB))
    conn.close()
    assert_old_stands(agent, tmp_path)


@pytest.mark.kills_workers
def test_a_worker_that_is_killed_behind_a_hole_leaves_the_old_file(agent, tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    conn, pid = begin(agent, tmp_path / "x", data(b"new"), hole(MIB))
    os.kill(pid, signal.SIGKILL)
    assert conn.expect(codec.FILE_ERR).payload == b"EIO: worker lost"
    assert_old_stands(agent, tmp_path)


# Of a device: days of zeros, if nobody looked.
LONG = hole(1 << 40)
TAKES_ALL = ["--workers=4", "--max-file-mib=1048576"]


def test_a_long_hole_that_is_written_ends_with_its_host(start_agent):
    agent = start_agent(*TAKES_ALL)
    conn, _ = begin(agent, "/dev/null", LONG)
    conn.close()
    wait_until(lambda: not uploads(agent), message="the end of the upload")


@pytest.mark.ends_agent
def test_a_long_hole_that_is_written_ends_with_the_agent(start_agent):
    agent = start_agent(*TAKES_ALL)
    conn, _ = begin(agent, "/dev/null", LONG)
    agent.terminate()
    assert conn.expect(codec.FILE_ERR).payload.startswith(b"ECANCELED: /dev/null")
