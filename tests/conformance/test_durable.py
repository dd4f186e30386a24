# SPDX-License-Identifier: MIT
"""Durable sessions: that nothing of a program's output or end is lost with a connection,
and that nobody holds up anybody."""

import os
import re
import signal
import time

import pytest

import codec
import durable
from agent import Agent, births, descendants, descriptors, stat_of, still_running, together, wait_until

AGENT_OPTIONS = ("--workers=24", "--log=debug")
FORGETS_DURABLE = True
MIB = 1 << 20


def numbers(last):
    """What seq 1 LAST writes."""
    return b"".join(b"%d\n" % i for i in range(1, last + 1))


# ---- nobody holds up anybody --------------------------------------------------------


def test_slow_spectator_stalls_nobody(agent):
    """One that does not read, and one whose worker stands still: the holder and another
    spectator get all of 32 MiB meanwhile."""
    script = "read go; head -c %d /dev/zero; exit 3" % (32 * MIB)
    holder = durable.sh(agent, script, "slow", buffer_bytes=MIB)
    deaf = durable.attach(agent, "slow", input=False)
    frozen = durable.attach(agent, "slow", input=False)
    pids = {slot["pid"] for slot in durable.readers(agent, holder.started["session"])}
    assert len(pids) == 2
    brisk = durable.attach(agent, "slow", input=False)
    with durable.Frozen(pids.pop()), durable.Frozen(pids.pop()):
        holder.stdin(b"go\n")
        together([holder.finish, brisk.finish])
        assert (len(holder.data), holder.exit, holder.lost) == (32 * MIB, (3, 0), [])
        assert brisk.offset == 32 * MIB and brisk.exit == (3, 0)
    together([deaf.finish, frozen.finish])
    for slow in (deaf, frozen):
        assert slow.offset == 32 * MIB and slow.exit == (3, 0), slow
        assert slow.lost and len(slow.pieces[-1].data) >= MIB, slow


def test_a_spectator_that_does_not_read_stalls_nobody(agent):
    holder = durable.sh(agent, "read go; exec head -c %d /dev/zero" % (32 * MIB), "deaf", buffer_bytes=65536)
    deaf = durable.attach(agent, "deaf", input=False)
    holder.stdin(b"go\n")
    holder.finish()
    assert (len(holder.data), holder.exit) == (32 * MIB, (0, 0))
    deaf.finish()
    assert (deaf.offset, deaf.exit) == (32 * MIB, (0, 0))
    assert deaf.lost and len(deaf.out) + sum(lost for _, lost in deaf.lost) == 32 * MIB


def test_a_holder_that_does_not_read_stops_the_program_and_loses_nothing(agent):
    holder = durable.sh(agent, "seq 1 3000000", "held", buffer_bytes=65536)

    at = durable.wait_held_up(agent, "held")
    assert durable.sessions(agent)["held"]["running"] and at < 4 * MIB
    spectator = durable.attach(agent, "held", input=False)
    assert spectator.attached["offset"] <= at
    together([holder.finish, spectator.finish])
    assert holder.data == numbers(3000000) and holder.exit == (0, 0) and not holder.lost


def test_with_nobody_there_the_oldest_bytes_go_and_the_program_runs_on(agent):
    with durable.sh(agent, "seq 1 300000; exec sleep 600", "alone", buffer_bytes=65536):
        pass
    expected = numbers(300000)
    durable.wait_offset(agent, "alone", len(expected))
    with durable.attach(agent, "alone") as reader:
        lost = reader.attached["lost"]
        assert lost == reader.attached["offset"] > 0
        assert len(expected) - lost >= 65536
        reader.read_to(len(expected))
        assert reader.out == expected[lost:]


def test_when_a_spectator_is_there_and_no_holder_the_program_runs_on(agent):
    holder = durable.sh(agent, "read go; seq 1 300000", "spectators", buffer_bytes=65536)
    spectator = durable.attach(agent, "spectators", input=False)
    holder.stdin(b"go\n")
    holder.detach()
    slot = durable.wait_ended(agent, "spectators")
    assert slot["offset"] == len(numbers(300000)) and slot["code"] == 0
    spectator.finish()
    assert spectator.exit == (0, 0) and spectator.offset == slot["offset"]


def test_drop_never_lets_the_program_wait_though_its_holder_does_not_read(agent):
    holder = durable.sh(agent, "seq 1 3000000", "drop", buffer_bytes=65536, when_full="drop")
    slot = durable.wait_ended(agent, "drop", served=True)
    expected = numbers(3000000)
    assert slot["offset"] == len(expected)
    holder.finish()
    assert holder.exit == (0, 0) and holder.lost and holder.offset == len(expected)
    for piece in holder.pieces:
        assert piece.data == expected[piece.offset:piece.end], piece
    assert len(holder.pieces[-1].data) >= 65536


def test_wait_overwrites_nothing_that_no_ack_covers_holder_or_not(agent):
    expected = numbers(300000)
    holder = durable.sh(agent, "seq 1 300000", "wait", buffer_bytes=65536, when_full="wait")
    holder.read_to(65536)
    holder.close()
    durable.wait_alone(agent, "wait")
    time.sleep(0.5)
    stuck = durable.sessions(agent)["wait"]
    assert stuck["running"] and stuck["offset"] < len(expected)
    got = b""
    while True:         # what comes is acknowledged by coming back for what follows
        reader = durable.attach(agent, "wait", at=len(got))
        assert (reader.attached["offset"], reader.attached["lost"]) == (len(got), 0)
        reader.read_to(min(len(got) + 60000, len(expected)))
        reader.take_all()
        got += reader.data
        if len(got) == len(expected):
            break
        reader.close()
    assert got == expected and not reader.lost
    assert reader.finish().exit == (0, 0)


def test_wait_goes_on_by_acks_alone(agent):
    expected = numbers(1000000)
    holder = durable.sh(agent, "seq 1 1000000", "acks", buffer_bytes=65536, when_full="wait")
    while holder.take() is not None:
        if not holder.closed and holder.exit is None:
            holder.ack()
    assert holder.data == expected and holder.exit == (0, 0) and not holder.lost


# ---- the end ------------------------------------------------------------------------


def test_unwatched_output_is_there(agent):
    with durable.sh(agent, "sleep 0.3; seq 1 50000; echo problem >&2; seq 1 1000; exit 9", "unwatched"):
        pass
    slot = durable.wait_ended(agent, "unwatched")
    assert (slot["code"], slot["signal"], slot["attached"]) == (9, 0, 0)
    for _ in range(2):
        reader = durable.attach(agent, "unwatched", at=0)
        assert (reader.attached["offset"], reader.attached["lost"], reader.attached["running"]) == (0, 0, False)
        reader.finish()
        assert reader.out == numbers(50000) + numbers(1000) and reader.err == b"problem\n"
        assert reader.offset == slot["offset"] and reader.exit == (9, 0)


@pytest.mark.parametrize("script, end", [("exit 7", (7, 0)), ("exit 0", (0, 0)), ("kill -9 $$", (137, 9)),
                                         ("kill -TERM $$", (143, 15)), ("exit 125", (125, 0))])
def test_exit_code_can_be_fetched_later(agent, script, end):
    with durable.sh(agent, "sleep 0.2; " + script, "later", report=True):
        pass
    slot = durable.wait_ended(agent, "later")
    assert (slot["code"], slot["signal"]) == end
    for session in ({"name": "later"}, {"session": slot["session"]}):
        reader = durable.attach(agent, report=True, **session).finish()
        assert reader.exit == end and reader.out == b""
        exited = reader.event("exited")
        assert (exited["code"], exited["signal"]) == end
        assert exited["reason"] == ("signaled" if end[1] else "exited")
        assert exited["wall_ms"] >= 200
    quiet = durable.attach(agent, "later").finish()
    assert quiet.exit == end and not quiet.all_events("exited")


def test_an_end_is_kept_for_keep_seconds_and_no_longer(agent):
    begun = time.monotonic()
    with durable.sh(agent, "echo x", "kept", keep_seconds=3) as reader:
        reader.finish()
    assert durable.attach(agent, "kept").finish().out == b"x\n"
    wait_until(lambda: "kept" not in durable.sessions(agent), message="the end is given up")
    assert time.monotonic() - begun > 2.9
    assert durable.refused(agent, "kept").startswith("ESRCH: ")
    assert durable.sh(agent, "echo y", "kept").finish().out == b"y\n"


def test_a_reader_that_is_attached_when_the_end_expires_still_gets_it_all(agent):
    """It does not read while three seconds pass."""
    durable.sh(agent, "seq 1 200000", "expires", keep_seconds=3, buffer_bytes=4 * MIB).close()
    reader = durable.attach(agent, "expires", at=0)
    durable_gone = lambda: "expires" not in durable.sessions(agent)  # noqa: E731
    wait_until(durable_gone, message="the end is given up")
    reader.finish()
    assert reader.data == numbers(200000) and reader.exit == (0, 0)


def test_what_an_end_was_is_the_same_for_all_who_are_there(agent):
    holder = durable.sh(agent, "read go; echo x; exit 5", "all", report=True)
    others = [durable.attach(agent, "all", input=False, report=True) for _ in range(4)]
    holder.stdin(b"go\n")
    together([reader.finish for reader in [holder, *others]])
    assert [reader.exit for reader in others] == [holder.exit] * 4 == [(5, 0)] * 4
    assert [reader.out for reader in others] == [b"x\n"] * 4
    assert [reader.event("exited") for reader in others] == [holder.event("exited")] * 4


def test_an_end_that_is_kept_says_whose_it_was(agent):
    durable.start(agent, ["sh", "-c", "exit 2"], "whose", members={"user": "0:0"}).finish()
    slot = durable.wait_ended(agent, "whose")
    assert (slot["kind"], slot["user"], slot["command"], slot["pid"]) == ("ended", "0:0", "sh -c exit 2", 0)


def test_forget_takes_an_end_away(agent):
    durable.sh(agent, "exit 4", "end").finish()
    assert durable.forget(agent, "nobody").code == 1
    session = durable.sessions(agent)["end"]["session"]
    assert durable.forget(agent, session=session).code == 0
    assert durable.forget(agent, session=session).code == 1
    assert durable.refused(agent, "end").startswith("ESRCH: ")
    assert durable.refused(agent, session=session).startswith("ESRCH: ")
    assert "end" not in durable.sessions(agent)


def test_forget_does_nothing_to_one_that_runs(agent):
    with durable.start(agent, ["cat"], "runs") as holder:
        for whom in ({"name": "runs"}, {"session": holder.started["session"]}):
            result = durable.forget(agent, **whom)
            assert (result.code, result.signal) == (1, 0)
        holder.stdin(b"x")
        holder.read_until(b"x")


def test_forget_needs_one_of_name_and_session(agent):
    durable.sh(agent, "exit 0", "one").finish()
    session = durable.sessions(agent)["one"]["session"]
    for whom in ({}, {"name": "one", "session": session}):
        assert "EINVAL" in durable.refusal(durable.forget(agent, **whom))
    assert "one" in durable.sessions(agent)


def test_after_forget_those_who_are_attached_go_on_to_their_exit(agent):
    expected = numbers(600000)
    durable.sh(agent, "seq 1 600000; exit 6", "gone", buffer_bytes=8 * MIB).close()
    durable.wait_ended(agent, "gone")
    readers = [durable.attach(agent, "gone", at=0) for _ in range(3)]
    assert durable.forget(agent, "gone").code == 0
    assert durable.refused(agent, "gone").startswith("ESRCH: ")
    again = durable.sh(agent, "echo another", "gone")
    assert again.finish().out == b"another\n"
    together([reader.finish for reader in readers])
    for reader in readers:
        assert reader.data == expected and reader.exit == (6, 0)


def test_after_forget_one_who_takes_nothing_is_waited_for_stall_timeout_alone(start_agent):
    agent = start_agent("--workers=8", "--stall-timeout=2")
    durable.sh(agent, "head -c 8000000 /dev/zero", "gone", buffer_bytes=8 * MIB).close()
    durable.wait_ended(agent, "gone")
    reader = durable.attach(agent, "gone", at=0)
    session = reader.attached["session"]
    assert durable.forget(agent, "gone").code == 0
    wait_until(lambda: not durable.readers(agent, session), message="the reader is given up")
    reader.finish()
    assert reader.exit is None or reader.offset == 8000000, reader


# ---- names and numbers ----------------------------------------------------------------


def test_two_starts_by_one_name_run_once(agent, tmp_path):
    for turn in range(10):
        ran = tmp_path / ("ran-%d" % turn)
        script = "echo x >>%s; exec sleep 600" % ran
        conns = together([lambda: agent.start(["sh", "-c", script], name="one", durable={})] * 6)
        ends = together([lambda c=c: c.recv() for c in conns])
        winners = [i for i, frame in enumerate(ends) if frame.type == codec.STATUS]
        assert len(winners) == 1, ends
        number = ends[winners[0]].json()["session"]
        for i, conn in enumerate(conns):
            if i not in winners:
                assert durable.refusal(conn.result()).strip() == (
                    "EEXIST: session 'one' is there (number %d, running)" % number)
        wait_until(lambda: ran.exists() and ran.read_text() != "", message="it runs")
        assert agent.request(codec.KILL, {"session": number, "signal": 9}).code == 0
        assert conns[winners[0]].result().code == 137
        assert durable.start_refused(agent, ["true"], "one").strip() == (
            "EEXIST: session 'one' is there (number %d, ended)" % number)
        assert durable.forget(agent, "one").code == 0
        assert ran.read_text() == "x\n"


@pytest.mark.parametrize("cmd, members, code", [
    (["/no/such/program"], {}, 127), (["/etc/passwd"], {}, 126), (["true"], {"user": "no-such-user"}, 126),
    (["true"], {"working_dir": "/no/such/dir"}, 126)])
def test_the_name_of_a_start_that_fails_is_free_at_once(agent, cmd, members, code):
    for _ in range(3):
        result = agent.run(cmd, name="fails", durable={}, **members)
        assert result.code == code and result.stderr and not result.statuses, result
        assert "fails" not in durable.sessions(agent)
    assert durable.sh(agent, "echo x", "fails").finish().out == b"x\n"


def test_session_number_of_an_older_agent_is_stale(start_agent):
    instances = []
    for _ in range(2):
        agent = start_agent("--workers=4")
        reader = durable.sh(agent, "echo x", "mine").finish()
        session, instance = reader.started["session"], reader.started["instance"]
        assert re.fullmatch("[0-9a-f]{32}", instance)
        assert agent.status()["instance"] == instance
        for whom in ({"session": session}, {"name": "mine"}):
            for older in instances:
                assert durable.refused(agent, instance=older, **whom).startswith("ESTALE: ")
                result = durable.forget(agent, instance=older, **whom)
                assert durable.refusal(result).startswith("ESTALE: ")
            again = durable.attach(agent, instance=instance, **whom)
            assert again.attached["instance"] == instance
            assert again.finish().out == b"x\n"
        instances.append(instance)
    assert len(set(instances)) == 2
    assert durable.forget(agent, "mine", instance=instances[1]).code == 0
    # Of another instance, whether there is such a session or not.
    assert durable.refused(agent, "mine", instance=instances[0]).startswith("ESTALE: ")


def test_started_says_who_it_is_though_no_report_was_asked_for(agent):
    with durable.start(agent, ["cat"], "A-z.0_9") as reader:
        assert reader.started["event"] == "started"
        assert reader.started["name"] == "A-z.0_9" and reader.started["session"] > 0
        assert stat_of(reader.started["pid"]) is not None
        assert reader.started["pid"] == durable.program_pid(agent, "A-z.0_9")
        reader.eof()
        reader.finish()
        assert reader.exit == (0, 0)
        assert [event["event"] for event in reader.events] == ["started"]


# ---- what another's journal holds is nobody's ------------------------------------------


def test_reader_of_a_reused_journal_sees_nothing_of_it(start_agent):
    """Its worker stands still while its session is forgotten and every journal is filled
    with what is not its own."""
    agent = start_agent("--workers=8", "--stall-timeout=1", "--log=debug")
    size = 2 * MIB
    durable.sh(agent, "head -c %d /dev/zero | tr '\\0' o" % size, "own", buffer_bytes=size).close()
    durable.wait_ended(agent, "own")
    reader = durable.attach(agent, "own", at=0)
    frozen = durable.Frozen(durable.reader_pid(agent, reader))
    try:
        assert durable.forget(agent, "own").code == 0

        def fill(i):
            """Journal by journal, until those that there are are in use."""
            try:
                durable.sh(agent, "head -c %d /dev/zero | tr '\\0' s" % size, "s%d" % i, buffer_bytes=size).finish()
            except AssertionError:
                return False
            return True
        filled = 0
        deadline = time.monotonic() + 300
        while filled < 32 and time.monotonic() < deadline:
            filled += fill(filled)
        assert filled == 32
    finally:
        frozen.thaw()
    reader.finish()
    assert set(reader.out) <= {ord("o")} and set(reader.err) == set(), set(reader.out)
    assert reader.exit in (None, (0, 0))
    assert reader.exit is None or reader.offset == size, reader


def test_what_a_reader_holds_open_of_a_forgotten_session_is_that_sessions(agent):
    """Names go from hand to hand while readers are in the middle of what was there."""
    for turn in range(12):
        letter = chr(ord("a") + turn)
        durable.sh(agent, "head -c 3000000 /dev/zero | tr '\\0' %s; exit %d" % (letter, turn), "hand",
                   buffer_bytes=4 * MIB).close()
        durable.wait_ended(agent, "hand")
        reader = durable.attach(agent, "hand", at=0)
        assert durable.forget(agent, "hand").code == 0
        reader.finish()
        assert reader.data == letter.encode() * 3000000 and reader.exit == (turn, 0)


# ---- at the end as at the start -----------------------------------------------------------


def blocks(agent):
    """What the journals take, in blocks of 512 bytes."""
    folder = "/proc/%d/fd" % agent.pid
    found = 0
    for number, name in descriptors(agent.pid).items():
        if name.startswith("/memfd:"):
            found += os.stat("%s/%d" % (folder, number)).st_blocks
    return found


def test_a_journal_that_is_given_back_holds_no_page(start_agent):
    agent = start_agent("--workers=8")
    before = blocks(agent)
    durable.sh(agent, "head -c 4000000 /dev/zero; echo >&2", "pages", buffer_bytes=4 * MIB).finish()
    assert blocks(agent) - before >= 4 * MIB // 512
    assert durable.forget(agent, "pages").code == 0
    wait_until(lambda: blocks(agent) <= before, message="the pages go")


def switches(pids):
    found = {}
    for pid in pids:
        with open("/proc/%d/status" % pid) as status:
            found[pid] = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read(), re.M)[1]
    return found


def test_nobody_wakes_up_while_nothing_happens(agent):
    with durable.start(agent, ["cat"], "idle", alone_seconds=600), \
            durable.attach(agent, "idle", input=False) as one, durable.attach(agent, "idle") as two:
        pids = [agent.pid, *agent.worker_pids()]

        def is_at_rest():
            before = switches(pids)
            time.sleep(1)
            return switches(pids) == before
        wait_until(is_at_rest, message="what was before is over")
        before = switches(pids)
        time.sleep(2)
        assert switches(pids) == before
        two.stdin(b"x")
        together([lambda: one.read_until(b"x"), lambda: two.read_until(b"x")])


@pytest.mark.ends_agent
@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_shutdown_ends_a_durable_session_as_any_other(start_agent, number):
    agent = start_agent("--workers=8")
    durable.start(agent, ["sleep", "600"], "alone").close()
    holder = durable.start(agent, ["sleep", "600"], "held", report=True)
    watcher = durable.attach(agent, "held", input=False, report=True)
    family = births(descendants(agent.pid))
    os.kill(agent.pid, number)
    together([holder.finish, watcher.finish])
    for reader in (holder, watcher):
        assert reader.exit == (143, 15) and reader.event("exited")["reason"] == "shutdown", reader
    assert agent.terminate() == 0
    assert not still_running(family)


def test_kill_and_timeout_end_a_durable_session_as_any_other(agent):
    durable.start(agent, ["sleep", "600"], "killed").close()
    session = durable.sessions(agent)["killed"]["session"]
    assert agent.request(codec.KILL, {"session": session, "signal": 9}).code == 0
    reader = durable.attach(agent, "killed", report=True).finish()
    assert reader.exit == (137, 9) and reader.event("exited")["reason"] == "signaled"
    durable.start(agent, ["sleep", "600"], "late", members={"timeout_seconds": 1}).close()
    reader = durable.attach(agent, "late", report=True).finish()
    assert reader.exit == (137, 9) and reader.event("exited")["reason"] == "timeout"


# ---- coming back ---------------------------------------------------------------------------


def test_holder_can_always_come_back(start_agent):
    """All that others may have of the agent, they have: and the holder comes back, also
    while its former worker stands still."""
    agent = start_agent("--workers=12", "--log=debug")
    durable.start(agent, ["cat"], "mine").close()
    durable.wait_alone(agent, "mine")
    taken = take_all_places(agent)
    assert len(taken) >= 8, len(taken)
    for turn in range(3):
        with durable.attach(agent, "mine") as holder:
            holder.stdin(b"%d;" % turn)
            holder.read_until(b"%d;" % turn)
    old = durable.attach(agent, "mine")
    with durable.Frozen(durable.holder_pid(agent, old)), durable.attach(agent, "mine") as holder:
        holder.stdin(b"again")
        holder.read_until(b"again")
    for conn in [old, *taken]:
        conn.close()


def take_all_places(agent):
    """Programs, spectators, watches and uploads, until nobody gets a place; their connections."""
    requests = [(codec.EXEC_PORT, codec.START, codec.start(["sleep", "600"], report=True)),
                (codec.EXEC_PORT, codec.ATTACH, {"name": "mine", "input": False}),
                (codec.FILE_PORT, codec.FILE_WATCH_REQ, {"path": "/"}),
                (codec.FILE_PORT, codec.FILE_WRITE_REQ, {"path": agent.directory + "/x"})]
    taken = []
    for port, kind, payload in requests:
        for _ in range(20):
            conn = agent.connect(port)
            conn.send(kind, payload)
            # An upload that has a place is not answered yet.
            frame = conn.recv() if kind != codec.FILE_WRITE_REQ or conn.wait_readable(0.5) else None
            if frame is not None and frame.type not in (codec.STATUS, codec.FILE_ACK):
                conn.close()
                break
            taken.append(conn)
    return taken


def test_an_agent_that_is_gone_takes_its_sessions_along(start_agent):
    """The supervisor killed, and another in its place, which knows of nothing."""
    with Agent("--workers=4") as agent:
        durable.start(agent, ["sleep", "600"], "lost").close()
        agent.kill()
    agent = start_agent("--workers=4")
    assert durable.refused(agent, "lost").startswith("ESRCH: ")
