# SPDX-License-Identifier: MIT
"""Standard input, SIGNAL and RESIZE of a session on pipes."""

import hashlib
import os
import random
import select
import sys

import pytest

import codec
from agent import is_running, stat_of, wait_until

FORGETS_DURABLE = True
MIB = 1024 * 1024


def fill(agent, conn, total=64 * MIB):
    """Sends STDIN frames until nothing more is taken; returns the number of bytes that
    were."""
    frame = codec.encode(codec.STDIN, b"i" * 65536)
    sent = 0
    conn.sock.setblocking(False)
    while sent < total:
        if not select.select([], [conn], [], 0.1)[1]:
            agent.settle()
            if not select.select([], [conn], [], 0)[1]:
                break
        sent += conn.sock.send(frame[sent % len(frame):])
    return sent


def test_eof_closes_standard_input_once_all_before_it_was_delivered(agent):
    result = agent.run(["sh", "-c", "sleep 0.5; wc -c"], stdin=b"x" * 900000)
    assert result.stdout.split() == [b"900000"] and result.code == 0


def test_eof_carries_no_data_whatever_its_payload(agent):
    conn = agent.start(["cat"])
    conn.send(codec.STDIN, b"data")
    conn.send(codec.EOF, b"ignored")
    assert conn.result().stdout == b"data"


def test_stdin_behind_eof_is_dropped(agent):
    conn = agent.start(["sh", "-c", "cat; sleep 0.3; echo end"])
    conn.send(codec.STDIN, b"before\n")
    conn.send(codec.EOF)
    conn.send(codec.STDIN, b"behind\n")
    conn.send(codec.EOF)
    assert conn.result().stdout == b"before\nend\n"


def test_five_thousand_frames_of_one_byte(agent):
    conn = agent.start(["cat"])
    conn.send_reading(codec.encode(codec.STDIN, b"z") * 5000 + codec.encode(codec.EOF))
    assert conn.result().stdout == b"z" * 5000


@pytest.mark.parametrize("how", ["plain", "slow", "durable", "attached"])
def test_frames_of_any_length_in_one_stream_reach_the_program_in_order(agent, how):
    """With others between them; the program may be slower than its host."""
    noise = random.Random(7)
    parts = [noise.randbytes(noise.choice([0, 1, 5, 1000, 4096, 16383, 16384, 65536])) for _ in range(300)]
    between = [b"", codec.encode(codec.RESIZE, bytes(4)), codec.encode(codec.SIGNAL, codec.signal_number(18)), codec.encode(0x3f, b"?" * 99)]
    stream = b"".join(codec.encode(codec.STDIN, part) + noise.choice(between) for part in parts)
    stream += codec.encode(codec.EOF) + codec.encode(codec.STDIN, b"behind")
    members = {"name": how, "durable": {}} if how in ("durable", "attached") else {}
    conn = agent.start(["sh", "-c", "sleep 0.5; exec sha256sum" if how == "slow" else "exec sha256sum"], **members)
    if how == "attached":
        conn.expect(codec.STATUS)
        conn.close()
        conn = agent.connect()
        conn.send(codec.ATTACH, {"name": how, "from": 0})
    assert conn.send_reading(stream) == len(stream)
    result = conn.result()
    assert result.stdout.split()[0].decode() == hashlib.sha256(b"".join(parts)).hexdigest() and result.code == 0


def test_a_program_that_closes_its_input_is_not_disturbed_by_more(agent, tmp_path):
    script = "exec <&-; echo closed; until test -e %s; do sleep 0.05; done; echo done; exit 6"
    conn = agent.start(["sh", "-c", script % (tmp_path / "end")])
    conn.read_output(b"closed\n")
    data = codec.encode(codec.STDIN, b"i" * MIB) * 8
    assert conn.send_reading(data) == len(data), "the rest was not taken"
    (tmp_path / "end").touch()
    result = conn.result()
    assert result.stdout == b"closed\ndone\n" and result.code == 6


def test_a_program_that_reads_a_little_and_ends(agent):
    for _ in range(10):
        result = agent.run(["head", "-c", "10"], stdin=b"0123456789" * 100000)
        assert (result.stdout, result.code) == (b"0123456789", 0)


def test_signal_is_acted_on_though_the_program_does_not_read(agent):
    conn = agent.start(["sleep", "60"])
    conn.send(codec.STDIN, b"i" * 1000000)
    conn.send(codec.SIGNAL, codec.signal_number(15))
    result = conn.result()
    assert (result.code, result.signal) == (143, 15)


def test_1_mib_is_held_then_the_connection_is_read_no_further(agent):
    conn = agent.start(["sh", "-c", "sleep 60"], timeout_seconds=4)
    sent = fill(agent, conn)
    assert MIB <= sent < 5 * MIB, "%d bytes were taken" % sent
    result = conn.result()
    assert (result.code, result.signal) == (137, 9), "the timeout waits for nobody"


def test_what_was_held_is_delivered_when_the_program_reads_at_last(agent):
    """The host's writes go on as soon as there is room."""
    size = 6 * MIB
    conn = agent.start(["sh", "-c", "sleep 1; wc -c"])
    stream = codec.encode(codec.STDIN, b"i" * size) + codec.encode(codec.EOF)
    assert conn.send_reading(stream) == len(stream)
    assert int(conn.result().stdout) == size


def test_the_end_of_the_program_is_told_though_input_is_held(agent, tmp_path):
    os.mkfifo(tmp_path / "end")
    conn = agent.start(["sh", "-c", "echo up; read line <end; exit 8"], working_dir=str(tmp_path))
    conn.read_output(b"up\n")
    fill(agent, conn)
    (tmp_path / "end").write_text("now\n")
    result = conn.until_exit()
    assert result.code == 8
    conn.close()


def test_the_hosts_going_is_noticed_though_1_mib_of_input_is_undelivered(agent):
    conn = agent.start(["sh", "-c", "echo $$; exec sleep 60"])
    pid = int(conn.read_output(b"\n"))
    assert fill(agent, conn) >= MIB
    conn.close()
    wait_until(lambda: not is_running(pid), message="the program ends")


# ---- SIGNAL -----------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 9, 10, 15, 34, 64])
def test_signal_reaches_the_program(agent, number):
    conn = agent.start(["sh", "-c", "echo up; exec sleep 60"])
    conn.read_output(b"up\n")
    conn.send(codec.SIGNAL, codec.signal_number(number))
    result = conn.result()
    assert (result.code, result.signal) == (128 + number, number)


def test_signal_reaches_the_whole_process_group(agent):
    conn = agent.start(["sh", "-c", "trap 'exit 3' TERM; sh -c 'echo $$; exec sleep 60' & wait"])
    pid = int(conn.read_output(b"\n"))
    conn.send(codec.SIGNAL, codec.signal_number(15))
    assert conn.result().code == 3
    wait_until(lambda: not is_running(pid), message="the background child gets the signal too")


def test_who_outlives_the_main_process_reads_end_of_file(agent, tmp_path):
    note = tmp_path / "note"
    script = 'exec 3<&0; (cat <&3; echo end >"$1"; echo said) %s & exit 0'
    said = b""
    # Who is quiet for 100 ms, as one may be on a busy machine, is not heard: one of a few is.
    for _ in range(20):
        holding = agent.sh(script % "", str(note), eof=False)
        wait_until(lambda: note.exists() and note.read_text() == "end\n", message="the end of its input")
        note.unlink()
        assert holding.code == 0
        if said := holding.stdout:
            break
    assert said == b"said\n"
    silent = agent.sh(script % ">/dev/null 2>&1", str(note), eof=False)
    assert (silent.stdout, silent.code) == (b"", 0)
    wait_until(note.exists)


def test_signal_can_be_trapped_and_the_session_goes_on(agent):
    conn = agent.start(["sh", "-c", "trap 'echo got' USR1; echo up; while :; do sleep 0.05; done"])
    conn.read_output(b"up\n")
    for _ in range(3):
        conn.send(codec.SIGNAL, codec.signal_number(10))
        conn.read_output(b"got\n")
    conn.send(codec.SIGNAL, codec.signal_number(9))
    assert conn.result().code == 137


# A shell that is stopped in the middle of a fork does not look it.
TICK = """import os, time
print(os.getpid(), flush=True)
while True:
    print("tick", flush=True)
    time.sleep(0.05)"""


def test_stop_and_continue(agent):
    conn = agent.start([sys.executable, "-c", TICK])
    pid = int(conn.read_output(b"tick\n").split()[0])
    conn.send(codec.SIGNAL, codec.signal_number(19))
    wait_until(lambda: stat_of(pid)[0] == "T", message="it is stopped")
    while conn.wait_readable(1):
        conn.recv()
    conn.send(codec.SIGNAL, codec.signal_number(18))
    conn.read_output(b"tick\n")
    conn.send(codec.SIGNAL, codec.signal_number(9))
    assert conn.result().code == 137


@pytest.mark.parametrize("payload", [
    codec.signal_number(0), codec.signal_number(65), codec.signal_number(-1), codec.signal_number(-9),
    codec.signal_number(2**31 - 1), b"", b"\x09", b"\x09\0\0"])
def test_a_signal_frame_that_makes_no_sense_is_skipped(agent, payload):
    conn = agent.start(["cat"])
    conn.send(codec.SIGNAL, payload)
    conn.send(codec.STDIN, b"alive")
    conn.send(codec.EOF)
    result = conn.result()
    assert (result.stdout, result.code) == (b"alive", 0)


def test_signal_after_eof_is_acted_on(agent):
    conn = agent.start(["sh", "-c", "cat; echo eof; exec sleep 60"])
    conn.send(codec.EOF)
    conn.read_output(b"eof\n")
    conn.send(codec.SIGNAL, codec.signal_number(15))
    assert conn.result().code == 143


def test_a_thousand_signals_do_no_harm(agent):
    conn = agent.start(["sh", "-c", "trap : USR1; echo up; while :; do sleep 0.05; done"])
    conn.read_output(b"up\n")
    conn.send_reading(codec.encode(codec.SIGNAL, codec.signal_number(10)) * 1000)
    conn.send(codec.SIGNAL, codec.signal_number(9))
    assert conn.result().code == 137


@pytest.mark.parametrize("payload", [codec.resize(10, 20), b"", b"abc", codec.resize(1, 1, b"more")])
def test_resize_without_a_tty_is_ignored(agent, payload):
    conn = agent.start(["cat"])
    conn.send(codec.RESIZE, payload)
    conn.send(codec.STDIN, b"alive")
    conn.send(codec.EOF)
    result = conn.result()
    assert (result.stdout, result.code) == (b"alive", 0)
