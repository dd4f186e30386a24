"""Rule 8: what follows the last frame, on both ports."""

import time

import pytest

import codec
from agent import together, wait_until

ENDS = {
    "exit": lambda agent: agent.start(["true"]),
    "refusal": lambda agent: agent.start(["no-such-program"]),
    "bad_start": lambda agent: agent.start([]),
    "unknown_first_frame": lambda agent: request(agent, 0x99, b""),
    "file_refusal": lambda agent: agent.file_connect(0x99, b""),
    "status": lambda agent: request(agent, codec.STATUS_REQ, b""),
    "clock_error": lambda agent: request(agent, codec.CLOCK_SYNC, b""),
    "file_error": lambda agent: agent.file_connect(codec.FILE_READ_REQ, {"path": "/no/such"}),
    "file_done": lambda agent: agent.file_connect(codec.FILE_READ_REQ, {"path": "/etc/hostname"}),
}


def request(agent, kind, payload):
    conn = agent.connect()
    conn.send(kind, payload)
    return conn


def read_to_end(conn):
    """Up to the agent's half-close, the host's end left open."""
    while conn.recv() is not None:
        pass
    assert not conn.reset
    return time.monotonic()


def refused_upload(agent):
    """The rest of such an upload is heard for longer than 100 ms."""
    return agent.file_connect(codec.FILE_WRITE_REQ, {"path": ""})


ENDINGS = pytest.mark.parametrize("make", ENDS.values(), ids=ENDS.keys())


@pytest.mark.parametrize("make", [*ENDS.values(), refused_upload], ids=[*ENDS, "refused_upload"])
def test_the_sending_side_is_shut_down_at_once(agent, make):
    took = []
    for _ in range(3):
        conn = make(agent)
        conn.recv()
        begun = time.monotonic()
        took.append(read_to_end(conn) - begun)
        conn.close()
    assert min(took) < 0.3, took


@ENDINGS
def test_a_host_that_still_writes_is_heard_for_about_100_ms_then_closed(agent, make):
    """A refused host of the file port may be heard longer: it may be uploading."""
    lingers = []
    for _ in range(3):
        conn = make(agent)
        ended = read_to_end(conn)
        assert conn.wait_hangup(5), "no close within 5 s"
        lingers.append(time.monotonic() - ended)
        conn.close()
    assert max(lingers) > 0.07, "a host's late write would fail: %r" % lingers
    assert min(lingers) < (2.5 if make is ENDS["file_refusal"] else 1), lingers


def test_an_eof_frame_that_comes_after_exit_never_fails_a_host(agent):
    """H1's run() writes START, then EOF, and takes a failed write for a failed run."""
    for _ in range(50):
        conn = agent.start(["true"])
        conn.until_exit()
        exited = time.monotonic()
        try:
            conn.send(codec.EOF)
        except BrokenPipeError:
            assert time.monotonic() - exited > 0.08, "closed too soon"
        assert conn.recv() is None and not conn.reset
        conn.close()


def test_a_late_stdin_is_dropped_without_an_error(agent):
    conn = agent.start(["true"])
    conn.until_exit()
    conn.send(codec.STDIN, b"x" * 100000)
    assert conn.recv() is None and not conn.reset
    conn.close()


def test_the_hosts_eof_frame_ends_the_wait_at_once(agent):
    lingers = []
    for _ in range(8):
        conn = agent.start(["true"])
        ended = read_to_end(conn)
        conn.send(codec.EOF)
        assert conn.wait_hangup(5)
        lingers.append(time.monotonic() - ended)
        conn.close()
    assert min(lingers) < 0.06, lingers


def test_an_eof_frame_sent_before_the_end_ends_the_wait_too(agent):
    lingers = []
    for _ in range(8):
        conn = agent.start(["true"])
        conn.send(codec.EOF)
        ended = read_to_end(conn)
        assert conn.wait_hangup(5)
        lingers.append(time.monotonic() - ended)
        conn.close()
    assert min(lingers) < 0.06, lingers


def test_the_hosts_close_ends_the_wait_at_once(agent):
    begun = time.monotonic()
    for _ in range(20):
        conn = agent.start(["true"])
        conn.until_exit()
        conn.close()
    assert time.monotonic() - begun < 10


def slow_host(conn):
    """Lets the agent wait for the host, then reads all but does not close."""
    time.sleep(0.6)
    return read_to_end(conn)


def slow_exec(agent):
    return agent.start(["head", "-c", "3000000", "/dev/zero"])


def slow_file(agent, path):
    return agent.file_connect(codec.FILE_READ_REQ, {"path": path})


@pytest.fixture
def big_file(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(bytes(3000000))
    return str(path)


def test_a_slow_host_gets_up_to_10_s_and_eof_does_not_end_that(agent, big_file):
    def hold(make, send_eof):
        def call():
            conn = make()
            ended = slow_host(conn)
            if send_eof:
                conn.send(codec.EOF)
            assert not conn.wait_hangup(6), "closed after %.1f s" % (time.monotonic() - ended)
            assert conn.wait_hangup(10), "still open after 16 s"
            waited = time.monotonic() - ended
            conn.close()
            assert 8 < waited < 14, waited
        return call

    together([hold(lambda: slow_exec(agent), False), hold(lambda: slow_exec(agent), True),
              hold(lambda: slow_file(agent, big_file), False)])


def test_a_slow_hosts_close_frees_the_worker(agent):
    conn = slow_exec(agent)
    slow_host(conn)
    conn.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, 4, "the worker is idle")


def test_nothing_of_the_tail_is_lost_to_a_slow_host(agent):
    conn = agent.start(["sh", "-c", "head -c 5000000 /dev/zero; echo tail; echo err >&2"])
    total = 0
    last = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        frame = conn.recv()
        if frame is None:
            break
        if frame.type == codec.STDOUT:
            total += len(frame.payload)
            last = frame.payload[-5:]
        time.sleep(0.01)
    result = conn.result()
    assert total == 5000005 and last == b"tail\n" and result.code == 0 and result.stderr == b"err\n"
