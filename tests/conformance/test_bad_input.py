# SPDX-License-Identifier: MIT
"""What no decent host sends. Nobody may crash, spin, hang or take memory."""

import os
import random
import time

import pytest

import codec
from agent import together, untaken, wait_until
from answers import refused

PORTS = pytest.mark.parametrize("port", [codec.EXEC_PORT, codec.FILE_PORT], ids=["exec", "file"])

# First frames that a fuzzer must not make: they would act on this machine.
ACTING = {codec.CLOCK_SYNC, codec.NET_RECONFIG, codec.SHUTDOWN, codec.RESTORED,
          codec.FILE_WRITE_REQ, codec.FILE_REMOVE_REQ, codec.FILE_MOVE_REQ, codec.FILE_MKDIR_REQ,
          codec.FILE_SYMLINK_REQ, codec.FILE_SET_REQ, codec.FILE_LINK_REQ}


def throw(agent, port, data):
    """Sends DATA as far as the agent takes it, goes, and waits for the close."""
    conn = agent.connect(port)
    conn.send_reading(data, timeout=20)
    if not conn.closed:
        conn.half_close()
    try:
        return conn.result(timeout=20)
    except codec.WireError as error:
        raise AssertionError("%s for %r" % (error, data[:100])) from None


def still_serves(agent):
    assert agent.run(["cat"], stdin=b"fine").stdout == b"fine"


@PORTS
@pytest.mark.parametrize("seed", range(4))
def test_random_bytes(agent, port, seed):
    rng = random.Random(seed * 1000 + port)
    for _ in range(60):
        data = bytearray(rng.randbytes(rng.choice((1, 4, 5, 6, 20, 300, 5000))))
        if data[0] in ACTING:
            data[0] ^= 0x80
        throw(agent, port, data)
    still_serves(agent)


@PORTS
@pytest.mark.parametrize("seed", range(2))
def test_random_frames_of_legal_length(agent, port, seed):
    rng = random.Random(seed * 77 + port)
    kinds = [k for k in list(range(0x60)) + [0x7F, 0xFF] if k not in ACTING]
    for _ in range(40):
        data = b"".join(codec.encode(rng.choice(kinds), rng.randbytes(rng.randrange(200)))
                        for _ in range(rng.randrange(1, 8)))
        throw(agent, port, data)
    still_serves(agent)


@pytest.mark.parametrize("seed", range(2))
def test_a_start_with_a_few_bytes_changed(agent, seed):
    rng = random.Random(seed + 5)
    good = codec.encode(codec.START, codec.start(
        ["echo", "hello"], env={"A": "b"}, working_dir="/tmp", tty=False, timeout_seconds=5))
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(5, len(data))] = rng.choice(b'"{}[]:,\\0\x00\xffae1-')
        conn = agent.connect()
        conn.send_raw(bytes(data) + codec.encode(codec.EOF))
        result = conn.result()
        assert result.exit is not None, "START without EXIT: %r" % bytes(data)
        if result.code == 125:
            refused(result)


def test_a_session_between_random_frames(agent):
    """Random frames are skipped or obeyed, and the session still has its EXIT."""
    rng = random.Random(9)
    for _ in range(30):
        conn = agent.connect()
        data = codec.encode(codec.START, codec.start(["sh", "-c", "cat >/dev/null; exit 3"], tty=rng.random() < 0.3))
        for _ in range(20):
            kind = rng.choice([codec.STDIN, codec.RESIZE, 0x00, 0x09, 0x33, 0xFE, codec.START, codec.STATUS])
            data += codec.encode(kind, rng.randbytes(rng.randrange(100)).replace(b"\x03", b"").replace(b"\x1c", b"").replace(b"\x1a", b""))
        data += codec.encode(codec.SIGNAL, codec.signal_number(9))
        conn.send_reading(data)
        result = conn.result()
        assert result.exit is not None and result.code in (3, 137), result


@PORTS
@pytest.mark.parametrize("length", [codec.FRAME_MAX + 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_huge_length_in_every_first_frame(agent, port, length):
    for kind in list(range(0x00, 0x0A)) + list(range(0x20, 0x2A)) + [0x40, 0x41, 0x42, 0x43, 0x44, 0xFF]:
        conn = agent.connect(port)
        conn.send_raw(codec.header(kind, length))
        if port == codec.FILE_PORT:
            conn.expect(codec.FILE_ERR)
            conn.close()
        else:
            assert conn.result().exit is not None, kind


def test_a_start_of_16_mib_is_dropped_and_refused(agent):
    data = codec.encode(codec.START, b"[" * codec.FRAME_MAX)
    conn = agent.connect()
    assert conn.send_reading(data) == len(data)
    refused(conn.result())


@PORTS
def test_an_announced_frame_that_never_comes(agent, port):
    """16 MiB are announced eight times over, and nothing follows."""
    conns = [agent.connect(port) for _ in range(6)]
    for conn in conns:
        conn.send_raw(codec.header(codec.START if port == codec.EXEC_PORT else codec.FILE_READ_REQ, codec.FRAME_MAX))
        wait_until(lambda c=conn: not untaken(c), message="it is read")
    still_serves(agent)
    for conn in conns:
        conn.close()


def test_a_reader_that_takes_one_byte_at_a_time(agent):
    conn = agent.start(["seq", "1", "2000"])
    conn.sock.settimeout(20)
    decoder, frames = codec.Decoder(), []
    while True:
        byte = conn.sock.recv(1)
        if not byte:
            break
        frames += decoder.feed(byte)
    conn.close()
    out = b"".join(f.payload for f in frames if f.type == codec.STDOUT)
    assert out.split()[-1] == b"2000" and frames[-1].type == codec.EXIT


def test_two_starts_in_a_row_run_one_program(agent):
    conn = agent.connect()
    conn.send_raw(codec.encode(codec.START, codec.start(["cat"])) * 2 + codec.encode(codec.STDIN, b"x")
                  + codec.encode(codec.EOF))
    result = conn.result()
    assert (result.stdout, result.code) == (b"x", 0)


@pytest.mark.parametrize("text", [
    '{"cmd":["true"],"timeout_seconds":1e400}', '{"cmd":["true"],"tty_width":1e1}',
    '{"cmd":["true"],"timeout_seconds":-0}', '{"cmd":["true"],"timeout_seconds":99999999999999999999999}',
    '{"cmd":["true"],"timeout_seconds":0x10}', '{"cmd":["true"],"tty":TRUE}', '{"cmd":["true"],,}',
    '{"cmd":["true",]}', '{"cmd":["\\ud800"]}', '{"cmd":["\\u0000"]}', '{"cmd":["true"],"env":{"\\u0000":"x"}}',
    '{"cmd":["true"],"\\u0000":1}', '{"cmd":[' + '"x",' * 200000 + '"x"]}', '{"cmd":["true"],"env":{"A":"1","A":"2"}}',
    '{"' + "k" * 900000 + '":1,"cmd":["true"]}', '{"cmd":["%s%n%s%n"]}', '{"cmd":["true"],"user":"%s%n"}',
    '{"cmd":["true"],"working_dir":"' + "a/" * 100000 + '"}'], ids=range(18))
def test_odd_json_gets_an_exit(agent, text):
    result = agent.request(codec.START, text.encode())
    assert result.exit is not None, result
    assert result.code in (0, 125, 126, 127)
    still_serves(agent)


def test_bad_hosts_do_not_disturb_a_good_one(agent):
    rng = random.Random(3)

    def bad():
        for _ in range(40):
            throw(agent, codec.EXEC_PORT, codec.header(0x99, rng.randrange(2**32)) + os.urandom(50))

    def good():
        for _ in range(15):
            result = agent.run(["cat"], stdin=b"g" * 100000)
            assert len(result.stdout) == 100000 and result.code == 0

    together([bad, bad, good, good])


@PORTS
def test_a_host_that_floods_and_never_reads(agent, port):
    """A refused host that keeps on sending is dropped in the end."""
    conn = agent.connect(port)
    conn.sock.settimeout(20)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < 20:
            conn.sock.sendall(codec.encode(0x99, b"f" * 65536))
        raise AssertionError("still taken after 20 s")
    except (BrokenPipeError, ConnectionResetError):
        pass
    conn.close()
