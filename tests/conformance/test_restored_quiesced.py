# SPDX-License-Identifier: MIT
"""RESTORED while the guest is quiesced. What freezing is for is in tests/vm: here nothing is frozen, and
sessions stand still all the same."""

import time

import pytest

import codec
from agent import wait_until
from faults import Fault

NOW = {"entropy": codec.base64_text(b"r" * 32)}
STILL = {"freeze": "none", "sync": False, "hold_ms": 60000}


@pytest.fixture
def fresh(start_agent):
    return start_agent("--workers=6")


def quiesce(agent, **members):
    conn = agent.connect()
    conn.send(codec.QUIESCE, {**STILL, **members})
    told = conn.expect(codec.STATUS).json()
    assert told["event"] == "quiesced" and "error" not in told, told
    return conn


def restored(agent, **members):
    result = agent.request(codec.RESTORED, members)
    return result.code, result.event("restored")


def steps_done(told):
    return {name[:-len("_us")] for name, took in told.items() if name.endswith("_us") and took > 0} - {"total"}


def why_ended(conn):
    result = conn.result()
    assert [f.type for f in result.frames[-2:]] == [codec.STATUS, codec.EXIT] and result.code == 0
    return result.event("thawed")["why"]


def test_restored_ends_it_and_says_so(fresh):
    conn = quiesce(fresh)
    code, told = restored(fresh, **NOW, env={"A": "new"}, generation=7)
    assert (code, told["errors"]) == (0, [])
    assert steps_done(told) == {"generation", "entropy", "thaw_files", "env", "thaw"}
    assert why_ended(conn) == "restored" and "quiesce" not in fresh.status()
    conn.close()


def test_restored_of_a_guest_that_is_not_quiesced_thaws_nothing(fresh):
    for thaw in (True, False):
        code, told = restored(fresh, **NOW, thaw=thaw)
        assert (code, told["errors"], steps_done(told)) == (0, [], {"entropy"})


def test_restored_that_is_told_to_leaves_it_with_the_whole_time_again(fresh):
    conn = quiesce(fresh, hold_ms=60000)
    wait_until(lambda: fresh.status()["quiesce"]["hold_left_ms"] < 59000, message="a part of it has passed")
    before = fresh.status()["quiesce"]
    begun = time.monotonic()
    code, told = restored(fresh, **NOW, env={"A": "new"}, thaw=False)
    assert (code, told["errors"], steps_done(told)) == (0, [], {"entropy", "hold", "env"})
    after = fresh.status()["quiesce"]
    assert after["number"] == before["number"] and after["phase"] == "held"
    # All of it, but for what has passed since.
    assert after["hold_left_ms"] >= 60000 - (time.monotonic() - begun) * 1000 - 2
    assert restored(fresh)[0] == 0 and why_ended(conn) == "restored"
    conn.close()


def test_a_session_that_stands_still_goes_on_when_all_else_was_done(fresh):
    """The number stays raised until the end: what waits for it sees all of RESTORED's work."""
    conn = quiesce(fresh, within_ms=60000)
    waiting = fresh.connect()
    waiting.send(codec.START, codec.start(["sh", "-c", "echo $A"]))
    wait_until(lambda: fresh.status()["workers"]["exec"] == 1, message="START waits with its place")
    assert restored(fresh, env={"A": "early"}, thaw=False)[0] == 0
    with Fault(fresh.worker_pids(), "clock_settime", "retval=0:delay_enter=1000000"):
        assert restored(fresh, unix_ns=time.time_ns(), env={"A": "new"})[0] == 0
    assert waiting.result().stdout == b"new\n" and why_ended(conn) == "restored"
    conn.close()
    waiting.close()


def test_a_step_that_fails_leaves_nobody_frozen(fresh):
    conn = quiesce(fresh)
    code, told = restored(fresh, net={}, env={"": "bad"})
    assert code == -1 and [e.split(":")[0] for e in told["errors"]] == ["env", "net"]
    assert steps_done(told) == {"thaw_files", "thaw"} and why_ended(conn) == "restored"
    conn.close()


@pytest.mark.parametrize("bad", [0, "x", None, {}], ids=str)
def test_a_thaw_that_makes_no_sense_does_neither_and_stops_no_other_step(fresh, bad):
    conn = quiesce(fresh)
    code, told = restored(fresh, **NOW, thaw=bad)
    assert code == -1 and steps_done(told) == {"entropy"}
    assert len(told["errors"]) == 1 and told["errors"][0].startswith("thaw: member 'thaw': ")
    assert fresh.status()["quiesce"]["phase"] == "held"
    conn.send(codec.THAW)
    assert why_ended(conn) == "host"
    conn.close()


def test_one_that_is_refused_or_was_done_before_thaws_nothing(fresh):
    assert restored(fresh, **NOW, generation=7)[0] == 0
    conn = quiesce(fresh)
    for generation, code in ((6, 1), (7, 0)):
        assert restored(fresh, **NOW, generation=generation)[0] == code
        assert fresh.status()["quiesce"]["phase"] == "held"
    assert restored(fresh, generation=8)[0] == 0 and why_ended(conn) == "restored"
    conn.close()


def test_a_request_that_cannot_be_read_thaws_nothing(fresh):
    conn = quiesce(fresh)
    result = fresh.request(codec.RESTORED, b"{")
    assert result.code == -1 and fresh.status()["quiesce"]["phase"] == "held"
    conn.send(codec.THAW)
    assert why_ended(conn) == "host"
    conn.close()


@pytest.mark.kills_workers
def test_a_worker_that_dies_over_it_leaves_the_end_to_the_time(fresh):
    conn = quiesce(fresh, hold_ms=3000)
    with Fault(fresh.worker_pids(), "clock_settime", "retval=0:signal=SIGKILL"):
        assert fresh.request(codec.RESTORED, {"unix_ns": time.time_ns(), "generation": 7}).code == -1
    assert why_ended(conn) == "expired"
    code, told = restored(fresh, **NOW, generation=7)
    assert (code, steps_done(told)) == (0, {"generation", "entropy"})
    conn.close()


def test_it_is_done_though_the_host_of_quiesce_has_gone(fresh):
    quiesce(fresh, on_gone="hold").close()
    wait_until(lambda: not any(s["kind"] == "quiesce" for s in fresh.status()["slots"]), message="it has gone")
    code, told = restored(fresh, **NOW)
    assert (code, told["errors"], steps_done(told)) == (0, [], {"entropy", "thaw_files", "thaw"})
    assert "quiesce" not in fresh.status()
