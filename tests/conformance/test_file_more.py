# SPDX-License-Identifier: MIT
"""Several requests on one connection: `"more":true`. All of them are sent before an answer is
read, so that no silence of the host's comes between them."""

import os

import pytest

import codec
from codec import encode

# What a Unix socket takes by one call.
TOGETHER = 16384

ABOVE_FRAME = codec.FRAME_MAX + 1


def ask(kind, path, **members):
    """The frame of a request behind which others stand."""
    return encode(kind, {"path": str(path), "more": True, **members})


def upload(path, *pieces, **members):
    return (ask(codec.FILE_WRITE_REQ, path, **members) +
            b"".join(encode(codec.FILE_DATA, piece) for piece in pieces) + encode(codec.FILE_DONE))


def converse(agent, *requests):
    """The frames that answer REQUESTS, up to the close. The last of them go out in one call:
    no silence of ours comes between two."""
    data = b"".join(requests)
    head = max(0, len(data) - TOGETHER)
    conn = agent.connect(codec.FILE_PORT)
    if conn.send_reading(data[:head]) == head:
        conn.send_raw(data[head:])
    return conn.result().frames


def kinds(frames):
    return [frame.type for frame in frames]


def mark(directory):
    """A request that shows whether it was begun: was_begun(directory)."""
    return ask(codec.FILE_MKDIR_REQ, directory / "begun", mode=0)


def was_begun(directory):
    return (directory / "begun").exists()


# ---- what goes on ---------------------------------------------------------------


def test_requests_that_are_sent_ahead_are_carried_out_in_order(agent, tmp_path):
    d, file = tmp_path / "d", tmp_path / "d/file"
    frames = converse(
        agent,
        ask(codec.FILE_MKDIR_REQ, d, mode=0o700),
        upload(file, b"one ", b"two"),
        ask(codec.FILE_READ_REQ, file),
        ask(codec.FILE_STAT_REQ, file),
        ask(codec.FILE_LIST_REQ, d),
        ask(codec.FILE_SYMLINK_REQ, d / "link", target="file"),
        ask(codec.FILE_SET_REQ, file, mode=0o640),
        encode(codec.FILE_MOVE_REQ, {"from": str(file), "to": str(d / "moved"), "more": True}),
        upload(file),
        encode(codec.FILE_REMOVE_REQ, {"path": str(d / "link")}))
    assert kinds(frames) == [
        codec.FILE_ACK, codec.FILE_ACK, codec.FILE_DATA, codec.FILE_DONE, codec.FILE_STAT, codec.FILE_LIST,
        codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK], frames
    assert frames[2].payload == b"one two"
    assert frames[4].json()["size"] == 7
    assert [entry["name"] for entry in frames[5].json()] == ["file"]
    assert sorted(os.listdir(d)) == ["file", "moved"]
    assert file.read_bytes() == b"" and (d / "moved").read_bytes() == b"one two"
    assert (d / "moved").stat().st_mode & 0o777 == 0o640


def test_a_hundred_uploads_come_by_one_connection(agent, tmp_path):
    count = 100
    frames = converse(agent, *(upload(tmp_path / str(i), b"%d" % i) for i in range(count)))
    assert kinds(frames) == [codec.FILE_ACK] * count
    assert {int(name): int((tmp_path / name).read_bytes()) for name in os.listdir(tmp_path)} == {
        i: i for i in range(count)}


def test_an_error_ends_its_request_alone(agent, tmp_path):
    frames = converse(
        agent,
        ask(codec.FILE_STAT_REQ, tmp_path / "none"),
        ask(codec.FILE_MKDIR_REQ, "x" * 5000),
        ask(codec.FILE_SET_REQ, tmp_path, mode="x"),
        ask(codec.FILE_STAT_REQ, tmp_path, user="nobody-of-that-name"),
        mark(tmp_path))
    assert kinds(frames) == [codec.FILE_ERR] * 4 + [codec.FILE_ACK], frames
    assert [frame.payload.split(b":")[0] for frame in frames[:4]] == [b"ENOENT", b"ENAMETOOLONG", b"EINVAL", b"EINVAL"]
    assert was_begun(tmp_path)


BAD_UPLOADS = {
    "a file in place of a directory": ({}, "file/x", b"ENOTDIR"),
    "a directory": ({}, "", b"EISDIR"),
    "no path": ({}, None, b"EINVAL"),
    "a member of the wrong type": ({"mode": "x"}, "new", b"EINVAL"),
    "a user who is not there": ({"user": "nobody-of-that-name"}, "new", b"EINVAL"),
}


@pytest.mark.parametrize("which", BAD_UPLOADS)
def test_the_rest_of_an_upload_that_fails_early_is_dropped(agent, tmp_path, which):
    """Far more of it than the sockets and the agent hold."""
    members, name, error = BAD_UPLOADS[which]
    path = "" if name is None else tmp_path / name
    (tmp_path / "file").touch()
    frames = converse(agent, upload(path, *[bytes(1 << 20)] * 4, **members), mark(tmp_path))
    assert kinds(frames) == [codec.FILE_ERR, codec.FILE_ACK], frames
    assert frames[0].payload.startswith(error + b":")
    assert was_begun(tmp_path) and not (tmp_path / "new").exists()


def test_a_frame_that_is_out_of_place_ends_its_upload_alone(agent, tmp_path):
    """All up to DONE is that upload's, requests too."""
    frames = converse(
        agent, ask(codec.FILE_WRITE_REQ, tmp_path / "x"), encode(codec.FILE_DATA, b"1"), mark(tmp_path),
        encode(codec.FILE_DATA, b"2"), encode(codec.FILE_DONE), ask(codec.FILE_STAT_REQ, tmp_path))
    assert kinds(frames) == [codec.FILE_ERR, codec.FILE_STAT], frames
    assert frames[0].payload.startswith(b"EPROTO:")
    assert not was_begun(tmp_path) and not (tmp_path / "x").exists()


def test_done_may_have_a_payload_though_another_request_comes(agent, tmp_path):
    frames = converse(
        agent, ask(codec.FILE_WRITE_REQ, tmp_path / "x"), encode(codec.FILE_DONE, bytes(10000)), mark(tmp_path))
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_ACK], frames


# ---- what does not --------------------------------------------------------------


def test_a_request_without_more_is_the_last(agent, tmp_path):
    frames = converse(agent, encode(codec.FILE_STAT_REQ, {"path": str(tmp_path), "more": False}), mark(tmp_path))
    assert kinds(frames) == [codec.FILE_STAT] and not was_begun(tmp_path)


def test_watch_does_not_know_more(agent, tmp_path):
    """It is ignored, as any member that is not known."""
    conn = agent.file_connect(codec.FILE_WATCH_REQ, {"path": str(tmp_path), "recursive": False, "more": True})
    conn.expect(codec.FILE_ACK)
    conn.half_close()
    assert kinds(conn.result().frames) == [codec.FILE_ACK]


HOPELESS = {
    "a length above the limit": (codec.header(codec.FILE_STAT_REQ, ABOVE_FRAME), b"EPROTO"),
    "a length above the limit in an upload": (
        ask(codec.FILE_WRITE_REQ, "/tmp/x") + codec.header(codec.FILE_DATA, ABOVE_FRAME), b"EPROTO"),
    "more that is not a bool": (encode(codec.FILE_STAT_REQ, {"path": "/", "more": 1}), b"EINVAL"),
    "JSON that is none": (encode(codec.FILE_STAT_REQ, b'{"path":"/","more":true'), b"EINVAL"),
    "a request that is too long": (encode(codec.FILE_STAT_REQ, bytes(codec.JSON_MAX + 1)), b"EPROTO"),
    "a frame that begins no request": (encode(codec.FILE_DATA, b"x"), b"EPROTO"),
}


@pytest.mark.parametrize("which", HOPELESS)
def test_what_can_not_be_gone_on_from_is_an_error_and_then_the_end(agent, tmp_path, which):
    request, error = HOPELESS[which]
    frames = converse(agent, ask(codec.FILE_STAT_REQ, tmp_path), request, mark(tmp_path))
    assert kinds(frames) == [codec.FILE_STAT, codec.FILE_ERR], frames
    assert frames[1].payload.startswith(error + b":")
    assert not was_begun(tmp_path)


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(agent, tmp_path):
    assert kinds(converse(agent, ask(codec.FILE_STAT_REQ, tmp_path))) == [codec.FILE_STAT]


# ---- each request for itself --------------------------------------------------------


def test_a_user_is_that_of_one_request_alone(agent, public_dir):
    names = ["nobody", "root", "nobody", "none-of-that-name", ""]
    frames = converse(agent, *(upload(public_dir / str(i), user=name) for i, name in enumerate(names)))
    assert kinds(frames) == [codec.FILE_ACK] * 3 + [codec.FILE_ERR, codec.FILE_ACK], frames
    nobody = (public_dir / "0").stat().st_uid
    assert nobody != 0
    assert [(public_dir / str(i)).stat().st_uid for i in (1, 2, 4)] == [0, nobody, 0]


def test_status_lists_more_among_the_features(agent):
    assert "more" in agent.status()["features"]
