# SPDX-License-Identifier: MIT
"""Durable sessions whose workers die: the owner's costs the program but nothing that it
had written, a reader's costs its host one way back."""

import os
import random
import re
import signal
import time

import pytest

import codec
import durable
from agent import Agent, is_running, kill_hard, together, wait_until
from durable import Frozen
from faults import Fault

AGENT_OPTIONS = ("--workers=24", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20
READ = 0 if os.uname().machine == "x86_64" else 63

pytestmark = pytest.mark.kills_workers


def numbers(last):
    return b"".join(b"%d\n" % i for i in range(1, last + 1))


def check_tail(agent, name, readers, expected):
    """All who are there, and one who comes later, have the same, which is the beginning
    of EXPECTED, and the end of a worker that was lost."""
    together([reader.finish for reader in readers])
    wait_until(lambda: not durable.sessions(agent)[name]["running"], message="it is lost")
    later = durable.attach(agent, name, at=0)
    assert later.attached["running"] is False
    later.finish()
    slot = durable.sessions(agent)[name]
    assert (slot["kind"], slot["code"], slot["signal"], slot["offset"]) == ("ended", 125, 0, later.offset)
    for reader in [*readers, later]:
        assert reader.exit == (125, 0) and b"worker lost" in reader.words, reader
        assert reader.offset == later.offset and not reader.lost, (reader, later)
        assert expected.startswith(reader.data), reader
    assert later.first == 0
    return later


# ---- the owner -------------------------------------------------------------------------


def test_tail_is_there_for_all_when_the_owner_is_killed_in_mid_output(agent):
    """START's own host hears of it as of any worker that is lost. All of it has room in the journal."""
    expected = numbers(2000000)
    for turn in range(6):
        name = "owner-%d" % turn
        start = durable.sh(agent, "seq 1 2000000; exec sleep 600", name, buffer_bytes=16 * MIB)
        program, owner = durable.program_pid(agent, name), durable.owner_pid(agent, name)
        readers = [durable.attach(agent, name, at=0, input=turn % 2 == 0 and i == 0) for i in range(3)]
        readers[0].read_to(100000 * turn)
        kill_hard(owner)
        later = check_tail(agent, name, readers, expected)
        assert later.offset >= 100000 * turn
        start.finish()
        assert start.exit in (None, (125, 0)) and expected.startswith(start.data)
        wait_until(lambda: not is_running(program), message="the program goes with it")
        assert durable.attach(agent, name, at=later.offset).finish().exit == (125, 0)
        assert durable.refused(agent, name, at=later.offset + 1).startswith("ERANGE: ")
        assert durable.forget(agent, name).code == 0


def run_into_append(owner, times):
    """It has read output from its program, for the TIMES-th time, and is about to append it."""
    for _ in range(times):
        while owner.run_to(READ) <= 0:
            pass


@pytest.mark.plain_build
@pytest.mark.parametrize("when_full", ["attached", "drop", "wait"])
def test_no_byte_is_wrong_when_the_owner_is_killed_between_two_stores(when_full):
    """So many instructions behind a read from the program: before and after the journal has
    it, and before and after it is said to be there."""
    expected = numbers(30)
    script = "read go; for i in $(seq 1 30); do echo $i; sleep 0.02; done"
    noise = random.Random(len(when_full))
    ends = []
    with Agent("--workers=24", "--log=debug") as agent:
        for turn in range(20):
            name = "stores-%d" % turn
            with durable.sh(agent, script, name, buffer_bytes=65536, when_full=when_full) as start:
                reader = durable.attach(agent, name, input=False, at=0)
                owner = Frozen(durable.owner_pid(agent, name))
                start.stdin(b"go\n")
                run_into_append(owner, 1)
                owner.step(noise.randrange(700))
                owner.kill()
                ends.append(check_tail(agent, name, [reader], expected).offset)
                assert durable.forget(agent, name).code == 0
    assert 0 in ends and any(ends), "none died before its first line was there, or none behind: %r" % ends


def check_streams(piece, references):
    """Of each stream what came without a gap, one after the other."""
    for kind, reference in references.items():
        runs = re.finditer(b"\\x%02x+" % kind, piece.marks)
        part = b"".join(bytes(piece.data[run.start():run.end()]) for run in runs)
        assert part in reference, piece


@pytest.mark.plain_build
def test_no_byte_is_wrong_when_the_owner_is_killed_while_the_ring_goes_round():
    """Both streams, in a ring that is full: the oldest bytes are overwritten."""
    script = "exec python3 -c 'import os\nfor i in range(1000000): os.write(1 + i % 2, b\"%06d,\" % i)'"
    references = {kind: b"".join(b"%06d," % i for i in range(first, 1000000, 2))
                  for first, kind in enumerate(durable.OUTPUT)}
    noise = random.Random(7)
    with Agent("--workers=24", "--log=debug") as agent:
        for turn in range(12):
            name = "ring-%d" % turn
            with durable.sh(agent, script, name, buffer_bytes=65536, when_full="drop") as start:
                reader = durable.attach(agent, name, input=False, at=0)
                durable.wait_offset(agent, name, 350000)
                owner = Frozen(durable.owner_pid(agent, name))
                run_into_append(owner, noise.randrange(1, 4))
                owner.step(noise.randrange(3000))
                owner.kill()
                together([reader.finish, start.finish])
                wait_until(lambda: not durable.sessions(agent)[name]["running"], message="it is lost")
                later = durable.attach(agent, name).finish()
                assert later.exit == reader.exit == (125, 0) and later.offset == reader.offset
                for piece in reader.pieces + later.pieces + start.pieces:
                    check_streams(piece, references)


@pytest.mark.parametrize("call", ["sendmsg", "sendto", "ppoll", "read", "fcntl", "ioctl"])
def test_tail_is_there_when_the_owner_is_killed_at_any_call(agent, call):
    """Its own host may hear nothing: a frame may be half out. All others hear the end."""
    expected = numbers(40)
    name = "call-" + call
    script = "read go; for i in $(seq 1 40); do echo $i; sleep 0.01; done; sleep 0.2; exit 3"
    start = durable.sh(agent, script, name)
    reader = durable.attach(agent, name, input=False, at=0)
    with Fault(durable.owner_pid(agent, name), call, "signal=SIGKILL", 3):
        start.stdin(b"go\n")
        together([start.finish, reader.finish])
    if reader.exit == (125, 0):
        check_tail(agent, name, [], expected)
    else:
        assert reader.exit == (3, 0) and reader.data == expected     # it made no third of this call


def test_end_stands_once_the_journal_has_it_though_the_owner_dies_behind_it(agent):
    """It is killed while it waits for its own host, who does not read."""
    expected = numbers(400000)
    start = durable.sh(agent, "read go; seq 1 400000; exit 3", "stands", buffer_bytes=16 * MIB)
    owner = durable.owner_pid(agent, "stands")
    start.stdin(b"go\n")
    durable.wait_offset(agent, "stands", len(expected))
    durable.wait_ended(agent, "stands", served=True)
    kill_hard(owner)
    for _ in range(2):
        later = durable.attach(agent, "stands", at=0).finish()
        assert later.data == expected and later.exit == (3, 0)
    start.finish()
    assert start.exit in (None, (3, 0), (125, 0)) and expected.startswith(start.data)


def test_what_was_lost_is_kept_for_keep_seconds(agent):
    durable.sh(agent, "echo x; exec sleep 600", "kept", keep_seconds=2).close()
    durable.wait_offset(agent, "kept", 2)
    begun = time.monotonic()
    kill_hard(durable.owner_pid(agent, "kept"))
    wait_until(lambda: not durable.sessions(agent)["kept"]["running"], message="it is lost")
    assert durable.attach(agent, "kept").finish().out == b"x\n"
    wait_until(lambda: "kept" not in durable.sessions(agent), message="it is given up")
    assert time.monotonic() - begun > 1.5


@pytest.mark.parametrize("call, when", [("fallocate", 1), ("vfork", 1), ("clone", 1), ("pipe2", 1), ("pipe2", 2)])
def test_name_is_free_when_the_owner_dies_before_its_program_runs(call, when):
    with Agent("--workers=4", "--log=debug") as agent:
        with Fault(agent.worker_pids(), call, "signal=SIGKILL", when):
            conn = agent.connect()
            conn.send(codec.START, codec.start(["sleep", "600"], name="early", durable={}))
            frame = conn.recv()
            if frame is not None and frame.type == codec.STATUS:    # it made no such call
                session = frame.json()["session"]
                assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0
            result = conn.result()
        assert result.code in (125, 137), result

        def free():
            if "early" in durable.sessions(agent):
                return durable.forget(agent, "early").code == 0
            return True
        wait_until(free, message="the name is free")
        assert durable.sh(agent, "echo x", "early").finish().out == b"x\n"


# ---- a reader ----------------------------------------------------------------------------


def test_killed_reader_costs_its_host_one_way_back_and_nobody_else_anything(agent):
    expected = numbers(600000)
    start = durable.sh(agent, "read go; seq 1 600000; exit 4", "readers", buffer_bytes=16 * MIB)
    other = durable.attach(agent, "readers", input=False)
    start.stdin(b"go\n")
    got = b""
    for turn in range(8):
        reader = durable.attach(agent, "readers", at=len(got), input=False)
        pid = durable.holder_pid(agent, reader)
        reader.read_to(min(len(got) + 100000, len(expected)))
        os.kill(pid, signal.SIGKILL)
        reader.finish()
        got += reader.data
        if reader.exit is None and reader.events[-1]["event"] == "detached":
            assert reader.events[-1]["why"] == "worker lost", reader
    reader = durable.attach(agent, "readers", at=len(got)).finish()
    got += reader.data
    together([other.finish, start.finish])
    assert got == other.data == start.data == expected
    assert reader.exit == other.exit == start.exit == (4, 0)


def test_a_lost_reader_is_said_to_be_lost_and_not_an_end(agent):
    """Nothing is under way: it can be said whole."""
    with durable.start(agent, ["cat"], "said") as start:
        for wants_input in (True, False):
            reader = durable.attach(agent, "said", input=wants_input)
            os.kill(durable.reader_pid(agent, reader), signal.SIGKILL)
            reader.finish()
            assert reader.exit is None and reader.out == reader.err == b"", reader
            assert reader.events[-1] == {"event": "detached", "why": "worker lost"}
            wait_until(lambda: not durable.readers(agent, start.started["session"]), message="its slot is free")
        assert durable.sessions(agent)["said"]["running"]


def test_when_a_holders_worker_dies_nobody_holds_the_input_and_the_program_runs_on(agent):
    expected = numbers(400000)
    durable.sh(agent, "read go; seq 1 400000", "dies", buffer_bytes=65536).close()
    holder = durable.attach(agent, "dies")
    pid = durable.reader_pid(agent, holder)
    holder.stdin(b"go\n")
    wait_until(lambda: durable.sessions(agent)["dies"]["offset"] > 65536, message="it writes")
    os.kill(pid, signal.SIGKILL)
    slot = durable.wait_ended(agent, "dies")
    assert (slot["offset"], slot["code"]) == (len(expected), 0)
    reader = durable.attach(agent, "dies").finish()
    assert reader.data == expected[reader.first:] and len(reader.data) >= 65536


def test_workers_killed_at_random_leave_every_host_its_end_or_a_way_back(agent):
    """Owners and readers, near a send: a host that comes back as often as need be has all
    that the program had written, and one end."""
    noise = random.Random(99)
    for turn in range(15):
        name = "random-%d" % turn
        start = durable.sh(agent, "seq 1 100000; exit 6", name, buffer_bytes=MIB, when_full="wait")
        expected = numbers(100000)
        owner = durable.owner_pid(agent, name) if noise.random() < 0.5 else 0
        start.close()
        got, reader = b"", None
        kills = 0
        while reader is None or reader.exit is None:
            reader = durable.attach(agent, name, at=len(got))
            if kills < 3:
                kills += 1
                victims = [slot["pid"] for slot in durable.readers(agent, reader.attached["session"])]
                if kills == 2 and owner:
                    victims.append(owner)
                time.sleep(noise.choice([0, 0.0005, 0.002]))
                kill_hard(*victims)
            while reader.take() is not None:
                if reader.exit is None and not reader.closed and noise.random() < 0.5:
                    try:
                        reader.ack()
                    except (BrokenPipeError, ConnectionResetError):
                        pass
            reader.close()
            assert reader.attached["lost"] == 0
            got += reader.data
        assert reader.exit in ((6, 0), (125, 0)) and expected.startswith(got), (reader, len(got))
        assert reader.exit == (125, 0) or got == expected
        assert owner or reader.exit == (6, 0)
        assert durable.sessions(agent)[name]["offset"] == len(got)
        assert durable.forget(agent, name).code == 0
