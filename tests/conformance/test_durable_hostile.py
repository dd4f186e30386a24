# SPDX-License-Identifier: MIT
"""Durable sessions among hosts and guests that mean ill: what stands in shared memory and
in a journal is a stranger's word to all who read it."""

import os
import random
import signal
import time

import pytest

import codec
import durable
from agent import TimedOut, descriptors, kill_hard, together, wait_until
from test_scribbled_scoreboard import scribble

AGENT_OPTIONS = ("--workers=16", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20


def journals(pid):
    return ["/proc/%d/fd/%d" % (pid, number) for number, name in descriptors(pid).items() if name.startswith("/memfd:")]


# ---- memory ---------------------------------------------------------------------------


@pytest.mark.kills_workers
@pytest.mark.parametrize("what", ["ones", "noise", "zeros"])
def test_a_worker_that_scribbles_over_everything_leaves_the_agent_answering(start_agent, what):
    agent = start_agent("--workers=8")
    noise = random.Random(815)
    make = {"ones": lambda n: b"\xff" * n, "noise": noise.randbytes, "zeros": bytes}[what]
    for turn in range(4):
        before = agent.worker_pids()
        name = "s%d" % turn
        conn = agent.connect()
        conn.send(codec.START, codec.start(["sh", "-c", "echo x; exec sleep 600"], name=name, durable={}))
        program = 0
        frame = conn.recv()
        if frame is not None and frame.type == codec.STATUS:    # else what stands there has it refused
            program = frame.json()["pid"]
            for more in ({"input": False}, {}):
                durable.request(agent, codec.ATTACH, {"name": name, **more})
        scribble(before[0], make)
        for path in journals(agent.pid):
            with open(path, "r+b") as journal:
                size = os.fstat(journal.fileno()).st_size
                for _ in range(3):
                    os.pwrite(journal.fileno(), make(5000), noise.randrange(max(1, size - 5000)))
        os.kill(agent.pid, signal.SIGUSR1)
        time.sleep(0.3)
        kill_hard(*before, *([program] if program else []))
        conn.close()
        wait_until(lambda: len(agent.worker_pids()) == 8 and not set(before) & set(agent.worker_pids()), 40, "workers")
        assert agent.is_alive()
        assert agent.request(codec.STATUS_REQ).code == 0
        assert agent.run(["echo", "x"]).code in (0, 125)    # all places may be taken by nobody
        for member in ({"name": name}, {"session": 1}):
            result = durable.request(agent, codec.FORGET, member).result()
            assert result.code in (0, 1, 125), result


def test_readers_of_a_journal_that_somebody_has_written_over_go_on_to_the_end(start_agent):
    """They pass on what stands there, as many bytes as there should be."""
    agent = start_agent("--workers=8")
    size = 4 * MIB
    start = durable.sh(agent, "head -c %d /dev/zero; echo >&2; read x" % size, "over", buffer_bytes=8 * MIB)
    start.read_to(size + 1)
    noise = random.Random(5)
    stop = time.monotonic() + 1
    while time.monotonic() < stop:
        for path in journals(agent.pid):
            with open(path, "r+b") as journal:
                os.pwrite(journal.fileno(), noise.randbytes(70000), noise.randrange(18 * MIB))
        reader = durable.attach(agent, "over", at=0, input=False)
        reader.read_to(size + 1)
        reader.close()
    start.stdin(b"x\n")
    assert start.finish().exit == (0, 0)
    assert durable.attach(agent, "over", at=0).finish().offset == size + 1


# ---- hosts ----------------------------------------------------------------------------------


def test_hosts_that_attach_and_vanish_by_the_hundred_leave_nothing(start_agent):
    """In the middle of a request, of an answer, of a frame of theirs."""
    agent = start_agent("--workers=16")
    noise = random.Random(11)
    start = durable.sh(agent, "yes", "many", when_full="drop", buffer_bytes=65536)

    def rude(turn):
        conn = agent.connect()
        frame = codec.encode(codec.ATTACH, {"name": "many", "input": turn % 3 == 0, "from": 0})
        choice = noise.randrange(5)
        if choice == 0:
            frame = frame[:noise.randrange(len(frame))]
        if choice == 1:
            frame += codec.encode(codec.STDIN, bytes(200000))[:noise.randrange(200000)]
        if choice == 2:
            frame += codec.encode(codec.DETACH) * 3 + codec.encode(codec.EOF)
        if choice == 3:
            frame += b"".join(codec.encode(codec.SIGNAL, codec.signal_number(18)) for _ in range(100))
        try:
            conn.send_raw(frame)
            if noise.random() < 0.5:
                conn.wait_readable(0.05)
        except (BrokenPipeError, ConnectionResetError):
            pass
        conn.close()
    for turn in range(300):
        rude(turn)
    assert durable.sessions(agent)["many"]["running"]
    with durable.attach(agent, "many") as holder:
        holder.signal(signal.SIGKILL)
        while holder.exit is None:
            assert holder.take() is not None, holder
        assert holder.exit == (137, 9)
    start.close()
    wait_until(lambda: agent.status()["workers"]["exec"] == 0, message="places")


def test_takeovers_by_the_hundred_end_with_one_holder(start_agent):
    agent = start_agent("--workers=16")
    durable.start(agent, ["cat"], "turns").close()
    sent = b""
    reader = durable.attach(agent, "turns", at=0)
    for turn in range(400):
        following = durable.attach(agent, "turns", at=0)
        text = b"%d," % turn
        following.stdin(text)
        sent += text
        reader.close()
        reader = following
        if turn % 50 == 0:
            reader.read_until(text)
    reader.eof()
    reader.finish()
    assert reader.exit == (0, 0)
    # What was not published when the next one came is gone, and nothing of it comes late.
    parts = reader.out.split(b",")[:-1]
    assert [int(part) for part in parts] == sorted({int(part) for part in parts})
    assert parts[-1] == b"399"


def test_many_hosts_who_want_the_input_at_once_all_get_it_in_turn(start_agent):
    agent = start_agent("--workers=24")
    durable.start(agent, ["cat"], "race").close()
    for _ in range(10):
        readers = together([lambda: durable.attach(agent, "race")] * 5)
        text = os.urandom(8).hex().encode()
        for reader in readers:
            reader.stdin(text + b"\n")

        def told():
            for reader in readers:
                reader.take_all()
            return sum(bool(reader.all_events("input_taken")) or reader.closed for reader in readers) == 4
        wait_until(told, message="four of five are told")
        holder = next(r for r in readers if not r.closed and not r.all_events("input_taken"))
        holder.read_until(text + b"\n")
        for reader in readers:
            reader.close()


def test_a_host_that_floods_the_input_of_a_program_that_reads_nothing_holds_up_no_one(start_agent):
    agent = start_agent("--workers=8", "--log=info")
    start = durable.sh(agent, "while :; do echo x; sleep 0.01; done", "flood")
    reader = durable.attach(agent, "flood")
    data = codec.encode(codec.STDIN, bytes(1 << 20)) * 4
    reader.conn.sock.settimeout(0.5)
    try:
        reader.conn.sock.sendall(data)
        raise AssertionError("4 MiB were taken")
    except TimedOut:
        pass
    at = start.offset
    start.read_to(at + 100)
    with durable.attach(agent, "flood") as other:
        assert 0 < other.attached["stdin_bytes"] <= 2 << 20
        other.signal(signal.SIGKILL)
        other.finish()
        assert other.exit == (137, 9)
    reader.close()
    start.close()


def test_programs_that_do_what_they_like_to_their_agent_change_nothing(start_agent):
    """One that stops its parent and kills it is known; here they are many at once, with readers."""
    agent = start_agent("--workers=16")
    script = "kill -STOP $PPID; kill -CONT $PPID; seq 1 1000; exit 2"
    starts = [durable.sh(agent, script, "p%d" % i, buffer_bytes=65536) for i in range(4)]
    readers = [durable.attach(agent, "p%d" % i, at=0, input=False) for i in range(3)]
    expected = b"".join(b"%d\n" % i for i in range(1, 1001))
    together([reader.finish for reader in starts + readers])
    for reader in starts + readers:
        assert reader.data == expected and reader.exit == (2, 0)
