# SPDX-License-Identifier: MIT
"""What answers may be somebody who has taken the guest: the client says what is wrong, in time,
and its memory stays bounded."""

import os

import pytest

from liar import (EXIT, FILE_ACK, FILE_DATA, FILE_DONE, FILE_ERR, STATUS, STDERR, STDOUT, Liar, end, frame,
                  read_frame, read_to_close, wait_for_close)

MIB = 1 << 20

# What a client may have grown by, in KiB: its buffers, what a collector has not collected yet.
ROOM = 96 * 1024


def says(*parts):
    """Reads the request, and says this, in whatever piece."""
    def play(sock):
        read_frame(sock)
        for part in parts:
            sock.sendall(part)
    return play


def outcome_of(port, tmp_path, play, action="run", *args, **more):
    with Liar(tmp_path / "vm", play, *more.pop("hello", ())):
        return port.do(f"unix:{tmp_path}/vm", action, *(args or ("x",)), **more)


HUGE = b"\xff\xff\xff\xff"
NONSENSE = {
    "a frame of 4 GiB": ("run", frame(STDOUT)[:1] + HUGE),
    "a frame one byte above the limit": ("run", b"\x10\x01\x00\x00\x01"),
    "a status of the largest length": ("run", b"\x50\x00\x00\x00\x01"),
    "a status that is not JSON": ("request", frame(STATUS, b"\xff{") + end(0)),
    "a short EXIT": ("run", frame(EXIT, b"\0\0\0")),
    "an EXIT of the largest length": ("run", b"\x12\x00\x00\x00\x01"),
    "a FILE_ERR of the largest length": ("get", b"\x31\x00\x00\x00\x01"),
    "a FILE_DATA of 4 GiB": ("get", b"\x21" + HUGE),
    "an answer of 4 GiB to an upload": ("put", b"\x30" + HUGE),
}
BROKEN = {
    "nothing": ("run", b""),
    "half a header": ("run", b"\x10\x00"),
    "half a frame": ("run", frame(STDOUT, b"hello")[:-1]),
    "output and no end": ("run", frame(STDOUT, b"hello")),
    "half an EXIT": ("run", end(0)[:-1]),
    "half a file": ("get", frame(FILE_DATA, b"hello")),
    "an answer to another request": ("get", frame(FILE_ACK)),
    "a file's end to an upload": ("put", frame(FILE_DATA, b"x") + frame(FILE_DONE)),
    "no answer to a request": ("request", frame(STATUS, b"{}")),
}
ARGS = {"run": ("x",), "get": ("/x",), "put": ("/x",), "request": ("64",)}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_told(port, tmp_path, what):
    action, said = NONSENSE[what]
    play = says(said)

    def stay(sock):
        play(sock)
        read_to_close(sock)             # it is not the end of the connection that tells it
    outcome = outcome_of(port, tmp_path, stay, action, *ARGS[action])
    assert outcome["failure"] == "protocol", outcome


@pytest.mark.parametrize("what", BROKEN)
def test_an_end_without_a_last_frame_is_told(port, tmp_path, what):
    action, said = BROKEN[what]
    outcome = outcome_of(port, tmp_path, says(said), action, *ARGS[action])
    assert outcome["failure"] == "lost", outcome


@pytest.mark.parametrize("hello", [b"HTTP/1.1 400 Bad Request\r\n", b"x" * 200000], ids=["words", "no line"])
def test_what_says_no_ok_is_not_the_agent(port, tmp_path, hello):
    outcome = outcome_of(port, tmp_path, read_to_close, hello=(hello,))
    assert outcome["failure"] == "protocol", outcome


def test_frames_of_no_meaning_are_skipped(port, tmp_path):
    play = says(frame(0x77, b"x" * MIB), frame(FILE_DATA, b"y"), frame(STDOUT), frame(STDOUT, b"out"),
                frame(0x78), frame(STDERR, b"err"), end(3))
    outcome = outcome_of(port, tmp_path, play)
    assert (outcome["stdout"], outcome["stderr"], outcome["code"]) == (b"out", b"err", 3)


def test_a_guest_that_owns_the_agent_can_not_fill_the_memory(port, tmp_path):
    small = grown_to(port, tmp_path / "small", says(end(0)))
    status = frame(STATUS, b'{"event":"exited","x":"' + b"x" * (MIB - 100) + b'"}')
    junk = frame(STDERR, b"x" * MIB)
    large = grown_to(port, tmp_path / "large", says(*[status, junk] * 128, end(0)))
    assert large < small + ROOM


def test_bytes_that_come_alone_can_not_either(port, tmp_path):
    """A status of 200,000 pieces."""
    small = grown_to(port, tmp_path / "small", says(end(0)))
    status = b'{"x":"' + b"x" * 200000 + b'"}'
    large = grown_to(port, tmp_path / "large", says(*(bytes([b]) for b in frame(STATUS, status)), end(0)))
    assert large < small + ROOM


def grown_to(port, folder, play):
    """The greatest size of a client that has the whole of it, in KiB."""
    folder.mkdir()
    with Liar(folder / "vm", play):
        process = port.begin(f"unix:{folder}/vm", "request", "64")
        outcome = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        words = process.stderr.read().decode()
        process.stdout.close(), process.stderr.close()
    assert b'"code":0' in outcome and b"failure" not in outcome and not words, (outcome[:1000], words)
    return used.ru_maxrss


# ---- the order of things --------------------------------------------------------


@pytest.fixture(name="zeros")
def endless_input():
    with open("/dev/zero", "rb") as zeros:
        yield zeros


def finish_with(port, tmp_path, play, zeros, action, *args, options=()):
    with Liar(tmp_path / "vm", play):
        process = port.begin(f"unix:{tmp_path}/vm", action, *args, options=options, stdin=zeros)
        return port.finish(process)


def test_an_error_amid_an_upload_is_read_at_once(port, tmp_path, zeros):
    """The guest reads no more, and does not close: no write ever fails."""
    def play(sock):
        read_frame(sock), read_frame(sock)
        sock.sendall(frame(FILE_ERR, b"ENOSPC: /x"))
        wait_for_close(sock)
    outcome = finish_with(port, tmp_path, play, zeros, "put", "/x")
    assert (outcome["failure"], outcome["text"]) == ("file", "ENOSPC: /x")


def test_an_end_amid_input_is_read_at_once(port, tmp_path, zeros):
    def play(sock):
        read_frame(sock), read_frame(sock)
        sock.sendall(frame(STDOUT, b"enough") + end(0))
        wait_for_close(sock)
    outcome = finish_with(port, tmp_path, play, zeros, "run", "head")
    assert (outcome["stdout"], outcome["code"], outcome.get("failure")) == (b"enough", 0, None)


def test_an_answer_counts_though_the_guest_has_closed(port, tmp_path, zeros):
    """Writes fail; what was sent before that is read."""
    def play(sock):
        read_frame(sock), read_frame(sock)
        sock.sendall(frame(FILE_ERR, b"EFBIG: /x"))
    outcome = finish_with(port, tmp_path, play, zeros, "put", "/x")
    assert (outcome["failure"], outcome["text"]) == ("file", "EFBIG: /x")


def test_a_half_close_is_an_end_though_the_way_there_is_blocked(port, tmp_path, zeros):
    def play(sock):
        read_frame(sock), read_frame(sock)
        sock.shutdown(1)
        wait_for_close(sock)
    assert finish_with(port, tmp_path, play, zeros, "put", "/x")["failure"] == "lost"


@pytest.mark.parametrize("action", ARGS)
def test_a_guest_that_hangs_is_given_up_in_time(port, tmp_path, zeros, action):
    outcome = finish_with(port, tmp_path, wait_for_close, zeros, action, *ARGS[action], options=["--deadline=300"])
    assert outcome["failure"] == "deadline", outcome


def test_a_guest_that_never_ends_is_given_up_in_time(port, tmp_path):
    def play(sock):
        read_frame(sock)
        while True:
            sock.sendall(frame(STATUS, b"{}"))
    outcome = outcome_of(port, tmp_path, play, "request", "64", options=["--deadline=300"])
    assert outcome["failure"] == "deadline", outcome


def test_a_vmm_that_does_not_say_ok_is_given_up_in_time(port, tmp_path):
    outcome = outcome_of(port, tmp_path, read_to_close, hello=(b"",), options=["--deadline=300", "--boot=60000"])
    assert outcome["failure"] == "deadline", outcome


# ---- boot -------------------------------------------------------------------------


def test_a_vm_that_boots_is_waited_for(port, tmp_path):
    """There may be no socket yet; then the VMM closes, as nobody listens in the guest; then it does."""
    closed = []

    def play(sock):
        if len(closed) < 3:
            closed.append(sock)
            return
        sock.sendall(b"OK 1073741824\n")
        read_frame(sock)
        sock.sendall(end(7))
    process = port.begin(f"unix:{tmp_path}/vm", "run", "x", options=["--boot=60000"])
    with Liar(tmp_path / "vm", play, b""):
        assert port.finish(process)["code"] == 7
    assert len(closed) == 3


def test_a_vm_that_does_not_boot_is_given_up(port, tmp_path):
    outcome = port.do(f"unix:{tmp_path}/vm", "run", "x", options=["--boot=300"])
    assert outcome["failure"] in ("io", "deadline"), outcome


def test_an_address_of_no_kind_is_refused(port):
    for address in ("/run/vm.sock", "tcp:127.0.0.1:52"):
        process = port.begin(address, "run", "x", options=["--boot=60000"])
        said, words = process.communicate(timeout=60)
        assert b'"failure":"io"' in said or b"unix:PATH" in words, (said, words)
