# SPDX-License-Identifier: MIT
"""QUIESCE and THAW, as their host sees them. What becomes of other requests meanwhile: test_quiesce_requests.py; that
sessions stand still: test_quiesce_rest.py; that anything is frozen: tests/vm/test_quiesce.py."""

import os
import signal

import pytest

import codec
import holding
from agent import kill_hard, together, wait_until
from faults import Fault
from holding import NOTHING, STEPS, await_slot, hold, is_silent, phase, slots, thaw, thawed


def worker_of(agent, kind):
    """The process that serves the one request of this kind."""
    await_slot(agent, kind)
    return slots(agent, kind)[0]["pid"]


@pytest.fixture
def held(agent):
    yield from holding.held(agent)


# ---- what its host is told -------------------------------------------------------------------------------


def test_the_host_is_told_what_was_done_and_why_it_ended(agent):
    conn = holding.ask(agent)
    told = conn.expect(codec.STATUS).json()
    assert set(told) == {"event", "steps", "frozen", "skipped"} and told["event"] == "quiesced"
    assert [step["name"] for step in told["steps"]] == STEPS
    assert all(step["error"] == "" for step in told["steps"])
    assert told["frozen"] == told["skipped"] == []
    conn.send(codec.THAW)
    assert thawed(conn) == "host"
    assert phase(agent) is None


def test_a_thaw_that_is_sent_with_the_quiesce_means_what_it_says(agent):
    for payload in (b"", b"{}", b'{"later":"members"}'):
        conn = agent.connect()
        conn.send_raw(codec.encode(codec.QUIESCE, NOTHING) + codec.encode(codec.THAW, payload))
        assert thawed(conn) == "host"
        assert conn.frames[0].json()["event"] == "quiesced" and len(conn.frames) == 3


def test_frames_that_are_not_thaw_are_skipped(held):
    for kind in (codec.STDIN, codec.EOF, codec.QUIESCE, codec.START, 0x3F, 0xFF):
        held.send(kind, b"x" * 100000)
    assert phase(held.agent) == "held" and is_silent(held)
    held.send(codec.THAW)
    assert thawed(held) == "host"


def test_a_thaw_may_come_byte_by_byte(held):
    for byte in codec.encode(codec.THAW):
        assert phase(held.agent) == "held"
        held.send_raw(bytes([byte]))
    assert thawed(held) == "host"


def test_a_host_that_makes_no_sense_any_more_is_taken_to_say_thaw(held):
    held.send_raw(codec.header(codec.STDIN, codec.FRAME_MAX + 1) + b"x" * 1000)
    assert thawed(held) == "host"


def test_nothing_is_said_while_it_is_held(held):
    assert is_silent(held, seconds=1)
    held.send(codec.THAW)
    assert thawed(held) == "host"


def test_thawed_comes_when_all_is_thawed_and_before_exit(agent):
    """A host that has read it finds a guest that runs, and may have it quiesced again."""
    for _ in range(20):
        conn = hold(agent)
        conn.send(codec.THAW)
        assert conn.expect(codec.STATUS).json() == {"event": "thawed", "why": "host"}
        again = hold(agent)
        assert conn.result().code == 0
        again.close()
        wait_until(lambda: phase(agent) is None, message="it is over")


def test_status_shows_what_is_under_way(agent):
    before = agent.status()
    assert "quiesce" not in before
    with hold(agent, hold_ms=60000) as conn:
        # The first one may still be closing.
        wait_until(lambda: sorted(s["kind"] for s in agent.status()["slots"]) == ["quiesce", "status"], message="two")
        told = agent.status()
        assert set(told["quiesce"]) == {"number", "phase", "hold_left_ms"}
        assert told["quiesce"]["phase"] == "held" and 0 < told["quiesce"]["hold_left_ms"] <= 60000
        assert agent.status()["quiesce"]["hold_left_ms"] <= told["quiesce"]["hold_left_ms"]
        conn.send(codec.THAW)
        assert thawed(conn) == "host"
    assert "quiesce" not in agent.status()
    with hold(agent):
        assert agent.status()["quiesce"]["number"] == told["quiesce"]["number"] + 1
    wait_until(lambda: phase(agent) is None, message="it is over")


# ---- how it ends ------------------------------------------------------------------------------------------


def test_it_is_over_when_its_time_is_up(agent):
    assert thawed(hold(agent, hold_ms=300)) == "expired"
    assert thawed(hold(agent, hold_ms=1)) == "expired"


def test_thaw_on_another_connection_ends_it(held):
    assert thaw(held.agent) == 0
    assert thawed(held) == "thaw"
    assert phase(held.agent) is None


def test_thaw_of_a_guest_that_runs_is_exit_1(agent):
    for payload in (b"", {}, {"more": 1}):
        result = agent.request(codec.THAW, payload)
        assert [f.type for f in result.frames] == [codec.EXIT] and result.code == 1


def test_a_thaw_that_takes_long_leaves_the_last_worker_to_others(start_agent):
    agent = start_agent("--workers=2")
    with hold(agent) as conn:
        with Fault(agent.switch_pids(), "exit_group", "delay_enter=60000000"):
            assert agent.request(codec.THAW).code == -1
            assert phase(agent) == "thawing" and is_silent(conn)
        assert thawed(conn) == "thaw", "it went on all the same"
    assert thaw(agent) == 1


@pytest.mark.parametrize("bad", [b"x", b"[]", b"null", b"{", b'{"a":1}x'])
def test_a_thaw_that_is_no_object_thaws_nothing(held, bad):
    before = held.agent.status()["sessions"]["bad_requests"]
    assert held.agent.request(codec.THAW, bad).code == -1
    assert phase(held.agent) == "held"
    assert held.agent.status()["sessions"]["bad_requests"] == before + 1


def test_of_many_thaws_at_once_all_find_it_thawed(held):
    codes = together([lambda: thaw(held.agent)] * 3)
    assert set(codes) <= {0, 1} and 0 in codes
    assert thawed(held) == "thaw"


@pytest.mark.parametrize("leave", [lambda conn: conn.close(), lambda conn: conn.half_close()],
                         ids=["close", "half_close"])
def test_it_is_over_when_its_host_goes(agent, leave):
    conn = hold(agent)
    waits = agent.start(["echo", "x"])
    await_slot(agent, "exec")
    leave(conn)
    assert waits.result().stdout == b"x\n"
    wait_until(lambda: not slots(agent, "quiesce"), message="its worker is free")
    assert phase(agent) is None
    if conn.sock.fileno() >= 0:
        assert conn.result().frames[1:] == [], "nothing is said to a host that has gone"


def test_with_hold_the_guest_stays_as_it_is_when_its_host_goes(agent):
    hold(agent, on_gone="hold").close()
    wait_until(lambda: not slots(agent, "quiesce"), message="its worker is free")
    waits = agent.start(["echo", "x"])
    await_slot(agent, "exec")
    assert phase(agent) == "held" and is_silent(waits)
    # Whoever has that worker now may go as he likes.
    for _ in range(2 * len(agent.worker_pids())):
        agent.status()
    assert phase(agent) == "held"
    assert thaw(agent) == 0
    assert waits.result().stdout == b"x\n"


@pytest.mark.kills_workers
def test_with_hold_no_worker_is_needed_any_more(agent):
    hold(agent, on_gone="hold").close()
    wait_until(lambda: not slots(agent, "quiesce"), message="its worker is free")
    before = holding.workers(agent)
    kill_hard(*before)
    wait_until(lambda: len(holding.workers(agent) - before) == len(before), message="other workers")
    assert phase(agent) == "held"
    assert thaw(agent) == 0


def test_with_hold_it_is_over_when_its_time_is_up_though_nobody_is_there(agent):
    hold(agent, on_gone="hold", hold_ms=1000).close()
    wait_until(lambda: phase(agent) is None, message="it is over")
    assert agent.run(["echo", "x"]).stdout == b"x\n"


def test_with_hold_the_host_may_also_stay(agent):
    conn = hold(agent, on_gone="hold")
    conn.send(codec.THAW)
    assert thawed(conn) == "host"


@pytest.mark.kills_workers
def test_the_death_of_its_worker_is_as_if_the_host_had_gone(agent):
    conn = hold(agent)
    waits = agent.start(["echo", "x"])
    await_slot(agent, "exec")
    kill_hard(worker_of(agent, "quiesce"))
    result = conn.result()
    assert [f.type for f in result.frames] == [codec.STATUS, codec.EXIT] and result.code == -1
    assert waits.result().stdout == b"x\n"
    wait_until(lambda: phase(agent) is None, message="it is over")


@pytest.mark.kills_workers
def test_with_hold_the_death_of_its_worker_ends_nothing_and_is_told_at_once(agent):
    conn = hold(agent, on_gone="hold")
    waits = agent.start(["echo", "x"])
    await_slot(agent, "exec")
    kill_hard(worker_of(agent, "quiesce"))
    assert conn.result().code == -1
    assert phase(agent) == "held" and is_silent(waits)
    assert thaw(agent) == 0
    assert waits.result().stdout == b"x\n"


@pytest.mark.ends_agent
@pytest.mark.parametrize("on_gone", ["thaw", "hold"])
def test_the_end_of_the_agent_thaws_first(start_agent, on_gone):
    agent = start_agent("--workers=4")
    conn = hold(agent, on_gone=on_gone)
    agent.process.send_signal(signal.SIGTERM)
    assert thawed(conn) == "shutdown"
    assert agent.process.wait(30) == 0


# ---- what is refused ---------------------------------------------------------------------------------------


def test_a_second_quiesce_is_busy_with_nothing_done(held):
    for on_gone in ("thaw", "hold"):
        told = holding.refused(holding.ask(held.agent, on_gone=on_gone, hold_ms=1), -1)
        assert told["error"].startswith("EBUSY: ")
        assert told["steps"] == told["frozen"] == told["skipped"] == []
    assert phase(held.agent) == "held"
    held.send(codec.THAW)
    assert thawed(held) == "host"


def test_of_many_at_once_one_is_held(agent):
    conns = [holding.ask(agent, hold_ms=600000) for _ in range(6)]
    told = [conn.expect(codec.STATUS).json() for conn in conns]
    assert sum("error" not in one for one in told) == 1, told
    assert all(one["error"].startswith("EBUSY: ") for one in told if "error" in one)
    for conn in conns:
        conn.close()
    wait_until(lambda: phase(agent) is None, message="it is over")


BAD = [b"", b"x", b"[]", b"null", {"freeze": "all"}, {"freeze": None}, {"sync": 1}, {"sync": None}, {"within_ms": 0},
       {"within_ms": 60001}, {"within_ms": -1}, {"within_ms": 1.5}, {"within_ms": "1"}, {"hold_ms": 0},
       {"hold_ms": 600001}, {"hold_ms": None}, {"on_gone": "stay"}, {"on_gone": True}, {"fsfreeze": "none"},
       {"fsfreeze": None}, {"fsfreeze": ["x"]}, {"fsfreeze": [""]}, {"fsfreeze": [1]}, {"fsfreeze": ["/a\0b"]},
       {"fsfreeze": ["/x"] * 65}, {"fsfreeze": ["/" + "x" * 4095] * 2}]


@pytest.mark.parametrize("bad", BAD)
def test_what_makes_no_sense_is_refused_in_words(agent, bad):
    before = agent.status()["sessions"]["bad_requests"]
    conn = agent.connect()
    conn.send(codec.QUIESCE, {**NOTHING, **bad} if isinstance(bad, dict) else bad)
    told = holding.refused(conn, -1)
    assert told["error"].startswith("EINVAL: bad QUIESCE: ")
    if isinstance(bad, dict):
        assert "member '%s'" % next(iter(bad)) in told["error"]
    assert told["steps"] == [] and phase(agent) is None
    assert agent.status()["sessions"]["bad_requests"] == before + 1


def test_the_ends_of_the_ranges_are_taken(agent):
    for members in ({"within_ms": 60000}, {"hold_ms": 600000}):
        conn = hold(agent, **members)
        conn.send(codec.THAW)
        assert thawed(conn) == "host"


def test_one_that_finds_no_place_is_refused_and_status_and_thaw_are_served(start_agent):
    agent = start_agent("--workers=2")
    conn = agent.start(["cat"])
    await_slot(agent, "exec")
    told = holding.refused(holding.ask(agent), -1)
    assert told["error"].startswith("EBUSY: busy: ") and told["steps"] == []
    assert thaw(agent) == 1
    conn.send(codec.EOF)
    assert conn.result().code == 0


def test_with_two_workers_status_and_thaw_are_served_while_it_is_held(start_agent):
    agent = start_agent("--workers=2")
    with hold(agent) as conn:
        for _ in range(10):
            assert phase(agent) == "held"
        assert agent.run(["true"]).code == 125, "there is no place for it"
        assert phase(agent) == "held"
        assert thaw(agent) == 0
        assert thawed(conn) == "thaw"
    assert agent.run(["true"]).code == 0


def test_of_one_worker_there_is_none_left_for_others_until_it_is_over(start_agent):
    agent = start_agent("--workers=1")
    conn = hold(agent)
    with agent.dial() as other:
        other.sendall(b"CONNECT 52\n" + codec.encode(codec.THAW))
        assert is_silent(other, conn, seconds=0.5)
        conn.close()
        assert other.recv(100)[:3] == b"OK "
    wait_until(lambda: phase(agent) is None, message="it is over")


def test_an_order_that_nobody_takes_is_given_up_and_never_carried_out(start_agent):
    agent = start_agent("--workers=4")
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        told = holding.refused(holding.ask(agent, within_ms=100), 1)
        assert told["error"].startswith("ETIMEDOUT: ") and [s["name"] for s in told["steps"]] == ["rest"]
        assert phase(agent) == "asked"
        assert agent.run(["true"]).code == 0, "nothing stands still for it"
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    wait_until(lambda: phase(agent) is None, message="it is over")
    conn = hold(agent)
    conn.send(codec.THAW)
    assert thawed(conn) == "host"


def test_a_worker_by_itself_says_that_it_can_freeze_nothing(start_agent):
    agent = start_agent("--once", ready="socket")
    told = holding.refused(holding.ask(agent), -1)
    assert told["error"].startswith("ENOSYS: ")
    assert agent.process.wait(30) == 0


# ---- before it is held --------------------------------------------------------------------------------------


@pytest.fixture
def restless(start_agent, tmp_path):
    """An agent with a request that does not come to rest: a call of its worker takes a minute."""
    agent = start_agent("--workers=4")
    agent.slow = agent.connect(codec.FILE_PORT)
    with Fault(agent.worker_pids(), "mkdirat", "retval=0:delay_enter=60000000") as fault:
        agent.slow.send(codec.FILE_MKDIR_REQ, {"path": str(tmp_path / "d"), "mode": 0o700})
        fault.wait_met()        # before it, it would rest
        await_slot(agent, "mkdir")
        agent.number = slots(agent, "mkdir")[0]["session"]
        yield agent
    agent.slow.result()


def test_what_does_not_come_to_rest_in_time_is_named(restless):
    told = holding.refused(holding.ask(restless, within_ms=500), 1)
    assert told["error"] == "ETIMEDOUT: session %d (mkdir) does not rest" % restless.number
    assert [step["name"] for step in told["steps"]] == ["rest"] and told["steps"][0]["error"] == told["error"]
    assert told["steps"][0]["us"] >= 499000     # the limit is kept in whole ms
    assert phase(restless) is None
    assert restless.run(["echo", "x"]).stdout == b"x\n"


def test_thaw_calls_off_what_is_not_held_yet(restless):
    conn = holding.ask(restless, within_ms=60000)
    wait_until(lambda: phase(restless) == "resting", message="it has begun")
    assert thaw(restless) == 0
    told = holding.refused(conn, 1)
    assert told["error"].startswith("ECANCELED: ") and told["steps"][-1]["name"] == "rest"
    assert phase(restless) is None


def test_a_host_that_goes_before_it_is_held_calls_it_off(restless):
    conn = holding.ask(restless, within_ms=60000)
    wait_until(lambda: phase(restless) == "resting", message="it has begun")
    conn.close()
    wait_until(lambda: phase(restless) is None and not slots(restless, "quiesce"), message="it is over")


def test_requests_wait_from_the_beginning_on(restless):
    conn = holding.ask(restless, within_ms=60000)
    wait_until(lambda: phase(restless) == "resting", message="it has begun")
    waits = restless.start(["echo", "x"])
    await_slot(restless, "exec")
    assert is_silent(waits, conn)
    assert thaw(restless) == 0
    assert waits.result().stdout == b"x\n"
    conn.close()


@pytest.mark.kills_workers
def test_its_worker_may_die_before_it_is_held(restless):
    conn = holding.ask(restless, within_ms=60000)
    wait_until(lambda: phase(restless) == "resting", message="it has begun")
    kill_hard(worker_of(restless, "quiesce"))
    result = conn.result()
    assert [f.type for f in result.frames] == [codec.EXIT] and result.code == -1
    wait_until(lambda: phase(restless) is None, message="it is over")
