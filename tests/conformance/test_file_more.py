# SPDX-License-Identifier: MIT
"""Several requests on one connection: `"more":true`. All of them are sent before an answer is
read, so that no silence of the host's comes between them."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import stat

import pytest

import codec
from agent import Refused, hurry, untaken, wait_until, wait_until_waiting
from codec import encode
from faults import Fault, litter
from quiescing import Quiesce
from traces import Trace, name_of, timed_out

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
        encode(codec.FILE_LINK_REQ, {"from": str(d / "moved"), "to": str(d / "linked"), "more": True}),
        upload(file),
        encode(codec.FILE_REMOVE_REQ, {"path": str(d / "link")}))
    assert kinds(frames) == [
        codec.FILE_ACK, codec.FILE_ACK, codec.FILE_DATA, codec.FILE_DONE, codec.FILE_STAT, codec.FILE_LIST,
        codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK, codec.FILE_ACK], frames
    assert frames[2].payload == b"one two"
    assert frames[4].json()["size"] == 7
    assert [entry["name"] for entry in frames[5].json()] == ["file"]
    assert sorted(os.listdir(d)) == ["file", "linked", "moved"]
    assert os.path.samefile(d / "linked", d / "moved")
    assert file.read_bytes() == b"" and (d / "moved").read_bytes() == b"one two"
    assert (d / "moved").stat().st_mode & 0o777 == 0o640


def test_a_hundred_uploads_come_by_one_connection(agent, tmp_path):
    count = 100
    frames = converse(agent, *(upload(tmp_path / str(i), b"%d" % i) for i in range(count)))
    assert kinds(frames) == [codec.FILE_ACK] * count
    assert {int(name): int((tmp_path / name).read_bytes()) for name in os.listdir(tmp_path)} == {
        i: i for i in range(count)}


# What stands at a name that is written to among others, and what then does.
TAKEN = {
    "a file": (lambda path: path.write_bytes(b"old"), codec.FILE_ACK, b"new"),
    "a link that leads nowhere": (lambda path: path.symlink_to("elsewhere"), codec.FILE_ACK, b"new"),
    "a directory": (pathlib.Path.mkdir, codec.FILE_ERR, None),
    "a FIFO": (os.mkfifo, codec.FILE_ERR, None),
}


@pytest.mark.parametrize("make, answer, content", TAKEN.values(), ids=TAKEN)
def test_an_upload_among_others_finds_what_stands_at_its_name(agent, tmp_path, make, answer, content):
    make(tmp_path / "2")
    was = os.lstat(tmp_path / "2")
    frames = converse(agent, *(upload(tmp_path / str(i), b"new") for i in range(5)))
    assert kinds(frames) == [codec.FILE_ACK] * 2 + [answer] + [codec.FILE_ACK] * 2, frames
    assert stat.S_IFMT(os.lstat(tmp_path / "2").st_mode) == stat.S_IFMT(was.st_mode)
    assert content is None or (tmp_path / "2").read_bytes() == content
    assert all((tmp_path / name).read_bytes() == b"new" for name in "0134") and litter(tmp_path) == []


def test_an_upload_behind_a_move_goes_where_its_path_leads(agent, tmp_path):
    d = tmp_path / "d"
    move = encode(codec.FILE_MOVE_REQ, {"from": str(d), "to": str(tmp_path / "moved"), "more": True})
    frames = converse(agent, upload(d / "1"), upload(d / "2"), move, upload(d / "3"))
    assert kinds(frames) == [codec.FILE_ACK] * 4
    assert os.listdir(d) == ["3"] and sorted(os.listdir(tmp_path / "moved")) == ["1", "2"]


def test_an_upload_that_is_sent_after_a_rename_goes_where_its_path_leads(agent, tmp_path):
    d = tmp_path / "d"
    conn = agent.connect(codec.FILE_PORT)
    # Of the second the agent waits for all but the first bytes.
    conn.send_raw(upload(d / "1") + upload(d / "2")[:8])
    conn.expect(codec.FILE_ACK)
    d.rename(tmp_path / "moved")
    conn.send_raw(upload(d / "2")[8:])
    conn.expect(codec.FILE_ACK)
    assert os.listdir(d) == ["2"] and os.listdir(tmp_path / "moved") == ["1"]


def test_an_upload_into_a_directory_that_has_gone_meanwhile_makes_it(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    pid, = wait_until(agent.worker_pids, message="a worker")
    d = tmp_path / "d"
    with Fault(pid, "linkat", BEFORE, 2):
        conn = agent.connect(codec.FILE_PORT)
        conn.send_raw(upload(d / "1") + upload(d / "2"))
        conn.expect(codec.FILE_ACK)
        wait_until(lambda: stands_before(pid, LINKAT), message="the second is to get its name")
        shutil.rmtree(d)
    assert kinds(conn.result().frames) == [codec.FILE_ACK] * 2
    assert os.listdir(d) == ["2"]


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


def test_an_upload_that_is_too_large_is_dropped_wherever_that_shows(start_agent, tmp_path):
    """Also in the middle of small frames that came together."""
    agent = start_agent("--workers=2", "--max-file-mib=1")
    small, large = [b"1" * 4096] * 300, [b"2" * 700000] * 2
    frames = converse(agent, upload(tmp_path / "x", *small), upload(tmp_path / "y", *large),
                      upload(tmp_path / "z", *small[:256]), mark(tmp_path))
    assert kinds(frames) == [codec.FILE_ERR, codec.FILE_ERR, codec.FILE_ACK, codec.FILE_ACK], frames
    assert all(frame.payload.startswith(b"EFBIG:") for frame in frames[:2])
    assert sorted(os.listdir(tmp_path)) == ["begun", "z"] and (tmp_path / "z").stat().st_size == 1 << 20


def test_an_upload_that_fails_as_if_its_host_had_gone_is_dropped_too(agent, tmp_path):
    """EPIPE may be what a file system says."""
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "write", "error=EPIPE"):
        conn.send_raw(encode(codec.FILE_DATA, b"2"))
        conn.expect(codec.FILE_ERR)
    conn.send_raw(encode(codec.FILE_DATA, b"3") + encode(codec.FILE_DONE) + mark(tmp_path))
    frames = conn.result().frames
    assert kinds(frames) == [codec.FILE_ERR, codec.FILE_ACK], frames
    assert frames[0].payload.startswith(b"EPIPE:") and was_begun(tmp_path)


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


def test_a_read_in_whose_data_are_zeros_in_place_of_bytes_is_the_last(agent, tmp_path):
    size = 128 * 1024
    (tmp_path / "file").write_bytes(b"1" * size)
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "sendfile", BEFORE):
        conn.send_raw(encode(codec.FILE_DONE) + ask(codec.FILE_READ_REQ, tmp_path / "file") + mark(tmp_path))
        wait_until(lambda: stands_before(pid, SENDFILE), message="its header has gone")
        os.truncate(tmp_path / "file", 0)
    frames = conn.result().frames
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_DATA, codec.FILE_ERR], frames
    assert frames[1].payload == bytes(size) and frames[2].payload.startswith(b"EIO:")
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


def test_a_user_does_not_come_into_a_directory_by_the_upload_before_his(agent, public_dir):
    """He may write there, and has no way there."""
    shut, inner = public_dir / "shut", public_dir / "shut/inner"
    inner.mkdir(parents=True)
    inner.chmod(0o777)
    shut.chmod(0o700)
    frames = converse(agent, *(upload(inner / str(i), user=name) for i, name in enumerate(["", "", "nobody", ""])))
    assert kinds(frames) == [codec.FILE_ACK] * 2 + [codec.FILE_ERR, codec.FILE_ACK], frames
    assert frames[2].payload.startswith(b"EACCES:") and sorted(os.listdir(inner)) == ["0", "1", "3"]


def test_status_lists_more_among_the_features(agent):
    assert "more" in agent.status()["features"]


# ---- when the worker is given back ---------------------------------------------------


def begin_upload(agent, path, **members):
    """A connection with an upload that has begun, and the worker that waits for the rest of it."""
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(ask(codec.FILE_WRITE_REQ, path, **members) + encode(codec.FILE_DATA, b"1"))

    def pids():
        return [s["pid"] for s in agent.status()["slots"] if s["command"] == str(path)]

    pid = wait_until(pids, message="the upload has begun")[0]
    wait_until_waiting(lambda: [pid])
    return conn, pid


# The worker stands in front of a call for so long, in microseconds, or until it is let go.
BEFORE = "delay_enter=3600000000"

RECVFROM = {"x86_64": "45", "aarch64": "207"}[os.uname().machine]
POLL, POLL_NUMBER = {"x86_64": ("poll", "7"), "aarch64": ("ppoll", "73")}[os.uname().machine]
LINKAT = {"x86_64": "265", "aarch64": "37"}[os.uname().machine]
SENDFILE = {"x86_64": "40", "aarch64": "71"}[os.uname().machine]


def stands_before(pid, number):
    with open("/proc/%d/syscall" % pid) as call:
        return call.read().split()[0] == number


def is_pending(pid, number):
    """Whether the signal waits for the process to let it through."""
    with open("/proc/%d/status" % pid) as status:
        words = [line.split()[1] for line in status if line.startswith(("SigPnd", "ShdPnd"))]
    return any(int(word, 16) >> (number - 1) & 1 for word in words)


def end_of_upload(tmp_path):
    """What ends it, a request, and another one that a worker which is given back does not begin."""
    return encode(codec.FILE_DONE) + ask(codec.FILE_STAT_REQ, tmp_path) + mark(tmp_path)


def test_a_reload_has_one_more_request_carried_out_that_is_there_whole(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "recvfrom", BEFORE):
        conn.send_raw(end_of_upload(tmp_path))
        os.kill(agent.pid, signal.SIGHUP)
        wait_until(lambda: is_pending(pid, signal.SIGHUP), message="the worker is told")
    assert kinds(conn.result().frames) == [codec.FILE_ACK, codec.FILE_STAT]
    assert not was_begun(tmp_path) and (tmp_path / "x").read_bytes() == b"1"
    wait_until(lambda: pid not in agent.worker_pids(), message="it has left")


def test_who_waits_for_a_worker_gets_it_between_two_requests(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    conn, pid = begin_upload(agent, tmp_path / "x")
    other, = set(agent.worker_pids()) - {pid}
    with Fault(other, "recvfrom", BEFORE):
        busy, waiting = agent.dial(), None
        busy.sendall(b"CONNECT 53\n")
        wait_until(lambda: stands_before(other, RECVFROM), message="the other one is busy")
        with Fault(pid, "recvfrom", BEFORE):
            conn.send_raw(end_of_upload(tmp_path))
            waiting = agent.dial()
            waiting.sendall(b"CONNECT 53\n")
        assert kinds(conn.result().frames) == [codec.FILE_ACK, codec.FILE_STAT]
        assert not was_begun(tmp_path)
        assert waiting.recv(64).startswith(b"OK ")
    busy.close()
    waiting.close()


@pytest.mark.ends_agent
def test_an_upload_that_the_end_of_the_agent_meets_is_the_last(start_agent, tmp_path):
    agent = start_agent("--workers=2")
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "recvfrom", BEFORE):
        conn.send_raw(encode(codec.FILE_DATA, b"2"))
        agent.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_pending(pid, signal.SIGTERM), message="the worker is told")
    frame = conn.recv()
    assert frame.type == codec.FILE_ERR and frame.payload.startswith(b"ECANCELED:"), frame
    conn.send_reading(encode(codec.FILE_DONE) + mark(tmp_path))
    assert conn.recv() is None
    agent.terminate()
    assert not was_begun(tmp_path) and not (tmp_path / "x").exists()


RECYCLE = 20

# So short that all come by one call.
LOOK = ask(codec.FILE_STAT_REQ, "/")


@pytest.fixture
def recycled(start_agent):
    """An agent whose one worker leaves after RECYCLE requests, and the worker: to look whether
    the agent runs is fewer."""
    agent = start_agent("--workers=1", "--reserved=0", "--recycle=%d" % RECYCLE)
    return agent, wait_until(agent.worker_pids, message="a worker that has served little")[0]


def test_a_worker_that_has_served_enough_carries_out_what_was_sent_ahead(recycled, tmp_path):
    agent, pid = recycled
    frames = converse(agent, *[LOOK] * 2 * RECYCLE, mark(tmp_path))
    assert kinds(frames) == 2 * RECYCLE * [codec.FILE_STAT] + [codec.FILE_ACK]
    assert was_begun(tmp_path)
    wait_until(lambda: pid not in agent.worker_pids(), message="it has left")


def waits_before_the_end(agent, pid, *requests):
    """How PID has waited behind the last of its answers, up to its end of the connection."""
    conn = agent.connect(codec.FILE_PORT)
    with Trace(pid, "sendmsg,ppoll,shutdown") as trace:
        conn.send_raw(b"".join(requests))
        assert kinds(conn.result().frames) == len(requests) * [codec.FILE_STAT]
    calls = trace.calls()[pid]
    calls = calls[:next(i for i, call in enumerate(calls) if name_of(call) == "shutdown")]
    last = max(i for i, call in enumerate(calls) if name_of(call) == "sendmsg")
    # Others are looks, which wait for nothing.
    return [call for call in calls[last:] if name_of(call) == "ppoll" and "tv_nsec=0}" not in call]


def test_a_worker_that_has_served_enough_waits_for_no_silence(recycled):
    assert waits_before_the_end(*recycled, *[LOOK] * RECYCLE) == []


def test_a_connection_is_given_back_after_50_ms_of_silence(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    pid, = wait_until(agent.worker_pids, message="a worker")

    def waited_ms():
        wait, = waits_before_the_end(agent, pid, ask(codec.FILE_STAT_REQ, tmp_path))
        assert timed_out(wait), wait
        seconds, nanos = re.search(r"tv_sec=(\d+), tv_nsec=(\d+)", wait).groups()
        assert int(seconds) == 0 and int(nanos) <= 50000000, wait
        return int(nanos) // 1000000

    # Where the worker was held up in front of the wait, what is left is less.
    wait_until(lambda: waited_ms() >= 49, message="the whole of it")


def test_a_worker_does_not_serve_one_host_for_ever(recycled, tmp_path):
    agent, pid = recycled
    frames = converse(agent, *[LOOK] * 17 * RECYCLE, mark(tmp_path))
    # It had served some, and one more is there whole.
    assert 15 * RECYCLE < len(frames) <= 16 * RECYCLE + 1 and set(kinds(frames)) == {codec.FILE_STAT}
    assert not was_begun(tmp_path)
    wait_until(lambda: pid not in agent.worker_pids(), message="it has left")


@pytest.mark.parametrize("is_there", [False, True], ids=["nothing-there", "one-there"])
def test_a_quiesce_ends_the_connection_between_two_requests(start_agent, tmp_path, is_there):
    agent = start_agent("--workers=4")
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, POLL, BEFORE):
        conn.send_raw(encode(codec.FILE_DONE))
        conn.expect(codec.FILE_ACK)
        wait_until(lambda: stands_before(pid, POLL_NUMBER), message="it looks for the next one")
        if is_there:
            conn.send_raw(ask(codec.FILE_STAT_REQ, tmp_path) + mark(tmp_path))
        quiesce = Quiesce(agent)
        host = agent.connect()
        host.send(codec.QUIESCE, json.dumps(quiesce.order).encode())
        wait_until(lambda: agent.status().get("quiesce", {}).get("phase") == "resting", message="all are to rest")
    assert host.expect(codec.STATUS).json()["event"] == "quiesced"
    if not is_there:
        assert conn.recv() is None
    host.send(codec.THAW)
    assert kinds(conn.result().frames) == [codec.FILE_ACK] + is_there * [codec.FILE_STAT]
    assert not was_begun(tmp_path)


def test_requests_wait_while_the_guest_is_quiesced(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    with Quiesce(agent, conn) as quiesce:
        conn.send_raw(mark(tmp_path) + ask(codec.FILE_STAT_REQ, tmp_path))
        quiesce.silent()
        assert not was_begun(tmp_path)
    assert kinds(conn.result().frames) == [codec.FILE_ACK, codec.FILE_STAT]


def test_no_quiesce_waits_for_a_request_that_has_begun_to_come(agent, tmp_path):
    """It was not admitted, though the one before it was."""
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(ask(codec.FILE_STAT_REQ, tmp_path) + mark(tmp_path)[:7])
    conn.expect(codec.FILE_STAT)
    wait_until_waiting(lambda: [s["pid"] for s in agent.status()["slots"] if s["kind"] == ""])
    with Quiesce(agent, conn, within_ms=5000) as quiesce:
        conn.send_raw(mark(tmp_path)[7:])
        quiesce.silent()
        assert not was_begun(tmp_path)
    conn.expect(codec.FILE_ACK)
    conn.close()


def test_what_is_left_of_an_upload_is_dropped_after_the_rest(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(ask(codec.FILE_WRITE_REQ, tmp_path) + encode(codec.FILE_DATA, b"1"))
    conn.expect(codec.FILE_ERR)
    with Quiesce(agent, conn) as quiesce:
        conn.send_raw(encode(codec.FILE_DATA, b"2") + encode(codec.FILE_DONE) + mark(tmp_path))
        quiesce.silent()
        assert not was_begun(tmp_path)
    assert kinds(conn.result().frames) == [codec.FILE_ERR, codec.FILE_ACK]


# ---- a worker that stands between two requests ------------------------------------------


# The same, when the call is done.
BEHIND = "delay_exit=3600000000"


def slot_of(agent, pid):
    return next(slot for slot in agent.status()["slots"] if slot["pid"] == pid)


def test_between_two_requests_it_has_nothing_of_the_first_one(agent, public_dir):
    conn, pid = begin_upload(agent, public_dir / "x", user="nobody")
    assert agent.status()["workers"]["file"] == 1
    with Fault(pid, "poll", BEHIND):
        conn.send_raw(encode(codec.FILE_DONE) + mark(public_dir))
        conn.expect(codec.FILE_ACK)
        wait_until(lambda: slot_of(agent, pid)["kind"] == "", message="it is between two")
        assert slot_of(agent, pid)["user"] == slot_of(agent, pid)["command"] == ""
        assert agent.status()["workers"]["file"] == 0
        with open("/proc/%d/status" % pid) as status:
            assert "Uid:\t0\t0\t0\t0\n" in status.read()
        assert not was_begun(public_dir)
    conn.expect(codec.FILE_ACK)
    conn.close()
    assert was_begun(public_dir)


def test_a_request_that_finds_no_place_is_refused_and_the_last(start_agent, tmp_path):
    agent = start_agent("--workers=3", "--reserved=2")
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "poll", BEHIND):
        conn.send_raw(encode(codec.FILE_DONE) + mark(tmp_path) + ask(codec.FILE_STAT_REQ, tmp_path))
        conn.expect(codec.FILE_ACK)
        second, busy = begin_upload(agent, tmp_path / "y")
        third, = set(agent.worker_pids()) - {pid, busy}
        uploads = [second, agent.file_connect(codec.FILE_WRITE_REQ, {"path": str(tmp_path / "z")})]
        wait_until(lambda: untaken(uploads[1]) == 0, message="it is read")
        wait_until_waiting(lambda: [third])
    frames = conn.result().frames
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_ERR], frames
    assert frames[1].payload.startswith(b"EBUSY: busy: ")
    assert not was_begun(tmp_path)
    for upload_conn in uploads:
        upload_conn.close()


def test_what_is_left_of_an_upload_is_dropped_in_its_place(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(ask(codec.FILE_WRITE_REQ, tmp_path) + encode(codec.FILE_DATA, b"1"))
    conn.expect(codec.FILE_ERR)
    assert agent.status()["workers"]["file"] == 1
    conn.send_raw(encode(codec.FILE_DONE) + encode(codec.FILE_STAT_REQ, {"path": str(tmp_path)}))
    assert kinds(conn.result().frames) == [codec.FILE_ERR, codec.FILE_STAT]


# ---- a worker that is lost ---------------------------------------------------------------


LOST = b"EIO: worker lost"


@pytest.mark.kills_workers
def test_a_worker_that_is_lost_between_two_requests_owes_nothing(agent, tmp_path):
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "poll", BEHIND):
        conn.send_raw(encode(codec.FILE_DONE) + mark(tmp_path))
        conn.expect(codec.FILE_ACK)
        wait_until(lambda: slot_of(agent, pid)["kind"] == "", message="it is between two")
        os.kill(pid, signal.SIGKILL)
    assert kinds(conn.result().frames) == [codec.FILE_ACK]
    assert not was_begun(tmp_path)


@pytest.mark.kills_workers
def test_an_answer_that_went_is_followed_by_an_error_and_not_by_itself(agent, tmp_path):
    """A second ACK would be taken for the next request's, which was not begun."""
    conn, pid = begin_upload(agent, tmp_path / "x")
    with Fault(pid, "sendmsg", BEHIND):
        conn.send_raw(encode(codec.FILE_DONE) + mark(tmp_path))
        conn.expect(codec.FILE_ACK)
        os.kill(pid, signal.SIGKILL)
    frames = conn.result().frames
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_ERR] and frames[1].payload == LOST, frames
    assert not was_begun(tmp_path)


@pytest.mark.kills_workers
def test_a_request_that_had_begun_to_come_is_owed_an_answer(agent, tmp_path):
    conn, pid = begin_upload(agent, tmp_path / "x")
    conn.send_raw(encode(codec.FILE_DONE) + mark(tmp_path)[:7])
    conn.expect(codec.FILE_ACK)
    wait_until_waiting(lambda: [pid])
    os.kill(pid, signal.SIGKILL)
    frames = conn.result().frames
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_ERR] and frames[1].payload == LOST, frames


@pytest.mark.kills_workers
def test_a_worker_that_is_lost_while_it_drops_has_answered(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(ask(codec.FILE_WRITE_REQ, tmp_path) + encode(codec.FILE_DATA, b"1"))
    conn.expect(codec.FILE_ERR)
    pid, = [slot["pid"] for slot in agent.status()["slots"] if slot["kind"] == "write"]
    wait_until_waiting(lambda: [pid])
    os.kill(pid, signal.SIGKILL)
    assert kinds(conn.result().frames) == [codec.FILE_ERR]


UPLOADS = 40


def uploads(folder):
    return [upload(folder / str(i), b"content") for i in range(UPLOADS)]


def see_that_the_first_came(folder, count):
    assert {int(path.name): path.read_bytes() for path in folder.iterdir()} == dict.fromkeys(range(count), b"content")


def test_answers_to_uploads_that_came_together_go_out_together(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0", "--recycle=0")
    pid, = wait_until(agent.worker_pids, message="a worker")

    def count_sends():
        with Trace(pid, "sendmsg") as trace:
            hurry(pid, trace.process.pid)
            assert kinds(converse(agent, *uploads(tmp_path))) == UPLOADS * [codec.FILE_ACK]
        sends = len(trace.calls()[pid])
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        return sends

    # Where the worker is held up it looks for others, and answers before that.
    wait_until(lambda: count_sends() <= UPLOADS / 2, message="few sends")
    see_that_the_first_came(tmp_path, 0)


@pytest.mark.kills_workers
@pytest.mark.parametrize("done", [1, 8, 30])
def test_of_uploads_whose_worker_is_lost_the_host_knows_which_are_done(start_agent, tmp_path, done):
    agent = start_agent("--workers=1", "--reserved=0")
    pid, = wait_until(agent.worker_pids, message="a worker")
    with Fault(pid, "fchmod", "signal=SIGKILL", done + 1):
        frames = converse(agent, *uploads(tmp_path))
    assert kinds(frames) == done * [codec.FILE_ACK] + [codec.FILE_ERR] and frames[done].payload == LOST, frames
    see_that_the_first_came(tmp_path, done)


@pytest.mark.kills_workers
def test_of_uploads_whose_worker_is_lost_over_their_answers_none_is_confirmed_that_is_not_done(start_agent, tmp_path):
    agent = start_agent("--workers=1", "--reserved=0")
    pid, = wait_until(agent.worker_pids, message="a worker")
    agent.settle()
    # For the supervisor, the handshake's answer, the first ACK, and those of others.
    with Fault(pid, "sendmsg", "signal=SIGKILL", 4) as fault:
        hurry(pid, fault.process.pid)
        frames = converse(agent, *uploads(tmp_path))
    assert kinds(frames) == [codec.FILE_ACK, codec.FILE_ERR] and frames[1].payload == LOST, frames
    done = len(os.listdir(tmp_path))
    assert 1 < done <= 1 + 32, done
    see_that_the_first_came(tmp_path, done)
    assert kinds(converse(agent, *uploads(tmp_path))) == UPLOADS * [codec.FILE_ACK]


def until_lost(agent, victims, when, requests):
    """What was answered where each of VICTIMS is killed at its WHENth system call."""
    with Fault(victims, "all", "signal=SIGKILL", when):
        try:
            return converse(agent, *requests)
        except (Refused, BrokenPipeError):
            return []  # it was lost before the requests were sent


@pytest.mark.kills_workers
@pytest.mark.parametrize("when", range(3, 60, 6))
def test_whenever_a_worker_is_lost_a_host_knows_what_was_begun(start_agent, tmp_path, when):
    """Of the first that was not answered it knows if it was begun where the connection is
    closed without a word; of those behind that one always."""
    agent = start_agent("--workers=2")
    names = ["a", "b", "c", "d"]
    requests = [ask(codec.FILE_MKDIR_REQ, tmp_path / "a", mode=0), upload(tmp_path / "b", b"content"),
                ask(codec.FILE_MKDIR_REQ, tmp_path / "c", mode=0), upload(tmp_path / "d", b"content")]
    frames = until_lost(agent, agent.worker_pids(), when, requests)
    answered = kinds(frames).count(codec.FILE_ACK)
    told = frames[answered:]
    assert kinds(frames[:answered]) == [codec.FILE_ACK] * answered and len(told) <= 1, frames
    assert all(frame.type == codec.FILE_ERR and frame.payload == LOST for frame in told), frames
    done = [name for name in names if (tmp_path / name).exists()]
    assert done == names[:answered] or (told and done == names[:answered + 1]), (done, frames)
    assert all((tmp_path / name).read_bytes() == b"content" for name in done if name in "bd")


# ---- hosts that do not do as they should -------------------------------------------------


def test_a_host_that_takes_no_answers_is_given_up(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    conn = agent.connect(codec.FILE_PORT)
    conn.sock.setblocking(False)
    with pytest.raises(OSError):
        while True:
            try:
                conn.sock.send(ask(codec.FILE_STAT_REQ, tmp_path) * 100)
            except BlockingIOError:
                assert conn.wait_hangup(conn.timeout), "it is still held"
    while conn.recv() is not None:
        pass
    assert set(kinds(conn.frames)) == {codec.FILE_STAT}
    conn.close()


def test_a_request_that_stops_in_the_middle_is_refused_and_the_last(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--first-frame-timeout=1")
    workers = agent.worker_pids()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    # When one takes it all that will come is there.
    sock = agent.dial()
    sock.sendall(b"CONNECT %d\n" % codec.FILE_PORT + ask(codec.FILE_STAT_REQ, tmp_path) + mark(tmp_path)[:-1])
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    frames = agent.opened(sock).result().frames
    assert kinds(frames) == [codec.FILE_STAT, codec.FILE_ERR], frames
    assert frames[1].payload.startswith(b"ETIMEDOUT:") and not was_begun(tmp_path)


def test_an_upload_that_stops_in_the_middle_is_the_last(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    frames = converse(agent, ask(codec.FILE_WRITE_REQ, tmp_path / "x"), encode(codec.FILE_DATA, b"1"))
    assert kinds(frames) == [codec.FILE_ERR], frames
    assert frames[0].payload.startswith(b"ETIMEDOUT:") and not (tmp_path / "x").exists()


def test_an_upload_that_failed_and_stops_in_the_middle_ends_without_another_word(start_agent, tmp_path):
    agent = start_agent("--workers=2", "--stall-timeout=1")
    frames = converse(agent, ask(codec.FILE_WRITE_REQ, tmp_path), encode(codec.FILE_DATA, b"1"))
    assert kinds(frames) == [codec.FILE_ERR] and frames[0].payload.startswith(b"EISDIR:"), frames


def test_a_host_that_goes_in_the_middle_has_what_came_whole(agent, tmp_path):
    conn = agent.connect(codec.FILE_PORT)
    conn.send_raw(upload(tmp_path / "x", b"1") + ask(codec.FILE_WRITE_REQ, tmp_path / "y") +
                  encode(codec.FILE_DATA, b"2"))
    conn.close()
    wait_until((tmp_path / "x").exists, message="the first is carried out")
    assert (tmp_path / "x").read_bytes() == b"1"
    wait_until(lambda: not [s for s in agent.status()["slots"] if s["kind"] != "status"], message="it is over")
    assert not (tmp_path / "y").exists()


def spoiled(rng, tmp_path):
    """Requests of which some bytes are others, missing, or doubled."""
    requests = [mark(tmp_path), upload(tmp_path / "x", b"1" * 100, b"2"), upload(tmp_path, b"1"),
                ask(codec.FILE_READ_REQ, tmp_path / "x"), ask(codec.FILE_LIST_REQ, tmp_path),
                ask(codec.FILE_STAT_REQ, tmp_path / "none")]
    data = bytearray(b"".join(rng.choice(requests) for _ in range(12)))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data))
        data[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
    return bytes(data)


def test_whatever_comes_is_answered_by_whole_frames_and_then_the_end(agent, tmp_path):
    answers = {codec.FILE_ACK, codec.FILE_ERR, codec.FILE_STAT, codec.FILE_LIST, codec.FILE_DATA, codec.FILE_DONE}
    for seed in range(60):
        conn = agent.connect(codec.FILE_PORT)
        conn.send_raw(spoiled(random.Random(seed), tmp_path))
        conn.half_close()
        assert set(kinds(conn.result().frames)) <= answers and not conn.reset, "seed %d: %r" % (seed, conn.frames)
